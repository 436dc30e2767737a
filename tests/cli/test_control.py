import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.command import Terminal, git, ok, orch, running, spawn, status, task, wait_until


def is_active(shop: Path, name: str) -> bool:
    workers = status(shop)["workers"]
    return any(worker["task"] == name and worker["activity"] == "working" for worker in workers)


def left_working(shop: Path, agent: str) -> None:
    """Leave a worker of t-1 behind, and no coordinator."""
    ok(shop, "add", "Take your time", "--agent", agent)
    with running(shop, "run", "--plain") as coordinator:
        wait_until(lambda: is_active(shop, "t-1"), "the worker works")
        coordinator.send_signal(signal.SIGINT)
        assert coordinator.wait(60) == 130
        assert coordinator.stdout
        assert "t-1: left to the next orch run" in coordinator.stdout.read()
    assert status(shop)["coordinator"] is None
    assert task(shop, "t-1")["status"] == "active"


@contextmanager
def at_work(shop: Path, agent: str) -> Iterator[None]:
    """A coordinator with a worker of t-1; in the end neither is left."""
    ok(shop, "add", "Take your time", "--agent", agent)
    with running(shop, "run", "--plain") as coordinator:
        wait_until(lambda: is_active(shop, "t-1"), "the worker works")
        try:
            yield
        finally:
            spawn(shop, "stop", "--all", "--now")
            wait_until(lambda: not status(shop)["workers"], "the workers are gone")
            coordinator.send_signal(signal.SIGTERM)
            coordinator.wait(60)


def test_a_stop_without_a_coordinator_is_carried_out_here(shop: Path) -> None:
    left_working(shop, "slow")
    out = ok(shop, "stop", "1", "--reason", "the plan changed")
    assert "SIGTERM in 60 s, SIGKILL 0.5 s later" in out
    assert "t-1: blocked, the plan changed" in out
    assert task(shop, "t-1")["error"] == "the plan changed"
    shown = ok(shop, "show", "t-1")
    saved = next(line.split()[1] for line in shown.splitlines() if line.strip().startswith("Saved"))
    assert "left" in git(shop, "show", f"{saved}:left.txt")
    assert "orch restore t-1 " in shown
    assert status(shop)["workers"] == []
    done = spawn(shop, "stop", "t-1")
    assert done.code == 1
    assert "it is blocked" in done.err


def test_now_does_not_wait_for_an_agent_that_is_deaf(shop: Path) -> None:
    left_working(shop, "deaf")
    assert "SIGTERM now" in ok(shop, "stop", "--all", "--now")
    assert task(shop, "t-1")["status"] == "blocked"
    assert ok(shop, "stop", "--all") == "Nothing is active.\n"


def test_a_stop_with_a_coordinator_is_asked_for(shop: Path) -> None:
    with at_work(shop, "slow"):
        assert status(shop)["coordinator"]["pid"] > 0
        done = spawn(shop, "run", "--plain")
        assert done.code == 1
        assert str(status(shop)["coordinator"]["pid"]) in done.err
        assert orch(shop, "retry", "t-1").code == 1
        assert "Stopping t-1" in ok(shop, "stop", "t-1")
        wait_until(lambda: task(shop, "t-1")["status"] == "blocked", "the task is blocked")
        assert ok(shop, "retry", "t-1") == "t-1 is queued again.\n"
        wait_until(lambda: is_active(shop, "t-1"), "the worker works again")
        assert task(shop, "t-1")["attempt"] == 2


def test_a_pending_task_is_taken_out_of_the_queue(shop: Path) -> None:
    ok(shop, "add", "One")
    ok(shop, "add", "Two")
    out = ok(shop, "stop", "t-1", "--reason", "not now")
    assert "Taking t-1 out of the queue." in out
    assert "SIGTERM" not in out
    assert task(shop, "t-1")["status"] == "blocked"
    assert task(shop, "t-2")["status"] == "pending"


@pytest.mark.parametrize("reference", ["9", "t-9", "nonsense"])
def test_an_unknown_task_is_an_expected_failure(shop: Path, reference: str) -> None:
    ok(shop, "add", "One")
    for command in ("stop", "retry", "show", "logs", "diff", "merge"):
        done = orch(shop, command, reference)
        assert done.code == 1, done
        assert f"there is no task '{reference}'" in done.err


def test_nothing_is_stopped_if_one_name_is_wrong(shop: Path) -> None:
    ok(shop, "add", "One")
    assert spawn(shop, "stop", "t-1", "t-2").code == 1
    assert task(shop, "t-1")["status"] == "pending"


def test_a_pause_without_a_coordinator_holds_from_its_start(shop: Path) -> None:
    ok(shop, "add", "One")
    for _ in range(2):
        assert "holds from the next" in ok(shop, "pause", "--reason", "release day")
    with running(shop, "run", "--plain") as coordinator:
        wait_until(lambda: status(shop)["coordinator"] and status(shop)["paused"], "it is paused")
        assert status(shop)["paused_reason"] == "release day"
        assert ok(shop, "resume") == "Resumed.\n"
        wait_until(lambda: task(shop, "t-1")["status"] == "completed", "the task is completed")
        coordinator.send_signal(signal.SIGTERM)
        assert coordinator.wait(60) == 0


def test_a_task_that_never_ran_is_in_the_queue_already(shop: Path) -> None:
    ok(shop, "add", "One")
    assert ok(shop, "retry", "t-1") == "t-1 is in the queue already.\n"


def test_a_task_whose_line_is_gone_cannot_be_retried(shop: Path) -> None:
    ok(shop, "add", "One")
    ok(shop, "run", "--plain", "--until-idle")
    (shop / "tasks.md").write_text("# nothing left\n")
    done = orch(shop, "retry", "t-1")
    assert done.code == 1
    assert "not in tasks.md any more" in done.err
    assert "not in tasks.md any more" in spawn(shop, "stop", "t-1").err
    assert "its line is not in tasks.md any more" in ok(shop, "show", "t-1")


def test_a_terminal_that_is_closed_does_not_end_the_work(shop: Path) -> None:
    ok(shop, "add", "One", "--agent", "slow")
    terminal = Terminal(shop, "run", "--until-idle")
    wait_until(lambda: is_active(shop, "t-1"), "the worker works")
    terminal.vanish()
    assert status(shop)["coordinator"]["pid"] == terminal.pid
    ok(shop, "add", "Two")
    wait_until(lambda: task(shop, "t-2")["status"] == "completed", "the next task is completed")
    ok(shop, "stop", "t-1")
    assert terminal.wait() == 141
    assert not (shop / ".orch/crashes").exists()


def test_run_until_idle_logs_lines_and_sums_up(shop: Path) -> None:
    for title in ("One", "Two", "Three"):
        ok(shop, "add", title)
    out = ok(shop, "run", "--until-idle")
    assert out.splitlines()[-1].endswith("3 completed")
    lines = [line for line in out.splitlines() if " task=t-2 " in line]
    assert any("level=info" in line and 'msg="launched' in line for line in lines)
    report = status(shop)
    assert report["counts"]["completed"] == 3
    assert report["metrics"]["workers_launched"] == 3
    metrics = json.loads((shop / ".orch/metrics.json").read_text())
    assert metrics["counts"]["completed"] == 3
    assert all(row["pr_url"] and row["commit"] and row["branch"] for row in report["tasks"])
    assert "task=t-2" in (shop / ".orch/orch.log").read_text()
