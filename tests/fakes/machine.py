"""A Machine that has left what a test says."""

from orch.core.model import Resources


class FakeMachine:
    """The Machine of a test. Set `left` to change it; by default nothing is known."""

    def __init__(self, left: Resources | None = None) -> None:
        self.left = left or Resources()

    def resources(self) -> Resources:
        return self.left
