"""The machine runs out of something while orch runs: nothing is lost, nothing starts, it goes on again."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orch.core import tasks_md
from tests.disks import SmallDisk, mount_disk, private_mounts
from tests.e2e.cgroups import cage
from tests.e2e.projects import Project, make_project

AGENT = r"""#!/bin/sh
# Commits at once; with "please hold" it then goes on until it is told to end.
set -u
echo "$ORCH_TASK_ID/$ORCH_ATTEMPT $$" >> "$LAUNCHES"
prompt=$(cat)
case "$prompt" in
    *"please eat"*) head -c 100000000 /dev/zero | tail -n 1 | sleep 300 ;;
esac
echo "$ORCH_TASK_ID $ORCH_ATTEMPT" >> "$ORCH_TASK_ID.txt"
git add -A && git commit -qm "$ORCH_TASK_ID: attempt $ORCH_ATTEMPT" || exit
case "$prompt" in
    *"please hold"*)
        echo started > "$SIGNS/$ORCH_TASK_ID"
        while [ ! -e "$SIGNS/go" ]; do sleep 0.05; done ;;
esac
"""

HELD = ("[] t-1: Long", "  please hold", "[] t-2: Long too", "  please hold")
LATER = ("[] t-3: Short", "[] t-4: Short too")
LAUNCHED = ["t-1/1", "t-2/1"]
ALL = {f"t-{number}": "completed" for number in range(1, 5)}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with private_mounts():
        yield mount_disk(tmp_path / "work", megabytes=16, inodes=2000)


@pytest.fixture
def project(tmp_path: Path, disk: SmallDisk) -> Iterator[Project]:
    """A project on a small disk; its origin, and what the agent tells the test, lie elsewhere."""
    yield from _use(tmp_path)


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Project]:
    """A project where there is room."""
    yield from _use(tmp_path)


def _use(folder: Path) -> Iterator[Project]:
    made = make_project(folder)
    (folder / "agent.sh").write_text(AGENT)
    yield made
    (made.signs / "go").touch()
    for child in made.children:
        if child.poll() is None:  # Only a failed test leaves a coordinator.
            child.kill()
            child.wait()


def work_on_two(project: Project) -> "subprocess.Popen[str]":
    """Two workers at work, two tasks that could start next, and a paused fleet."""
    project.write_tasks(*HELD)
    child = project.start()
    project.wait_for_sign("t-1")
    project.wait_for_sign("t-2")
    child.send_signal(signal.SIGUSR1)
    pause = project.root / ".orch" / "pause.json"
    project.wait_for(pause.exists, "the pause")
    project.wait_for(lambda: project.tasks.count("- PID:") == 2, "both workers in tasks.md")
    text = project.tasks.replace("## Pending\n", "\n".join(("## Pending\n", *LATER, "")))
    project.tasks_file.write_text(text)
    return child


def check_whole(project: Project) -> None:
    """Whatever was being written is there as a whole, the old version or the new one."""
    found = tasks_md.parse(project.tasks)
    assert set(found.tasks) == set(ALL)
    assert found.problems == ()
    json.loads((project.root / ".orch" / "metrics.json").read_bytes())
    records = list((project.root / ".orch" / "runs").rglob("*.json"))
    assert records
    for path in records:
        assert json.loads(path.read_bytes()), path


def read_run(project: Project, task: str, name: str) -> dict[str, Any]:
    """A file of a task's first run."""
    found: dict[str, Any] = json.loads((project.root / ".orch/runs" / task / "1" / name).read_bytes())
    return found


def configure(project: Project, table: str, line: str) -> None:
    """Add a setting to a table of config.toml."""
    config = project.root / "config.toml"
    config.write_text(config.read_text().replace(table, f"{table}\n{line}"))


def finish(project: Project, child: "subprocess.Popen[str]") -> None:
    """All goes on by itself and comes to its end, each attempt launched once; orch met no bug."""
    project.wait_for(lambda: project.tasks.count("[✅") == len(ALL), "the end of all tasks")
    assert project.end(child) == 0
    status = project.status()
    assert {task["id"]: task["status"] for task in status["tasks"]} == ALL
    assert sorted(project.launches()) == [*LAUNCHED, "t-3/1", "t-4/1"]
    assert len(list((project.root / ".orch" / "pulls").glob("*.json"))) == len(ALL)
    assert project.leftovers() == []
    assert (status["notices"], status["health"]) == ([], "ok")
    assert "bug in" not in project.log()
    assert "Traceback" not in project.log()


