"""Keeps worktrees ready for tasks to come, made while nothing is being launched. Pure."""

from orch.core.actions import Ensure, Result, Warm
from orch.core.draft import Draft
from orch.core.model import BEFORE_LAUNCH
from orch.core.rules import shortage


def take_result(draft: Draft, result: Result) -> None:
    """Fold in that a worktree was made, ready or for a task. Other results change nothing."""
    match result.action:
        case Ensure():
            draft.change(warm=False)  # It may have used one.
        case Warm():
            # After a failure the next launch asks again: nothing waits for it.
            draft.change(warm=result.failure is not None or not result.value)
            if result.failure is not None:
                draft.note("error", result.failure.message)
        case _:
            pass


def warm_up(draft: Draft) -> None:
    """Have one more made if there may be fewer than are wanted."""
    policy, state = draft.policy, draft.state
    if state.warm or not policy.warm or not policy.max_concurrent_workers or state.draining:
        return
    launching = draft.recalls or any(draft.runs[name].phase in BEFORE_LAUNCH for name in draft.live)
    if not launching and not shortage.list_shortages(draft):
        draft.change(warm=True)
        draft.act(Warm())
