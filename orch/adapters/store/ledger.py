"""`.orch/forge.json`: what orch knows of issues and nobody else remembers."""

from collections.abc import Callable
from pathlib import Path

from orch.adapters.store import atomic, records
from orch.core.forge import EMPTY, Ledger

BAD = ".bad"
"""What a damaged file is called from the next write on."""


class LedgerFile:
    """The LedgerStore on disk. `warn` gets one line where the file is damaged."""

    def __init__(self, path: Path, *, warn: Callable[[str], None]) -> None:
        """`path` is `.orch/forge.json`; it is made when there is something to remember."""
        self._path = path
        self._warn = warn

    def read(self) -> Ledger:
        """What is remembered; empty where there is no file or a damaged one, which is told.

        Raises PermanentError for a file of a newer orch, TransientError where it cannot be read.
        """
        try:
            return records.read(self._path, Ledger) or EMPTY
        except records.DamagedError as error:
            self._warn(f"{error.message}; lines of issues in tasks.md count as a person's own")
            return EMPTY

    def write(self, ledger: Ledger) -> None:
        """Write it atomically and durably; a damaged file is put aside first.

        Raises TransientError where that is not possible.
        """
        atomic.make_folder(self._path.parent, durable=True)
        try:
            records.read(self._path, Ledger)
        except records.DamagedError:
            try:
                self._path.rename(self._path.with_name(self._path.name + BAD))
            except OSError as error:
                raise atomic.failure("move", self._path, error) from error
        atomic.write(self._path, records.encode(ledger), durable=True)
