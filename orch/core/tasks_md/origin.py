"""Which version of tasks.md another one was made from, and what it therefore lacks. Pure.

Who saves a file has read it before. What orch wrote in between was not known to them, so they did not
mean to take it back.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import takewhile
from typing import NamedTuple

from orch.core.model import Task
from orch.core.tasks_md.document import BOM, Document, parse
from orch.core.tasks_md.grammar import is_blank
from orch.core.tasks_md.merge import merge_documents
from orch.core.tasks_md.written import decode


class Origin(NamedTuple):
    """A version that another one may have been made from."""

    differences: int
    """How many different lines only one of them has, blank ones left aside."""
    age: float
    """Seconds from when it was replaced to when the other one was saved."""
    text: str


def find_origin(shown: Iterable[tuple[float, str]], kept: str, found: str) -> Origin | None:
    """Which of the versions in `shown`, with their ages, `found` differs least from; of two the younger.

    Those are passed over that have all that `found` lacks of `kept`. None if there is no other.
    """
    there = _distinct(found)
    lost = _distinct(kept) - there
    origins = []
    for age, text in shown if lost else ():
        # Most versions end here, quickly: what was edited in `found` is older than they are.
        framed = f"\n{text}\n"
        if any(f"\n{line}\n" not in framed for line in lost):
            origins.append(Origin(len(_distinct(text) ^ there), age, text))
    return min(origins, default=None)


def restore(shown: str, kept: str, found: Document, wanted: str | None = None) -> str:
    """The text of `found`, with what `kept` has more than `shown` if `found` was made from `shown`.

    `shown` could be read for a while, and `kept` is what the file should have been when `found` was
    saved over it. If it is `wanted` that it should have been, `kept` only tells whether it was made so.
    """
    was, there = _count(shown), _count(found.text)
    lacking = _count(kept) - was
    # It has something that came later, or little of what was there before.
    if not lacking or lacking & (there - was) or 2 * (was & there).total() < was.total():
        return found.text
    before, after = parse(shown), parse(kept)
    if not _is_unaware(before, after, found, lacking):
        return found.text
    return merge_documents(before, after if wanted is None else parse(wanted), found)


def is_same_task(task: Task, other: Task) -> bool:
    """Whether two tasks with one id are the same, as far as their titles tell: they begin alike.

    An id that orch has just given may also have been typed by a person for something else. Where that is
    found, there are two lines of that id, and that is said.
    """
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(task.title, other.title, strict=False))
    return 2 * len(tuple(alike)) > min(len(task.title), len(other.title))


def _is_unaware(before: Document, after: Document, found: Document, lacking: Counter[str]) -> bool:
    """Whether `found`, which has none of the `lacking` lines, lacks them because nobody had read them.

    The other reason is that somebody deleted or edited the tasks that they belong to.
    """
    for task in after.by_name.values():
        old, new = before.tasks.get(task.id), found.tasks.get(task.id)
        if new is not None and (old.mark != task.mark == new.mark if old else is_same_task(task, new)):
            return False  # Somebody knew its mark, or its id.
        if old is None:
            old = next((unnamed for unnamed in before.unnamed if unnamed.title == task.title), None)
            new = next((unnamed for unnamed in found.unnamed if old and unnamed.text == old.text), None)
        if old is not None and (new is None or new.mark != old.mark):
            # Deleted, or marked by a person: that does not say which version they had read.
            lacking = lacking - _count(decode(task.raw))
    return bool(lacking)


def _count(text: str) -> Counter[str]:
    """How often each line is there, without its ending; blank ones left aside."""
    counts = Counter(text.removeprefix(BOM).split("\n"))
    for line in [line for line in counts if is_blank(line)]:
        del counts[line]
    return counts


def _distinct(text: str) -> set[str]:
    return set(text.split("\n")) - {"", "\r"}
