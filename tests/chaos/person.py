"""A person who edits tasks.md all the time, with several editors, and remembers every edit."""

import random
import re
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from orch.core.model import Status, Task
from orch.core.tasks_md import Document, parse
from orch.core.tasks_md.written import WrittenTask
from tests.adapters.editors import STYLES
from tests.chaos.world import task_lines

REST_SECONDS = 6.0
"""A task that was edited is left alone for so long: an editor that had a replaced version open is merged
after 3 seconds, and a person's second edit of the same line must not meet the first one there."""

BY_HAND = {"[x]": Status.COMPLETED, "[-]": Status.SKIPPED}
WORD = re.compile(r"\b(?:first|added)-\d+\b")
"""What the person's own tasks are known by."""


@dataclass
class Expected:
    """What a task's lines must still say at the end."""

    notes: tuple[str, ...] = ()
    priority: int | None = None
    mark: Status | None = None
    deleted: bool = False
    touched: float = 0.0


class Person(threading.Thread):
    """Edits until told to stop. Each edit hangs on the seed and its number alone."""

    def __init__(self, path: Path, seed: int, pause: float) -> None:
        """`pause` is the longest rest between two edits, in seconds."""
        super().__init__(name="person", daemon=True)
        self.expected: dict[str, Expected] = {}
        """By the word in the title."""
        self.retried: set[str] = set()
        """Words of the tasks that somebody else had tried again: their marks are not the last wish."""
        self.edits: Counter[str] = Counter()
        self.problem = ""
        self._path = path
        self._seed = seed
        self._pause = pause
        self._journal = path.parent.parent / "edits"
        """Each edit's text before and after it, for whoever looks into a finding."""
        self._journal.mkdir()
        self._done = threading.Event()
        for word in WORD.findall(path.read_text()):
            self.expected[word] = Expected()

    def stop(self) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        number = 0
        while not self._done.wait(random.Random(f"{self._seed}/rest/{number}").uniform(0, self._pause)):  # noqa: S311
            try:
                self._edit(number, random.Random(f"{self._seed}/edit/{number}"))  # noqa: S311
            except (OSError, subprocess.CalledProcessError) as error:
                self.problem = f"edit {number} failed: {error!r}"
                return
            number += 1

    def _edit(self, number: int, chance: random.Random) -> None:
        kind = chance.choices(("add", "note", "priority", "again", "mark", "delete"), (4, 8, 8, 5, 2, 2))[0]
        style = chance.choice(sorted(STYLES))
        if kind == "add":
            word = f"added-{number}"
            # sed adds its line at the very end, and only one.
            lines = task_lines(word, chance)[: 1 if style == "sed" else 2]
            STYLES[style](
                self._path, lambda text: self._note(number, kind, style, text, _insert(text, lines))
            )
            self.expected[word] = Expected(touched=time.monotonic())
        else:
            style = "rename" if style == "sed" else style
            if not self._change(kind, style, number, chance):
                return
        self.edits[kind] += 1

    def _change(self, kind: str, style: str, number: int, chance: random.Random) -> bool:
        met: list[str] = []

        def edit(text: str) -> str:
            document = parse(text)
            tasks = self._rested(document, kind)
            if not tasks:
                return text
            task = chance.choice(tasks)
            met.append(word_of(task))
            return self._note(
                number,
                kind,
                f"{style}-{word_of(task)}",
                text,
                self._alter(text, document, task, kind, number),
            )

        STYLES[style](self._path, edit)
        if not met:
            return False
        self._remember(self.expected[met[0]], kind, number)
        return True

    def _note(self, number: int, kind: str, style: str, before: str, after: str) -> str:
        (self._journal / f"{number:03d}-{kind}-{style}.before").write_text(before)
        (self._journal / f"{number:03d}-{kind}-{style}.after").write_text(after)
        return after

    def _rested(self, document: Document, kind: str) -> list[Task]:
        wanted = {"again": (Status.FAILED, Status.BLOCKED)}.get(kind, tuple(Status))
        now = time.monotonic()
        found = []
        for task in (*document.tasks.values(), *document.unnamed):
            expected = self.expected.get(word_of(task))
            if (
                expected is not None
                and task.mark.status in wanted
                and not expected.deleted
                and not expected.mark
                and now - expected.touched > REST_SECONDS
            ):
                found.append(task)
        return found

    def _alter(self, text: str, document: Document, task: Task, kind: str, number: int) -> str:
        lines = text.splitlines(keepends=True)
        (line,) = document.lines_of([task])
        start = line - 1
        first = lines[start]
        match kind:
            case "note":
                lines.insert(start + 1, f"  typed-{number}\n")
            case "priority":
                lines[start] = re.sub(r"\{p\d\}", f"{{p{number % 4}}}", first)
            case "again":
                lines[start] = re.sub(r"^\[[^]]*\]", "[]", first)
            case "mark":
                lines[start] = re.sub(r"^\[[^]]*\]", sorted(BY_HAND)[number % 2], first)
            case _:
                assert isinstance(task, WrittenTask)
                del lines[start : start + len(task.raw.splitlines())]
        return "".join(lines)

    def _remember(self, expected: Expected, kind: str, number: int) -> None:
        expected.touched = time.monotonic()
        match kind:
            case "note":
                expected.notes = (*expected.notes, f"typed-{number}")
            case "priority":
                expected.priority = number % 4
            case "mark":
                expected.mark = BY_HAND[sorted(BY_HAND)[number % 2]]
            case "delete":
                expected.deleted = True

    def lost(self, text: str) -> list[str]:
        """What `text` does not say although it was typed."""
        document = parse(text)
        tasks: dict[str, list[Task]] = {}
        for task in (*document.tasks.values(), *document.unnamed):
            tasks.setdefault(word_of(task), []).append(task)
        lost = []
        for word, expected in self.expected.items():
            found = tasks.get(word, [])
            times = text.count(f"Do {word} now")
            if expected.deleted:
                lost += [f"{word} was deleted and is there again"] if times else []
            elif len(found) != 1 or times != 1:
                lost.append(f"{word} is there {len(found)} times as a task, {times} times at all")
            else:
                lost += [f"{word}: {said}" for said in _differences(found[0], expected)]
                if expected.mark not in (None, found[0].mark.status) and word not in self.retried:
                    lost.append(f"{word} was marked {expected.mark} by hand and is {found[0].mark.status}")
        return lost


def _differences(task: Task, expected: Expected) -> list[str]:
    found = [f"its note {note} is lost" for note in expected.notes if note not in task.notes.split()]
    if expected.priority is not None and task.priority != expected.priority:
        found.append(f"p{expected.priority} was typed, p{task.priority} is there")
    return found


def word_of(task: Task) -> str:
    """What a task is known by, '' for one that the person did not write."""
    found = WORD.search(task.title)
    return found[0] if found else ""


def _insert(text: str, lines: list[str]) -> str:
    block = "".join(f"{line}\n" for line in lines)
    head, heading, tail = text.partition("## Pending\n")
    return f"{head}{heading}\n{block}{tail.lstrip(chr(10))}" if heading else text + block
