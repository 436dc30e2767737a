"""How healthy the coordinator is, and what it does about it. Pure."""

from orch.core.actions import Remove
from orch.core.draft import Draft
from orch.core.metrics import Health, assess
from orch.core.rules import pause

ORDER = tuple(Health)


def assess_health(draft: Draft) -> None:
    """Issue 2, number 11: on entering degraded or critical, once, clean up and reset the counters.

    The alarm remembers what was acted on, because the reset itself makes the counters look healthy.
    It ends with the next completed task, or with `orch resume`.
    """
    before, metrics = draft.before.metrics, draft.state.metrics
    found = assess(metrics)
    if metrics.workers_completed > before.workers_completed and draft.state.paused is None:
        draft.change(alarm=min(found, draft.state.alarm, key=ORDER.index))
    if found in (Health.DEGRADED, Health.CRITICAL) and ORDER.index(found) > ORDER.index(draft.state.alarm):
        why = (
            f"{metrics.worktree_errors} worktree errors, {metrics.github_api_errors} forge errors, "
            f"{metrics.recent.count(False)} of the last {len(metrics.recent)} tasks failed"
        )
        draft.change(
            alarm=found,
            metrics=metrics.evolve(worktree_errors=0, github_api_errors=0),
            trees=dict.fromkeys(draft.state.trees, draft.now),
        )
        draft.note("health", f"{found}: {why}")
        if found is Health.CRITICAL:
            pause.set_paused(draft, f"health is critical: {why}; `orch resume` goes on")
    health = max(found, draft.state.alarm, key=ORDER.index)
    if health is not draft.state.health:
        draft.change(health=health)


def remove_trees(draft: Draft) -> None:
    """Ask for the removal of worktrees that nobody needs, each when its time has come.

    A task that is taken up again is not among them: see `admit`.
    """
    later = {task: at for task, at in draft.state.trees.items() if at > draft.now}
    for task in sorted(draft.state.trees.keys() - later.keys()):
        draft.act(Remove(task))
    for at in later.values():
        draft.wake(at)
    if len(later) != len(draft.state.trees):
        draft.change(trees=later)
