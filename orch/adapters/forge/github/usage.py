"""How much of what GitHub allows was used, and until when to keep quiet."""

import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import field

from orch.core.values import dataclass

CORE, GRAPH = "core", "graphql"
"""What GitHub counts on its own: requests of REST, and points of GraphQL."""

SECOND_LIMIT_SECONDS = 60.0
"""GitHub's documentation of rate limits: wait at least a minute where it says nothing, then ever longer."""

LONGEST_SECONDS = 3600.0
FAILURE_SECONDS = 60.0
"""No wait after a mere failure is longer."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """One of GitHub's limits as its last answer told it."""

    limit: int
    left: int
    reset_at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What was sent, and what is left."""

    requests: int = 0
    """Sent since the start, those that cost nothing too."""
    unchanged: int = 0
    """Answered with 304: they cost nothing."""
    failures: int = 0
    """Not answered, or not as they should have been."""
    limits: Mapping[str, Allowance] = field(default_factory=dict)
    quiet_until: float = 0.0
    """GitHub asked for silence until then, seconds since the epoch."""


class Meter:
    """Counts, and knows when nothing may be sent. Safe to use from any thread."""

    def __init__(
        self, now: Callable[[], float] = time.time, spread: Callable[[], float] = random.random
    ) -> None:
        """`spread` gives numbers from 0 to 1, by which waits differ from each other."""
        self._now = now
        self._spread = spread
        self._lock = threading.Lock()
        self._requests = self._unchanged = self._failures = self._row = self._refusals = 0
        self._limits: dict[str, Allowance] = {}
        self._quiet: dict[str, float] = {}

    def usage(self) -> Usage:
        """What was counted so far."""
        with self._lock:
            quiet = max(self._quiet.values(), default=0.0)
            return Usage(
                self._requests, self._unchanged, self._failures, dict(self._limits), quiet_until=quiet
            )

    def wait(self, resource: str) -> float:
        """Seconds for which nothing of `resource` may be sent; 0: it may."""
        with self._lock:
            return max(0.0, max(self._quiet.get(resource, 0.0), self._quiet.get("", 0.0)) - self._now())

    def answered(self, resource: str, headers: Mapping[str, str], *, unchanged: bool = False) -> None:
        """An answer came, good or bad."""
        with self._lock:
            self._requests += 1
            self._unchanged += unchanged
            found = _allowance(headers)
            if found is not None:
                self._limits[headers.get("x-ratelimit-resource", resource)] = found

    def succeeded(self) -> None:
        """An answer was what it should be."""
        with self._lock:
            self._row = self._refusals = 0

    def failed(self, *, answered: bool) -> float:
        """A request failed; gives the seconds after which it may be tried again, longer each time."""
        with self._lock:
            self._requests += not answered
            self._failures += 1
            self._row += 1
            return self._jitter(min(2.0 ** min(self._row, 12), FAILURE_SECONDS))

    def limited(self, resource: str, headers: Mapping[str, str]) -> float:
        """GitHub said that it was too much; gives the seconds of silence, which are kept from now on."""
        with self._lock:
            self._failures += 1
            self._refusals += 1
            found = _allowance(headers)
            after = _number(headers.get("retry-after"))
            if after is not None:
                seconds, resource = after, resource if found is not None and not found.left else ""
            elif found is not None and found.left == 0:
                # Some seconds more: clocks differ, and everybody comes back at once.
                seconds = found.reset_at - self._now() + 1.0 + 4.0 * self._spread()
            else:
                # Too much at once counts for all; of GraphQL's own points it says no more than this.
                resource = resource if resource == GRAPH else ""
                seconds = SECOND_LIMIT_SECONDS * 2.0 ** min(self._refusals - 1, 6)
                seconds += seconds / 4 * self._spread()
            seconds = min(max(seconds, 1.0), LONGEST_SECONDS)
            self._quiet[resource] = max(self._quiet.get(resource, 0.0), self._now() + seconds)
            return seconds

    def _jitter(self, seconds: float) -> float:
        return seconds * (0.75 + self._spread() / 4)


def _allowance(headers: Mapping[str, str]) -> Allowance | None:
    limit, left, reset = (
        _number(headers.get(f"x-ratelimit-{name}")) for name in ("limit", "remaining", "reset")
    )
    if limit is None or left is None or reset is None:
        return None
    return Allowance(int(limit), int(left), reset)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and 0 <= number < 1e11 else None
