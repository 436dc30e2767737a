"""Every action fails before it did anything, fails after it did all, or never ends: the next turns converge.

One story holds every action. Each is told once for each action and each way in which that can go wrong.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

import pytest

from orch.coordinator.act import INLINE
from orch.core import actions
from orch.core.forge import Checks, Job, PullStatus, Remark
from orch.core.model import ForgePolicy, PauseRequest, RunKey, StopRequest
from orch.errors import TransientError
from tests.coordinator.desk import Desk
from tests.fakes.tracker import MAINTAINER

SECONDS = 60.0
"""Nothing here takes long; whoever waits for so long waits for ever."""
TIMES = 2
"""So often a call goes wrong before it works."""
TURNS = 400

PLACES: dict[type, tuple[str, str]] = {
    actions.WriteTasks: ("tasks", "apply"),
    actions.MakeRun: ("runs", "claim"),
    actions.Ensure: ("worktrees", "ensure"),
    actions.Start: ("executor", "start"),
    actions.Ask: ("worktrees", "ask"),
    actions.End: ("executor", "end"),
    actions.Sweep: ("executor", "sweep"),
    actions.Inspect: ("worktrees", "inspect"),
    actions.Verify: ("executor", "check"),
    actions.Publish: ("forge", "publish"),
    actions.Finish: ("runs", "finish"),
    actions.Remove: ("worktrees", "remove"),
    actions.Dismiss: ("requests", "dismiss"),
    actions.SavePause: ("requests", "set_paused"),
    actions.Poll: ("tracker", "look"),
    actions.SaveLedger: ("ledger", "write"),
    actions.Tell: ("tracker", "tell"),
    actions.CloseIssue: ("tracker", "close"),
    actions.Rerun: ("reviews", "rerun"),
    actions.AutoMerge: ("reviews", "auto_merge"),
    actions.Retire: ("reviews", "retire"),
    actions.Prune: ("runs", "prune"),
    actions.Tend: ("repository", "tend"),
    actions.Warm: ("repository", "warm"),
}
"""Where each action meets the world."""


class Way(StrEnum):
    """How a call goes wrong."""

    BEFORE = "before"
    """It fails, and nothing has happened."""
    AFTER = "after"
    """It fails, and all has happened: a dropped connection, a lost answer."""
    HANG = "hang"
    """It does not come back, until orch is killed."""


class Killed(BaseException):
    """The coordinator is killed while its own thread is in a call."""


class Fault:
    """A port of which one method goes wrong at first."""

    def __init__(self, port: object, method: str, way: Way, *, inline: bool) -> None:
        self._port = port
        self._method = method
        self._way = way
        self._inline = inline
        self._lock = threading.Lock()
        self.met = 0
        self.hangs = threading.Event()
        self.killed = threading.Event()

    def __getattr__(self, name: str) -> object:
        real = getattr(self._port, name)
        return self._wrap(real) if name == self._method else real

    def _wrap(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            with self._lock:
                self.met += 1
                wrong = self.met <= (1 if self._way is Way.HANG else TIMES)
            if not wrong:
                return real(*arguments, **named)
            if self._way is Way.AFTER:
                real(*arguments, **named)
            if self._way is Way.HANG:
                if self._inline:
                    raise Killed
                self.hangs.set()
                assert self.killed.wait(SECONDS), "nobody kills what hangs"
            raise TransientError(f"{self._method} went wrong: {self._way}")

        return call


class Story:
    """A coordinator, the people and the workers around it."""

    def __init__(self, folder: Path, action: type, way: Way) -> None:
        forge = ForgePolicy(intake=True, follow=True, retire=True, auto_merge="when_approved")
        self.desk = Desk(
            folder,
            "[] t-1: Stop me\n[] t-2: Lose me\n",
            forge=forge,
            unblock_on="merged",
            verify=True,
            warm=1,
            max_concurrent_workers=9,
        )
        self.world = self.desk.world
        self.world.tracker.open_issue("Fix the login")
        name, method = PLACES[action]
        self.fault = Fault(getattr(self.world, name), method, way, inline=action in INLINE)
        faulty: dict[str, Any] = {name: self.fault}
        self.world.ports = replace(self.world.ports, **faulty)
        self.meanwhile = False

    def until(self, condition: Callable[[], bool]) -> None:
        """Take turns and let time pass until it is so, through whatever goes wrong."""
        for _ in range(TURNS):
            try:
                self.desk.turn()
            except Killed:
                self.desk.kill()
                continue
            while not self.desk.background.wait_until_idle(0.02):
                if self.fault.hangs.is_set():
                    break
            if self.fault.hangs.is_set() and not self.fault.killed.is_set():
                self._go_on_meanwhile()
                self.fault.killed.set()
                self.desk.kill()
            elif condition():
                return
            elif self.desk.queue.empty():
                self.world.clock.advance(max(0.01, self.desk.wake_at - self.world.clock.now()))
        raise AssertionError(f"never: {self.world.tasks.text}\n{self.desk.state.metrics.history[-5:]}")

    def _go_on_meanwhile(self) -> None:
        """What hangs holds up nothing else: another task is started."""
        text = self.world.tasks.text or ""
        self.world.tasks.edit(
            text.replace("[] t-2:", "[] t-9: Meanwhile\n[] t-2:", 1)
            if "[] t-2:" in text
            else f"{text}\n[] t-9: Meanwhile\n"
        )
        for _ in range(TURNS):
            self.desk.turn()
            if RunKey("t-9", 1) in self.world.executor.started:
                self.meanwhile = True
                return
            self.desk.background.wait_until_idle(0.02)
        raise AssertionError("what hangs holds up the others")

    def says(self, task: str, mark: str) -> Callable[[], bool]:
        return lambda: any(
            f" {task}:" in line and f"[{mark}" in line for line in (self.world.tasks.text or "").splitlines()
        )

    def lives(self, *runs: RunKey) -> Callable[[], bool]:
        return lambda: set(runs) <= set(self.world.executor.live)

    def work(self, run: RunKey) -> None:
        """A worker commits something and ends, and its pull request is there."""
        self.until(self.lives(run))
        self.world.worktrees.edit(run.task, f"file{run.attempt}", "text")
        self.world.worktrees.commit(run.task, f"Attempt {run.attempt}")
        self.world.executor.finish(run)
        self.until(self.says(run.task, "✅"))

    def change_pull(self, **changes: object) -> None:
        """What people and the CI do to the pull request of the issue."""
        pull = self.pull()
        self.world.tracker.change_pull(pull.url, head=pull.head, **changes)

    def pull(self) -> PullStatus:
        (found,) = [pull for pull in self.world.forge.known() if pull.branch.startswith("orch/gh-1")]
        return PullStatus(found.number, found.url, found.branch, found.head)


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("action", get_args(actions.Action))
def test_whatever_goes_wrong_the_next_turns_converge(tmp_path: Path, action: type, way: Way) -> None:
    story = Story(tmp_path, action, way)
    world = story.world
    issue, stopped, lost = RunKey("gh-1", 1), RunKey("t-1", 1), RunKey("t-2", 1)
    story.until(story.lives(issue, stopped, lost))
    story.work(issue)
    world.requests.post(StopRequest("t-1", "enough"))
    story.until(story.says("t-1", "⏰"))
    world.executor.lose(lost)
    story.work(RunKey("t-2", 2))
    # The pull request is followed until it is merged.
    story.change_pull(checks=Checks.RED, jobs=(Job(12, "build", "cancelled", trouble="no runner"),))
    story.until(lambda: bool(world.reviews.reruns))
    remark = Remark("c1", MAINTAINER, "Use a set")
    story.change_pull(checks=Checks.RED, jobs=(Job(11, "test", "failure"),), remarks=(remark,))
    story.work(RunKey("gh-1", 2))
    green = {"checks": Checks.GREEN, "jobs": (), "remarks": (), "conflicts": False}
    story.change_pull(**green, approvers=(MAINTAINER,))
    story.until(lambda: bool(world.reviews.merging))
    world.forge.merge_by_hand(story.pull().number)
    story.change_pull(state="merged", merged_commit="d" * 40)
    story.until(lambda: world.tracker.closed == [1])
    story.until(lambda: "is merged" in world.tracker.comments_of_orch[1])
    if (action, way) != (actions.Retire, Way.BEFORE):  # It is tried again at the next start.
        story.until(lambda: world.reviews.retired == [story.pull().branch])
    world.requests.post(PauseRequest(paused=True, reason="release day"))
    story.until(lambda: world.requests.paused() == "release day" and not world.requests.read())

    assert story.fault.met, "the story has no such action"
    assert story.meanwhile == (way is Way.HANG and action not in INLINE)
    started = {issue, stopped, lost, RunKey("gh-1", 2), RunKey("t-2", 2)}
    assert set(world.executor.started) - {RunKey("t-9", 1)} == started
    assert len(world.executor.started) == len(set(world.executor.started)), "one worker for each attempt"
    branches = [pull.branch for pull in world.forge.known()]
    assert len(branches) == len(set(branches)) == 2
    assert len(world.reviews.reruns) == len(world.reviews.merging) == len(world.reviews.replies) == 1
    assert world.executor.swept
    # A tree that nobody could tell to end is swept.
    assert set(world.executor.swept) - ({stopped} if action is actions.End else set()) == {lost}
    assert "t-2" not in world.worktrees.list()
    if (action, way) != (actions.Tend, Way.BEFORE):  # It is done again tomorrow.
        assert world.repository.tended


def test_every_action_is_in_the_story() -> None:
    assert PLACES.keys() == set(get_args(actions.Action))
