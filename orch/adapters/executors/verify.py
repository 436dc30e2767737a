"""The verify command: what a person says must pass in the worktree before a task is done."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orch.adapters import tails
from orch.adapters.executors import processes
from orch.adapters.executors.limits import MEGABYTE
from orch.errors import TransientError
from orch.ports import Check

TAIL_LINES = 50
"""How much of the end of the output goes into a Check: it becomes part of the next prompt."""

LOOK_SECONDS = 1.0
"""Between two looks at the size of the output, and at a stop that a command does not obey."""

STOPPED = Check(ok=False, tail="(stopped)")
"""What became of one that was stopped before it began."""


@dataclass(frozen=True, slots=True)
class VerifyCommand:
    """`[verify]`."""

    command: str
    """A line for `sh -c`."""
    timeout_seconds: float = 600.0
    """Wall clock; 0 means no limit."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The whole environment, built from the allow-list. ORCH_RUN_ID is added."""


class Verification:
    """The verify command of one run. One thread runs it; any other may stop it."""

    def __init__(
        self,
        verify: VerifyCommand,
        *,
        worktree: Path,
        log: Path,
        run_id: str,
        max_log_bytes: int,
        end: Callable[[], None],
    ) -> None:
        """Starts nothing yet. What the command prints goes to `log` (overwritten).

        `max_log_bytes` 0 means no limit; `end` has to end everything that carries `run_id`.
        """
        self._verify = verify
        self._worktree = worktree
        self._log = log
        self._run_id = run_id
        self._max_log_bytes = max_log_bytes
        self._end = end
        self._stopped = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """Have the command ended, or not even started. Does not wait."""
        self._stopped.set()
        if self._child is not None:
            # `run` waits for this very process, and ends the rest as soon as it is over.
            self._child.terminate()

    def run(self) -> Check:
        """Run the command in the worktree, in a session of its own, and wait for its end.

        One that is stopped, takes too long or prints too much fails, and is ended with all that it
        started. Raises TransientError where it cannot be started.
        """
        if self._stopped.is_set():
            return STOPPED
        child = self._child = self._start()
        problem = self._wait(child)
        if problem:
            self._end()
            child.kill()  # has an effect only on a shell that cleaned its own environment
            child.wait()
        elif child.returncode < 0:
            problem = f"ended by signal {-child.returncode}"
        elif child.returncode:
            problem = f"exit code {child.returncode}"
        said = tails.last_lines(self._log)[-TAIL_LINES:]
        return Check(ok=not problem, tail="\n".join([*said, f"({problem})"] if problem else said))

    def _start(self) -> "subprocess.Popen[bytes]":
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            output = os.open(self._log, flags, 0o600)
            try:
                return subprocess.Popen(
                    ["sh", "-c", self._verify.command],
                    cwd=self._worktree,
                    env={**self._verify.env, processes.MARK: self._run_id},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            finally:
                os.close(output)
        except (OSError, ValueError) as error:
            raise TransientError(f"cannot run the verify command in {self._worktree}: {error}") from error

    def _wait(self, child: "subprocess.Popen[bytes]") -> str:
        """Wait for the child; gives why what it started has to be ended, or ''."""
        started = time.monotonic()
        timeout, most = self._verify.timeout_seconds, self._max_log_bytes
        # Looked at first: a stop that came while the child was being started could not signal it.
        while not self._stopped.is_set():
            left = timeout - (time.monotonic() - started) if timeout else LOOK_SECONDS
            try:
                child.wait(min(LOOK_SECONDS, max(0.0, left)))
            except subprocess.TimeoutExpired:
                if timeout and left <= LOOK_SECONDS:
                    return f"timed out after {timeout:g} s"
                if most and _size(self._log) > most:
                    return f"printed more than {most // MEGABYTE} MB"
            else:
                break
        return "stopped" if self._stopped.is_set() else ""


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except OSError:  # a person tidied up
        return 0
