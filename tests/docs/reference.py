"""Writes docs/configuration.md from orch/config/settings.py: `tools/docs`."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, get_type_hints

from orch.config import settings
from orch.config.settings import AgentSettings, Settings
from orch.config.tables import TABLES, describe_type

FILE = Path(__file__).parents[2] / "docs" / "configuration.md"

HEAD = """\
# Configuration

<!-- Written by tools/docs from orch/config/settings.py; a test compares the two. Do not edit. -->

`config.toml` lies in the root of your project, and `orch init` writes a short one. Every key has a default.
The [annotated file](../config.toml) says the same at greater length; `orch config check` names each mistake
with its line, and SIGHUP has a running orch read it again.

In orch's own environment, `AGENT_COMMAND="program argument ..."` replaces the command of the default agent,
for trying things.
"""


def render() -> str:
    """The whole file."""
    parts = [HEAD]
    for name, kind in {**TABLES, "agents.NAME": AgentSettings}.items():
        summary, _, more = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")
        title = summary.partition(": ")[2] or summary
        parts.append(f"## [{name}]\n")
        parts.append(_fill(f"{title[0].upper()}{title[1:]}") + "\n")
        if more:
            parts.append(_fill(more) + "\n")
        parts.append("| key | value | default | |\n|---|---|---|---|")
        parts.append("\n".join(_rows(kind)) + "\n")
    return "\n".join(parts)


def _fill(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 110, break_on_hyphens=False, break_long_words=False)


def _rows(kind: type[Settings]) -> Iterator[str]:
    hints = get_type_hints(kind, include_extras=True)
    said = _docstrings(kind)
    for field in fields(kind):  # type: ignore[arg-type]  # every table is a dataclass
        words = describe_type(hints[field.name])
        meaning = " ".join(said[field.name].split()).replace("|", "\\|")
        yield f"| `{field.name}` | {words} | {_default(field)} | {meaning} |"


def _default(field: "Field[Any]") -> str:
    value = field.default
    if field.default_factory is not MISSING:
        value = field.default_factory()
    if value is None:
        return "see there"
    if isinstance(value, StrEnum | str):
        return f'`"{value}"`'
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"`{value:g}`"
    return "`[]`" if isinstance(value, tuple) else "`{}`"


def _docstrings(kind: type[Settings]) -> dict[str, str]:
    """What stands under each field of a class."""
    source = ast.parse(Path(settings.__file__).read_text(encoding="utf-8"))
    (found,) = (node for node in source.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__)
    said = {}
    for field, text in zip(found.body, found.body[1:], strict=False):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                said[name] = words
    return said


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
