"""People who save tasks.md and had not read what orch wrote since they opened it."""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orch.adapters.store.exchange import exchange, exchange_by_link
from orch.adapters.store.replaced import QUIET_SECONDS, WATCH_SECONDS
from orch.adapters.store.sight import EMPTIED_SECONDS
from orch.adapters.store.task_file import (
    PACE_SECONDS,
    PATIENCE_SECONDS,
    UNAWARE_SECONDS,
    UNDO_SECONDS,
    TaskFile,
)
from orch.core.actions import AddTask, Change, SetId, SetMark
from orch.core.model import PENDING, Task
from orch.core.tasks_md import parse
from orch.errors import TransientError
from tests.adapters.crash import watching
from tests.adapters.test_task_file import (
    ACTIVE,
    START,
    STARTED,
    TEXT,
    Desk,
    Exchange,
    Killed,
    during,
    names,
    save_by_rename,
    taken_back,
)

ADD = AddTask(Task("t-3", "z", notes="its note"))
EDITED = TEXT.replace("words", "other words")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def save_in_place(path: Path, text: str) -> None:
    path.write_text(text)


SAVES = pytest.mark.parametrize("save", [save_by_rename, save_in_place])


def shift(desk: Desk, seconds: float) -> None:
    """Let everything that orch wrote be so much younger, also for a process that comes only now."""
    for path in desk.replaced.iterdir():
        at = path.stat().st_mtime + seconds
        os.utime(path, (at, at))


def let_be_seen(desk: Desk) -> None:
    """Let so much time pass that a person could have read what orch wrote."""
    shift(desk, -2 * UNDO_SECONDS)


# --- an edit that was made from an older version ---------------------------------------------------------


@SAVES
def test_what_orch_had_written_comes_back_at_the_next_look(
    desk: Desk, save: Callable[[Path, str], None]
) -> None:
    store = desk.store()
    store.apply([START, ADD])
    save(desk.path, EDITED)
    reading = store.read()
    assert reading is not None
    assert reading.document.text == desk.text
    assert reading.document.tasks["t-1"].mark == ACTIVE
    assert reading.document.tasks["t-3"].notes == "its note"
    assert "other words" in desk.text
    assert reading.age < 1.0
    desk.put_away()
    assert desk.text.count("t-3") == desk.text.count("t-1") == 1


@SAVES
@pytest.mark.parametrize("ahead", [0.0, 3600.0])
def test_it_comes_back_with_the_next_command(
    desk: Desk, save: Callable[[Path, str], None], ahead: float
) -> None:
    """Whoever wrote it has ended, and perhaps long ago."""
    desk.store().apply([ADD])
    let_be_seen(desk)
    save(desk.path, EDITED)
    desk.ahead += ahead
    document = desk.store().apply([START])
    assert document.tasks["t-3"].title == "z"
    assert document.tasks["t-1"].mark == ACTIVE
    assert "other words" in desk.text


def test_an_id_stays_with_the_line_that_it_was_given(desk: Desk) -> None:
    desk.path.write_text(TEXT + "[] typed\n")
    store = desk.store()
    store.apply([SetId("[] typed", 10, "t-3")])
    save_by_rename(desk.path, EDITED + "[] typed\n")
    reading = store.read()
    assert reading is not None
    assert reading.document.tasks["t-3"].title == "typed"
    assert reading.document.unnamed == ()


def test_an_edit_that_takes_nothing_back_stays_as_it_is(desk: Desk) -> None:
    store = desk.store()
    store.apply([START])
    save_by_rename(desk.path, STARTED.replace("words", "other words"))
    before = desk.path.stat()
    reading = store.read()
    assert reading is not None
    assert reading.document.text == STARTED.replace("words", "other words")
    assert desk.path.stat().st_ino == before.st_ino
    # It is what the next one is held against: what a person has deleted stays deleted.
    save_by_rename(desk.path, STARTED)
    store.read()
    save_by_rename(desk.path, STARTED + "more\n")
    store.read()
    assert desk.text == STARTED + "more\n"


