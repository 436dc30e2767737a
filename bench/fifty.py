"""Fifty tasks from the queue to their pull requests, beside a loop that does the same one after the other."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench import program
from bench.rows import Reach, Row
from bench.world import World, make_world, queue

AGENT = r"""
cat > /dev/null
echo "$ORCH_TASK_ID" > "$ORCH_TASK_ID.txt" && git add -A && git commit -qm "$ORCH_TASK_ID: done"
"""

LOOP = r"""#!/bin/sh
set -eu
number=1
while [ "$number" -le "$1" ]; do
    export ORCH_TASK_ID="t-$number"
    git worktree add -q --no-track -b "orch/$ORCH_TASK_ID-task" "trees/$ORCH_TASK_ID" origin/main
    (cd "trees/$ORCH_TASK_ID" && echo "Do it" | "$2")
    git push -q origin "orch/$ORCH_TASK_ID-task"
    number=$((number + 1))
done
"""

FLOOR = "shell loop: worktree add, agent, push"


def measure(tasks: int = 50, workers: int = 8, repeats: int = 3) -> Sequence[Row]:
    """`orch run --until-idle` as a whole process, an instant agent, everything pushed."""
    found, floor = [], []
    for _ in range(repeats):
        with program.scratch() as folder:
            world = _make(folder / "loop", workers, tasks)
            (folder / "loop.sh").write_text(LOOP)
            floor.append(program.timed(_loop, world, folder, tasks) / 1000)
            _check(world, tasks)
            world = _make(folder / "orch", workers, tasks)
            found.append(program.timed(world.orch, "run", "--until-idle") / 1000)
            _check(world, tasks)
            if world.tasks_file.read_text().count("[✅ ") != tasks:
                raise AssertionError(world.tasks_file.read_text())
    name = f"{tasks} tasks, instant agent, {workers} workers"
    return [Row(name, "s", found, Reach(1.0, "times"), floor, FLOOR)]


def _make(folder: Path, workers: int, tasks: int) -> World:
    world = make_world(folder, AGENT, workers=workers)
    world.save(queue([f"[] t-{number}: Task {number}" for number in range(1, tasks + 1)]))
    return world


def _loop(world: World, folder: Path, tasks: int) -> None:
    subprocess.run(
        ["sh", str(folder / "loop.sh"), str(tasks), str(world.agent)],
        cwd=world.root,
        env=world.environment,
        check=True,
        capture_output=True,
    )


def _check(world: World, tasks: int) -> None:
    pushed = world.git("ls-remote", "--heads", "origin", "refs/heads/orch/*").splitlines()
    if len(pushed) != tasks:
        raise AssertionError(f"{len(pushed)} branches of {tasks} were pushed")


if __name__ == "__main__":
    program.run(measure)
