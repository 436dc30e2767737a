"""How soon orch does what is to be done: a task is saved, an agent ends."""

import subprocess
import time
from collections.abc import Sequence

from bench import program
from bench.rows import Reach, Row
from bench.world import Watch, World, make_world, wait_for

AGENT = r"""
: > "$SIGNS/start-$ORCH_TASK_ID"
case "$(cat)" in
    *"please commit"*) echo "$ORCH_TASK_ID" > done.txt && git add -A && git commit -qm done ;;
    *) echo "Which colour?" > BLOCKED.md ;;
esac
: > "$SIGNS/end-$ORCH_TASK_ID"
"""

START_FLOOR = "git worktree add, spawn"


def measure(repeats: int = 30) -> Sequence[Row]:
    """tasks.md saved until the agent's first instruction; the agent's last one until its mark."""
    floor: list[float] = []
    starts: list[float] = []
    ends: dict[bool, list[float]] = {True: [], False: []}
    with program.scratch() as folder:
        world = make_world(folder, AGENT)
        with world.coordinator():
            signs, root = Watch(world.signs), Watch(world.root)
            try:
                for number in range(1, repeats + 1):
                    floor.append(_by_hand(world, signs, number))
                    commits = number % 2 == 0
                    start, end = _by_orch(world, signs, root, number, commits=commits)
                    starts.append(start)
                    ends[commits].append(end)
            finally:
                signs.close()
                root.close()
    saved = "tasks.md saved until the agent's first instruction"
    return [
        Row(saved, "ms", starts, Reach(60, "plus", 50), floor, START_FLOOR),
        Row(saved, "ms", starts, Reach(150, "plus", 95), floor, START_FLOOR),
        Row("the agent ends until its mark, nothing to push", "ms", ends[False], Reach(60, at=95)),
        *([Row("the same with push and pull request", "ms", ends[True])] if ends[True] else ()),
    ]


def _by_hand(world: World, signs: Watch, number: int) -> float:
    name = f"hand-{number}"
    began = time.perf_counter()
    tree = world.root / "hand" / name
    world.git("worktree", "add", "-q", "-b", name, str(tree))
    child = subprocess.Popen(
        [str(world.agent)],
        cwd=tree,
        env={**world.environment, "ORCH_TASK_ID": name},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    seen = signs.find(f"start-{name}".__eq__)
    child.wait()
    world.git("worktree", "remove", "--force", str(tree))
    world.git("branch", "-q", "-D", name)
    return (seen - began) * 1000


def _by_orch(world: World, signs: Watch, root: Watch, number: int, *, commits: bool) -> tuple[float, float]:
    # A question is no failure: the fleet would pause itself after so many.
    name, mark = f"t-{number}", "✅" if commits else "⏰"
    notes = "  please commit\n" if commits else ""
    text = world.tasks_file.read_text()
    text = text.replace("## Pending\n", f"## Pending\n\n[] {name}: Task {number}\n{notes}", 1)
    began = time.perf_counter()
    world.save(text)
    start = signs.find(f"start-{name}".__eq__)
    end = signs.find(f"end-{name}".__eq__)

    def is_marked() -> bool:
        return any(
            line.startswith(f"[{mark} ") and f" {name}: " in line
            for line in world.tasks_file.read_text().splitlines()
        )

    marked = root.wait_until(is_marked)
    # What comes after (the worktree of a completed task goes) is not to be in the next one's way.
    if commits:
        wait_for(lambda: not (world.root / "trees" / name).exists())
    return (start - began) * 1000, (marked - end) * 1000


if __name__ == "__main__":
    program.run(measure)
