"""An Executor in memory: its workers run until the test says how they end."""

import threading
from collections.abc import Callable, MutableMapping
from pathlib import Path

from orch.core.model import EndReason, Exit, Process, RunKey
from orch.core.names import is_task_id
from orch.core.state import Absent, Alive, Ended, Gone, Probe
from orch.errors import OrchError, PermanentError, TransientError
from orch.ports import Check, Command

BOOT_ID = "the-first-boot"
PATIENCE = 60.0
"""Seconds after which a check that nobody stops fails, so that a test does not hang."""


class FakeExecutor:
    """The Executor of a test.

    `processes` stands for the run.json of each run; a FakeRunStore with the same dictionary fences
    runs with a pid 0 there. The test ends workers with `finish` and `lose`, restarts the machine
    with `reboot`, and lets the next call of a method fail with `fail`.
    """

    def __init__(
        self,
        processes: MutableMapping[RunKey, Process] | None = None,
        *,
        wake: Callable[[str], None] | None = None,
    ) -> None:
        self.processes: MutableMapping[RunKey, Process] = {} if processes is None else processes
        self.exits: dict[RunKey, Exit] = {}
        self.started: list[RunKey] = []
        """Every worker that was really started, in order."""
        self.commands: dict[RunKey, Command] = {}
        self.worktrees: dict[RunKey, Path] = {}
        self.prompts: dict[RunKey, str] = {}
        self.ended: list[RunKey] = []
        self.swept: list[RunKey] = []
        self.leftovers: set[RunKey] = set()
        """Lost runs that still have processes until they are swept."""
        self.checked: list[RunKey] = []
        self.check_result = Check(ok=True)
        self.checks_wait = False
        """The verify command takes for ever: `check` returns when another thread calls `end`."""
        self._told_to_end: dict[RunKey, threading.Event] = {}
        self.obedient = True
        """A worker that is told to end ends at once; else the test has to `finish` it."""
        self.boot_id = BOOT_ID
        self._lost: set[RunKey] = set()
        self._errors: dict[str, list[OrchError]] = {}
        self._wake = wake or (lambda _: None)

    # --- what a test says ------------------------------------------------------------------------

    def finish(self, run: RunKey, exit: Exit | None = None) -> None:
        """Let a live worker end: exit.json is there from now on."""
        assert self._lives(run), f"{run} does not live"
        self.exits[run] = exit or Exit(EndReason.EXITED, code=0)
        self._wake(f"the worker of {run} ended")

    def lose(self, run: RunKey) -> None:
        """Kill a launcher: its worker goes on, and nobody watches it."""
        assert self._lives(run), f"{run} does not live"
        self._lost.add(run)
        self.leftovers.add(run)
        self._wake(f"the worker of {run} ended")

    def reboot(self) -> None:
        """Restart the machine: nothing lives any more."""
        self.boot_id += "-and-another"
        self.leftovers.clear()

    def fail(self, method: str, *errors: OrchError) -> None:
        """Let the next calls of `start`, `probe`, `end`, `sweep` or `check` raise these, in order."""
        self._errors.setdefault(method, []).extend(errors or [TransientError(f"{method} failed")])

    @property
    def live(self) -> list[RunKey]:
        """The runs whose launcher lives."""
        # A copy: a start on another thread adds to them.
        return [run for run in tuple(self.processes) if self._lives(run)]

    # --- the protocol ----------------------------------------------------------------------------

    def start(self, run: RunKey, command: Command, worktree: Path, prompt: str) -> None:
        self._enter("start", run)
        if not command.argv:
            raise PermanentError(f"the command of {run} is empty")
        if run in self.processes:
            return
        number = len(self.started) + 1
        self.started.append(run)
        self.commands[run] = command
        self.worktrees[run] = worktree
        self.prompts[run] = prompt
        self.processes[run] = Process(
            pid=1000 + number,
            start_ticks=number,
            boot_id=self.boot_id,
            started_at=float(number),
            argv=command.argv,
            session_id=command.session_id,
            agent_pid=2000 + number,
        )

    def probe(self, run: RunKey) -> Probe:
        self._enter("probe", run)
        process = self.processes.get(run)
        if process is None:
            return Absent()
        if process.pid == 0:
            return Ended(Exit(EndReason.STOPPED, ended_at=process.started_at, message="it was never started"))
        if run in self.exits:
            return Ended(self.exits[run], process)
        if process.boot_id != self.boot_id:
            return Ended(Exit(EndReason.INTERRUPTED, message="the machine restarted"), process)
        return Gone(process) if run in self._lost else Alive(process)

    def end(self, run: RunKey) -> None:
        self._enter("end", run)
        self._told(run).set()
        if self._lives(run):
            self.ended.append(run)
            if self.obedient:
                self.finish(run, Exit(EndReason.STOPPED, signal=15))

    def sweep(self, run: RunKey) -> None:
        self._enter("sweep", run)
        self.swept.append(run)
        self.leftovers.discard(run)

    def check(self, run: RunKey, worktree: Path) -> Check:
        self._enter("check", run)
        self.checked.append(run)
        told = self._told(run)
        if self.checks_wait:
            assert told.wait(PATIENCE), f"nobody ends the check of {run}"
        return Check(ok=False, tail="(stopped)") if told.is_set() else self.check_result

    def _told(self, run: RunKey) -> threading.Event:
        """Set once the run was told to end: it is not verified any more."""
        return self._told_to_end.setdefault(run, threading.Event())

    def _enter(self, method: str, run: RunKey) -> None:
        if not is_task_id(run.task) or run.attempt < 1:
            raise PermanentError(f"{run.task!r}/{run.attempt} is not the name of a run")
        if self._errors.get(method):
            raise self._errors[method].pop(0)

    def _lives(self, run: RunKey) -> bool:
        process = self.processes.get(run)
        return (
            process is not None
            and process.pid > 0
            and process.boot_id == self.boot_id
            and run not in self.exits
            and run not in self._lost
        )
