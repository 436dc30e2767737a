"""Thousands of edits of tasks.md, by another process and in many editors' ways, while orch changes it.

The editors and what orch does meanwhile are those of tests/adapters, which has smaller storms.
"""

import random
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from orch.adapters.store.task_file import TaskFile
from orch.core.tasks_md import parse
from tests.adapters.applying import toggle
from tests.adapters.editors import STYLES

ROOT = Path(__file__).parents[2]
TASKS = 8
PUT_AWAY_SECONDS = 30.0
"""What was written to a replaced version is merged seconds later; only a lost edit takes so long."""


@dataclass(frozen=True)
class EditReport:
    """What a storm of edits came to."""

    edits: int
    changes: int
    """How often orch changed the file meanwhile."""
    lost: list[int]
    problems: list[str]


def storm_edits(folder: Path, count: int, seed: int) -> EditReport:
    """Make `count` edits in `folder`, which is empty, while this process changes the tasks' marks."""
    path = folder / "tasks.md"
    tasks = "".join(f"[] t-{number}: title {number}\n" for number in range(1, TASKS + 1))
    path.write_text(f"# Queue\n\n## Pending\n\n{tasks}\n## Active\n\n## Notes\n\nwords\n")
    store = TaskFile(path, lock=folder / ".orch" / "tasks.lock")
    chance = random.Random(seed)  # noqa: S311 - a seed makes it replayable
    changes = 0
    command = [sys.executable, "-m", "tests.adapters.editors", str(path), "0", str(count), *STYLES]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as editor:
        try:
            while editor.poll() is None:
                changes += toggle(store, chance, changes)
        finally:
            editor.kill()
    deadline = time.monotonic() + PUT_AWAY_SECONDS
    while lost := _lost(path.read_text(), count):
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
        store.read()
    document = parse(path.read_text())
    problems = [f"line {problem.line}: {problem.message}" for problem in document.problems]
    if editor.returncode:
        problems.append(f"the editor ended with {editor.returncode}")
    if sorted(document.tasks) != [f"t-{number}" for number in range(1, TASKS + 1)]:
        problems.append(f"the tasks are {', '.join(document.tasks)}")
    return EditReport(count, changes, lost, problems)


def _lost(text: str, count: int) -> list[int]:
    typed = {int(number) for number in re.findall(r"\btyped-(\d+)", text)}
    return sorted(set(range(count)) - typed)
