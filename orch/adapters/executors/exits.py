"""Tells of the end of processes that are not our children, and for which no SIGCHLD comes."""

import contextlib
import errno
import os
import selectors
import threading
from collections import deque
from collections.abc import Callable

from orch.core.values import dataclass
from orch.threads import start_thread

POLL_SECONDS = 1.0
"""Between two looks where the system has no pidfd (macOS, Linux before 5.3, some sandboxes)."""


@dataclass(frozen=True)
class _Watched:
    name: str
    pid: int
    lives: Callable[[], bool]


class ExitWatch:
    """Watches processes on one daemon thread, which starts with the first of them."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        """`tell` gets the name of a process that is over, on the other thread."""
        self._tell = tell
        self._lock = threading.Lock()
        self._names: set[str] = set()
        self._new: deque[_Watched] = deque()
        self._kick = -1
        self._selector: selectors.BaseSelector | None = None

    def watch(self, name: str, pid: int, lives: Callable[[], bool]) -> None:
        """Tell once when this process is over. `name` that is being watched is not watched again.

        `lives` says whether the pid still is the process that is meant. Raises OSError where there
        are no file handles left for the thread, or no thread.
        """
        with self._lock:
            if name in self._names:
                return
            if self._selector is None:
                self._start()
            self._names.add(name)
            self._new.append(_Watched(name, pid, lives))
            with contextlib.suppress(BlockingIOError):  # full of kicks that are not yet felt
                os.write(self._kick, b"+")

    def _start(self) -> None:
        with contextlib.ExitStack() as undo:
            selector = undo.enter_context(selectors.DefaultSelector())
            reader, kick = os.pipe()
            for end in (reader, kick):
                undo.callback(os.close, end)
                os.set_blocking(end, False)
            selector.register(reader, selectors.EVENT_READ)
            if not start_thread("exits", self._run, selector):
                raise BlockingIOError(errno.EAGAIN, "no thread to be had")
            undo.pop_all()
        self._selector, self._kick = selector, kick

    def _run(self, selector: selectors.BaseSelector) -> None:
        polled: list[_Watched] = []
        while True:
            for key, _ in selector.select(POLL_SECONDS if polled else None):
                if key.data is None:
                    os.read(key.fd, 4096)
                    continue
                selector.unregister(key.fd)
                os.close(key.fd)
                self._over(key.data)
            while self._new:
                watched = self._new.popleft()
                try:
                    handle = os.pidfd_open(watched.pid)
                except (OSError, AttributeError):
                    # Over already, or there is no such handle: looking tells.
                    polled.append(watched)
                else:
                    selector.register(handle, selectors.EVENT_READ, watched)
                    if not _lives(watched):  # its pid was given again before we had the handle
                        selector.unregister(handle)
                        os.close(handle)
                        self._over(watched)
            for watched in [one for one in polled if not _lives(one)]:
                polled.remove(watched)
                self._over(watched)

    def _over(self, watched: _Watched) -> None:
        with self._lock:
            self._names.discard(watched.name)
        self._tell(watched.name)


def _lives(watched: _Watched) -> bool:
    try:
        return watched.lives()
    except OSError:  # could not look this time
        return True
