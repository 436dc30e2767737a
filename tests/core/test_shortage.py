"""The machine lacks something: nothing is launched, nobody is blamed, and it goes on by itself."""

import pytest

from orch.core.actions import Ensure, Failure, Finish, Inspect, MakeRun, Publish, Start
from orch.core.metrics import Health
from orch.core.model import Phase, Resources
from orch.core.rules.shortage import LOOK_SECONDS, RETRY_SECONDS
from tests.core.world import World

FULL = Resources(problem="the disk is full: /work")


def failing(world: World, *kinds: type, permanent: bool = False, shortage: bool = False) -> None:
    """From now on these actions fail."""
    failure = Failure("no room", permanent=permanent, shortage=shortage)
    world.faults = lambda action: failure if isinstance(action, kinds) else None


def working(count: int = 1) -> World:
    """A world in which so many tasks are being worked on."""
    world = World()
    world.policy = world.policy.evolve(max_concurrent_workers=count)
    for number in range(1, count + 1):
        world.add(f"t-{number}")
    world.settle()
    assert len(world.starts) == count
    return world


def test_what_keeps_orch_from_working_is_shown_and_looked_at_again_soon() -> None:
    world = World()
    world.add("t-1")
    world.resources = FULL
    world.settle()
    assert world.state.runs == {}
    assert world.state.notices["resources"] == "nothing is launched: the disk is full: /work"
    assert world.wake_at == world.now + LOOK_SECONDS
    world.resources = Resources()
    world.wait()
    assert "t-1" in world.state.live
    assert world.state.notices == {}


def test_it_is_shown_also_while_there_is_no_room_for_a_launch() -> None:
    world = working()
    world.resources = FULL
    world.settle()
    assert "resources" in world.state.notices


def test_a_launch_that_was_prepared_waits_too() -> None:
    world = World()
    world.add("t-1")
    failing(world, Ensure)
    world.settle()
    world.faults = lambda _: None
    world.resources = FULL
    world.wait(60.0)
    assert world.run("t-1").phase is Phase.READY
    assert world.starts == {}
    world.resources = Resources()
    world.wait()
    assert len(world.starts) == 1


AFTER_THE_WORK = (Inspect, Publish, Finish)


@pytest.mark.parametrize("permanent", [False, True])
@pytest.mark.parametrize(
    ("step", "known"),
    [
        # By the kind of the failure.
        *((step, False) for step in (MakeRun, Ensure, Start, *AFTER_THE_WORK)),
        # By the state of the machine, whatever the failure is called.
        *((step, True) for step in AFTER_THE_WORK),
    ],
)
def test_a_step_that_fails_for_a_shortage_is_tried_until_it_works(
    step: type, known: bool, permanent: bool
) -> None:
    world = World()
    world.add("t-1")
    if step in AFTER_THE_WORK:
        world.settle()
        world.end("t-1")
    failing(world, step, permanent=permanent, shortage=not known)
    if known:
        world.resources = FULL
    world.settle()
    for _ in range(50):
        assert world.wake_at <= world.now + RETRY_SECONDS
        world.wait()
    assert world.state.notices["shortage"] == "tried again until it works: no room"
    metrics = world.state.metrics
    assert (metrics.worktree_errors, metrics.github_api_errors) == (0, 0)
    assert [event.message for event in metrics.history].count("no room") == 1
    assert world.state.health is Health.OK
    world.faults = lambda _: None
    world.resources = Resources()
    world.wait()
    if step not in AFTER_THE_WORK:
        world.end("t-1")
        world.settle()
    assert world.tasks["t-1"].fields["Attempt"] == "1"
    assert "PR" in world.tasks["t-1"].fields
    assert "shortage" not in world.state.notices


def test_with_the_room_all_goes_on_at_once() -> None:
    world = working(2)
    failing(world, Inspect)
    world.resources = FULL
    world.end("t-1")
    world.end("t-2")
    world.settle()
    for _ in range(10):
        world.wait()
    world.faults = lambda _: None
    world.resources = Resources()
    world.settle()
    assert {task.fields["PR"] for task in world.tasks.values()} == {"pull/1", "pull/2"}


def test_what_waits_for_another_reason_does_not_go_on_sooner() -> None:
    world = World()
    world.add("t-1")
    failing(world, Ensure)
    world.settle()
    due = world.run("t-1").retry_at
    assert due is not None
    world.state = world.state.evolve(runs={"t-1": world.run("t-1").evolve(failures=0)})
    world.resources = FULL
    world.settle()
    world.resources = Resources()
    world.settle()
    assert world.run("t-1").retry_at == due


def test_many_tasks_that_could_not_be_started_do_not_pause_the_fleet() -> None:
    world = World()
    world.policy = world.policy.evolve(max_concurrent_workers=6)
    for number in range(1, 7):
        world.add(f"t-{number}")
    failing(world, Start)
    for _ in range(200):
        world.wait()
    assert world.state.paused is None
    assert all(int(task.fields["Attempt"]) > 1 for task in world.tasks.values()), "it was really tried"
