"""Changes tasks.md without end, for tests that kill it. Prints a line for each change."""

import random
import sys
from pathlib import Path

from orch.adapters.store.task_file import TaskFile
from orch.core.actions import SetMark
from orch.core.model import PENDING, Mark, Status
from orch.errors import TransientError

ACTIVE = Mark(Status.ACTIVE, "w-1a2b3c")


def toggle(store: TaskFile, chance: random.Random, number: int) -> bool:
    """Start or unstart a task; says whether there was one and it could be done."""
    reading = store.read()
    if reading is None or not reading.document.tasks:
        return False
    task = chance.choice(list(reading.document.tasks.values()))
    mark = ACTIVE if task.mark.status is Status.PENDING else PENDING
    try:
        store.apply([SetMark(task.id, task.mark, mark, (("Started", str(number)),))])
    except TransientError:
        return False
    return True


def main(path: Path, seed: int) -> None:
    store = TaskFile(path, lock=path.parent / ".orch" / "tasks.lock")
    chance = random.Random(seed)  # noqa: S311 - the same choices each time
    number = 0
    while True:
        if toggle(store, chance, number):
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
            number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
