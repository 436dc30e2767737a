"""Changes to tasks.md as minimal splices. Pure.

A change touches the lines of one task, or moves that task with its notes: what no change names keeps
every byte.
"""

import re
from collections import Counter
from collections.abc import Sequence

from orch.core import names
from orch.core.actions import AddTask, Change, Drop, Reword, SetId, SetMark
from orch.core.model import FIELDS, PENDING, Mark, Status, Task
from orch.core.tasks_md.blocks import TaskBlock
from orch.core.tasks_md.document import Document, parse
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
from orch.core.tasks_md.layout import Layout

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
        changed = editor.layout.settle() if document.steady else None
        if changed is not None:
            return changed
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
        self.layout = Layout(document)
        self._document = document
        self._careful = careful
        self._moving = self.layout.sectioned and not careful
        self._blocks: dict[str, TaskBlock] = {}
        """Of tasks that were looked for, or are new, by id."""
        self._dropped: set[str] = set()
        self._unnamed: dict[str, list[tuple[int, Task | TaskBlock]]] = {}
        """By the text of the line: where it was, and the task or, if it is new, its block."""
        for line, task in zip(document.lines_of(document.unnamed), document.unnamed, strict=True):
            self._unnamed.setdefault(task.text, []).append((line, task))

    def agrees(self, document: Document) -> bool:
        """Whether `document`, parsed from the text, has exactly the tasks that were meant."""
        meant = {name: task.text for name, task in self._document.tasks.items()}
        meant.update({name: block.task.text for name, block in self._blocks.items()})
        for name in self._dropped:
            meant.pop(name, None)
        unnamed = Counter(task.text for task in self.layout.tasks() if not task.id)
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
            case Reword():
                self._reword(change)
            case Drop():
                self._drop(change)
            case _:
                self._archive(change.task)

    def _find(self, name: str) -> TaskBlock | None:
        """The block of a task."""
        if name in self._dropped:
            return None
        block = self._blocks.get(name)
        task = self._document.by_name.get(name)
        if block is None and task is not None:
            block = self._blocks[name] = self.layout.find(task)
        return block

    def _set_mark(self, change: SetMark) -> None:
        block = self._find(change.task)
        if block is None or block.task.mark != change.was:
            return
        lines = block.lines
        if change.mark != change.was:
            match = match_task(lines[0])
            bracket = _bracket(change.mark, match["bullet"])
            lines[0] = lines[0][: match.start("mark")] + bracket + lines[0][match.end("mark") :]
        for name, value in change.fields:
            if value is None:
                _remove_field(lines, name)
            else:
                self._set_field(lines, name, bullet_text(value))
        block.write(lines)
        status = change.mark.status
        section = self.layout.section_of(block)
        if status is Status.COMPLETED and section == "Completed":
            return
        # Under a heading of the person's own, only a task that is taken up or over leaves its place.
        if section or (status is not change.was.status and status is not Status.PENDING):
            self._move(change.task, block, HOMES.get(status, section))

    def _archive(self, name: str) -> None:
        block = self._find(name)
        if block is None or block.task.status is not Status.COMPLETED:
            return
        if self.layout.section_of(block) == "Completed Today":
            self._move(name, block, "Completed")

    def _move(self, name: str, block: TaskBlock, section: str) -> None:
        # Moved below its second line, the first of an id would no longer be the first.
        doubled = name in self._document.doubled
        if self._moving and self.layout.section_of(block) != section and not doubled:
            self.layout.take_out(block)
            self.layout.append(block, section)

    def _set_id(self, change: SetId) -> None:
        _check_id(change.id)
        found = self._unnamed.get(change.text)
        if change.id in self._blocks or change.id in self._document.by_name or not found:
            return
        nearest = min(found, key=lambda entry: abs(entry[0] - change.line))
        found.remove(nearest)
        block = nearest[1] if isinstance(nearest[1], TaskBlock) else self.layout.find(nearest[1])
        lines = block.lines
        match = match_task(lines[0])
        at = match.start("title")
        lines[0] = f"{lines[0][:at]}{'' if match['gap'] else ' '}{change.id}: {lines[0][at:]}"
        block.write(lines)
        self._blocks[change.id] = block

    def _add_task(self, task: Task) -> None:
        if task.id:
            _check_id(task.id)
        lines = [
            task_line(task.evolve(mark=PENDING)),
            *_note_lines(task.notes, "    " if self._careful else "  "),
        ]
        if self._careful:
            lines = [escape_comments(line) for line in lines]
        lines = [line + self.layout.newline for line in lines]
        block = TaskBlock.of(lines)
        if block.task.id in self._blocks or block.task.id in self._document.by_name:
            return
        above = self.layout.append(block, "Pending" if self.layout.sectioned or self.layout.empty else "")
        item = _LIST_ITEM.match(above.lines[0]) if above else None
        if item:
            lines[0] = f"{item[0]}[ ]{lines[0].removeprefix('[]')}"
            block.write(lines)
        if block.task.id:
            self._blocks[block.task.id] = block
        else:
            self._unnamed.setdefault(block.task.text, []).append((0, block))

    def _reword(self, change: Reword) -> None:
        block = self._find(change.task)
        if block is None or block.task.text != change.was or block.task.status is not Status.PENDING:
            return
        lines = block.lines
        task = block.task.evolve(
            mark=PENDING, title=change.title, priority=change.priority, after=change.after
        )
        head = f"{render_mark(PENDING)} {task.id}:"
        line = escape_comments(task_line(task)).removeprefix(head)
        ending = lines[0][len(lines[0].rstrip("\r\n")) :]
        lines[0] = lines[0][: match_task(lines[0]).start("title")] + line + ending
        block.write(lines)

    def _drop(self, change: Drop) -> None:
        block = self._find(change.task)
        if block is None or block.task.text != change.was or block.task.status is not Status.PENDING:
            return
        own = all(is_blank(line) or FIELD.match(line) for line in block.lines[1:])
        # The second line of an id would become its first.
        if own and change.task not in self._document.doubled:
            self.layout.take_out(block)
            self._dropped.add(change.task)

    def _set_field(self, lines: list[str], name: str, value: str) -> None:
        rank = _rank(name)
        at = 1
        for index, bullet in _fields(lines):
            if bullet[2] == name:
                if bullet[3].strip() != value:
                    lines[index] = _field_line(bullet[1], name, value) + self._ending(lines[index])
                return
            if index == at and _rank(bullet[2]) < rank:
                at += 1
        style = next(filter(None, map(BULLET.match, lines[1:])), None)
        self.layout.terminate(lines)
        line = _field_line(style[0] if style else "- ", name, value)
        lines.insert(at, line + self._ending(lines[0]))

    def _ending(self, line: str) -> str:
        if line.endswith("\r\n"):
            return "\r\n"
        return "\n" if line.endswith("\n") else self.layout.newline


def _remove_field(lines: list[str], name: str) -> None:
    _rank(name)
    for index, bullet in reversed(_fields(lines)):
        if bullet[2] != name:
            continue
        del lines[index]
        # Text directly under the bullet must not come to stand after a blank line, where it would
        # belong to the task no more; nor may a block end in blank lines.
        if index == len(lines) or not is_blank(lines[index]):
            above = index
            while is_blank(lines[above - 1]):
                above -= 1
            del lines[above:index]


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


def _fields(lines: Sequence[str]) -> list[tuple[int, re.Match[str]]]:
    found = ((index, FIELD.match(line)) for index, line in enumerate(lines))
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
