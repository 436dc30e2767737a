"""The fakes play together as the real things do."""

from pathlib import Path

import pytest

from orch.core.model import Claim, Outcome, OutcomeKind, Phase, RunKey
from orch.core.state import Absent, Alive, Ended
from orch.errors import TransientError
from orch.ports import Command, PullDraft
from tests.fakes.ports import FakeWorld

KEY = RunKey("t-1", 1)
CLAIM = Claim("orch/t-1-x", "claude", "X", 1.0)
COMMAND = Command(argv=("x",), env={})


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return FakeWorld(tmp_path, "[] t-1: X\n")


def test_a_run_goes_from_the_claim_to_the_pull_request(world: FakeWorld) -> None:
    ports = world.ports
    ports.runs.claim(KEY, CLAIM)
    tree = ports.worktrees.ensure(KEY, CLAIM.branch)
    assert tree.path == ports.trees / "t-1"
    assert ports.executor.probe(KEY) == Absent()
    ports.executor.start(KEY, COMMAND, tree.path, "do it")
    assert ports.runs.load()["t-1"].phase is Phase.RUNNING
    assert isinstance(ports.executor.probe(KEY), Alive)
    world.worktrees.edit("t-1", "file", "text")
    world.worktrees.commit("t-1", "Do it")
    world.executor.finish(KEY)
    assert isinstance(ports.executor.probe(KEY), Ended)
    pull = ports.forge.publish(PullDraft(CLAIM.branch, "X", ""))
    assert pull.head == ports.worktrees.inspect(KEY, CLAIM.branch).head
    assert pull.created_at == world.clock.time
    ports.runs.finish(KEY, Outcome(OutcomeKind.COMPLETED, CLAIM.branch, "claude", 2.0, pull=pull))
    assert ports.runs.load()["t-1"].pull == pull


def test_a_run_that_is_finished_is_not_started_any_more(world: FakeWorld) -> None:
    world.runs.claim(KEY, CLAIM)
    world.runs.finish(KEY, Outcome(OutcomeKind.STOPPED, CLAIM.branch, "claude", 2.0))
    world.executor.start(KEY, COMMAND, Path("x"), "do it")
    assert world.executor.started == []


def test_a_store_fails_as_often_as_a_test_says(world: FakeWorld) -> None:
    world.runs.fail("claim")
    world.requests.fail("read", TransientError("one"), TransientError("two"))
    world.metrics.fail("read")
    with pytest.raises(TransientError, match="claim failed"):
        world.runs.claim(KEY, CLAIM)
    world.runs.claim(KEY, CLAIM)
    for message in ("one", "two"):
        with pytest.raises(TransientError, match=message):
            world.requests.read()
    assert world.requests.read() == ()
    with pytest.raises(TransientError):
        world.metrics.read()
    assert world.metrics.read() is None
