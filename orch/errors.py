"""The errors that orch expects.

Every one of them is told to the user in one line: what is wrong, and what to do. Anything else
that reaches the top is a bug, and is reported as one.
"""


class OrchError(Exception):
    """An expected failure.

    `message` says what is wrong and names the file and the value; `hint` says the way out. Both
    are one line of plain text without any secret.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(OrchError):
    """The configuration, the project or the machine is not as it must be: a person has to act."""


class TransientError(OrchError):
    """It did not work now but may work later; `retry_after` is in seconds where it is known."""

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class ShortageError(TransientError):
    """The machine has no more disk, memory, file handles or processes: nobody's fault, and it passes."""


class PermanentError(OrchError):
    """Trying the same again will give the same result."""
