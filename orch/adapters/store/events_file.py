"""`.orch/events.jsonl`: everything that happened, one JSON object a line, for `jq` and for looking back.

Only ever added to. At LIMIT bytes a new file is begun, and the older ones are `events.jsonl.1`, the latest,
to `events.jsonl.5`. Each line has a `version`; keys may come, none goes away or changes its meaning.
"""

import contextlib
import os
import stat
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from orch.adapters.redaction import redact
from orch.adapters.store import atomic
from orch.core.metrics import Event
from orch.core.model import RunKey
from orch.errors import TransientError

VERSION = 1
LIMIT = 10_000_000
"""Bytes: some fifty thousand events."""
KEPT = 5
"""Older files."""
WAITING = 1000
"""So many events are kept while they cannot be written; then the oldest are let go."""


class EventsFile:
    """The EventLog on disk. Only the coordinator writes it, so it needs no lock."""

    def __init__(self, path: Path, *, warn: Callable[[str], None], limit: int = LIMIT) -> None:
        """`warn` gets one line when writing begins to fail, and one when events are lost for it."""
        self._path = path
        self._warn = warn
        self._limit = limit
        self._waiting: deque[bytes] = deque()
        self._lost = 0
        self._failing = False

    def append(self, events: Sequence[Event]) -> None:
        """See `EventLog`."""
        self._waiting.extend([_line(event) for event in events])
        while len(self._waiting) > WAITING:
            self._waiting.popleft()
            self._lost += 1
        try:
            self._write(b"".join(self._waiting))
        except OSError as error:
            self._complain(atomic.failure("write", self._path, error).message)
            return
        except TransientError as error:
            self._complain(str(error))
            return
        except MemoryError:
            self._complain(f"cannot write {self._path}: there is no memory for it")
            return
        if self._lost:
            self._warn(f"{self._path.name}: {self._lost} events could not be written and are lost")
        self._waiting.clear()
        self._failing, self._lost = False, 0

    def _complain(self, message: str) -> None:
        if not self._failing:
            self._warn(f"{message}; events are kept until it can be written")
        self._failing = True

    def _write(self, data: bytes) -> None:
        """All or nothing, as far as the file can be cut back to where it was."""
        atomic.make_folder(self._path.parent)
        self._rotate()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o644)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise TransientError(f"{self._path} is not a file", hint="move it away")
            size = status.st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                data = b"\n" + data  # The last line was cut off: by a kill, or a power loss.
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            except (OSError, MemoryError):
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)

    def _rotate(self) -> None:
        """Begin a new file where this one is large enough. One that cannot be moved is used on."""
        try:
            if self._path.lstat().st_size < self._limit:
                return
            self._move()
        except OSError:
            return

    def _move(self) -> None:
        for number in range(KEPT - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                self._older(number).replace(self._older(number + 1))
        # Killed in between, a number is missing; nothing else is.
        self._path.replace(self._older(1))

    def _older(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _line(event: Event) -> bytes:
    said: dict[str, Any] = {
        "version": VERSION,
        "at": round(event.at, 3),
        "time": datetime.fromtimestamp(event.at, UTC).isoformat(timespec="milliseconds"),
        "kind": event.kind,
        "message": redact(event.message),
    }
    if event.task:
        said["task"] = event.task
    if event.attempt:
        run = RunKey(event.task, event.attempt)
        said |= {"attempt": event.attempt, "run": str(run), "worker": run.worker}
    return _encode(said)


def _encode(said: dict[str, Any]) -> bytes:
    """One line of JSON. What was not UTF-8 in tasks.md becomes a question mark."""
    try:
        return msgspec.json.encode(said) + b"\n"
    except UnicodeEncodeError:
        plain = {
            key: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
            for key, value in said.items()
        }
        return msgspec.json.encode(plain) + b"\n"
