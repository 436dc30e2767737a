"""`orch logs`: what a worker printed."""

import codecs
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from orch.cli import help as texts
from orch.cli.place import Place
from orch.cli.reference import TaskName, choose, known_ids
from orch.errors import ConfigError

if TYPE_CHECKING:
    from orch.core.model import Run
    from orch.wiring import Project

app = typer.Typer()
PIECE = 65_536
"""Bytes that are read at once: a log may be larger than the memory."""
FOLLOW_SECONDS = 0.2
"""How often `-f` looks for more."""
_COLOUR = re.compile(r"(\x1b\[[0-9;:]*m)")
PASSED = "\n\t\u200c\u200d"
"""What is not printable and yet harmless: line ends, tabs, and the joiners of words and emoji."""
RESET = "\x1b[0m"


@app.command(
    rich_help_panel=texts.WORK,
    epilog=texts.examples("orch logs 471", "orch logs 471 -f", "orch logs 471 --attempt 1 --stderr -n 50"),
)
def logs(
    context: typer.Context,
    task: TaskName,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run is over.")] = False,
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", min=1, help="Another than the last one.")
    ] = None,
    stderr: Annotated[bool, typer.Option("--stderr", help="Only what it wrote to stderr.")] = False,
    lines: Annotated[
        int | None, typer.Option("-n", metavar="LINES", min=0, help="Begin with the last so many lines.")
    ] = None,
) -> None:
    """Show what the worker of a task printed, stdout first, then stderr.

    On a terminal, control sequences other than colours are made visible instead of obeyed.
    """
    place: Place = context.obj
    project = place.open(lenient=True)
    run = _find(project, choose(task, known_ids(project)), attempt)
    folder = project.runs.directory(run.key)
    files = [folder / "stderr.log"] if stderr else [folder / "stdout.jsonl", folder / "stderr.log"]
    output = Output(titled=len(files) > 1)
    tails = [Tail(path, lines) for path in files]
    while True:
        # Looked at before the files: what is written before the end is then read after it.
        over = any((folder / name).exists() for name in ("exit.json", "outcome.json"))
        for tail in tails:
            for piece in tail.read():
                output.write(tail.path, piece)
        output.flush()
        if over or not follow:
            break
        time.sleep(FOLLOW_SECONDS)
    output.close()


def _find(project: "Project", name: str, attempt: int | None) -> "Run":
    history: Sequence[Run] = project.runs.history(name)
    if not history:
        raise ConfigError(f"{name} was not started yet", hint="orch status shows the queue")
    if attempt is None:
        return history[-1]
    for run in history:
        if run.key.attempt == attempt:
            return run
    kept = ", ".join(str(run.key.attempt) for run in history)
    raise ConfigError(f"{name} has no attempt {attempt}", hint=f"there are: {kept}")


class Tail:
    """Reads a growing file piece by piece."""

    def __init__(self, path: Path, lines: int | None = None) -> None:
        """`lines`: how many of the last lines to begin with, None for all."""
        self.path = path
        self._lines = lines
        self._place: int | None = None

    def read(self) -> Iterator[bytes]:
        """What came since the last time. Nothing while the file is missing."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            if self._place is None:
                self._place = 0 if self._lines is None else find_last_lines(file, self._lines)
            file.seek(self._place)
            while piece := file.read(PIECE):
                self._place += len(piece)
                yield piece


def find_last_lines(file: BinaryIO, lines: int) -> int:
    """The offset at which the last `lines` lines begin; an unterminated last line counts.

    Reads backwards, no more than it must.
    """
    end = place = file.seek(0, os.SEEK_END)
    if lines == 0:
        return end
    while place > 0:
        start = max(0, place - PIECE)
        file.seek(start)
        piece = file.read(place - start)
        at = len(piece)
        while (at := piece.rfind(b"\n", 0, at)) >= 0:
            begin = start + at + 1
            if begin == end:
                continue  # This one ends the last line, and begins none.
            lines -= 1
            if lines == 0:
                return begin
        place = start
    return 0


class Output:
    """stdout: raw bytes where it is a file or a pipe, harmless text where it is a terminal."""

    def __init__(self, *, titled: bool) -> None:
        """With `titled` a line says on a terminal which file the following comes from."""
        self._terminal = sys.stdout.isatty()
        self._titled = titled and self._terminal
        self._decoders: dict[Path, codecs.IncrementalDecoder] = {}
        self._last: Path | None = None

    def write(self, source: Path, piece: bytes) -> None:
        """Write a piece of a file."""
        if not self._terminal:
            sys.stdout.buffer.write(piece)
            return
        if self._titled and source != self._last:
            sys.stdout.write(f"{RESET}==> {source.name} <==\n")
        self._last = source
        decoder = self._decoders.get(source)
        if decoder is None:
            decoder = self._decoders[source] = codecs.getincrementaldecoder("utf-8")("replace")
        sys.stdout.write(defuse(decoder.decode(piece)))

    def flush(self) -> None:
        """Have it seen."""
        sys.stdout.flush()

    def close(self) -> None:
        """Leave the terminal without a colour that was not ended."""
        if self._terminal:
            sys.stdout.write(RESET)
        sys.stdout.flush()


def defuse(text: str) -> str:
    """Text with its control characters made visible, all but line ends, tabs and colours."""
    parts = _COLOUR.split(text)
    # Every second part is a colour sequence. One that is cut in two by the end of a piece is shown.
    return "".join(part if place % 2 else _show_controls(part) for place, part in enumerate(parts))


def _show_controls(text: str) -> str:
    return "".join(char if char in PASSED or char.isprintable() else _picture(char) for char in text)


def _picture(char: str) -> str:
    """A symbol for a control character (Unicode's Control Pictures), else its escape."""
    code = ord(char)
    if code == 0x0D:
        return ""  # A progress bar's return: what is above it stays.
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"\\u{code:04x}"
