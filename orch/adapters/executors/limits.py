"""What the launcher watches while an agent works: time, memory, output, and whether anything moves.

A limit of 0 means none. Standard library only, see processes.py.
"""

# pathlib would cost each launcher time and memory.
# ruff: noqa: PTH116

import os

from orch.adapters.executors import processes
from orch.adapters.executors.lingering import Lingering
from orch.adapters.executors.stall import Stall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

LOOK_SECONDS = 1.0
"""Between two looks at memory and output: one look takes half a millisecond for ten processes."""

MEGABYTE = 1024 * 1024


class Limits:
    """The limits of one run, and how near to them it is."""

    def __init__(  # noqa: PLR0913 - each is one limit, given by name
        self,
        *,
        timeout: float,
        stall: float,
        memory: int,
        output: int,
        files: "Sequence[str]",
        root: int,
        sign: str = "",
        linger: float = 0,
        last_words: "Collection[str]" = (),
        now: float,
    ) -> None:
        """`timeout`, `stall` and `linger` in seconds, `memory` and `output` in bytes.

        `files` is what the agent prints to, its standard output first, `root` the process whose
        descendants count, `sign` where `Stall` warns; `last_words` is for `Lingering`. `now` is seconds on
        the monotonic clock here and below: sleep of the machine does not count.
        """
        self.files = files
        self.peak_bytes = 0
        """Most memory of the tree that was seen, 0 where nothing had to be looked at."""
        self._timeout, self._memory, self._output = timeout, memory, output
        self._stall = Stall(stall, sign, now) if stall else None
        self._lingering = Lingering(files[0], last_words, linger, now) if linger and last_words else None
        self._root = root
        self._started = now
        self._looked_at = now
        intervals = [LOOK_SECONDS] if memory or output or self._lingering else []
        if self._stall:
            intervals.append(self._stall.interval)
        self._interval = min(intervals, default=0.0)

    def seconds_left(self, now: float) -> "float | None":
        """Until `exceeded` has to be asked again; None: never."""
        times = []
        if self._timeout:
            times.append(self._started + self._timeout)
        if self._interval:
            times.append(self._looked_at + self._interval)
        return max(0.0, min(times) - now) if times else None

    def exceeded(self, now: float) -> "tuple[str, str] | None":
        """The limit that is exceeded as (EndReason, message), None while there is none.

        Raises OSError where it could not look.
        """
        if self._timeout and now - self._started >= self._timeout:
            return "timeout", f"ran longer than its limit of {self._timeout:g} s"
        if not self._interval or now - self._looked_at < self._interval:
            return None
        self._looked_at = now
        printed = sum(map(_size, self.files))
        if self._output and printed > self._output:
            return "output", f"printed more than its limit of {self._output // MEGABYTE} MB"
        if self._lingering and (why := self._lingering.look(printed, now)):
            return "lingered", why
        tree = processes.descendants(self._root) if self._memory or self._stall else []
        if self._memory and (used := self._used_bytes(tree)) > self._memory:
            used, limit = used // MEGABYTE, self._memory // MEGABYTE
            return "memory", f"used {used} MB of memory, over its limit of {limit} MB"
        if self._stall and (why := self._stall.look(tree, printed, now)):
            return "stalled", why
        return None

    def clear(self) -> None:
        """The process is over: nothing is to be said of it any more."""
        if self._stall:
            self._stall.clear()

    def _used_bytes(self, tree: "list[processes.Stat]") -> int:
        """The memory of the tree.

        The sum of RSS is quick to get but counts what processes share (libraries, everything after
        a fork) once for each. It is never too low, so only where it is over the limit is the exact
        and slow sum of PSS asked for.
        """
        used = sum(stat.rss_bytes for stat in tree)
        if used > self._memory:
            exact = ((stat, processes.pss_bytes(stat.pid)) for stat in tree if not stat.dead)
            used = sum(stat.rss_bytes if pss is None else pss for stat, pss in exact)
        self.peak_bytes = max(self.peak_bytes, used)
        return used


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:  # a person tidied up
        return 0
