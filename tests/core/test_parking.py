"""Usage limits: who waits, until when, who takes over and who tries."""

from dataclasses import replace
from typing import Any

import pytest

from orch.core.actions import MakeRun
from orch.core.model import (
    Activity,
    Cause,
    Evidence,
    Mark,
    OutcomeKind,
    PauseRequest,
    Phase,
    RetryRequest,
    RunKey,
    SendRequest,
    Status,
    Task,
    Verdict,
)
from orch.core.rules import parking
from tests.core.stories import events, fail, kinds, limit, running, use
from tests.core.world import World

HOUR = 3600.0


def notice(world: World, lane: str = "sh") -> str | None:
    return world.state.notices.get(f"limit: {lane}")


def two_agents(*names: str, fallback: str = "codex") -> World:
    """Tasks that are being worked on by `sh`, for which another agent or model can take over."""
    return running(*names, agents=("sh", "codex", "aider"), fallbacks={"sh": fallback})


# --- a limit whose end is known ----------------------------------------------------------------------


def test_everything_of_the_agent_waits_until_the_limit_ends() -> None:
    world = running("t-1", max_attempts=1)
    world.add("t-2")
    limit(world, "t-1", after=HOUR)
    assert world.mark("t-1") is Status.PENDING
    assert world.state.live == frozenset(), "its place is free, and t-2 does not run into the same limit"
    assert world.run("t-1").outcome is not None
    assert notice(world) == "sh limited until 14:47 (60 min): 5-hour limit"
    assert "limited" in events(world)
    assert world.wake_at <= world.now + HOUR
    world.wait(HOUR - 1)
    assert world.state.live == frozenset()
    world.wait(1 + parking.SPREAD_SECONDS)
    assert world.state.live == {"t-1", "t-2"}
    assert world.run("t-1").claim.spent == 0, "no attempt was charged"
    assert world.run("t-1").claim.resume == "session-t-1"
    assert notice(world) is None
    assert world.state.parked == {}


def test_they_come_back_one_after_the_other() -> None:
    world = running("t-1")
    for number in range(2, 9):
        world.add(f"t-{number}")
    world.policy = world.policy.evolve(max_concurrent_workers=8)
    limit(world, "t-1", after=HOUR)
    began: dict[str, float] = {}
    end = world.now + HOUR
    world.now = end
    while len(began) < 8:
        world.settle()
        began |= dict.fromkeys(world.state.live - began.keys(), world.now)
        world.now += 1
    delays = sorted(at - end for at in began.values())
    assert len(set(delays)) > 4
    assert delays[-1] <= parking.SPREAD_SECONDS + 1


def test_a_short_wait_is_spread_over_a_short_time() -> None:
    world = running("t-1")
    limit(world, "t-1", after=10.0)
    world.wait(11.0)
    assert world.state.live == {"t-1"}


def test_of_two_limits_the_later_end_counts() -> None:
    world = running("t-1", "t-2", "t-3")
    limit(world, "t-1", after=HOUR)
    limit(world, "t-2", after=50 * HOUR)
    limit(world, "t-3", after=2 * HOUR)
    assert world.state.parked["sh"].until == world.now + 50 * HOUR
    assert notice(world) == "sh limited until 1970-01-14 15:47 (50 h 00 min): 5-hour limit"


class Counted(dict[str, Task]):
    """Counts how often it is asked for a task."""

    times = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.times += 1
        return super().get(key, default)


def test_a_long_queue_that_waits_is_not_gone_through() -> None:
    world = running("t-1")
    for number in range(2, 100):
        world.add(f"t-{number}")
    limit(world, "t-1", after=HOUR)
    document = world.state.document
    assert document is not None
    tasks = Counted(document.tasks)
    world.state = world.state.evolve(document=replace(document, tasks=tasks))
    world.readable = False
    world.tick()
    assert tasks.times < 5, "nothing but the runs that are kept"
    world.now += HOUR + parking.SPREAD_SECONDS
    world.tick()
    assert len(world.state.live) == 3


def test_a_worker_that_still_runs_is_left_alone() -> None:
    world = running("t-1", "t-2")
    limit(world, "t-1", after=HOUR)
    assert world.state.live == {"t-2"}
    world.end("t-2")
    world.settle()
    assert world.mark("t-2") is Status.COMPLETED
    assert "sh" in world.state.parked, "it began before the limit, so it says nothing about it"


def test_what_was_about_to_be_launched_gives_its_place_back() -> None:
    world = running("t-1")
    world.add("t-2")
    world.tick()
    assert world.run("t-2").phase is Phase.CLAIMING
    limit(world, "t-1", after=HOUR)
    assert world.state.live == frozenset()
    outcome = world.run("t-2").outcome
    assert outcome is not None
    assert (outcome.kind, outcome.reason, outcome.spent) == (OutcomeKind.LIMITED, "5-hour limit", 0)
    assert RunKey("t-2", 1) not in world.starts


