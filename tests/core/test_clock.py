"""The clock is set back by an hour: nothing waits for that hour to come again."""

import pytest

from orch.core.actions import Ensure, Failure, Inspect, Poll, Remove, WriteTasks
from orch.core.model import EndReason, Evidence, Exit, Mark, Phase, Status, StopRequest, Verdict
from orch.core.rules import parking
from tests.core.world import World

HOUR = 3600.0


def working(**policy: object) -> World:
    """A world in which t-1 is being worked on."""
    world = World()
    world.policy = world.policy.evolve(**policy)
    world.add("t-1")
    world.settle()
    world.wait()
    assert world.run("t-1").phase is Phase.RUNNING
    return world


def events(world: World) -> list[str]:
    return [event.kind for event in world.state.metrics.history]


def fail(world: World, verdict: Verdict) -> None:
    """The attempt at t-1 fails, and is to be repeated."""
    world.end("t-1", Exit(EndReason.EXITED, 1, ended_at=world.now), Evidence(verdict=verdict))
    world.settle()
    assert world.mark("t-1") is Status.PENDING


@pytest.mark.parametrize("restarted", [False, True])
def test_the_next_attempt(restarted: bool) -> None:
    world = working()
    fail(world, Verdict(ok=False, reason="no"))
    world.now -= HOUR
    if restarted:
        world.restart()
    world.settle()
    assert world.run("t-1").key.attempt == 2
    assert world.run("t-1").claim.spent == 1
    assert ("clock" in events(world)) is not restarted


def test_a_usage_limit_ends_when_it_was_said_to_end() -> None:
    world = working()
    fail(world, Verdict(ok=False, reason="limit", retry_at=world.now + 100, charged=False))
    until = world.now + 100
    world.now -= HOUR
    world.settle()
    world.now = until - 1
    world.settle()
    assert not world.state.live
    world.now = until + parking.SPREAD_SECONDS
    world.settle()
    assert world.run("t-1").key.attempt == 2


def test_a_clock_that_is_only_corrected_changes_nothing() -> None:
    world = working()
    fail(world, Verdict(ok=False, reason="no"))
    world.now -= 0.5
    world.settle()
    assert not world.state.live
    assert "clock" not in events(world)


def test_changes_to_the_file() -> None:
    world = World()
    world.add("t-1")
    world.faults = lambda action: Failure("read-only") if isinstance(action, WriteTasks) else None
    world.tick(tuple(world.tick(tuple(world.tick()))))
    assert world.state.retry_writes_at > world.now
    world.faults = lambda _: None
    world.now -= HOUR
    world.settle()
    world.wait()
    world.wait()
    assert world.mark("t-1") is Status.ACTIVE


def test_a_step_that_failed() -> None:
    world = World()
    world.add("t-1")
    world.faults = lambda action: Failure("no network") if isinstance(action, Ensure) else None
    world.settle()
    before = world.wake_at - world.now
    world.faults = lambda _: None
    world.now -= HOUR
    world.settle()
    assert world.wake_at - world.now <= before
    world.wait()
    assert world.run("t-1").phase is Phase.RUNNING


def test_a_launcher_that_is_missing() -> None:
    world = working()
    (worker,) = world.workers.values()
    worker.alive = False
    world.settle()
    assert world.run("t-1").missing_since == world.now
    world.now -= HOUR
    world.wait(0.25)
    world.wait(0.25)
    assert worker.swept


@pytest.mark.parametrize("told", [False, True])
def test_a_worker_that_is_to_stop(told: bool) -> None:
    world = working(stop_seconds=60.0)
    (worker,) = world.workers.values()
    world.requests = [StopRequest("t-1", "enough", now=told)]
    world.faults = lambda action: Failure("it hangs") if isinstance(action, Inspect) else None
    world.tick()
    if told:
        # The launcher was told, and does not do it.
        worker.alive, worker.exit = True, None
    world.now -= HOUR
    world.tick()
    world.now += 61.0
    world.tick()
    assert worker.ended
    assert worker.swept is told


def test_worktrees_and_pull_requests() -> None:
    world = working(keep_failed_seconds=100.0, max_attempts=1)
    world.add("t-2", Status.COMPLETED, fields={"PR": "pull/1"})
    world.end("t-1", Exit(EndReason.EXITED, 1), Evidence(verdict=Verdict(ok=False, reason="no")))
    world.settle()
    assert world.tasks["t-1"].mark == Mark(Status.FAILED, world.run("t-1").key.worker)
    start = len(world.done)
    world.now -= HOUR
    world.settle()
    world.wait(100.0)
    kinds = {type(action) for action in world.done[start:]}
    assert {Remove, Poll} <= kinds
