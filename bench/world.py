"""Projects to measure in: a repository with a bare origin, an agent, and `orch` as people start it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inotify_simple import INotify, flags  # type: ignore[import-untyped]

SECONDS = 300.0
"""Nothing here is waited for longer than this."""

CONFIG = """
[coordinator]
max_concurrent_workers = {workers}
{coordinator}
[agent]
default = "sh"
[agents.sh]
kind = "command"
command = ["{agent}"]
env = {{ SIGNS = "{signs}" }}
[limits]
min_free_disk_mb = 0
min_free_memory_mb = 0
[retry]
max_attempts = 1
"""

ORCH = str(Path(sys.executable).with_name("orch"))


@dataclass(frozen=True, slots=True)
class World:
    """One project on disk."""

    root: Path
    agent: Path
    signs: Path
    """Where the agent leaves signs: the hour of each is seen at once."""

    @property
    def tasks_file(self) -> Path:
        """tasks.md."""
        return self.root / "tasks.md"

    @property
    def environment(self) -> dict[str, str]:
        """What everything here is run with, agents of the floor included."""
        home = str(self.signs.parent)
        return {"PATH": os.environ["PATH"], "HOME": home, "LANG": "C.UTF-8", "SIGNS": str(self.signs)}

    def save(self, text: str) -> None:
        """Save tasks.md as editors do."""
        new = self.root / ".tasks.md.new"
        new.write_text(text)
        new.rename(self.tasks_file)

    def git(self, *words: str, cwd: Path | None = None) -> str:
        """Run git; gives what it printed."""
        return subprocess.run(
            ["git", *words],
            cwd=cwd or self.root,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def orch(self, *words: str) -> None:
        """Run an orch command to its end. Raises CalledProcessError with what it said."""
        subprocess.run(
            [ORCH, *words],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            check=True,
            capture_output=True,
        )

    @contextmanager
    def coordinator(self, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
        """`orch run`, up when this begins and over when it ends; so are its workers."""
        with (self.signs.parent / "orch.log").open("ab") as log:
            child = subprocess.Popen(
                [ORCH, "run", "--plain", *words],
                cwd=self.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            wait_for((self.root / ".orch" / "metrics.json").exists)
            yield child
        finally:
            child.terminate()
            child.wait(SECONDS)
            for pid in self.launchers():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)

    def launchers(self) -> dict[int, list[int]]:
        """The launchers of this project's runs, each with the processes that it is made of."""
        found: dict[int, list[int]] = {}
        for folder in Path("/proc").iterdir():
            try:
                is_launcher = b"/launcher.py\0" in (folder / "cmdline").read_bytes()
                if is_launcher and os.fsencode(self.signs) in (folder / "environ").read_bytes():
                    pid = int(folder.name)
                    found.setdefault(os.getsid(pid), []).append(pid)  # each has a session of its own
            except OSError:
                continue
        return found


def make_world(
    folder: Path,
    agent: str,
    *,
    workers: int = 4,
    coordinator: str = "",
    worktree: str = "",
    origin: bool = True,
) -> World:
    """A project with one commit in `folder`, whose agent is a shell script with this text.

    `coordinator` are lines for [coordinator] in config.toml, `worktree` for [worktree].
    """
    world = World(folder / "work", folder / "agent.sh", folder / "signs")
    world.signs.mkdir(parents=True)
    world.agent.write_text("#!/bin/sh\n" + agent)
    world.agent.chmod(0o755)
    (folder / ".gitconfig").write_text(
        "[user]\nname = Bench\nemail = bench@example.com\n[init]\ndefaultBranch = main\n"
    )
    world.root.mkdir()
    world.git("init", "-q")
    (world.root / "README").write_text("hello\n")
    world.git("add", "README")
    world.git("commit", "-qm", "Start")
    if origin:
        world.git("init", "-q", "--bare", str(folder / "origin.git"))
        world.git("remote", "add", "origin", str(folder / "origin.git"))
        world.git("push", "-q", "-u", "origin", "main")
    text = CONFIG.format(workers=workers, coordinator=coordinator, agent=world.agent, signs=world.signs)
    (world.root / "config.toml").write_text(text + (f"[worktree]\n{worktree}\n" if worktree else ""))
    world.orch("init")
    return world


def queue(lines: Sequence[str]) -> str:
    """A tasks.md with these lines pending."""
    return "# Work\n\n## Pending\n\n" + "".join(f"{line}\n" for line in lines) + "\n## Active\n"


class Watch:
    """Sees at once what happens in a folder."""

    def __init__(self, folder: Path) -> None:
        """Watch from now on."""
        self._folder = folder
        self._inotify = INotify()
        self._inotify.add_watch(str(folder), flags.CREATE | flags.MOVED_TO | flags.CLOSE_WRITE | flags.DELETE)
        self._seen: list[tuple[str, float]] = []

    def find(self, wanted: Callable[[str], bool]) -> float:
        """The time (`time.perf_counter`) at which something happened to a name of which `wanted` is true.

        What happened before is forgotten, what came after is found by the next call.
        """
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            for place, (name, seen) in enumerate(self._seen):
                if wanted(name):
                    del self._seen[: place + 1]
                    return seen
            self._seen = self._read()
        raise TimeoutError(f"nothing of the kind in {self._folder}")

    def wait_until(self, condition: Callable[[], bool]) -> float:
        """The time at which something happened after which a condition is true."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            events = self._read()
            if events and condition():
                return events[0][1]
        raise TimeoutError(f"it does not come true in {self._folder}")

    def forget(self) -> None:
        """Take no notice of what has happened so far."""
        self._inotify.read(timeout=0)
        self._seen = []

    def close(self) -> None:
        """Watch no more."""
        self._inotify.close()

    def _read(self) -> list[tuple[str, float]]:
        events = self._inotify.read(timeout=1000)
        now = time.perf_counter()
        return [(event.name, now) for event in events]


def wait_for(condition: Callable[[], object], pause: float = 0.02) -> None:
    """Wait until it is so, where nothing tells. Raises TimeoutError."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(pause)


def cpu_seconds(pid: int) -> float:
    """What a process, all its threads, has used of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    try:
        # In nanoseconds, where the kernel counts them.
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except (OSError, IndexError):
        return ticks / os.sysconf("SC_CLK_TCK")


def memory(pid: int, what: str) -> float:
    """Megabytes of a process: `Rss` or `Pss`."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    raise ValueError(what)
