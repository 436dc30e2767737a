"""The main job, end to end: real git, real processes, orch as a user starts it."""

import json
import signal

import pytest

from tests.e2e.projects import Project


def test_a_queue_is_cleared(project: Project) -> None:
    project.write_tasks(
        "[] t-1: Plain work",
        "[] t-2: Depends {after:t-1}",
        "[] Without an id",
        "[] t-4: Unlucky {p1}",
        "  please fail once",
        "[] t-5: Stubborn",
        "  please fail",
        "[] t-6: Puzzled",
        "  please block",
        "[] t-7: Lazy",
        "  please idle",
        "[] t-8: Waits for the stubborn one {after:t-5}",
    )
    project.orch("run", "--plain", "--until-idle")
    assert project.statuses() == {
        "t-1": "completed",
        "t-2": "completed",
        "t-9": "completed",
        "t-4": "completed",
        "t-5": "failed",
        "t-6": "blocked",
        "t-7": "failed",
        "t-8": "pending",
    }
    assert sorted(project.launches()) == [
        *("t-1/1", "t-2/1", "t-4/1", "t-4/2", "t-5/1", "t-5/2", "t-5/3", "t-6/1"),
        *("t-7/1", "t-7/2", "t-7/3", "t-9/1"),
    ]
    assert "- Reason: which colour?" in project.tasks
    assert "- Reason: exit code 3" in project.tasks
    pulls = json.loads(project.orch("pr", "list", "--json"))
    assert sorted(pull["branch"] for pull in pulls) == [
        "orch/t-1-plain-work",
        "orch/t-2-depends",
        "orch/t-4-unlucky",
        "orch/t-9-without-an-id",
    ]
    pushed = project.git("branch", "--list", "orch/*", "--format=%(refname:short)", cwd=project.origin)
    assert len(pushed.splitlines()) == 4
    left = {path.name for path in (project.root / "trees").iterdir() if not path.name.startswith(".")}
    assert left == {"t-5", "t-6", "t-7"}, "failed and blocked ones are kept, completed ones are not"
    assert project.leftovers() == []
    metrics = json.loads((project.root / ".orch" / "metrics.json").read_text())
    assert (metrics["workers_launched"], metrics["workers_completed"], metrics["prs_created"]) == (12, 4, 4)
    status = project.status()
    assert status["coordinator"] is None
    assert status["counts"] == {"pending": 1, "active": 0, "completed": 4, "failed": 2, "blocked": 1}


def test_running_again_changes_nothing(project: Project) -> None:
    project.write_tasks("[] t-1: Plain work", "[] t-2: Lazy", "  please block")
    project.orch("run", "--plain", "--until-idle")
    before, stat = project.tasks_file.read_bytes(), project.tasks_file.stat()
    project.orch("run", "--plain", "--until-idle")
    assert project.tasks_file.read_bytes() == before
    assert project.tasks_file.stat().st_mtime_ns == stat.st_mtime_ns
    assert sorted(project.launches()) == ["t-1/1", "t-2/1"]


def test_the_next_attempt_hears_what_went_wrong_and_goes_on_in_the_same_tree(project: Project) -> None:
    project.configure('[verify]\ncommand = "test $(wc -l < t-1.txt) -ge 2 || { echo too short; false; }"\n')
    project.write_tasks("[] t-1: Two lines")
    project.orch("run", "--plain", "--until-idle")
    assert project.statuses() == {"t-1": "completed"}
    assert "verify failed" in (project.root / ".orch/runs/t-1/2/prompt.md").read_text()
    assert "verify failed" not in (project.root / ".orch/runs/t-1/1/prompt.md").read_text()
    assert project.git("show", "orch/t-1-two-lines:t-1.txt") == "t-1 1\nt-1 2"


def test_uncommitted_work_is_saved_before_the_tree_goes(project: Project) -> None:
    project.write_tasks("[] t-1: Untidy", "  please litter")
    project.orch("run", "--plain", "--until-idle")
    assert not (project.root / "trees" / "t-1").exists()
    assert project.git("show", "refs/orch/saved/t-1/1:litter.txt") == "left over"


def test_merge_frees_dependents_and_is_written_down(project: Project) -> None:
    config = project.root / "config.toml"
    config.write_text('[forge]\nunblock_on = "merged"\n' + config.read_text())
    project.write_tasks("[] t-1: First", "[] t-2: Second {after:t-1}")
    project.orch("run", "--plain", "--until-idle")
    assert project.launches() == ["t-1/1"]
    project.orch("merge", "1")
    assert "- Merged: " in project.tasks
    assert project.git("show", "main:t-1.txt", cwd=project.origin) == "t-1 1"
    project.orch("run", "--plain", "--until-idle")
    assert project.launches() == ["t-1/1", "t-2/1"]


