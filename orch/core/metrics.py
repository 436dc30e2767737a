"""What orch counts and how healthy that is. Pure."""

from collections.abc import Sequence
from enum import StrEnum

from orch.core.evolving import Evolving
from orch.core.values import dataclass

HISTORY = 100
"""Events kept in metrics.json."""
RECENT = 20
"""Finished attempts that the success rate and the health look at."""
SAMPLES = 200
"""Durations kept for the percentiles."""


class Health(StrEnum):
    """From good to bad."""

    OK = "ok"
    WARNING = "warning"
    DEGRADED = "degraded"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for the history, the log and the dashboard."""

    at: float
    """Seconds since the epoch."""
    kind: str
    """launched, completed, failed, blocked, stopped, retry, paused, resumed, error, ..."""
    message: str
    task: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Metrics(Evolving):
    """metrics.json's counters. They survive restarts."""

    workers_launched: int = 0
    workers_completed: int = 0
    workers_failed: int = 0
    workers_blocked: int = 0
    prs_created: int = 0
    worktree_errors: int = 0
    github_api_errors: int = 0
    """Errors of the forge since it last answered; the name is older than the local forge."""
    forge_errors: int = 0
    """Errors of the forge, all of them."""
    attempts: int = 0
    history: tuple[Event, ...] = ()
    recent: tuple[bool, ...] = ()
    """The last finished tasks, oldest first: True completed, False failed."""
    durations: tuple[float, ...] = ()
    """Seconds that the last attempts took."""
    queue_waits: tuple[float, ...] = ()
    """Seconds from a task being ready to its launch."""
    capacity: int | None = None
    """So many workers at once until tasks are completed again, after one ran out of memory."""

    def note(self, event: Event) -> "Metrics":
        """The metrics with one more event in the history."""
        return self.evolve(history=(*self.history, event)[-HISTORY:])

    def sample(self, *, duration: float | None = None, queue_wait: float | None = None) -> "Metrics":
        """The metrics with one more duration or wait (seconds)."""
        durations = self.durations if duration is None else (*self.durations, duration)[-SAMPLES:]
        waits = self.queue_waits if queue_wait is None else (*self.queue_waits, queue_wait)[-SAMPLES:]
        return self.evolve(durations=durations, queue_waits=waits)

    def finished(self, *, completed: bool) -> "Metrics":
        """The metrics with one more task that came to its end."""
        return self.evolve(recent=(*self.recent, completed)[-RECENT:])


def assess(metrics: Metrics) -> Health:
    """The health that the counters mean (issue 2, number 11)."""
    if metrics.worktree_errors > 20 or metrics.github_api_errors > 10:
        return Health.CRITICAL
    failed = metrics.recent.count(False)
    if metrics.worktree_errors > 10 or (len(metrics.recent) >= 5 and failed * 2 > len(metrics.recent)):
        return Health.DEGRADED
    return Health.WARNING if metrics.worktree_errors > 5 else Health.OK


def percentile(samples: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile (`share` in 0..1) of `samples`, None where there are none."""
    if not samples:
        return None
    ordered = sorted(samples)
    rank = max(1, -int(-share * len(ordered) // 1))
    return ordered[rank - 1]
