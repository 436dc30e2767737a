"""How long the commands take that people type: `orch --help`, `orch status`, `orch add`."""

import subprocess
import sys
from collections.abc import Sequence

from bench import program
from bench.rows import Reach, Row
from bench.world import World, make_world, queue

FLOOR = "python -c pass"


def measure(repeats: int = 20) -> Sequence[Row]:
    """Start-up of the commands, beside that of Python."""
    commands: dict[str, tuple[str, ...]] = {
        "--help": ("--help",),
        "status": ("status",),
        "add": ("add", "Fix the crash when the cart is empty"),
    }
    floor: list[float] = []
    found: dict[str, list[float]] = {name: [] for name in commands}
    with program.scratch() as folder:
        world = make_world(folder, "exit 0\n")
        world.save(queue([f"[] t-{number}: Task {number}" for number in range(1, 21)]))
        for command in commands.values():
            world.orch(*command)  # The first one compiles.
        for _ in range(repeats):
            floor.append(program.timed(_python, world))
            for name, command in commands.items():
                found[name].append(program.timed(world.orch, *command))
    reach = {"--help": 120, "status": 200, "add": 200}
    return [
        Row(f"orch {name}", "ms", values, Reach(reach[name], "plus"), floor, FLOOR)
        for name, values in found.items()
    ]


def _python(world: World) -> None:
    subprocess.run(
        [sys.executable, "-c", "pass"],
        cwd=world.root,
        env=world.environment,
        stdin=subprocess.DEVNULL,
        check=True,
        capture_output=True,
    )


if __name__ == "__main__":
    program.run(measure)
