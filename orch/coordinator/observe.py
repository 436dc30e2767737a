"""Looks at the world. What cannot be seen now is left out, which never means that it is gone."""

import logging
import signal
import time

from orch.core.actions import Result
from orch.core.model import Phase, Request, RunKey
from orch.core.state import Probe, Seen, Signalled, State, Wake
from orch.errors import OrchError
from orch.ports import Ports

log = logging.getLogger(__name__)


def observe(ports: Ports, state: State, wakes: tuple[Wake, ...]) -> Seen:
    """One look: files, workers, the machine, and what the wakes brought."""
    numbers = [wake.number for wake in wakes if isinstance(wake, Signalled)]
    now = ports.clock.now()
    reading = ports.tasks.read()
    return Seen(
        now=now,
        utc_offset=time.localtime(now).tm_gmtoff,
        document=reading.document if reading else None,
        document_age=reading.age if reading else 0.0,
        requests=_read_requests(ports),
        probes=_probe(ports, state),
        results=tuple(wake for wake in wakes if isinstance(wake, Result)),
        toggles=numbers.count(signal.SIGUSR1),
        terminations=numbers.count(signal.SIGTERM) + numbers.count(signal.SIGINT),
        resources=ports.machine.resources(),
        agent_problems={
            name: problem for name, agent in ports.agents.items() if (problem := agent.problem())
        },
    )


def _read_requests(ports: Ports) -> tuple[Request, ...] | None:
    try:
        return ports.requests.read()
    except (OrchError, OSError) as error:
        log.warning("could not look at the requests: %s", error)
        return None


def _probe(ports: Ports, state: State) -> dict[RunKey, Probe]:
    probes = {}
    for name in state.live:
        run = state.runs[name]
        if run.phase is Phase.RUNNING:
            try:
                probes[run.key] = ports.executor.probe(run.key)
            except (OrchError, OSError) as error:
                log.warning("could not look at a worker: %s", error, extra={"run": str(run.key)})
    return probes
