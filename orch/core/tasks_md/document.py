"""tasks.md, read: which lines are tasks, what belongs to each, and what looks wrong. Pure."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from orch.core.model import Problem, Status, Task
from orch.core.tasks_md.grammar import (
    FIELD,
    HOMES,
    LINE,
    LINES,
    match_task,
    read_mark,
    read_tags,
    section_name,
)

BOM = "\ufeff"
_NOTES = ("bullet", "odd", "fence", "prose")
"""What can belong to the task above although it stands at column 0."""
_NO_TEXT = re.compile("[\0\udc80-\udcff]")
"""A NUL, or a byte that is not UTF-8 (as a surrogate escape): the file is something else than text."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class Piece(NamedTuple):
    """Some lines of the file that belong together."""

    kind: str
    """`task`, `heading`, `blank`, `rule`, or `text` for everything else."""
    start: int
    """0-based index of its first line."""
    end: int
    """Index after its last line. Blank lines after a task are no part of it."""
    section: str
    """One of SECTIONS: what a heading names, or the heading that another piece stands under."""
    level: int = 0
    """Of a heading, 1 to 6."""
    task: Task | None = None
    """None also for a second line of an id, and for a mark without a title."""


@dataclass(frozen=True, slots=True)
class Document:
    """tasks.md, parsed."""

    text: str
    """Every character of the file (bytes that are not UTF-8 as surrogate escapes)."""
    tasks: Mapping[str, Task] = field(default_factory=dict)
    """By id, in the order of the file; the first line of an id counts."""
    unnamed: tuple[Task, ...] = ()
    """Task lines without an id, in the order of the file."""
    problems: tuple[Problem, ...] = ()
    pieces: tuple[Piece, ...] = field(default=(), repr=False, compare=False)
    """How the lines of the text hang together, for `apply`."""

    def stale(self, today: str) -> tuple[str, ...]:
        """Ids under Completed Today whose `- Completed:` day (YYYY-MM-DD) is before `today`."""
        here = (piece.task for piece in self.pieces if piece.section == "Completed Today")
        done = (task for task in here if task and task.id and task.mark.status is Status.COMPLETED)
        days = ((task.id, _DAY.match(task.fields.get("Completed", ""))) for task in done)
        return tuple(name for name, day in days if day and day[0] < today)

    def misplaced(self) -> tuple[str, ...]:
        """Ids of tasks that a person has marked and left under the heading of another status.

        A pending task may stand anywhere, and under a person's own headings everything may.
        """
        return tuple(
            piece.task.id
            for piece in self.pieces
            if piece.task
            and piece.task.id
            and piece.section
            and piece.task.mark.status not in (Status.PENDING, Status.SKIPPED)
            and piece.section != HOMES[piece.task.mark.status]
            and not (piece.task.mark.status is Status.COMPLETED and piece.section == "Completed")
        )


def parse(text: str) -> Document:
    """Read a file. Never raises: what cannot be understood is left alone and listed as a problem."""
    lines = LINES.findall(text, len(BOM) if text.startswith(BOM) else 0)
    scan = _Scan(lines)
    odd = _NO_TEXT.search(text)
    if odd:
        number = text.count("\n", 0, odd.start()) + 1
        scan.problems.append(Problem(number, "this is not text in UTF-8; orch keeps it as it is"))
    elif "\n" not in text and "\r" in text.strip():
        scan.problems.append(
            Problem(1, "the lines end with CR alone, so orch sees one line: save it with LF or CRLF")
        )
    return Document(
        text,
        scan.tasks,
        tuple(scan.unnamed),
        tuple(sorted(scan.problems, key=lambda problem: problem.line)),
        tuple(scan.pieces),
    )


def read_task(lines: Sequence[str], number: int) -> tuple[Task, tuple[str, ...]]:
    """The task on the first of `lines`, with the rest as its notes, and what is wrong with its tags.

    `number` is the 1-based number of that first line. Raises ValueError if it is no task line.
    """
    line = lines[0]
    bracket, name, text = match_task(line).group("mark", "id", "title")
    tags = read_tags(text)
    notes, fields = _read_notes(lines) if len(lines) > 1 else ("", {})
    task = Task(
        id=name or "",
        title=tags.title,
        mark=read_mark(bracket),
        priority=tags.priority,
        after=tags.after,
        agent=tags.agent,
        model=tags.model,
        budget=tags.budget,
        notes=notes,
        fields=fields,
        line=number,
        text=strip_ending(line),
        terminated=lines[-1].endswith("\n"),
    )
    return task, tags.problems


def strip_ending(line: str) -> str:
    """A line without its line feed, and without the carriage return before that."""
    return line[:-2] if line.endswith("\r\n") else line.removesuffix("\n")


