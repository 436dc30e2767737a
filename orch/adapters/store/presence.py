"""The one coordinator of a project: a lock, and the pid that signals go to."""

import contextlib
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from orch.adapters.store import atomic
from orch.errors import ConfigError

TRIES = 10
TRY_SECONDS = 0.02
"""Someone who asks who runs (`orch status`) holds the lock for a moment: that is not another orch."""


class Presence:
    """Held for as long as a coordinator runs.

    The lock is flock(2), so it is gone with its holder and never stale. The pid file is for people
    and scripts (`kill -USR1 $(cat .orch/coordinator.pid)`); nothing in orch believes it by itself.
    """

    def __init__(self, lock_file: Path, pid_file: Path) -> None:
        """Both files lie in `.orch`; the folder is made when it is needed."""
        self._lock_file = lock_file
        self._pid_file = pid_file
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Take the lock and publish the pid.

        Raises ConfigError where another coordinator runs or the lock file cannot be used, TransientError
        where the folder cannot be made or the pid cannot be published.
        """
        atomic.make_folder(self._lock_file.parent)
        try:
            self._descriptor = self._take()
        except OSError as error:
            failure = atomic.failure("lock", self._lock_file, error)
            raise ConfigError(failure.message, hint=failure.hint or "move it away") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the pid back and free the lock."""
        with contextlib.suppress(OSError):
            if self._is_ours():  # else the pid may be somebody else's
                self._pid_file.unlink()
        os.close(self._descriptor)

    def renew(self) -> bool:
        """Take the lock again where its file was removed, by `git clean -fdx` for one, and publish the pid.

        Says whether anything was missing. Raises ConfigError where another coordinator was quicker,
        TransientError where it cannot be taken now.
        """
        try:
            ours = self._is_ours()
            if ours and self._pid_file.exists():
                return False
        except OSError:
            return False  # It cannot be looked at now.
        if ours:
            self._publish()
            return True
        atomic.make_folder(self._lock_file.parent)
        try:
            taken = self._take()
        except OSError as error:
            raise atomic.failure("lock", self._lock_file, error) from error
        os.close(self._descriptor)
        self._descriptor = taken
        return True

    def holder(self) -> int | None:
        """The process id of the coordinator that runs now, None where none does."""
        try:
            descriptor = os.open(self._lock_file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _pid(descriptor)
        finally:
            os.close(descriptor)
        return None

    def _publish(self) -> None:
        atomic.write(self._pid_file, f"{os.getpid()}\n".encode())

    def _is_ours(self) -> bool:
        """Whether the file that we hold is the one that others find. Raises OSError."""
        try:
            return os.path.samestat(self._lock_file.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def _take(self) -> int:
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._lock(descriptor)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            self._publish()
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _lock(self, descriptor: int) -> None:
        for tried in range(TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if tried == TRIES - 1:
                    raise ConfigError(
                        f"another orch (pid {_pid(descriptor)}) works on this project already",
                        hint="`orch status` shows it; `kill PID` lets it end",
                    ) from None
                time.sleep(TRY_SECONDS)
            else:
                return


def _pid(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdecimal() else 0
