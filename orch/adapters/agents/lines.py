"""The lines of a log that grows, each given once: what was read is not read again.

The file is untrusted and may be huge, cut at any byte, replaced or gone. Memory stays within LONGEST_LINE
and one piece, whatever is in it.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

PIECE_BYTES = 256 * 1024
"""Read at once."""
LONGEST_LINE = 16 * 1024 * 1024
"""Longer lines are left out: an API takes no request of more than 32 MB."""


def edges(path: Path, size: int) -> tuple[list[bytes], list[bytes]]:
    """The lines in the first and in the last `size` bytes of a plain file; none where it cannot be read.

    What is cut off at the inner ends is in them, too: it is for the reader to see that it is no whole line.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return [], []
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            return [], []
        pieces = os.pread(file, size, 0), os.pread(file, size, max(0, status.st_size - size))
    except OSError:
        return [], []
    finally:
        os.close(file)
    return pieces[0].split(b"\n"), pieces[1].split(b"\n")


class Lines:
    """One file, and how far it was read."""

    def __init__(self, path: Path, *, longest: int = LONGEST_LINE, piece: int = PIECE_BYTES) -> None:
        """Nothing is read yet; the file need not be there. `longest` and `piece` are in bytes."""
        self._path = path
        self._longest = longest
        self._piece = piece
        self.restart()

    def restart(self) -> None:
        """Read from the beginning again."""
        self.skipped = 0
        """Lines that were too long."""
        self.replaced = False
        """The file became shorter or another one, so that `read` began at its beginning again."""
        self._offset = 0
        self._inode = 0
        self._rest = bytearray()
        self._skipping = False

    def take_rest(self) -> bytes:
        """What stands after the last line ending, once: the last line of a file that grows no more."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest

    def is_new(self) -> bool:
        """Whether there is something to be read. Costs one `stat`."""
        try:
            status = os.lstat(self._path)
        except OSError:
            return False
        return (status.st_ino, status.st_size) != (self._inode, self._offset)

    def read(self) -> Iterator[bytes]:
        """Every line that was completed since the last time, without its ending and without empty ones.

        Where the file is not the one that was read (`replaced`), all of it is given again. Nothing where it
        cannot be read. Raises nothing.
        """
        self.replaced = False
        if not self.is_new():
            return
        try:
            # A worker may have put a named pipe or a link here: neither is opened.
            file = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                return
            if status.st_ino != self._inode or status.st_size < self._offset:
                was_read = self._offset > 0
                self.restart()
                self.replaced = was_read
                self._inode = status.st_ino
            while piece := os.pread(file, self._piece, self._offset):
                self._offset += len(piece)
                yield from self._split(piece)
        except OSError:
            return
        finally:
            os.close(file)

    def _split(self, piece: bytes) -> Iterator[bytes]:
        lines = piece.split(b"\n")
        if len(lines) > 1:
            first = lines[0]
            if self._skipping:
                self._skipping = False
            elif self._rest:
                self._rest += first
                yield bytes(self._rest)
            elif first:
                yield first
            self._rest.clear()
            for line in lines[1:-1]:
                if line:
                    yield line
        if not self._skipping:
            self._rest += lines[-1]
            if len(self._rest) > self._longest:
                self._rest = bytearray()
                self._skipping = True
                self.skipped += 1
