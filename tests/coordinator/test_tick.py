"""Observe, decide, act, record on fakes: every action, and every action failing."""

from pathlib import Path

import pytest

from orch.coordinator.record import make_snapshot
from orch.core.actions import Action
from orch.core.model import Claim, Phase, RunKey, StopRequest
from orch.errors import PermanentError, TransientError
from orch.ports import Check
from tests.coordinator.desk import Desk

KEY = RunKey("t-1", 1)


def test_the_main_path(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "[] t-1: Do it\n", verify=True)
    desk.until(desk.is_running)
    assert desk.world.executor.prompts[KEY]
    desk.work()
    desk.until(lambda: "[✅" in (desk.world.tasks.text or ""))
    assert [pull.branch for pull in desk.world.forge.pulls()] == ["orch/t-1-do-it"]
    desk.settle()
    assert desk.world.worktrees.list() == {}


def test_a_stop_goes_all_the_way(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "[] t-1: Do it\n")
    desk.until(desk.is_running)
    desk.world.requests.post(StopRequest("t-1", "enough"))
    desk.settle()
    assert (tmp_path / "trees" / "t-1" / "STOP").read_text().strip() == "enough"
    desk.until(lambda: "[⏰" in (desk.world.tasks.text or ""))
    assert desk.world.requests.read() == ()
    assert desk.world.executor.live == []


def test_a_lost_launcher_is_swept(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "[] t-1: Do it\n", max_attempts=1)
    desk.until(desk.is_running)
    desk.world.executor.lose(KEY)
    desk.until(lambda: "[❌" in (desk.world.tasks.text or ""))
    assert KEY in desk.world.executor.swept


def test_a_failing_verify_is_told_to_the_next_attempt(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "[] t-1: Do it\n", verify=True)
    desk.world.executor.check_result = Check(ok=False, tail="1 failed")
    desk.until(desk.is_running)
    desk.work()
    desk.until(lambda: desk.run().key.attempt == 2 and desk.is_running())
    assert "1 failed" in desk.run().claim.before


STEPS = [
    ("tasks", "apply"),
    ("runs", "claim"),
    ("runs", "finish"),
    ("costs", "record"),
    ("worktrees", "ensure"),
    ("worktrees", "inspect"),
    ("worktrees", "remove"),
    ("executor", "start"),
    ("executor", "probe"),
    ("executor", "check"),
    ("forge", "find"),
    ("forge", "publish"),
    ("tracker", "look"),
    ("requests", "read"),
    ("runs", "load"),
]


@pytest.mark.parametrize("retry_after", [0.1, None])
@pytest.mark.parametrize(("port", "method"), STEPS)
def test_any_port_may_fail_and_the_next_turns_converge(
    tmp_path: Path, port: str, method: str, retry_after: float | None
) -> None:
    desk = Desk(tmp_path, "[] t-1: Do it\n", verify=True)
    fake = getattr(desk.world, port)
    if port == "tasks":
        fake.fail(TransientError("away", retry_after=retry_after))
        desk.settle()
        assert desk.world.executor.started == [], "nothing is started that tasks.md does not say"
        fake.fail(None)
    else:
        fake.fail(method, *(TransientError("away", retry_after=retry_after) for _ in range(2)))
    desk.until(desk.is_running)
    desk.work()
    desk.until(lambda: "[✅" in (desk.world.tasks.text or "") and not desk.state.trees)
    assert desk.world.executor.started == [KEY]
    assert len(list(desk.world.forge.pulls())) == 1
    assert desk.world.worktrees.list() == {}


