"""`.orch/forge.json`: what orch knows of issues and nobody else remembers."""

from pathlib import Path

from orch.adapters.store import atomic, records
from orch.core.forge import Ledger


class LedgerFile:
    """The LedgerStore on disk."""

    def __init__(self, path: Path) -> None:
        """`path` is `.orch/forge.json`; it is made when there is something to remember."""
        self._path = path

    def read(self) -> Ledger:
        """What is remembered; empty where there is no file.

        Raises PermanentError for a damaged file or one of a newer orch, TransientError where it cannot
        be read.
        """
        return records.read(self._path, Ledger) or Ledger()

    def write(self, ledger: Ledger) -> None:
        """Write it atomically and durably. Raises TransientError where that is not possible."""
        atomic.make_folder(self._path.parent, durable=True)
        atomic.write(self._path, records.encode(ledger), durable=True)
