"""`orch send`: a message is told exactly once, by the attempt that took it; and conversations go on."""

import pytest

from orch.core.actions import Dismiss, End, Failure
from orch.core.decide import is_idle
from orch.core.model import (
    EndReason,
    Evidence,
    Exit,
    OutcomeKind,
    RetryRequest,
    RunKey,
    SendRequest,
    Status,
    Verdict,
)
from tests.core.stories import fail, kinds, limit, running
from tests.core.world import World

HELLO = SendRequest("t-1", "use tabs", "a1")
MORE = SendRequest("t-1", "and no spaces", "a2")


def turn(world: World) -> None:
    """Some ticks, where nothing comes to an end."""
    results = world.tick()
    for _ in range(20):
        results = world.tick(tuple(results))


def test_a_message_waits_for_the_next_attempt() -> None:
    world = running("t-1", retry_initial=0.0)
    world.requests = [HELLO, MORE]
    assert kinds(world.settle()) == []
    assert world.requests == [HELLO, MORE]
    fail(world, "t-1", Verdict(ok=False, reason="no"))
    assert world.run("t-1").claim.message == "use tabs\n\nand no spaces"
    assert world.requests == []
    fail(world, "t-1", Verdict(ok=False, reason="no"))
    assert world.run("t-1").claim.message == ""


def test_a_message_for_a_task_that_is_over_waits_and_keeps_nobody() -> None:
    world = running("t-1")
    world.end("t-1")
    world.settle()
    world.requests = [HELLO, SendRequest("gh-7", "who?", "b", restart=True)]
    world.settle()
    assert len(world.requests) == 2
    assert is_idle(world.state)
    world.requests.append(RetryRequest("t-1"))
    world.settle()
    assert world.run("t-1").claim.message == "use tabs"


def test_a_restart_interrupts_the_running_attempt_and_charges_nothing() -> None:
    world = running("t-1", max_attempts=1)
    world.evidence["t-1"] = Evidence(verdict=Verdict(ok=False, charged=False, session_id="one"))
    world.requests = [SendRequest("t-1", "use tabs", "a1", restart=True)]
    assert End in kinds(world.settle())
    world.wait()
    run = world.run("t-1")
    assert (run.key.attempt, run.claim.message, run.claim.resume, run.claim.spent) == (
        2,
        "use tabs",
        "one",
        0,
    )
    outcome = world.workers[RunKey("t-1", 1)].outcome
    assert outcome is not None
    assert (outcome.kind, outcome.reason) == (OutcomeKind.INTERRUPTED, "stopped for a message")
    assert world.requests == []


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED])
def test_a_restart_queues_a_task_that_is_over_again(status: Status) -> None:
    world = running("t-1", max_attempts=1)
    if status is Status.COMPLETED:
        world.end("t-1")
        world.settle()
    else:
        fail(world, "t-1", Verdict(ok=False, reason="no", session_id="one"))
    assert world.mark("t-1") is status
    world.requests = [SendRequest("t-1", "use tabs", "a1", restart=True)]
    assert not is_idle(world.state.evolve(requests=tuple(world.requests)))
    world.settle()
    world.wait()
    assert world.mark("t-1") is Status.ACTIVE
    assert world.run("t-1").claim.message == "use tabs"
    assert world.requests == []


def test_a_restart_does_not_wait_for_the_next_try() -> None:
    world = running("t-1", retry_initial=60.0)
    fail(world, "t-1", Verdict(ok=False, reason="no"))
    assert world.state.live == frozenset()
    world.requests = [SendRequest("t-1", "use tabs", "a1", restart=True)]
    world.settle()
    assert world.state.live == {"t-1"}


def test_a_restart_does_not_wait_for_another_task_less_than_others_do() -> None:
    world = running("t-2")
    world.add("t-1", after=("t-2",))
    world.requests = [SendRequest("t-1", "use tabs", "a1", restart=True)]
    world.settle()
    assert world.state.live == {"t-2"}
    world.end("t-2")
    world.settle()
    assert world.run("t-1").claim.message == "use tabs"


def test_a_message_that_cannot_be_dismissed_is_told_once_all_the_same() -> None:
    world = running("t-1", retry_initial=0.0, max_attempts=9)
    stuck = SendRequest("t-1", "use tabs", "a1", restart=True)
    world.requests = [stuck]
    world.faults = lambda action: Failure("read-only") if isinstance(action, Dismiss) else None
    turn(world)
    assert world.run("t-1").key.attempt == 2
    for _ in range(3):
        world.end("t-1", Exit(EndReason.EXITED, 1), Evidence(verdict=Verdict(ok=False, reason="no")))
        turn(world)
        world.restart()
        turn(world)
    assert world.requests == [stuck]
    told = [key.attempt for key, worker in world.workers.items() if worker.claim.message]
    assert told == [2]
    world.faults = lambda _: None
    world.settle()
    assert world.requests == []


