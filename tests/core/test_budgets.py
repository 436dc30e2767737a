"""Budgets: what a task and a day may cost, and what is told to agents and people of it."""

import pytest

from orch.core.actions import End, MakeRun
from orch.core.costs import Allowance, Budget, Cost, Spending
from orch.core.decide import is_idle
from orch.core.model import (
    Activity,
    Cause,
    EndReason,
    Evidence,
    Exit,
    OutcomeKind,
    Phase,
    RetryRequest,
    RunKey,
    SendRequest,
    Status,
    Verdict,
)
from tests.core.stories import fail, kinds, running, use
from tests.core.world import World

MIDNIGHT = 1_036_800.0
"""Of the world's clock, which begins at 1,000,000."""


def per_task(**limits: float) -> Budget:
    return Budget(task=Allowance(**limits))  # type: ignore[arg-type]


def per_day(**limits: float) -> Budget:
    return Budget(day=Allowance(**limits))  # type: ignore[arg-type]


def work(world: World, name: str, *, usd: float = 0.0, tokens: int = 0, ok: bool = True) -> None:
    """The worker of a task ends and has cost so much."""
    commits = ("work",) if ok else ()
    verdict = Verdict(ok=ok, reason="" if ok else "no", cost_usd=usd, tokens=tokens)
    evidence = Evidence(head="a" * 40, commits=commits, verdict=verdict)
    world.end(name, None if ok else Exit(EndReason.EXITED, 1), evidence)
    world.settle()


# --- what is counted ------------------------------------------------------------------------------------


def test_spending_adds_up_by_task_and_day() -> None:
    spending = Spending("a").charge("t-1", Cost(1, 10)).charge("t-2", Cost(2, 20)).charge("t-1", Cost(0.5))
    assert spending == Spending("a", Cost(3.5, 30), {"t-1": Cost(1.5, 10), "t-2": Cost(2, 20)})
    assert spending.charge("t-3", Cost()) is spending
    assert spending.roll("a") is spending
    assert spending.roll("b") == Spending("b", Cost(), spending.tasks)


@pytest.mark.parametrize(
    ("allowance", "used", "told"),
    [
        (Allowance(), Cost(1e9, 10**9), ""),
        (Allowance(usd=2.5), Cost(2.499), ""),
        (Allowance(usd=2.5), Cost(2.5), "$2.50 of $2.50"),
        (Allowance(tokens=1_000_000), Cost(99, 999_999), ""),
        (Allowance(tokens=1_000_000), Cost(99, 1_234_567), "1,234,567 of 1,000,000 tokens"),
        (Allowance(usd=1, tokens=1), Cost(2, 2), "$2.00 of $1.00"),
    ],
)
def test_the_excess_is_told_in_figures(allowance: Allowance, used: Cost, told: str) -> None:
    assert allowance.excess(used) == told


# --- the budget of a task ---------------------------------------------------------------------------------


def test_an_attempt_is_told_what_is_left_of_its_task() -> None:
    world = running("t-1", budget=per_task(usd=2.5), retry_initial=0.0)
    assert world.run("t-1").claim.budget_usd == 2.5
    work(world, "t-1", usd=1.0, ok=False)
    assert world.run("t-1").claim.budget_usd == 1.5
    assert not world.run("t-1").claim.budget_of_day


def test_the_line_counts_more_than_the_settings() -> None:
    world = World()
    world.policy = world.policy.evolve(budget=per_task(usd=2.5, tokens=1000))
    for name, budget in (("t-1", 5.0), ("t-2", None), ("t-3", 0.0)):
        world.add(name, budget=budget)
    world.settle()
    found = [world.run(name).claim.budget_usd for name in ("t-1", "t-2", "t-3")]
    assert found == [5.0, 2.5, None], "0 is no limit"


def test_a_worker_over_its_budget_is_stopped_and_its_task_blocked_with_the_figure() -> None:
    world = running("t-1", budget=per_task(usd=2.5))
    use(world, "t-1", usd=2.4)
    assert End not in kinds(world.settle())
    assert world.wake_at == world.now + 5
    use(world, "t-1", usd=2.53)
    actions = world.settle()
    assert End in kinds(actions)
    assert world.mark("t-1") is Status.BLOCKED
    reason = "its budget is spent, $2.53 of $2.50: raise {budget:…} on its line or [budget], then orch retry"
    assert world.tasks["t-1"].fields["Reason"] == reason
    assert world.state.live == frozenset()


