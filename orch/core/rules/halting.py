"""Ends what may not go on: what is over its budget, and what is not launched yet while its agent is parked.

Pure.
"""

from orch.core.draft import Draft
from orch.core.model import BEFORE_LAUNCH, OutcomeKind, Phase, Run, Stopping
from orch.core.rules import budgets, parking, progress

LOOK_SECONDS = 5.0
"""So often it is looked what the workers have used, where there is a budget."""
NOTICE = "budget"
"""What the notice about the day's budget is kept under."""


def halt_spent(draft: Draft) -> None:
    """Stop the workers that are over their task's budget, and all of them where the day's is spent."""
    day = budgets.day_excess(draft)
    told = f"nothing is launched until midnight: {budgets.day_reason(day)}" if day else None
    draft.notice(NOTICE, told)
    if day:
        draft.wake(draft.midnight)
    bounded = draft.policy.budget.day.bounded
    for name in sorted(draft.live):
        run = draft.runs[name]
        allowance = budgets.allowance_of(draft, draft.task(name))
        bounded = bounded or allowance.bounded
        if not _can_spend(draft, run):
            continue
        if excess := allowance.excess(budgets.task_cost(draft, name)):
            reason = budgets.task_reason(excess)
            progress.stop(draft, run, Stopping(reason, draft.now, now=True, then=OutcomeKind.BLOCKED))
        elif day:
            _postpone(draft, run, budgets.day_reason(day), draft.midnight)
    if bounded and draft.live:
        draft.wake(draft.now + LOOK_SECONDS)


def halt_parked(draft: Draft) -> None:
    """Give the place of an attempt back that is about to be launched and would run into a known limit."""
    if not draft.state.parked:
        return
    for name in sorted(draft.live):
        run = draft.runs[name]
        parked = draft.state.parked.get(parking.lane_of(run.claim))
        if parked is None or run.phase not in BEFORE_LAUNCH or run.stopping is not None:
            continue
        if run.claim.claimed_at <= parked.since and draft.now < parked.until:
            # The next attempt is not bound to wait: another agent may take over.
            run = run.evolve(claim=run.claim.evolve(parked=(parked, *run.claim.parked)))
            _postpone(draft, run, parked.limit, parked.until)


def _can_spend(draft: Draft, run: Run) -> bool:
    """Whether the worker of a run spends something, or will."""
    activity = draft.state.activities.get(run.key.task)
    works = run.phase is Phase.RUNNING and not (activity and activity.done)
    return works or run.phase in BEFORE_LAUNCH


def _postpone(draft: Draft, run: Run, reason: str, until: float) -> None:
    stopping = Stopping(reason, draft.now, now=True, then=OutcomeKind.LIMITED, until=until)
    progress.stop(draft, run, stopping)
