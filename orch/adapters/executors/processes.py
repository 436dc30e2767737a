"""Processes of this machine, named so that none is ever taken for another.

A process is its pid *and* the clock ticks since boot at which it started (field 22 of
/proc/PID/stat): pids are given again, and a clock that is set moves every other kind of start time.

The launcher imports this too, so there is only the standard library here, and of that only what
costs next to nothing. `signal`, for one, brings `enum`: 5 ms and 0.8 MB; `_signal` is its C half.

Without /proc (macOS) nothing is found here: the launcher then ends the agent's process group only,
and LocalExecutor asks psutil instead.
"""

# pathlib would cost each launcher time and memory.
# ruff: noqa: PTH110, PTH208

import errno
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Collection, Sequence
    from typing import Protocol

    class Member(Protocol):
        """A process that can be ended."""

        pid: int

        def send(self, *numbers: int) -> bool:
            """Signal it if it is still there; says whether it was."""

else:
    import _signal as signal

MARK = "ORCH_RUN_ID"
"""The environment variable by which every process of a run can be found."""

KILL_SECONDS = 10.0
"""SIGKILL works at once but for a process that waits in the kernel (state D): it gets this long."""

PAUSE_SECONDS = 0.05
"""Between two looks at a tree that is ending: nothing tells of the death of a grandchild."""

HAS_PROC = os.path.exists("/proc/self/stat")

_HAS_CHILDREN = os.path.exists("/proc/thread-self/children")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER in <linux/prctl.h>


class Stat:
    """One reading of /proc/PID/stat."""

    __slots__ = ("cpu_seconds", "dead", "parent", "pid", "rss_bytes", "start_ticks")

    def __init__(self, pid: int, line: bytes) -> None:
        # The second field is the program's name in brackets and may hold spaces and brackets
        # itself. What follows the last bracket starts with field 3.
        fields = line[line.rindex(b")") + 2 :].split()
        self.pid = pid
        self.dead = fields[0] in {b"Z", b"X"}
        """A zombie: over, but not yet waited for."""
        self.parent = int(fields[1])
        self.cpu_seconds = sum(map(int, fields[11:15])) / _TICKS_PER_SECOND
        """Its own and that of the children that it waited for."""
        self.start_ticks = int(fields[19])
        self.rss_bytes = int(fields[21]) * _PAGE_BYTES

    def send(self, *numbers: int) -> bool:
        """Signal it, see `send`."""
        return send(self.pid, self.start_ticks, *numbers)


def read(path: str) -> "bytes | None":
    """A whole file of /proc, None where its process is gone.

    Raises OSError for anything else (no file handles left, no permission): that is not a death.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        return None
    parts = []
    try:
        while part := os.read(descriptor, 65536):
            parts.append(part)
    except ProcessLookupError:
        return None
    finally:
        os.close(descriptor)
    return b"".join(parts)


def look(pid: int) -> "Stat | None":
    """The process with this pid, None where there is none. A zombie is still there."""
    line = read(f"/proc/{pid}/stat")
    return Stat(pid, line) if line else None


def is_alive(pid: int, start_ticks: int) -> bool:
    """Whether this very process still runs. Raises OSError where that cannot be known."""
    found = look(pid)
    return found is not None and found.start_ticks == start_ticks and not found.dead


def boot_id() -> str:
    """The name of this run of the machine, '' where the system has none (macOS)."""
    return (read("/proc/sys/kernel/random/boot_id") or b"").decode().strip()


def pids() -> "list[int]":
    """Every process of this machine."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()] if HAS_PROC else []


def descendants(root: int) -> "list[Stat]":
    """Children of `root`, their children and so on, zombies included.

    Complete where `root` is a subreaper: an orphan comes to it instead of leaving the tree.
    """
    found = []
    parents = [root]
    for parent in parents:  # which grows as it is walked
        for pid in _children(parent):
            stat = _look_at_ours(pid)
            # Another parent by now: it ended and its pid was given again, or it was orphaned, and
            # the next look finds it where it belongs.
            if stat is not None and stat.parent == parent:
                found.append(stat)
                parents.append(pid)
    return found


def marked(value: str, without: "Collection[int]" = (), *, name: str = MARK) -> "list[Stat]":
    """Processes whose environment says `name`=`value` (ORCH_RUN_ID), except the pids `without`.

    A process that belongs to someone else cannot be read and is not one of ours.
    """
    mark = b"\0" + os.fsencode(f"{name}={value}") + b"\0"
    found = []
    for pid in pids():
        if pid in without or not _is_marked(pid, mark):
            continue
        stat = _look_at_ours(pid)
        # Looked at again, so that the start ticks are those of a process that carries the mark
        # even if the pid was given again in between.
        if stat is not None and not stat.dead and _is_marked(pid, mark):
            found.append(stat)
    return found


