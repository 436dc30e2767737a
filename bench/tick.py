"""One turn of the loop with nothing to do, for queues of any length."""

import os
from collections.abc import Sequence

from bench import program
from bench.rows import Reach, Row
from bench.world import World, make_world
from orch import wiring
from orch.coordinator.background import Background
from orch.coordinator.loop import recover, tick
from orch.coordinator.record import make_snapshot, record
from orch.core.state import State

FLOOR = "reading the file"


def measure(repeats: int = 15, largest: int = 100_000) -> Sequence[Row]:
    """A tick where nothing has changed, for 1,000 tasks and ten and a hundred times as many."""
    rows, medians = [], {}
    with program.scratch() as folder:
        world = make_world(folder, "exit 0\n")
        for size in (largest // 100, largest // 10, largest):
            world.save(_queue(size))
            found, first, floor = _measure(world, repeats)
            reach = Reach(20) if size == largest // 10 else None
            rows.append(Row(f"tick, {size} tasks, nothing to do", "ms", found, reach, floor, FLOOR))
            rows.append(Row(f"first tick, {size} tasks: the file is parsed", "ms", first, None, floor, FLOOR))
            medians[size] = sorted(found)[len(found) // 2]
    growth = medians[largest] / medians[largest // 100]
    rows.append(Row(f"tick, growth from {largest // 100} to {largest} tasks", "x", [growth], Reach(100)))
    return rows


def _queue(size: int) -> str:
    """Half of the tasks are over; the others wait for one that is blocked."""
    parts = ["# Work\n\n## Pending\n\n"]
    parts += [
        f"[] t-{number}: Mend the part {number} of the shop {{p1, after:t-1}}\n"
        for number in range(2, size, 2)
    ]
    parts.append("\n## Completed\n\n")
    parts += [
        f"[✅ cbffe52, w-{number:06x}] t-{number}: Mend the part {number} of the shop\n"
        for number in range(3, size + 2, 2)
    ]
    parts.append("\n## Blocked\n\n[⏰ w-1a2b3c] t-1: Ask somebody\n")
    return "".join(parts)


def _measure(world: World, repeats: int) -> tuple[list[float], list[float], list[float]]:
    project = wiring.open_project(world.root)
    ports, policy = project.ports, project.config.policy()
    background = Background(lambda _: None)
    state, floor, found = recover(ports, policy), [], []

    def turn() -> None:
        nonlocal state
        before: State = state
        state, _ = tick(ports, before, (), policy, background, lambda _: None)
        record(ports, before, state)
        ports.metrics.write(make_snapshot(ports, state, policy, pid=os.getpid()))

    first = [program.timed(turn)]
    parsed = state.document
    background.wait_until_idle(60)
    for _ in range(repeats):
        floor.append(program.timed(world.tasks_file.read_bytes))
        found.append(program.timed(turn))
    if state.document is not parsed:
        raise AssertionError("an unchanged file was parsed again")
    return found, first, floor


if __name__ == "__main__":
    program.run(measure)
