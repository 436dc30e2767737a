"""The verify command: what a person says must pass in the worktree before a task is done."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orch.adapters.executors import processes
from orch.adapters.executors.limits import MEGABYTE
from orch.errors import TransientError
from orch.ports import Check

TAIL_BYTES = 4096
TAIL_LINES = 50
"""How much of the end of the output goes into a Check: it becomes part of the next prompt."""

LOOK_SECONDS = 1.0
"""Between two looks at the size of the output."""


@dataclass(frozen=True, slots=True)
class VerifyCommand:
    """`[verify]`."""

    command: str
    """A line for `sh -c`."""
    timeout_seconds: float = 600.0
    """Wall clock; 0 means no limit."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The whole environment, built from the allow-list. ORCH_RUN_ID is added."""


def run_verify(
    verify: VerifyCommand,
    *,
    worktree: Path,
    log: Path,
    run_id: str,
    max_log_bytes: int,
    end: Callable[[], None],
) -> Check:
    """Run the command in the worktree, in a session of its own, its output in `log` (overwritten).

    One that takes too long or prints more than `max_log_bytes` (0: no limit) fails; `end` has to
    end everything that carries `run_id`. Raises TransientError where it cannot be started.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        output = os.open(log, flags, 0o600)
        try:
            child = subprocess.Popen(
                ["sh", "-c", verify.command],
                cwd=worktree,
                env={**verify.env, processes.MARK: run_id},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        finally:
            os.close(output)
    except (OSError, ValueError) as error:
        raise TransientError(f"cannot run the verify command in {worktree}: {error}") from error
    problem = _wait(child, verify.timeout_seconds, log, max_log_bytes)
    if problem:
        end()
        child.kill()  # has an effect only on a shell that cleaned its own environment
        child.wait()
    elif child.returncode < 0:
        problem = f"ended by signal {-child.returncode}"
    elif child.returncode:
        problem = f"exit code {child.returncode}"
    return Check(ok=not problem, tail="\n".join(filter(None, (_tail(log), problem and f"({problem})"))))


def _wait(child: "subprocess.Popen[bytes]", timeout: float, log: Path, max_log_bytes: int) -> str:
    """Wait for the child; gives why it has to be ended, or ''."""
    started = time.monotonic()
    while True:
        left = timeout - (time.monotonic() - started) if timeout else LOOK_SECONDS
        try:
            child.wait(min(LOOK_SECONDS, max(0.0, left)))
        except subprocess.TimeoutExpired:
            if timeout and left <= LOOK_SECONDS:
                return f"timed out after {timeout:g} s"
            if max_log_bytes and log.stat().st_size > max_log_bytes:
                return f"printed more than {max_log_bytes // MEGABYTE} MB"
        else:
            return ""


def _tail(log: Path) -> str:
    """The last lines of a log, whole ones."""
    with log.open("rb") as file:
        start = max(0, log.stat().st_size - TAIL_BYTES)
        file.seek(start)
        lines = file.read(TAIL_BYTES).decode(errors="replace").splitlines()
    return "\n".join(lines[1 if start and len(lines) > 1 else 0 :][-TAIL_LINES:])
