"""An EventLog in memory."""

from collections.abc import Sequence

from orch.core.metrics import Event


class FakeEventLog:
    """The EventLog of a test: `written` has every event. While `full`, none is written, and none is lost."""

    def __init__(self) -> None:
        self.written: list[Event] = []
        self.full = False
        self._waiting: list[Event] = []

    def append(self, events: Sequence[Event]) -> None:
        self._waiting += events
        if not self.full:
            self.written += self._waiting
            self._waiting.clear()
