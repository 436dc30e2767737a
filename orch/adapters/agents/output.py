"""Reads what a worker printed, from the files in its run directory."""

import contextlib
import functools
from pathlib import Path

from orch.adapters import tails

TAIL_LINES = 40
"""What a person, or the next attempt, can take in of a failure."""
_LINE_BYTES = 8192


def tail(directory: Path) -> str:
    """The last lines of stderr.log, or of stdout.jsonl where that says nothing.

    At most 40 lines and 4 KB, see `tails.last_lines`. '' where there is nothing.
    """
    for name in ("stderr.log", "stdout.jsonl"):
        lines = tails.last_lines(directory / name)[-TAIL_LINES:]
        if lines:
            return "\n".join(lines)
    return ""


def errors(directory: Path) -> str:
    """The last lines of stderr.log, as `tail` gives them."""
    return "\n".join(tails.last_lines(directory / "stderr.log")[-TAIL_LINES:])


def last_error(directory: Path) -> str:
    """The last line of stderr.log that says something; '' where none does."""
    return tails.last_line(directory / "stderr.log", _LINE_BYTES)


def last_line(directory: Path) -> str:
    """The last line that says something, of the file that was written to last; '' where none does.

    At most 200 characters. Costs two `stat` calls while nothing is printed.
    """
    candidates = []
    for name in ("stdout.jsonl", "stderr.log"):
        path = directory / name
        with contextlib.suppress(OSError):
            status = path.lstat()
            if status.st_size:
                candidates.append((status.st_mtime_ns, str(path), status.st_ino, status.st_size))
    for changed, file, inode, size in sorted(candidates, key=lambda found: -found[0]):
        line = _line_of(file, inode, size, changed)
        if line:
            return line
    return ""


@functools.lru_cache(maxsize=64)
def _line_of(path: str, _inode: int, _size: int, _changed: int) -> str:
    """The last line of a file; the version of the file only keys the cache."""
    return tails.last_line(Path(path), _LINE_BYTES)
