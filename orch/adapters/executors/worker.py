"""The agent's process, as the launcher has it: started, waited for, ended with all that it started.

Standard library only, see processes.py.
"""

import os
import select
import time

from orch.adapters.executors import processes
from orch.adapters.executors.limits import Limits
from orch.adapters.executors.orders import Orders

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal


class Signals:
    """Waits for signals and for nothing else: CPython's own handler puts each into a pipe.

    (`sigtimedwait` would do the same on Linux only.)
    """

    def __init__(self) -> None:
        """From now on no signal that can be caught ends this process."""
        self.stop = False
        """The agent is to be ended."""
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
        if select.select([self._reader], [], [], seconds)[0]:
            self.stop = self.stop or not self._stopping.isdisjoint(os.read(self._reader, 4096))


class Worker:
    """The agent's process and everything that it started."""

    def __init__(self, orders: Orders, run_id: str, signals: Signals) -> None:
        """Starts nothing yet."""
        self.pid = 0
        """The agent's, 0 until it is started."""
        self.status: int | None = None
        """The agent's wait status, once it is over."""
        self._orders = orders
        self._run_id = run_id
        self._signals = signals

    def start(self) -> None:
        """Start the agent. Raises OSError with a message for a person."""
        orders = self._orders
        environment = dict(os.environb)
        environment.pop(b"LC_CTYPE", None)
        if orders.locale is not None:
            environment[b"LC_CTYPE"] = os.fsencode(orders.locale)
        files: list[int] = []
        try:
            for name, flags in (
                ("prompt.md", os.O_RDONLY),
                ("stdout.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT),
                ("stderr.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT),
            ):
                path = f"{orders.directory}/{name}"
                files.append(os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
            os.chdir(orders.worktree)
            try:
                self.pid = os.posix_spawnp(
                    orders.argv[0],
                    orders.argv,
                    environment,
                    file_actions=[(os.POSIX_SPAWN_DUP2, file, to) for to, file in enumerate(files)],
                    setpgroup=0,
                    setsigmask=[],
                    # SIGPIPE and SIGXFSZ, which Python ignores, and whatever the coordinator was
                    # started with, nohup for example.
                    setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
                )
            except OSError as error:
                raise OSError(f"cannot start {orders.argv[0]!r}: {error.strerror}") from error
        except OSError as error:
            if error.filename is not None:
                raise OSError(f"cannot open {error.filename}: {error.strerror}") from error
            raise
        finally:
            for file in files:
                os.close(file)
            os.chdir("/")

    def watch(self, limits: Limits) -> "tuple[str, str]":
        """Wait until the agent is over or has to be ended; gives (EndReason, message)."""
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
        """End everything that the agent started, itself included; gives what did not work."""
        if not processes.HAS_PROC:
            # macOS: the agent's process group is all that can be found.
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

        Here, and only here, waiting for any child is right: the launcher has no children but the
        agent and, as the subreaper, its orphaned descendants.
        """
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self.pid:
                    self.status = ended[1]
        except ChildProcessError:
            return

    def _living(self) -> "list[processes.Stat]":
        """The living descendants, and where there are none whatever else carries the run's id.

        The second takes a look at every process of the machine, and finds something only where this
        process could not become a subreaper.
        """
        me = os.getpid()
        tree = [stat for stat in processes.descendants(me) if not stat.dead]
        return tree or processes.marked(self._run_id, without={me})

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
