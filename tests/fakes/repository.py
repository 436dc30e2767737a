"""A Repository that counts how often it was tended."""


class FakeRepository:
    """The Repository of a test."""

    def __init__(self) -> None:
        self.tended = 0

    def tend(self) -> None:
        self.tended += 1
