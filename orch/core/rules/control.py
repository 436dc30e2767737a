"""What people ask for: pause, drain, stop, retry. Pure."""

from orch.core.actions import Dismiss, SetMark
from orch.core.draft import Draft
from orch.core.model import (
    BEFORE_LAUNCH,
    ApproveRequest,
    Drain,
    Mark,
    OutcomeKind,
    PauseRequest,
    Phase,
    RetryRequest,
    SendRequest,
    Status,
    Stopping,
    StopRequest,
)
from orch.core.rules import budgets, edits, intake, pause, progress

STOPPABLE = BEFORE_LAUNCH | {Phase.STARTING, Phase.RUNNING, Phase.VERIFYING}
BY_SIGNAL = "paused by SIGUSR1"


def take_signals(draft: Draft) -> None:
    """SIGUSR1 toggles the pause; SIGTERM and SIGINT drain, and the second one stops the workers."""
    seen = draft.seen
    if seen.toggles % 2:
        pause.set_paused(draft, BY_SIGNAL if draft.state.paused is None else None)
    if seen.terminations:
        draft.change(draining=draft.state.draining + seen.terminations)
        if draft.before.draining == 0:
            draft.note("draining", "nothing more is launched")
    if draft.state.draining > 1 or (draft.state.draining and draft.policy.drain is Drain.STOP):
        stopping = Stopping("orch was stopped", draft.now, now=True, then=OutcomeKind.INTERRUPTED)
        for name in sorted(draft.live):
            # A worker that is over has nothing to be stopped: the next start goes on with its work.
            if draft.runs[name].phase in STOPPABLE:
                progress.stop(draft, draft.runs[name], stopping)


def take_requests(draft: Draft) -> None:
    """Carry out what the command line asked for; a request stays until its effect is on disk."""
    if not draft.before.pause_saved and not draft.state.pause_saved:
        pause.save(draft)  # The disk refused the last time.
    if draft.seen.requests is not None:
        draft.change(requests=draft.seen.requests)
    messages = [request for request in draft.state.requests if isinstance(request, SendRequest)]
    stuck = {message.id for message in messages if _is_stuck(draft, message)}
    if stuck != draft.state.stuck:
        draft.change(stuck=frozenset(stuck))
    for request in draft.state.requests:
        if isinstance(request, PauseRequest):
            _take_pause(draft, request)
        elif isinstance(request, StopRequest):
            _take_stop(draft, request)
        elif isinstance(request, ApproveRequest):
            intake.approve(draft, request)
        elif isinstance(request, SendRequest):
            _take_message(draft, request)
        else:
            _take_retry(draft, request)


def _take_pause(draft: Draft, request: PauseRequest) -> None:
    pause.set_paused(draft, (request.reason or "paused by orch pause") if request.paused else None)
    if draft.state.pause_saved and (draft.before.paused is not None) == request.paused:
        draft.act(Dismiss(request))


def _take_stop(draft: Draft, request: StopRequest) -> None:
    names = [request.task] if request.task else sorted(draft.live)
    stopping = Stopping(request.reason, draft.now, now=request.now)
    live = [name for name in names if name in draft.live]
    for name in live:
        progress.stop(draft, draft.runs[name], stopping)
    task = draft.task(request.task)
    if draft.state.document is None and not live:
        return  # tasks.md could not be read yet.
    if not live and task is not None and task.mark.status is Status.PENDING:
        fields = (
            ("Blocked", draft.stamp(draft.now)),
            ("Reason", " ".join(request.reason.split())),
            ("Retry at", None),
        )
        draft.write(SetMark(task.id, task.mark, Mark(Status.BLOCKED), fields))
    elif not live and (task is None or task.mark.status is not Status.ACTIVE):
        draft.act(Dismiss(request))


def _take_retry(draft: Draft, request: RetryRequest) -> None:
    task = draft.task(request.task)
    if draft.state.document is None:
        return
    if task is None or request.task in draft.live:
        # Its run directory is there (admit has seen the request), or there is nothing to retry.
        if task is None or draft.runs[request.task].phase is not Phase.CLAIMING:
            draft.act(Dismiss(request))
    elif task.mark.status not in (Status.PENDING, Status.ACTIVE):
        if budgets.block_spent(draft, task):
            draft.act(Dismiss(request))  # Not before its budget is raised.
        else:
            edits.take_back(draft, task)


def _is_stuck(draft: Draft, message: SendRequest) -> bool:
    """Whether a message is to bring an attempt about that the task's budget forbids."""
    task = draft.task(message.task)
    return message.restart and task is not None and bool(budgets.task_excess(draft, task))


def _take_message(draft: Draft, request: SendRequest) -> None:
    """A message waits for the next attempt; with `restart` that one is brought about."""
    task = draft.task(request.task)
    run = draft.runs.get(request.task)
    if run is not None and request.id in (run.outcome.taken if run.outcome else run.claim.taken):
        if run.phase is not Phase.CLAIMING:  # Its run directory is there.
            draft.act(Dismiss(request))
    elif not request.restart or task is None or request.id in draft.state.stuck:
        return
    elif run is not None and run.live:
        stopping = Stopping("stopped for a message", draft.now, now=True, then=OutcomeKind.INTERRUPTED)
        progress.stop(draft, run, stopping)
    elif task.mark.status not in (Status.PENDING, Status.ACTIVE) and draft.recall(request.task):
        edits.take_back(draft, task)