def test_editors_who_go_on_from_there_while_orch_cannot_write_lose_nothing(desk: Desk) -> None:
    store = desk.store()
    store.apply([ADD])

    def go_on() -> None:
        edits.append(f"more-{len(edits)}\n")
        save_by_rename(desk.path, EDITED + "".join(edits))

    edits: list[str] = []
    steps = [go_on] * 5
    save_by_rename(desk.path, EDITED)
    document = desk.store(during(steps)).apply([START])
    assert steps == []
    assert document.tasks["t-3"].title == "z"
    assert document.tasks["t-1"].mark == ACTIVE
    assert all(desk.text.count(edit) == 1 for edit in edits)
    desk.put_away()
    assert all(desk.text.count(edit) == 1 for edit in edits)


def test_they_lose_nothing_either_where_one_command_after_the_other_gives_up(desk: Desk) -> None:
    desk.store().apply([ADD])
    save_by_rename(desk.path, EDITED)
    swaps: list[Path] = []

    def go_on(one: Path, other: Path) -> None:
        if len(swaps) % 2 == 0:  # a swap that has met another version is taken back
            save_by_rename(desk.path, f"{EDITED}more-{len(swaps)}\n")
        swaps.append(one)
        exchange(one, other)

    for _ in range(5):
        with pytest.raises(TransientError, match="all the time"):
            TaskFile(desk.path, lock=desk.lock, patience=0.1, exchange=go_on).apply([START])
        assert "t-3" not in desk.text
        shift(desk, -WATCH_SECONDS / 4)
    text = desk.text
    with desk.path.open("w") as file:
        # What is watched is looked after just then.
        desk.ahead = 2 * WATCH_SECONDS
        desk.store().settle()
        file.write(text)
    document = desk.store().apply([START])
    assert document.tasks["t-3"].title == "z"
    assert document.tasks["t-1"].mark == ACTIVE
    assert f"more-{len(swaps) - 2}" in desk.text


@pytest.mark.parametrize("change", [ADD, START], ids=["a task", "a mark"])
@pytest.mark.parametrize("swaps", [3, 4], ids=["before the exchange back", "after it"])
def test_they_lose_nothing_either_where_orch_is_killed_in_the_next_swap(
    desk: Desk, change: Change, swaps: int
) -> None:
    """The swap that is to give it back is taken back, and somebody had read what was there for a moment."""
    desk.store().apply([change])
    save_by_rename(desk.path, TEXT)
    shown: list[str] = []

    def swapping(one: Path, other: Path) -> None:
        if len(shown) == swaps:
            raise Killed
        if not shown:
            save_by_rename(desk.path, f"{TEXT}first\n")
        if len(shown) == 2:
            save_by_rename(desk.path, f"{desk.text}third\n")
        exchange(one, other)
        shown.append(desk.text)
        if len(shown) == 2:
            save_by_rename(desk.path, f"{shown[0]}second\n")

    with pytest.raises(Killed):
        desk.store(swapping).settle()
    save_by_rename(desk.path, f"{shown[0]}second\nthird\nlast\n")
    desk.ahead += QUIET_SECONDS
    desk.store().settle()
    desk.put_away()
    tasks = parse(desk.text).tasks
    assert tasks["t-3"].title == "z" if change == ADD else tasks["t-1"].mark == ACTIVE
    assert [desk.text.count(word) for word in ("first", "second", "third", "last")] == [1, 1, 1, 1]


def test_a_file_that_stays_empty_is_not_watched_for_ever(desk: Desk) -> None:
    desk.store().apply([ADD])
    save_by_rename(desk.path, EDITED)

    def swapping(_one: Path, _other: Path) -> None:
        raise Killed

    with pytest.raises(Killed):
        desk.store(swapping).settle()
    assert "newest.lacked" in names(desk.replaced)
    desk.path.write_text("\n")
    desk.ahead += EMPTIED_SECONDS
    desk.put_away()


