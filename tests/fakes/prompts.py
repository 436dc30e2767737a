"""Prompts that are one line."""

from orch.core.model import Run, Task
from orch.errors import ConfigError


class FakePrompts:
    """The Prompts of a test. With `broken` every prompt is a ConfigError with that message."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken

    def check(self) -> None:
        if self.broken:
            raise ConfigError(self.broken)

    def render(self, task: Task, run: Run) -> str:
        self.check()
        return f"{run.key}: {task.title}\n"
