"""What a coordinator costs that has nothing to do."""

import time
from collections.abc import Sequence

from bench import program
from bench.rows import Reach, Row
from bench.world import cpu_seconds, make_world, memory, queue

SETTLE_SECONDS = 5.0
"""Versions of tasks.md that were replaced are watched for a moment after a start."""


def measure(tasks: int = 1000, seconds: float = 62.0, settle: float = SETTLE_SECONDS) -> Sequence[Row]:
    """Processor and memory of a coordinator whose tasks all wait for one that is blocked."""
    lines = ["[⏰ w-1a2b3c] t-1: Ask somebody"]
    lines += [f"[] t-{number}: Task {number} {{after:t-1}}" for number in range(2, tasks + 2)]
    with program.scratch() as folder:
        world = make_world(folder, "exit 0\n")
        world.save(queue(lines))
        with world.coordinator() as child:
            time.sleep(settle)
            before, began = cpu_seconds(child.pid), time.perf_counter()
            time.sleep(seconds)
            share = (cpu_seconds(child.pid) - before) / (time.perf_counter() - began)
            resident = memory(child.pid, "Rss")
    name = f"idle, {tasks} tasks wait, {seconds:g} s"
    return [
        Row(f"{name}: one core", "%", [share * 100], Reach(0.3)),
        Row(f"{name}: RSS", "MB", [resident], Reach(60)),
    ]


if __name__ == "__main__":
    program.run(measure)
