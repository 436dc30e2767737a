"""What LocalExecutor asks about processes, on systems with /proc and without.

Without (macOS) psutil answers. It has no start ticks, so a launcher there is known by its program
and the time at which it started, which is only as good as the clock.
"""

import contextlib
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orch.adapters.executors import launcher, processes
from orch.core.model import Process

if TYPE_CHECKING:
    import psutil  # type: ignore[import-untyped]

CLEAN_LOOKS = 2
"""A sweep is done after this many looks in a row that find nothing: a process that is just being
replaced by exec has no environment for a moment, and one that forks can slip past a look."""

BREATH_SECONDS = 0.01
"""Between these looks."""

CLOCK_SLACK_SECONDS = 60.0
"""By how much the start of a process and the time in its run.json may differ without start ticks."""


def lives(process: Process) -> bool:
    """Whether this very launcher still runs. Raises OSError where that cannot be known."""
    if process.start_ticks:
        return processes.is_alive(process.pid, process.start_ticks)
    import psutil

    try:
        found = psutil.Process(process.pid)
        started = found.create_time()
        return (
            found.status() != psutil.STATUS_ZOMBIE
            and abs(started - process.started_at) < CLOCK_SLACK_SECONDS
            and launcher.__file__ in found.cmdline()
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def sweep(
    value: str, grace: float, *, name: str = processes.MARK, proc: bool = processes.HAS_PROC
) -> tuple[int, ...]:
    """End every process whose environment says `name`=`value` (ORCH_RUN_ID); gives the pids that are left.

    This process and those that it comes from are not among them. Takes at most `grace` and
    KILL_SECONDS. Raises OSError where it cannot look.
    """
    line = processes.ancestors(os.getpid()) if proc else frozenset[int]()

    def look() -> "Sequence[processes.Member]":
        return processes.marked(value, without=line, name=name) if proc else _marked(name, value)

    def find() -> "Sequence[processes.Member]":
        found = look()
        for _ in range(CLEAN_LOOKS - 1):
            if not found:
                time.sleep(BREATH_SECONDS)
                found = look()
        return found

    return tuple(member.pid for member in processes.end(find, grace))


class _Member:
    """A process by psutil, which never signals one that was given the same pid later."""

    def __init__(self, process: "psutil.Process") -> None:
        self.pid: int = process.pid
        self._process = process

    def send(self, *numbers: int) -> bool:
        import psutil

        try:
            for number in numbers:
                self._process.send_signal(number)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False
        return True


def _marked(name: str, value: str) -> list[_Member]:
    import psutil

    me = psutil.Process()
    line = {me.pid, *(parent.pid for parent in me.parents())}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid not in line and process.environ().get(name) == value:
                found.append(_Member(process))
    return found