def test_a_restart_keeps_the_limit() -> None:
    world = running("t-1")
    world.add("t-2")
    limit(world, "t-1", after=HOUR)
    before = world.state.parked
    world.restart()
    assert world.state.parked == before
    world.settle()
    assert world.state.live == frozenset()
    world.wait(HOUR + parking.SPREAD_SECONDS)
    assert world.state.live == {"t-1", "t-2"}
    world.restart()
    assert world.state.parked == {}


# --- a limit whose end is not known --------------------------------------------------------------------


@pytest.mark.parametrize("after", [None, -5.0, 300 * 24 * HOUR])
def test_one_worker_tries_where_nobody_knows_when_it_ends(after: float | None) -> None:
    world = running("t-1", "t-2", "t-3")
    limit(world, "t-1", after=after)
    limit(world, "t-2", after=after)
    limit(world, "t-3", after=after)
    parked = world.state.parked["sh"]
    assert parked.tries == 1, "they were under way together: that is one limit"
    assert 0.75 * parking.PROBE_SECONDS <= parked.until - world.now <= parking.PROBE_SECONDS
    told = notice(world)
    assert told is not None
    assert told.startswith("sh limited; tried again at 13:4")
    assert kinds(world.wait(parking.PROBE_SECONDS)).count(MakeRun) == 1
    assert len(world.state.live) == 1, "the others wait"
    (name,) = world.state.live
    assert notice(world) == f"sh limited; {name} tries whether it still is: 5-hour limit"
    world.wait(100 * HOUR)
    assert len(world.state.live) == 1


def test_each_try_comes_later() -> None:
    world = running("t-1")
    world.add("t-2")
    waits = []
    for _ in range(9):
        (name,) = world.state.live
        limit(world, name)
        waits.append(world.state.parked["sh"].until - world.now)
        world.wait(waits[-1] - 1)
        assert world.state.live == frozenset()
        world.wait(1)
        assert len(world.state.live) == 1
    assert waits[:6] == sorted(waits[:6])
    assert waits[0] <= parking.PROBE_SECONDS < waits[1]
    assert waits[-1] <= parking.PROBE_MAX_SECONDS
    assert world.run("t-1").claim.spent == 0


def test_as_soon_as_the_api_answers_the_others_follow() -> None:
    world = running("t-1", "t-2", "t-3")
    for name in ("t-1", "t-2", "t-3"):
        limit(world, name)
    world.wait(parking.PROBE_SECONDS)
    (name,) = world.state.live
    world.activities[name] = Activity("waits", retries=3)
    world.settle()
    world.activities[name] = Activity("waits", tokens=10, limit="5-hour limit")
    world.settle()
    assert world.state.live == {name}
    use(world, name, tokens=100)
    world.settle()
    world.wait(parking.SPREAD_SECONDS)
    assert world.state.live == {"t-1", "t-2", "t-3"}
    assert "unlimited" in events(world)
    world.wait(parking.SPREAD_SECONDS)
    assert world.state.parked == {}


def test_a_try_that_completes_its_task_ends_the_limit() -> None:
    world = running("t-1", "t-2")
    limit(world, "t-1")
    limit(world, "t-2")
    world.wait(parking.PROBE_SECONDS)
    (name,) = world.state.live
    world.end(name)
    world.settle()
    world.wait(parking.SPREAD_SECONDS)
    assert world.state.live == {"t-1", "t-2"} - {name}


def test_a_try_that_fails_before_the_api_answers_says_nothing() -> None:
    world = running("t-1", "t-2")
    limit(world, "t-1")
    limit(world, "t-2")
    world.wait(parking.PROBE_SECONDS)
    (name,) = world.state.live
    fail(world, name, Verdict(ok=False, reason="it cannot be started", charged=False))
    assert len(world.state.live) == 1, "another one tries at once, as it is time"
    assert world.state.parked["sh"].tries == 1


def test_the_end_may_become_known_at_a_try() -> None:
    world = running("t-1", "t-2")
    limit(world, "t-1")
    limit(world, "t-2")
    world.wait(parking.PROBE_SECONDS)
    (name,) = world.state.live
    limit(world, name, after=HOUR)
    assert world.state.parked["sh"].tries == 0
    assert world.state.parked["sh"].until == world.now + HOUR


def test_one_that_came_back_does_not_end_the_next_limit() -> None:
    world = running("t-1", "t-2")
    limit(world, "t-1", after=HOUR)
    limit(world, "t-2", after=HOUR)
    world.wait(HOUR + parking.SPREAD_SECONDS - 1)
    assert world.state.live == {"t-1", "t-2"}
    use(world, "t-1", tokens=100)
    world.wait(0.5)
    limit(world, "t-2")
    world.settle()
    assert world.state.live == {"t-1"}
    assert world.state.parked["sh"].tries == 1


