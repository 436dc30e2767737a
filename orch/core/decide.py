"""What follows from what is known and what was seen. Pure: the same input gives the same decision."""

from typing import cast

from orch.core.actions import (
    AutoMerge,
    CloseIssue,
    Dismiss,
    Poll,
    Prune,
    Remove,
    Rerun,
    Result,
    Retire,
    SaveLedger,
    SavePause,
    Tell,
    Tend,
    WriteTasks,
)
from orch.core.draft import Draft
from orch.core.forge import Sight
from orch.core.model import (
    BEFORE_LAUNCH,
    Drain,
    Phase,
    Policy,
    Request,
    RetryRequest,
    Run,
    SendRequest,
    Status,
)
from orch.core.rules import (
    admit,
    budgets,
    clock,
    control,
    edits,
    follow,
    halting,
    health,
    intake,
    ledger,
    limits,
    parking,
    progress,
    shortage,
    tell,
    warming,
    watch,
)
from orch.core.state import Decision, Seen, State
from orch.core.tasks_md import Document

WRITE_RETRY_SECONDS = 1.0
"""tasks.md could not be written (a full disk, a lock): try again after this."""
UNSEEN_SECONDS = 1.0
"""What could not be looked at is looked at again after this: nothing may tell when it is back."""
LAST_SIGNAL = 3
"""So many SIGTERM or SIGINT end orch whatever is left to be done; the next start goes on from there."""
REMOVE_RETRY_SECONDS = 60.0
"""A worktree could not be removed: try again after this."""


def decide(state: State, seen: Seen, policy: Policy) -> Decision:
    """The next state, the actions that lead on, and when to look again at the latest.

    Level-based: it needs no history of events, only what is. Deciding again on the result of its own
    successful actions yields no action.
    """
    draft = Draft(state, seen, policy)
    clock.follow_clock(draft)
    # One that could not be read is as it was.
    known = {name: activity for name, activity in state.activities.items() if name in state.live}
    draft.change(resources=seen.resources, activities={**known, **seen.activities})
    _tell_unseen(draft)
    shortage.tell_shortage(draft)
    limits.tell_capacity(draft)
    budgets.begin_day(draft)
    admit.read_queue(draft)
    control.take_signals(draft)
    for result in seen.results:
        _take_result(draft, result)
    for name in sorted(draft.live):
        if draft.runs[name].phase is Phase.RUNNING:
            progress.take_probe(draft, draft.runs[name])
    control.take_requests(draft)
    halting.halt_spent(draft)
    halting.halt_parked(draft)
    edits.reconcile(draft)
    follow.follow_up(draft)
    intake.bring_in(draft)
    for name in sorted(draft.live):
        progress.keep_deadlines(draft, draft.runs[name])
    parking.unpark(draft)
    health.assess_health(draft)
    admit.start_tasks(draft)
    health.remove_trees(draft)
    tell.tell_issues(draft)
    follow.retire_branches(draft)
    watch.poll_forge(draft)
    ledger.save_ledger(draft)
    _tidy_up(draft)
    warming.warm_up(draft)
    draft.wake(seen.now + min(policy.poll_interval, seen.document_again))
    if seen.unseen or seen.document is None:
        draft.wake(seen.now + UNSEEN_SECONDS)
    return draft.decision()


def is_idle(state: State) -> bool:
    """Whether nothing is active and nothing pending can start without a person.

    A paused fleet is not idle: it will go on when it is resumed.
    """
    document = state.document
    if document is None or document.unnamed or state.live or state.plan.active:
        return False
    if any(not _is_hopeless(state, document, request) for request in state.requests):
        return False
    if not state.forge.idle:
        return False
    return len(state.unstartable.keys() | (state.forge.held.keys() & set(state.plan.ready))) == len(
        state.plan.ready
    )


def _is_hopeless(state: State, document: Document, request: Request) -> bool:
    """Whether a request waits for something that only a person can bring about."""
    if isinstance(request, SendRequest) and (not request.restart or request.id in state.stuck):
        return True  # It waits for an attempt, and brings none about.
    if not isinstance(request, RetryRequest | SendRequest) or request.task not in document.tasks:
        return isinstance(request, SendRequest)
    pending = document.tasks[request.task].mark.status is Status.PENDING
    startable = request.task in state.plan.ready and request.task not in state.unstartable
    return pending and not startable