@pytest.mark.parametrize("lacking", ["bytes", "files", "writing"])
def test_a_disk_that_takes_nothing_stops_the_work_until_it_does_again(
    project: Project, disk: SmallDisk, lacking: str
) -> None:
    take, give, said = {
        "bytes": (disk.fill, disk.free, "the disk is full"),
        "files": (disk.fill_names, disk.free, "no room for more files"),
        "writing": (disk.make_read_only, disk.make_writable, "the disk is read-only"),
    }[lacking]
    child = work_on_two(project)
    take()
    child.send_signal(signal.SIGUSR1)
    (project.signs / "go").touch()

    def are_over() -> bool:
        if lacking != "writing":
            take()  # What orch gives back is taken at once.
        return said in project.log() and all("launcher.py" in line for line in project.leftovers())

    project.wait_for(are_over, "the complaint and the end of both agents")
    assert said in project.orch("status")
    assert sorted(project.launches()) == LAUNCHED
    assert child.poll() is None
    check_whole(project)
    give()
    finish(project, child)
    assert "over: nothing is launched" in project.log()


def test_orch_on_a_full_disk_says_so_and_breaks_nothing(project: Project, disk: SmallDisk) -> None:
    child = work_on_two(project)
    project.end(child, signal.SIGKILL)
    (project.signs / "go").touch()
    project.wait_for(lambda: project.leftovers() == [], "the end of both workers")
    before = project.tasks
    disk.fill()
    assert "No space left on device" in project.orch("add", "One more", code=1)
    disk.fill()
    said = project.orch("run", "--plain", code=1)
    assert "No space left on device" in said
    assert "hint: free some disk space" in said
    disk.free()
    disk.make_read_only()
    said = project.orch("run", "--plain", code=1)
    assert "Read-only file system" in said
    assert "the disk is read-only" in project.orch("status")
    disk.make_writable()
    assert project.tasks == before
    check_whole(project)
    project.orch("resume")
    finish(project, project.start())


def test_without_file_handles_nothing_is_started_or_lost(roomy: Project) -> None:
    child = work_on_two(roomy)
    before = resource.prlimit(child.pid, resource.RLIMIT_NOFILE)
    # What is open stays so; nothing more can be opened, not even a pipe.
    resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (3, before[1]))
    child.send_signal(signal.SIGUSR1)
    (roomy.signs / "go").touch()
    roomy.wait_for(lambda: "no file handles are left" in roomy.log(), "the complaint")
    roomy.wait_for(lambda: roomy.leftovers() == [], "the end of both workers")
    assert sorted(roomy.launches()) == LAUNCHED
    assert child.poll() is None
    check_whole(roomy)
    resource.prlimit(child.pid, resource.RLIMIT_NOFILE, before)
    finish(roomy, child)


def test_without_processes_nothing_is_started_or_lost(roomy: Project) -> None:
    child = work_on_two(roomy)
    with cage(child.pid) as processes:
        processes.close()
        child.send_signal(signal.SIGUSR1)
        (roomy.signs / "go").touch()
        roomy.wait_for(lambda: "tried again until it works" in roomy.log(), "the complaint")
        roomy.wait_for(lambda: roomy.leftovers() == [], "the end of both workers")
        assert sorted(roomy.launches()) == LAUNCHED
        assert child.poll() is None
        check_whole(roomy)
        processes.open()
        finish(roomy, child)


def test_without_memory_nothing_is_started_or_lost(roomy: Project) -> None:
    child = work_on_two(roomy)
    before = resource.prlimit(child.pid, resource.RLIMIT_AS)
    # What is there stays; the system gives nothing more, and too little for any program to be loaded.
    resource.prlimit(child.pid, resource.RLIMIT_AS, (1_000_000, before[1]))
    child.send_signal(signal.SIGUSR1)
    (roomy.signs / "go").touch()
    # By what the allocator has left, either an action lacks memory or the turn that would ask for it.
    said = re.compile("tried again until it works|orch gets no more memory; it waits for some")
    roomy.wait_for(lambda: said.search(roomy.log()), "the complaint")
    roomy.wait_for(lambda: roomy.leftovers() == [], "the end of both workers")
    assert sorted(roomy.launches()) == LAUNCHED
    assert child.poll() is None
    check_whole(roomy)
    resource.prlimit(child.pid, resource.RLIMIT_AS, before)
    finish(roomy, child)