def test_an_api_that_is_out_of_reach_is_tried_by_one() -> None:
    world = running("t-1")
    verdict = Verdict(ok=False, reason="overloaded", cause=Cause.UNAVAILABLE, agent_wide=True, charged=False)
    fail(world, "t-1", verdict)
    assert world.state.parked["sh"].tries == 1
    assert world.state.parked["sh"].limit == "overloaded"


def test_a_restart_keeps_an_unknown_limit_and_its_try() -> None:
    world = running("t-1", "t-2")
    limit(world, "t-1")
    limit(world, "t-2")
    before = world.state.parked
    world.restart()
    assert world.state.parked == before
    world.wait(parking.PROBE_SECONDS)
    assert len(world.state.live) == 1
    world.restart()
    world.settle()
    assert len(world.state.live) == 1
    (name,) = world.state.live
    world.end(name)
    world.settle()
    world.restart()
    assert world.state.parked == {}, "what the try has shown lies on disk"


@pytest.mark.parametrize(
    ("after", "waits"), [(None, parking.PROBE_SECONDS), (2 * HOUR, 2 * HOUR + 10 * HOUR)]
)
def test_a_clock_that_is_set_back_delays_no_try(after: float | None, waits: float) -> None:
    world = running("t-1")
    limit(world, "t-1", after=after)
    world.now -= 10 * HOUR
    world.settle()
    assert world.state.parked["sh"].since <= world.now
    assert world.state.parked["sh"].until - world.now <= waits
    world.wait(waits + parking.SPREAD_SECONDS)
    assert world.state.live == {"t-1"}


@pytest.mark.parametrize(
    ("after", "waits"), [(None, parking.PROBE_MAX_SECONDS), (HOUR, parking.LONGEST_SECONDS)]
)
def test_nor_where_it_was_set_back_while_nobody_looked(after: float | None, waits: float) -> None:
    world = running("t-1")
    world.now += 300 * 24 * HOUR
    limit(world, "t-1", after=after)
    world.now -= 300 * 24 * HOUR
    world.restart()
    world.wait(1.0)
    assert world.state.live == frozenset()
    world.wait(waits + parking.SPREAD_SECONDS)
    assert world.state.live == {"t-1"}


# --- what a person asks for -----------------------------------------------------------------------------


def test_a_person_can_have_one_task_try_before_its_time() -> None:
    world = running("t-1")
    world.add("t-2")
    limit(world, "t-1", after=HOUR)
    world.wait(60)
    world.requests = [RetryRequest("t-2"), RetryRequest("t-1")]
    world.settle()
    assert world.state.live == {"t-1"}, "the first one of the queue tries, the other waits"
    assert notice(world) == "sh limited until 14:47 (59 min): 5-hour limit"
    use(world, "t-1", tokens=5)
    world.settle()
    world.wait(parking.SPREAD_SECONDS)
    assert world.state.live == {"t-1", "t-2"}


def test_a_message_with_restart_tries_too() -> None:
    world = running("t-1")
    limit(world, "t-1", after=HOUR)
    world.wait(60)
    world.requests = [SendRequest("t-1", "try now", "a", restart=True)]
    world.settle()
    assert world.state.live == {"t-1"}
    assert world.run("t-1").claim.message == "try now"


# --- who takes over --------------------------------------------------------------------------------------


def test_another_agent_takes_over() -> None:
    world = two_agents("t-1")
    world.add("t-2", model="opus")
    limit(world, "t-1", after=HOUR)
    assert world.state.live == {"t-1", "t-2"}
    claim = world.run("t-1").claim
    assert (claim.agent, claim.model, claim.lane, claim.resume) == ("codex", "", "", "")
    assert world.run("t-2").claim.model == "", "a model of the one means nothing to the other"
    assert claim.parked == (world.state.parked["sh"],)
    assert notice(world) is not None
    world.restart()
    assert world.state.parked["sh"].until == world.now + HOUR, "known from the claims alone"
    limit(world, "t-1", after=2 * HOUR)
    assert set(world.state.parked) == {"sh", "codex"}
    assert world.state.live == {"t-2"}
    world.restart()
    assert set(world.state.parked) == {"sh", "codex"}


def test_another_model_takes_over_in_the_same_conversation() -> None:
    world = two_agents("t-1", fallback="model:small")
    limit(world, "t-1", after=HOUR)
    claim = world.run("t-1").claim
    assert (claim.agent, claim.model, claim.lane) == ("sh", "small", "sh model:small")
    assert claim.resume == "session-t-1"
    limit(world, "t-1", after=2 * HOUR)
    assert set(world.state.parked) == {"sh", "sh model:small"}
    assert world.state.live == frozenset()
    world.wait(HOUR + parking.SPREAD_SECONDS)
    assert world.run("t-1").claim.lane == ""


