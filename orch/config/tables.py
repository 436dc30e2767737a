"""Turns a parsed TOML table into its settings, and says in plain words what is wrong with it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType, NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from orch.config.places import KeyPath
from orch.config.problems import Problem, meant
from orch.config.settings import (
    AgentChoice,
    BudgetSettings,
    CoordinatorSettings,
    ForgeSettings,
    HookSettings,
    LimitSettings,
    RetrySettings,
    Settings,
    VerifySettings,
    WorktreeSettings,
)

TABLES: Mapping[str, type[Settings]] = MappingProxyType(
    {
        "coordinator": CoordinatorSettings,
        "forge": ForgeSettings,
        "agent": AgentChoice,
        "limits": LimitSettings,
        "retry": RetrySettings,
        "budget": BudgetSettings,
        "verify": VerifySettings,
        "worktree": WorktreeSettings,
        "hooks": HookSettings,
    }
)
"""The tables of a fixed name. Beside them stand the [agents.NAME]."""
AGENTS = "agents"

AnySettings = TypeVar("AnySettings", bound=Settings)


def read_table(path: KeyPath, defaults: AnySettings, value: object) -> tuple[AnySettings, list[Problem]]:
    """The settings in one table, and every problem. A missing or wrong key is as in `defaults`."""
    if not isinstance(value, Mapping):
        return defaults, [Problem(path, f"must be a table, not {_type_name(value)}", is_table=True)]
    hints = get_type_hints(type(defaults), include_extras=True)
    problems = [Problem((*path, key), _unknown(key, hints)) for key in value if key not in hints]
    good: dict[str, Any] = {}
    wrong: set[str] = set()
    for key in (key for key in value if key in hints):
        try:
            good[key] = msgspec.convert(value[key], hints[key], strict=True)
        except msgspec.ValidationError:
            wrong.add(key)
            problems.append(Problem((*path, key), _mismatch(hints[key], value[key])))
    settings = replace(defaults, **good)  # type: ignore[type-var]  # every table is a dataclass
    if "kind" not in wrong:  # what else a table needs depends on its kind
        problems += [Problem((*path, *key), message) for key, message in settings.complaints()]
    return settings, problems


def unknown_at_top(key: str, value: object) -> Problem:
    """What to say of a key or table that no configuration has at the top of the file."""
    if isinstance(value, Mapping):
        return Problem((key,), "unknown table" + meant(key, (*TABLES, AGENTS)), is_table=True)
    return Problem((key,), _unknown(key, ()))


def _unknown(key: str, known: Iterable[str]) -> str:
    """Says that a key is unknown, with the nearest one of its table or the table that it belongs to."""
    near = meant(key, known)
    home = next((table for table, kind in TABLES.items() if key in get_type_hints(kind)), "")
    return "unknown key" + (near or (f" (it belongs under [{home}])" if home else ""))


def _mismatch(hint: Any, value: object) -> str:
    """Says what a value should be and what it is. Text is shown only where a choice is expected.

    Elsewhere it may be anything, a password too.
    """
    expected, is_choice = _expected(hint)
    if isinstance(value, bool):
        shown = str(value).lower()
    elif isinstance(value, int) and value.bit_length() > 64:
        shown = "so large a number"  # Python refuses to write out thousands of digits
    elif isinstance(value, int | float) or (isinstance(value, str) and is_choice):
        shown = ascii(value)[:60]
    else:
        shown = _type_name(value)
    return f"must be {expected}" if expected.startswith(shown) else f"must be {expected}, not {shown}"


def describe_type(hint: Any) -> str:
    """A key's type in plain words, for the reference."""
    return _expected(hint)[0]


def _expected(hint: Any) -> tuple[str, bool]:
    """A type in plain words, and whether it is a choice among words."""
    while type(None) in get_args(hint):  # optional
        hint = next(part for part in get_args(hint) if part is not NoneType)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return "one of " + ", ".join(f'"{member}"' for member in hint), True
    if meta := getattr(hint, "__metadata__", ()):
        number = "a whole number" if hint.__origin__ is int else "a number"
        least = f"above {meta[0].gt}" if meta[0].gt is not None else f"from {meta[0].ge}"
        return f"{number} {least} to {meta[0].le}", False
    plain = {tuple: "a list of strings", Mapping: "a table of strings"}
    return plain.get(get_origin(hint), "a string"), False


def _type_name(value: object) -> str:
    """What kind of TOML value this is."""
    if isinstance(value, bool):
        return "true or false"
    for kind, name in ((str, "a string"), (int, "a number"), (float, "a number"), (list, "a list")):
        if isinstance(value, kind):
            return name
    return "a table" if isinstance(value, Mapping) else "a date or time"
