"""Any interleaving of what can happen: a worker is never doubled, a task is never forgotten."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orch.core.actions import Action, Failure
from orch.core.costs import Allowance, Budget, Cost
from orch.core.decide import is_idle
from orch.core.model import (
    Activity,
    Cause,
    Claim,
    EndReason,
    Evidence,
    Exit,
    Mark,
    OutcomeKind,
    Phase,
    RetryRequest,
    RunKey,
    SendRequest,
    Status,
    StopRequest,
    Verdict,
)
from tests.core.world import World

pytestmark = pytest.mark.timeout(600)
"""Thousands of steps: on a busy machine they take minutes."""
DAY = 86_400.0
pytestmark = pytest.mark.timeout(600)  # thousands of turns, on a machine that may be busy

NAMES = [f"t-{number}" for number in range(1, 6)]
EXITS = [
    (Exit(EndReason.EXITED, 0), Evidence("a" * 40, ("work",), verdict=Verdict(ok=True, cost_usd=0.5))),
    (Exit(EndReason.EXITED, 0), Evidence()),
    (Exit(EndReason.EXITED, 1), Evidence(verdict=Verdict(ok=False, reason="no"))),
    (Exit(EndReason.EXITED, 1), Evidence(blocked="why?")),
    (Exit(EndReason.SPAWN), Evidence(verdict=Verdict(ok=False, reason="missing", charged=False))),
    (Exit(EndReason.INTERRUPTED), Evidence(verdict=Verdict(ok=False, charged=False))),
    (Exit(EndReason.EXITED, 1), Evidence(verdict=Verdict(ok=False, cause=Cause.SESSION))),
    (Exit(EndReason.EXITED, 1), Evidence(verdict=Verdict(ok=False, cause=Cause.MAX_BUDGET, cost_usd=1.0))),
]

DAY_OF_POLLS = 4000
"""What waits for the next day's budget is looked at every 30 s until then."""


