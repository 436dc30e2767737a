"""Tells what the coordinator does: the snapshot, events.jsonl, the log, the hooks."""

import logging
from collections.abc import Collection, Mapping

from orch.core.announce import announcements
from orch.core.model import Policy, RunKey
from orch.core.state import Snapshot, State
from orch.ports import Ports

log = logging.getLogger(__name__)

LEVELS = {
    "problem": logging.WARNING,
    "failed": logging.WARNING,
    "blocked": logging.WARNING,
    "stalled": logging.WARNING,
    "error": logging.ERROR,
    "health": logging.ERROR,
}


def make_snapshot(
    ports: Ports, state: State, policy: Policy, *, pid: int = 0, started_at: float = 0.0
) -> Snapshot:
    """An immutable picture of a state. `pid` and `started_at` are the coordinator's, 0 for none."""
    return Snapshot(
        at=ports.clock.now(),
        document=state.document,
        runs=state.runs,
        metrics=state.metrics,
        health=state.health,
        paused=state.paused,
        draining=state.draining > 0,
        pid=pid,
        started_at=started_at,
        max_workers=policy.max_concurrent_workers,
        live=state.live,
        waiting={**state.waiting, **state.forge.held},
        problems=(*(state.document.problems if state.document else ()), *state.plan.problems),
        notices=state.notices,
        awaiting=state.forge.awaiting,
        reviews=state.forge.reviews,
        usage=state.forge.sight.usage,
        activity={name: state.activities[name] for name in sorted(state.live & state.activities.keys())},
        parked=state.parked,
        spending=state.spending,
    )


def record(ports: Ports, before: State, state: State) -> None:
    """Log, keep and announce what has happened in the turn that led from `before` to `state`.

    Where it lacks memory it may be repeated: the log may then say something twice.
    """
    news = announcements(before, state) if state.events else []
    for event in state.events:
        run = RunKey(event.task, event.attempt) if event.attempt else None
        context = {"task": event.task, "run": run}
        log.log(LEVELS.get(event.kind, logging.INFO), "%s %s", event.kind, event.message, extra=context)
    _log_notices(before.notices, state.notices, {event.message for event in state.events})
    if state.events:
        ports.events.append(state.events)
        if news:
            ports.announcer.announce(news)


def _log_notices(before: Mapping[str, str], now: Mapping[str, str], said: Collection[str]) -> None:
    """Log what begins and what is over. What only changes its figures is the same."""
    for about in now.keys() - before.keys():
        if now[about] not in said:
            log.warning("%s", now[about])
    for about in before.keys() - now.keys():
        log.info("over: %s", before[about])