def ancestors(pid: int) -> "frozenset[int]":
    """The process itself and those that it comes from: who ends these ends itself."""
    line = {pid}
    while (stat := _look_at_ours(pid)) is not None and stat.parent > 0:
        pid = stat.parent
        line.add(pid)
    return frozenset(line)


def send(pid: int, start_ticks: int, *numbers: int) -> bool:
    """Signal this very process; says whether it was there and could be signalled.

    Raises OSError where that cannot be known (no file handles left).
    """
    try:
        descriptor = _hold(pid)
        try:
            # The handle stands for one process for good. If it is still alive when the signal goes
            # out, then it was the one that is_alive looked at.
            if not is_alive(pid, start_ticks):
                return False
            for number in numbers:
                if descriptor is None:
                    os.kill(pid, number)
                else:
                    signal.pidfd_send_signal(descriptor, number)
        finally:
            if descriptor is not None:
                os.close(descriptor)
    except (ProcessLookupError, PermissionError):  # gone, or become another user's by setuid
        return False
    return True


def end(
    find: "Callable[[], Sequence[Member]]",
    grace: float,
    pause: "Callable[[float], object]" = time.sleep,
    patience: float = KILL_SECONDS,
) -> "Sequence[Member]":
    """End what `find` gives: SIGTERM, `grace` seconds, then SIGKILL until it gives nothing more.

    `pause` waits for the seconds that it gets, or less. Gives what is still alive in the end: only
    processes that hang in the kernel. Takes no longer than `grace` + `patience` seconds; raises
    the OSError of `find` if that could not look even then.
    """
    started = time.monotonic()
    members: Sequence[Member] = ()
    told: set[int] = set()
    while True:
        elapsed = time.monotonic() - started
        over = elapsed > grace + patience
        try:
            members = find()
        except OSError:  # could not look, which does not mean that nothing is there
            if over:
                raise
        else:
            if over or not members:
                return members
        for member in members:
            # A stopped process can only end itself if it goes on.
            numbers = (signal.SIGTERM, signal.SIGCONT) if member.pid not in told else ()
            told.add(member.pid)
            _try(member, *numbers, *((signal.SIGKILL,) if elapsed >= grace else ()))
        pause(min(PAUSE_SECONDS, grace - elapsed) if elapsed < grace else PAUSE_SECONDS)


def adopt_orphans() -> bool:
    """Become a subreaper: an orphaned descendant becomes a child of this process, not of init.

    Says whether it worked; False on systems that have no such thing (macOS).
    """
    # `ctypes` takes 4 ms and 0.5 MB, its C half a fifth of that.
    try:
        import _ctypes

        # None, the program itself, is not in the stubs: ctypes.CDLL(None) does the same.
        prctl = _ctypes.dlsym(_ctypes.dlopen(None), "prctl")  # type: ignore[arg-type]
        return bool(_ctypes.call_function(prctl, (_SUBREAPER, 1, 0, 0, 0)) == 0)
    except (ImportError, AttributeError, OSError, TypeError):
        return False


def pss_bytes(pid: int) -> "int | None":
    """Memory of a process, each shared page counted in equal parts by those that share it.

    None where it cannot be read. Takes the kernel milliseconds for a big process.
    """
    try:
        lines = (read(f"/proc/{pid}/smaps_rollup") or b"").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return None


def _look_at_ours(pid: int) -> "Stat | None":
    try:
        return look(pid)
    except PermissionError:  # someone else's, and /proc is mounted with hidepid
        return None


def _children(parent: int, *, listed: bool = _HAS_CHILDREN) -> "list[int]":
    if not listed:  # a kernel without CONFIG_PROC_CHILDREN
        return [pid for pid in pids() if (stat := _look_at_ours(pid)) is not None and stat.parent == parent]
    try:
        threads = os.listdir(f"/proc/{parent}/task")
    except (FileNotFoundError, ProcessLookupError):
        return []
    lists = (read(f"/proc/{parent}/task/{thread}/children") or b"" for thread in threads)
    return [int(pid) for one in lists for pid in one.split()]


def _is_marked(pid: int, mark: bytes) -> bool:
    try:
        environment = read(f"/proc/{pid}/environ")
    except PermissionError:
        return False
    return environment is not None and mark in b"\0" + environment + b"\0"


def _hold(pid: int) -> "int | None":
    """A handle of the process, None on a system that has none. Raises ProcessLookupError."""
    try:
        return os.pidfd_open(pid)
    except AttributeError:
        return None
    except OSError as error:
        if error.errno in {errno.EPERM, errno.ENOSYS}:  # a sandbox, an old kernel
            return None
        raise


def _try(member: "Member", *numbers: int) -> None:
    try:
        member.send(*numbers)
    except OSError:  # could not look: `end` comes round again
        return