def test_nothing_is_watched_any_more_once_they_have_put_it_right_themselves(desk: Desk) -> None:
    desk.store().apply([ADD])
    right = desk.text
    save_by_rename(desk.path, EDITED)

    def go_on(event: str) -> None:
        if event == "os.rename":  # orch has read it, and writes what it will swap it for
            save_by_rename(desk.path, f"{desk.text}more\n")

    with watching(go_on), pytest.raises(TransientError, match="all the time"):
        TaskFile(desk.path, lock=desk.lock, patience=0.1).apply([START])
    assert desk.text.count("more") > 1
    assert "newest.lacked" in names(desk.replaced)
    save_by_rename(desk.path, right)
    desk.put_away()
    assert desk.text == right


@pytest.mark.parametrize("swap", [exchange, exchange_by_link], ids=["at once", "by link"])
@pytest.mark.parametrize("after", [0, 1])
def test_a_kill_right_after_a_change_takes_nothing_back(desk: Desk, swap: Exchange, after: int) -> None:
    """What a person saves then was made from a version that orch had no time to note."""
    store = desk.store()
    store.apply([START])
    store.apply([SetMark("t-1", ACTIVE, PENDING, (("Started", None),))])
    swaps = []

    def swapping(one: Path, other: Path) -> None:
        if after:
            swap(one, other)
        swaps.append(one)
        raise Killed

    again = SetMark("t-1", PENDING, ACTIVE, (("Started", "later"),))
    with pytest.raises(Killed):
        desk.store(swapping).apply([again])
    save_by_rename(desk.path, desk.text.replace("words", "other words"))
    reading = desk.store().read()
    assert reading is not None
    assert reading.document.tasks["t-1"].mark == (ACTIVE if after else PENDING)
    assert desk.text.count("Started: later") == after
    assert "Started: now" not in desk.text
    assert "other words" in desk.text
    desk.put_away()
    assert desk.text.count("Started: later") == after
    assert desk.text.count("t-1") == 1


def test_what_was_saved_right_before_a_kill_is_not_taken_for_what_was_read(desk: Desk) -> None:
    swaps: list[Path] = []

    def swapping(one: Path, other: Path) -> None:
        if swaps:
            raise Killed
        swaps.append(one)
        exchange(one, other)

    store = desk.store(swapping)
    store.apply([START])
    save_by_rename(desk.path, desk.text.replace("words", "other words"))
    with pytest.raises(Killed):
        store.apply([SetMark("t-2", PENDING, ACTIVE)])
    newest = (desk.replaced / "newest").stat().st_mtime_ns
    for base in desk.replaced.glob("*.base"):
        # The stamps of a kernel stand still for milliseconds.
        os.utime(base, ns=(newest, newest))
    assert desk.store().read() is not None
    assert "other words" in desk.text


# --- what a person takes back ------------------------------------------------------------------------------


def test_who_takes_back_just_what_orch_wrote_means_it(desk: Desk) -> None:
    store = desk.store()
    store.apply([ADD])
    let_be_seen(desk)
    save_by_rename(desk.path, TEXT)
    reading = store.read()
    assert reading is not None
    assert reading.document.text == desk.text == TEXT
    save_by_rename(desk.path, EDITED)
    store.read()
    assert desk.text == EDITED


@pytest.mark.parametrize("ago", [-1.0, 0.5], ids=["at once", "half a second later"])
def test_nobody_can_have_meant_it_who_was_not_told(desk: Desk, ago: float) -> None:
    store = desk.store()
    store.apply([ADD])
    shift(desk, -ago)
    save_by_rename(desk.path, TEXT)
    store.read()
    assert "t-3" in desk.text


def test_who_was_told_means_it_at_once(desk: Desk) -> None:
    name = desk.store().add(Task("", "Added"), ())
    save_by_rename(desk.path, TEXT)
    desk.store().read()
    assert desk.text == TEXT
    desk.store().apply([START])
    assert name not in desk.text
    desk.put_away()


