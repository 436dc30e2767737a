"""Prompts that are one line."""

from orch.core.brief import NOTHING, Brief
from orch.core.model import Run, Task
from orch.errors import ConfigError


class FakePrompts:
    """The Prompts of a test. With `broken` every prompt is a ConfigError with that message."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken

    def check(self) -> None:
        if self.broken:
            raise ConfigError(self.broken)

    def render(self, task: Task, run: Run, brief: Brief = NOTHING) -> str:
        self.check()
        follow = run.claim.follow.text if run.claim.follow else ""
        return "\n".join([f"{run.key}: {task.title}", *filter(None, (brief.issue, follow, brief.logs)), ""])
