"""The real claude in the real loop of orch."""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from orch.adapters.agents import conversations
from tests.claude.messages_api import (
    CACHE_READ,
    CACHE_WRITTEN,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    Ask,
    Hang,
    Refuse,
    Reply,
    Say,
    bash,
    usage_limit,
)
from tests.claude.world import KEY, World, commit, commits_once

CALL_TOKENS = INPUT_TOKENS + CACHE_WRITTEN + CACHE_READ + OUTPUT_TOKENS
CALL_USD = 0.00606
"""What claude says that one of our answers costs, with its default model."""

pytestmark = pytest.mark.timeout(240)


def test_a_real_commit_by_the_real_claude(world: World) -> None:
    project = world.project
    world.configure()
    hook = project.root.parent / "hook"
    run = {"hooks": [{"type": "command", "command": f"touch {hook}"}]}
    (project.root / "CLAUDE.md").write_text("Write in the style of Swift.\n")
    (project.root / ".claude").mkdir()
    settings = {"hooks": {"SessionStart": [run], "Stop": [run]}, "apiKeyHelper": f"touch {hook}; echo x"}
    (project.root / ".claude" / "settings.json").write_text(json.dumps(settings))
    project.git("add", "-A")
    project.git("commit", "-qm", "How we write")
    project.git("push", "-q")

    def script(ask: Ask) -> Reply:
        return bash(f"env; {commit('hello')}") if ask.turn == 0 else Say("I said hello.")

    world.api.script = script
    project.write_tasks("[] t-1: Say hello")
    project.orch("run", "--plain", "--until-idle", GITHUB_TOKEN="ghp_0123456789abcdef", SOME_VARIABLE="x")
    assert project.statuses() == {"t-1": "completed"}
    branch = "orch/t-1-say-hello"
    assert project.git("log", "-1", "--format=%an %B", branch) == "Tester Add hello"
    assert project.git("show", f"{branch}:hello.txt") == "hello"
    first, second = world.api.asks
    assert first.session == second.session == world.file("t-1", 1, "run.json")["session_id"]
    assert "Say hello" in first.text
    assert "Write in the style of Swift." in first.text
    assert not hook.exists(), "the repository's settings are not trusted"
    assert "ORCH_TASK_ID=t-1" in second.text
    assert "GITHUB_TOKEN" not in second.text
    assert "SOME_VARIABLE" not in second.text
    outcome = world.file("t-1", 1, "outcome.json")
    assert outcome["cost_usd"] == pytest.approx(2 * CALL_USD)
    assert (outcome["tokens"], outcome["turns"]) == (2 * CALL_TOKENS, 2)
    assert outcome["session_id"] == first.session
    files = (project.root / ".orch" / "runs" / "t-1" / "1").iterdir()
    holding = {path.name for path in files if KEY.encode() in path.read_bytes()}
    assert holding == {"stdout.jsonl"}, "it told its environment itself; orch wrote the key nowhere"
    assert project.leftovers() == []


def test_a_usage_limit_parks_and_the_conversation_goes_on(world: World) -> None:
    project = world.project
    world.configure(subscription=True)
    resets_at = 0.0

    def script(ask: Ask) -> Reply:
        nonlocal resets_at
        if ask.turn == 0:
            return bash(commit("half"))
        if ask.turn == 1:
            resets_at = round(time.time() + 4)
            return usage_limit(resets_at)
        return bash(commit("whole")) if ask.turn == 2 else Say("Both halves are there.")

    world.api.script = script
    project.write_tasks("[] t-1: Do it in two halves")
    running = project.start("--until-idle")
    project.wait_for(lambda: "claude limited until" in project.log(), "the notice")
    running.wait(120)
    assert project.statuses() == {"t-1": "completed"}
    first, second = world.file("t-1", 1, "outcome.json"), world.file("t-1", 2, "outcome.json")
    assert (first["kind"], first["spent"], first["retry_at"]) == ("limited", 0, resets_at)
    assert "5-hour limit" in first["reason"]
    assert (second["kind"], second["spent"]) == ("completed", 0)
    assert second["started_at"] >= resets_at
    assert len(world.api.sessions()) == 1
    assert "Add half" in world.api.asks[2].text
    assert first["cost_usd"] == pytest.approx(first["tokens"] * second["cost_usd"] / second["tokens"])


