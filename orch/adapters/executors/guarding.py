"""The coordinator's side of a guard: commands of the person's that end when their coordinator does."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from orch.adapters.executors import guard, processes
from orch.core.model import EndReason, Exit
from orch.core.values import dataclass
from orch.errors import TransientError

PATIENCE_SECONDS = processes.KILL_SECONDS + 15.0
"""A guard that has not ended its command so long after the time limit and the grace is hung itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """What is to be run, and within which limits."""

    what: str
    """What it is called in messages."""
    command: str
    """A line for `sh -c`."""
    folder: Path
    env: Mapping[str, str]
    """The whole environment. The mark has to be in it."""
    mark: str
    """Name of the variable by which everything that the command starts can be found."""
    log: Path
    """What is printed goes there; what was there before is overwritten."""
    timeout: float
    """Seconds; 0 means no limit."""
    grace: float
    """Seconds between SIGTERM and SIGKILL."""
    output: int = 0
    """Most bytes of the log; 0 means no limit."""
    hold: Sequence[int] = ()
    """Descriptors of locks that are to be held until everything is over, even if orch is killed."""
    patience: float = PATIENCE_SECONDS
    """Seconds after the time limit and the grace after which the guard is killed."""


class Command:
    """One command under a guard. One thread runs it; any other may stop it."""

    def __init__(self, guarded: Guarded) -> None:
        """Starts nothing yet."""
        self._guarded = guarded
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def stopped(self) -> bool:
        """Whether somebody wanted it ended."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Have the command ended, or not even started. Does not wait."""
        self._stopped.set()
        with self._lock:
            if self._child is not None:
                self._let_go(self._child)

    def run(self) -> Exit:
        """Run the command in a session of its own, and wait for the end of all that it started.

        Raises TransientError where it could not be started, or was ended from outside. If it was the
        guard that was killed, what carries the mark may still be at work.
        """
        with self._lock:
            child = self._child = self._start()
            if self.stopped:
                self._let_go(child)
        try:
            said = self._wait(child)
        finally:
            with self._lock:
                self._let_go(child)
                self._child = None
        what = self._guarded.what
        try:
            exit = msgspec.json.decode(said, type=Exit)
        except msgspec.MsgspecError as error:
            raise TransientError(f"{what} in {self._guarded.folder} lost its guard") from error
        if exit.reason is EndReason.SPAWN:
            raise TransientError(f"cannot run {what} in {self._guarded.folder}: {exit.message}")
        if exit.reason is EndReason.STOPPED and not self.stopped:
            raise TransientError(f"{what} in {self._guarded.folder} was ended from outside")
        return exit

    def _start(self) -> "subprocess.Popen[bytes]":
        """Start the guard. Raises TransientError."""
        guarded = self._guarded
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        locale = guarded.env.get("LC_CTYPE")
        words = (
            str(guarded.log),
            guarded.mark,
            "-" if locale is None else f"+{locale}",
            repr(guarded.timeout),
            repr(guarded.grace),
            repr(guarded.output),
        )
        try:
            log = os.open(guarded.log, flags, 0o600)
            try:
                return subprocess.Popen(
                    [sys.executable, "-I", "-S", guard.__file__, *words, "/bin/sh", "-c", guarded.command],
                    cwd=guarded.folder,
                    env=dict(guarded.env),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    pass_fds=tuple(guarded.hold),
                    start_new_session=True,
                )
            finally:
                os.close(log)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise TransientError(f"cannot run {guarded.what} in {guarded.folder}: {why}") from error

    def _wait(self, child: "subprocess.Popen[bytes]") -> bytes:
        """What the guard says in the end, b'' where it was killed, or had to be."""
        if child.stdout is None:
            raise AssertionError(child)
        guarded = self._guarded
        limit = guarded.timeout + guarded.grace + guarded.patience
        with child.stdout as source:
            poll = select.poll()
            poll.register(source, select.POLLIN)
            if not poll.poll(limit * 1000 if guarded.timeout else None):
                child.kill()
            said = source.read()
        child.wait()
        return said

    @staticmethod
    def _let_go(child: "subprocess.Popen[bytes]") -> None:
        """Close the pipe, which the guard takes for the end of us."""
        if child.stdin is not None:
            child.stdin.close()
        # One that a person has stopped would not see it.
        child.send_signal(signal.SIGCONT)
