"""An agent that is configured, but that this version of orch cannot start."""

from pathlib import Path

from orch.core.model import Activity, Exit, Run, Verdict
from orch.errors import PermanentError
from orch.ports import Command


class UnavailableAgent:
    """Says why it cannot be used. Its tasks wait, and no attempt of theirs is charged."""

    def __init__(self, name: str, problem: str) -> None:
        """`problem` says what is missing and the way out."""
        self._name = name
        self._problem = problem

    @property
    def name(self) -> str:
        """The NAME of `[agents.NAME]`."""
        return self._name

    def problem(self) -> str:
        """Why the agent cannot be started."""
        return self._problem

    def command(self, run: Run, directory: Path, worktree: Path) -> Command:  # noqa: ARG002
        """Nothing can be started: raises PermanentError."""
        raise PermanentError(self._problem)

    def verdict(self, directory: Path, exit: Exit) -> Verdict:  # noqa: ARG002
        """A run of an earlier configuration: only its exit can be read."""
        return Verdict(ok=exit.ok, reason="" if exit.ok else exit.message or str(exit.reason))

    def activity(self, directory: Path) -> Activity:  # noqa: ARG002
        """Unknown."""
        return Activity()
