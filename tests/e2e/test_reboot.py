"""The machine restarts, or a pid is given again, under a live run. Really killed, files as they were left."""

import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.chaos.world import Processes
from tests.e2e.projects import Project

AGENT = """#!/bin/sh
echo "$ORCH_TASK_ID/$ORCH_ATTEMPT $$" >> "$LAUNCHES"
if [ "$ORCH_ATTEMPT" -gt 1 ]; then
    cat committed.txt uncommitted.txt > "$SIGNS/found"
    git add -A; git commit -qm "the rest"; exit 0
fi
echo first > committed.txt; git add -A; git commit -qm first
echo precious > uncommitted.txt
echo started > "$SIGNS/$ORCH_TASK_ID"
exec sleep 300
"""


@pytest.fixture
def stranger() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that has nothing to do with orch."""
    with subprocess.Popen(["sleep", "600"]) as child:
        yield child
        child.kill()


def start_and_kill_everything(project: Project) -> None:
    """One live run, and then a power failure: coordinator, launcher and worker are gone at once."""
    (project.root.parent / "agent.sh").write_text(AGENT)
    path = project.root / "config.toml"
    path.write_text(path.read_text().replace("[retry]", "[retry]\nmax_attempts = 1"))
    project.write_tasks("[] t-1: Long")
    child = project.start()
    project.wait_for_sign("t-1")
    project.end(child, signal.SIGKILL)
    processes = Processes(project)
    while living := list(processes.living()):
        # At once: none may see the end of another.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid, _ in living:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)


def rewrite_run(project: Project, **fields: object) -> None:
    path = project.root / ".orch/runs/t-1/1/run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def check_taken_up_again(project: Project) -> None:
    assert project.statuses() == {"t-1": "completed"}
    assert project.launches() == ["t-1/1", "t-1/2"]
    assert (project.signs / "found").read_text() == "first\nprecious\n", "in the same worktree"
    saved = project.git("show", "refs/orch/saved/t-1/1:uncommitted.txt")
    assert saved == "precious"
    assert project.git("show", "orch/t-1-long:uncommitted.txt") == "precious"
    assert len(json.loads(project.orch("pr", "list", "--json"))) == 1
    assert list(Processes(project).living()) == []


@pytest.mark.parametrize("reused", [False, True])
def test_a_restart_of_the_machine_is_nobodys_fault(
    project: Project, stranger: "subprocess.Popen[bytes]", reused: bool
) -> None:
    start_and_kill_everything(project)
    former = {"boot_id": "11111111-2222-3333-4444-555555555555"}
    rewrite_run(project, **former, **({"pid": stranger.pid} if reused else {}))
    project.orch("run", "--plain", "--until-idle")
    outcome = json.loads((project.root / ".orch/runs/t-1/1/outcome.json").read_text())
    assert (outcome["kind"], outcome["spent"]) == ("interrupted", 0), "no attempt was charged"
    assert "the machine restarted" in outcome["reason"]
    check_taken_up_again(project)
    assert stranger.poll() is None


def test_a_process_that_was_given_the_pid_of_a_launcher_is_not_touched(
    project: Project, stranger: "subprocess.Popen[bytes]"
) -> None:
    start_and_kill_everything(project)
    path = project.root / "config.toml"
    path.write_text(re.sub(r"max_attempts = \d+", "max_attempts = 2", path.read_text()))
    rewrite_run(project, pid=stranger.pid)
    # Who looks or stops must not take it for the worker either.
    project.orch("status")
    project.orch("run", "--plain", "--until-idle")
    outcome = json.loads((project.root / ".orch/runs/t-1/1/outcome.json").read_text())
    assert (outcome["kind"], "launcher vanished" in outcome["reason"]) == ("failed", True)
    check_taken_up_again(project)
    assert stranger.poll() is None