@pytest.mark.parametrize("turns", range(1, 16))
def test_a_coordinator_that_is_killed_after_any_turn_goes_on(tmp_path: Path, turns: int) -> None:
    desk = Desk(tmp_path, "[] t-1: Do it\n", verify=True)
    for _ in range(turns):
        desk.turn()
        desk.background.wait_until_idle(20)
        if desk.is_running() and desk.world.executor.live:
            desk.work()
    while not desk.queue.empty():
        desk.queue.get()
    desk.restart()
    if desk.world.executor.live:
        desk.world.worktrees.commit("t-1", "Do it")
        desk.world.executor.finish(KEY)
    else:
        desk.until(lambda: desk.is_running() or "[✅" in (desk.world.tasks.text or ""))
        if desk.is_running():
            desk.work()
    desk.until(lambda: "[✅" in (desk.world.tasks.text or "") and not desk.state.trees)
    assert desk.world.executor.started == [KEY]
    assert len(list(desk.world.forge.pulls())) == 1
    assert desk.world.worktrees.list() == {}


def test_worktrees_that_a_killed_coordinator_left_are_removed(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "[] t-1: Do it\n[] t-2: Fail\n", max_attempts=1, keep_failed_seconds=60.0)
    desk.until(lambda: desk.is_running("t-1") and desk.is_running("t-2"))
    desk.world.executor.finish(RunKey("t-2", 1))
    desk.work("t-1")
    desk.world.worktrees.fail("remove", PermanentError("busy"))
    desk.until(lambda: desk.state.plan.active == ())
    assert set(desk.world.worktrees.list()) == {"t-1", "t-2"}
    desk.restart()
    desk.settle()
    assert set(desk.world.worktrees.list()) == {"t-2"}
    desk.world.clock.advance(61)
    desk.settle()
    assert desk.world.worktrees.list() == {}


def test_a_worktree_without_a_finished_run_is_left(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "[] t-1: Do it\n")
    desk.world.worktrees.ensure(RunKey("t-9", 1), "orch/t-9")
    desk.restart()
    assert desk.state.trees == {}


def test_a_run_without_a_branch_gets_the_name_it_would_have_had(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.world.runs.claim(KEY, Claim("", "claude", "Do it", 0.0))
    desk.restart()
    assert desk.run().claim.branch == "orch/t-1-do-it"


def test_the_snapshot_tells_what_workers_do_and_what_waits(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "[] t-1: Do it\n[] t-2: Later {after:t-1}\n[] t-3: Odd {agent:codex}\n")
    desk.until(desk.is_running)
    snapshot = make_snapshot(desk.world.ports, desk.state, desk.policy, pid=7, started_at=1.0)
    assert snapshot.pid == 7
    assert set(snapshot.activity) == {"t-1"}
    assert snapshot.waiting == {"t-2": "waits for t-1", "t-3": "there is no [agents.codex] in config.toml"}


def test_a_worker_of_an_agent_that_is_gone_is_shown_without_words(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "[] t-1: Do it\n")
    desk.until(desk.is_running)
    del desk.world.agents["claude"]
    desk.restart()
    desk.turn()
    snapshot = make_snapshot(desk.world.ports, desk.state, desk.policy)
    assert snapshot.live == {"t-1"}
    assert snapshot.activity == {}
    desk.work()
    desk.until(lambda: "[✅" in (desk.world.tasks.text or ""))


def test_each_event_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "orch")
    desk = Desk(tmp_path, "[] t-1: Do it\n", max_attempts=1)
    desk.until(desk.is_running)
    desk.world.executor.finish(KEY)
    desk.until(lambda: desk.run().phase is Phase.OVER)
    said = [(entry.levelname, entry.getMessage().split()[0]) for entry in caplog.records]
    assert said == [("INFO", "launched"), ("WARNING", "failed")]


def test_an_unknown_action_is_a_bug(tmp_path: Path) -> None:
    from orch.coordinator.act import act

    desk = Desk(tmp_path)
    action: Action = object()  # type: ignore[assignment]
    act(desk.world.ports, [action], desk.background, desk.queue.put)
    assert desk.background.wait_until_idle(20)
    result = desk.queue.get()
    assert "a bug in orch" in getattr(result, "failure").message  # noqa: B009