def test_coordinator_and_worker_are_killed_and_the_conversation_goes_on(world: World) -> None:
    project = world.project
    world.configure()

    def script(ask: Ask) -> Reply:
        match ask.turn:
            case 0:
                return bash(commit("before"))
            case 1:
                return bash('echo started > "$SIGNS/t-1"; sleep 300')
            case 2:
                return bash(commit("after"))
            case _:
                return Say("Done after all.")

    world.api.script = script
    project.write_tasks("[] t-1: Survive")
    coordinator = project.start()
    project.wait_for_sign("t-1")
    (worker,) = project.status()["workers"]
    assert worker["activity"] == 'Bash: echo started > "$SIGNS/t-1"; sleep 300'
    coordinator.kill()
    coordinator.wait()
    world.kill_worker("t-1", 1)
    project.orch("run", "--plain", "--until-idle")
    assert project.statuses() == {"t-1": "completed"}
    assert len(world.api.sessions()) == 1, "one conversation"
    assert "Add before" in world.api.asks[2].text, "it knows what it did"
    assert project.git("log", "--format=%s", "orch/t-1-survive", "-2") == "Add after\nAdd before"
    assert world.file("t-1", 2, "run.json")["session_id"] == world.file("t-1", 1, "run.json")["session_id"]
    lost = world.file("t-1", 1, "outcome.json")
    assert lost["tokens"] > 2 * (CALL_TOKENS - OUTPUT_TOKENS), "what a killed run used is counted, too"
    assert project.leftovers() == []


def test_the_conversation_is_told_what_was_wrong(world: World) -> None:
    project = world.project
    world.configure(
        tables='[verify]\ncommand = "test -e second.txt || { echo second.txt is missing; false; }"\n'
    )

    replies: list[Reply] = [bash(commit("first")), Say("Done."), bash(commit("second")), Say("Done now.")]
    world.api.script = lambda ask: replies[ask.turn]
    project.write_tasks("[] t-1: Two files")
    project.orch("run", "--plain", "--until-idle")
    assert project.statuses() == {"t-1": "completed"}
    assert len(world.api.sessions()) == 1
    told = json.dumps(world.api.asks[2].messages[-1])
    assert "second.txt is missing" in told
    assert "Add first" in world.api.asks[2].text
    outcome = world.file("t-1", 2, "outcome.json")
    assert outcome["cost_usd"] == pytest.approx(2 * CALL_USD), "of this attempt alone"


def test_sigterm_from_outside_costs_no_attempt_and_the_conversation_goes_on(world: World) -> None:
    project = world.project
    world.configure(tables="[retry]\nmax_attempts = 1\n")
    never = threading.Event()

    def script(ask: Ask) -> Reply:
        if ask.turn == 0:
            return Hang(never, Say("too late"))
        return commits_once(ask)

    world.api.script = script
    path = project.root / "config.toml"
    path.write_text(path.read_text().replace("[retry]\ninitial_seconds = 0.1\nmax_seconds = 0.5\n", ""))
    project.write_tasks("[] t-1: Go on")
    running = project.start("--until-idle")
    world.wait_for_asks(1)
    os.kill(world.file("t-1", 1, "run.json")["pid"], signal.SIGTERM)
    project.wait_for(lambda: len(world.api.asks) >= 2, "a second attempt")
    never.set()
    running.wait(120)
    assert world.file("t-1", 1, "exit.json")["reason"] == "stopped"
    assert world.file("t-1", 1, "outcome.json")["spent"] == 0
    assert len(world.api.sessions()) == 1


def test_a_conversation_that_a_person_has_open_waits(world: World, tmp_path: Path) -> None:
    never = threading.Event()
    world.api.script = lambda _: Hang(never, Say("done"))
    session = "4af9af99-d13c-5946-a35d-b18dcc39faf5"
    home = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ANTHROPIC_API_KEY": KEY, "IS_SANDBOX": "1"}
    argv = [str(world.binary), "-p", "--session-id", session]
    environment = {**home, "ANTHROPIC_BASE_URL": world.api.url}
    with subprocess.Popen(argv, cwd=tmp_path, env=environment, stdin=subprocess.PIPE) as person:
        assert person.stdin
        person.stdin.write(b"hello")
        person.stdin.close()
        world.wait_for_asks(1)
        notes = tmp_path / ".claude" / "sessions"
        assert conversations.find_noted(notes, session) == person.pid
        assert conversations.find_holder(session) == person.pid
        never.set()
    assert conversations.find_noted(notes, session) == 0