def test_a_chain_of_fallbacks_is_followed_and_a_circle_ends() -> None:
    world = two_agents("t-1")
    world.policy = world.policy.evolve(fallbacks={"sh": "codex", "codex": "aider", "aider": "sh"})
    for agent in ("sh", "codex", "aider"):
        assert world.run("t-1").claim.agent == agent
        limit(world, "t-1", after=HOUR)
    assert world.state.live == frozenset()
    assert set(world.state.parked) == {"sh", "codex", "aider"}


@pytest.mark.parametrize("problem", ["it is not installed", ""])
def test_an_agent_that_cannot_be_started_takes_nothing_over(problem: str) -> None:
    world = two_agents("t-1", fallback="codex" if problem else "gone")
    world.agent_problems = {"codex": problem} if problem else {}
    world.settle()
    limit(world, "t-1", after=HOUR)
    assert world.state.live == frozenset()


def test_what_was_about_to_be_launched_goes_to_the_other_agent() -> None:
    world = two_agents("t-1")
    world.add("t-2")
    world.tick()
    limit(world, "t-1", after=HOUR)
    assert world.state.live == {"t-1", "t-2"}
    assert world.run("t-2").claim.agent == "codex"


def test_tasks_of_another_agent_do_not_care() -> None:
    world = running("t-1", agents=("sh", "codex"))
    world.add("t-2", agent="codex")
    limit(world, "t-1", after=HOUR)
    assert world.state.live == {"t-2"}


# --- a login, a bill, a model, a conversation ------------------------------------------------------------


@pytest.mark.parametrize("cause", [Cause.AUTHENTICATION, Cause.BILLING])
def test_a_login_or_a_bill_pauses_the_fleet_and_costs_no_attempt(cause: Cause) -> None:
    world = running("t-1", "t-2", max_attempts=1)
    verdict = Verdict(ok=False, reason="run claude /login", cause=cause, agent_wide=True, charged=False)
    fail(world, "t-1", verdict)
    assert world.paused == "sh: run claude /login; `orch resume` goes on"
    assert world.mark("t-1") is Status.PENDING
    assert world.tasks["t-1"].fields["Reason"] == "sh: run claude /login"
    fail(world, "t-2", verdict)
    assert events(world).count("paused") == 1
    world.wait(HOUR)
    assert world.state.live == frozenset()
    world.requests = [PauseRequest(paused=False)]
    world.settle()
    assert world.state.live == {"t-1", "t-2"}
    assert world.run("t-1").claim.spent == 0


def test_a_model_that_is_not_there_fails_the_task_at_once() -> None:
    world = running("t-1", max_attempts=5)
    fail(world, "t-1", Verdict(ok=False, reason="no model sonet", cause=Cause.MODEL))
    assert world.mark("t-1") is Status.FAILED
    assert world.tasks["t-1"].fields["Reason"] == "no model sonet"


@pytest.mark.parametrize("cause", [Cause.SESSION, Cause.PROMPT_TOO_LONG])
def test_a_conversation_that_cannot_go_on_begins_anew_without_being_charged(cause: Cause) -> None:
    world = running("t-1", max_attempts=2)
    fail(world, "t-1", Verdict(ok=False, reason="broken", session_id="one"))
    world.wait()
    assert world.run("t-1").claim.resume == "one"
    spent = world.run("t-1").claim.spent
    fail(world, "t-1", Verdict(ok=False, reason="unknown session", cause=cause, session_id="one"))
    claim = world.run("t-1").claim
    assert world.run("t-1").phase is Phase.STARTING or world.run("t-1").phase is Phase.RUNNING
    assert (claim.resume, claim.spent) == ("", spent)
    fail(world, "t-1", Verdict(ok=False, reason="again", cause=cause))
    assert world.mark("t-1") is Status.FAILED, "a new one that does the same is charged"


def test_evidence_counts_more_than_what_the_agent_says() -> None:
    world = running("t-1")
    verdict = Verdict(ok=False, cause=Cause.AUTHENTICATION, agent_wide=True)
    world.end("t-1", evidence=Evidence(blocked="which one?", verdict=verdict))
    world.settle()
    assert world.mark("t-1") is Status.BLOCKED
    assert world.paused is None


def test_a_stop_counts_more_than_a_limit() -> None:
    world = running("t-1")
    world.edit("t-1", Mark(Status.SKIPPED))
    world.tick()
    limit(world, "t-1", after=HOUR)
    assert world.state.parked == {}
