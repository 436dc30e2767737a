"""Changes to tasks.md as minimal splices. Pure.

A change touches the lines of one task, or moves that task with its notes: what no change names keeps
every byte.
"""

import re
from collections import Counter
from collections.abc import Sequence

from orch.core import names
from orch.core.actions import AddTask, Change, SetId, SetMark
from orch.core.model import FIELDS, PENDING, Mark, Status, Task
from orch.core.tasks_md.document import Document, parse, read_task
from orch.core.tasks_md.grammar import (
    BULLET,
    FIELD,
    HOMES,
    bullet_text,
    escape_comments,
    is_blank,
    match_task,
    one_line,
    render_mark,
    task_line,
)
from orch.core.tasks_md.layout import Block, Layout

_LIST_ITEM = re.compile(r"[-*+][ \t]+")


def apply(document: Document, changes: Sequence[Change]) -> Document:
    """The document with the changes made, each as a minimal splice.

    A change whose precondition is gone, or which is in place already, changes no byte; if none
    does, the same document comes back. Raises ValueError for an id or a bullet that orch never
    writes.
    """
    for careful in (False, True):
        editor = _Editor(document, careful=careful)
        for change in changes:
            editor.make(change)
        text = editor.layout.text()
        if text == document.text:
            return document
        changed = parse(text)
        if editor.agrees(changed):
            return changed
        # A line that was moved or added ends a comment or code block that a person opened and never
        # closed, and now other tasks read differently.
    return document


class _Editor:
    """A layout whose tasks are known by name.

    A careful one moves no task, and escapes what could end a comment or a code block.
    """

    def __init__(self, document: Document, *, careful: bool) -> None:
        self.layout = Layout.of(document)
        self._careful = careful
        self._moving = self.layout.sectioned and not careful
        self._tasks: dict[str, tuple[Task, Block]] = {}
        self._unnamed: dict[str, list[tuple[Task, Block]]] = {}
        """By the text of the line."""
        self._doubled: set[str] = set()
        """Ids with a second line. Moved below it, the first would no longer be the first."""
        pieces = document.pieces or parse(document.text).pieces
        for piece, block in zip(pieces, self.layout.blocks, strict=True):
            if piece.task is None:
                if piece.kind == "task":
                    self._doubled.add(read_task(block.lines, 0)[0].id)
            elif piece.task.id:
                self._tasks[piece.task.id] = piece.task, block
            else:
                self._unnamed.setdefault(piece.task.text, []).append((piece.task, block))

    def agrees(self, document: Document) -> bool:
        """Whether `document`, parsed from the text, has exactly the tasks that were meant."""
        meant = {name: task.text for name, (task, _) in self._tasks.items()}
        unnamed = {text: len(entries) for text, entries in self._unnamed.items() if entries}
        return meant == {name: task.text for name, task in document.tasks.items()} and unnamed == Counter(
            task.text for task in document.unnamed
        )

    def make(self, change: Change) -> None:
        """Make one change, if its precondition holds."""
        match change:
            case SetMark():
                self._set_mark(change)
            case SetId():
                self._set_id(change)
            case AddTask():
                self._add_task(change.task)
            case _:
                self._archive(change.task)

    def _set_mark(self, change: SetMark) -> None:
        task, block = self._tasks.get(change.task, (None, None))
        if task is None or block is None or task.mark != change.was:
            return
        if change.mark != change.was:
            line = block.lines[0]
            match = match_task(line)
            bracket = _bracket(change.mark, match["bullet"])
            block.lines[0] = line[: match.start("mark")] + bracket + line[match.end("mark") :]
        for name, value in change.fields:
            if value is None:
                _remove_field(block, name)
            else:
                self._set_field(block, name, bullet_text(value))
        self._tasks[change.task] = read_task(block.lines, task.line)[0], block
        status = change.mark.status
        if status is Status.COMPLETED and block.section == "Completed":
            return
        # Under a heading of the person's own, only a task that is taken up or over leaves its place.
        if block.section or (status is not change.was.status and status is not Status.PENDING):
            self._move(change.task, HOMES.get(status, block.section))

    def _archive(self, name: str) -> None:
        task, block = self._tasks.get(name, (None, None))
        completed = task is not None and task.mark.status is Status.COMPLETED
        if completed and block is not None and block.section == "Completed Today":
            self._move(name, "Completed")

    def _move(self, name: str, section: str) -> None:
        block = self._tasks[name][1]
        if self._moving and block.section != section and name not in self._doubled:
            self.layout.take_out(block)
            self.layout.append(block, section)

    def _set_id(self, change: SetId) -> None:
        _check_id(change.id)
        found = self._unnamed.get(change.text)
        if change.id in self._tasks or not found:
            return
        task, block = nearest = min(found, key=lambda entry: abs(entry[0].line - change.line))
        found.remove(nearest)
        line = block.lines[0]
        match = match_task(line)
        at = match.start("title")
        block.lines[0] = f"{line[:at]}{'' if match['gap'] else ' '}{change.id}: {line[at:]}"
        self._tasks[change.id] = read_task(block.lines, task.line)[0], block

    def _add_task(self, task: Task) -> None:
        if task.id:
            _check_id(task.id)
        lines = [
            task_line(task.evolve(mark=PENDING)),
            *_note_lines(task.notes, "    " if self._careful else "  "),
        ]
        if self._careful:
            lines = [escape_comments(line) for line in lines]
        block = Block("task", [line + self.layout.newline for line in lines])
        added = read_task(block.lines, 0)[0]
        if added.id in self._tasks:
            return
        above = self.layout.append(block, "Pending" if self.layout.sectioned or self.layout.empty else "")
        item = _LIST_ITEM.match(above.lines[0]) if above else None
        if item:
            block.lines[0] = f"{item[0]}[ ]{block.lines[0].removeprefix('[]')}"
            added = read_task(block.lines, 0)[0]
        if added.id:
            self._tasks[added.id] = added, block
        else:
            self._unnamed.setdefault(added.text, []).append((added, block))

    def _set_field(self, block: Block, name: str, value: str) -> None:
        rank = _rank(name)
        at = 1
        for index, bullet in _fields(block):
            if bullet[2] == name:
                if bullet[3].strip() != value:
                    ending = self._ending(block.lines[index])
                    block.lines[index] = _field_line(bullet[1], name, value) + ending
                return
            if index == at and _rank(bullet[2]) < rank:
                at += 1
        style = next(filter(None, map(BULLET.match, block.lines[1:])), None)
        self.layout.terminate(block)
        line = _field_line(style[0] if style else "- ", name, value)
        block.lines.insert(at, line + self._ending(block.lines[0]))

    def _ending(self, line: str) -> str:
        if line.endswith("\r\n"):
            return "\r\n"
        return "\n" if line.endswith("\n") else self.layout.newline