def test_one_that_is_stopped_keeps_its_work_and_goes_on_when_it_is_wanted(world: World) -> None:
    project = world.project
    world.configure()
    replies: list[Reply] = [
        bash('echo half > half.txt; echo started > "$SIGNS/t-1"; sleep 300'),
        bash(commit("whole")),
        Say("Both halves are there."),
    ]
    world.api.script = lambda ask: replies[ask.turn]
    project.write_tasks("[] t-1: Two halves")
    running = project.start()
    project.wait_for_sign("t-1")
    project.orch("stop", "t-1", "--now")
    project.wait_for(lambda: project.statuses() == {"t-1": "blocked"}, "the end")
    assert world.file("t-1", 1, "exit.json")["code"] == 143
    assert project.git("show", "refs/orch/saved/t-1/1:half.txt") == "half"
    project.orch("retry", "t-1")
    project.wait_for(lambda: project.statuses() == {"t-1": "completed"}, "the end")
    project.end(running)
    assert len(world.api.sessions()) == 1
    assert project.git("show", "orch/t-1-two-halves:half.txt") == "half"
    assert project.leftovers() == []


def test_hooks_that_are_trusted_run_and_what_is_denied_is_told(world: World) -> None:
    project = world.project
    world.configure()
    path = project.root / "config.toml"
    trusting = '[agents.claude]\ntrust_hooks = true\npermission_mode = "dontAsk"\n'
    once = path.read_text().replace("[retry]\n", "[retry]\nmax_attempts = 1\n")
    path.write_text(once.replace("[agents.claude]\n", trusting))
    hook = project.root.parent / "hook"
    run = {"hooks": [{"type": "command", "command": f"touch {hook}"}]}
    (project.root / ".claude").mkdir()
    (project.root / ".claude" / "settings.json").write_text(json.dumps({"hooks": {"SessionStart": [run]}}))
    project.git("add", "-A")
    project.git("commit", "-qm", "Hooks")
    project.git("push", "-q")
    world.api.script = lambda ask: bash("touch x.txt") if ask.turn % 2 == 0 else Say("I may not.")
    project.write_tasks("[] t-1: Touch it")
    project.orch("run", "--plain", "--until-idle")
    assert hook.exists()
    assert project.statuses() == {"t-1": "failed"}
    assert world.attempts("t-1") == 1
    assert "it was not allowed to use: Bash" in project.tasks


def test_a_budget_stops_it_and_blocks_the_task(world: World) -> None:
    project = world.project
    world.configure()
    world.api.script = lambda ask: bash(f"echo {ask.turn}")
    project.write_tasks("[] t-1: Go on for ever {budget:0.02}")
    project.orch("run", "--plain", "--until-idle")
    assert project.statuses() == {"t-1": "blocked"}
    outcome = world.file("t-1", 1, "outcome.json")
    assert outcome["cost_usd"] == pytest.approx(4 * CALL_USD), "it overshoots by less than one call"
    assert "$0.02" in project.tasks
    assert world.attempts("t-1") == 1


def test_so_many_turns_and_no_more(world: World) -> None:
    project = world.project
    world.configure(extra=("--max-turns", "2"))
    world.api.script = lambda ask: bash(f"echo {ask.turn}")
    project.write_tasks("[] t-1: Go on for ever")
    project.orch("run", "--plain", "--until-idle")
    assert project.statuses() == {"t-1": "failed"}
    assert "Reached maximum number of turns (2)" in project.tasks
    assert world.attempts("t-1") == 3
    assert len(world.api.sessions()) == 1, "the attempts go on with one conversation"


