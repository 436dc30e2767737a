"""Makes chaos in a project, lets it settle, and says what was lost, done twice or left.

Everything that is done follows from the seed and the number of the step; what it meets depends on the
moment, so a replay makes the same storm, not the same instruction.
"""

import contextlib
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orch.adapters.executors import processes
from orch.adapters.store.requests import RequestFiles
from orch.core.model import PauseRequest, RetryRequest, StopRequest
from orch.core.tasks_md import parse
from tests.chaos.person import Person, word_of
from tests.chaos.proof import count_twice, find_faults
from tests.chaos.world import Processes, make_world
from tests.e2e.projects import Project

SETTLE_SECONDS = 80.0
"""Without kills a project is idle long before; it takes so long only if it never will be."""

UP_SHARE = 0.7
"""In so many of its starts a coordinator is given the time to come up: else most kills hit its start."""
UP_SECONDS = 10.0

GIT_SECONDS = 0.5
"""So long gits to be killed are waited for."""
GITS = 4
"""So many are killed in a row at most."""

EVENTS = {
    "kill coordinator": 8,
    "kill launcher": 5,
    "kill worker": 5,
    "kill git": 5,
    "leave lock": 1,
    "SIGTERM": 1,
    "SIGUSR1": 1,
    "stop": 3,
    "stop by command": 1,
    "add by command": 3,
    "clean": 1,
    "merge": 1,
    "kill command": 2,
    "retry": 2,
    "pause": 1,
    "resume": 4,
}
"""What happens, and how often in proportion."""

GIT_EVENTS = {"kill git": 12, "leave lock": 4, "kill coordinator": 1, "retry": 2, "stop": 1, "resume": 2}
"""As EVENTS, where it is git that is tried."""


OUR_FILES = (
    *("refs/heads/orch/*", "refs/remotes/origin/orch/*", "refs/orch/saved/*/*", "refs/pull/*/head"),
    *("worktrees/*/index", "worktrees/*/HEAD"),
)
"""Whose locks orch removes itself."""
SHARED_SHARE = 0.2
"""So many of the locks that are left are of what is the person's own: orch only tells of those."""


@dataclass
class Report:
    """What a storm came to."""

    seed: int
    events: Counter[str] = field(default_factory=Counter)
    edits: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    twice: int = 0
    launches: int = 0
    gits: int = 0
    """Git commands of the coordinator that were killed."""
    seconds: float = 0.0
    settle_seconds: float = 0.0

    @property
    def findings(self) -> list[str]:
        return [*self.faults, *(f"edit: {line}" for line in self.lost)]


