"""What the fakes of the stores have in common: a test lets their next calls fail."""

from orch.errors import TransientError


class Failing:
    """A fake whose methods call `_enter` first."""

    def __init__(self) -> None:
        self._errors: dict[str, list[Exception]] = {}

    def fail(self, method: str, *errors: Exception) -> None:
        """Let the next calls of a method raise these, in order; by default one TransientError."""
        self._errors.setdefault(method, []).extend(errors or [TransientError(f"{method} failed")])

    def _enter(self, method: str) -> None:
        if self._errors.get(method):
            raise self._errors[method].pop(0)
