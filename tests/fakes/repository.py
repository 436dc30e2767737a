"""A Repository that counts how often it was tended."""


class FakeRepository:
    """The Repository of a test."""

    def __init__(self) -> None:
        self.tended = 0
        self.wanted = 0
        """So many worktrees are to be made ready."""

    def tend(self) -> None:
        self.tended += 1

    def warm(self) -> bool:
        self.wanted = max(0, self.wanted - 1)
        return self.wanted > 0
