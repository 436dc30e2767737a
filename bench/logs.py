"""Reading the log of a worker that has printed very much."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import program
from bench.rows import Reach, Row
from bench.world import ORCH, World, make_world, queue

LINE = b'{"type":"assistant","message":{"content":[{"type":"text","text":"' + b"word " * 80 + b'"}]}}\n'
LOOP = "import sys\nfor line in open(sys.argv[1], 'rb'): pass"
FLOOR = "Python's bare line loop"


def measure(megabytes: int = 1024, repeats: int = 3, follows: int = 10) -> Sequence[Row]:
    """`orch logs` over a huge log, and how soon it shows a new line when it follows."""
    read, floor, peaks = [], [], []
    with program.scratch() as folder:
        world = make_world(folder, "exit 0\n")
        log = _make_log(world, megabytes)
        for _ in range(repeats):
            floor.append(_run([sys.executable, "-c", LOOP, str(log)], world)[0])
            seconds, peak = _run([ORCH, "logs", "t-1"], world)
            read.append(seconds)
            peaks.append(peak)
        _, small = _run([ORCH, "logs", "t-1", "-n", "1"], world)
        followed = _follow(world, log, follows)
    name = f"orch logs, {megabytes} MB"
    return [
        Row(name, "s", read, Reach(3, "times"), floor, FLOOR),
        Row(f"{name}: memory", "MB", peaks, Reach(2, "plus"), [small], "orch logs -n 1"),
        Row(f"{name}: -f shows a new line", "ms", followed),
    ]


def _make_log(world: World, megabytes: int) -> Path:
    """A run that is over, as its files tell, with a log of this size."""
    world.save(queue(["[] t-1: Talk much"]))
    world.orch("run", "--until-idle")
    log = world.root / ".orch" / "runs" / "t-1" / "1" / "stdout.jsonl"
    block = LINE * (1024 * 1024 // len(LINE))
    with log.open("wb") as file:
        for _ in range(megabytes):
            file.write(block)
    return log


def _run(argv: Sequence[str], world: World) -> tuple[float, float]:
    """Seconds, and megabytes of memory at the peak."""
    began = time.perf_counter()
    child = subprocess.Popen(argv, cwd=world.root, env=world.environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, argv)
    return time.perf_counter() - began, _megabytes(used)


def _megabytes(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / (1024 if sys.platform != "darwin" else 1024 * 1024)


def _follow(world: World, log: Path, follows: int) -> list[float]:
    """Milliseconds from the writing of a line until `orch logs -f` has printed it."""
    for name in ("exit.json", "outcome.json"):  # as if it were at work still
        (log.parent / name).rename(log.parent / f"{name}.aside")
    found = []
    child = subprocess.Popen(
        [ORCH, "logs", "t-1", "-f", "-n", "1"],
        cwd=world.root,
        env=world.environment,
        stdout=subprocess.PIPE,
    )
    try:
        output = child.stdout
        if output is None:
            raise AssertionError
        output.readline()
        for number in range(follows):
            line = f"line {number}\n".encode()
            began = time.perf_counter()
            with log.open("ab") as file:
                file.write(line)
            while output.readline() != line:
                pass
            found.append((time.perf_counter() - began) * 1000)
    finally:
        child.terminate()
        child.communicate()
    return found


if __name__ == "__main__":
    program.run(measure)
