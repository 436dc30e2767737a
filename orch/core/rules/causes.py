"""What an agent's own words about its failure mean for the task and for the fleet. Pure."""

from orch.core.costs import Cost
from orch.core.draft import Draft
from orch.core.model import Cause, Evidence, Outcome, OutcomeKind, Run, Verdict
from orch.core.rules import budgets, complete, parking, pause


def judge(draft: Draft, run: Run) -> Outcome | None:
    """The outcome of an attempt whose agent says why it failed; None where the evidence decides.

    A wish to stop, a question to a person and a new pull request count more than what it says.
    """
    evidence = run.evidence or Evidence()
    verdict = evidence.verdict
    if verdict.ok or run.stopping is not None or evidence.blocked is not None or _has_new_pull(run):
        return None
    waits = verdict.cause is Cause.UNAVAILABLE and verdict.agent_wide
    if waits or verdict.cause is Cause.USAGE_LIMIT or verdict.retry_at is not None:
        parked = parking.park(draft, run, verdict)
        reason = verdict.reason or "usage limit"
        limited = complete.conclude(run, OutcomeKind.LIMITED, draft.now, reason=reason)
        return limited.evolve(retry_at=parked.until, parked=(parked, *run.claim.parked))
    if verdict.cause is Cause.MAX_BUDGET and run.claim.budget_usd is not None:
        return _over_budget(draft, run, verdict, run.claim.budget_usd)
    if verdict.agent_wide:
        reason = f"{run.claim.agent}: {verdict.reason or verdict.cause}"
        pause.set_paused(draft, f"{reason}; `orch resume` goes on")
        failed = complete.conclude(run, OutcomeKind.FAILED, draft.now, reason=reason, detail=verdict.tail)
        return failed.evolve(retry_at=draft.now)
    if verdict.cause in complete.ANEW and run.claim.resume:
        return complete.conclude(run, OutcomeKind.INTERRUPTED, draft.now, reason=verdict.reason)
    if verdict.cause is Cause.MODEL:
        return complete.conclude(run, OutcomeKind.FAILED, draft.now, reason=verdict.reason)
    return None


def _over_budget(draft: Draft, run: Run, verdict: Verdict, left: float) -> Outcome:
    """The agent stopped by itself, as it was told that it may cost `left` dollars."""
    if run.claim.budget_of_day:
        figure = f"this attempt cost ${verdict.cost_usd:.2f} of the ${left:.2f} that were left"
        reason = budgets.day_reason(figure)
        limited = complete.conclude(run, OutcomeKind.LIMITED, draft.now, reason=reason)
        return limited.evolve(retry_at=draft.midnight)
    before = draft.state.spending.tasks.get(run.key.task, Cost()).usd
    reason = budgets.task_reason(f"${before + verdict.cost_usd:.2f} of ${before + left:.2f}")
    return complete.conclude(run, OutcomeKind.BLOCKED, draft.now, reason=reason)


def _has_new_pull(run: Run) -> bool:
    return run.pull is not None and run.pull.number != run.claim.pull
