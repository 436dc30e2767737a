"""A MetricsStore in memory."""

from orch.core.metrics import Metrics
from orch.core.state import Snapshot
from tests.fakes.failing import Failing


class FakeMetricsStore(Failing):
    """The MetricsStore of a test: `written` has every snapshot. `fail` as the other fakes."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        super().__init__()
        self._metrics = metrics
        self.written: list[Snapshot] = []

    def read(self) -> Metrics | None:
        self._enter("read")
        return self._metrics

    def write(self, snapshot: Snapshot) -> None:
        self._enter("write")
        self.written.append(snapshot)
        self._metrics = snapshot.metrics
