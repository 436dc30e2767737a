"""The contract of every TaskStore."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from orch.adapters.store.task_file import TaskFile
from orch.core.actions import AddTask, Archive, SetId, SetMark
from orch.core.model import PENDING, Mark, Status, Task
from orch.errors import OrchError, TransientError
from orch.ports import TaskStore
from tests.fakes.tasks import MemoryTaskStore

ACTIVE = Mark(Status.ACTIVE, "w-1a2b3c")
START = SetMark("t-1", PENDING, ACTIVE, (("Started", "now"),))
TEXT = "## Pending\n\n[] t-1: x\n[] y\n\n## Active\n"


@dataclass
class Desk:
    """A store, the person who edits its file, and the clock on the wall."""

    store: TaskStore
    edit: Callable[[str | None], None]
    text: Callable[[], str | None]
    fail: Callable[[bool], None]
    wait: Callable[[float], None]


def memory_desk(_: Path) -> Desk:
    clock = [1000.0]
    store = MemoryTaskStore(TEXT, now=lambda: clock[0])

    def wait(seconds: float) -> None:
        clock[0] += seconds

    def fail(broken: bool) -> None:
        store.fail(TransientError("no space left") if broken else None)

    return Desk(store, store.edit, lambda: store.text, fail, wait)


def file_desk(folder: Path) -> Desk:
    ahead = [0.0]
    path = folder / "tasks.md"
    numbers = itertools.count()

    def edit(text: str | None) -> None:
        if text is None:
            path.unlink()
            return
        fresh = folder / f"fresh-{next(numbers)}"
        fresh.write_text(text)
        fresh.replace(path)

    def fail(broken: bool) -> None:
        if broken:
            path.rename(folder / "away")
            path.mkdir()
        else:
            path.rmdir()
            (folder / "away").rename(path)

    def wait(seconds: float) -> None:
        ahead[0] += seconds

    edit(TEXT)
    store = TaskFile(path, lock=folder / ".orch" / "tasks.lock", now=lambda: time.time() + ahead[0])
    return Desk(store, edit, lambda: path.read_text() if path.exists() else None, fail, wait)


@pytest.fixture(params=[memory_desk, file_desk], ids=["memory", "file"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    made: Desk = request.param(tmp_path)
    return made


def test_the_file_is_read(desk: Desk) -> None:
    reading = desk.store.read()
    assert reading is not None
    assert reading.document.text == TEXT
    assert list(reading.document.tasks) == ["t-1"]
    assert reading.age >= 0.0


def test_the_same_document_comes_back_while_nothing_changes(desk: Desk) -> None:
    first, second = desk.store.read(), desk.store.read()
    assert first is not None
    assert second is not None
    assert first.document is second.document
    desk.edit(TEXT + "[] z\n")
    third = desk.store.read()
    assert third is not None
    assert third.document is not first.document
    assert len(third.document.unnamed) == 2


def test_the_age_counts_from_the_last_edit(desk: Desk) -> None:
    desk.store.read()
    desk.wait(60.0)
    reading = desk.store.read()
    assert reading is not None
    assert reading.age >= 60.0
    desk.edit("[] t-1: other\n")
    edited = desk.store.read()
    assert edited is not None
    assert edited.age < 60.0


def test_orchs_own_changes_make_a_version_no_younger(desk: Desk) -> None:
    desk.store.read()
    desk.wait(60.0)
    desk.store.apply([START])
    reading = desk.store.read()
    assert reading is not None
    assert reading.age >= 60.0


def test_changes_are_written(desk: Desk) -> None:
    document = desk.store.apply([START, SetId("[] y", 4, "t-2"), AddTask(Task("t-3", "z"))])
    assert document.text == desk.text()
    assert document.text == (
        "## Pending\n\n[] t-2: y\n[] t-3: z\n\n## Active\n\n[🟡 w-1a2b3c] t-1: x\n- Started: now\n"
    )
    reading = desk.store.read()
    assert reading is not None
    assert reading.document is document


def test_a_change_is_made_to_the_newest_version(desk: Desk) -> None:
    desk.store.read()
    desk.edit("[] t-1: renamed\nprose\n")
    assert desk.store.apply([START]).tasks["t-1"].title == "renamed"
    assert desk.text() == "[🟡 w-1a2b3c] t-1: renamed\n- Started: now\nprose\n"


def test_a_persons_mark_wins(desk: Desk) -> None:
    desk.edit("[-] t-1: x\n")
    document = desk.store.apply([START, Archive("t-1")])
    assert document.tasks["t-1"].mark == Mark(Status.SKIPPED)
    assert desk.text() == "[-] t-1: x\n"


def test_nothing_to_change_gives_what_is_there(desk: Desk) -> None:
    assert desk.store.apply([]).text == TEXT
    assert desk.store.apply([SetMark("t-9", PENDING, ACTIVE)]).text == TEXT
    assert desk.text() == TEXT


def test_a_missing_file_is_not_an_empty_one(desk: Desk) -> None:
    desk.store.read()
    desk.edit(None)
    assert desk.store.read() is None
    with pytest.raises(TransientError, match="missing"):
        desk.store.apply([START])
    with pytest.raises(TransientError, match="missing"):
        desk.store.apply([])
    assert desk.text() is None


def test_a_new_task_makes_the_file(desk: Desk) -> None:
    desk.edit(None)
    document = desk.store.apply([AddTask(Task("t-1", "first"))])
    assert list(document.tasks) == ["t-1"]
    assert desk.text() == document.text == "## Pending\n\n[] t-1: first\n"


def test_an_empty_file_is_read_and_filled(desk: Desk) -> None:
    desk.edit("")
    reading = desk.store.read()
    assert reading is not None
    assert (reading.document.text, dict(reading.document.tasks)) == ("", {})
    assert desk.store.apply([AddTask(Task("t-1", "first"))]).text == desk.text()


def test_where_nothing_can_be_done_it_is_said_and_nothing_is_seen(desk: Desk) -> None:
    desk.fail(True)
    assert desk.store.read() is None
    with pytest.raises(OrchError):
        desk.store.apply([START])
    desk.fail(False)
    assert desk.text() == TEXT
    assert desk.store.apply([START]).tasks["t-1"].mark == ACTIVE
