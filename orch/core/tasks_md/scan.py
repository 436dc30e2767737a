"""One pass over the lines of tasks.md: which are tasks, and what belongs to each. Pure."""

from collections.abc import Iterator, Mapping

from orch.core.model import Problem, Status, Task
from orch.core.tasks_md.grammar import HOMES, LINE, LINES, section_name
from orch.core.tasks_md.written import UNTITLED, WrittenTask, encode, read_task
from orch.core.values import dataclass

_NOTES = ("bullet", "odd", "fence", "prose")
"""What can belong to the task above although it stands at column 0."""
_FULL = 64
"""Pieces in a chunk: a change reads one or two chunks again, and copies a list of all chunks."""


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some lines of a steady file, which read the same whatever stands above and below them.

    It begins with a heading or a task, which always ends what is above, or at the start of the file;
    and whatever is opened in it is closed in it. It has one heading at most, as its first line.
    """

    section: str
    """One of SECTIONS: what its heading names, or the heading that it stands under."""
    level: int
    """Of its heading, 1 to 6; 0 if it has none."""
    raws: tuple[bytes, ...]
    """Its pieces: lines that hang together, such as a task with its notes, or a single blank line."""
    tasks: tuple[WrittenTask, ...]
    """Those of the pieces that are tasks, in this order. The bytes of a task are those in `raws`."""
    problems: tuple[Problem, ...]
    """What is wrong with it. The lines count from its own first one."""
    lines: int
    """How many it has."""
    size: int
    """How many bytes they are."""
    misplaced: tuple[WrittenTask, ...]
    """Those that a person has marked and left under the heading of another status."""

    def numbered(self) -> Iterator[tuple[int, WrittenTask]]:
        """Its tasks, each with the number of its line; the first line of the chunk is 1."""
        tasks = iter(self.tasks)
        task = next(tasks, None)
        number = 1
        for raw in self.raws:
            if task is not None and raw is task.raw:
                yield number, task
                task = next(tasks, None)
            number += raw.count(b"\n")


class Scan:
    """What a text holds, which is a whole file or begins where a chunk may begin."""

    def __init__(
        self,
        text: str,
        section: str = "",
        known: Mapping[bytes, WrittenTask] | None = None,
        names: Mapping[str, Task] | None = None,
    ) -> None:
        """`section` is that of the heading above. `known` are tasks without a problem, which are shared.

        Ids are shared with the tasks in `names`.
        """
        self.chunks: list[Chunk] = []
        self.steady = True
        """Whether what is read here, or said of it, is the same whatever stands below."""
        self.section = section
        """At the end: that of the last heading."""
        self._known = dict(known or {})
        self._names = names
        self._lines: list[str] = LINES.findall(text)
        # Every alternative of LINE is a named group, so only prose has none.
        self._kinds = [kind_of(line) for line in self._lines]
        self._problems: list[Problem] = []
        self._raws: list[bytes] = []
        self._tasks: list[WrittenTask] = []
        self._level = 0
        self._begin = 0
        # Once nothing closes a comment, or a fence of some length, nothing later is searched through
        # again: a file full of openings must not cost the square of its length.
        self._comments_close = True
        self._unclosed_fences: dict[str, int] = {}
        self._read()

    def _read(self) -> None:
        lines = self._lines
        start = 0
        while start < len(lines):
            kind = self._kinds[start]
            end = start + 1
            if kind == "task":
                if len(self._raws) >= _FULL:
                    self._cut(start)
                end = self._end_of_notes(start)
            elif kind == "heading":
                self._cut(start)
                title = lines[start].lstrip("#")
                self._level = len(lines[start]) - len(title)
                self.section = section_name(title)
            elif kind not in ("blank", "rule"):
                end = self._end_of_text(start, kind)
            # Copied: the encoder leaves a task of two lines in room for three times as much, cut down, among
            # what comes and goes (CPython); it stays for months, and none of the holes fits the next.
            raw = bytes(memoryview(encode(lines[start] if end == start + 1 else "".join(lines[start:end]))))
            if kind == "task":
                raw = self._add_task(raw, start, end)
            self._raws.append(raw)
            start = end
        self._cut(start)

    def _cut(self, end: int) -> None:
        """Close the chunk that was begun: it ends above line `end`, an index."""
        if end > self._begin:
            problems = sorted(self._problems, key=lambda problem: problem.line)
            self.chunks.append(
                Chunk(
                    section=self.section,
                    level=self._level,
                    raws=tuple(self._raws),
                    tasks=tuple(self._tasks),
                    problems=tuple(problems),
                    lines=end - self._begin,
                    size=sum(map(len, self._raws)),
                    misplaced=tuple(filter(self._is_misplaced, self._tasks)) if self.section else (),
                )
            )
            self._raws, self._tasks, self._problems = [], [], []
        self._level = 0
        self._begin = end

    def _is_misplaced(self, task: WrittenTask) -> bool:
        """Whether a task stands under the heading of another status: a pending one may."""
        status, section = task.status, self.section
        return (
            status is not Status.PENDING
            and HOMES.get(status, section) != section
            and not (status is Status.COMPLETED and section == "Completed")
        )

    def _problem(self, index: int, message: str) -> None:
        self._problems.append(Problem(index - self._begin + 1, message))

    def _add_task(self, raw: bytes, start: int, end: int) -> bytes:
        """Take in a task; gives its bytes as they are kept."""
        task = self._known.pop(raw, None)
        if task is None:
            task, problems = read_task(self._lines[start:end], raw, self._names)
            for message in problems:
                self._problem(start, message)
            if not task.id and UNTITLED in problems:
                return raw
        self._tasks.append(task)
        return task.raw

    def _end_of_notes(self, start: int) -> int:
        """Where what belongs to the task on line `start` ends.

        Its notes are indented lines, column-0 bullets, and text directly under it; blank lines only
        between them.
        """
        end = index = start + 1
        after_blank = False
        while index < len(self._lines):
            kind = self._kinds[index]
            if kind == "blank":
                after_blank = True
                index += 1
                continue
            if self._lines[index][0] in " \t":
                # A fence or comment in indented notes ends with them. Otherwise the text of one issue
                # could hide the tasks below it.
                index += 1
            elif kind not in _NOTES or (after_blank and self._lines[index][0] not in "-*+"):
                break
            else:
                index = self._end_of_text(index, kind)
            end = index
            after_blank = False
        return end

    def _end_of_text(self, start: int, kind: str) -> int:
        """Where a fence or comment that begins on line `start` ends; one line for anything else."""
        line = self._lines[start]
        if kind == "fence":
            return self._end_of_fence(start)
        if kind == "comment" or (kind == "prose" and "<!--" in line and "`" not in line):
            return self._end_of_comment(start)
        if kind == "odd":
            message = f"the mark {line[: line.find(']') + 1]} is not one that orch knows"
            self._problem(start, message)
        return start + 1

    def _end_of_fence(self, start: int) -> int:
        stripped = self._lines[start].strip()
        char = stripped[0]
        length = len(stripped) - len(stripped.lstrip(char))
        if length < self._unclosed_fences.get(char, length + 1):
            for index in range(start + 1, len(self._lines)):
                line = self._lines[index]
                bare = line.strip(" \t\r\n")
                if len(bare) >= length and not bare.strip(char) and not line.startswith(("    ", "\t")):
                    return index + 1
            self._unclosed_fences[char] = length
        self._tell_unclosed(start, f"the code block opened by {char * length}", char * length)
        return start + 1

    def _end_of_comment(self, start: int) -> int:
        nested = False
        for index in range(start, len(self._lines) if self._comments_close else start + 1):
            line = self._lines[index]
            nested = nested or (index > start and "<!--" in line.partition("-->")[0])
            if line.rfind("-->") > line.rfind("<!--"):
                if nested:
                    self.steady = False
                    message = f"this comment holds another one: nothing up to line {index + 1} is read"
                    self._problem(start, message)
                return index + 1
        self._comments_close = False
        self._tell_unclosed(start, "the comment opened by <!--", "-->")
        return start + 1

    def _tell_unclosed(self, start: int, what: str, closer: str) -> None:
        self.steady = False
        message = f"{what} is never closed, so the lines below it are read as usual: add {closer}"
        self._problem(start, message)


def kind_of(line: str) -> str:
    """What a line is: the name of a group of LINE, or `prose`."""
    match = LINE.match(line)
    return (match and match.lastgroup) or "prose"