def test_a_second_coordinator_says_who_runs(project: Project) -> None:
    child = project.start()
    said = project.orch("run", "--plain", code=1)
    assert str(child.pid) in said
    assert project.end(child) == 0
    assert not (project.root / ".orch" / "coordinator.pid").exists()


@pytest.mark.parametrize("now", [False, True])
def test_stop_keeps_the_work_and_blocks_the_task(project: Project, now: bool) -> None:
    project.write_tasks("[] t-1: Long", "  please wait" if now else "  please obey")
    child = project.start()
    project.wait_for_sign("t-1")
    project.orch("stop", "1", *(["--now"] if now else []))
    project.wait_for(lambda: "[⏰" in project.tasks, "the mark")
    assert project.leftovers() == []
    if not now:
        assert (project.signs / "stopped").read_text().strip()
    assert project.git("show", "orch/t-1-long:t-1.txt") == "t-1 1"
    assert (project.root / "trees" / "t-1").is_dir()
    (project.signs / "go").touch()
    project.write_tasks(
        *[
            line.replace("please wait", "").replace("please obey", "")
            for line in project.tasks.splitlines()
            if line.startswith(("[", " "))
        ]
    )
    project.orch("retry", "t-1")
    project.wait_for(lambda: "[✅" in project.tasks, "the second attempt")
    assert project.launches() == ["t-1/1", "t-1/2"]
    project.end(child)


def test_stop_works_without_a_coordinator(project: Project) -> None:
    project.write_tasks("[] t-1: Long", "  please wait")
    child = project.start()
    project.wait_for_sign("t-1")
    assert project.end(child) == 0
    assert project.leftovers(), "a drained coordinator leaves its workers"
    assert "[🟡" in project.tasks
    assert project.status()["workers"][0]["task"] == "t-1"
    project.orch("stop", "gh-1", code=1)
    project.orch("stop", "t-1", "--now")
    assert project.leftovers() == []
    assert "[⏰" in project.tasks


def test_a_broken_configuration_keeps_nobody_from_looking_and_stopping(project: Project) -> None:
    project.write_tasks("[] t-1: Long", "  please wait")
    child = project.start()
    project.wait_for_sign("t-1")
    config = project.root / "config.toml"
    good = config.read_text()
    config.write_text(good + "[nonsense")
    assert "config.toml" in project.orch("status")
    assert "t-1" in project.orch("logs", "t-1", "-n", "1")
    project.end(child)
    config.write_text('[forge]\nbase_branch = "gone"\n' + good)
    assert project.status()["counts"]["active"] == 1
    config.write_text("nonsense = true\n" + good)
    assert "nonsense" in project.orch("stop", "t-1", "--now")
    assert project.leftovers() == []
    assert "[⏰" in project.tasks


def test_a_worker_outlives_kill_9_and_is_adopted(project: Project) -> None:
    project.write_tasks("[] t-1: Long", "  please hold", "[] t-2: Long too", "  please hold")
    child = project.start()
    project.wait_for_sign("t-1")
    project.wait_for_sign("t-2")
    assert project.end(child, signal.SIGKILL) == -signal.SIGKILL
    (project.signs / "go").touch()
    project.orch("run", "--plain", "--until-idle")
    assert project.statuses() == {"t-1": "completed", "t-2": "completed"}
    assert sorted(project.launches()) == ["t-1/1", "t-2/1"]
    assert project.leftovers() == []


def test_pause_by_signal_and_by_name_survives_a_restart(project: Project) -> None:
    child = project.start()
    child.send_signal(signal.SIGUSR1)
    project.wait_for((project.root / ".orch" / "pause.json").exists, "the pause")
    project.end(child)
    assert project.status()["paused"]
    project.write_tasks("[] t-1: Work")
    child = project.start()
    project.orch("resume")
    project.wait_for(lambda: "[✅" in project.tasks, "the work")
    assert not project.status()["paused"]
    project.end(child)


def test_a_second_signal_stops_the_workers_and_they_are_taken_up_again(project: Project) -> None:
    config = project.root / "config.toml"
    config.write_text(config.read_text().replace("[coordinator]", '[coordinator]\ndrain = "finish"'))
    project.write_tasks("[] t-1: Long", "  please wait")
    child = project.start()
    project.wait_for_sign("t-1")
    child.send_signal(signal.SIGTERM)
    project.wait_for(lambda: "draining" in project.log(), "the drain")
    assert project.end(child, signal.SIGINT) == 130
    assert project.leftovers() == []
    assert "[] t-1" in project.tasks
    project.write_tasks("[] t-1: Short now")
    project.orch("run", "--plain", "--until-idle")
    assert project.launches() == ["t-1/1", "t-1/2"]


