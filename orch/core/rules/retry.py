"""When a thing that failed is tried again. Pure."""

from orch.core import names
from orch.core.model import Policy, RunKey

STEP_INITIAL = 0.5
"""Seconds before a step of a run (making a worktree, pushing) is tried again."""
STEP_MAX = 60.0
"""Seconds between tries of a step at most."""
JITTER = 0.25
"""Share by which a delay is shortened at most: runs that failed together do not come back together."""


def attempt_delay(policy: Policy, run: RunKey, spent: int) -> float:
    """Seconds before the next attempt, after `spent` charged attempts (at least 1).

    Exponential with a ceiling; the jitter belongs to the run, so a restart computes the same time.
    """
    # The exponent is bounded because a float overflows long before max_attempts is a sane number.
    delay = min(policy.retry_initial * policy.retry_factor ** min(spent - 1, 64), policy.retry_max)
    return delay * (1 - JITTER * names.jitter(run.task, run.attempt))


def step_delay(run: RunKey, failures: int, retry_after: float | None) -> float:
    """Seconds before a failed step is tried again, after `failures` failures in a row.

    `retry_after` is what the other side asked for, in seconds.
    """
    delay = min(STEP_INITIAL * 2.0 ** min(failures - 1, 16), STEP_MAX)
    return max(retry_after or 0.0, delay * (1 - JITTER * names.jitter(run.task, run.attempt)))
