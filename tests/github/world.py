"""The state, the repository behind it, and the one lock around both."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.github.checks import Checks
from tests.github.issues import Issues
from tests.github.pulls import Pulls
from tests.github.repository import Repository
from tests.github.state import State


class World:
    """One repository on GitHub. Whoever looks or changes does it inside `acting`."""

    def __init__(self, state: State, repository: Repository) -> None:
        self.state = state
        self.repository = repository
        self.issues = Issues(state)
        self.checks = Checks(state)
        self.pulls = Pulls(state, repository, self.issues, self.checks)
        self._lock = threading.RLock()
        self._depth = 0

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Nobody else changes anything meanwhile; what was pushed is seen, what is ready is merged."""
        with self._lock:
            if not self._depth:
                self.pulls.refresh()
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            if not self._depth:
                self.pulls.settle()
