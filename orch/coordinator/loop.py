"""The loop: observe, decide, act, record, wait."""

import logging
import math
import os
import signal
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from orch.coordinator.act import act
from orch.coordinator.background import THREADS, Background
from orch.coordinator.mailbox import Mailbox
from orch.coordinator.observe import observe
from orch.coordinator.record import make_snapshot, record
from orch.core.decide import decide, is_drained, is_idle
from orch.core.draft import take_up
from orch.core.forge import ForgeState
from orch.core.metrics import Health, Metrics, assess
from orch.core.model import OutcomeKind, Policy, StopRequest
from orch.core.names import branch_name, number_of
from orch.core.rules import parking
from orch.core.state import Signalled, Snapshot, State, Wake
from orch.core.values import dataclass
from orch.errors import OrchError, TransientError
from orch.ports import Life, Ports

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

SHOW_SECONDS = 0.25
"""While results come in one after the other, what the turns came to is written and shown this often."""
MEMORY_SECONDS = 1.0
"""What lacks memory is tried again after this: nobody tells when there is some."""
RENEWED_SECONDS = 1.0
"""The files of orch were removed: whoever does that may still be at it, so they are looked at again soon."""
MOST_WAITING = 16
"""So many threads may wait for a forge elsewhere, besides those for git."""
LEAVE_SECONDS = 5.0
"""A drained coordinator waits this long for git and the forge; what is cut off is done again later. Then it
waits as long for hooks; those that are left are ended."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a configuration comes to; made anew by SIGHUP."""

    ports: Ports
    policy: Policy
    files: tuple[Path, ...] = ()
    """Files whose saving wakes the coordinator."""
    folders: tuple[Path, ...] = ()
    """Folders in which anything new wakes the coordinator."""


def recover(ports: Ports, policy: Policy) -> State:
    """What the coordinator knows at its start, from what lies on disk."""
    runs = dict(ports.runs.load())
    for name, run in runs.items():
        if not run.claim.branch:
            # Its claim.json was damaged: the name is what it would have been.
            branch = branch_name(name, run.claim.title)
            run = run.evolve(claim=replace(run.claim, branch=branch))  # noqa: PLW2901
        runs[name] = take_up(run)
    now = ports.clock.now()
    trees = {}
    for name in ports.worktrees.list():
        last = runs.get(name)
        outcome = last.outcome if last else None
        if outcome is None or outcome.retry_at is not None:
            continue
        if outcome.kind is OutcomeKind.COMPLETED:
            trees[name] = now
        elif policy.keep_failed_seconds is not None:
            trees[name] = outcome.ended_at + policy.keep_failed_seconds
    metrics = ports.metrics.read() or Metrics()
    found = assess(metrics)
    ledger = ports.ledger.read()
    return State(
        runs=runs,
        live=frozenset(name for name, run in runs.items() if run.live),
        highest_id=max(map(number_of, runs), default=0),
        trees=trees,
        parked=parking.recover(runs.values(), now),
        spending=ports.costs.read(now, [run.key for run in runs.values() if run.live]),
        paused=ports.requests.paused(),
        forge=ForgeState(ledger=ledger, saved=ledger),
        metrics=metrics,
        # What was acted on before is not acted on again because of a restart.
        alarm=found if found in (Health.DEGRADED, Health.CRITICAL) else Health.OK,
    )


def tick(
    ports: Ports,
    state: State,
    wakes: tuple[Wake, ...],
    policy: Policy,
    background: Background,
    post: Callable[[Wake], None],
) -> tuple[State, float]:
    """One turn. Gives the next state and when to look again at the latest (seconds since the epoch)."""
    decision = decide(state, observe(ports, state, wakes), policy)
    act(ports, decision.actions, background, post)
    return decision.state, decision.wake_at