def test_what_is_written_only_then_was_not_told(desk: Desk) -> None:
    desk.store().add(Task("", "Added"), ())
    told = desk.text
    desk.store().apply([START])
    started = desk.text
    shift(desk, -2 * UNAWARE_SECONDS)
    save_by_rename(desk.path, told)
    desk.store().read()
    assert desk.text == started


def test_nor_what_was_written_just_before(desk: Desk) -> None:
    """A coordinator may write something while `orch add` waits."""
    desk.store().apply([ADD])
    (desk.replaced / "told").touch()
    shift(desk, -2 * UNAWARE_SECONDS)
    save_by_rename(desk.path, TEXT)
    desk.store().read()
    assert "t-3" in desk.text


@pytest.mark.parametrize(
    ("load", "waits"),
    [(0.0, UNAWARE_SECONDS), (4.0, 4 * UNAWARE_SECONDS), (1000.0, UNDO_SECONDS)],
    ids=["quiet", "loaded", "overloaded"],
)
def test_who_adds_waits_for_those_who_may_save_unaware(desk: Desk, load: float, waits: float) -> None:
    swaps: list[float] = []

    def swap(staged: Path, target: Path) -> None:
        exchange(staged, target)
        swaps.append(time.monotonic())

    desk.store(swap, load).add(Task("", "Added"), ())
    assert waits <= time.monotonic() - swaps[0] < PATIENCE_SECONDS


@pytest.mark.parametrize("coordinated", [False, True])
def test_who_was_told_means_it_also_if_somebody_had_saved_unaware(desk: Desk, coordinated: bool) -> None:
    """What brought it back had been made from the very same text."""

    def save() -> None:
        time.sleep(UNAWARE_SECONDS / 2)
        save_by_rename(desk.path, TEXT)
        if coordinated:
            desk.store().read()

    def swap(staged: Path, target: Path) -> None:
        exchange(staged, target)
        if not late.ident:
            late.start()

    late = threading.Thread(target=save)
    name = desk.store(swap).add(Task("", "Added"), ())
    late.join()
    assert name in desk.text
    save_by_rename(desk.path, TEXT)
    desk.store().read()
    assert desk.text == TEXT


def test_what_one_was_told_is_not_forgotten_when_another_is(desk: Desk) -> None:
    """Who takes out the first one's task had not seen that of the second."""
    swapped = threading.Event()

    def swap(staged: Path, target: Path) -> None:
        exchange(staged, target)
        swapped.set()

    name = desk.store().add(Task("", "Added"), ())
    adding = threading.Thread(target=desk.store(swap, 4.0).add, args=(Task("", "Other"), ()))
    adding.start()
    assert swapped.wait(PATIENCE_SECONDS)
    save_by_rename(desk.path, TEXT)
    adding.join()
    tasks = parse(desk.text).tasks.values()
    assert name not in desk.text
    assert "Other" in [task.title for task in tasks]


def test_nothing_is_noted_as_told_where_nothing_else_could_be_read(desk: Desk) -> None:
    desk.store().apply([START])
    desk.put_away()
    desk.path.unlink()
    desk.store().add(Task("", "Added"), ())
    assert desk.kept() == []


def test_what_is_saved_unaware_while_they_wait_does_not_take_it_out(desk: Desk) -> None:
    def swap(staged: Path, target: Path) -> None:
        exchange(staged, target)
        if not saved.is_set():
            late.start()

    def save() -> None:
        time.sleep(3 * UNAWARE_SECONDS)
        save_by_rename(desk.path, TEXT)
        saved.set()

    saved = threading.Event()
    late = threading.Thread(target=save)
    name = desk.store(swap, 5.0).add(Task("", "Added"), ())
    assert saved.is_set()
    assert parse(desk.text).tasks[name].title == "Added"


