"""A Clock that stands still until it is told to go on."""


class FakeClock:
    """The Clock of a test, in seconds since the epoch."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def advance(self, seconds: float) -> float:
        """Let time pass; gives the new time."""
        self.time += seconds
        return self.time