def test_tokens_are_a_budget_too() -> None:
    world = running("t-1", budget=per_task(tokens=1000))
    use(world, "t-1", tokens=1000)
    world.settle()
    assert world.mark("t-1") is Status.BLOCKED


def test_a_worker_that_has_said_its_last_word_is_not_stopped() -> None:
    world = running("t-1", budget=per_task(usd=1.0))
    world.activities["t-1"] = Activity("done", cost_usd=1.2, done=True)
    assert End not in kinds(world.settle())
    work(world, "t-1", usd=1.2)
    assert world.mark("t-1") is Status.COMPLETED


def test_a_task_whose_budget_is_spent_is_not_started_again() -> None:
    world = running("t-1", budget=per_task(usd=1.0), retry_initial=0.0)
    work(world, "t-1", usd=1.2, ok=False)
    assert world.mark("t-1") is Status.BLOCKED
    assert "$1.20 of $1.00" in world.tasks["t-1"].fields["Reason"]
    world.requests = [RetryRequest("t-1")]
    world.settle()
    assert world.mark("t-1") is Status.BLOCKED
    assert world.requests == []
    world.edit("t-1", budget=3.0)
    world.requests = [RetryRequest("t-1")]
    world.wait(2.0)
    assert world.run("t-1").claim.budget_usd == pytest.approx(1.8)


def test_a_message_does_not_start_a_task_whose_budget_is_spent_and_keeps_nobody() -> None:
    world = running("t-1", budget=per_task(usd=1.0))
    work(world, "t-1", usd=1.2)
    message = SendRequest("t-1", "once more", "a", restart=True)
    world.requests = [message]
    world.settle()
    assert world.mark("t-1") is Status.COMPLETED
    assert world.requests == [message]
    assert is_idle(world.state)
    world.edit("t-1", budget=3.0)
    world.settle()
    assert world.run("t-1").claim.message == "once more"
    assert world.requests == []


def test_what_was_spent_is_known_after_a_restart() -> None:
    world = running("t-1", budget=per_task(usd=1.0), retry_initial=0.0)
    work(world, "t-1", usd=0.7, ok=False)
    use(world, "t-1", usd=0.2)
    world.settle()
    before = world.state.spending
    world.restart()
    assert world.state.spending == before
    use(world, "t-1", usd=0.4)
    world.wait()
    assert world.mark("t-1") is Status.BLOCKED
    assert "$1.10 of $1.00" in world.tasks["t-1"].fields["Reason"]


def test_an_agent_that_stops_by_itself_blocks_its_task_with_the_figure() -> None:
    world = running("t-1", budget=per_task(usd=1.0), retry_initial=0.0)
    work(world, "t-1", usd=0.25, ok=False)
    fail(world, "t-1", Verdict(ok=False, reason="over", cause=Cause.MAX_BUDGET, cost_usd=0.8))
    assert world.mark("t-1") is Status.BLOCKED
    assert "$1.05 of $1.00" in world.tasks["t-1"].fields["Reason"]


def test_a_budget_of_the_agents_own_settings_is_a_failure_like_others() -> None:
    world = running("t-1", max_attempts=1)
    fail(world, "t-1", Verdict(ok=False, reason="over --max-budget-usd", cause=Cause.MAX_BUDGET))
    assert world.mark("t-1") is Status.FAILED


def test_the_task_may_be_gone_while_its_worker_runs() -> None:
    world = running("t-1", budget=per_task(usd=1.0))
    del world.tasks["t-1"]
    world.age = 0.0
    use(world, "t-1", usd=2.0)
    world.tick()
    stopping = world.run("t-1").stopping
    assert stopping is not None
    assert "$2.00 of $1.00" in stopping.reason


# --- the budget of a day --------------------------------------------------------------------------------


