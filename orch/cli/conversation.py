"""A conversation as a person reads it: what was said in full, what tools were given and gave folded."""

from collections.abc import Iterator

import typer

from orch.cli.harmless import show_controls
from orch.ports import Passage, Voice

FOLDED_LINES = 4
"""Lines of what a tool was given or gave."""
FOLDED_COLUMNS = 300
"""Characters of such a line."""


class Conversation:
    """Sets passages as lines."""

    def __init__(self, *, full: bool) -> None:
        """With `full` nothing is folded."""
        self._full = full
        self._last: Voice | None = None

    def tell(self, passage: Passage) -> Iterator[str]:
        """The lines of a passage."""
        lines = [show_controls(line.expandtabs(4)).rstrip() for line in passage.text.split("\n")]
        title = show_controls(passage.title)
        before, self._last = self._last, passage.voice
        match passage.voice:
            case Voice.SAID:
                if before not in (Voice.SAID, None):
                    yield ""
                yield from lines
            case Voice.THOUGHT:
                yield from (typer.style(f"  {line}", dim=True) for line in self._fold(lines))
            case Voice.USED:
                if before not in (Voice.USED, Voice.GAVE, Voice.FAILED, None):
                    yield ""
                first, *more = self._fold(lines)
                yield f"{typer.style('●', fg='cyan')} {typer.style(title, bold=True)}  {first}".rstrip()
                yield from (f"    {line}" for line in more)
            case Voice.GAVE:
                yield from (typer.style(f"  │ {line}", dim=True) for line in self._fold(lines))
            case Voice.FAILED:
                text = [f"{title}: {lines[0]}" if title else lines[0], *lines[1:]]
                yield from (typer.style(f"  ✗ {line}", fg="red") for line in self._fold(text))
            case Voice.NOTE:
                yield from (typer.style(f"── {line}", dim=True) for line in self._fold(lines))

    def _fold(self, lines: list[str]) -> list[str]:
        if self._full:
            return lines
        shown = [line if len(line) <= FOLDED_COLUMNS else f"{line[:FOLDED_COLUMNS]}…" for line in lines]
        hidden = len(lines) - FOLDED_LINES
        if hidden <= 1:  # A line that says that one is missing takes no less room than that one.
            return shown
        return [*shown[:FOLDED_LINES], f"… {hidden} more lines (--full shows them)"]
