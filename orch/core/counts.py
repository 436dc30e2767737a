"""How many tasks stand where. Pure."""

from collections import Counter
from collections.abc import Mapping

from orch.core.model import Status
from orch.core.tasks_md import Document


def count_statuses(document: Document | None) -> Mapping[Status, int]:
    """The number of tasks of every status, 0 included; lines that have no id yet count too.

    All are 0 where there is no document.
    """
    counts: Counter[Status] = Counter()
    if document is not None:
        counts.update(task.status for task in document.tasks.values())
        counts.update(task.status for task in document.unnamed)
    return {status: counts[status] for status in Status}
