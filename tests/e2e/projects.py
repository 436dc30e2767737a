"""Real projects: a repository with a bare origin, an agent of our own, orch as a process."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 60.0
"""How long anything is waited for. Only a failing test waits so long."""

AGENT = r"""#!/bin/sh
# Does what the notes of its task say, line by line: the prompt is on stdin.
set -u
echo "$ORCH_TASK_ID/$ORCH_ATTEMPT $$" >> "$LAUNCHES"
prompt=$(cat)
echo "working on $ORCH_TASK_ID"
commit() {
    echo "$ORCH_TASK_ID $ORCH_ATTEMPT" >> "$ORCH_TASK_ID.txt"
    git add -A && git commit -qm "$ORCH_TASK_ID: attempt $ORCH_ATTEMPT"
}
case "$prompt" in
    *"It conflicts with main"*) git merge -q -X ours -m "Merge the base" origin/main ;;
    *"please fail once"*) [ "$ORCH_ATTEMPT" -gt 1 ] || { echo "no luck" >&2; exit 3; }; commit ;;
    *"please fail"*) echo "no luck" >&2; exit 3 ;;
    *"please block"*) echo "which colour?" > BLOCKED.md ;;
    *"please idle"*) ;;
    *"please tell"*) echo "my question: $MY_SECRET ghp_0123456789012345678901234567890123456" > BLOCKED.md ;;
    *"please vandalize"*)
        [ "$ORCH_ATTEMPT" -gt 1 ] || { rm -rf "${ORCH_PROMPT_FILE%/*}"; exit 1; }
        commit ;;
    *"please litter"*) commit; echo "left over" > litter.txt ;;
    *"please wait"*) commit; echo started > "$SIGNS/$ORCH_TASK_ID"; exec sleep 300 ;;
    *"please obey"*)
        commit; echo started > "$SIGNS/$ORCH_TASK_ID"
        while [ ! -e STOP ]; do sleep 0.05; done; cp STOP "$SIGNS/stopped" ;;
    *"please hold"*)
        echo started > "$SIGNS/$ORCH_TASK_ID"
        while [ ! -e "$SIGNS/go" ]; do sleep 0.05; done; commit ;;
    *) commit ;;
