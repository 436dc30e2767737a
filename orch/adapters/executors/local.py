"""Workers as processes of this machine, each under a launcher that outlives its coordinator."""

import contextlib
import hashlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from orch.adapters.executors import launcher, launching, portable, processes
from orch.adapters.executors.exits import ExitWatch
from orch.adapters.executors.limits import MEGABYTE
from orch.adapters.executors.orders import Orders
from orch.adapters.executors.verify import STOPPED, Verification, VerifyCommand
from orch.adapters.store import atomic, records
from orch.core.model import Claim, EndReason, Exit, Process, RunKey, Stall
from orch.core.names import is_task_id
from orch.core.state import Absent, Alive, Ended, Gone, Probe
from orch.core.values import dataclass
from orch.errors import OrchError, PermanentError, TransientError
from orch.ports import Check, Command

RESTART_FILES = ("run.json", "stdout.jsonl", "stderr.log")
"""The youngest of these tells when a worker was last seen before the machine restarted."""

REAP_SECONDS = 1.0
"""What a sweep does not find any more is over, or is about to be."""

_NOBODY = Process(pid=0, start_ticks=0, boot_id="", started_at=0.0)
"""Stands for a launcher that nothing is known of."""

_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What a worker may use. 0 means no limit, except for the grace."""

    timeout_seconds: float = 0.0
    """Wall clock, without the time that the machine slept."""
    stall_seconds: float = 0.0
    """Without output and without CPU time."""
    memory_mb: int = 0
    """Of the agent and everything that it started, together."""
    max_log_mb: int = 0
    """Of stdout.jsonl and stderr.log together."""
    linger_seconds: float = 0.0
    """Of silence after the last word of an agent that has one (`Command.last_words`)."""
    grace_seconds: float = 5.0
    """Between SIGTERM and SIGKILL."""


class LocalExecutor:
    """The Executor for this machine.

    Keep one for the life of a coordinator, also when the configuration is read again: it holds the
    launchers that it started, which nobody else can reap. `limits` and `verify` may be replaced at
    any time; a worker that runs keeps what it was started with.
    """

    def __init__(
        self,
        runs: Path,
        *,
        limits: WorkerLimits,
        wake: Callable[[str], None],
        verify: VerifyCommand | None = None,
    ) -> None:
        """`runs` is `.orch/runs`; `wake` gets a reason for the log, on another thread."""
        self.limits = limits
        self.verify = verify
        self._runs = runs.resolve()
        # Two projects on one machine both have a gh-1/1: their processes must not be confused.
        self._project = hashlib.sha256(os.fsencode(self._runs)).hexdigest()[:12]
        self._boot_id = processes.boot_id()
        self._exits = ExitWatch(wake)
        self._lock = threading.Lock()
        self._children: dict[RunKey, subprocess.Popen[bytes]] = {}
        self._known: dict[RunKey, Alive] = {}
        self._checks: dict[RunKey, Verification] = {}
        self._told_to_end: set[RunKey] = set()

    def run_id(self, run: RunKey) -> str:
        """ORCH_RUN_ID of a run: every process that the run starts has it in its environment."""
        return f"{self._project}-{run.task}-{run.attempt}"

    # --- the protocol ------------------------------------------------------------------------------

    def start(self, run: RunKey, command: Command, worktree: Path, prompt: str) -> None:
        """Write prompt.md and start a worker. A run that was ever started starts nothing.

        Returns when run.json is there. Raises TransientError where the launcher cannot be started
        (with its last words), PermanentError for a command that no system could start.
        """
        directory = self._directory(run)
        if self._child(run) is not None or os.path.lexists(directory / "run.json"):
            return
        if run.attempt > 1:
            # Where orch was killed in between, what verified the attempt before may not be over yet.
            self.sweep(RunKey(run.task, run.attempt - 1))
        orders = self._orders(run, command, directory, worktree)
        environment = self._environment(run, command)
        atomic.write(directory / "prompt.md", prompt.encode("utf-8", "replace"))
        try:
            child, ready = launching.launch(orders, environment, directory)
        except OSError as error:
            raise TransientError(f"cannot start a launcher for {run}: {error}") from error
        with self._lock:
            self._children[run] = child
        if launching.has_started(ready):
            return
        status = child.wait()
        self._child(run)
        # One that lost the race for run.json may have been ended with the run that won it.
        if status != launcher.TAKEN and not os.path.lexists(directory / "run.json"):
            words = launching.last_words(directory)
            raise TransientError(f"the launcher of {run} ended with {status} and started nothing: {words}")

    def probe(self, run: RunKey) -> Probe:
        """How it stands with a run. A launcher of ours that is over is reaped here.

        Raises TransientError where it cannot be known: a file that is damaged or cannot be read, no
        file handles left.
        """
        directory = self._directory(run)
        try:
            known = self._known.get(run)
            if known is not None:
                if self._lives(run, known.process):
                    stall = _stall(directory)
                    if stall != known.stall:
                        known = self._known[run] = Alive(known.process, stall)
                    return known
                self._known.pop(run, None)
            return self._read(run, directory, known.process if known else _NOBODY)
        except OSError as error:
            raise TransientError(f"cannot look at {run}: {error}") from error

    def end(self, run: RunKey) -> None:
        """Have the worker's tree or the verify command ended: SIGTERM, the grace, SIGKILL. Does not wait.

        The run is not verified any more; without a launcher nothing else happens. Raises TransientError
        where it cannot be known whether there is one.
        """
        directory = self._directory(run)
        with self._lock:
            # A check may still wait for its turn: then it must not begin.
            self._told_to_end.add(run)
            verification = self._checks.get(run)
        if verification is not None:
            verification.stop()
            return
        known = self._known.get(run)
        process = known.process if known else _record(directory / "run.json", Process)
        try:
            if process is not None and process.pid and self._lives(run, process):
                _terminate(process)
            elif process is None and (child := self._child(run)) is not None:
                child.terminate()  # it is on its way
        except OSError as error:
            raise TransientError(f"cannot end {run}: {error}") from error

    def sweep(self, run: RunKey) -> None:
        """End every process that carries the run's id, and wait until they are gone.

        Never this process and those that it comes from: an agent may have started orch itself.
        Raises TransientError with the pids of those that cannot be ended.
        """
        self._directory(run)
        try:
            left = portable.sweep(self.run_id(run), self.limits.grace_seconds)
        except OSError as error:
            raise TransientError(f"cannot sweep {run}: {error}") from error
        self._reap(run)
        if left:
            pids = ", ".join(map(str, left))
            raise TransientError(f"processes of {run} cannot be ended: {pids}", hint="look at them with ps")

    def check(self, run: RunKey, worktree: Path) -> Check:
        """Run the verify command in the worktree; verify.log gets what it prints.

        It is ok where none is configured, and fails where the run was told to end. It ends with this
        process. Raises TransientError where it cannot be started or was ended from outside.
        """
        directory = self._directory(run)
        if self.verify is None:
            return Check(ok=True)
        verification = Verification(
            self.verify,
            worktree=worktree,
            log=directory / "verify.log",
            run_id=self.run_id(run),
            grace=self.limits.grace_seconds,
            max_log_mb=self.limits.max_log_mb,
        )
        with self._lock:
            if run in self._told_to_end:
                return STOPPED
            self._checks[run] = verification
        try:
            # That of a coordinator that was killed may not be over yet, and two must not be in one
            # worktree.
            self.sweep(run)
            return verification.run()
        finally:
            with self._lock:
                del self._checks[run]
            self.sweep(run)

    # --- what there is -----------------------------------------------------------------------------

    def _directory(self, run: RunKey) -> Path:
        if not is_task_id(run.task) or run.attempt < 1:
            raise PermanentError(f"{run.task!r}/{run.attempt} is not the name of a run")
        return self._runs / str(run)

    def _child(self, run: RunKey) -> subprocess.Popen[bytes] | None:
        """The launcher of a run that this process started, while it lives. Reaps it when it is over."""
        with self._lock:
            child = self._children.get(run)
            if child is not None and child.poll() is not None:
                del self._children[run]
                return None
            return child

    def _reap(self, run: RunKey) -> None:
        """Collect a launcher of ours that a sweep found over: nobody may ever probe it again."""
        with self._lock:
            child = self._children.get(run)
        if child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(REAP_SECONDS)
            self._child(run)

    def _lives(self, run: RunKey, process: Process) -> bool:
        child = self._child(run)
        if child is not None and child.pid == process.pid:
            return True
        return process.boot_id == self._boot_id and portable.lives(process)

    def _read(self, run: RunKey, directory: Path, last: Process) -> Probe:
        """How it stands with a run by its files. `last` is the process that was last seen.

        Whether the launcher lives is asked before exit.json is read: a launcher that is over writes
        none any more.
        """
        try:
            process = _record(directory / "run.json", Process)
        except TransientError:
            exit = _record(directory / "exit.json", Exit)
            if exit is None:
                raise
            return Ended(exit)
        if process is None:
            if directory.is_dir():
                return Absent()
            if not self._runs.is_dir():
                raise TransientError(f"{self._runs} is not there", hint="is its disk mounted?")
            # Somebody removed just this one, and the fence with it: it must not be started again.
            return Gone(last)
        if process.pid == 0:  # the coordinator's own fence
            return Ended(Exit(EndReason.STOPPED, ended_at=process.started_at, message="it was never started"))
        if self._lives(run, process):
            alive = Alive(process, _stall(directory))
            with contextlib.suppress(OSError):  # no file handles to be told with: the next probe tries
                self._exits.watch(f"the worker of {run} ended", process.pid, lambda: portable.lives(process))
                if process.agent_pid:  # else run.json is about to be replaced
                    self._known[run] = alive
            return alive
        exit = _record(directory / "exit.json", Exit)
        if exit is not None:
            return Ended(exit, process)
        if process.boot_id != self._boot_id:
            message = "the machine restarted"
            return Ended(
                Exit(EndReason.INTERRUPTED, ended_at=_last_sign(directory), message=message), process
            )
        return Gone(process)

    # --- starting ----------------------------------------------------------------------------------

    def _orders(self, run: RunKey, command: Command, directory: Path, worktree: Path) -> bytes:
        if not command.argv:
            raise PermanentError(f"the command of {run} is empty", hint="set it in config.toml")
        claim = _record(directory / "claim.json", Claim)
        limits = self.limits
        orders = Orders(
            directory=str(directory),
            worktree=str(worktree.absolute()),
            argv=command.argv,
            agent=claim.agent if claim else "",
            session_id=command.session_id,
            locale=command.env.get("LC_CTYPE"),
            timeout=limits.timeout_seconds,
            stall=limits.stall_seconds,
            grace=limits.grace_seconds,
            memory=limits.memory_mb * MEGABYTE,
            output=limits.max_log_mb * MEGABYTE,
            linger=limits.linger_seconds,
            last_words=sorted(command.last_words),
        )
        try:
            return orders.encode()
        except ValueError as error:
            raise PermanentError(f"the command of {run} cannot be started: {error}") from error

    def _environment(self, run: RunKey, command: Command) -> dict[str, str]:
        for name, value in command.env.items():
            if not name or "=" in name or "\0" in name + value:
                raise PermanentError(
                    f"{name!r} cannot be in the environment of {run}: no '=' in a name, no zero byte",
                    hint="look at `env` in config.toml",
                )
        return {**command.env, processes.MARK: self.run_id(run)}


def _terminate(process: Process) -> None:
    """Tell a launcher to end its tree, also one that a person has stopped (kill -STOP)."""
    if process.start_ticks:
        processes.send(process.pid, process.start_ticks, signal.SIGTERM, signal.SIGCONT)
    else:
        os.kill(process.pid, signal.SIGTERM)


def _record(path: Path, kind: type[_Record]) -> _Record | None:
    """A file of the run, None where there is none. Damaged is not dead: raises TransientError."""
    try:
        return records.read(path, kind)
    except records.DamagedError as error:
        raise TransientError(error.message, hint=error.hint) from error


def _stall(directory: Path) -> Stall | None:
    """What the launcher says of a worker that does nothing. It is a warning: what is wrong with it is not."""
    try:
        return records.read(directory / "stall.json", Stall)
    except OrchError:
        return None


def _last_sign(directory: Path) -> float:
    """When a worker that left no exit.json was last seen, seconds since the epoch."""
    files = (directory / name for name in RESTART_FILES)
    return max((file.stat().st_mtime for file in files if file.exists()), default=0.0)