def _remove_field(block: Block, name: str) -> None:
    _rank(name)
    for index, bullet in reversed(_fields(block)):
        if bullet[2] != name:
            continue
        del block.lines[index]
        # Text directly under the bullet must not come to stand after a blank line, where it would
        # belong to the task no more; nor may a block end in blank lines.
        if index == len(block.lines) or not is_blank(block.lines[index]):
            above = index
            while is_blank(block.lines[above - 1]):
                above -= 1
            del block.lines[above:index]


def _rank(name: str) -> int:
    if name not in FIELDS:
        raise ValueError(f"not one of orch's bullets: {name!r}")
    return FIELDS.index(name)


def _check_id(name: str) -> None:
    if not names.is_task_id(name):
        raise ValueError(f"not a task id: {name!r}")


def _bracket(mark: Mark, bullet: str | None) -> str:
    """The mark as it is written on a line: only `- [ ]` is a checkbox to other Markdown tools."""
    return "[ ]" if bullet and mark.status is Status.PENDING else render_mark(mark)


def _fields(block: Block) -> list[tuple[int, re.Match[str]]]:
    found = ((index, FIELD.match(line)) for index, line in enumerate(block.lines))
    return [(index, bullet) for index, bullet in found if bullet]


def _field_line(prefix: str, name: str, value: str) -> str:
    return f"{prefix}{name}: {value}".rstrip(" ")


def _note_lines(notes: str, margin: str) -> list[str]:
    """Notes as indented lines.

    A bullet that looks like one of orch's own is escaped, so that the text of an issue cannot pass
    for what orch wrote.
    """
    lines = []
    for line in notes.strip("\n").split("\n"):
        indent = line[: len(line) - len(line.lstrip(" \t"))]
        text = one_line(line)
        if FIELD.match(text):
            text = "\\" + text
        lines.append(f"{margin}{indent}{text}" if text else "")
    while lines and not lines[-1]:
        lines.pop()
    return lines