def test_what_was_written_long_ago_may_be_deleted_with_anything_else(desk: Desk) -> None:
    desk.store().apply([ADD])
    shift(desk, -WATCH_SECONDS)
    save_by_rename(desk.path, EDITED)
    store = desk.store()
    store.read()
    store.apply([START])
    assert "t-3" not in desk.text


def test_a_file_that_is_only_emptied_is_waited_for(desk: Desk) -> None:
    store = desk.store()
    store.apply([ADD])
    desk.path.write_text("")
    desk.ahead += PACE_SECONDS
    empty = store.read()
    assert empty is not None
    assert empty.document.text == ""
    desk.path.write_text(EDITED)
    store.read()
    assert "t-3" in desk.text


# --- while it cannot be cleared up --------------------------------------------------------------------------


@contextmanager
def looked_at(path: Path) -> Iterator[None]:
    """Somebody else looks at the file, so nobody can change it."""
    with path.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def test_until_it_is_known_what_a_version_lacks_the_one_before_counts(desk: Desk) -> None:
    store = desk.store()
    store.apply([ADD])
    first = store.read()
    save_by_rename(desk.path, EDITED)
    with looked_at(desk.lock):
        second, newcomer = store.read(), desk.store().read()
    third = store.read()
    assert first is not None
    assert second is not None
    assert newcomer is not None
    assert third is not None
    assert second.document is first.document
    assert second.again <= PACE_SECONDS
    assert newcomer.document.text == EDITED, "it has seen nothing else"
    assert "t-3" in third.document.tasks
    assert "other words" in third.document.text


def test_where_it_cannot_be_written_it_counts_as_it_is_after_a_while(desk: Desk) -> None:
    store = desk.store()
    store.apply([ADD])
    store.read()
    save_by_rename(desk.path, EDITED)
    desk.path.chmod(0o444)
    young = store.read()
    desk.ahead += WATCH_SECONDS + 1.0
    old = store.read()
    desk.path.chmod(0o644)
    desk.ahead += PACE_SECONDS
    mended = store.read()
    assert young is not None
    assert old is not None
    assert mended is not None
    assert "t-3" in young.document.tasks
    assert old.document.text == EDITED
    assert "t-3" in mended.document.tasks


def test_a_half_written_version_is_not_taken_for_what_a_person_wants(desk: Desk) -> None:
    """It is read while its editor is in the middle of writing it."""
    store = desk.store()
    store.apply([ADD])
    whole = desk.text.replace("words", "other words")
    steps = [0, 1]

    def now() -> float:
        # The clock is asked for before the file is read, and after it.
        if armed and steps and steps.pop(0):
            desk.path.write_text(whole)
        return desk.now()

    armed = False
    other = TaskFile(desk.path, lock=desk.lock, now=now)
    other.read()
    desk.path.write_text(whole[:20])
    armed = True
    other.apply([])
    assert desk.text == whole
    save_by_rename(desk.path, TEXT + "more\n")
    other.read()
    assert "t-3" in desk.text


def test_without_room_for_it_the_file_is_as_right_as_before(desk: Desk) -> None:
    store = desk.store()
    store.apply([ADD])
    (desk.replaced / "newest.part").mkdir()
    save_by_rename(desk.path, desk.text.replace("words", "some words"))
    store.read()
    (desk.replaced / "newest.part").rmdir()
    assert "some words" in desk.text
    save_by_rename(desk.path, EDITED)
    store.read()
    assert desk.text == EDITED, "nothing is known of what it should be"
    desk.put_away()


# --- a new task -------------------------------------------------------------------------------------------


def test_a_task_gets_the_next_id_that_nobody_has_used(desk: Desk) -> None:
    store = desk.store()
    assert store.add(Task("", "z", notes="its note"), []) == "t-3"
    assert store.add(Task("", "z", after=("t-3",)), ["t-7", "gh-20"]) == "t-8"
    tasks = parse(desk.text).tasks
    assert (tasks["t-3"].notes, tasks["t-8"].after) == ("its note", ("t-3",))