def test_a_slow_disk_keeps_nobody_waiting(roomy: Project) -> None:
    """git hangs as it would on a disk that hangs; nothing else waits for it."""
    tools = roomy.root.parent / "tools"
    tools.mkdir()
    slow = roomy.signs / "slow"
    git = shutil.which("git")
    wrapper = tools / "git"
    wrapper.write_text(f'#!/bin/sh\nwhile [ -e "{slow}" ]; do sleep 0.05; done\nexec "{git}" "$@"\n')
    wrapper.chmod(0o755)
    roomy.write_tasks(*HELD)
    child = roomy.start(PATH=f"{tools}:{os.environ['PATH']}")
    roomy.wait_for_sign("t-1")
    roomy.wait_for_sign("t-2")
    roomy.wait_for(lambda: roomy.tasks.count("- PID:") == 2, "both workers in tasks.md")
    launchers = [read_run(roomy, name, "run.json")["pid"] for name in ("t-1", "t-2")]
    slow.touch()
    roomy.tasks_file.write_text(roomy.tasks.replace("## Pending\n", "## Pending\n\n[] Short\n[] Short too\n"))
    roomy.wait_for(lambda: "t-4: Short too" in roomy.tasks, "an answer to the edit")
    roomy.orch("stop", "t-2", "--now")
    (roomy.signs / "go").touch()
    for pid in launchers:  # Both are over and were reaped: the kernel knows them no more.
        roomy.wait_for(lambda: not Path(f"/proc/{pid}").exists(), "the end of a worker")  # noqa: B023
    roomy.tasks_file.write_text(roomy.tasks.replace("[] t-4: Short too", "[-] t-4: Short too"))
    child.send_signal(signal.SIGUSR1)
    roomy.wait_for(lambda: "paused by SIGUSR1" in roomy.log(), "the pause")
    assert slow.exists()
    assert "[🟡" in roomy.tasks
    assert sorted(roomy.launches()) == LAUNCHED
    slow.unlink()
    child.send_signal(signal.SIGUSR1)
    roomy.wait_for(lambda: roomy.tasks.count("[✅") == 2 and "[⏰" in roomy.tasks, "the end of all tasks")
    assert roomy.end(child) == 0
    assert roomy.statuses() == {"t-1": "completed", "t-2": "blocked", "t-3": "completed", "t-4": "skipped"}
    assert sorted(roomy.launches()) == [*LAUNCHED, "t-3/1"]


def test_a_worker_over_its_memory_makes_room_for_the_others(roomy: Project) -> None:
    configure(roomy, "[limits]", "memory_mb = 50")
    configure(roomy, "[retry]", "max_attempts = 1")
    roomy.write_tasks(*HELD, "[] t-3: Greedy", "  please eat", "[] t-4: Short")
    child = roomy.start()
    roomy.wait_for(lambda: "[❌" in roomy.tasks, "the end of the greedy one")
    assert read_run(roomy, "t-3", "exit.json")["reason"] == "memory"
    shown = roomy.orch("show", "t-3")
    assert "over its memory limit" in shown
    assert "memory, signal" in shown
    notice = "2 at once, after a worker ran over its memory"
    status = roomy.status()
    assert status["notices"] == [notice]
    errors = {task["id"]: task["error"] for task in status["tasks"]}
    assert errors["t-3"].startswith("over its memory limit")
    # The place of the greedy one is not given to another, also not by the next coordinator.
    assert roomy.end(child) == 0
    assert notice in roomy.orch("status")
    child = roomy.start()
    assert sorted(roomy.launches()) == [*LAUNCHED, "t-3/1"]
    (roomy.signs / "go").touch()
    roomy.wait_for(lambda: roomy.tasks.count("[✅") == 3, "the others")
    roomy.wait_for(lambda: roomy.status()["notices"] == [], "the end of the caution")
    assert roomy.end(child) == 0
    assert sorted(roomy.launches()) == [*LAUNCHED, "t-3/1", "t-4/1"]


def test_what_is_lacking_is_said_and_nothing_is_launched(roomy: Project) -> None:
    good = (roomy.root / "config.toml").read_text()
    text = good.replace("_mb = 0\n", "_mb = 1048576\n")
    (roomy.root / "config.toml").write_text(text)
    configure(roomy, "[limits]", "max_load = 0.0001")
    roomy.wait_for(lambda: os.getloadavg()[0] > 0.01, "any load at all")
    roomy.write_tasks("[] t-1: Short")
    assert "min_free_disk_mb is 1048576" in roomy.orch("status"), "also while nobody runs"
    child = roomy.start()
    roomy.wait_for(lambda: "nothing is launched" in roomy.log(), "the complaint")
    (notice,) = roomy.status()["notices"]
    for setting in ("min_free_disk_mb is", "min_free_memory_mb is", "max_load is"):
        assert setting in notice
    assert roomy.launches() == []
    (roomy.root / "config.toml").write_text(good)
    child.send_signal(signal.SIGHUP)
    roomy.wait_for(lambda: "[✅" in roomy.tasks, "the work")
    assert roomy.status()["notices"] == []
    assert roomy.end(child) == 0


def test_a_coordinator_that_is_silent_is_told(roomy: Project) -> None:
    child = roomy.start()
    metrics = roomy.root / ".orch" / "metrics.json"
    pid_file = roomy.root / ".orch" / "coordinator.pid"
    roomy.wait_for(metrics.exists, "the metrics")
    assert roomy.status()["notices"] == []
    child.send_signal(signal.SIGSTOP)
    for path in (metrics, pid_file):
        os.utime(path, (1, 1))
    assert "the coordinator has not written for" in roomy.orch("status")
    child.send_signal(signal.SIGCONT)
    assert roomy.end(child) == 0
