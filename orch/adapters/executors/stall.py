"""When a worker is stalled, and the file that warns of it before it is ended.

Anything that it prints and any CPU time of the whole tree is work: a build that computes for an hour in
silence is none the worse for it. A connection to somebody else counts as work too, as one who waits for an
API does nothing else; but only for WAIT_LIMITS times the limit, since a connection whose other end has
vanished looks the same for ever.

Half of the limit without work, and stall.json tells: no output and no CPU since when, ended when. It goes
when there is work again. Standard library only, see processes.py.
"""

import time

from orch.adapters.executors import connections, run_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orch.adapters.executors.processes import Stat

LOOK_SECONDS = 5.0
"""Over which CPU time is measured; shorter where the limit itself is short."""

IDLE_SHARE = 0.01
"""A tree that takes less than this share of one CPU does nothing: event loops and timers tick on
while an agent hangs."""

WARN_SHARE = 0.5
"""Of the limit, after which stall.json is there."""

WAIT_LIMITS = 2.0
"""So many times the limit an open connection counts as work."""


class Stall:
    """Looks at one worker again and again."""

    def __init__(self, limit: float, sign: str, now: float) -> None:
        """`limit` is in seconds and not 0, `sign` the path of stall.json, `now` as for `Limits`."""
        self.interval = min(LOOK_SECONDS, limit / 4)
        """Seconds between two looks."""
        self._limit = limit
        self._sign = sign
        self._is_shown = False
        self._moved_at = now
        self._connected_at = now
        self._measured_at = now
        self._cpu_seconds = 0.0
        self._printed_bytes = 0

    def look(self, tree: "Sequence[Stat]", printed: int, now: float) -> "str | None":
        """Why the worker is stalled, None while it is not.

        `printed` is in bytes, from the start on. Raises OSError where it could not look.
        """
        if printed != self._printed_bytes:
            self._printed_bytes = printed
            self._moved_at = now
        elapsed = now - self._measured_at
        if elapsed >= self.interval:
            cpu_seconds = sum(stat.cpu_seconds for stat in tree)
            if cpu_seconds - self._cpu_seconds > elapsed * IDLE_SHARE:
                self._moved_at = now
            self._cpu_seconds = cpu_seconds
            self._measured_at = now
        warns = self._idle(now) >= self._limit * WARN_SHARE
        # Only now, as it takes a look at every file that the tree has open.
        if warns and connections.reach_others([stat.pid for stat in tree if not stat.dead]):
            self._connected_at = now
            warns = self._idle(now) >= self._limit * WARN_SHARE
        idle = self._idle(now)
        if idle >= self._limit:
            return f"no output and no CPU time for {now - self._moved_at:.3g} s"
        if warns is not self._is_shown:
            self._is_shown = warns
            self._show(now, self._limit - idle)
        return None

    def clear(self) -> None:
        """Take the file away: the worker is over."""
        if self._is_shown:
            run_files.discard(self._sign)

    def _idle(self, now: float) -> float:
        """Seconds without anything that counts as work."""
        waited = min(self._connected_at, self._moved_at + WAIT_LIMITS * self._limit)
        return now - max(self._moved_at, waited)

    def _show(self, now: float, left: float) -> None:
        if not self._is_shown:
            run_files.discard(self._sign)
            return
        today = time.time()
        record = {
            "version": run_files.VERSION,
            "since": today - (now - self._moved_at),
            "ends_at": today + left,
        }
        try:
            run_files.replace(self._sign, record)
        except OSError as error:  # the warning is missing, what it warns of is not
            run_files.complain(f"cannot write {self._sign}: {error.strerror}")
