"""An Announcer that runs nothing."""

from collections.abc import Callable, Sequence

from orch.core.announce import Announcement


class FakeAnnouncer:
    """The Announcer of a test: `news` has all that was announced. `hold` leaves hooks under way."""

    def __init__(self, *, wake: Callable[[str], None] | None = None) -> None:
        self.news: list[Announcement] = []
        self.hold = False
        self.closed = False
        self.pending = 0
        self._wake = wake

    def announce(self, news: Sequence[Announcement]) -> None:
        if self.closed:
            return
        self.news += news
        self.pending += len(news)
        if not self.hold:
            self.end()

    def end(self) -> None:
        """All hooks that are under way come to their end."""
        self.pending = 0
        if self._wake is not None:
            self._wake("a hook is over")

    def close(self, seconds: float) -> None:
        self.closed = True
        self.pending = 0
