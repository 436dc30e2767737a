"""One process, as launcher and guard have it: started, waited for, ended with all that it started.

Standard library only, see processes.py.
"""

import os
import resource
import select
import sys
import time

from orch.adapters.executors import processes, run_files
from orch.adapters.executors.limits import Limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping, Sequence
else:
    import _signal as signal

LEFTOVER_GRACE_SECONDS = 1.0
"""What is left running of a process that ended gets this long between SIGTERM and SIGKILL at most."""

MESSAGE_LENGTH = 500
"""Characters of the message in exit.json: it has to fit into the space that is kept for the file."""


class Signals:
    """Waits for signals and for nothing else: CPython's own handler puts each into a pipe.

    (`sigtimedwait` would do the same on Linux only.)
    """

    def __init__(self, control: "int | None" = None) -> None:
        """From now on no signal that can be caught ends this process.

        The end of the pipe `control` counts as SIGTERM: whoever holds its other end has closed it, or
        is dead.
        """
        self.stop = False
        """The process is to be ended."""
        self.alone = False
        """The other end of the pipe is closed."""
        self._control = control
        self._reader, writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._stopping = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
        others = {signal.SIGCHLD, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
        for number in self._stopping | others:
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])

    def wait(self, seconds: "float | None") -> None:
        """Return at the next signal, or after `seconds`. One that came before counts too."""
        files = [self._reader] if self._control is None else [self._reader, self._control]
        ready = select.select(files, [], [], seconds)[0]
        if self._reader in ready:
            self.stop = self.stop or not self._stopping.isdisjoint(os.read(self._reader, 4096))
        if self._control in ready:
            self._control = None  # it would be ready for ever
            self.stop = self.alone = True


class Worker:
    """A process and everything that it started."""

    def __init__(self, mark: str, signals: Signals, *, name: str = processes.MARK) -> None:
        """Starts nothing yet. All that is started has the variable `name` with the value `mark`."""
        self.pid = 0
        """Of the process itself, 0 until it is started."""
        self.status: int | None = None
        """Its wait status, once it is over."""
        self._mark = mark
        self._name = name
        self._signals = signals

    def again(self, signals: Signals) -> "Worker":
        """The same, not yet started, for another process."""
        return Worker(self._mark, signals, name=self._name)

    def spawn(
        self, argv: "tuple[str, ...]", environment: "Mapping[bytes, bytes]", files: "Sequence[int]"
    ) -> None:
        """Start the process in the current folder, with `files` as its 0, 1, 2. Raises OSError."""
        try:
            self.pid = os.posix_spawnp(
                argv[0],
                argv,
                environment,
                file_actions=[(os.POSIX_SPAWN_DUP2, file, to) for to, file in enumerate(files)],
                setpgroup=0,
                setsigmask=[],
                # SIGPIPE and SIGXFSZ, which Python ignores, and whatever the coordinator was
                # started with, nohup for example.
                setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
            )
        except OSError as error:
            raise OSError(f"cannot start {argv[0]!r}: {error.strerror}") from error

    def watch(self, limits: Limits) -> "tuple[str, str]":
        """Wait until the process is over or has to be ended; gives (EndReason, message)."""
        while True:
            self.reap()
            if self.status is not None:
                return "exited", ""
            if self._signals.stop:
                return "stopped", ""
            try:
                exceeded = limits.exceeded(time.monotonic())
            except OSError:  # could not look this time
                exceeded = None
            if exceeded is not None:
                return exceeded
            self._signals.wait(limits.seconds_left(time.monotonic()))

    def end(self, grace: float) -> str:
        """End everything that the process started, itself included; gives what did not work."""
        if not processes.HAS_PROC:
            # macOS: its process group is all that can be found.
            self._end_group(grace)
            return ""
        try:
            left = processes.end(self._living, grace, self._pause)
        except OSError as error:
            return f"cannot look for its processes: {error.strerror}"
        pids = ", ".join(str(member.pid) for member in left)
        return f"these processes cannot be ended: {pids}" if pids else ""

    def reap(self) -> None:
        """Collect every child that is over.

        Here, and only here, waiting for any child is right: launcher and guard have no children but
        the one process and, as the subreaper, its orphaned descendants.
        """
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self.pid:
                    self.status = ended[1]
        except ChildProcessError:
            return

    def _living(self) -> "list[processes.Stat]":
        """The living descendants, and where there are none whatever else carries the mark.

        The second takes a look at every process of the machine, and finds something only where this
        process could not become a subreaper.
        """
        me = os.getpid()
        tree = [stat for stat in processes.descendants(me) if not stat.dead]
        return tree or processes.marked(self._mark, without={me}, name=self._name)

    def _pause(self, seconds: float) -> None:
        self._signals.wait(seconds)
        self.reap()

    def _end_group(self, grace: float) -> None:
        limit = time.monotonic() + grace
        try:
            os.killpg(self.pid, signal.SIGTERM)
            while (left := limit - time.monotonic()) > 0:
                self._pause(min(left, processes.PAUSE_SECONDS))
                os.killpg(self.pid, 0)
            os.killpg(self.pid, signal.SIGKILL)
            self._pause(processes.PAUSE_SECONDS)
        except (ProcessLookupError, PermissionError):  # nobody left; macOS says EPERM for zombies
            self.reap()


def supervise(
    worker: Worker, limits: Limits, start: "Callable[[], None]", *, grace: float, output: int
) -> "dict[str, object]":
    """From the start of a process to the end of the last one that it started; gives what exit.json says.

    `start` starts it, and raises OSError with a message for a person. `grace` is in seconds; of one
    that printed too much, what is over `output` bytes is cut off.
    """
    try:
        start()
    except OSError as error:
        reason, message = "spawn", str(error)
    else:
        reason, message = worker.watch(limits)
        patience = min(grace, LEFTOVER_GRACE_SECONDS) if reason == "exited" else grace
        message = "; ".join(filter(None, (message, worker.end(patience))))
        worker.reap()
    limits.clear()
    if reason == "output":
        for path in limits.files:
            run_files.cut(path, output)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    # In kilobytes on Linux, in bytes on macOS; of the largest single process.
    largest = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    status = worker.status
    return {
        "version": run_files.VERSION,
        "reason": reason,
        "code": os.WEXITSTATUS(status) if status is not None and os.WIFEXITED(status) else None,
        "signal": os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None,
        "ended_at": time.time(),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 3),
        "peak_rss_bytes": max(limits.peak_bytes, largest if worker.pid else 0),
        "message": message[:MESSAGE_LENGTH],
    }