esac
"""

CONFIG = """
[coordinator]
poll_interval_seconds = 5
[agent]
default = "sh"
[agents.sh]
kind = "command"
command = ["{agent}"]
env = {{ LAUNCHES = "{launches}", SIGNS = "{signs}" }}
[limits]
min_free_disk_mb = 0
min_free_memory_mb = 0
grace_seconds = 1
[retry]
initial_seconds = 0.1
max_seconds = 0.5
"""


@dataclass
class Project:
    """A project on disk and what can be done with it."""

    root: Path
    origin: Path
    launches_file: Path
    signs: Path
    children: "list[subprocess.Popen[str]]" = field(default_factory=list)
    """Every coordinator that a test has started."""

    @property
    def tasks_file(self) -> Path:
        return self.root / "tasks.md"

    @property
    def tasks(self) -> str:
        return self.tasks_file.read_text()

    def write_tasks(self, *lines: str) -> None:
        """Save the queue with these lines under Pending, as an editor would."""
        new = self.root / ".tasks.md.new"
        new.write_text("# Work\n\n## Pending\n\n" + "\n".join(lines) + "\n\n## Active\n")
        new.rename(self.tasks_file)

    def configure(self, text: str) -> None:
        """Add to config.toml; a table that is there already must not come again."""
        path = self.root / "config.toml"
        path.write_text(path.read_text() + text)

    def launches(self) -> list[str]:
        """`task/attempt` of every start, counted by the agent itself."""
        if not self.launches_file.exists():
            return []
        return [line.split()[0] for line in self.launches_file.read_text().splitlines()]

    def git(self, *words: str, cwd: Path | None = None) -> str:
        return subprocess.run(
            ["git", *words], cwd=cwd or self.root, check=True, capture_output=True, text=True
        ).stdout.strip()

    def orch(self, *words: str, code: int = 0, **environment: str) -> str:
        """Run a command to its end; gives what it printed, both streams."""
        done = subprocess.run(
            self.argv(*words),
            cwd=self.root,
            env=self.environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS * 2,
            check=False,
        )
        assert done.returncode == code, f"exit {done.returncode} of orch {' '.join(words)}:\n{done.stdout}"
        return done.stdout

    def start(self, *words: str, **environment: str) -> "subprocess.Popen[str]":
        """Start `orch run` and wait until it can take signals."""
        with (self.root.parent / "orch.log").open("a") as log:
            child = subprocess.Popen(
                self.argv("run", "--plain", *words),
                cwd=self.root,
                env=self.environment(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
            )
        self.children.append(child)
        pid_file = self.root / ".orch" / "coordinator.pid"
        self.wait_for(
            lambda: (
                child.poll() is not None or (pid_file.exists() and pid_file.read_text() == f"{child.pid}\n")
            ),
            "a coordinator",
        )
        return child

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "orch", *words]

    def environment(self, more: dict[str, str]) -> dict[str, str]:
        """What a person's shell has. No coverage: with it a process takes twice as long."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root.parent),
            "LANG": "C.UTF-8",
            **more,
        }

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.orch("status", "--json"))
        return found

    def statuses(self) -> dict[str, str]:
        return {task["id"]: task["status"] for task in self.status()["tasks"]}

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Wait until it is so. What is waited for is a file of another process: nothing else tells."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"{what} never came:\n{self.log()}\n{self.tasks}"
            time.sleep(0.02)

    def wait_for_sign(self, name: str) -> None:
        self.wait_for((self.signs / name).exists, f"the sign of {name}")

    def log(self) -> str:
        path = self.root.parent / "orch.log"
        return path.read_text() if path.exists() else ""

    def leftovers(self) -> list[str]:
        """Processes of this project's runs: each carries ORCH_RUN_ID and our sign folder."""
        mark = f"SIGNS={self.signs}".encode()
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal():
                try:
                    if mark in (folder / "environ").read_bytes().split(b"\0"):
                        found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
                except OSError:
                    continue
        return found

    def end(self, child: "subprocess.Popen[str]", number: int = signal.SIGTERM) -> int:
        """Signal a coordinator and wait for its end; gives the exit code."""
        child.send_signal(number)
        return child.wait(SECONDS)


def make_project(folder: Path, config: Sequence[str] = ()) -> Project:
    """A repository with one commit, a bare origin, an agent and a config.toml."""
    root, origin, signs = folder / "work", folder / "origin.git", folder / "signs"
    signs.mkdir()
    agent = folder / "agent.sh"
    agent.write_text(AGENT)
    agent.chmod(0o755)
    (folder / ".gitconfig").write_text(
        "[user]\nname = Tester\nemail = tester@example.com\n[init]\ndefaultBranch = main\n"
    )
    project = Project(root, origin, folder / "launches", signs)
    environment = {**os.environ, "HOME": str(folder)}
    for words in (
        ["init", "-q", "--bare", str(origin)],
        ["clone", "-q", str(origin), str(root)],
    ):
        subprocess.run(["git", *words], check=True, env=environment, capture_output=True)
    (root / "README").write_text("hello\n")
    project.git("config", "user.name", "Tester")
    project.git("config", "user.email", "tester@example.com")
    project.git("checkout", "-qB", "main")
    project.git("add", "README")
    project.git("commit", "-qm", "Start")
    project.git("push", "-q", "-u", "origin", "main")
    text = CONFIG.format(agent=agent, launches=project.launches_file, signs=signs)
    (root / "config.toml").write_text(text + "\n".join(config) + "\n")
    project.write_tasks()
    return project
