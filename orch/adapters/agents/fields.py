"""Reads JSON that others wrote: whatever is missing or of another type counts as not said."""

from collections.abc import Mapping
from typing import Any

import msgspec

Fields = Mapping[str, Any]
"""A JSON object."""

NOTHING: Fields = {}
LARGEST = 1e18
"""A larger number is a mistake, or an attempt at one."""

TELLING = ("command", "file_path", "path", "pattern", "query", "url", "description", "prompt", "plan")
"""The parts of a tool's input that tell most, in this order."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def parse(line: bytes) -> Fields:
    """The object that a line is, an empty one where it is none. Raises nothing."""
    try:
        return _decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return NOTHING


def text(fields: Fields, name: str) -> str:
    """A string, '' where there is none."""
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def number(fields: Fields, name: str) -> float:
    """A number that is not negative, 0 where there is none. A boolean is none."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return value if 0 <= value < LARGEST else 0


def count(fields: Fields, name: str) -> int:
    """A whole number that is not negative, 0 where there is none."""
    return int(number(fields, name))


def below(fields: Fields, name: str) -> Fields:
    """An object, an empty one where there is none."""
    value = fields.get(name)
    return value if isinstance(value, dict) else NOTHING


def objects(fields: Fields, name: str) -> list[Fields]:
    """The objects of a list, none where there is no list."""
    value = fields.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def strings(fields: Fields, name: str) -> list[str]:
    """The strings of a list, none where there is no list."""
    value = fields.get(name)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def telling(given: Fields) -> str:
    """The part of a tool's input that tells a person most, '' where none does."""
    return next((value for name in TELLING if (value := text(given, name))), "")
