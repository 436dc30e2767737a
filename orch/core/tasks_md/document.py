"""tasks.md, read: its tasks, where they stand, and what looks wrong. Pure.

A document is a row of chunks. Versions of a document share the chunks, and so the tasks, that are the
same in both.
"""

import re
from collections.abc import Iterator, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from dataclasses import field, replace
from itertools import chain

from orch.core.model import Problem, Status, Task
from orch.core.tasks_md.scan import Chunk, Scan
from orch.core.tasks_md.written import WrittenTask, decode, encode
from orch.core.values import dataclass

BOM = "\ufeff"
_BOM = encode(BOM)
_NO_TEXT = re.compile("[\0\udc80-\udcff]")
"""A NUL, or a byte that is not UTF-8 (as a surrogate escape): the file is something else than text."""


class Tasks(Mapping[str, Task]):
    """The tasks of a document by id, in the order of the file; the first line of an id counts."""

    __slots__ = ("_by_name", "_chunks", "_plain")

    def __init__(self, chunks: Sequence[Chunk], by_name: dict[str, WrittenTask], *, plain: bool) -> None:
        """`plain`: every task in the chunks has an id of its own."""
        self._chunks = chunks
        self._by_name = by_name
        self._plain = plain

    def __getitem__(self, name: str) -> WrittenTask:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return (task.id for task in self._all())

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def values(self) -> ValuesView[Task]:
        """The tasks, without looking up each."""
        return _Values(self)

    def _all(self) -> Iterator[WrittenTask]:
        tasks = chain.from_iterable(chunk.tasks for chunk in self._chunks)
        if self._plain:
            return tasks
        return (task for task in tasks if self._by_name.get(task.id) is task)


class _Values(ValuesView[Task]):
    _mapping: Tasks

    def __iter__(self) -> Iterator[Task]:
        return self._mapping._all()  # noqa: SLF001 - its own view


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """tasks.md, parsed."""

    tasks: Mapping[str, Task] = field(default_factory=dict)
    """By id, in the order of the file; the first line of an id counts."""
    unnamed: tuple[Task, ...] = ()
    """Task lines without an id, in the order of the file."""
    problems: tuple[Problem, ...] = ()
    chunks: tuple[Chunk, ...] = field(default=(), repr=False)
    """The lines of the file, for `apply`."""
    by_name: dict[str, WrittenTask] = field(default_factory=dict, repr=False)
    """The `tasks`, in any order."""
    bom: bool = False
    """Whether the file begins with a byte-order mark, which is no part of the chunks."""
    doubled: frozenset[str] = frozenset()
    """Ids with more than one line."""
    steady: bool = True
    """Whether a change of one chunk leaves all others as they are read."""

    @property
    def data(self) -> bytes:
        """Every byte of the file, put together at each call."""
        raws = chain.from_iterable([chunk.raws for chunk in self.chunks])
        return b"".join(chain([_BOM], raws) if self.bom else raws)

    def data_from(self, before: "Document", data: bytes) -> bytes:
        """The same as `data`, cut out of that of another version as far as they share their chunks."""
        places: dict[int, int] = {}
        at = len(_BOM) if before.bom else 0
        for chunk in before.chunks:
            places[id(chunk)] = at
            at += chunk.size
        parts: list[bytes | memoryview] = [_BOM] if self.bom else []
        whole = memoryview(data)
        start = end = 0
        for chunk in self.chunks:
            at = places.get(id(chunk), -1)
            if at != end:
                parts.append(whole[start:end])
                start = end = max(at, 0)
            if at < 0:
                parts += chunk.raws
            else:
                end += chunk.size
        return b"".join([*parts, whole[start:end]])

    @property
    def blank(self) -> bool:
        """Whether there is nothing but white space in it."""
        return not any(raw.strip() for chunk in self.chunks for raw in chunk.raws)

    @property
    def text(self) -> str:
        """`data` as text, with bytes that are not UTF-8 as surrogate escapes."""
        return decode(self.data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Document) and all(
            getattr(self, name) == getattr(other, name)
            for name in ("data", "tasks", "unnamed", "problems", "doubled", "steady")
        )

    __hash__ = None  # type: ignore[assignment]

    def lines_of(self, tasks: Sequence[Task]) -> list[int]:
        """The 1-based line number of each of these tasks of the document; 0 for any other.

        Costs time in proportion to the document, however many are asked for.
        """
        wanted = {id(task): 0 for task in tasks}
        above = 0
        for chunk in self.chunks if wanted else ():
            if not wanted.keys().isdisjoint(map(id, chunk.tasks)):
                wanted.update((id(task), above + number) for number, task in chunk.numbered())
            above += chunk.lines
        return [wanted[id(task)] for task in tasks]

    def stale(self, today: str) -> tuple[str, ...]:
        """Ids under Completed Today whose `- Completed:` day (YYYY-MM-DD) is before `today`."""
        return tuple(
            task.id
            for chunk in self.chunks
            if chunk.section == "Completed Today"
            for task in chunk.tasks
            if "" < task.day < today and task.status is Status.COMPLETED and self._counts(task)
        )

    def misplaced(self) -> tuple[str, ...]:
        """Ids of tasks that a person has marked and left under the heading of another status.

        A pending task may stand anywhere, and under a person's own headings everything may.
        """
        found = (task for chunk in self.chunks if chunk.misplaced for task in chunk.misplaced)
        return tuple(task.id for task in found if self._counts(task))

    def _counts(self, task: WrittenTask) -> bool:
        """Whether it has an id, and is the first with it."""
        return self.by_name.get(task.id) is task


