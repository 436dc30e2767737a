"""Thousands of edits of tasks.md, by another process and in many editors' ways, while orch changes it.

Two people run `orch add` all the while. The editors and what orch does meanwhile are those of
tests/adapters, which has smaller storms.
"""

import contextlib
import random
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from orch.adapters.store.task_file import TaskFile
from orch.core.tasks_md import Document, parse
from tests.adapters.applying import toggle
from tests.adapters.editors import STYLES

ROOT = Path(__file__).parents[2]
TASKS = 8
ADDERS = ("one", "two")
LET_GO_SECONDS = 0.02
PUT_AWAY_SECONDS = 30.0
"""What was written to a replaced version is merged seconds later; only a lost edit takes so long."""


@dataclass(frozen=True)
class EditReport:
    """What a storm of edits came to."""

    edits: int
    changes: int
    """How often orch changed the file meanwhile."""
    added: int
    """How many tasks `orch add` said that it had added."""
    lost: list[int]
    problems: list[str]


def storm_edits(folder: Path, count: int, seed: int) -> EditReport:
    """Make `count` edits in `folder`, which is empty, while this process changes the tasks' marks."""
    path = folder / "tasks.md"
    tasks = "".join(f"[] t-{number}: title {number}\n" for number in range(1, TASKS + 1))
    path.write_text(f"# Queue\n\n## Pending\n\n{tasks}\n## Active\n\n## Notes\n\nwords\n")
    store = TaskFile(path, lock=folder / ".orch" / "tasks.lock")
    chance = random.Random(seed)  # noqa: S311 - a seed makes it replayable
    styles = chance.sample(sorted(STYLES), len(STYLES))
    changes = 0
    with contextlib.ExitStack() as stack:
        adders = [_start(stack, "tests.chaos.adding", str(folder), who) for who in ADDERS]
        editor = _start(stack, "tests.adapters.editors", str(path), "0", str(count), *styles)
        while editor.poll() is None:
            changes += toggle(store, chance, changes)
            # Whoever takes a lock again at once leaves it to nobody else.
            with contextlib.suppress(subprocess.TimeoutExpired):
                editor.wait(LET_GO_SECONDS)
        said = [line for adder in adders for line in adder.communicate()[0].splitlines()]
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
    problems += _misadded(document, said)
    return EditReport(count, changes, len(said), lost, problems)


def _start(stack: contextlib.ExitStack, module: str, *words: str) -> "subprocess.Popen[str]":
    """Start a program that is over when the stack is."""
    child = subprocess.Popen(
        [sys.executable, "-m", module, *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.enter_context(child)
    stack.callback(child.kill)
    return child


def _lost(text: str, count: int) -> list[int]:
    typed = {int(number) for number in re.findall(r"\btyped-(\d+)", text)}
    return sorted(set(range(count)) - typed)


def _misadded(document: Document, said: list[str]) -> list[str]:
    """What is not as `orch add` said: each task is there once, under its id, and no other one is."""
    problems = []
    left = {f"t-{number}": f"title {number}" for number in range(1, TASKS + 1)}
    for line in said:
        name, word, *_ = line.split(maxsplit=2)
        if name == "refused" and re.search("locked by another|saved all the time", line):
            # The file was never left alone for long enough. It said so, and must have added nothing.
            if word in document.text.split():
                problems.append(f"orch add refused {word} and added it")
            continue
        if name in left:
            problems.append(f"orch add said: {line}")
        left[name] = word
        task = document.tasks.get(name)
        note = word.replace("added", "noted")
        if task is not None and int(word.rpartition("-")[2]) % 2 and note not in task.notes.split():
            problems.append(f"{name} has lost {note}")
    for name, title in left.items():
        task = document.tasks.get(name)
        if task is None or title not in " ".join(task.title.split()):
            problems.append(f"{name} should be {title!r}, and is {task.title if task else 'nowhere'!r}")
    problems += [f"{task.title!r} has no id" for task in document.unnamed]
    problems += [f"{name} is nobody's" for name in document.tasks.keys() - left.keys()]
    words = Counter(re.findall(r"\b[a-z]+-(?:added|noted)-\d+\b", document.text))
    return problems + [f"{word} is there {times} times" for word, times in words.items() if times > 1]