class Coordination(RuleBasedStateMachine):
    """A person, a machine and a forge do what they like; `decide` has to cope."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.results: list = []  # type: ignore[type-arg]
        self.failing: frozenset[str] = frozenset()
        self.sent = 0
        self.world.faults = self.fault

    def fault(self, action: Action) -> Failure | None:
        if type(action).__name__ in self.failing:
            return Failure("it failed")
        return None

    @initialize(
        workers=st.integers(1, 3),
        attempts=st.integers(1, 3),
        verify=st.booleans(),
        task=st.sampled_from([None, 1.5]),
        day=st.sampled_from([None, 1.5]),
        fallback=st.sampled_from(["", "other", "model:small"]),
    )
    def configure(
        self,
        workers: int,
        attempts: int,
        verify: bool,
        task: float | None,
        day: float | None,
        fallback: str,
    ) -> None:
        self.world.policy = self.world.policy.evolve(
            max_concurrent_workers=workers,
            max_attempts=attempts,
            verify=verify,
            agents=("sh", "other"),
            budget=Budget(Allowance(usd=task), Allowance(usd=day)),
            fallbacks={"sh": fallback} if fallback else {},
        )

    @rule()
    def tick(self) -> None:
        before = {run.key for run in self.world.state.runs.values()} | self.world.workers.keys()
        self.results = self.world.tick(tuple(self.results))
        self.check_claims(before)

    def check_claims(self, before: set[RunKey]) -> None:
        """Nothing is claimed whose dependencies were not met in the file that was seen."""
        document = self.world.state.document
        for name, run in self.world.state.runs.items():
            if document is None or run.key in before or (run.claim.follow and run.claim.follow.pull):
                continue
            self.check_claim(name, run.claim)
            for parent in document.tasks[name].after:
                assert document.tasks[parent].mark.status is Status.COMPLETED

    def check_claim(self, name: str, claim: Claim) -> None:
        """Nothing is claimed that a budget or a usage limit forbids."""
        state, policy = self.world.state, self.world.policy
        used = {name: self.world.activities.get(name, Activity()).cost_usd for name in state.live - {name}}
        day = policy.budget.day.usd
        assert day is None or state.spending.today.usd + sum(used.values()) < day, "over the day's budget"
        task = self.world.tasks.get(name)
        if task is not None and task.budget:
            assert state.spending.tasks.get(name, Cost()).usd < task.budget, "over the task's budget"
        parked = state.parked.get(claim.lane or claim.agent)
        asked = any(not isinstance(request, StopRequest) for request in state.requests)
        assert parked is None or asked or parked.until <= self.world.now, "its agent is parked"
        assert not claim.resume or claim.agent == "sh", "not its conversation"

    @rule(seconds=st.sampled_from([0.1, 1.0, 30.0, 300.0, 40_000.0]))
    def wait(self, seconds: float) -> None:
        self.world.now += seconds
        self.tick()

    @rule(name=st.sampled_from(NAMES), after=st.sets(st.sampled_from(NAMES), max_size=2))
    def add(self, name: str, after: set[str]) -> None:
        if name not in self.world.tasks:
            self.world.add(name, after=tuple(sorted(after - {name})))

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        self.world.tasks.pop(name, None)

    @rule(name=st.sampled_from(NAMES), status=st.sampled_from(Status))
    def mark(self, name: str, status: Status) -> None:
        if name in self.world.tasks:
            self.world.edit(name, Mark(status))

    @rule(name=st.sampled_from(NAMES), end=st.sampled_from(EXITS))
    def end(self, name: str, end: tuple[Exit, Evidence]) -> None:
        for key, worker in self.world.workers.items():
            if key.task == name and worker.alive:
                worker.alive, worker.exit = False, end[0]
                self.world.evidence[name] = end[1]

    @rule(name=st.sampled_from(NAMES), after=st.sampled_from([None, 100.0, 5000.0]), cost=st.floats(0, 1))
    def limit(self, name: str, after: float | None, cost: float) -> None:
        """A worker runs into a usage limit."""
        verdict = Verdict(
            ok=False,
            cause=Cause.USAGE_LIMIT,
            agent_wide=True,
            charged=False,
            retry_at=None if after is None else self.world.now + after,
            cost_usd=cost,
            session_id=f"session-{name}",
        )
        self.end(name, (Exit(EndReason.EXITED, 1), Evidence(verdict=verdict)))

    @rule(name=st.sampled_from(NAMES), usd=st.floats(0, 2.5), tokens=st.integers(0, 5))
    def use(self, name: str, usd: float, tokens: int) -> None:
        """A worker has used so much so far."""
        if name in self.world.state.live:
            self.world.activities[name] = Activity("Edit", cost_usd=usd, tokens=tokens)

    @rule(name=st.sampled_from(NAMES), budget=st.sampled_from([None, 0.0, 1.0, 50.0]))
    def set_budget(self, name: str, budget: float | None) -> None:
        if name in self.world.tasks:
            self.world.edit(name, budget=budget)

    @rule(name=st.sampled_from(NAMES), restart=st.booleans())
    def send(self, name: str, restart: bool) -> None:
        self.sent += 1
        request = SendRequest(name, f"message {self.sent}", str(self.sent), restart)
        self.world.requests = [*self.world.requests, request]

    @rule(name=st.sampled_from(NAMES))
    def lose(self, name: str) -> None:
        for key, worker in self.world.workers.items():
            if key.task == name:
                worker.alive = False

    @rule(name=st.sampled_from(NAMES), now=st.booleans())
    def stop(self, name: str, now: bool) -> None:
        self.world.requests = [*self.world.requests, StopRequest(name, "enough", now)][-3:]

    @rule(name=st.sampled_from(NAMES), fresh=st.booleans())
    def retry(self, name: str, fresh: bool) -> None:
        self.world.requests = [*self.world.requests, RetryRequest(name, fresh)][-3:]

    @rule()
    def toggle(self) -> None:
        self.results = self.world.tick(tuple(self.results), toggles=1)

    @rule(
        kinds=st.sets(
            st.sampled_from(["WriteTasks", "MakeRun", "Ensure", "Start", "Inspect", "Publish", "Finish"])
        )
    )
    def break_things(self, kinds: set[str]) -> None:
        self.failing = frozenset(kinds)

    @rule()
    def restart(self) -> None:
        self.world.restart()
        self.results = []

    @rule(readable=st.booleans())
    def hide_the_file(self, readable: bool) -> None:
        self.world.readable = readable

    @invariant()
    def each_attempt_started_once(self) -> None:
        """More often only where its launcher had vanished: then the fence lets nothing through."""
        assert all(count == 1 for count in self.world.starts.values())

    @invariant()
    def a_usage_limit_costs_no_attempt(self) -> None:
        for worker in self.world.workers.values():
            outcome = worker.outcome
            if outcome is not None and outcome.kind in (OutcomeKind.LIMITED, OutcomeKind.INTERRUPTED):
                assert outcome.spent == worker.claim.spent
                assert outcome.retry_at is not None

    @invariant()
    def a_conversation_is_had_by_one_worker(self) -> None:
        had = [worker.claim.resume for worker in self.world.workers.values() if worker.alive]
        had = list(filter(None, had))
        assert len(had) == len(set(had))

    @invariant()
    def each_message_is_told_by_one_attempt_or_carried_on(self) -> None:
        """More than one only where each but the last gave it back."""
        for number in range(1, self.sent + 1):
            told = [
                worker
                for _, worker in sorted(self.world.workers.items())
                if f"message {number}" in worker.claim.message.split("\n\n")
            ]
            for worker in told[:-1]:
                assert worker.outcome is not None
                assert f"message {number}" in worker.outcome.message.split("\n\n")

    @invariant()
    def what_is_over_is_counted_once(self) -> None:
        spent = sum(cost.usd for cost in self.world.state.spending.tasks.values())
        state, world = self.world.state, self.world
        over = [key for key in world.costs if key.task not in state.live or state.runs[key.task].key != key]
        assert abs(spent - sum(world.costs[key].cost_usd for key in over)) < 1e-6

    @invariant()
    def attempts_are_counted_up(self) -> None:
        for name in NAMES:
            attempts = sorted(key.attempt for key in self.world.workers if key.task == name)
            assert attempts == list(range(1, len(attempts) + 1))

    @precondition(lambda self: self.world.tasks)
    @rule()
    def all_is_well_again(self) -> None:
        """When nothing fails any more, everything comes to its end."""
        self.failing = frozenset()
        self.world.readable = True
        if self.world.state.paused is not None:
            self.results = self.world.tick(tuple(self.results), toggles=1)
        for _ in range(DAY_OF_POLLS):
            for key, worker in self.world.workers.items():
                if worker.alive:
                    self.end(key.task, EXITS[0])
            self.tick()
            if not self.results:
                if is_idle(self.world.state):
                    break
                if "budget" in self.world.state.notices:
                    self.world.now = (self.world.now // DAY + 1) * DAY
                    continue
                self.world.now = max(self.world.now + 0.01, min(self.world.wake_at, self.world.now + 300))
        else:
            raise AssertionError(f"never idle: {self.world.state}")
        assert self.world.tick() == [], "deciding again yields something new"
        assert not any(worker.alive for worker in self.world.workers.values())
        assert not any(task.mark.status is Status.ACTIVE for task in self.world.tasks.values())
        assert all(run.phase is Phase.OVER for run in self.world.state.runs.values())


Coordination.TestCase.settings = settings(
    max_examples=300, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)
TestCoordination = Coordination.TestCase