class Chaos:
    """One storm over one project."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        seconds: float,
        tasks: int = 24,
        events: Mapping[str, int] = EVENTS,
        least_kills: int = 0,
    ) -> None:
        """`folder` is empty; `seconds` is how long the storm lasts, without the settling.

        It goes on until the coordinator was killed `least_kills` times: a busy machine comes to less.
        """
        self._events = events
        self._least_kills = least_kills
        self.report = Report(seed)
        self._seed = seed
        self._seconds = seconds
        self._project = make_world(folder, random.Random(f"{seed}/world"), tasks)  # noqa: S311
        self._processes = Processes(self._project)
        self._gits = Gits(self._project)
        self._requests = RequestFiles(self._project.root / ".orch", warn=self._complain)
        self._person = Person(self._project.tasks_file, seed, pause=0.25)
        self._coordinator: subprocess.Popen[str] | None = None
        self._commands: list[subprocess.Popen[str]] = []
        self._additions: dict[str, subprocess.Popen[str]] = {}

    def run(self) -> Report:
        """Storm, settle, look. Ends every process that it started, whatever happens."""
        began = time.monotonic()
        try:
            self._person.start()
            self._storm(began + self._seconds)
            self._person.stop()
            if self._person.problem:
                self.report.faults.append(self._person.problem)
            settling = time.monotonic()
            if self._settle():
                self.report.faults += find_faults(self._project)
                self.report.lost += self._person.lost(self._project.tasks)
                self.report.lost += self._lost_additions(self._project.tasks)
            self.report.settle_seconds = time.monotonic() - settling
        finally:
            self._person.stop()
            for child in (*self._commands, self._coordinator):
                if child is not None and child.poll() is None:
                    child.kill()
                    child.wait()
            self._processes.kill_all()
        self.report.edits = self._person.edits
        self.report.twice = count_twice(self._project)
        self.report.launches = len(self._project.launches())
        self.report.seconds = time.monotonic() - began
        return self.report

    # --- the storm ---------------------------------------------------------------------------------------

    def _storm(self, deadline: float) -> None:
        step = 0
        while time.monotonic() < deadline or self.report.events["kill coordinator"] < self._least_kills:
            chance = random.Random(f"{self._seed}/step/{step}")  # noqa: S311 - a seed makes it replayable
            if self._coordinator is None or self._coordinator.poll() is not None:
                self._coordinator = self._start("run", "--plain")
                if chance.random() < UP_SHARE:
                    self._wait_until_up(self._coordinator)
            # The moment is what is tried: the sleep waits for nothing.
            time.sleep(min(chance.expovariate(4.0), 2.0))
            event = chance.choices(list(self._events), list(self._events.values()))[0]
            if self._do(event, chance, step):
                self.report.events[event] += 1
            step += 1

    def _do(self, event: str, chance: random.Random, step: int) -> bool:
        coordinator = self._coordinator
        if coordinator is None:
            return False
        match event:
            case "kill coordinator":
                return self._signal(coordinator, signal.SIGKILL)
            case "SIGTERM":
                return self._signal(coordinator, signal.SIGTERM)
            case "SIGUSR1":
                return self._is_up(coordinator) and self._signal(coordinator, signal.SIGUSR1)
            case "kill launcher" | "kill worker":
                return self._processes.kill(chance, launcher=event == "kill launcher")
            case "kill git":
                killed = self._gits.kill(coordinator.pid, chance)
                self.report.gits += killed
                return killed > 0
            case "leave lock":
                return self._leave_lock(chance)
            case "pause" | "resume":
                self._requests.post(PauseRequest(event == "pause", "chaos"))
                return True
            case "kill command":
                return self._kill_command(chance)
            case _:
                return self._ask(event, chance, step)

    def _ask(self, event: str, chance: random.Random, step: int) -> bool:
        if event == "clean":
            return self._command(event)
        if event == "add by command":
            word = f"added-by-command-{step}"
            return self._command("add", f"Do {word} now", word=word)
        # vim has it away for a moment.
        text = self._project.tasks if self._project.tasks_file.exists() else ""
        tasks = list(parse(text).tasks.values())
        if not tasks:
            return False
        task = chance.choice(tasks)
        name = task.id
        if event == "stop by command":
            return self._command("stop", name, "--now")
        if event == "merge":
            return self._command("merge", name)
        if event == "stop":
            self._requests.post(StopRequest(name, "chaos", now=chance.random() < 0.7))
        else:
            self._person.retried.add(word_of(task))
            self._requests.post(RetryRequest(name, fresh=chance.random() < 0.4))
        return True

    def _leave_lock(self, chance: random.Random) -> bool:
        """Leave a lock as a git does that is killed in the microseconds in which it holds one."""
        common = self._project.root / ".git"
        shared = common / "refs" / "remotes" / "origin" / "main"
        files = [path for place in OUR_FILES for path in common.glob(place) if path.suffix != ".lock"]
        is_shared = not files or chance.random() < SHARED_SHARE
        path = Path(f"{shared if is_shared else chance.choice(sorted(files))}.lock")
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            path.touch(exist_ok=False)
            return True
        return False

    def _obey_doctor(self) -> None:
        """Remove the locks that only a person may remove, if `orch doctor` says so."""
        shared = self._project.root / ".git" / "refs" / "remotes" / "origin" / "main.lock"
        if shared.exists():
            said = subprocess.run(
                self._project.argv("doctor"),
                cwd=self._project.root,
                env=self._project.environment({}),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            ).stdout
            if f"rm {shared}" in said:
                shared.unlink()

    def _command(self, *words: str, word: str = "") -> bool:
        child = self._start(*words)
        self._commands.append(child)
        if word:
            self._additions[word] = child
        return True

    def _kill_command(self, chance: random.Random) -> bool:
        running = [child for child in self._commands if child.poll() is None]
        return bool(running) and self._signal(chance.choice(running), signal.SIGKILL)

    def _start(self, *words: str) -> "subprocess.Popen[str]":
        with (self._project.root.parent / "orch.log").open("a") as log:
            return subprocess.Popen(
                self._project.argv(*words),
                cwd=self._project.root,
                env=self._project.environment({}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
            )

    def _wait_until_up(self, child: "subprocess.Popen[str]") -> None:
        deadline = time.monotonic() + UP_SECONDS
        while child.poll() is None and not self._is_up(child) and time.monotonic() < deadline:
            time.sleep(0.01)

    def _is_up(self, child: "subprocess.Popen[str]") -> bool:
        """Whether it takes signals: before its handlers stand, SIGUSR1 would end it like any program."""
        with contextlib.suppress(OSError):
            return (self._project.root / ".orch" / "coordinator.pid").read_text() == f"{child.pid}\n"
        return False

    def _signal(self, child: "subprocess.Popen[str]", number: int) -> bool:
        if child.poll() is not None:
            return False
        child.send_signal(number)
        if number == signal.SIGKILL:
            child.wait()
        return True

    # --- afterwards --------------------------------------------------------------------------------------

    def _settle(self) -> bool:
        """No more kills; whatever is left to be done is done. Says whether that came to an end."""
        for child in filter(None, (*self._commands, self._coordinator)):
            self._signal(child, signal.SIGKILL)
        deadline = time.monotonic() + SETTLE_SECONDS
        child = self._coordinator = self._start("run", "--plain", "--until-idle")
        while child.poll() is None and time.monotonic() < deadline:
            if (self._project.root / ".orch" / "pause.json").exists():
                # Many failures pause the fleet, as they should. So does the storm itself.
                self._requests.post(PauseRequest(paused=False))
            self._obey_doctor()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(0.5)
        if child.poll() == 0:
            return True
        state = "never became idle" if child.poll() is None else f"ended with {child.poll()}"
        status = self._project.orch("status", "--json")
        self.report.faults.append(
            f"orch run --until-idle {state}\n{status[:6000]}\n{self._project.log()[-4000:]}"
        )
        return False

    def _lost_additions(self, text: str) -> list[str]:
        """What `orch add` said is added, and is not there; or is there twice, also where it was killed."""
        lost = []
        for word, child in self._additions.items():
            times = text.count(f"Do {word} now")
            if times > 1 or (times == 0 and child.returncode == 0):
                lost.append(f"{word} is there {times} times, orch add ended with {child.returncode}")
        return lost

    def _complain(self, line: str) -> None:
        self.report.faults.append(f"requests: {line}")


class Gits:
    """The git commands that a coordinator has started; those of its workers are not among them."""

    def __init__(self, project: Project) -> None:
        self._root = str(project.root)

    def kill(self, coordinator: int, chance: random.Random) -> int:
        """SIGKILL a few, one after the other, each at some moment of its life; gives how many."""
        killed, wanted = 0, chance.randint(1, GITS)
        deadline = time.monotonic() + GIT_SECONDS
        while killed < wanted and time.monotonic() < deadline:
            for git in self._living(coordinator):
                # The moment is what is tried: most of them last milliseconds.
                time.sleep(chance.choice((0.0, 0.0, 0.001, 0.003, 0.01)))
                if git.send(signal.SIGKILL):
                    killed += 1
                    break
        return killed

    def _living(self, coordinator: int) -> Iterator[processes.Stat]:
        for stat in processes.descendants(coordinator):
            with contextlib.suppress(OSError):
                folder = Path(f"/proc/{stat.pid}")
                if (
                    (folder / "comm").read_text().startswith("git")
                    # What receives a push at origin belongs to another machine.
                    and str((folder / "cwd").readlink()).startswith(self._root)
                    and b"\0ORCH_RUN_ID=" not in b"\0" + (folder / "environ").read_bytes()
                ):
                    yield stat
