"""Reads and changes tasks.md without touching a byte that need not change. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orch.core.actions import Change
from orch.core.model import Problem, Task


@dataclass(frozen=True, slots=True)
class Document:
    """tasks.md, parsed."""

    text: str
    """Every character of the file (bytes that are not UTF-8 as surrogate escapes)."""
    tasks: Mapping[str, Task] = field(default_factory=dict)
    """By id, in the order of the file; the first line of an id counts."""
    unnamed: tuple[Task, ...] = ()
    """Task lines without an id, in the order of the file."""
    problems: tuple[Problem, ...] = ()

    def stale(self, today: str) -> tuple[str, ...]:
        """Ids under Completed Today whose `- Completed:` day (YYYY-MM-DD) is before `today`."""
        raise NotImplementedError


def parse(text: str) -> Document:
    """Read a file. Never raises: what cannot be understood is left alone and listed as a problem."""
    raise NotImplementedError


def apply(document: Document, changes: Sequence[Change]) -> Document:
    """The document with the changes made, each as a minimal splice."""
    raise NotImplementedError
