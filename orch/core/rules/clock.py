"""What becomes of everything that waits when the clock is set back. Pure.

Times are those of the wall clock, because they are written down and outlive the coordinator. A clock that
was ahead (no battery, a wrong time server) would otherwise hold up the queue until it is there again.
"""

from orch.core.draft import Draft
from orch.core.model import OutcomeKind, Run
from orch.core.rules import parking

SLACK_SECONDS = 1.0
"""By less than this a clock is only corrected: nothing waits notably longer for it."""


def follow_clock(draft: Draft) -> None:
    """Have nothing wait longer than it would have, if the clock was set back since the last look."""
    looked_at = draft.state.looked_at
    back = looked_at - draft.now
    draft.change(looked_at=draft.now)
    if back > SLACK_SECONDS:
        draft.note("clock", f"the clock was set back by {back:.0f} s")
        _shift(draft, back)
    if back > SLACK_SECONDS or not looked_at:
        _free_retries(draft)


def _shift(draft: Draft, back: float) -> None:
    state = draft.state
    draft.change(
        retry_writes_at=state.retry_writes_at - back,
        polled_at=state.polled_at - back,
        trees={task: at - back for task, at in state.trees.items()},
        queued={task: at - back for task, at in state.queued.items()},
        parked={lane: parking.shift(parked, back) for lane, parked in state.parked.items()},
    )
    for name in sorted(draft.live):
        draft.put(_shift_run(draft.runs[name], back))


def _shift_run(run: Run, back: float) -> Run:
    stopping = run.stopping
    if stopping is not None:
        stopping = stopping.evolve(since=stopping.since - back, ended_at=_earlier(stopping.ended_at, back))
    return run.evolve(
        retry_at=_earlier(run.retry_at, back),
        missing_since=_earlier(run.missing_since, back),
        stopping=stopping,
    )


def _earlier(at: float | None, back: float) -> float | None:
    return None if at is None else at - back


def _free_retries(draft: Draft) -> None:
    """Let those go on that wait since a time which has not come yet.

    It may have been set back while no coordinator ran. A usage limit is left alone: when it ends was said by
    somebody else's clock.
    """
    for name in sorted(draft.runs.keys() - draft.live):
        run = draft.runs[name]
        outcome = run.outcome
        if outcome is None or outcome.retry_at is None or outcome.kind is OutcomeKind.LIMITED:
            continue
        if outcome.ended_at > draft.now + SLACK_SECONDS:
            draft.put(run.evolve(outcome=outcome.evolve(retry_at=draft.now)))
