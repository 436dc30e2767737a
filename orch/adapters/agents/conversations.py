"""Who has a conversation open: two processes that go on with the same one do not notice each other."""

import contextlib
import os
from pathlib import Path

from orch.adapters.agents import fields
from orch.adapters.executors import processes
from orch.adapters.store import atomic
from orch.errors import OrchError

NOTE_BYTES = 64 * 1024


def find_holder(session_id: str) -> int:
    """The pid of a process that has the conversation as an argument or an option's value, 0 for none.

    One that only looks at a file named after it is none, nor is this process and those that it comes from.
    Takes a look at every process: some milliseconds, at a launch only. Those of other users may not be seen.
    """
    import psutil  # type: ignore[import-untyped]

    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or ()
        if process.pid not in mine and any(
            word == session_id or word.endswith(f"={session_id}") for word in words
        ):
            return int(process.pid)
    return 0


def find_noted(folder: Path, session_id: str) -> int:
    """The pid of a live claude that has the conversation by its own notes, 0 where there is none.

    `folder` has a file for each claude that runs, and of those that were killed. What cannot be read is let
    pass: it is the second of two looks.
    """
    with contextlib.suppress(OSError, OrchError):
        for file in folder.glob("*.json"):
            note = fields.parse(atomic.read(file, NOTE_BYTES) or b"")
            pid, started = fields.count(note, "pid"), fields.text(note, "procStart")
            if fields.text(note, "sessionId") == session_id and _lives(pid, started):
                return pid
    return 0


def _lives(pid: int, start_ticks: str) -> bool:
    """Whether a process is still the one that was noted."""
    if processes.HAS_PROC and start_ticks.isdecimal():
        return processes.is_alive(pid, int(start_ticks))
    import psutil

    return pid > 0 and bool(psutil.pid_exists(pid))
