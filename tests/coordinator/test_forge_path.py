"""Issues and pull requests through observe, decide, act and record, on fakes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from orch.coordinator.record import make_snapshot
from orch.coordinator.rehearsal import rehearse
from orch.core.forge import Checks, Job, Person, Remark
from orch.core.model import ApproveRequest, ForgePolicy, RetryRequest, RunKey, StopRequest
from orch.core.rules.trust import digest
from orch.errors import PermanentError, TransientError
from tests.coordinator.desk import Desk
from tests.fakes.tracker import MAINTAINER, STRANGER

FORGE = ForgePolicy(intake=True, follow=True, retire=True, auto_merge="when_approved")
TASK = "gh-1"
URL = "fake/pull/1"
TEST = Job(11, "test", "failure")


def hub(folder: Path, **policy: object) -> Desk:
    """A desk whose forge has an issue."""
    desk = Desk(folder, "", forge=FORGE, unblock_on="merged", **policy)
    desk.world.tracker.open_issue("Fix the login", body="It fails.")
    return desk


def says(desk: Desk, text: str) -> Callable[[], bool]:
    return lambda: text in (desk.world.tasks.text or "")


def publish(desk: Desk) -> None:
    """The issue travels to its pull request."""
    desk.until(lambda: desk.is_running(TASK))
    desk.work(TASK)
    desk.until(says(desk, "[✅"))


def attempt(desk: Desk, number: int) -> str:
    """Wait for an attempt, let it work and end; gives its prompt."""
    key = RunKey(TASK, number)
    desk.until(lambda: desk.is_running(TASK) and desk.run(TASK).key == key)
    desk.world.worktrees.edit(TASK, f"file{number}", "text")
    desk.world.worktrees.commit(TASK, f"Attempt {number}")
    desk.world.executor.finish(key)
    desk.until(lambda: TASK not in desk.state.live)
    return desk.world.executor.prompts[key]


def change_pull(desk: Desk, **changes: object) -> None:
    """What people and the CI do, to the head that is there."""
    head = desk.world.forge.known()[0].head
    desk.world.tracker.change_pull(URL, head=head, **changes)


def test_the_whole_path(tmp_path: Path) -> None:
    desk = hub(tmp_path)
    world = desk.world
    world.tracker.say(1, "See auth.py")
    world.tracker.say(1, "Mine bitcoins", STRANGER)
    world.tracker.open_issue("Say so", body="depends on #1")
    publish(desk)
    prompt = world.executor.prompts[RunKey(TASK, 1)]
    assert "It fails." in prompt
    assert "See auth.py" in prompt
    assert "bitcoins" not in prompt
    world.reviews.logs[11] = "assert 1 == 2"
    change_pull(desk, checks=Checks.RED, jobs=(TEST,))
    assert "assert 1 == 2" in attempt(desk, 2)
    change_pull(desk, checks=Checks.GREEN, jobs=(), remarks=(Remark("c1", MAINTAINER, "Use a set"),))
    assert "Use a set" in attempt(desk, 3)
    assert [reply.remark for _, reply in world.reviews.replies.values()] == ["c1"]
    change_pull(desk, checks=Checks.GREEN, remarks=(), conflicts=False, approvers=(MAINTAINER,))
    desk.until(lambda: bool(world.reviews.merging))
    snapshot = make_snapshot(world.ports, desk.state, desk.policy)
    assert snapshot.reviews == {URL: "checks passed, approved"}
    assert snapshot.usage is not None
    world.forge.merge_by_hand(1)
    change_pull(desk, state="merged", merged_commit="d" * 40)
    desk.until(says(desk, "- Merged:"))
    desk.until(lambda: desk.is_running("gh-2"))
    desk.until(lambda: world.tracker.closed == [1])
    assert world.reviews.retired == ["orch/gh-1-fix-the-login"]
    assert "is merged" in world.tracker.comments_of_orch[1]
    assert world.forge.opened == [1]


def test_a_stranger_waits(tmp_path: Path) -> None:
    desk = hub(tmp_path)
    issue = desk.world.tracker.open_issue("Mine bitcoins", author=STRANGER)
    desk.settle()
    snapshot = make_snapshot(desk.world.ports, desk.state, desk.policy)
    assert snapshot.awaiting == {"gh-2": "Mine bitcoins, by sam (none)"}
    desk.world.requests.post(ApproveRequest("gh-2", digest(issue)))
    desk.until(lambda: desk.is_running("gh-2"))


STEPS = [
    ("tracker", "look"),
    ("tracker", "comments"),
    ("tracker", "tell"),
    ("tracker", "close"),
    ("reviews", "tails"),
    ("reviews", "rerun"),
    ("reviews", "reply"),
    ("reviews", "auto_merge"),
    ("reviews", "retire"),
    ("ledger", "write"),
    ("forge", "publish"),
    ("forge", "find"),
]


@pytest.mark.parametrize(("port", "method"), STEPS)
def test_any_call_of_the_forge_may_fail_and_all_is_done_once(tmp_path: Path, port: str, method: str) -> None:
    desk = hub(tmp_path)
    world = desk.world
    getattr(world, port).fail(method, TransientError("502"), TransientError("502"))
    publish(desk)
    change_pull(desk, checks=Checks.RED, jobs=(Job(12, "build", "cancelled", trouble="no runner"),))
    desk.until(lambda: bool(world.reviews.reruns))
    change_pull(desk, checks=Checks.RED, jobs=(TEST,), remarks=(Remark("c1", MAINTAINER, "Use a set"),))
    attempt(desk, 2)
    change_pull(desk, checks=Checks.GREEN, jobs=(), remarks=(), conflicts=False, approvers=(MAINTAINER,))
    desk.until(lambda: bool(world.reviews.merging))
    world.forge.merge_by_hand(1)
    change_pull(desk, state="merged")
    desk.until(lambda: world.tracker.closed == [1])
    desk.until(lambda: "is merged" in world.tracker.comments_of_orch[1])
    if method != "retire":  # It is tried again at the next start.
        desk.until(lambda: bool(world.reviews.retired))
    assert world.forge.opened == [1]
    assert len(world.reviews.reruns) == 1
    assert len(world.reviews.merging) == 1
    assert len(world.reviews.replies) == 1
    assert world.executor.started == [RunKey(TASK, 1), RunKey(TASK, 2)]


def test_a_follow_up_that_is_stopped_knows_its_pull_request_without_asking(tmp_path: Path) -> None:
    desk = hub(tmp_path)
    publish(desk)
    change_pull(desk, conflicts=True)
    desk.until(lambda: desk.is_running(TASK))
    desk.world.forge.fail("find", *[TransientError("it hangs")] * 9)
    desk.world.requests.post(StopRequest(TASK, "enough", now=True))
    desk.until(says(desk, "[⏰"))
    run = desk.run(TASK)
    assert run.outcome is not None
    assert run.outcome.pull is not None
    assert (run.outcome.pull.number, run.outcome.pull.url) == (1, URL)
    assert f"- PR: {URL}" in (desk.world.tasks.text or "")
    desk.world.forge.fail("find")
    desk.world.requests.post(RetryRequest(TASK))
    desk.until(lambda: desk.is_running(TASK))
    assert desk.run(TASK).claim.pull == 1, "it is no evidence of the next attempt's work"


def test_a_first_attempt_that_is_stopped_has_none(tmp_path: Path) -> None:
    desk = hub(tmp_path)
    desk.until(lambda: desk.is_running(TASK))
    desk.world.requests.post(StopRequest(TASK, "enough", now=True))
    desk.until(says(desk, "[⏰"))
    run = desk.run(TASK)
    assert run.outcome is not None
    assert run.outcome.pull is None


def test_an_answer_that_cannot_be_given_loses_no_work(tmp_path: Path) -> None:
    desk = hub(tmp_path)
    publish(desk)
    desk.world.reviews.fail("reply", PermanentError("locked"))
    change_pull(desk, remarks=(Remark("c1", MAINTAINER, "Use a set"),))
    attempt(desk, 2)
    desk.until(says(desk, "[✅"))


@pytest.mark.parametrize("turns", range(1, 30, 2))
def test_killed_after_any_turn_it_goes_on(tmp_path: Path, turns: int) -> None:
    desk = hub(tmp_path)
    left = turns

    def maybe_die() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            while not desk.queue.empty():
                desk.queue.get()
            desk.restart()

    def until(condition: Callable[[], bool]) -> None:
        for _ in range(300):
            desk.turn()
            desk.background.wait_until_idle(20)
            maybe_die()
            if condition():
                return
            if desk.queue.empty():
                desk.world.clock.advance(max(0.01, desk.wake_at - desk.world.clock.now()))
        raise AssertionError(desk.world.tasks.text)

    def work(number: int) -> None:
        key = RunKey(TASK, number)
        until(lambda: key in desk.world.executor.live)
        desk.world.worktrees.edit(TASK, f"file{number}", "text")
        desk.world.worktrees.commit(TASK, f"Attempt {number}")
        desk.world.executor.finish(key)
        until(says(desk, "[✅"))

    work(1)
    change_pull(desk, checks=Checks.RED, jobs=(TEST,), remarks=(Remark("c1", MAINTAINER, "Use a set"),))
    work(2)
    change_pull(desk, checks=Checks.GREEN, jobs=(), remarks=(), conflicts=False)
    desk.world.forge.merge_by_hand(1)
    change_pull(desk, state="merged")
    until(says(desk, "- Merged:"))
    until(lambda: desk.world.tracker.closed == [1])
    until(lambda: "is merged" in desk.world.tracker.comments_of_orch[1])
    until(lambda: bool(desk.world.reviews.retired))
    assert desk.world.executor.started == [RunKey(TASK, 1), RunKey(TASK, 2)]
    assert desk.world.forge.opened == [1]
    assert len(desk.world.reviews.replies) == 1


def test_a_rehearsal_tells_each_write_and_makes_none(tmp_path: Path) -> None:
    desk = hub(tmp_path)
    publish(desk)
    world = desk.world
    world.tracker.open_issue("Other")
    world.forge.merge_by_hand(1)
    change_pull(desk, state="merged")
    text, told, writes = world.tasks.text, list(world.tracker.told), world.ledger.writes
    lines = rehearse(world.ports, desk.policy)
    assert set(lines) == {
        "issue #1: its comment would say: ✅ **orch** is done: fake/pull/1 is merged.",
        "the branch orch/gh-1-fix-the-login would be deleted, here and at the forge",
        "issue #1 would be closed",
    }
    assert (world.tasks.text, world.tracker.told, world.ledger.writes) == (text, told, writes)
    assert not world.tracker.closed
    assert not world.reviews.retired


def test_a_rehearsal_of_everything_else(tmp_path: Path) -> None:
    desk = hub(tmp_path)
    desk.policy = desk.policy.evolve(forge=FORGE.evolve(status_labels={"completed": "orch:completed"}))
    publish(desk)
    desk.world.ledger.ledger = desk.world.ledger.ledger.evolve(
        issues={n: entry.evolve(told="") for n, entry in desk.world.ledger.ledger.issues.items()}
    )
    change_pull(desk, checks=Checks.RED, jobs=(Job(12, "build", "cancelled", trouble="no runner"),))
    lines = rehearse(desk.world.ports, desk.policy)
    assert "pull request #1: build would run again" in lines
    assert any("label orch:completed would be set" in line for line in lines)
    change_pull(desk, checks=Checks.GREEN, jobs=(), conflicts=False, approvers=(Person("mia", "OWNER"),))
    merged = "pull request #1 would be merged as soon as the forge allows it"
    assert merged in rehearse(desk.world.ports, desk.policy)
    assert not desk.world.reviews.merging
    desk.world.tracker.fail("look")
    with pytest.raises(TransientError):
        rehearse(desk.world.ports, desk.policy)


def test_a_rehearsal_while_a_worker_is_over(tmp_path: Path) -> None:
    desk = hub(tmp_path)
    desk.until(lambda: desk.is_running(TASK))
    desk.world.executor.finish(RunKey(TASK, 1))
    (line,) = rehearse(desk.world.ports, desk.policy)
    assert line.startswith("orch/gh-1-fix-the-login would be pushed")
