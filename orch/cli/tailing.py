"""Reads files that grow, of any size, without holding more than a piece of them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PIECE = 65_536
"""Bytes that are read at once: a log may be larger than the memory."""
LONGEST_LINE = 16 * 1024 * 1024
"""Bytes of a line that is still taken together."""


class Tail:
    """Reads a growing file piece by piece. One that was replaced or cut is read from its beginning."""

    def __init__(self, path: Path, lines: int | None = None) -> None:
        """`lines`: how many of the last lines to begin with, None for all."""
        self.path = path
        self._lines = lines
        self._place: int | None = None
        self._file = (0, 0)
        """Device and inode of what was read last."""

    def read(self) -> Iterator[bytes]:
        """What came since the last time. Nothing while the file is missing."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            status = os.fstat(file.fileno())
            known, self._file = self._file, (status.st_dev, status.st_ino)
            if self._place is None:
                self._place = 0 if self._lines is None else find_last_lines(file, self._lines)
            elif known != self._file or status.st_size < self._place:
                self._place = 0
            file.seek(self._place)
            while piece := file.read(PIECE):
                self._place += len(piece)
                yield piece


class Lines:
    """Puts pieces together to lines."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        """A line of more than `longest` bytes is not kept."""
        self._longest = longest
        self._begun = bytearray()
        self._lost = 0
        """Bytes of the line that is too long, so far."""

    def split(self, piece: bytes) -> Iterator[bytes | int]:
        """The lines that the piece ends, without their ends; of one that is too long only its length."""
        *whole, rest = piece.split(b"\n")
        for part in whole:
            self._add(part)
            yield self.take_rest()
        self._add(rest)

    def take_rest(self) -> bytes | int:
        """What came after the last line end."""
        lost, line = self._lost, bytes(self._begun)
        self._lost = 0
        self._begun.clear()
        return lost or line

    def _add(self, part: bytes) -> None:
        if self._lost or len(self._begun) + len(part) > self._longest:
            self._lost += len(self._begun) + len(part)
            self._begun.clear()
        else:
            self._begun += part


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
