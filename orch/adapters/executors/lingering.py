"""An agent that has said its last word and does not leave: it waits for something that nobody needs.

Its own output tells: the last line of stdout.jsonl is JSON, and its `type` is one after which nothing comes.
Standard library only, see processes.py.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

END_BYTES = 64 * 1024
"""Of the file, looked at first: a last word is seldom longer."""

LONGEST_LINE = 16 * 1024 * 1024
"""A longer line is none that could be read elsewhere either."""


class Lingering:
    """Looks at one worker again and again."""

    def __init__(self, path: str, types: "Collection[str]", limit: float, now: float) -> None:
        """`path` is stdout.jsonl, `limit` in seconds, `now` as for `Limits`."""
        self._path = path
        self._types = types
        self._limit = limit
        self._printed_bytes = 0
        self._quiet_since = now
        self._has_said_it: bool | None = None

    def look(self, printed: int, now: float) -> "str | None":
        """Why the worker is to be ended, None while it is not. `printed` is in bytes, from the start on.

        The file is read once for each time that the worker falls silent. Raises OSError where it cannot be.
        """
        if printed != self._printed_bytes:
            self._printed_bytes, self._quiet_since, self._has_said_it = printed, now, None
        if now - self._quiet_since < self._limit:
            return None
        if self._has_said_it is None:
            self._has_said_it = _last_type(self._path) in self._types
        return f"still there {self._limit:g} s after its last word" if self._has_said_it else None


def _last_type(path: str) -> str:
    """The `type` of the JSON object in the last line of a file, '' where there is none."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        line = _last_line(file)
    finally:
        os.close(file)
    # Only now: each launcher would hold it in memory.
    import json

    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    said = found.get("type") if isinstance(found, dict) else None
    return said if isinstance(said, str) else ""


def _last_line(file: int) -> bytes:
    """The last line of an open file, without what stands around it; b'' where it is too long."""
    size, wanted = os.fstat(file).st_size, END_BYTES
    while True:
        end = os.pread(file, wanted, max(0, size - wanted)).rstrip()
        _, newline, line = end.rpartition(b"\n")
        if newline or wanted >= size:
            return line
        if wanted >= LONGEST_LINE:
            return b""
        wanted *= 4
