"""tasks.md as a row of blocks of whole lines, which can be moved from section to section. Pure.

What is not moved keeps every byte. The order of the file is the order of `blocks`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from orch.core.tasks_md.document import BOM, Document, parse
from orch.core.tasks_md.grammar import LINES, SECTIONS


@dataclass(slots=True, eq=False)
class Block:
    """A piece of the file with its lines, which may change."""

    kind: str
    """As in `Piece`."""
    lines: list[str]
    section: str = ""
    level: int = 0


@dataclass(slots=True)
class Layout:
    """The blocks of a file. `blocks[n]` is `document.pieces[n]` until something is moved."""

    bom: str = ""
    newline: str = "\n"
    """How the lines of this file end, for new ones."""
    blocks: list[Block] = field(default_factory=list)
    headings: list[Block] = field(default_factory=list)

    @classmethod
    def of(cls, document: Document) -> "Layout":
        """The layout of a document."""
        text = document.text
        bom = BOM if text.startswith(BOM) else ""
        lines = LINES.findall(text, len(bom))
        layout = cls(bom, "\r\n" if re.match(r"[^\n]*\r\n", text) else "\n")
        for kind, start, end, section, level, _ in document.pieces or parse(text).pieces:
            layout.blocks.append(Block(kind, lines[start:end], section, level))
        layout.headings += [block for block in layout.blocks if block.kind == "heading"]
        return layout

    @property
    def sectioned(self) -> bool:
        """Whether the file has any of orch's headings."""
        return any(heading.section for heading in self.headings)

    @property
    def empty(self) -> bool:
        """Whether there is nothing but white space."""
        return all(block.kind == "blank" for block in self.blocks)

    def text(self) -> str:
        """The file as it is now. Only its last line may lack a line ending."""
        for block in self.blocks[:-1]:
            self.terminate(block)
        return self.bom + "".join(chain.from_iterable([block.lines for block in self.blocks]))

    def terminate(self, block: Block) -> None:
        """Give the last line of a block a line ending if it has none."""
        if not block.lines[-1].endswith("\n"):
            block.lines[-1] += self.newline

    # --- moving ----------------------------------------------------------------------------------------

    def take_out(self, block: Block) -> None:
        """Take a block out.

        Of the blank lines on both sides the longer run stays, so that moving to and fro neither piles
        blank lines up nor eats them.
        """
        at = self.blocks.index(block)
        del self.blocks[at]
        start, end = at, at
        while start > 0 and self.blocks[start - 1].kind == "blank":
            start -= 1
        while end < len(self.blocks) and self.blocks[end].kind == "blank":
            end += 1
        if start == 0:
            del self.blocks[:end]
        elif end == len(self.blocks) or end - at >= at - start:
            del self.blocks[start:at]
        else:
            del self.blocks[at:end]

    def append(self, block: Block, section: str) -> Block | None:
        """Put a block at the end of a section, which is made where it is missing.

        With `section` empty that is the end of the file's list. Gives the task block that it now
        stands under, if any.
        """
        block.section = section
        if not section:
            return self._place(block, 0, len(self.blocks))
        heading = self._find(section) or self._make_section(section)
        low = high = self.blocks.index(heading) + 1
        while high < len(self.blocks) and self.blocks[high].kind != "heading":
            high += 1
        return self._place(block, low, high)

    def _place(self, block: Block, low: int, high: int) -> Block | None:
        """Put a block after the last task from `low` to `high`, or else after the last text there.

        In any case it comes before a closing rule.
        """
        blocks = self.blocks
        at = high
        while at > low and blocks[at - 1].kind != "task":
            at -= 1
        above = None
        if at > low:
            above = blocks[at - 1]
            apart = len(block.lines) > 1 or len(above.lines) > 1 or _spaced(blocks[low : at - 1])
        else:
            at = high
            while at > low and blocks[at - 1].kind in ("blank", "rule"):
                at -= 1
            apart = at > 0
        # A line directly above `---` would be a heading to everything else that reads Markdown.
        ruled = at < len(blocks) and blocks[at].kind == "rule"
        blocks[at:at] = [*self._blank(apart), block, *self._blank(ruled)]
        return above

    def _find(self, section: str) -> Block | None:
        return next((heading for heading in self.headings if heading.section == section), None)

    def _make_section(self, section: str) -> Block:
        level = next((heading.level for heading in self.headings if heading.section), 2)
        heading = Block("heading", [f"{'#' * level} {section}{self.newline}"], section, level)
        at = self._place_of(section)
        apart = at > 0 and self.blocks[at - 1].kind != "blank"
        self.blocks[at:at] = [*self._blank(apart), heading, *self._blank(at < len(self.blocks))]
        self.headings.append(heading)
        return heading

    def _place_of(self, section: str) -> int:
        """Where a missing section belongs: after the nearest one before it in the order of SECTIONS."""
        rank = SECTIONS.index(section)
        above = next(filter(None, map(self._find, reversed(SECTIONS[:rank]))), None)
        if above is not None:
            at = self.blocks.index(above) + 1
            while at < len(self.blocks) and not 0 < self.blocks[at].level <= above.level:
                at += 1
            return at
        below = next(filter(None, map(self._find, SECTIONS[rank + 1 :])), None)
        return len(self.blocks) if below is None else self.blocks.index(below)

    def _blank(self, wanted: bool) -> list[Block]:
        return [Block("blank", [self.newline])] if wanted else []


def _spaced(above: Sequence[Block]) -> bool:
    """Whether the last two tasks of a list are a blank line apart: what is `above` its last one."""
    return len(above) > 1 and above[-1].kind == "blank" and any(block.kind == "task" for block in above)
