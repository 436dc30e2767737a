"""A LedgerStore in memory."""

from orch.core.forge import Ledger
from tests.fakes.failing import Failing


class FakeLedgerStore(Failing):
    """The LedgerStore of a test."""

    def __init__(self, ledger: Ledger | None = None) -> None:
        super().__init__()
        self.ledger = ledger or Ledger()
        self.writes = 0

    def read(self) -> Ledger:
        self._enter("read")
        return self.ledger

    def write(self, ledger: Ledger) -> None:
        self._enter("write")
        self.ledger = ledger
        self.writes += 1
