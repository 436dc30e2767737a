"""A coordinator whose turns a test takes one by one, on fakes; the background threads are real."""

import queue
from collections.abc import Callable
from pathlib import Path

from orch.coordinator.background import Background
from orch.coordinator.loop import recover, tick
from orch.coordinator.record import record
from orch.core.model import Phase, Policy, Run
from orch.core.state import State, Wake
from tests.fakes.ports import FakeWorld

SECONDS = 20.0


class Desk:
    """Takes turns, and waits for the background in between."""

    def __init__(self, folder: Path, text: str = "", **policy: object) -> None:
        self.world = FakeWorld(folder, text)
        self.policy = Policy(agents=("claude",)).evolve(**policy)
        self.queue: queue.SimpleQueue[Wake] = queue.SimpleQueue()
        self.background = Background(self.queue.put)
        self.state = State()
        self.wake_at = 0.0
        self.restart()

    def restart(self) -> None:
        """Forget everything and look at what lies there."""
        self.state = recover(self.world.ports, self.policy)

    def kill(self) -> None:
        """The coordinator is killed, whatever is under way, and another one starts."""
        self.queue = queue.SimpleQueue()
        self.background = Background(self.queue.put)
        self.restart()

    def turn(self) -> None:
        """One tick with what has come in."""
        wakes = []
        while not self.queue.empty():
            wakes.append(self.queue.get())
        before = self.state
        self.state, self.wake_at = tick(
            self.world.ports, before, tuple(wakes), self.policy, self.background, self.queue.put
        )
        record(self.world.ports, before, self.state)

    def settle(self) -> None:
        """Take turns until nothing more follows now."""
        for _ in range(200):
            self.turn()
            assert self.background.wait_until_idle(SECONDS)
            if self.queue.empty():
                return
        raise AssertionError("it goes round")

    def until(self, condition: Callable[[], bool]) -> None:
        """Settle, and let time pass as it is asked for, until it is so."""
        for _ in range(100):
            self.settle()
            if condition():
                return
            self.world.clock.advance(max(0.01, self.wake_at - self.world.clock.now()))
        raise AssertionError(f"never: {self.world.tasks.text}\n{self.state.metrics.history[-5:]}")

    def run(self, task: str = "t-1") -> Run:
        return self.state.runs.get(task) or self.world.runs.load([task])[task]

    def is_running(self, task: str = "t-1") -> bool:
        run = self.state.runs.get(task)
        return run is not None and run.phase is Phase.RUNNING and run.process is not None

    def work(self, task: str = "t-1") -> None:
        """The worker commits something and ends."""
        self.world.worktrees.edit(task, "file", "text")
        self.world.worktrees.commit(task, "Do it")
        self.world.executor.finish(self.run(task).key)
