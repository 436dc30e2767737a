"""Very many workers at the same time."""

import os
import time
from collections.abc import Sequence

from bench import program
from bench.rows import Reach, Row
from bench.world import World, cpu_seconds, make_world, memory, queue, wait_for

AGENT = r"""
: > "$SIGNS/start-$ORCH_TASK_ID"
exec cat "$SIGNS/gate"
"""


def measure(workers: int = 200, seconds: float = 20.0) -> Sequence[Row]:
    """The coordinator's load while agents sleep, the size of launchers, and whether every exit is seen."""
    names = [f"t-{number}" for number in range(1, workers + 1)]
    with program.scratch() as folder:
        world = make_world(folder, AGENT, workers=workers, origin=False)
        os.mkfifo(world.signs / "gate")
        world.save(queue([f"[] {name}: Sleep" for name in names]))
        began = time.perf_counter()
        with world.coordinator() as child:
            wait_for(lambda: len(list(world.signs.glob("start-*"))) == workers)
            started = time.perf_counter() - began
            # Their marks have been written, and nothing is to be launched any more.
            time.sleep(min(3.0, seconds))
            before, began = cpu_seconds(child.pid), time.perf_counter()
            time.sleep(seconds)
            share = (cpu_seconds(child.pid) - before) / (time.perf_counter() - began)
            resident = memory(child.pid, "Rss")
            found = world.launchers().values()
            launchers = [sum(memory(pid, "Pss") for pid in parts) for parts in found]
            # All of them wait for a writer: opening it and closing it again ends them together.
            (world.signs / "gate").write_bytes(b"")
            began = time.perf_counter()
            wait_for(lambda: _ended(world) == workers)
            ended = time.perf_counter() - began
            unseen = workers - _ended(world)
    if len(launchers) != workers:
        raise AssertionError(f"{len(launchers)} of {workers} launchers")
    name = f"{workers} live workers"
    return [
        Row(f"{name}: the coordinator, one core, {seconds:g} s", "%", [share * 100], Reach(3)),
        Row(f"{name}: PSS of a launcher and its keeper", "MB", launchers, Reach(6, at=95)),
        Row(f"{name}: RSS of the coordinator", "MB", [resident]),
        Row(f"{name}: exits not seen", "", [unseen], Reach(0)),
        Row(f"{name}: until all of them have started", "s", [started]),
        Row(f"{name}: all end at once, until all are marked", "s", [ended]),
    ]


def _ended(world: World) -> int:
    return world.tasks_file.read_text().count("[❌ ")


if __name__ == "__main__":
    program.run(measure)
