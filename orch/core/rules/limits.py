"""What the fleet learns from how attempts end: when to pause, and when to do less at once. Pure."""

import re

from orch.core.draft import Draft
from orch.core.model import EndReason, Exit, Outcome, OutcomeKind, RunKey
from orch.core.rules import pause
from orch.core.state import QuickFailure

BREAKER_TASKS = 5
"""So many different tasks in a row that fail alike are not the tasks' fault."""
BREAKER_SECONDS = 10.0
"""An attempt that fails sooner than this has hardly begun: a bad login, a broken base branch."""

_DIFFERENCES = re.compile(r"w-[0-9a-f]{6}|\b[0-9a-f]{7,40}\b|[0-9]+|/\S+")
"""What differs in a reason from task to task: worker ids, commits, numbers, paths."""


def learn(draft: Draft, run: RunKey, outcome: Outcome, exit: Exit | None) -> None:
    """Take in how an attempt ended."""
    _trip_breaker(draft, run, outcome)
    _adapt_capacity(draft, outcome, exit)


def _trip_breaker(draft: Draft, run: RunKey, outcome: Outcome) -> None:
    """Pause if many different tasks fail the same way within seconds, instead of burning the queue."""
    if outcome.kind is not OutcomeKind.FAILED:
        if outcome.kind is OutcomeKind.COMPLETED:
            draft.change(alike=())
        return
    if not outcome.started_at and outcome.retry_at is not None:
        return  # No worktree or no launcher could be had for now (no network, no memory): that passes.
    began = outcome.started_at or outcome.claimed_at
    failure = QuickFailure(run.task, _DIFFERENCES.sub("#", outcome.reason.replace(run.task, "#")))
    if outcome.ended_at - began > BREAKER_SECONDS:
        draft.change(alike=())
        return
    alike = (*(known for known in draft.state.alike if known.kind == failure.kind), failure)
    tasks = dict.fromkeys(known.task for known in alike)
    draft.change(alike=tuple(QuickFailure(task, failure.kind) for task in tasks))
    if len(tasks) >= BREAKER_TASKS:
        draft.change(alike=())
        reason = f"the last {len(tasks)} tasks failed alike within seconds: {outcome.reason}"
        pause.set_paused(draft, f"{reason}; `orch resume` goes on")


def _adapt_capacity(draft: Draft, outcome: Outcome, exit: Exit | None) -> None:
    """Fewer workers at once after one ran over its memory; one more with each completed task."""
    capacity, limit = draft.state.metrics.capacity, draft.policy.max_concurrent_workers
    if exit is not None and exit.reason is EndReason.MEMORY:
        # The run itself is not live any more.
        capacity = max(1, min(limit, len(draft.live) + 1, capacity or limit) - 1)
    elif capacity is not None and outcome.kind is OutcomeKind.COMPLETED:
        capacity = capacity + 1 if capacity + 1 < limit else None
    if capacity != draft.state.metrics.capacity:
        draft.change(metrics=draft.state.metrics.evolve(capacity=capacity))
        tell_capacity(draft)


def count_allowed(draft: Draft) -> int:
    """How many workers may run at once now."""
    capacity, limit = draft.state.metrics.capacity, draft.policy.max_concurrent_workers
    return limit if capacity is None else min(limit, capacity)


def tell_capacity(draft: Draft) -> None:
    """Show that fewer workers run at once than there could."""
    capacity = draft.state.metrics.capacity
    few = f"{capacity} at once, after a worker ran over its memory" if capacity is not None else None
    draft.notice("memory", few)