def test_a_spent_day_launches_nothing_until_midnight() -> None:
    world = running("t-1", budget=per_day(usd=2.0))
    world.add("t-2", after=("t-1",))
    assert world.run("t-1").claim.budget_of_day
    work(world, "t-1", usd=2.5)
    assert world.mark("t-1") is Status.COMPLETED
    assert world.mark("t-2") is Status.PENDING
    told = "nothing is launched until midnight: the day's budget is spent, $2.50 of $2.00"
    assert world.state.notices["budget"] == told
    assert RunKey("t-2", 1) not in world.workers, "it was not even claimed"
    world.restart()
    assert MakeRun not in kinds(world.settle())
    assert world.state.notices["budget"] == told
    world.wait(MIDNIGHT - world.now - 1)
    assert world.wake_at == MIDNIGHT
    world.wait()
    assert world.state.live == {"t-2"}
    assert "budget" not in world.state.notices


def test_workers_are_stopped_when_the_day_is_spent_and_go_on_after_midnight() -> None:
    world = running("t-1", "t-2", budget=per_day(usd=2.0), max_attempts=1)
    use(world, "t-1", usd=1.5)
    use(world, "t-2", usd=0.6)
    verdict = Verdict(ok=False, charged=False, cost_usd=1.05, session_id="one")
    world.evidence = {"t-1": Evidence(verdict=verdict), "t-2": Evidence(verdict=verdict)}
    world.settle()
    assert world.state.live == frozenset()
    for name in ("t-1", "t-2"):
        outcome = world.run(name).outcome
        assert outcome is not None
        assert (outcome.kind, outcome.retry_at, outcome.spent) == (OutcomeKind.LIMITED, MIDNIGHT, 0)
        assert outcome.reason == "the day's budget is spent, $2.10 of $2.00"
        assert world.mark(name) is Status.PENDING
    world.wait(MIDNIGHT - world.now)
    assert world.state.live == {"t-1", "t-2"}
    assert world.run("t-1").claim.resume == "one"
    assert world.state.spending.today == Cost()
    assert world.state.spending.tasks["t-1"] == Cost(1.05)


def test_what_is_about_to_be_launched_waits_for_midnight_too() -> None:
    world = running("t-1", budget=per_day(usd=2.0))
    world.add("t-2")
    world.tick()
    assert world.run("t-2").phase is Phase.CLAIMING
    use(world, "t-1", usd=3.0)
    world.settle()
    assert RunKey("t-2", 1) not in world.starts
    assert world.state.live == frozenset()


def test_the_smaller_of_what_is_left_is_told_to_the_agent() -> None:
    world = running("t-1", budget=Budget(Allowance(usd=5.0), Allowance(usd=4.0)), retry_initial=0.0)
    assert (world.run("t-1").claim.budget_usd, world.run("t-1").claim.budget_of_day) == (4.0, True)
    use(world, "t-1", usd=1.0)
    world.add("t-2", budget=2.0)
    world.add("t-3")
    world.settle()
    assert (world.run("t-2").claim.budget_usd, world.run("t-2").claim.budget_of_day) == (2.0, False)
    assert (world.run("t-3").claim.budget_usd, world.run("t-3").claim.budget_of_day) == (3.0, True)


def test_an_agent_that_stops_at_what_was_left_of_the_day_waits_for_midnight() -> None:
    world = running("t-1", budget=per_day(usd=1.0), max_attempts=1)
    fail(world, "t-1", Verdict(ok=False, reason="over", cause=Cause.MAX_BUDGET, cost_usd=0.999))
    outcome = world.run("t-1").outcome
    assert outcome is not None
    assert (outcome.kind, outcome.retry_at) == (OutcomeKind.LIMITED, MIDNIGHT)
    assert outcome.reason == "the day's budget is spent, this attempt cost $1.00 of the $1.00 that were left"
    assert world.state.live == frozenset(), "it does not try again with the rest of a cent"
    world.wait(MIDNIGHT - world.now)
    assert world.state.live == {"t-1"}


def test_without_a_budget_nothing_is_looked_at_sooner() -> None:
    world = running("t-1")
    world.wait()
    assert world.wake_at == world.now + world.policy.poll_interval


def test_midnight_is_that_of_the_local_time() -> None:
    from orch.core.draft import Draft
    from orch.core.model import Policy
    from orch.core.state import Seen, State

    for offset in (-5 * 3600.0, 0.0, 3600.0, 5.5 * 3600):
        draft = Draft(State(), Seen(1_000_000.0, utc_offset=offset), Policy())
        assert (draft.midnight + offset) % 86_400 == 0
        assert 0 < draft.midnight - draft.now <= 86_400
