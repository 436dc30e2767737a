"""The end of what a command printed, as plain text that neither fools a terminal nor tells a secret.

The files may be huge, may grow meanwhile and are untrusted: only their last few kilobytes are read, and
escape sequences, control characters, text-direction marks and what looks like a secret are taken out.
"""

import os
import re
import stat
from pathlib import Path

from orch.adapters.redaction import redact

BYTES = 4096
"""Of a failure, what a person or the next attempt can take in."""
LINE_LENGTH = 200
"""Characters of a line that stands in a table or a message."""

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements (ECMA-48, 5.4)
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # OSC, DCS, SOS, PM, APC up to their end: titles, links
    r"|\x1b[ -/]*[0-~]?",  # the other, short ones
    re.MULTILINE,
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def last_lines(path: Path, limit: int = BYTES) -> list[str]:
    """The clean lines in the last `limit` bytes of a plain file, without empty ones at both ends.

    A line that was cut off at its beginning is left out, unless it is all there is. Empty where there is
    nothing, or the file cannot be read or is a link or a pipe.
    """
    data, whole = _end_of(path, limit)
    text = data.decode("utf-8", "replace")
    if not whole:
        # The first line has lost its beginning. Where it is all there is, half is better than none.
        text = text.partition("\n")[2] or text
    lines = [line.rstrip() for line in clean(text).split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return lines


def last_line(path: Path, limit: int = BYTES) -> str:
    """The last line that says something, white space as one blank, at most 200 characters; '' for none."""
    lines = last_lines(path, limit)
    return " ".join(lines[-1].split())[:LINE_LENGTH] if lines else ""


def clean(text: str) -> str:
    """The text as `plain` gives it, and without secrets."""
    # In this order: an escape sequence in the middle would hide a secret.
    return redact(plain(text))


def plain(text: str) -> str:
    """The text without escape sequences and controls; of a line drawn over itself, the last state."""
    text = _ESCAPES.sub("", text).replace("\r\n", "\n")
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return _CONTROLS.sub("", "\n".join(lines))


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
