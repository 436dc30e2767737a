"""Which agents wait for their usage limit, who takes over, and who tries whether it is over. Pure.

Where the agent said when its limit ends, everything of it waits until then and comes back one after
the other. Where it did not, one worker tries after a while, longer each time; as soon as the API
answers it the others follow.
"""

from collections.abc import Iterable

from orch.core import names
from orch.core.draft import Draft
from orch.core.model import MODEL, Activity, Claim, Outcome, OutcomeKind, Parking, Run, Task, Verdict
from orch.core.rules import retry
from orch.core.values import dataclass

PROBE_SECONDS = 60.0
"""Until the first try where nobody knows when a limit ends; each further one comes after twice as long."""
PROBE_MAX_SECONDS = 3600.0
LONGEST_SECONDS = 8 * 86_400.0
"""Usage limits last a week at most. An agent that names a later end is not believed."""
SPREAD_SHARE = 0.1
"""Over this share of the wait the workers come back, one after the other..."""
SPREAD_SECONDS = 60.0
"""...but not over more than this."""
LIMIT = "limit: "
"""What the notices about parked agents are kept under."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Who works on a task."""

    agent: str
    model: str = ""
    lane: str = ""
    """As in a Claim."""
    parked: tuple[Parking, ...] = ()
    """The limits that made it another one than the task's."""


def lane_of(claim: Claim) -> str:
    """Whose usage limit an attempt is under."""
    return claim.lane or claim.agent


def park(draft: Draft, run: Run, verdict: Verdict) -> Parking:
    """An attempt ran into a usage limit: its agent waits. Gives until when."""
    lane, now, told = lane_of(run.claim), draft.now, verdict.retry_at
    known = draft.state.parked.get(lane)
    limit = verdict.limit or verdict.reason or "usage limit"
    # What came back after an earlier limit does not show that this one is over.
    goes_on = known is not None and (known.tries > 0 or now < known.until)
    since = known.since if known is not None and goes_on else now
    if told is not None and now < told <= now + LONGEST_SECONDS:
        # Of several limits the last one to end counts.
        until = max(told, known.until) if known is not None and not known.tries else told
        parking = Parking(lane, since, until, limit=limit)
    elif known is not None and goes_on and (now < known.until or run.claim.claimed_at <= known.since):
        return known  # It was under way when the limit came, and tells nothing new.
    else:
        tries = known.tries + 1 if known is not None and goes_on else 1
        delay = min(PROBE_SECONDS * 2.0 ** min(tries - 1, 16), PROBE_MAX_SECONDS)
        delay *= 1 - retry.JITTER * names.jitter(lane, tries)
        parking = Parking(lane, since, now + delay, tries, limit)
    draft.change(parked={**draft.state.parked, lane: parking})
    if not goes_on:
        draft.note("limited", describe(draft, parking), run.key)
    return parking


def recover(runs: Iterable[Run], now: float) -> dict[str, Parking]:
    """The parked agents by lane, from the latest run of each task as it lies on disk."""
    runs = list(runs)
    found: dict[str, Parking] = {}
    for run in runs:
        for parking in run.outcome.parked if run.outcome else run.claim.parked:
            known = found.get(parking.lane)
            if known is None or (parking.until, parking.tries) > (known.until, known.tries):
                found[parking.lane] = parking
    for run in runs:
        outcome = run.outcome
        known = found.get(outcome.lane or outcome.agent) if outcome else None
        if outcome and known and _is_answered(outcome) and outcome.claimed_at > known.since:
            del found[known.lane]
    believed = {lane: _believe(parking, now) for lane, parking in found.items()}
    return {lane: parking for lane, parking in believed.items() if not _is_over(parking, now)}


def shift(parking: Parking, back: float) -> Parking:
    """A parking after the clock was set back by so many seconds."""
    # When a limit ends was said by somebody else's clock; when it is tried again, by ours.
    until = parking.until - back if parking.tries else parking.until
    return parking.evolve(since=parking.since - back, until=until)


def unpark(draft: Draft) -> None:
    """Let agents go on whose limit is over, and show the others."""
    for lane, parking in draft.state.parked.items():
        if _is_over(parking, draft.now):
            _forget(draft, lane)
        elif any(_answers(draft.state.activities.get(run.key.task)) for run in _tries(draft, parking)):
            _release(draft, parking)
    told = {LIMIT + lane: describe(draft, parking) for lane, parking in draft.state.parked.items()}
    for about in [name for name in draft.state.notices if name.startswith(LIMIT) and name not in told]:
        draft.notice(about, None)
    for about, text in told.items():
        draft.notice(about, text or None)


def learn(draft: Draft, run: Run, outcome: Outcome) -> None:
    """Take in how an attempt ended: one that its agent worked on shows that the limit is over."""
    parking = draft.state.parked.get(lane_of(run.claim))
    if parking is not None and _is_answered(outcome) and run.claim.claimed_at > parking.since:
        _release(draft, parking)


def wanted(draft: Draft, task: Task) -> Choice:
    """Who is to work on a task, parked or not."""
    return Choice(task.agent or draft.policy.default_agent, task.model)


