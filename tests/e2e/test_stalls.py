"""A worker that does nothing is warned of, ended and tried again with the reason."""

import json
import os
import signal

from tests.e2e.projects import Project

STALL_SECONDS = 4.0
"""Half of it is what this test has from the warning to the moment when it holds the launcher."""

AGENT = """#!/bin/sh
echo "$ORCH_TASK_ID/$ORCH_ATTEMPT $$" >> "$LAUNCHES"
[ "$ORCH_ATTEMPT" -gt 1 ] || exec sleep 300
echo work > work.txt; git add -A; git commit -qm work
"""


def test_a_stalled_worker_is_warned_of_then_ended_then_tried_again(project: Project) -> None:
    path = project.root / "config.toml"
    limit = f"[limits]\nstall_minutes = {STALL_SECONDS / 60}"
    path.write_text(path.read_text().replace("[limits]", limit).replace("= 5\n", "= 0.2\n", 1))
    (project.root.parent / "agent.sh").write_text(AGENT)
    project.write_tasks("[] t-1: Hang")
    child = project.start()
    first = project.root / ".orch/runs/t-1/1"
    project.wait_for((first / "stall.json").exists, "the warning")
    launcher = json.loads((first / "run.json").read_text())["pid"]
    os.kill(launcher, signal.SIGSTOP)
    try:
        (worker,) = project.status()["workers"]
        assert worker["phase"] == "stalled"
        assert worker["activity"].startswith("no output and no CPU for ")
        assert worker["activity"].endswith(", is ended at 4 s")
        assert "is ended at 4 s" in project.orch("status", COLUMNS="160")
        project.wait_for(lambda: "stalled no output and no CPU" in project.log(), "the line in the log")
    finally:
        os.kill(launcher, signal.SIGCONT)
    project.wait_for(lambda: "[✅" in project.tasks, "the second attempt")
    project.end(child)
    assert project.launches() == ["t-1/1", "t-1/2"]
    outcome = json.loads((first / "outcome.json").read_text())
    assert (outcome["kind"], outcome["reason"].startswith("stalled")) == ("failed", True)
    assert "stalled, no output and no CPU" in (project.root / ".orch/runs/t-1/2/prompt.md").read_text()
    assert not (first / "stall.json").exists()
    warned = [line for line in project.log().splitlines() if "stalled no output and no CPU" in line]
    assert len(warned) == 1
