"""An Agent that says what a test wrote down."""

from collections.abc import Mapping
from pathlib import Path

from orch.core.model import Activity, EndReason, Exit, Run, Verdict
from orch.ports import Command

UNCHARGED = {EndReason.SPAWN, EndReason.STOPPED, EndReason.INTERRUPTED}


class FakeAgent:
    """The Agent of a test.

    `verdicts` holds what is said of (task, attempt), `lines` what a worker is doing; for all others
    the exit decides. `trouble` is the answer of `problem`.
    """

    def __init__(self, name: str = "fake", verdicts: Mapping[tuple[str, int], Verdict] | None = None) -> None:
        self._name = name
        self.verdicts = dict(verdicts or {})
        self.lines: dict[tuple[str, int], Activity] = {}
        self.trouble = ""

    @property
    def name(self) -> str:
        return self._name

    def problem(self) -> str:
        return self.trouble

    def command(self, run: Run, directory: Path, worktree: Path) -> Command:
        env = {
            "ORCH_TASK_ID": run.key.task,
            "ORCH_ATTEMPT": str(run.key.attempt),
            "ORCH_BRANCH": run.claim.branch,
            "ORCH_PROMPT_FILE": str(directory / "prompt.md"),
        }
        return Command(argv=(f"/bin/{self._name}", str(worktree)), env=env, session_id=run.claim.resume)

    def verdict(self, directory: Path, exit: Exit) -> Verdict:
        scripted = self.verdicts.get(_key(directory))
        if scripted is not None:
            return scripted
        if exit.ok:
            return Verdict(ok=True)
        return Verdict(ok=False, reason=f"fake: {exit.reason}", charged=exit.reason not in UNCHARGED)

    def activity(self, directory: Path) -> Activity:
        return self.lines.get(_key(directory), Activity())


def _key(directory: Path) -> tuple[str, int]:
    """The run whose directory this is."""
    return directory.parent.name, int(directory.name)
