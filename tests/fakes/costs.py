"""A CostStore in memory."""

import time
from collections.abc import Collection

from orch.core.costs import Cost, Spending
from orch.core.model import Outcome, RunKey
from tests.fakes.failing import Failing


class FakeCostStore(Failing):
    """The CostStore of a test. `fail` as the other fakes."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: dict[tuple[RunKey, float], Outcome] = {}

    def read(self, now: float, live: Collection[RunKey]) -> Spending:
        self._enter("read")
        spending = Spending(_day(now))
        for (run, _), outcome in self.outcomes.items():
            if run not in live:
                cost = Cost(outcome.cost_usd, outcome.tokens)
                before = spending.roll(_day(outcome.ended_at)).charge(run.task, cost)
                today = _day(outcome.ended_at) == _day(now)
                spending = before if today else Spending(_day(now), spending.today, before.tasks)
        return spending

    def record(self, run: RunKey, outcome: Outcome) -> None:
        self._enter("record")
        self.outcomes.setdefault((run, outcome.claimed_at), outcome)


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(at))
