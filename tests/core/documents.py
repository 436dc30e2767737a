"""Documents made from tasks, for tests that need no text."""

from collections.abc import Iterable

from orch.core.model import Mark, Status, Task
from orch.core.tasks_md import Document


def document(*tasks: Task, unnamed: Iterable[Task] = ()) -> Document:
    """A document that holds just these tasks, in this order."""
    return Document(tasks={task.id: task for task in tasks}, unnamed=tuple(unnamed))


def task(name: str, status: Status = Status.PENDING, **fields: object) -> Task:
    """A task with a mark of that status."""
    return Task(id=name, title=f"do {name}", mark=Mark(status)).evolve(**fields)
