"""The JSON of the small files under .orch/: one frozen dataclass each, with a version.

A reader takes what it knows and ignores the rest, so that a file with more fields can be read. A
file with a higher `version` means something that this orch does not know: it is left alone.
"""

import re
from pathlib import Path
from typing import TypeVar

import msgspec

from orch.adapters.store import atomic
from orch.errors import PermanentError

VERSION = 1
LIMIT = 16 * 1024 * 1024
"""Bytes of the largest file that is read. Ours have kilobytes; more is not ours."""

Record = TypeVar("Record")

_SURROGATE = re.compile("[\ud800-\udfff]")


class DamagedError(PermanentError):
    """A file is there but does not hold what it should (power loss, a hand edit)."""


class _Header(msgspec.Struct):
    version: int = 1


def encode(record: object) -> bytes:
    """The JSON of a dataclass or mapping, indented for people, with its version, as UTF-8.

    What tasks.md had in bytes that are not UTF-8 becomes the replacement character: JSON has no
    other way to say it.
    """
    fields = msgspec.to_builtins(record, str_keys=True)
    document = {"version": VERSION, **fields}
    try:
        data = msgspec.json.encode(document)
    except UnicodeEncodeError:
        data = msgspec.json.encode(_plain(document))
    return msgspec.json.format(data, indent=2) + b"\n"


def decode(data: bytes, kind: type[Record], path: Path) -> Record:
    """What `encode` wrote. `path` is for the messages.

    Raises DamagedError for what is no such record, PermanentError for one of a newer orch.
    """
    try:
        version = msgspec.json.decode(data, type=_Header).version
        if version > VERSION:
            raise PermanentError(
                f"{path} was written by a newer orch (version {version}, this one knows {VERSION})",
                hint="upgrade orch, or move the file away",
            )
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedError(f"{path} is damaged: {error}", hint="move it away") from error


def read(path: Path, kind: type[Record]) -> Record | None:
    """The record in a file, None where there is no file.

    Raises DamagedError and PermanentError as `decode`, TransientError where it cannot be read.
    """
    data = atomic.read(path, LIMIT)
    return None if data is None else decode(data, kind, path)


def _plain(value: object) -> object:
    if isinstance(value, str):
        return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
