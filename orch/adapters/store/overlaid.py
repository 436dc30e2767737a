"""Versions of tasks.md that could be read for a moment although they lacked what people had typed.

Between a swap and the look at what came out of it, the file lacks what somebody saved just before. An
editor that reads it then and saves a little later would undo that. So such versions are remembered for
as long as an editor may take, and what is found to be made from one gets back what it lacks.
"""

import time
from dataclasses import dataclass, replace

from orch.adapters.store.replaced import WATCH_SECONDS
from orch.core.tasks_md import restore


@dataclass(frozen=True, slots=True)
class _Overlaid:
    shown: str
    kept: str
    """The version that it should have been, with all that came to it since."""
    until: float
    """When it is forgotten; by the monotonic clock."""


class OverlaidVersions:
    """The versions that are remembered now. They are a matter of seconds, so a restart forgets them."""

    def __init__(self) -> None:
        self._versions: tuple[_Overlaid, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._versions)

    def add(self, shown: str, kept: str) -> None:
        """Remember that `shown` could be read in the place of `kept`."""
        self._versions += (_Overlaid(shown, kept, time.monotonic() + WATCH_SECONDS),)

    def restore(self, text: str) -> str:
        """`text` with what it lacks because it was made from such a version."""
        now = time.monotonic()
        self._versions = tuple(version for version in self._versions if version.until > now)
        for version in self._versions:
            text = restore(version.shown, version.kept, text)
        return text

    def advance(self, text: str) -> None:
        """Note that the file is `text` now, and made from what it should be made from."""
        self._versions = tuple(replace(version, kept=text) for version in self._versions)
