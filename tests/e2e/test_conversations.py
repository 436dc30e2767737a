"""Limits, budgets and conversations, with real processes and what the real claude printed once."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from typing import Any

import pytest

from tests.e2e import replaying
from tests.e2e.projects import Project

CONFIG = """
[coordinator]
poll_interval_seconds = 5
[agent]
default = "claude"
[agents.claude]
kind = "claude"
command = ["{agent}"]
env = {{ SIGNS = "{signs}", ANTHROPIC_API_KEY = "made-up", IS_SANDBOX = "1" }}
[limits]
min_free_disk_mb = 0
min_free_memory_mb = 0
grace_seconds = 1
[retry]
max_attempts = 1
initial_seconds = 0.1
max_seconds = 0.5
"""


@pytest.fixture
def claude(project: Project) -> Project:
    """A project whose agent plays claude."""
    agent = project.root.parent / "claude"
    agent.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{replaying.__file__}" "$@"\n')
    agent.chmod(agent.stat().st_mode | stat.S_IXUSR)
    (project.root / "config.toml").write_text(CONFIG.format(agent=agent, signs=project.signs))
    return project


def plan(project: Project, task: str, *steps: str) -> None:
    (project.signs / f"plan-{task}").write_text("\n".join(steps))


def told(project: Project, task: str) -> list[dict[str, Any]]:
    """What was told to the agent of each attempt at a task, with its conversation and its arguments."""
    lines = []
    for path in project.signs.glob("conversation-*"):
        for line in path.read_text().splitlines():
            found = json.loads(line)
            if found["task"] == task:
                lines.append({**found, "session": path.name.removeprefix("conversation-")})
    return sorted(lines, key=lambda line: int(line["attempt"]))


def outcome(project: Project, task: str, attempt: int) -> dict[str, Any]:
    path = project.root / ".orch" / "runs" / task / str(attempt) / "outcome.json"
    project.wait_for(path.exists, f"outcome of {task}/{attempt}")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_a_usage_limit_parks_everything_and_the_conversation_goes_on(claude: Project) -> None:
    claude.write_tasks("[] t-1: First", "[] t-2: Second {after:t-1}", "[] t-3: Third {p9, after:t-2}")
    plan(claude, "t-1", "limit 15")
    first = claude.start()
    found = outcome(claude, "t-1", 1)
    assert (found["kind"], found["spent"]) == ("limited", 0)
    claude.orch("add", "Something else", "-p", "0")
    claude.wait_for(lambda: len(claude.statuses()) == 4, "the new task")
    claude.end(first)
    status = claude.status()
    (limit,) = status["limits"]
    assert (limit["agent"], limit["until"], limit["known"]) == (
        "claude",
        pytest.approx(found["retry_at"]),
        True,
    )
    notice = r"claude limited until \d\d:\d\d \(\d+ s\): 5-hour limit"
    assert any(re.fullmatch(notice, each) for each in status["notices"])
    assert "claude limited until" in claude.orch("status")
    assert told(claude, "t-4") == [], "it waits too"
    second = claude.start()
    claude.wait_for(lambda: set(claude.statuses().values()) == {"completed"}, "the end of all")
    claude.end(second)
    begun, gone_on = told(claude, "t-1")
    assert begun["session"] == gone_on["session"]
    assert "Go on with task t-1" in gone_on["prompt"]
    assert "hit your 5-hour limit" in gone_on["prompt"]
    assert outcome(claude, "t-1", 2)["started_at"] >= found["retry_at"]
    assert claude.status()["limits"] == []


def test_another_model_takes_over_while_the_limit_lasts(claude: Project) -> None:
    config = claude.root / "config.toml"
    config.write_text(config.read_text().replace("[limits]", 'fallback = "model:small"\n[limits]'))
    claude.write_tasks("[] t-1: First {model:big}")
    plan(claude, "t-1", "limit 3000")
    claude.orch("run", "--plain", "--until-idle")
    begun, gone_on = told(claude, "t-1")
    assert "--model=big" in begun["argv"]
    assert "--model=small" in gone_on["argv"]
    assert begun["session"] == gone_on["session"]
    assert claude.statuses() == {"t-1": "completed"}
    assert [limit["agent"] for limit in claude.status()["limits"]] == ["claude"]


def test_a_login_that_does_not_work_pauses_the_fleet(claude: Project) -> None:
    claude.write_tasks("[] t-1: First")
    plan(claude, "t-1", "login")
    child = claude.start()
    found = outcome(claude, "t-1", 1)
    assert found["spent"] == 0
    claude.wait_for(lambda: claude.status()["paused"], "the pause")
    assert "login" in claude.status()["paused_reason"]
    assert claude.statuses() == {"t-1": "pending"}
    claude.orch("resume")
    claude.wait_for(lambda: claude.statuses() == {"t-1": "completed"}, "the end of t-1")
    claude.end(child)


def test_a_worker_over_its_budget_is_stopped_with_the_figure(claude: Project) -> None:
    claude.write_tasks("[] t-1: First {budget:2.50}", "[] t-2: Second")
    plan(claude, "t-1", "spend 2.75")
    claude.orch("run", "--plain", "--until-idle")
    assert claude.statuses() == {"t-1": "blocked", "t-2": "completed"}
    assert "- Reason: its budget is spent, $2.7" in claude.tasks
    (begun,) = told(claude, "t-1")
    assert begun["argv"][begun["argv"].index("--max-budget-usd") + 1] == "2.5000"
    report = json.loads(claude.orch("cost", "--by", "task", "--json"))
    costs = {row["task"]: row["usd"] for row in report["rows"]}
    assert costs["t-1"] >= 2.75
    assert costs["t-2"] == pytest.approx(0.01332)
    assert report["total"]["usd"] == pytest.approx(sum(costs.values()))
    assert claude.status()["today"]["usd"] == pytest.approx(sum(costs.values()))
    for by in ("day", "agent"):
        assert json.loads(claude.orch("cost", "--by", by, "--json"))["total"] == report["total"]
    assert f"${sum(costs.values()):.2f}"[1:] in claude.orch("cost")
    assert "today $2." in claude.orch("status")


def test_the_budget_of_the_day_stops_all_until_midnight(claude: Project) -> None:
    claude.configure("[budget]\nper_day_usd = 5\n")
    claude.write_tasks("[] t-1: First", "[] t-2: Second", "[] t-3: Third {after:t-1}")
    plan(claude, "t-1", "spend 2.60")
    plan(claude, "t-2", "spend 2.70")
    child = claude.start()
    for task in ("t-1", "t-2"):
        found = outcome(claude, task, 1)
        assert (found["kind"], found["spent"]) == ("limited", 0)
        assert found["reason"].startswith("the day's budget is spent, $5.3")
    claude.wait_for(lambda: not claude.status()["workers"], "an end of the workers")
    assert any("nothing is launched until midnight" in notice for notice in claude.status()["notices"])
    claude.end(child)
    claude.orch("add", "More")
    again = claude.start()
    claude.wait_for(lambda: "t-4" in claude.statuses(), "the new task")
    claude.end(again)
    assert set(claude.statuses().values()) == {"pending"}


def test_a_kill_of_everything_goes_on_with_the_conversation(claude: Project) -> None:
    claude.write_tasks("[] t-1: First")
    plan(claude, "t-1", "wait")
    child = claude.start()
    claude.wait_for_sign("t-1")
    run = json.loads((claude.root / ".orch" / "runs" / "t-1" / "1" / "run.json").read_text())
    claude.end(child, signal.SIGKILL)
    os.killpg(run["agent_pid"], signal.SIGKILL)
    os.kill(run["pid"], signal.SIGKILL)
    config = claude.root / "config.toml"
    config.write_text(config.read_text().replace("max_attempts = 1", "max_attempts = 2"))
    claude.orch("run", "--plain", "--until-idle")
    assert claude.statuses() == {"t-1": "completed"}
    begun, gone_on = told(claude, "t-1")
    assert begun["session"] == gone_on["session"]
    assert "--resume" in gone_on["argv"]
    assert claude.leftovers() == []


def test_a_conversation_that_is_gone_begins_anew_and_costs_no_attempt(claude: Project) -> None:
    claude.write_tasks("[] t-1: First")
    plan(claude, "t-1", "wait")
    child = claude.start()
    claude.wait_for_sign("t-1")
    for path in claude.signs.glob("conversation-*"):
        path.unlink()
    claude.orch("send", "t-1", "Use tabs.", "--restart")
    claude.wait_for(lambda: claude.statuses() == {"t-1": "completed"}, "the end of t-1")
    claude.end(child)
    (anew,) = told(claude, "t-1")
    assert anew["attempt"] == "3"
    assert "--session-id" in anew["argv"]
    assert "You work unattended" in anew["prompt"]
    assert "Use tabs." in anew["prompt"], "the one before could not be told"
    assert outcome(claude, "t-1", 3)["spent"] == 0


def test_a_message_interrupts_and_is_told_once(claude: Project) -> None:
    claude.write_tasks("[] t-1: First", "  with notes")
    plan(claude, "t-1", "wait", "wait")
    child = claude.start()
    claude.wait_for_sign("t-1")
    assert "The attempt after this one is told" in claude.orch("send", "t-1", "First remark.")
    claude.orch("send", "1", "Second remark.", "--restart")
    claude.wait_for(lambda: len(told(claude, "t-1")) == 2, "the second attempt")
    claude.orch("send", "t-1", "Third remark.", "--restart")
    claude.wait_for(lambda: claude.statuses() == {"t-1": "completed"}, "the end of t-1")
    claude.end(child)
    first, second, third = told(claude, "t-1")
    assert len({line["session"] for line in (first, second, third)}) == 1
    assert "First remark.\n\nSecond remark." in second["prompt"]
    assert "with notes" in second["prompt"]
    assert "Third remark." in third["prompt"]
    assert list((claude.root / ".orch" / "requests").glob("send-*")) == []


def test_the_prompt_of_the_next_attempt_can_be_read_before(claude: Project) -> None:
    claude.write_tasks("[] t-1: First", "  with notes")
    plan(claude, "t-1", "spend 1 x")
    before = claude.orch("prompt", "t-1")
    child = claude.start()
    claude.wait_for_sign("t-1")
    assert told(claude, "t-1")[0]["prompt"] == before
    claude.orch("stop", "t-1", "--now")
    claude.wait_for(lambda: claude.statuses() == {"t-1": "blocked"}, "the stop")
    claude.end(child)
    claude.orch("send", "t-1", "Use tabs.")
    following = claude.orch("prompt", "1")
    assert "Go on with task t-1" in following
    assert "Use tabs." in following
    assert "You work unattended" in claude.orch("prompt", "t-1", "--fresh")
    claude.orch("retry", "t-1")
    claude.orch("run", "--plain", "--until-idle")
    assert told(claude, "t-1")[1]["prompt"] == following


def test_the_logs_read_as_a_conversation_over_all_attempts(claude: Project) -> None:
    claude.write_tasks("[] t-1: First")
    plan(claude, "t-1", "wait")
    child = claude.start()
    claude.wait_for_sign("t-1")
    with subprocess.Popen(
        claude.argv("logs", "t-1", "-f"),
        cwd=claude.root,
        env=claude.environment({}),
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdout
        first = reader.stdout.readline()
        claude.orch("send", "t-1", "Go on.", "--restart")
        shown = first + reader.stdout.read()
        assert reader.wait(60) == 0
    claude.end(child)
    assert "attempt 2" in shown
    assert shown.count('● Bash  echo hello > hello.txt && git add -A && git commit -m "add hello"') == 2
    assert "  │ [w1 c831d82] add hello\n" in shown
    assert "\ndone\n" in shown
    assert "── done: " in shown
    assert "\x1b" not in shown
    raw = claude.orch("logs", "t-1", "--raw")
    assert json.loads(raw.splitlines()[0])["type"] == "system"