def test_a_login_that_does_not_work_pauses_the_fleet(world: World) -> None:
    project = world.project
    world.configure(env={"CLAUDE_CODE_MAX_RETRIES": "0"})
    world.api.script = lambda _: Refuse(401, "authentication_error", "invalid x-api-key")
    project.write_tasks("[] t-1: First", "[] t-2: Second")
    running = project.start()

    def is_quiet() -> bool:
        status = project.status()
        return bool(status["paused"]) and not status["workers"]

    project.wait_for(is_quiet, "the pause")
    project.end(running)
    status = project.status()
    assert "Invalid API key" in status["paused_reason"]
    assert set(project.statuses().values()) == {"pending"}
    assert world.file("t-1", 1, "outcome.json")["spent"] == 0
    world.api.script = commits_once
    project.orch("resume")
    project.orch("run", "--plain", "--until-idle")
    assert set(project.statuses().values()) == {"completed"}


def test_a_worker_that_does_not_leave_after_its_result_is_ended_and_its_result_counts(world: World) -> None:
    project = world.project
    # As a person may want it: then a task in the background keeps claude for ten minutes.
    world.configure(env={"CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "0"})
    path = project.root / "config.toml"
    path.write_text(path.read_text().replace("[limits]\n", "[limits]\nlinger_seconds = 1\n"))

    def script(ask: Ask) -> Reply:
        match ask.turn:
            case 0:
                return bash("sleep 300", run_in_background=True)
            case 1:
                return bash(commit("quick"))
            case _:
                return Say("It is there.")

    world.api.script = script
    project.write_tasks("[] t-1: Be quick")
    project.orch("run", "--plain", "--until-idle")
    assert project.statuses() == {"t-1": "completed"}
    assert world.file("t-1", 1, "exit.json")["reason"] == "lingered"
    assert project.leftovers() == []


def test_a_task_chooses_its_model(world: World) -> None:
    project = world.project
    world.configure()
    world.api.script = commits_once
    project.write_tasks("[] t-1: Small {model:claude-haiku-4-5}", "[] t-2: Usual")
    project.orch("run", "--plain", "--until-idle")
    assert set(project.statuses().values()) == {"completed"}
    of_task = {"Small" in ask.text: ask.model for ask in world.api.asks}
    assert of_task[True].startswith("claude-haiku-4-5")
    assert of_task[False] != of_task[True]


def test_a_model_that_is_not_there_is_told(world: World) -> None:
    project = world.project
    world.configure(tables="")
    world.api.script = lambda ask: Refuse(404, "not_found_error", f"model: {ask.model}")
    project.write_tasks("[] t-1: Impossible {model:nothing-such}")
    project.orch("run", "--plain", "--until-idle")
    assert "There's an issue with the selected model (nothing-such)" in project.tasks


def test_six_at_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    project = world.project
    world.configure()
    path = project.root / "config.toml"
    path.write_text(
        path.read_text().replace("[coordinator]\n", "[coordinator]\nmax_concurrent_workers = 6\n")
    )
    together = threading.Barrier(6)

    def script(ask: Ask) -> Reply:
        if ask.turn == 0:
            together.wait(120)
            return bash(commit(f"of-{ask.session[:8]}"))
        return Say("done")

    world.api.script = script
    tasks = [f"t-{number}" for number in range(1, 7)]
    project.write_tasks(*(f"[] {name}: Task {name}" for name in tasks))
    project.orch("run", "--plain", "--until-idle")
    assert project.statuses() == dict.fromkeys(tasks, "completed")
    assert len(world.api.sessions()) == 6
    outcomes = [world.file(name, 1, "outcome.json") for name in tasks]
    assert sum(outcome["cost_usd"] for outcome in outcomes) == pytest.approx(12 * CALL_USD)
    total = json.loads(project.orch("cost", "--json"))["total"]
    assert total["usd"] == pytest.approx(12 * CALL_USD)
    assert total["tokens"] == 12 * CALL_TOKENS
    branches = project.git("branch", "--list", "orch/*", "--format=%(refname:short)", cwd=project.origin)
    assert len(branches.splitlines()) == 6
    for branch in branches.splitlines():
        assert project.git("rev-list", "--count", f"main..{branch}") == "1"
    peaks = [world.file(name, 1, "exit.json")["peak_rss_bytes"] // 2**20 for name in tasks]
    with capsys.disabled():
        print(f"\nsix workers at once, MB each: {peaks}")  # noqa: T201 - a figure to be noted
    assert project.leftovers() == []
