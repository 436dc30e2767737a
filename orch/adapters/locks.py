"""A lock that threads, processes and the git commands they start share.

It is flock(2) on a file: the kernel frees it when its last holder is gone, so no lock is ever stale, and the
file alone means nothing. Ours end in `.flock`, lest they be taken for git's own `.lock` files.
The descriptor can be handed to a command (`git.run(hold=...)`): if orch is killed, the lock stays until
that command is over too, and the next orch does not meet a half-done git at work.
"""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from orch.errors import TransientError

WAIT_SECONDS = 120.0
"""What is done under a lock takes milliseconds; only a checkout or a setup hook takes long."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.1


class FileLock:
    """An exclusive lock, named by its file. The same object serves any number of threads."""

    def __init__(self, path: Path, *, wait: float = WAIT_SECONDS) -> None:
        """`wait` is in seconds. The folder of the file is made when it is needed."""
        self._path = path
        self._wait = wait
        self._threads = threading.Lock()

    @contextlib.contextmanager
    def hold(self, *, discard: bool = False) -> Iterator[int]:
        """Hold the lock; gives its descriptor. With `discard` the file is removed at the end.

        Raises TransientError where somebody else holds it all the time, or it cannot be made.
        """
        deadline = time.monotonic() + self._wait
        if not self._threads.acquire(timeout=self._wait):
            raise self._busy()
        try:
            descriptor = self._acquire(deadline)
            try:
                yield descriptor
                if discard:
                    with contextlib.suppress(OSError):
                        self._path.unlink()
            finally:
                # A command that outlived us has the descriptor too: unlocking frees it for all.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
                os.close(descriptor)
        finally:
            self._threads.release()

    def _acquire(self, deadline: float) -> int:
        pause = _FIRST_PAUSE
        while True:
            descriptor = self._attempt()
            if descriptor is not None:
                return descriptor
            if time.monotonic() > deadline:
                raise self._busy()
            # flock tells nobody when it becomes free, and a blocking one cannot be given up.
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _attempt(self) -> int | None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise self._failed(error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it before may have removed the file: then this lock protects nothing.
            if os.path.samestat(os.fstat(descriptor), self._path.stat()):
                return descriptor
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError as error:
            os.close(descriptor)
            raise self._failed(error) from error
        os.close(descriptor)
        return None

    def _failed(self, error: OSError) -> TransientError:
        return TransientError(f"cannot lock {self._path}: {error.strerror or error}")

    def _busy(self) -> TransientError:
        return TransientError(
            f"{self._path} has been locked by another process for {self._wait:g} s", retry_after=5.0
        )
