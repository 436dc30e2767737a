"""`git clean -fdx` takes `.orch` away under a coordinator."""

import subprocess

from tests.e2e.projects import Project


def test_it_stays_the_only_one_and_goes_on(project: Project) -> None:
    path = project.root / "config.toml"
    # The poll never comes: it is noticed at once.
    path.write_text(path.read_text().replace("poll_interval_seconds = 5", "poll_interval_seconds = 3600"))
    child = project.start()
    pid = project.root / ".orch/coordinator.pid"
    keep = ("-e", "tasks.md", "-e", "config.toml")
    # It fails where the coordinator is quicker and has put something there again.
    subprocess.run(["git", "clean", "-fdxq", *keep], cwd=project.root, check=False)
    project.wait_for(lambda: pid.exists() and pid.read_text() == f"{child.pid}\n", "the lock, taken again")
    assert f"pid {child.pid}" in project.orch("run", "--plain", code=1)
    # The command line still reaches it.
    project.orch("pause")
    project.wait_for(lambda: project.status()["paused"], "the pause")
    project.orch("resume")
    project.write_tasks("[] t-1: Short")
    project.wait_for(lambda: "[✅" in project.tasks, "the end of the task")
    assert project.launches() == ["t-1/1"]
    assert project.end(child) == 0
    assert not pid.exists()