class Coordinator:
    """Runs the loop until it is told to end."""

    def __init__(
        self,
        setup: Setup,
        *,
        presence: AbstractContextManager[object],
        reload: Callable[[], Setup],
        mailbox: Mailbox,
        on_snapshot: Callable[[Snapshot], None] | None = None,
        refresh: float = math.inf,
        renew: Callable[[], bool] = lambda: False,
    ) -> None:
        """`presence` is the project's lock and pid file; `reload` reads the configuration again.

        `renew` is called before each turn: it takes the lock again where somebody has removed its file, and
        says whether that was so. What it raises but TransientError ends the loop.

        `on_snapshot` is called from the loop after each turn (where one follows the other, four times a
        second), and must be quick; while workers are live there is a turn every `refresh` seconds, for
        someone who looks on.
        """
        self._setup = setup
        self._presence = presence
        self._reload = reload
        self._mailbox = mailbox
        self._on_snapshot = on_snapshot
        self._refresh = refresh
        self._renew = renew
        self._background = Background(mailbox.post, threads=count_threads(setup.policy))
        self._started_at = setup.ports.clock.now()
        self._interrupted = False
        self._launches = True
        self._complaint = ""

    def run(self, *, until_idle: bool = False) -> int:
        """Work on the queue until drained, or until idle. Gives the exit code: 0, or 130 after ^C.

        Raises ConfigError where another coordinator holds the lock.
        """
        self._loop(lambda state: until_idle and is_idle(state))
        return 128 + signal.SIGINT if self._interrupted else 0

    def finish_stops(self, tasks: Collection[str]) -> None:
        """Carry out the stops that were asked for while no coordinator ran, and launch nothing."""
        self._launches = False
        self._loop(lambda state: _are_stopped(state, tasks))

    def _loop(self, done: Callable[[State], bool]) -> State:
        # Handlers first: whoever reads the pid may send a signal at once.
        with self._mailbox, self._presence:
            self._watch()
            state = recover(self._setup.ports, self._policy)
            wakes: tuple[Wake, ...] = ()
            shown_at = -math.inf
            self._tell(Life.READY, state)
            while True:
                before = state
                state, wake_at, renewed = self._insist(self._turn, before, wakes)
                ports = self._setup.ports
                self._insist(record, ports, before, state)
                self._insist(self._tell, Life.STOPPING if state.draining else Life.ALIVE, state)
                drained = self._insist(is_drained, state, self._policy)
                if drained or not self._mailbox.waiting or time.monotonic() - shown_at > SHOW_SECONDS:
                    self._insist(self._show, state)
                    shown_at = time.monotonic()
                if self._insist(lambda: not self._is_busy and done(state)):  # noqa: B023  called at once
                    break
                if drained:
                    self._leave()
                    break
                soon = RENEWED_SECONDS if renewed else ports.supervisor.interval
                timeout = min(wake_at - ports.clock.now(), soon)
                wakes = self._wait(min(timeout, self._refresh) if state.live else timeout)
            self._tell(Life.STOPPING, state)
            self._setup.ports.announcer.close(LEAVE_SECONDS)
            return state

    def _turn(self, state: State, wakes: tuple[Wake, ...]) -> tuple[State, float, bool]:
        """What `tick` gives, and whether files of orch were removed. Cut short it is safe to repeat."""
        self._interrupted |= Signalled(signal.SIGINT) in wakes
        if self._reload_if_asked(wakes):
            state = state.evolve(document=None)  # It is read anew under the new settings.
        renewed = self._renew_presence()
        ports, post = self._setup.ports, self._mailbox.post
        return *tick(ports, state, wakes, self._policy, self._background, post), renewed

    def _wait(self, timeout: float) -> tuple[Wake, ...]:
        try:
            return self._mailbox.wait(timeout)
        except MemoryError:
            _complain()
        self._mailbox.rest(MEMORY_SECONDS)
        return ()  # What was posted is still there, and a turn sees what was saved.

    def _insist(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do a step of the loop, and where it lacks memory do it again after a while, until there is some.

        It must be safe to repeat. Gives what it gives, and raises what else it raises.
        """
        while True:
            try:
                return step(*args, **kwargs)
            except MemoryError:
                _complain()
            # Not before here is free what the step had.
            self._mailbox.rest(MEMORY_SECONDS)

    @property
    def _is_busy(self) -> bool:
        """Whether something is under way that the end of the loop would cut off."""
        announced = self._setup.ports.announcer.pending
        return bool(self._mailbox.waiting or self._background.pending or announced)

    def _tell(self, life: Life, state: State) -> None:
        """Tell the supervisor how it stands."""
        waits = f"paused: {state.paused}" if state.paused is not None else f"{len(state.plan.ready)} ready"
        self._setup.ports.supervisor.tell(life, f"{len(state.live)} at work, {waits}")

    @property
    def _policy(self) -> Policy:
        policy = self._setup.policy
        return policy if self._launches else policy.evolve(max_concurrent_workers=0)

    def _renew_presence(self) -> bool:
        """Whether something was, or is, missing: then it is looked at again soon."""
        try:
            if not self._renew():
                return False
            log.warning("the files of orch were removed while it ran; what it knows it goes on with")
            self._watch()
        except TransientError as error:
            log.error("%s", error)  # noqa: TRY400
        return True

    def _watch(self) -> None:
        self._mailbox.watch(self._setup.files, self._setup.folders)

    def _reload_if_asked(self, wakes: tuple[Wake, ...]) -> bool:
        if Signalled(signal.SIGHUP) not in wakes:
            return False
        self._setup.ports.supervisor.tell(Life.RELOADING)
        try:
            self._setup = self._reload()
        except OrchError as error:
            log.error("config.toml was not reloaded, the last good one stays: %s", error)  # noqa: TRY400
            return False
        finally:
            self._setup.ports.supervisor.tell(Life.READY)
        self._watch()
        log.info("config.toml was reloaded")
        return True

    def _show(self, state: State) -> None:
        """Write and show the state; a full disk must not end the loop."""
        ports = self._setup.ports
        snapshot = make_snapshot(
            ports,
            state,
            self._setup.policy,
            pid=os.getpid(),
            started_at=self._started_at,
        )
        complaint = ""
        try:
            ports.metrics.write(snapshot)
        except (OrchError, OSError) as error:
            complaint = f"metrics.json was not written: {error}"
        if complaint and complaint != self._complaint:
            log.warning(complaint)
        self._complaint = complaint
        if self._on_snapshot is not None:
            self._on_snapshot(snapshot)

    def _leave(self) -> None:
        """Let what is under way come to its end, for a while; the next start does the rest."""
        if not self._background.wait_until_idle(LEAVE_SECONDS):
            log.warning("left git or the forge in the middle; the next start goes on from there")


def _complain() -> None:
    """Say that memory is lacking, if there is enough for that."""
    try:
        log.error("orch gets no more memory; it waits for some")
    except MemoryError:
        return  # The next time it may be said.


def count_threads(policy: Policy) -> int:
    """How many threads there are for slow calls.

    A forge elsewhere may be silent for many seconds: then each task may hold a thread of its own, and
    those for git and the disk are left.
    """
    remote = policy.forge.intake or policy.forge.follow
    return THREADS + min(policy.max_concurrent_workers, MOST_WAITING) if remote else THREADS


def _are_stopped(state: State, tasks: Collection[str]) -> bool:
    if any(isinstance(request, StopRequest) for request in state.requests):
        return False
    return not any(name in state.live or name in state.plan.active for name in tasks)
