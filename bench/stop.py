"""How soon a worker is gone that is to be stopped."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence

from bench import program
from bench.rows import Reach, Row
from bench.world import ORCH, Watch, World, make_world, queue, wait_for

AGENT = r"""
sleep 600 &
echo "$$ $!" > "$SIGNS/.draft-$ORCH_TASK_ID"
mv "$SIGNS/.draft-$ORCH_TASK_ID" "$SIGNS/pids-$ORCH_TASK_ID"
wait
"""

FLOOR = "kill by hand"


def measure(repeats: int = 10) -> Sequence[Row]:
    """`orch stop --now` until the agent and what it started are gone; the agent obeys SIGTERM."""
    floor: list[float] = []
    asked: list[float] = []
    typed: list[float] = []
    with program.scratch() as folder:
        world = make_world(folder, AGENT)
        with world.coordinator():
            watch = Watch(world.root / ".orch" / "requests")
            try:
                for number in range(1, repeats + 1):
                    floor.append(_by_hand(world, number))
                    world.save(queue([f"[] t-{number}: Task {number}"]))
                    after_request, after_command = _by_orch(world, watch, number)
                    asked.append(after_request)
                    typed.append(after_command)
            finally:
                watch.close()
    return [
        Row("orch stop --now has asked until the tree is gone", "ms", asked, Reach(50, "plus"), floor, FLOOR),
        Row("the same from the command's first instruction on", "ms", typed, None, floor, FLOOR),
    ]


def _pids(world: World, name: str) -> list[int]:
    sign = world.signs / f"pids-{name}"
    wait_for(sign.exists)
    return [int(word) for word in sign.read_text().split()]


def _gone(handles: list[int]) -> float:
    """The time at which the last of these processes is over."""
    for handle in handles:
        select.select([handle], [], [], 60)
    now = time.perf_counter()
    for handle in handles:
        os.close(handle)
    return now


def _by_hand(world: World, number: int) -> float:
    name = f"hand-{number}"
    child = subprocess.Popen(
        [str(world.agent)],
        env={**world.environment, "ORCH_TASK_ID": name},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    handles = [os.pidfd_open(pid) for pid in _pids(world, name)]
    began = time.perf_counter()
    os.killpg(child.pid, signal.SIGTERM)
    ended = _gone(handles)
    child.wait()
    return (ended - began) * 1000


def _by_orch(world: World, watch: Watch, number: int) -> tuple[float, float]:
    name = f"t-{number}"
    handles = [os.pidfd_open(pid) for pid in _pids(world, name)]
    watch.forget()
    began = time.perf_counter()
    command = subprocess.Popen(
        [ORCH, "stop", name, "--now"],
        cwd=world.root,
        env=world.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    asked = watch.find(lambda name: not name.startswith("."))
    ended = _gone(handles)
    command.wait()
    wait_for(lambda: f" {name}: " in world.tasks_file.read_text().partition("## Blocked")[2])
    return (ended - asked) * 1000, (ended - began) * 1000


if __name__ == "__main__":
    program.run(measure)
