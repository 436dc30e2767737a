"""One change of a status in a long tasks.md."""

import os
from collections.abc import Sequence
from pathlib import Path

from bench import program
from bench.rows import Reach, Row
from bench.world import queue
from orch.adapters.store.task_file import TaskFile
from orch.core.actions import SetMark
from orch.core.model import Mark, Status

FLOOR = "writing the file: new file, fsync, rename"


def measure(tasks: int = 100_000, repeats: int = 7) -> Sequence[Row]:
    """Marking one task among very many, beside writing the same file as safely."""
    found, floor = [], []
    with program.scratch() as folder:
        path, data = folder / "tasks.md", queue(_lines(tasks)).encode()
        path.write_bytes(data)
        store = TaskFile(path, lock=folder / ".orch" / "tasks.lock")
        store.read()
        for number in range(repeats):
            floor.append(program.timed(_write, folder / "copy.md", data))
            name = f"t-{tasks // 2 + number}"
            mark = SetMark(name, Mark(), Mark(Status.ACTIVE, "w-1a2b3c"))
            found.append(program.timed(store.apply, [mark]))
            store.read()
        if path.read_text().count("w-1a2b3c") != repeats:
            raise AssertionError("the marks were not written")
    return [Row(f"one status change, {tasks} tasks", "ms", found, Reach(3, "times"), floor, FLOOR)]


def _lines(tasks: int) -> list[str]:
    return [f"[] t-{number}: Mend the part {number} of the shop {{p1}}" for number in range(1, tasks + 1)]


def _write(path: Path, data: bytes) -> None:
    draft = path.with_suffix(".new")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


if __name__ == "__main__":
    program.run(measure)
