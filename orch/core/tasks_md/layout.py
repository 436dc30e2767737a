"""tasks.md as rows of blocks of whole lines, which can be moved from section to section. Pure.

What is not moved keeps every byte. Only the chunks that are touched are laid open; the others stay
what they are.
"""

import re
from collections.abc import Iterator
from itertools import chain

from orch.core.model import Task
from orch.core.tasks_md.blocks import Block, Run, TaskBlock
from orch.core.tasks_md.document import BOM, Document, renew
from orch.core.tasks_md.grammar import SECTIONS
from orch.core.tasks_md.scan import Chunk, Scan
from orch.core.tasks_md.written import WrittenTask, decode, encode


class Layout:
    """The lines of a document while they are changed."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._groups: list[Chunk | Run] = list(document.chunks)
        self._at = 0
        """The group that was looked for last: changes mostly come in the order of the file."""
        first = document.chunks[0].raws[0] if document.chunks else b""
        self.newline = "\r\n" if re.match(rb"[^\n]*\r\n", first) else "\n"
        """How the lines of this file end, for new ones."""
        self.sectioned = any(group.section and group.level for group in self._groups)
        """Whether the file has any of orch's headings."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing but white space."""
        runs = map(self._open, range(len(self._groups)))
        return all(block.kind == "blank" for run in runs for block in run.blocks)

    def terminate(self, lines: list[str]) -> None:
        """Give the last of some lines a line ending if it has none."""
        if not lines[-1].endswith("\n"):
            lines[-1] += self.newline

    # --- finding -----------------------------------------------------------------------------------------

    def find(self, task: Task) -> TaskBlock:
        """The block of a task of the document."""
        for at in self._from_last():
            places = list(map(id, self._groups[at].tasks))
            if id(task) in places:
                self._at = at
                return self._open(at).task_blocks[places.index(id(task))]
        raise AssertionError(task)

    def section_of(self, block: Block) -> str:
        """The section that a block stands in."""
        return self._groups[self._group_of(block)].section

    def tasks(self) -> Iterator[WrittenTask]:
        """All tasks, also those whose id was there before."""
        return chain.from_iterable(group.tasks for group in self._groups)

    def _from_last(self) -> Iterator[int]:
        last = min(self._at, len(self._groups))
        return chain(range(last, len(self._groups)), range(last))

    def _group_of(self, block: Block) -> int:
        for at in self._from_last():
            group = self._groups[at]
            if isinstance(group, Run) and block in group.blocks:
                self._at = at
                return at
        raise AssertionError(block)

    def _open(self, at: int) -> Run:
        """Lay a group open."""
        group = self._groups[at]
        if isinstance(group, Run):
            return group
        run = self._groups[at] = Run.of(group)
        return run

    def _merge(self, at: int) -> Run:
        """Put the blocks of a group without a heading to those of the group above it."""
        above, below = self._open(at - 1), self._open(at)
        above.blocks += below.blocks
        above.chunks += below.chunks
        del self._groups[at]
        return above

    # --- the result --------------------------------------------------------------------------------------

    def text(self) -> str:
        """The file as it is now."""
        self._terminate_all()
        bom = BOM if self._document.bom else ""
        raws = chain.from_iterable(group.raws for group in self._groups)
        return bom + decode(b"".join(raws))

    def settle(self) -> Document | None:
        """The version that this has become; None where that shows only when all of it is read.

        That is where the lines of a chunk read otherwise than was meant, or open what they do not close.
        """
        self._terminate_all()
        chunks: list[Chunk] = []
        removed: list[Chunk] = []
        added: list[Chunk] = []
        for group in self._groups:
            if isinstance(group, Chunk):
                chunks.append(group)
                continue
            raws = group.raws
            if raws == [raw for chunk in group.chunks for raw in chunk.raws]:
                chunks += group.chunks
                continue
            known = {task.raw: task for chunk in group.chunks if not chunk.problems for task in chunk.tasks}
            scan = Scan(decode(b"".join(raws)), group.section, known, self._document.by_name)
            tasks = [task.raw for task in group.tasks]
            if (
                not scan.steady
                or raws != [raw for chunk in scan.chunks for raw in chunk.raws]
                or tasks != [task.raw for chunk in scan.chunks for task in chunk.tasks]
            ):
                return None
            chunks += scan.chunks
            added += scan.chunks
            removed += group.chunks
        if not removed and not added:
            return self._document
        return renew(self._document, chunks, removed, added)

    def _terminate_all(self) -> None:
        """End every line but the last of the file."""
        for at, group in enumerate(self._groups):
            if isinstance(group, Chunk):
                continue
            last = at == len(self._groups) - 1
            for block in group.blocks[:-1] if last else group.blocks:
                if not block.raw.endswith(b"\n"):
                    lines = block.lines
                    self.terminate(lines)
                    block.write(lines)

    # --- moving ------------------------------------------------------------------------------------------

    def take_out(self, block: Block) -> None:
        """Take a block out.

        Of the blank lines on both sides the longer run stays, so that moving to and fro neither piles
        blank lines up nor eats them.
        """
        group = self._group_of(block)
        blocks = self._open(group).blocks
        if blocks[0] is block and group > 0:
            group -= 1
            blocks = self._merge(group + 1).blocks
        at = blocks.index(block)
        start, end = at, at + 1
        while start > 0 and blocks[start - 1].kind == "blank":
            start -= 1
        while end < len(blocks) and blocks[end].kind == "blank":
            end += 1
        last = end == len(blocks) and group == len(self._groups) - 1
        if start == 0:
            del blocks[:end]
        elif last or end - at - 1 >= at - start:
            del blocks[start : at + 1]
        else:
            del blocks[at:end]

    def append(self, block: Block, section: str) -> Block | None:
        """Put a block at the end of a section, which is made where it is missing.

        With `section` empty that is the end of the file's list. Gives the task block that it now
        stands under, if any.
        """
        groups = self._groups
        if not groups:
            groups.append(Run("", 0, [], []))
        if not section:
            return self._insert(block, 0, len(groups))
        low = self._find(section)
        if low is None:
            low = self._make_section(section)
        high = low + 1
        while high < len(groups) and not groups[high].level:
            high += 1
        if high > low + 1:
            # What is above the first task of the last group has a say in where the block goes.
            high -= 1
            self._merge(high)
        return self._insert(block, low, high)

    def _insert(self, block: Block, low: int, high: int) -> Block | None:
        """Put a block after the last task of the groups `low` to `high`, or else after the last text there.

        In any case it comes before a closing rule.
        """
        group = next(filter(self._has_task, reversed(range(low, high))), high - 1)
        blocks = self._open(group).blocks
        at = len(blocks)
        while at > 0 and blocks[at - 1].kind != "task":
            at -= 1
        above = None
        if at > 0:
            above = blocks[at - 1]
            apart = block.tall or above.tall or self._spaced(blocks[: at - 1], range(low, group))
        else:
            at = len(blocks)
            while at > 0 and blocks[at - 1].kind in ("blank", "rule"):
                at -= 1
            apart = at > 0 or group > 0
        # A line directly above `---` would be a heading to everything else that reads Markdown.
        ruled = at < len(blocks) and blocks[at].kind == "rule"
        blocks[at:at] = [*self._blank(apart), block, *self._blank(ruled)]
        self._at = group
        return above

    def _has_task(self, at: int) -> bool:
        group = self._groups[at]
        if isinstance(group, Chunk) and group.tasks:
            return True
        return any(block.kind == "task" for block in self._open(at).blocks)

    def _spaced(self, above: list[Block], groups: range) -> bool:
        """Whether the last two tasks of a list are a blank line apart: what is `above` its last one."""
        if not above or above[-1].kind != "blank":
            return False
        return any(block.kind == "task" for block in above) or any(map(self._has_task, groups))

    def _find(self, section: str) -> int | None:
        found = (at for at, group in enumerate(self._groups) if group.level and group.section == section)
        return next(found, None)

    def _make_section(self, section: str) -> int:
        groups = self._groups
        level = next((group.level for group in groups if group.section and group.level), 2)
        at = self._place_of(section)
        above = self._open(at - 1).blocks if at > 0 else []
        above += self._blank(bool(above) and above[-1].kind != "blank")
        heading = Block("heading", encode(f"{'#' * level} {section}{self.newline}"))
        below = any(isinstance(group, Chunk) or group.blocks for group in groups[at:])
        groups.insert(at, Run(section, level, [heading, *self._blank(below)], []))
        return at

    def _place_of(self, section: str) -> int:
        """Where a missing section belongs: after the nearest one before it in the order of SECTIONS."""
        rank = SECTIONS.index(section)
        for name in reversed(SECTIONS[:rank]):
            above = self._find(name)
            if above is not None:
                level = self._groups[above].level
                at = above + 1
                while at < len(self._groups) and not 0 < self._groups[at].level <= level:
                    at += 1
                return at
        below = (self._find(name) for name in SECTIONS[rank + 1 :])
        return next((at for at in below if at is not None), len(self._groups))

    def _blank(self, wanted: bool) -> list[Block]:
        return [Block("blank", encode(self.newline))] if wanted else []
