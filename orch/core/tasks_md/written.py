"""A task as it is written in tasks.md: it keeps its bytes and reads from them what is asked for. Pure.

A file may hold thousands of completed tasks for weeks. Each is kept once, in UTF-8: as text an icon
would make every character of it two or four bytes wide.
"""

import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache

from orch.core.model import PENDING, Mark, Status, Task
from orch.core.tasks_md.grammar import FIELD, LINES, Tags, match_task, read_mark, read_status, read_tags

UNTITLED = "this task has no title"
_BULLETS = re.compile(f"^{FIELD.pattern}", re.MULTILINE)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NO_FIELDS: dict[str, str] = {}
_NO_BULLETS: frozenset[str] = frozenset()


def encode(text: str) -> bytes:
    """The bytes of a text; what is no UTF-8 stands in it as surrogate escapes."""
    return text.encode("utf-8", "surrogateescape")


def decode(data: bytes) -> str:
    """The text of some bytes, the inverse of `encode`."""
    return data.decode("utf-8", "surrogateescape")


def strip_ending(line: str) -> str:
    """A line without its line feed, and without the carriage return before that."""
    return line[:-2] if line.endswith("\r\n") else line.removesuffix("\n")


class WrittenTask(Task):
    """A Task that was read. What is asked of every task at every change is kept ready, no more."""

    __slots__ = ("bullets", "day", "raw", "status")

    raw: bytes
    """The line, and the lines that belong to it, with their endings."""
    status: Status
    bullets: AbstractSet[str]
    day: str
    """What `- Completed:` begins with if that is a day, YYYY-MM-DD; else ''."""

    @property
    def title(self) -> str:
        """The line without mark, id and tags."""
        return self._tags().title

    @property
    def mark(self) -> Mark:
        """What its bracket says."""
        if self.status is Status.PENDING:
            return PENDING
        return read_mark(match_task(self._line())["mark"])

    @property
    def model(self) -> str:
        """As its tag says."""
        return self._tags().model

    @property
    def budget(self) -> float | None:
        """As its tag says."""
        return self._tags().budget

    @property
    def notes(self) -> str:
        """What stands below, without orch's own bullets."""
        lines = LINES.findall(self._below())
        kept = [strip_ending(line).rstrip(" \t\r") for line in lines if not FIELD.match(line)]
        return textwrap.dedent("\n".join(kept)).strip("\n")

    @property
    def fields(self) -> Mapping[str, str]:
        """What the bullets of orch say."""
        return _read_fields(self._below()) if self.bullets else {}

    @property
    def text(self) -> str:
        """The first line."""
        return strip_ending(self._line())

    @property
    def terminated(self) -> bool:
        """Whether its last line has an ending."""
        return self.raw.endswith(b"\n")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, WrittenTask) and other.raw == self.raw:
            return True
        return isinstance(other, Task) and self.evolve() == other.evolve()

    __hash__ = None  # type: ignore[assignment]  # no task can be hashed: `fields` is a mapping

    def _line(self) -> str:
        return decode(self.raw[: self.raw.find(b"\n") + 1] or self.raw)

    def _below(self) -> str:
        return decode(self.raw[self.raw.find(b"\n") + 1 or len(self.raw) :])

    def _tags(self) -> Tags:
        return read_tags(match_task(self._line())["title"])


def read_task(
    lines: Sequence[str], raw: bytes, names: Mapping[str, Task] | None = None
) -> tuple[WrittenTask, tuple[str, ...]]:
    """The task on the first of `lines`, with the rest as what belongs to it, and what is wrong with it.

    `raw` are the bytes of the same lines. An id that is in `names` is shared with the task there. Raises
    ValueError if it is no task line.
    """
    bracket, name, text = match_task(lines[0]).group("mark", "id", "title")
    tags = read_tags(text)
    same = names.get(name) if names and name else None
    fields = _read_fields("".join(lines[1:])) if len(lines) > 1 else _NO_FIELDS
    day = _DAY.match(fields["Completed"]) if "Completed" in fields else None
    task = WrittenTask.__new__(WrittenTask)
    keep = object.__setattr__
    keep(task, "id", same.id if same else name or "")
    keep(task, "priority", tags.priority)
    keep(task, "after", tags.after)
    keep(task, "agent", sys.intern(tags.agent))
    keep(task, "raw", raw)
    keep(task, "status", read_status(bracket))
    keep(task, "bullets", _share(frozenset(fields)) if fields else _NO_BULLETS)
    keep(task, "day", sys.intern(day[0]) if day else "")
    return task, tags.problems if tags.title else (*tags.problems, UNTITLED)


def _read_fields(below: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for bullet in _BULLETS.finditer(below):
        fields.setdefault(bullet[2], bullet[3].strip())
    return fields


@cache
def _share(bullets: frozenset[str]) -> frozenset[str]:
    """The same object for equal sets; there are few."""
    return bullets
