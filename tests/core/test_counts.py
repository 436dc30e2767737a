"""How many tasks stand where."""

from orch.core.counts import count_statuses
from orch.core.model import Mark, Status, Task
from orch.core.tasks_md import Document


def test_every_status_is_there_even_without_a_document() -> None:
    assert count_statuses(None) == dict.fromkeys(Status, 0)
    assert count_statuses(Document()) == dict.fromkeys(Status, 0)


def test_tasks_count_with_and_without_an_id() -> None:
    done = Mark(Status.COMPLETED)
    document = Document(
        tasks={"t-1": Task("t-1", "x"), "t-2": Task("t-2", "y", done), "t-3": Task("t-3", "z", done)},
        unnamed=(Task("", "new"), Task("", "old", done)),
    )
    assert count_statuses(document) == {
        **dict.fromkeys(Status, 0),
        Status.PENDING: 2,
        Status.COMPLETED: 3,
    }
