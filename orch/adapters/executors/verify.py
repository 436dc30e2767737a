"""The verify command: what a person says must pass in the worktree before a task is done."""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from orch.adapters import tails
from orch.adapters.executors import processes
from orch.adapters.executors.guarding import Command, Guarded
from orch.adapters.executors.limits import MEGABYTE
from orch.core.model import EndReason, Exit
from orch.core.values import dataclass
from orch.ports import Check

TAIL_LINES = 50
"""How much of the end of the output goes into a Check: it becomes part of the next prompt."""

STOPPED = Check(ok=False, tail="(stopped)")
"""What became of one that was stopped before it began."""


@dataclass(frozen=True, slots=True)
class VerifyCommand:
    """`[verify]`."""

    command: str
    """A line for `sh -c`."""
    timeout_seconds: float = 600.0
    """Wall clock; 0 means no limit."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The whole environment, built from the allow-list. ORCH_RUN_ID is added."""


class Verification:
    """The verify command of one run. One thread runs it; any other may stop it."""

    def __init__(
        self,
        verify: VerifyCommand,
        *,
        worktree: Path,
        log: Path,
        run_id: str,
        grace: float,
        max_log_mb: int,
    ) -> None:
        """Starts nothing yet. What the command prints goes to `log` (overwritten).

        `grace` is in seconds, `max_log_mb` 0 means no limit.
        """
        self._log = log
        self._command = Command(
            Guarded(
                what="the verify command",
                command=verify.command,
                folder=worktree,
                env={**verify.env, processes.MARK: run_id},
                mark=processes.MARK,
                log=log,
                timeout=verify.timeout_seconds,
                grace=grace,
                output=max_log_mb * MEGABYTE,
            )
        )

    def stop(self) -> None:
        """Have the command ended, or not even started. Does not wait."""
        self._command.stop()

    def run(self) -> Check:
        """Run the command in the worktree, and wait for the end of all that it started.

        One that is stopped, takes too long or prints too much fails. Raises TransientError where it
        cannot be started or was ended from outside.
        """
        if self._command.stopped:
            return STOPPED
        problem = _problem(self._command.run())
        said = tails.last_lines(self._log)[-TAIL_LINES:]
        return Check(ok=not problem, tail="\n".join([*said, f"({problem})"] if problem else said))


def _problem(exit: Exit) -> str:
    """Why the command did not pass, '' if it did."""
    if exit.reason is EndReason.STOPPED:
        return "stopped"
    if exit.reason is not EndReason.EXITED:
        return exit.message
    if exit.signal is not None:
        return f"ended by signal {exit.signal}"
    return f"exit code {exit.code}" if exit.code else ""
