"""`orch clean` beside a coordinator at work."""

import subprocess

from tests.e2e.projects import SECONDS, Project

AGENT = """#!/bin/sh
[ "$ORCH_ATTEMPT" -gt 1 ] || exit 3
echo started > "$SIGNS/$ORCH_TASK_ID"
while [ ! -e "$SIGNS/end" ]; do sleep 0.05; done
[ -e README ] || exit 4
echo work > work.txt; git add -A; git commit -qm work
"""


def test_a_task_that_is_taken_up_again_meanwhile_keeps_its_worktree(project: Project) -> None:
    (project.root.parent / "agent.sh").write_text(AGENT)
    path, signs = project.root / "config.toml", project.signs
    path.write_text(path.read_text().replace("[retry]", "[retry]\nmax_attempts = 1"))
    # The first worktree takes its time to go, as big ones do.
    slow = f"touch {signs}/teardown; while [ ! -e {signs}/go ]; do sleep 0.05; done"
    project.configure(f'[worktree]\nteardown = "[ $ORCH_TASK_ID = t-2 ] || {{ {slow}; }}"\n')
    project.write_tasks("[] t-1: First", "[] t-2: Second")
    child = project.start()
    project.wait_for(lambda: project.tasks.count("[❌") == 2, "both failures")
    with subprocess.Popen(
        project.argv("clean"),
        cwd=project.root,
        env=project.environment({}),
        stdout=subprocess.PIPE,
        text=True,
    ) as clean:
        project.wait_for_sign("teardown")
        project.orch("retry", "t-2")
        project.wait_for_sign("t-2")
        (signs / "go").touch()
        said = clean.communicate(timeout=SECONDS)[0]
    (signs / "end").touch()
    project.wait_for(lambda: "[✅" in project.tasks, "the second attempt")
    assert project.statuses() == {"t-1": "failed", "t-2": "completed"}
    assert f"removed {project.root / 'trees/t-1'}" in said
    assert f"kept {project.root / 'trees/t-2'}: t-2 is not over" in said
    project.end(child)
