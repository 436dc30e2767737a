"""A Supervisor that listens."""

import math

from orch.ports import Life


class FakeSupervisor:
    """The Supervisor of a test: `told` has what it was told, each life once in a row."""

    def __init__(self, interval: float = math.inf) -> None:
        self.interval = interval
        self.told: list[Life] = []
        self.status = ""

    def tell(self, life: Life, status: str = "") -> None:
        self.status = status or self.status
        if self.told[-1:] != [life]:
            self.told.append(life)
