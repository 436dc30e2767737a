"""How frozen values change."""

from dataclasses import replace
from typing import Any, Self


class Evolving:
    """A frozen value that gives changed copies of itself."""

    __slots__ = ()

    def evolve(self, **changes: Any) -> Self:
        """A copy with `changes` applied. Raises TypeError for an unknown field."""
        return replace(self, **changes)  # type: ignore[type-var]