def choose(draft: Draft, task: Task, *, asked: bool) -> Choice | None:
    """Who works on a task now; None where nobody can before the next look, for which it asks.

    With `asked` a person wants it now: then it is this task that tries whether the limit is over.
    """
    choice = wanted(draft, task)
    passed: list[Parking] = []
    visited = {choice.agent}
    while True:
        parking = draft.state.parked.get(choice.lane or choice.agent)
        if parking is None or _may_start(draft, parking, task.id, asked=asked):
            return Choice(choice.agent, choice.model, choice.lane, tuple(passed))
        passed.append(parking)
        fallback = "" if choice.lane else draft.policy.fallbacks.get(choice.agent, "")
        if fallback.startswith(MODEL):
            choice = Choice(choice.agent, fallback.removeprefix(MODEL), f"{choice.agent} {fallback}")
        elif fallback and fallback not in visited and _is_usable(draft, fallback):
            visited.add(fallback)
            choice = Choice(fallback)
        else:
            return None


def is_all_parked(draft: Draft) -> bool:
    """Whether no task of the queue can start for usage limits: then none needs to be looked at.

    Only the agents count, so that a long queue that waits costs nothing.
    """
    state = draft.state
    return bool(state.parked) and all(
        agent in state.parked and not draft.policy.fallbacks.get(agent) and _is_closed(draft, agent)
        for agent in state.wanted
    )


def describe(draft: Draft, parking: Parking) -> str:
    """`claude limited until 13:06 (42 min): 5-hour limit`; '' while its workers come back."""
    left = parking.until - draft.now
    head = f"{parking.lane} limited"
    if parking.tries:
        trying = next(iter(_tries(draft, parking)), None)
        if trying is not None:
            head += f"; {trying.key.task} tries whether it still is"
        elif left > 0:
            head += f"; tried again at {_clock(draft, parking.until)} ({_span(left)})"
        else:
            head += "; the next task tries whether it still is"
    elif left <= 0:
        return ""
    else:
        head += f" until {_clock(draft, parking.until)} ({_span(left)})"
    return f"{head}: {parking.limit}"


def opens_at(parking: Parking, task: str) -> float:
    """When a task of a parked agent may start, seconds since the epoch."""
    if parking.tries:
        return parking.until
    return parking.until + _spread(parking) * names.jitter(task, int(parking.until))


def _may_start(draft: Draft, parking: Parking, task: str, *, asked: bool) -> bool:
    early = draft.now < parking.until
    if (early or parking.tries) and any(True for _ in _tries(draft, parking)):
        return False
    if asked:
        return True
    at = opens_at(parking, task)
    if draft.now < at:
        draft.wake(at)
    return draft.now >= at


def _is_closed(draft: Draft, lane: str) -> bool:
    """Whether nothing of a parked agent may start now, whichever task."""
    parking = draft.state.parked[lane]
    if draft.now < parking.until:
        draft.wake(parking.until)
        return True
    return bool(parking.tries) and any(True for _ in _tries(draft, parking))


def _is_usable(draft: Draft, agent: str) -> bool:
    return agent in draft.policy.agents and agent not in draft.state.agent_problems


def _tries(draft: Draft, parking: Parking) -> Iterable[Run]:
    """The live attempts that were started although the agent is parked."""
    for name in sorted(draft.live):
        claim = draft.runs[name].claim
        if lane_of(claim) == parking.lane and claim.claimed_at > parking.since:
            yield draft.runs[name]


def _answers(activity: Activity | None) -> bool:
    """Whether the API answers a worker."""
    return activity is not None and activity.tokens > 0 and not activity.limit and not activity.retries


def _is_answered(outcome: Outcome) -> bool:
    """Whether an attempt that is over shows that the API answered it."""
    if outcome.kind is OutcomeKind.LIMITED:
        return False
    return outcome.kind is OutcomeKind.COMPLETED or outcome.tokens > 0


def _believe(parking: Parking, now: float) -> Parking:
    """A parking as it was written down, by a clock that may have been ahead."""
    longest = PROBE_MAX_SECONDS if parking.tries else LONGEST_SECONDS
    return parking.evolve(since=min(parking.since, now), until=min(parking.until, now + longest))


def _is_over(parking: Parking, now: float) -> bool:
    return not parking.tries and now >= parking.until + _spread(parking)


def _spread(parking: Parking) -> float:
    """Seconds over which the workers of an agent come back."""
    return min(SPREAD_SHARE * (parking.until - parking.since), SPREAD_SECONDS)


def _release(draft: Draft, parking: Parking) -> None:
    """The limit is over: the workers may come back, one after the other."""
    if not parking.tries and draft.now >= parking.until:
        return  # They do already.
    draft.note("unlimited", f"{parking.lane} works again")
    over = parking.evolve(until=draft.now, tries=0)
    draft.change(parked={**draft.state.parked, parking.lane: over})
    draft.wake(draft.now)


def _forget(draft: Draft, lane: str) -> None:
    draft.change(parked={name: known for name, known in draft.state.parked.items() if name != lane})


def _clock(draft: Draft, at: float) -> str:
    """A local time as people read it, with the date where it is not today."""
    stamp = draft.stamp(at)
    return stamp[11:16] if stamp[:10] == draft.today else stamp[:16]


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes >= 120:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min" if seconds >= 90 else f"{seconds:.0f} s"
