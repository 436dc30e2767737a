"""The project that chaos is made in: its agent, its tasks, and the processes of its runs."""

import contextlib
import hashlib
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.projects import Project, make_project

AGENT = r"""#!/bin/sh
# Works as the notes of its task say, and writes down what must never be lost: each commit, and each
# file before it is committed.
set -u
echo "$ORCH_TASK_ID/$ORCH_ATTEMPT $$" >> "$LAUNCHES"
prompt=$(cat)
keep() {
    file="$ORCH_TASK_ID-$ORCH_ATTEMPT-$1.txt"
    echo "$ORCH_TASK_ID $ORCH_ATTEMPT $1" > "$file"
    sha=$(git hash-object "$file") && echo "$sha $ORCH_TASK_ID/$ORCH_ATTEMPT $file" >> "$SIGNS/work"
}
commit() {
    keep "$1"
    git add -A && git commit -qm "$ORCH_TASK_ID: attempt $ORCH_ATTEMPT, $1" && sha=$(git rev-parse HEAD) &&
        echo "$sha $ORCH_TASK_ID/$ORCH_ATTEMPT commit" >> "$SIGNS/work"
}
case "$prompt" in
    *"chaos: unlucky"*) [ "$ORCH_ATTEMPT" -gt 1 ] || { keep unlucky; exit 3; } ;;
    *"chaos: stray"*) setsid sleep 300 & (sleep 300 & sleep 300 &) & ;;
    *"chaos: deaf"*) trap '' TERM; (trap '' TERM HUP INT; exec sleep 300) & ;;
    *"chaos: blocked"*) keep question; echo "which colour?" > BLOCKED.md; exit 0 ;;
esac
commit one
case "$prompt" in
    *"chaos: slow"* | *"chaos: deaf"*) sleep 0.7; commit two; sleep 0.7 ;;
    *"chaos: stray"* | *"chaos: untidy"*) sleep 0.2 ;;
esac
commit last
case "$prompt" in *"chaos: untidy"*) keep litter ;; esac
"""

WAYS = ("quick", "slow", "unlucky", "untidy", "stray", "deaf", "quick", "slow", "blocked", "untidy")
DRAINS = ("leave", "finish", "stop")
HOOKS = (
    "",
    "[worktree]\nwarm = 2",
    "[worktree]\nsetup = 'sleep 0.1'\nteardown = 'sleep 0.1'",
    "[worktree]\nwarm = 2\nsetup = '(setsid sleep 300 &) ; sleep 0'\nteardown = '(trap : TERM; sleep 300) &'",
)
VERIFIES = ("", "[verify]\ncommand = 'sleep 0.2'", "[verify]\ncommand = '(sleep 300 &) ; sleep 0.05'")


def make_world(folder: Path, chance: random.Random, tasks: int) -> Project:
    """A project with this many tasks, and settings that differ from seed to seed."""
    project = make_project(folder, [chance.choice(VERIFIES), chance.choice(HOOKS)])
    (folder / "agent.sh").write_text(AGENT)
    config = project.root / "config.toml"
    workers, drain = chance.choice((2, 4, 8)), chance.choice(DRAINS)
    table = f'[coordinator]\nmax_concurrent_workers = {workers}\ndrain = "{drain}"'
    config.write_text(config.read_text().replace("[coordinator]", table))
    lines = []
    for number in range(tasks):
        lines += task_lines(f"first-{number}", chance, name=f"t-{number + 1}: ")
    project.write_tasks(*lines)
    return project


def task_lines(word: str, chance: random.Random, name: str = "") -> list[str]:
    """A task as a person writes it. `word` is in its title and nowhere else."""
    priority = f" {{p{chance.randrange(4)}}}"
    return [f"[] {name}Do {word} now{priority}", f"  chaos: {chance.choice(WAYS)}"]


class Processes:
    """The processes of one project's runs and hooks: each carries ORCH_RUN_ID or ORCH_HOOK_TREE."""

    def __init__(self, project: Project) -> None:
        runs = (project.root / ".orch" / "runs").resolve()
        self._marks = (
            f"\0ORCH_RUN_ID={hashlib.sha256(os.fsencode(runs)).hexdigest()[:12]}-".encode(),
            f"\0ORCH_HOOK_TREE={project.root.resolve() / 'trees'}/".encode(),
        )

    def living(self) -> Iterator[tuple[int, str]]:
        """The pid and the command line of each."""
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal():
                with contextlib.suppress(OSError):
                    environment = b"\0" + (folder / "environ").read_bytes()
                    if any(mark in environment for mark in self._marks):
                        yield (
                            int(folder.name),
                            (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(),
                        )

    def kill(self, chance: random.Random, *, launcher: bool) -> bool:
        """SIGKILL one launcher or guard, or one process of what they run; says whether there was one."""
        found = sorted(
            pid
            for pid, words in self.living()
            if any(f"/{name}.py" in words for name in ("launcher", "guard")) is launcher
        )
        return bool(found) and self._kill(chance.choice(found))

    def kill_all(self) -> None:
        """SIGKILL whatever is left, after a finding."""
        for pid, _ in list(self.living()):
            self._kill(pid)

    def _kill(self, pid: int) -> bool:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        try:
            # Looked at again with the handle in hand: the number may mean another process by now.
            if pid not in dict(self.living()):
                return False
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True