def parse(text: str) -> Document:
    """Read a file, as text with surrogate escapes for what is not UTF-8.

    What cannot be understood is left alone and listed as a problem.
    """
    bom = text.startswith(BOM)
    scan = Scan(text.removeprefix(BOM))
    odd = _NO_TEXT.search(text)
    problem = None
    if odd:
        number = text.count("\n", 0, odd.start()) + 1
        problem = Problem(number, "this is not text in UTF-8; orch keeps it as it is")
    elif "\n" not in text and "\r" in text.strip():
        problem = Problem(1, "the lines end with CR alone, so orch sees one line: save it with LF or CRLF")
    whole = Document(bom=bom, steady=scan.steady and problem is None)
    document = renew(whole, scan.chunks, (), scan.chunks)
    if problem is None:
        return document
    problems = sorted((*document.problems, problem), key=lambda each: each.line)
    return replace(document, problems=tuple(problems))


def parse_again(before: Document, data: bytes) -> Document:
    """The same as `parse`, but what stands there as it stood is taken over from `before`."""
    return _parse_between(before, data) or parse(decode(data))


def _parse_between(before: Document, data: bytes) -> Document | None:
    """Read only the chunks that differ, None where that would not be enough."""
    if not before.steady or data.startswith(_BOM) is not before.bom or b"\n" not in data:
        return None
    chunks = before.chunks
    start, end = len(_BOM) if before.bom else 0, len(data)
    low, high = 0, len(chunks)
    while low < high:
        same = b"".join(chunks[low].raws)
        # A line that was not ended may have been typed on.
        if not same.endswith(b"\n") or not data.startswith(same, start):
            break
        start += len(same)
        low += 1
    if low:
        # What follows may belong to the last task of a chunk that is the same.
        low -= 1
        start -= sum(map(len, chunks[low].raws))
    # The first chunk may begin with anything, so what stands above it now could take it in.
    while high > max(low, 1):
        same = b"".join(chunks[high - 1].raws)
        if not data.endswith(same, start, end):
            break
        end -= len(same)
        high -= 1
    text = decode(data[start:end])
    removed, kept = chunks[low:high], chunks[high:]
    known = {task.raw: task for chunk in removed if not chunk.problems for task in chunk.tasks}
    scan = Scan(text, chunks[low - 1].section if low else "", known, before.by_name)
    if not scan.steady or _NO_TEXT.search(text):
        return None
    if kept and text and not text.endswith("\n"):
        return None
    if kept and not kept[0].level and kept[0].section != scan.section:
        return None
    return renew(before, (*chunks[:low], *scan.chunks, *kept), removed, scan.chunks)


def renew(
    before: Document, chunks: Sequence[Chunk], removed: Sequence[Chunk], added: Sequence[Chunk]
) -> Document:
    """The version after `before`, with these `chunks`: all of its own but the `removed`, and the `added`."""
    chunks = tuple(chunks)
    by_name = dict(before.by_name)
    unnamed, doubled = before.unnamed, before.doubled
    for task in chain.from_iterable(chunk.tasks for chunk in removed):
        by_name.pop(task.id, None)
    unique = not doubled
    for task in chain.from_iterable(chunk.tasks for chunk in added):
        unique = unique and by_name.setdefault(task.id, task) is task
    if not unique or unnamed or "" in by_name:
        by_name, unnamed, doubled = _sort_out(chunks)
    return Document(
        Tasks(chunks, by_name, plain=not unnamed and not doubled),
        unnamed,
        tuple(_find_problems(chunks, doubled)),
        chunks,
        by_name,
        before.bom,
        doubled,
        before.steady,
    )


def _sort_out(
    chunks: Sequence[Chunk],
) -> tuple[dict[str, WrittenTask], tuple[WrittenTask, ...], frozenset[str]]:
    """The tasks by id, those without one, and the ids that are there more than once."""
    by_name: dict[str, WrittenTask] = {}
    unnamed = []
    doubled = set()
    for task in chain.from_iterable(chunk.tasks for chunk in chunks):
        if not task.id:
            unnamed.append(task)
        elif by_name.setdefault(task.id, task) is not task:
            doubled.add(task.id)
    return by_name, tuple(unnamed), frozenset(doubled)


def _find_problems(chunks: Sequence[Chunk], doubled: AbstractSet[str]) -> list[Problem]:
    problems = []
    first: dict[str, int] = {}
    above = 0
    for chunk in chunks:
        if chunk.problems:
            problems += [Problem(above + each.line, each.message) for each in chunk.problems]
        for number, task in chunk.numbered() if doubled else ():
            line = above + number
            if task.id in doubled and first.setdefault(task.id, line) != line:
                message = f"{task.id} is on line {first[task.id]} already: the one on line {line} is ignored"
                problems.append(Problem(line, message))
        above += chunk.lines
    return sorted(problems, key=lambda problem: problem.line)