def _read_notes(lines: Sequence[str]) -> tuple[str, dict[str, str]]:
    notes = []
    fields: dict[str, str] = {}
    for line in lines[1:]:
        bullet = FIELD.match(line)
        if bullet:
            fields.setdefault(bullet[2], bullet[3].strip())
        else:
            notes.append(strip_ending(line).rstrip(" \t\r"))
    return textwrap.dedent("\n".join(notes)).strip("\n"), fields


class _Scan:
    """One pass over the lines. What it finds is in its attributes."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        # Every alternative of LINE is a named group, so only prose has none.
        self.kinds = [((match := LINE.match(line)) and match.lastgroup) or "prose" for line in lines]
        self.tasks: dict[str, Task] = {}
        self.unnamed: list[Task] = []
        self.problems: list[Problem] = []
        self.pieces: list[Piece] = []
        # Once nothing closes a comment, or a fence of some length, nothing later is searched through
        # again: a file full of openings must not cost the square of its length.
        self._comments_close = True
        self._unclosed_fences: dict[str, int] = {}
        section = ""
        start = 0
        while start < len(lines):
            kind = self.kinds[start]
            end = start + 1
            level = 0
            task = None
            if kind == "task":
                end = self._end_of_notes(start)
                task = self._add_task(start, end)
            elif kind == "heading":
                title = lines[start].lstrip("#")
                level = len(lines[start]) - len(title)
                section = section_name(title)
            elif kind not in ("blank", "rule"):
                end = self._end_of_text(start, kind)
                kind = "text"
            self.pieces.append(Piece(kind, start, end, section, level, task))
            start = end

    def _add_task(self, start: int, end: int) -> Task | None:
        task, problems = read_task(self.lines[start:end], start + 1)
        self.problems += [Problem(start + 1, message) for message in problems]
        if not task.title:
            self.problems.append(Problem(start + 1, "this task has no title"))
        first = self.tasks.get(task.id)
        if first is not None:
            message = f"{task.id} is on line {first.line} already: the one on line {start + 1} is ignored"
            self.problems.append(Problem(start + 1, message))
            return None
        if task.id:
            self.tasks[task.id] = task
        elif task.title:
            self.unnamed.append(task)
        else:
            return None
        return task

    def _end_of_notes(self, start: int) -> int:
        """Where what belongs to the task on line `start` ends.

        Its notes are indented lines, column-0 bullets, and text directly under it; blank lines only
        between them.
        """
        end = index = start + 1
        after_blank = False
        while index < len(self.lines):
            kind = self.kinds[index]
            if kind == "blank":
                after_blank = True
                index += 1
                continue
            if self.lines[index][0] in " \t":
                # A fence or comment in indented notes ends with them. Otherwise the text of one issue
                # could hide the tasks below it.
                index += 1
            elif kind not in _NOTES or (after_blank and self.lines[index][0] not in "-*+"):
                break
            else:
                index = self._end_of_text(index, kind)
            end = index
            after_blank = False
        return end

    def _end_of_text(self, start: int, kind: str) -> int:
        """Where a fence or comment that begins on line `start` ends; one line for anything else."""
        line = self.lines[start]
        if kind == "fence":
            return self._end_of_fence(start)
        if kind == "comment" or (kind == "prose" and "<!--" in line and "`" not in line):
            return self._end_of_comment(start)
        if kind == "odd":
            message = f"the mark {line[: line.find(']') + 1]} is not one that orch knows"
            self.problems.append(Problem(start + 1, message))
        return start + 1

    def _end_of_fence(self, start: int) -> int:
        stripped = self.lines[start].strip()
        char = stripped[0]
        length = len(stripped) - len(stripped.lstrip(char))
        if length < self._unclosed_fences.get(char, length + 1):
            for index in range(start + 1, len(self.lines)):
                line = self.lines[index]
                bare = line.strip(" \t\r\n")
                if len(bare) >= length and not bare.strip(char) and not line.startswith(("    ", "\t")):
                    return index + 1
            self._unclosed_fences[char] = length
        self._unclosed(start, f"the code block opened by {char * length}", char * length)
        return start + 1

    def _end_of_comment(self, start: int) -> int:
        nested = False
        for index in range(start, len(self.lines) if self._comments_close else start + 1):
            line = self.lines[index]
            nested = nested or (index > start and "<!--" in line.partition("-->")[0])
            if line.rfind("-->") > line.rfind("<!--"):
                if nested:
                    message = f"this comment holds another one: nothing up to line {index + 1} is read"
                    self.problems.append(Problem(start + 1, message))
                return index + 1
        self._comments_close = False
        self._unclosed(start, "the comment opened by <!--", "-->")
        return start + 1

    def _unclosed(self, start: int, what: str, closer: str) -> None:
        message = f"{what} is never closed, so the lines below it are read as usual: add {closer}"
        self.problems.append(Problem(start + 1, message))