def is_drained(state: State, policy: Policy) -> bool:
    """Whether a coordinator that was told to end may end now."""
    if not state.draining:
        return False
    if state.draining >= LAST_SIGNAL or (state.draining == 1 and policy.drain is Drain.LEAVE):
        return True
    unwritten = set(state.plan.active) - state.live
    return not unwritten and all(_can_be_left(state.runs[name]) for name in state.live)


def _can_be_left(run: Run) -> bool:
    """Whether the next start takes a run up as if nothing had happened: no worker runs, no step either."""
    return run.phase in BEFORE_LAUNCH or (run.phase in progress.AFTERWARDS and run.retry_at is not None)


def _take_result(draft: Draft, result: Result) -> None:
    action, failure = result.action, result.failure
    warming.take_result(draft, result)
    match action:
        case WriteTasks():
            if failure is not None:
                draft.change(retry_writes_at=draft.now + WRITE_RETRY_SECONDS)
                draft.wake(draft.now + WRITE_RETRY_SECONDS)
            elif result.value is draft.before.document:
                # Nothing could be changed (a person was quicker): do not write in a circle.
                draft.change(retry_writes_at=draft.now + WRITE_RETRY_SECONDS)
            draft.notice("tasks.md", failure.message if failure else None)
        case Remove(task):
            if failure is not None:
                draft.count(worktree_errors=1)
                draft.note("error", failure.message, task=task)
                if not failure.permanent:
                    at = draft.now + (failure.retry_after or REMOVE_RETRY_SECONDS)
                    draft.change(trees={**draft.state.trees, task: at})
            elif result.value:
                draft.note("saved", f"uncommitted work is kept in {result.value}", task=task)
        case Prune() | Tend():
            if failure is not None:
                draft.note("error", failure.message)
        case SavePause(reason):
            draft.notice("pause", failure.message if failure else None)
            if failure is not None:
                draft.change(retry_writes_at=draft.now + WRITE_RETRY_SECONDS)
                draft.wake(draft.now + WRITE_RETRY_SECONDS)
            else:
                draft.change(pause_saved=reason == draft.state.paused)
        case Dismiss():
            draft.notice("requests", failure.message if failure else None)
        case Poll() | SaveLedger() | Tell() | CloseIssue() | Rerun() | AutoMerge() | Retire():
            _take_forge_result(draft, result)
        case _:
            progress.take_result(draft, result)


def _take_forge_result(draft: Draft, result: Result) -> None:
    action, failure = result.action, result.failure
    match action:
        case Poll(wanted):
            if failure is not None:
                watch.take_failure(draft, failure)
            else:
                watch.take_sight(draft, wanted, cast("Sight", result.value))
        case SaveLedger(known):
            ledger.take_saved(draft, known, failure, draft.now + WRITE_RETRY_SECONDS)
        case Tell() | CloseIssue():
            tell.take_told(draft, action, failure)
        case Rerun() | AutoMerge():
            follow.take_done(draft, action, failure)
        case Retire():
            follow.take_retired(draft, action, cast("str", result.value or ""), failure)
        case _:
            raise AssertionError(action)


def _tell_unseen(draft: Draft) -> None:
    """Show what cannot be looked at, and say it once when it begins."""
    unseen = draft.seen.unseen
    for about in unseen.keys() | draft.state.unseen:
        draft.notice(f"look: {about}", unseen.get(about))
    for about in sorted(unseen.keys() - draft.state.unseen):
        draft.note("error", unseen[about])
    if unseen.keys() != draft.state.unseen:
        draft.change(unseen=frozenset(unseen))


def _tidy_up(draft: Draft) -> None:
    """Once a day, and at the start."""
    today = draft.today
    if today != draft.state.pruned and not draft.state.draining:
        draft.change(pruned=today)
        draft.act(Prune(draft.policy.keep_days, draft.now))
        draft.act(Tend())
