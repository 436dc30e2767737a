"""The view of a Snapshot for people: what `orch status` and `orch run` draw."""

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from orch.core.values import dataclass
from orch.dashboard import header, sections
from orch.dashboard.digest import Digest
from orch.dashboard.sections import Section

WIDE = 120
"""Terminal columns from which the sections stand in two columns."""
MARGIN = 3
"""Terminal columns between those two."""
AIRY = 6
"""Rows for each section from which there are blank lines between them."""
LONGEST = 15
"""Rows of one section where there is no screen to fit into."""


@dataclass(frozen=True, slots=True)
class View:
    """A Snapshot as something that Rich can draw into any width."""

    known: Digest
    """The Snapshot, sorted."""
    now: float
    """Seconds since the epoch: what ages are counted from."""
    name: str
    """What the project is called."""
    height: int | None = None
    """Rows that it may take; None for as many as it needs within reason."""
    hint: str = ""
    """What a person can do, at the bottom."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw into the width of `options`."""
        width = options.max_width
        snapshot = self.known.snapshot
        top = header.draw(self.known, self.now, self.name, width)
        bottom = header.draw_footer(snapshot, self.hint, width)
        room = None if self.height is None else max(4, self.height - len(top) - len(bottom))
        attention = sections.draw_attention(snapshot, width)
        yield from top
        if attention.rows:
            shown = _fit([attention], None if room is None else max(2, room // 4))
            yield from shown
            room = None if room is None else max(4, room - len(shown))
        yield self._body(width, room)
        yield from bottom

    def _body(self, width: int, room: int | None) -> RenderableType:
        if width < WIDE:
            drawn = [draw(self.known, self.now, width) for draw in sections.ALL]
            return Group(*_fit(drawn, room))
        left = (width - MARGIN) * 3 // 5
        right = width - MARGIN - left
        table = Table.grid(padding=0)
        table.add_column(width=left, no_wrap=True)
        table.add_column(width=MARGIN)
        table.add_column(width=right, no_wrap=True)
        table.add_row(
            Group(*_fit([draw(self.known, self.now, left) for draw in sections.LEFT], room)),
            "",
            Group(*_fit([draw(self.known, self.now, right) for draw in sections.RIGHT], room)),
        )
        return table


def _fit(drawn: list[Section], room: int | None) -> list[Text]:
    """The lines of the sections that have any, cut so that all of them together fit into `room`."""
    drawn = [section for section in drawn if section.rows]
    wanted = [len(section.rows) for section in drawn]
    blank = room is None or room >= AIRY * len(drawn)
    if room is None:
        given = [min(rows, LONGEST) for rows in wanted]
    else:
        while len(drawn) > 1 and room < 2 * len(drawn):
            drawn, wanted = drawn[:-1], wanted[:-1]
        heads = len(drawn) + (max(0, len(drawn) - 1) if blank else 0)
        given = share_out(room - heads, wanted)
    lines: list[Text] = []
    for section, rows in zip(drawn, given, strict=True):
        if blank and lines:
            lines.append(Text(""))
        lines.append(section.head)
        lines += section.cut(rows)
    return lines


def share_out(room: int, wanted: Sequence[int]) -> list[int]:
    """Deal `room` rows out: up to half of them to the first, the rest one at a time in turn.

    Everybody gets one, if there are enough of them.
    """
    given = [0] * len(wanted)
    if wanted:
        given[0] = max(0, min(wanted[0], room // 2, room - len(wanted) + 1))
        room -= given[0]
    turns = [*range(1, len(wanted)), 0]
    while room > 0 and given != list(wanted):
        for place in turns:
            if room > 0 and given[place] < wanted[place]:
                given[place] += 1
                room -= 1
    return given
