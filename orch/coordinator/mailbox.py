"""The one place where the coordinator waits: for signals, saved files, results and time."""

import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Collection
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from orch.coordinator.watcher import POLL_SECONDS, Watcher, best_watcher
from orch.core.state import Look, Signalled, Wake

SIGNALS = (signal.SIGCHLD, signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
"""What the coordinator listens to (design section 4)."""

COUNTED = tuple(number for number in SIGNALS if number != signal.SIGCHLD)
"""These are wakes of their own, each time that they come."""

CHILD_SECONDS = 0.05
"""SIGCHLD comes for each git as well, and what ended is mostly told by a result or by the executor, at once:
alone it waits this long for another wake, so that a turn is not taken for each git."""

REST_SECONDS = 0.05
"""While nobody waits, signals are heard this often: the bell holds some hundred of them."""

_POSTED = b"\0"
"""A byte that is no signal number: something lies in the queue."""


class Mailbox:
    """Collects wakes from anywhere and hands them to the one thread that waits."""

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        for end in (self._receiver, self._sender):
            end.setblocking(False)  # noqa: FBT003 - the standard library names it so
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._receiver, selectors.EVENT_READ)
        self._posted: deque[Wake] = deque()
        self._byte = bytearray(1)
        self._heard = bytearray(256)
        """How often each signal came that was not given to anybody yet; of no signal more than 255 count."""
        self._watcher: Watcher | None = None
        self._handlers: dict[signal.Signals, object] = {}
        self._previous_fd = -1
        self._closed = False

    def __enter__(self) -> Self:
        """Install the signal handlers. Call it from the main thread."""
        # Handlers do nothing; the byte that the interpreter writes is the message.
        for number in SIGNALS:
            self._handlers[number] = signal.signal(number, _ignore)
        self._previous_fd = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the handlers back and close everything."""
        signal.set_wakeup_fd(self._previous_fd)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self.close()

    def close(self) -> None:
        """Close the descriptors. Later posts are lost."""
        self._closed = True
        if self._watcher is not None:
            self._watcher.close()
        self._selector.close()
        self._receiver.close()
        self._sender.close()

    def post(self, wake: Wake) -> None:
        """Leave a wake, from any thread."""
        self._posted.append(wake)
        self._ring()

    @property
    def waiting(self) -> bool:
        """Whether a posted wake has not been taken yet."""
        return bool(self._posted)

    def watch(self, files: Collection[Path], folders: Collection[Path]) -> None:
        """Wake up when one of `files` is saved, or when anything appears in one of `folders`."""
        watcher = self._watcher or best_watcher()
        try:
            watcher.watch(files, folders)
        except OSError:
            # The limit of watches of this user is reached, or a folder cannot be watched: looking at
            # the files does as well.
            if watcher is not self._watcher:
                watcher.close()
            watcher = Watcher()
            watcher.watch(files, folders)
        self.watch_with(watcher)

    def watch_with(self, watcher: Watcher) -> None:
        """Use this watcher for the files from now on."""
        if watcher is self._watcher:
            return
        if self._watcher is not None:
            if self._watcher.descriptor is not None:
                self._selector.unregister(self._watcher.descriptor)
            self._watcher.close()
        self._watcher = watcher
        if watcher.descriptor is not None:
            self._selector.register(watcher.descriptor, selectors.EVENT_READ)

    def wait(self, timeout: float) -> tuple[Wake, ...]:
        """Sleep until there is a wake, at most `timeout` seconds; empty when the time was up.

        Raises MemoryError where there is none; signals and what was posted are not lost by that.
        """
        deadline = time.monotonic() + timeout
        looks = self._watcher is not None and self._watcher.descriptor is None
        children: list[Wake] = []
        # What came while nobody waited rings no more.
        at_once = bool(self._posted) or any(self._heard)
        while True:
            left = 0.0 if at_once else max(0.0, deadline - time.monotonic())
            at_once = False
            self._selector.select(min(left, POLL_SECONDS) if looks else left)
            self._hear()
            if self._heard[signal.SIGCHLD] and not children:
                children = [Look("SIGCHLD")]
                deadline = min(deadline, time.monotonic() + CHILD_SECONDS)
            # The others are counted, because two SIGTERM mean more than one.
            wakes: list[Wake] = [Signalled(number) for number in COUNTED for _ in range(self._heard[number])]
            posted = [self._posted[index] for index in range(len(self._posted))]
            wakes += posted
            if self._watcher is not None:
                wakes.extend(Look(f"{name} changed") for name in self._watcher.changed())
            if wakes or time.monotonic() >= deadline:
                taken = (*wakes, *children)
                signals, all_posted = iter(SIGNALS), iter(posted)
                # From here on nothing takes memory: it is given to somebody, and let go of.
                for number in signals:
                    self._heard[number] = 0
                for _ in all_posted:
                    self._posted.popleft()
                return taken

    def rest(self, seconds: float) -> None:
        """Let time pass. What comes meanwhile is kept, and it takes no memory."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(REST_SECONDS)
            try:
                self._hear()
            except MemoryError:
                continue

    def _hear(self) -> None:
        """Count the signals that came: one by one, which takes no memory between reading and counting."""
        while True:
            try:
                self._receiver.recv_into(self._byte)
            except BlockingIOError:
                return
            number = self._byte[0]
            if number and self._heard[number] < 255:
                self._heard[number] += 1

    def _ring(self) -> None:
        try:
            self._sender.send(_POSTED)
        except BlockingIOError:
            return  # The bell is full of rings already: the waiter will look.
        except OSError:
            if not self._closed:
                raise
            # A background thread outlived the mailbox: nobody waits for its result any more.


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Let the wakeup descriptor speak."""
