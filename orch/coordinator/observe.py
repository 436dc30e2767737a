"""Looks at the world. What cannot be seen now is left out, which never means that it is gone."""

import contextlib
import math
import signal
import time
from collections.abc import Callable
from typing import TypeVar

from orch.core.actions import Result
from orch.core.model import Activity, Phase, Run, RunKey
from orch.core.state import Probe, Seen, Signalled, State, Wake
from orch.errors import OrchError
from orch.ports import Ports

_Seen = TypeVar("_Seen")


def observe(ports: Ports, state: State, wakes: tuple[Wake, ...]) -> Seen:
    """One look: files, workers, the machine, and what the wakes brought."""
    numbers = [wake.number for wake in wakes if isinstance(wake, Signalled)]
    now = ports.clock.now()
    unseen: dict[str, str] = {}
    resources = ports.machine.resources()
    reading = _try("tasks.md", ports.tasks.read, unseen)
    if reading is None:
        why = resources.problem or "it is missing or nobody may read it; `orch init` writes a new one"
        unseen.setdefault("tasks.md", f"tasks.md cannot be read: {why}")
    return Seen(
        now=now,
        utc_offset=time.localtime(now).tm_gmtoff,
        document=reading.document if reading else None,
        document_age=reading.age if reading else 0.0,
        document_again=reading.again if reading else math.inf,
        requests=_try(".orch/requests", ports.requests.read, unseen),
        probes=_probe(ports, state, unseen),
        activities=_look_on(ports, state),
        recalled=_recall(ports, state, unseen),
        results=tuple(wake for wake in wakes if isinstance(wake, Result)),
        toggles=numbers.count(signal.SIGUSR1),
        terminations=numbers.count(signal.SIGTERM) + numbers.count(signal.SIGINT),
        resources=resources,
        agent_problems={
            name: problem for name, agent in ports.agents.items() if (problem := agent.problem())
        },
        unseen=unseen,
    )


def _try(about: str, look: Callable[[], _Seen | None], unseen: dict[str, str]) -> _Seen | None:
    """What a look finds; None, and why, where it could not look."""
    try:
        return look()
    except (OrchError, OSError) as error:
        unseen[about] = f"could not look at {about}: {error}"
        return None


def _recall(ports: Ports, state: State, unseen: dict[str, str]) -> dict[str, Run | None]:
    if not state.recall:
        return {}
    found = _try("the run directories", lambda: ports.runs.load(state.recall), unseen)
    return {} if found is None else {name: found.get(name) for name in state.recall}


def _look_on(ports: Ports, state: State) -> dict[str, Activity]:
    activities: dict[str, Activity] = {}
    for name in state.live:
        run = state.runs[name]
        agent = ports.agents.get(run.claim.agent)
        if agent is not None:
            # It is only for looking on; what is wrong with the disk is said elsewhere.
            with contextlib.suppress(OrchError, OSError):
                activities[name] = agent.activity(ports.runs.directory(run.key))
    return activities


def _probe(ports: Ports, state: State, unseen: dict[str, str]) -> dict[RunKey, Probe]:
    probes: dict[RunKey, Probe] = {}
    for name in state.live:
        key = state.runs[name].key
        if state.runs[name].phase is Phase.RUNNING:
            try:
                probes[key] = ports.executor.probe(key)
            except (OrchError, OSError) as error:
                unseen[f"the worker of {name}"] = f"could not look at the worker of {name}: {error}"
    return probes
