"""Which task a person means."""

import difflib
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orch.cli.place import Place
from orch.core import names
from orch.dashboard.plain import printable
from orch.errors import ConfigError, OrchError

if TYPE_CHECKING:
    from orch.wiring import Project

SHOWN = 5
"""Names that an error message offers."""
DESCRIBED = 60
"""Characters of a title beside an id: more would be broken into lines, which fish takes for other ids."""
HARMLESS = str.maketrans("\\[]", "/()")
"""Typer reads [words] as markup, and zsh would run the $(...) after a backslash that a title holds."""


def complete(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Shell completion: the ids that begin so, with their titles. Says nothing where it cannot look."""
    place = Place()
    for directory in context.find_root().params.get("directory") or ():
        place.enter(directory)
    try:
        reading = place.open().tasks.read()
    except OrchError:
        return []
    tasks = reading.document.tasks.values() if reading else ()
    return [(task.id, _describe(task.title)) for task in tasks if task.id.startswith(incomplete)]


def _describe(title: str) -> str:
    """A title that neither a terminal nor a shell takes for anything but text."""
    return printable(title)[:DESCRIBED].translate(HARMLESS)


TaskName = Annotated[
    str,
    typer.Argument(metavar="TASK", help="471, #471, gh-471 or any other id.", autocompletion=complete),
]


def known_ids(project: "Project") -> list[str]:
    """The id of every task that is in tasks.md or was ever worked on."""
    reading = project.tasks.read()
    listed = reading.document.tasks if reading else ()
    return list(dict.fromkeys((*listed, *project.runs.load())))


def choose(reference: str, known: Collection[str]) -> str:
    """The one id among `known` that `reference` means.

    Raises ConfigError, with the candidates or the nearest ids, where it means none or several.
    """
    found = names.find_task(reference, known)
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(
            f"{reference} means {len(found)} tasks: {', '.join(found[:SHOWN])}", hint="say the whole id"
        )
    raise ConfigError(f"there is no task {reference!r}", hint=_offer(nearest(reference, known)))


def nearest(wanted: str, known: Collection[str]) -> list[str]:
    """The names among `known` that look most like `wanted`, the best first."""
    by_fold = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(wanted.lstrip("#").casefold(), by_fold, SHOWN, cutoff=0.5)
    return [by_fold[name] for name in close]


def _offer(found: list[str]) -> str:
    return f"did you mean {' or '.join(found)}?" if found else "orch status lists the tasks"


def shorten(path: Path, root: Path) -> str:
    """A path as a person would type it in the project's root."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
