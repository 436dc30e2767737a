"""A TaskStore in memory."""

from collections.abc import Callable, Sequence

from orch.core import tasks_md
from orch.core.actions import AddTask, Change
from orch.core.tasks_md import Document
from orch.errors import OrchError, TransientError
from orch.ports import Reading


class MemoryTaskStore:
    """The TaskStore of a test, which plays the person with `edit` and the broken disk with `fail`."""

    def __init__(self, text: str | None = "", *, now: Callable[[], float] = lambda: 0.0) -> None:
        """`text` None is a missing file; `now` gives seconds since the epoch."""
        self._now = now
        self._error: OrchError | None = None
        self._document: Document | None = None
        self._since = now()
        self.writes = 0
        """How often a change was written."""
        self.edit(text)

    @property
    def text(self) -> str | None:
        """What the file holds, None where it is missing."""
        return self._document.text if self._document else None

    def edit(self, text: str | None) -> None:
        """Save the file as a person, or remove it."""
        if text is None:
            self._document = None
        elif text != self.text:
            self._document = tasks_md.parse(text)
        self._since = self._now()

    def fail(self, error: OrchError | None) -> None:
        """Raise `error` at every change and see nothing at every look; None: work again."""
        self._error = error

    def read(self) -> Reading | None:
        if self._error or self._document is None:
            return None
        return Reading(self._document, max(0.0, self._now() - self._since))

    def apply(self, changes: Sequence[Change]) -> Document:
        if self._error:
            raise self._error
        document = self._document
        if document is None:
            if not (changes and all(isinstance(change, AddTask) for change in changes)):
                raise TransientError("tasks.md is missing")
            document, self._since = tasks_md.parse(""), self._now()
        changed = tasks_md.apply(document, changes)
        if changed is not self._document:
            self._document = changed
            self.writes += 1
        return changed
