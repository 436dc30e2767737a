"""Real workers for the tests of the executor: shell scripts that tell and wait through named pipes."""

import os
import queue
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from orch.adapters.executors import processes
from orch.adapters.executors.local import LocalExecutor, WorkerLimits
from orch.adapters.executors.verify import VerifyCommand
from orch.core.model import Process, RunKey
from orch.core.state import Alive, Ended
from orch.errors import OrchError
from orch.ports import Command

PATH = os.defpath + ":" + str(Path(shutil.which("env") or "/usr/bin/env").parent)
RUN = RunKey("gh-1", 1)
PATIENCE = 60.0
"""Seconds after which a test gives up. Nothing takes as long; it only ends a test that would hang."""

PYTHON = (sys.executable, "-I", "-S", "-c")

_T = TypeVar("_T")


def until(look: Callable[[], _T | None]) -> _T:
    """Look again and again until there is something; for what no event tells of."""
    limit = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.005)
    return found


def pid_in(path: Path) -> int:
    """The pid that a script writes into a file by `echo $$ > FILE`."""

    def look() -> str | None:
        text = path.read_text() if path.exists() else ""
        return text if text.endswith("\n") else None

    return int(until(look))


def is_gone(pid: int) -> bool:
    """Whether there is nothing with this pid, not even a zombie."""
    return processes.look(pid) is None


class Place:
    """A runs folder with one claimed run, a worktree, and an executor over them."""

    def __init__(self, root: Path, limits: WorkerLimits | None = None) -> None:
        self.root = root
        self.runs = root / "runs"
        self.worktree = root / "tree"
        self.worktree.mkdir()
        self.wakes: queue.Queue[str] = queue.Queue()
        self.limits = limits or WorkerLimits(grace_seconds=10.0)
        self.executor = self.another()
        self.claim(RUN)

    def another(self, verify: VerifyCommand | None = None) -> LocalExecutor:
        """One more executor over the same files, as after a restart of the coordinator."""
        return LocalExecutor(self.runs, limits=self.limits, wake=self.wakes.put, verify=verify)

    def claim(self, run: RunKey) -> Path:
        """What the coordinator does before a start; gives the run directory."""
        directory = self.directory(run)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "claim.json").write_text(
            '{"version": 1, "branch": "orch/gh-1", "agent": "sh", "title": "t", "claimed_at": 1.0}'
        )
        return directory

    def directory(self, run: RunKey = RUN) -> Path:
        return self.runs / run.task / str(run.attempt)

    def start(
        self, *argv: str, run: RunKey = RUN, env: dict[str, str] | None = None, prompt: str = ""
    ) -> None:
        command = Command(argv, {"PATH": PATH, "D": str(self.root)} if env is None else env)
        self.executor.start(run, command, self.worktree, prompt)

    def script(self, text: str, prompt: str = "") -> None:
        """Start `sh` on a script; $D is the folder that the test looks into."""
        self.start("sh", "-c", text, prompt=prompt)

    def ended(self, run: RunKey = RUN, executor: LocalExecutor | None = None) -> Ended:
        """Wait for the end of a run as the coordinator does: probe, and wait to be woken."""
        executor = executor or self.executor
        while not isinstance(probe := executor.probe(run), Ended):
            self.wakes.get(timeout=PATIENCE)
        return probe

    def alive(self) -> Process:
        """The process of the run, which lives; once its agent is started."""

        def look() -> Process | None:
            seen = self.executor.probe(RUN)
            assert isinstance(seen, Alive)
            return seen.process if seen.process.agent_pid else None

        return until(look)

    def output(self, run: RunKey = RUN) -> str:
        """What the agent has printed so far."""
        path = self.directory(run) / "stdout.jsonl"
        return path.read_text() if path.exists() else ""

    def pipe(self, name: str) -> Path:
        path = self.root / name
        os.mkfifo(path)
        return path

    def left(self, run: RunKey = RUN) -> Sequence[int]:
        """The processes that carry the run's id."""
        return [stat.pid for stat in processes.marked(self.executor.run_id(run))]


@contextmanager
def place(root: Path, limits: WorkerLimits | None = None) -> Iterator[Place]:
    """A Place; whatever a failed test leaves running there is ended."""
    made = Place(root, limits)
    try:
        yield made
    finally:
        for task in made.runs.iterdir():
            for attempt in task.iterdir():
                run = RunKey(task.name, int(attempt.name))
                for stat in processes.marked(made.executor.run_id(run)):
                    stat.send(9)
                with suppress(OrchError):
                    made.executor.probe(run)
