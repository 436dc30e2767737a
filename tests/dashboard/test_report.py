import json
import time
from dataclasses import replace

from orch.core.metrics import Health, Metrics
from orch.core.model import Mark, OutcomeKind, PullRequest, Status, Stopping, Task
from orch.core.tasks_md import Document
from orch.dashboard.report import make_report
from tests.dashboard.snapshots import COMPLETED, NOW, busy, end, make_run, make_snapshot


def test_the_report_has_the_keys_that_scripts_rely_on() -> None:
    report = make_report(busy(), NOW)
    assert report["health"] == "ok"
    assert report["paused"] is False
    assert report["coordinator"] == {"pid": 4242, "uptime_seconds": 11_520.0}
    assert report["counts"] == {"pending": 3, "active": 2, "completed": 1, "failed": 1, "blocked": 1}
    assert set(report["tasks"][0]) >= {
        *("id", "title", "status", "priority", "attempt", "worker", "branch", "commit", "pr_url", "error")
    }
    assert report["metrics"]["workers_launched"] == 7
    assert report["metrics"]["durations"] == {"p50": 200.0, "p95": 800.0, "samples": 3}
    assert report["metrics"]["success_rate"] == 0.75
    assert report["events"][-1]["kind"] == "completed"
    assert report["problems"] == [{"line": 14, "message": "unknown tag {colour:red}"}]
    assert report["notices"] == ["agent codex is not installed"]


def test_the_report_says_where_each_task_stands() -> None:
    tasks = {task["id"]: task for task in make_report(busy(), NOW)["tasks"]}
    assert len(tasks) == 9
    assert tasks["gh-430"]["pr_url"] == "https://forge.example/pull/41"
    assert tasks["gh-430"]["commit"] == "cbffe52"
    assert tasks["gh-430"]["error"] is None
    assert tasks["gh-473"]["attempt"] == 2
    assert tasks["gh-473"]["branch"] == "orch/gh-473-x"
    assert tasks["gh-460"]["error"] == "verify failed: 3 tests"
    assert tasks["gh-461"]["error"] == "which one?"
    assert tasks["gh-461"]["attempt"] == 0
    assert tasks["gh-481"]["waiting"] == "waits for gh-480"
    assert tasks["gh-480"]["waiting"] is None
    assert tasks["gh-431"]["status"] == "skipped"


def test_the_report_lists_the_live_workers() -> None:
    workers = make_report(busy(), NOW)["workers"]
    assert [worker["task"] for worker in workers] == ["gh-471", "gh-473"]
    assert workers[0]["age_seconds"] == 754
    assert workers[0]["pid"] == 4001
    assert workers[0]["activity"] == "editing login.ts"
    assert (workers[0]["cost_usd"], workers[0]["tokens"], workers[0]["turns"]) == (1.25, 123_456, 7)
    assert workers[1]["phase"] == "verifying"
    assert (workers[1]["cost_usd"], workers[1]["tokens"]) == (0.0, 0)


def test_the_report_tells_limits_and_what_today_has_cost_so_far() -> None:
    report = make_report(busy(), NOW)
    assert report["limits"] == [
        {"agent": "codex", "limit": "5-hour limit", "since": NOW - 60, "until": NOW + 3600, "known": True}
    ]
    assert report["today"] == {"day": "2023-11-14", "usd": 4.75, "tokens": 2_123_456}


def test_a_worker_that_is_being_stopped_says_so_and_one_without_a_process_is_young() -> None:
    stopped = make_run("t-1").evolve(stopping=Stopping("enough", NOW))
    claimed = make_run("t-2").evolve(process=None)
    workers = make_report(make_snapshot(runs=(stopped, claimed)), NOW)["workers"]
    assert [(worker["phase"], worker["pid"]) for worker in workers] == [("stopping", 4001), ("running", None)]
    assert workers[1]["age_seconds"] == 756
    assert workers[1]["title"] == "title of t-2"


def test_without_a_coordinator_and_a_readable_file_there_is_still_a_report() -> None:
    report = make_report(make_snapshot(document=None, paused="by hand", health=Health.CRITICAL), NOW)
    assert report["coordinator"] is None
    assert report["tasks"] == []
    assert report["counts"] == {"pending": 0, "active": 0, "completed": 0, "failed": 0, "blocked": 0}
    assert (report["health"], report["paused"], report["paused_reason"]) == ("critical", True, "by hand")
    assert report["metrics"]["success_rate"] is None
    assert report["metrics"]["durations"]["p50"] is None


def test_a_line_without_an_id_counts() -> None:
    snapshot = make_snapshot(document=Document({}, unnamed=(Task("", "New"),)))
    report = make_report(snapshot, NOW)
    assert report["counts"]["pending"] == 1
    assert report["tasks"][0]["id"] is None


def test_what_was_merged_by_hand_keeps_what_tasks_md_says_of_it() -> None:
    task = Task("t-1", "Done", COMPLETED, fields={"PR": "local:7", "Branch": "orch/t-1"})
    (row,) = make_report(make_snapshot(task), NOW)["tasks"]
    assert (row["pr_url"], row["branch"], row["worker"], row["commit"]) == (
        *("local:7", "orch/t-1", "w-9a9b9c", "cbffe52"),
    )


def test_a_pending_task_tells_why_it_failed_before() -> None:
    run = end(make_run("t-1"), OutcomeKind.FAILED, "exit code 1")
    today = time.strftime("%Y-%m-%d ", time.localtime(NOW))
    task = Task("t-1", "Again", fields={"Retry at": "2025-11-20 12:41:00"})
    (row,) = make_report(make_snapshot(task, runs=(run,)), NOW)["tasks"]
    assert (row["status"], row["error"], row["attempt"]) == ("pending", "exit code 1", 1)
    assert row["waiting"] == "retry at 2025-11-20 12:41:00".replace(today, "")


def test_the_rate_is_rounded_as_in_the_metrics_file() -> None:
    report = make_report(make_snapshot(metrics=Metrics(recent=(True, True, False))), NOW)
    assert report["metrics"]["success_rate"] == 0.667


def test_odd_bytes_in_a_title_still_give_valid_json() -> None:
    pull = PullRequest(1, "u\udc80", "b")
    run = end(make_run("t-1"), OutcomeKind.COMPLETED, pull=pull)
    snapshot = make_snapshot(Task("t-1", "bad \udcff byte", Mark(Status.COMPLETED)), runs=(run,))
    text = json.dumps(make_report(replace(snapshot, notices={"": "\ud800"}), NOW), ensure_ascii=True)
    assert "\\ud" not in text
    assert json.loads(text)["tasks"][0]["title"] == "bad \ufffd byte"
