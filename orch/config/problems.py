"""Something wrong in config.toml, and how it is said."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple

from orch.config.places import KeyPath, lines_of

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Problem(NamedTuple):
    """Something that is wrong."""

    path: KeyPath
    """The key that is meant, from the top of the file; empty where it is not in the file."""
    message: str
    is_table: bool = False
    """Whether the key is that of a table."""


def tell(problems: Iterable[Problem], *, name: str, text: str) -> tuple[str, ...]:
    """Each problem on one line, `config.toml:12: [limits] stop_seconds: ...`, in the order of the file."""
    found = list(problems)
    lines = lines_of(text) if found else {}
    placed = sorted(((_line(problem.path, lines), problem) for problem in found), key=lambda pair: pair[0])
    return tuple(_told(line, problem, name) for line, problem in placed)


def meant(word: str, known: Iterable[str]) -> str:
    """` (did you mean x?)` where a known word is near, else ''."""
    near = get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _key_text(path: KeyPath) -> str:
    """A key as it may stand in the file, on one line whatever is in it."""
    return ".".join(part if BARE_KEY.fullmatch(part) else ascii(part) for part in path)


def _line(path: KeyPath, lines: dict[KeyPath, int]) -> int:
    """The line of a key, or of the nearest table around it; 0 where it is not in the file."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 0


def _told(line: int, problem: Problem, name: str) -> str:
    message = "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in problem.message)
    if not problem.path:
        return message
    depth = 2 if problem.path[0] == "agents" else 1
    table, key = problem.path[:depth], problem.path[depth:]
    if key:
        where = f"[{_key_text(table)}] {_key_text(key)}"
    else:
        where = f"[{_key_text(table)}]" if problem.is_table else _key_text(table)
    return f"{name}{f':{line}' if line else ''}: {where}: {message}"