def test_a_message_waits_until_its_attempt_lies_on_disk() -> None:
    world = World()
    world.add("t-1")
    world.requests = [HELLO]
    world.faults = lambda action: Failure("no room") if type(action).__name__ == "MakeRun" else None
    turn(world)
    assert world.run("t-1").claim.message == "use tabs"
    assert world.requests == [HELLO]
    world.restart()
    world.faults = lambda _: None
    world.settle()
    assert world.run("t-1").claim.message == "use tabs"
    assert world.requests == []


def test_a_message_that_the_agent_may_not_have_heard_is_told_again() -> None:
    world = World()
    world.add("t-1")
    world.requests = [HELLO]
    world.settle()
    world.wait()
    limit(world, "t-1", after=10.0)
    world.wait(20.0)
    assert world.run("t-1").claim.message == "use tabs"
    world.end("t-1", Exit(EndReason.INTERRUPTED), Evidence(verdict=Verdict(ok=False, charged=False)))
    world.settle()
    assert world.run("t-1").claim.message == "use tabs"
    fail(world, "t-1", Verdict(ok=False, reason="it cannot be started", charged=False))
    world.wait()
    assert world.run("t-1").claim.message == "use tabs"
    fail(world, "t-1", Verdict(ok=False, reason="no"))
    world.wait()
    assert world.run("t-1").claim.message == ""


def test_a_worktree_that_cannot_be_had_loses_neither_message_nor_conversation() -> None:
    world = running("t-1", retry_initial=0.0)
    fail(world, "t-1", Verdict(ok=False, reason="no", session_id="one"))
    world.wait()
    assert world.run("t-1").claim.resume == "one"
    fail(world, "t-1", Verdict(ok=False, reason="no", session_id="one"))
    world.requests = [SendRequest("t-1", "use tabs", "a1", restart=True)]
    world.faults = lambda action: Failure("no network") if type(action).__name__ == "Ensure" else None
    for _ in range(10):
        world.wait()
    world.faults = lambda _: None
    for _ in range(5):
        world.wait(10.0)
    claim = world.run("t-1").claim
    assert (claim.message, claim.resume) == ("use tabs", "one")


# --- the conversation ---------------------------------------------------------------------------------------


def test_the_next_attempt_of_the_same_agent_goes_on_with_the_conversation() -> None:
    world = running("t-1", retry_initial=0.0, max_attempts=9, agents=("sh", "codex"))
    assert world.run("t-1").claim.resume == ""
    fail(world, "t-1", Verdict(ok=False, reason="no", session_id="one"))
    assert world.run("t-1").claim.resume == "one"
    assert world.run("t-1").claim.before == "no"
    fail(world, "t-1", Verdict(ok=False, reason="it said nothing"))
    assert world.run("t-1").claim.resume == "one", "what was gone on with is still there"
    world.edit("t-1", agent="codex")
    fail(world, "t-1", Verdict(ok=False, reason="no", session_id="one"))
    world.settle()
    assert world.run("t-1").claim.resume == "", "another agent knows nothing of it"


def test_a_retry_goes_on_with_the_conversation_and_a_fresh_one_begins_anew() -> None:
    world = running("t-1", max_attempts=1)
    fail(world, "t-1", Verdict(ok=False, reason="no", session_id="one"))
    world.requests = [RetryRequest("t-1")]
    world.settle()
    world.wait()
    assert world.run("t-1").claim.resume == "one"
    fail(world, "t-1", Verdict(ok=False, reason="no", session_id="one"))
    world.requests = [RetryRequest("t-1", fresh=True)]
    world.settle()
    world.wait()
    assert (world.run("t-1").claim.resume, world.run("t-1").claim.fresh) == ("", True)


def test_the_model_of_the_line_is_that_of_the_claim() -> None:
    world = World()
    world.add("t-1", model="opus")
    world.settle()
    assert world.run("t-1").claim.model == "opus"


def test_a_reboot_goes_on_with_the_conversation() -> None:
    world = running("t-1", max_attempts=1)
    verdict = Verdict(ok=False, charged=False, session_id="one")
    world.end("t-1", Exit(EndReason.INTERRUPTED), Evidence(verdict=verdict))
    world.restart()
    world.settle()
    world.wait()
    claim = world.run("t-1").claim
    assert (claim.resume, claim.spent) == ("one", 0)
