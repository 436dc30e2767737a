"""Reads what a worker printed: the end of its files, as plain text that a terminal cannot be fooled with.

The files may be huge, may grow meanwhile and are untrusted: only their last few kilobytes are read,
and escape sequences, control characters and text-direction marks are taken out.
"""

import contextlib
import functools
import os
import re
import stat
from pathlib import Path

TAIL_LINES = 40
TAIL_BYTES = 4096
"""Together what a person, or the next attempt, can take in of a failure."""
LINE_LENGTH = 200
"""Characters of a line that stands in a table."""
_LINE_BYTES = 8192

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements (ECMA-48, 5.4)
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # OSC, DCS, SOS, PM, APC up to their end: titles, links
    r"|\x1b[ -/]*[0-~]?",  # the other, short ones
    re.MULTILINE,
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def tail(directory: Path) -> str:
    """The last lines of stderr.log, or of stdout.jsonl where that says nothing.

    At most 40 lines and 4 KB, without the rest of a line that was cut off. '' where there is nothing.
    """
    for name in ("stderr.log", "stdout.jsonl"):
        lines = _last_lines(directory / name, TAIL_BYTES)[-TAIL_LINES:]
        if lines:
            return "\n".join(lines)
    return ""


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


def plain(text: str) -> str:
    """The text without escape sequences and controls; of a line drawn over itself, the last state."""
    text = _ESCAPES.sub("", text).replace("\r\n", "\n")
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return _CONTROLS.sub("", "\n".join(lines))


@functools.lru_cache(maxsize=64)
def _line_of(path: str, _inode: int, _size: int, _changed: int) -> str:
    """The last line of a file; the version of the file only keys the cache."""
    lines = _last_lines(Path(path), _LINE_BYTES)
    return lines[-1].strip().replace("\t", " ")[:LINE_LENGTH] if lines else ""


def _last_lines(path: Path, limit: int) -> list[str]:
    """The plain lines in the last `limit` bytes, without empty ones at the end."""
    data, whole = _end_of(path, limit)
    text = data.decode("utf-8", "replace")
    if not whole:
        # The first line has lost its beginning. Where it is all there is, half is better than none.
        text = text.partition("\n")[2] or text
    lines = [line.rstrip() for line in plain(text).split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return lines


def _end_of(path: Path, limit: int) -> tuple[bytes, bool]:
    """The last `limit` bytes of a plain file and whether that is all; nothing if it cannot be read."""
    try:
        # A worker may have put a named pipe or a link here: neither is opened.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b"", True
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return b"", True
        start = max(0, status.st_size - limit)
        return os.pread(descriptor, limit, start), start == 0
    except OSError:
        return b"", True
    finally:
        os.close(descriptor)
