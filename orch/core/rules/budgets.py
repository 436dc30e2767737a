"""What was spent, and what may still be. Pure."""

from orch.core.actions import SetMark
from orch.core.costs import Allowance, Cost
from orch.core.draft import Draft
from orch.core.model import Activity, Mark, Outcome, Run, Status, Task


def begin_day(draft: Draft) -> None:
    """At midnight the day's budget is whole again."""
    draft.change(spending=draft.state.spending.roll(draft.today))


def charge(draft: Draft, run: Run, outcome: Outcome) -> None:
    """A run is over: from now on it is among what was spent."""
    name, cost = run.key.task, Cost(outcome.cost_usd, outcome.tokens)
    under_way = {other: activity for other, activity in draft.state.activities.items() if other != name}
    draft.change(spending=draft.state.spending.charge(name, cost), activities=under_way)


def block_spent(draft: Draft, task: Task) -> bool:
    """Block a pending task that has nothing left of its budget; whether it is so."""
    excess = task_excess(draft, task)
    if excess:
        fields = (("Blocked", draft.stamp(draft.now)), ("Reason", task_reason(excess)), ("Retry at", None))
        draft.write(SetMark(task.id, task.mark, Mark(Status.BLOCKED), fields))
    return bool(excess)


def task_excess(draft: Draft, task: Task) -> str:
    """What was spent on a task of what, where nothing is left; else ''."""
    allowance = allowance_of(draft, task)
    return allowance.excess(task_cost(draft, task.id)) if allowance.bounded else ""


def usd_for(draft: Draft, task: Task) -> tuple[float | None, bool]:
    """The dollars that an attempt may cost, None for no limit; and whether it is the day that bounds it."""
    of_task = allowance_of(draft, task).left_usd(task_cost(draft, task.id))
    of_day = draft.policy.budget.day.left_usd(day_cost(draft))
    if of_day is not None and (of_task is None or of_day < of_task):
        return of_day, True
    return of_task, False


def day_excess(draft: Draft) -> str:
    """What was spent today of what, where nothing is left; else ''."""
    day = draft.policy.budget.day
    return day.excess(day_cost(draft)) if day.bounded else ""


def day_cost(draft: Draft) -> Cost:
    """What was spent today: what is over, and what is under way."""
    return sum((_used(draft, name) for name in draft.live), draft.state.spending.today)


def task_cost(draft: Draft, name: str) -> Cost:
    """What was spent on a task, all its attempts together."""
    return draft.state.spending.tasks.get(name, Cost()) + _used(draft, name)


def allowance_of(draft: Draft, task: Task | None) -> Allowance:
    """What a task may cost: `{budget:2.50}` on its line counts more than `[budget]`; 0 is no limit."""
    common = draft.policy.budget.task
    if task is None or task.budget is None:
        return common
    return Allowance(task.budget or None, common.tokens)


def task_reason(excess: str) -> str:
    """Why a task is blocked whose budget is spent, and the way out."""
    return f"its budget is spent, {excess}: raise {{budget:…}} on its line or [budget], then orch retry"


def day_reason(excess: str) -> str:
    """Why an attempt waits for the next day."""
    return f"the day's budget is spent, {excess}"


def _used(draft: Draft, name: str) -> Cost:
    """What the live attempt at a task has used so far, if there is one."""
    activity = draft.state.activities.get(name, Activity()) if name in draft.live else Activity()
    return Cost(activity.cost_usd, activity.tokens)
