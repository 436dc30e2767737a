"""Nothing that orch starts outlives its time: orch, launchers and guards are killed, and all is gone."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.world import Processes
from tests.e2e.projects import Project

STRAYS = """\
(trap '' TERM HUP INT; echo started >/dev/null; exec sleep 300) & echo $! >> {pids}
setsid sh -c 'echo $$ >> {pids}; exec sleep 300' &
(setsid sh -c 'trap "" TERM; echo $$ >> {pids}; while :; do sleep 300; done' &)
while [ "$(wc -l < {pids})" -lt 3 ]; do sleep 0.02; done
"""
"""A background job that ignores SIGTERM, a session of its own, and a daemon that ignores SIGTERM."""

NAKED = """\
(setsid env -i sh -c 'trap "" TERM; echo $$ >> {pids}; while :; do /bin/sleep 300; done' &)
while [ "$(wc -l < {pids})" -lt 4 ]; do sleep 0.02; done
"""
"""One that cannot be found by its environment."""

AGENT = """#!/bin/sh
echo "$ORCH_TASK_ID/$ORCH_ATTEMPT $$" >> "$LAUNCHES"
if [ "$ORCH_ATTEMPT" -eq 1 ]; then
{strays}
echo $$ > "$SIGNS/$ORCH_TASK_ID"
trap '' TERM
while :; do sleep 300; done
fi
echo work > work.txt; git add -A; git commit -qm work
"""


class Strays:
    """What a script of a test starts besides."""

    def __init__(self, project: Project) -> None:
        self._file = project.signs / "pids"
        self._processes = Processes(project)

    def script(self, text: str) -> str:
        return text.format(pids=self._file)

    def pids(self) -> list[int]:
        return [int(line) for line in self._file.read_text().split()]

    def living(self) -> list[int]:
        """Those that are still there, and whatever else bears the project's mark."""
        return [pid for pid in self.pids() if lives(pid)] + [pid for pid, _ in self._processes.living()]

    def kill(self, program: str) -> None:
        """SIGKILL a launcher or guard, but not its keeper, which has the same command line."""
        found = [pid for pid, words in self._processes.living() if f"/{program} " in f"{words} "]
        (pid,) = [pid for pid in found if os.getsid(pid) == pid]
        os.kill(pid, signal.SIGKILL)


def lives(pid: int) -> bool:
    """Whether there is such a process, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.fixture
def strays(project: Project) -> Iterator[Strays]:
    made = Strays(project)
    yield made
    for pid in {*(made.pids() if (project.signs / "pids").exists() else ())} & {*made.living()}:
        os.kill(pid, signal.SIGKILL)  # only of a test that failed


def change(project: Project, table: str, lines: str) -> None:
    """Add to a table of config.toml that is there already."""
    path = project.root / "config.toml"
    path.write_text(path.read_text().replace(f"[{table}]\n", f"[{table}]\n{lines}\n"))


def finish(project: Project) -> None:
    """Run to the end: one worker, one pull request, nothing left."""
    project.orch("run", "--plain", "--until-idle")
    assert project.statuses() == {"t-1": "completed"}
    assert project.launches() == ["t-1/1"]
    assert len(json.loads(project.orch("pr", "list", "--json"))) == 1
    assert not (project.root / "trees" / "t-1").exists()
    assert list(Processes(project).living()) == []


def test_a_verify_command_ends_with_a_killed_coordinator_and_is_done_again(
    project: Project, strays: Strays
) -> None:
    go, sign = project.signs / "go", project.signs / "verify"
    script = project.root.parent / "verify.sh"
    script.write_text(
        f"[ ! -e {go} ] || exit 0\n" + strays.script(STRAYS + NAKED) + f"echo up > {sign}; sleep 300\n"
    )
    project.configure(f'[verify]\ncommand = "sh {script}"\ntimeout_seconds = 3600\n')
    project.write_tasks("[] t-1: Work")
    child = project.start()
    project.wait_for_sign("verify")
    assert len(strays.living()) >= 4
    project.end(child, signal.SIGKILL)
    project.wait_for(lambda: not strays.living(), "the end of the verify command")
    go.touch()
    finish(project)


@pytest.mark.parametrize("hook", ["setup", "teardown"])
def test_a_hook_ends_with_a_killed_coordinator_and_is_done_again(
    project: Project, strays: Strays, hook: str
) -> None:
    go, done = project.signs / "go", project.signs / "done"
    script = project.root.parent / "hook.sh"
    script.write_text(
        f"if [ -e {go} ]; then echo $ORCH_TASK_ID >> {done}; exit 0; fi\n"
        + strays.script(STRAYS + NAKED)
        + f"echo up > {project.signs}/hook; sleep 300\n"
    )
    project.configure(f'[worktree]\n{hook} = "sh {script}"\n')
    project.write_tasks("[] t-1: Work")
    child = project.start()
    project.wait_for_sign("hook")
    project.end(child, signal.SIGKILL)
    project.wait_for(lambda: not strays.living(), "the end of the hook")
    go.touch()
    finish(project)
    assert done.read_text() == "t-1\n"


@pytest.mark.parametrize("adopted", [False, True])
def test_a_killed_launcher_is_noticed_at_once_and_its_tree_is_gone(
    project: Project, strays: Strays, adopted: bool
) -> None:
    path = project.root / "config.toml"
    # The poll never comes: what is noticed is noticed without it.
    path.write_text(path.read_text().replace("poll_interval_seconds = 5", "poll_interval_seconds = 3600"))
    (project.root.parent / "agent.sh").write_text(AGENT.format(strays=strays.script(STRAYS + NAKED)))
    project.write_tasks("[] t-1: Work")
    child = project.start()
    project.wait_for_sign("t-1")
    if adopted:
        project.end(child, signal.SIGKILL)
        child = project.start()
    agent = int((project.signs / "t-1").read_text())
    strays.kill("launcher.py")
    project.wait_for(lambda: "[✅" in project.tasks, "the second attempt")
    assert not lives(agent)
    assert strays.living() == []
    assert project.launches() == ["t-1/1", "t-1/2"]
    project.end(child)
