"""Finds the line of a key in a TOML file, for messages."""

from collections.abc import Iterator, Mapping
from typing import Any

import tomli

KeyPath = tuple[str, ...]
"""A key and the tables around it, from the top of the file."""

LONGEST_STATEMENT = 200
"""Lines over which one value is followed before the scan gives up on it."""


def lines_of(text: str) -> dict[KeyPath, int]:
    """The 1-based line where each table and key of a valid TOML text first stands, by its path.

    A key that cannot be found is left out. The parser itself keeps no lines, so the text is cut into
    statements: a statement ends with the first line after which it parses alone.
    """
    places: dict[KeyPath, int] = {}
    lines = text.replace("\r\n", "\n").split("\n")
    table: KeyPath = ()
    number = 0
    while number < len(lines):
        start, value = number, None
        for number in range(start + 1, min(start + LONGEST_STATEMENT, len(lines)) + 1):
            value = _parse("\n".join(lines[start:number]))
            if value is not None:
                break
        else:
            number = start + 1
        if value is None:
            continue
        is_header = lines[start].lstrip().startswith("[")
        for path in _paths(value):
            places.setdefault(path if is_header else table + path, start + 1)
        if is_header:
            table = max(_paths(value), key=len, default=())
    return places


def _parse(statement: str) -> dict[str, Any] | None:
    """The statement's own little document, None where it is not a whole statement."""
    try:
        return tomli.loads(statement)
    except (ValueError, RecursionError):
        return None


def _paths(value: object) -> Iterator[KeyPath]:
    """The paths of every key in a parsed statement, arrays of tables included."""
    if isinstance(value, list):
        for item in value:
            yield from _paths(item)
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield (key,)
            for path in _paths(inner):
                yield (key, *path)
