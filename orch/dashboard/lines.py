"""Lines of exact width: cells that are cut or padded by what a terminal shows, not by characters."""

from collections.abc import Sequence

from rich.text import Text

from orch.core.values import dataclass
from orch.dashboard.plain import printable

GAP = 2
"""Columns between two cells."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of a line. Its text may be anybody's: it is made printable, and is never markup."""

    text: str
    style: str = ""
    right: bool = False
    """Stands at the right edge of its column."""


@dataclass(frozen=True, slots=True)
class Column:
    """How wide a column may be."""

    most: int
    """Columns of the terminal; 0: what the others leave."""


def lay_out(rows: Sequence[Sequence[Cell]], columns: Sequence[Column], width: int) -> list[Text]:
    """Set rows of cells into columns within `width` terminal columns, one line each.

    A bounded column is as wide as its widest cell, at most `most`; an empty one disappears.
    """
    texts = [[Text(printable(cell.text), cell.style) for cell in row] for row in rows]
    widths = [
        min(column.most, max((row[place].cell_len for row in texts), default=0))
        for place, column in enumerate(columns)
    ]
    flexible = [place for place, column in enumerate(columns) if column.most == 0]
    used = sum(widths) + GAP * (sum(1 for size in widths if size) + len(flexible) - 1)
    for place in flexible:
        widths[place] = max(1, (width - used) // len(flexible))
    lines = []
    for row, cells in zip(texts, rows, strict=True):
        shown = [place for place in range(len(columns)) if widths[place]]
        pieces = [_fit(row[place], widths[place], cells[place].right) for place in shown]
        line = Text(" " * GAP).join(pieces)
        line.rstrip()
        lines.append(_cut(line, width))
    return lines


def spread(left: Text, right: Text, width: int) -> Text:
    """One line with `left` at the left edge and `right` at the right one; `left` is cut if need be."""
    room = width - right.cell_len - GAP
    if room < 1:
        return _cut(left, width)
    return Text.assemble(_fit(left, room, right=False), " " * GAP, right)


def headline(title: str, count: str, width: int) -> Text:
    """The line above a section: its title, a count, and a thin rule to the edge."""
    head = Text.assemble((title, "bold"), (f" {count}" if count else "", "cyan"), " ")
    return _cut(Text.assemble(head, ("─" * max(0, width - head.cell_len), "dim")), width)


def _fit(text: Text, width: int, right: bool) -> Text:
    cut = _cut(text, width)
    space = " " * (width - cut.cell_len)
    return Text.assemble(space, cut) if right else Text.assemble(cut, space)


def _cut(text: Text, width: int) -> Text:
    cut = text.copy()
    cut.truncate(width, overflow="ellipsis")
    cut.no_wrap = True
    cut.overflow = "crop"
    return cut
