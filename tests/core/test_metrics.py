"""Counters, health and percentiles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.metrics import HISTORY, RECENT, SAMPLES, Event, Health, Metrics, assess, percentile


@pytest.mark.parametrize(
    ("metrics", "health"),
    [
        (Metrics(), Health.OK),
        (Metrics(worktree_errors=5), Health.OK),
        (Metrics(worktree_errors=6), Health.WARNING),
        (Metrics(worktree_errors=10), Health.WARNING),
        (Metrics(worktree_errors=11), Health.DEGRADED),
        (Metrics(worktree_errors=20), Health.DEGRADED),
        (Metrics(worktree_errors=21), Health.CRITICAL),
        (Metrics(github_api_errors=10), Health.OK),
        (Metrics(github_api_errors=11), Health.CRITICAL),
        (Metrics(recent=(False,) * 4), Health.OK),
        (Metrics(recent=(False,) * 3 + (True,) * 2), Health.DEGRADED),
        (Metrics(recent=(False,) * 3 + (True,) * 3), Health.OK),
    ],
)
def test_health_follows_the_counters(metrics: Metrics, health: Health) -> None:
    assert assess(metrics) is health


def test_lists_are_bounded() -> None:
    metrics = Metrics()
    for number in range(300):
        metrics = metrics.note(Event(float(number), "launched", "")).finished(completed=True)
        metrics = metrics.sample(duration=float(number)).sample(queue_wait=float(number))
    assert len(metrics.history) == HISTORY
    assert metrics.history[-1].at == 299
    assert len(metrics.recent) == RECENT
    assert len(metrics.durations) == len(metrics.queue_waits) == SAMPLES
    assert metrics.durations[-1] == 299


def test_percentiles_are_by_nearest_rank() -> None:
    assert percentile([], 0.5) is None
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(1, 101)], 0.95) == 95.0


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_a_percentile_is_one_of_the_samples(samples: list[float], share: float) -> None:
    assert percentile(samples, share) in samples
