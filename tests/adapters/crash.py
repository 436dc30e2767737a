"""Really ends a process at each of its steps, and really lets its writes fail."""

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator

STEPS = {"open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "fcntl.flock"}
"""Audit events, which Python raises just before it does the thing."""


def killed_at(step: int, action: Callable[[], object]) -> bool:
    """Carry out `action` in a forked process that SIGKILLs itself before its `step`-th system call.

    Of the system calls, those count that change the disk. False if it got to its end before that.
    """
    process = os.fork()
    if process == 0:
        left = step

        def watch(event: str, _arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in STEPS:
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1

        try:
            sys.addaudithook(watch)
            action()
        except BaseException as error:  # noqa: BLE001 - the parent must not run on as a copy
            left = -1
            os.write(2, f"in the forked process: {error!r}\n".encode())
            os._exit(1)
        # From here on nothing counts: where coverage is measured, it is written now.
        left = -1
        os._exit(0)
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


class _Steps:
    """Tells of each step, while somebody wants to know. A hook stays for good, so there is one."""

    def __init__(self) -> None:
        self.watch: Callable[[str], None] | None = None
        sys.addaudithook(self._audit)

    def _audit(self, event: str, _arguments: tuple[object, ...]) -> None:
        watch = self.watch
        if watch is not None:
            self.watch = None  # What is done meanwhile is no step.
            try:
                watch(event)
            finally:
                self.watch = watch


_steps = _Steps()


@contextlib.contextmanager
def watching(watch: Callable[[str], None]) -> Iterator[None]:
    """While this holds, `watch` is called before whatever this process does that Python audits."""
    _steps.watch = watch
    try:
        yield
    finally:
        _steps.watch = None


@contextlib.contextmanager
def full_disk(room: int = 0) -> Iterator[None]:
    """While this holds, no file of this process can grow over `room` bytes (EFBIG, half-written)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