def test_sighup_reloads_and_a_bad_file_keeps_the_last_good_one(project: Project) -> None:
    config = project.root / "config.toml"
    good = config.read_text()
    config.write_text(good.replace("[coordinator]", "[coordinator]\nmax_concurrent_workers = 1"))
    project.write_tasks("[] t-1: Long", "  please hold", "[] t-2: Long", "  please hold")
    child = project.start()
    project.wait_for_sign("t-1")
    config.write_text("nonsense = [")
    child.send_signal(signal.SIGHUP)
    project.wait_for(lambda: "not reloaded" in project.log(), "the complaint")
    assert project.launches() == ["t-1/1"]
    config.write_text(good)
    child.send_signal(signal.SIGHUP)
    project.wait_for_sign("t-2")
    (project.signs / "go").touch()
    project.wait_for(lambda: project.tasks.count("[✅") == 2, "both")
    project.end(child)


def test_edits_by_hand_count_at_once(project: Project) -> None:
    project.write_tasks("[] t-1: Long", "  please wait")
    child = project.start()
    project.wait_for_sign("t-1")
    kept = [line for line in project.tasks.splitlines() if "t-1" not in line]
    project.tasks_file.write_text("\n".join(kept).replace("## Pending", "## Pending\n\n[] t-2: New") + "\n")
    project.wait_for(
        lambda: project.leftovers() == [] and "[✅" in project.tasks, "the stop and the new task"
    )
    assert "t-1:" not in project.tasks
    assert project.git("show", "orch/t-1-long:t-1.txt") == "t-1 1"
    project.end(child)


def test_an_agent_that_removes_its_run_directory_is_not_given_the_same_attempt(
    project: Project,
) -> None:
    project.write_tasks("[] t-1: Vandal", "  please vandalize")
    project.orch("run", "--plain", "--until-idle")
    assert project.launches() == ["t-1/1", "t-1/2"]
    assert project.statuses() == {"t-1": "completed"}


def test_a_secret_of_the_settings_is_not_repeated(project: Project) -> None:
    config = project.root / "config.toml"
    config.write_text(config.read_text().replace("env = { ", 'env = { MY_SECRET = "hunter2hunter2", '))
    project.write_tasks("[] t-1: Chatty", "  please tell")
    said = project.orch("run", "--plain", "--until-idle")
    assert "my question: ***" in project.tasks
    said += project.orch("show", "t-1") + project.orch("status") + project.tasks
    for path in (project.root / ".orch").rglob("*"):
        # The raw output of the agent is its own, and so is the file that it wrote.
        if path.is_file() and path.name not in ("stdout.jsonl", "stderr.log", "BLOCKED.md"):
            said += path.read_text(errors="replace")
    assert "hunter2" not in said
    assert "ghp_0123456789" not in said


def test_a_missing_agent_is_said_and_fails_no_attempt(project: Project) -> None:
    config = project.root / "config.toml"
    config.write_text(config.read_text().replace("agent.sh", "missing.sh"))
    project.write_tasks("[] t-1: Work")
    said = project.orch("run", "--plain", "--until-idle")
    assert "[agents.sh] command" in said
    assert project.statuses() == {"t-1": "pending"}
    assert not list((project.root / ".orch" / "runs").iterdir())
    # $AGENT_COMMAND puts another command in its place, to try something.
    commit = "sh -c 'echo x > x; git add x; git commit -qm x'"
    project.orch("run", "--plain", "--until-idle", AGENT_COMMAND=commit)
    assert project.statuses() == {"t-1": "completed"}


def test_fifty_tasks_are_launched_once_each(project: Project) -> None:
    config = project.root / "config.toml"
    config.write_text(
        config.read_text().replace("[coordinator]", "[coordinator]\nmax_concurrent_workers = 8")
    )
    project.write_tasks(*[f"[] t-{number}: Task {number}" for number in range(1, 51)])
    project.orch("run", "--plain", "--until-idle")
    assert sorted(project.launches()) == sorted(f"t-{number}/1" for number in range(1, 51))
    status = project.status()
    assert status["counts"]["completed"] == 50
    assert len(json.loads(project.orch("pr", "list", "--json"))) == 50
    assert project.leftovers() == []
    assert [path for path in (project.root / "trees").iterdir() if not path.name.startswith(".")] == []
    # What lies in .git/orch are files for flock(2), which are free as soon as nobody holds them.
    locks = [path for path in (project.root / ".git").rglob("*.lock") if path.parent.name != "orch"]
    assert locks == []
    assert len(project.git("worktree", "list").splitlines()) == 1