def store_before(desk: Desk, save: Callable[[], None]) -> TaskFile:
    """A store, and a person who saves once, as soon as it has swapped the file."""
    steps = [save]
    swapped = threading.Event()

    def swapping(one: Path, other: Path) -> None:
        exchange(one, other)
        swapped.set()

    def now() -> float:
        if swapped.is_set() and steps:
            steps.pop()()
        return desk.now()

    return TaskFile(desk.path, lock=desk.lock, exchange=swapping, now=now)


@SAVES
@pytest.mark.parametrize("text", [TEXT, EDITED])
def test_a_new_task_is_there_whoever_saves_before_it_is_told(
    desk: Desk, save: Callable[[Path, str], None], text: str
) -> None:
    store = store_before(desk, lambda: save(desk.path, text))
    assert store.add(Task("", "z"), []) == "t-3"
    assert parse(desk.text).tasks["t-3"].title == "z"
    assert ("other words" in desk.text) is (text == EDITED)


def test_a_new_task_that_is_typed_on_before_it_is_told_is_there_once(desk: Desk) -> None:
    """Somebody saves just before the swap, and somebody else what was there for a moment."""
    shown: list[str] = []

    swapping = taken_back(
        desk, shown, lambda text: f"{text}more\n", lambda shown: shown[0].replace("t-3: z", "t-3: z at once")
    )
    assert desk.store(swapping).add(Task("", "z"), ()) == "t-3"
    assert [(task.id, task.title) for task in parse(desk.text).tasks.values()][2:] == [("t-3", "z at once")]
    assert desk.text.count("more") == 1


@pytest.mark.parametrize("title", ["another thing", "zoot"])
def test_an_id_that_a_person_has_typed_meanwhile_is_left_to_them(desk: Desk, title: str) -> None:
    typed = f"{TEXT}[] t-3: {title}\n"
    steps = [lambda: save_by_rename(desk.path, typed)]
    assert desk.store(during(steps)).add(Task("", "zoom"), []) == "t-4"
    tasks = parse(desk.text).tasks
    assert (tasks["t-3"].title, tasks["t-4"].title) == (title, "zoom")


@pytest.mark.parametrize(("place", "told", "line"), [("## Active", "t-3", 5), ("[] t-1: x", "t-4", 3)])
def test_an_id_that_a_person_types_after_it_was_given_is_told_only_if_its_line_counts(
    desk: Desk, place: str, told: str, line: int
) -> None:
    typed = TEXT.replace(place, f"[] t-3: another thing\n{place}")
    store = store_before(desk, lambda: save_by_rename(desk.path, typed))
    assert store.add(Task("", "z"), []) == told
    document = parse(desk.text)
    assert document.tasks[told].title == "z"
    assert "t-3: another thing" in desk.text
    # The other line of t-3 is kept, and said to be ignored.
    assert [problem.message[:16] for problem in document.problems] == [f"t-3 is on line {line}"]


def test_a_task_that_is_added_is_told_also_where_somebody_else_is_at_work(desk: Desk) -> None:
    taken = threading.Event()

    def take() -> None:
        with desk.lock.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            taken.wait()

    holder = threading.Thread(target=take)

    def swapping(one: Path, other: Path) -> None:
        exchange(one, other)
        holder.start()

    store = TaskFile(desk.path, lock=desk.lock, exchange=swapping, patience=0.1)
    try:
        assert store.add(Task("", "z"), []) == "t-3"
    finally:
        taken.set()
        holder.join()
    assert "t-3" in desk.text


def test_without_the_time_for_it_no_task_is_added(desk: Desk) -> None:
    with pytest.raises(TransientError, match="takes no new task"):
        TaskFile(desk.path, lock=desk.lock, patience=0.0).add(Task("", "z"), [])
    assert desk.text == TEXT
