"""A MetricsStore in memory."""

from orch.core.metrics import Metrics
from orch.core.state import Snapshot
from orch.errors import OrchError


class FakeMetricsStore:
    """The MetricsStore of a test: `written` has every snapshot. With `failure` set, writing fails."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        self._metrics = metrics
        self.written: list[Snapshot] = []
        self.failure: OrchError | None = None

    def read(self) -> Metrics | None:
        return self._metrics

    def write(self, snapshot: Snapshot) -> None:
        if self.failure:
            raise self.failure
        self.written.append(snapshot)
        self._metrics = snapshot.metrics
