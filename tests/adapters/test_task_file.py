"""tasks.md on a real disk, with people who save it at every wrong moment."""

import errno
import fcntl
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest

from orch.adapters.store.exchange import KEPT, exchange, exchange_by_link
from orch.adapters.store.replaced import QUIET_SECONDS, WATCH_SECONDS
from orch.adapters.store.task_file import PACE_SECONDS, TaskFile
from orch.core.actions import AddTask, SetId, SetMark
from orch.core.model import PENDING, Mark, Status, Task
from orch.core.tasks_md import parse
from orch.errors import OrchError, PermanentError, TransientError
from tests.adapters.applying import toggle

ROOT = Path(__file__).parents[2]
ACTIVE = Mark(Status.ACTIVE, "w-1a2b3c")
START = SetMark("t-1", PENDING, ACTIVE, (("Started", "now"),))
TEXT = "## Pending\n\n[] t-1: x\n[] t-2: y\n\n## Active\n\n## Notes\n\nwords\n"
STARTED = (
    "## Pending\n\n[] t-2: y\n\n## Active\n\n[🟡 w-1a2b3c] t-1: x\n- Started: now\n\n## Notes\n\nwords\n"
)

Exchange = Callable[[Path, Path], None]
STEPS = pytest.mark.parametrize("swap", [exchange, exchange_by_link], ids=["at once", "by link"])


class Desk:
    """A folder with a tasks.md, and a clock that can be put forward."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "tasks.md"
        self.lock = folder / ".orch" / "tasks.lock"
        self.replaced = folder / ".orch" / "replaced"
        self.ahead = 0.0
        self.path.write_text(TEXT)

    def now(self) -> float:
        return time.time() + self.ahead

    def store(self, swap: Exchange = exchange, load: float = 0.0) -> TaskFile:
        return TaskFile(self.path, lock=self.lock, now=self.now, exchange=swap, load=lambda: load)

    @property
    def text(self) -> str:
        return self.path.read_text()

    def beside(self) -> list[str]:
        return [name for name in names(self.folder) if name not in {"tasks.md", ".orch"}]

    def kept(self) -> list[str]:
        return sorted(path.suffix for path in self.replaced.iterdir())

    def put_away(self) -> None:
        """Let the time pass after which nothing is watched any more; there must be nothing left then."""
        self.ahead += WATCH_SECONDS + QUIET_SECONDS
        store = self.store()
        store.settle()
        self.ahead += WATCH_SECONDS + QUIET_SECONDS
        store.settle()
        assert (self.beside(), self.kept()) == ([], [])


def stamp(path: Path) -> tuple[int, ...]:
    """What a file looks like while nobody writes it; a mere look changes the time of its last reading."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def during(steps: list[Callable[[], None]], swap: Exchange = exchange) -> Exchange:
    """A swap before which the person does the next of `steps`."""

    def swapping(one: Path, other: Path) -> None:
        if steps:
            steps.pop(0)()
        swap(one, other)

    return swapping


def taken_back(
    desk: Desk, shown: list[str], before: Callable[[str], str], after: Callable[[list[str]], str]
) -> Exchange:
    """A swap that is taken back, since somebody has saved `before(what was there)`.

    At once somebody saves over that what they make of what could be read, `after(shown)`: it takes the text
    after each exchange.
    """

    def swapping(one: Path, other: Path) -> None:
        if not shown:
            save_by_rename(desk.path, before(desk.text))
        exchange(one, other)
        shown.append(desk.text)
        if len(shown) == 2:
            save_by_rename(desk.path, after(shown))

    return swapping


def save_by_rename(path: Path, text: str) -> None:
    fresh = path.with_name("fresh.tmp")
    fresh.write_text(text)
    fresh.replace(path)


# --- what a change leaves as it was ---------------------------------------------------------------------


def test_every_byte_that_need_not_change_stays(desk: Desk) -> None:
    data = b"\xef\xbb\xbf# caf\xe9\r\n[] t-1: x\r\n\x00\x0c \xff\n[] last"
    desk.path.write_bytes(data)
    desk.store().apply([START])
    assert desk.path.read_bytes() == data.replace(
        b"[] t-1: x\r\n", "[🟡 w-1a2b3c] t-1: x\r\n- Started: now\r\n".encode()
    )


def test_a_change_that_is_none_writes_nothing(desk: Desk) -> None:
    before = stamp(desk.path)
    store = desk.store()
    store.apply([SetMark("t-1", ACTIVE, PENDING), SetId("[] gone", 1, "t-9")])
    assert stamp(desk.path) == before
    assert not desk.replaced.exists()


def test_mode_and_owner_stay(desk: Desk) -> None:
    desk.path.chmod(0o640)
    before = desk.path.stat()
    desk.store().apply([START])
    after = desk.path.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_a_symbolic_link_stays_one(desk: Desk) -> None:
    real = desk.folder / "elsewhere" / "queue.md"
    real.parent.mkdir()
    desk.path.rename(real)
    desk.path.symlink_to(real)
    assert desk.store().apply([START]).text == STARTED
    assert desk.path.is_symlink()
    assert real.read_text() == STARTED
    assert names(real.parent) == ["queue.md"]


def test_what_was_swapped_out_is_forgotten_after_a_while(desk: Desk) -> None:
    store = desk.store()
    assert store.settle() is None
    store.apply([START])
    assert desk.kept() == ["", ".base", ".old"]
    assert desk.beside() == []
    wait = store.settle()
    assert wait is not None
    assert 0.0 <= wait <= WATCH_SECONDS
    desk.ahead += WATCH_SECONDS
    assert store.settle() is None
    assert desk.kept() == []


def test_a_mere_look_leaves_nothing_behind(desk: Desk) -> None:
    assert desk.store().read() is not None
    assert names(desk.folder) == ["tasks.md"]


# --- reading ---------------------------------------------------------------------------------------------


def test_an_edit_of_the_same_size_in_the_same_instant_is_seen(desk: Desk) -> None:
    store = desk.store()
    store.read()
    before = desk.path.stat()
    desk.path.write_text(TEXT.replace("words", "sword"))
    os.utime(desk.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    reading = store.read()
    assert reading is not None
    assert "sword" in reading.document.text


def test_an_old_file_is_not_read_again(desk: Desk) -> None:
    desk.ahead = 60.0
    store = desk.store()
    first = store.read()
    descriptors = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").is_dir() else 0
    desk.ahead = 120.0
    second = store.read()
    assert first is not None
    assert second is not None
    assert first.document is second.document
    assert second.age >= first.age + 60.0
    desk.path.chmod(0o600)
    third = store.read()
    assert third is not None
    assert third.document is first.document
    assert third.age >= second.age
    if descriptors:
        assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_the_age_of_a_version_that_was_moved_in_counts_from_now(desk: Desk) -> None:
    store = desk.store()
    desk.ahead = 100.0
    store.read()
    old = desk.folder / "old.md"
    old.write_text("[] t-7: from the past\n")
    os.utime(old, (1.0, 1.0))
    old.replace(desk.path)
    reading = store.read()
    assert reading is not None
    assert list(reading.document.tasks) == ["t-7"]
    assert reading.age < 50.0


def test_a_file_from_the_future_has_an_age_too(desk: Desk) -> None:
    ahead = time.time() + 3600
    os.utime(desk.path, (ahead, ahead))
    store = desk.store()
    first = store.read()
    assert first is not None
    assert first.age == 0.0
    desk.ahead = 60.0
    second = store.read()
    assert second is not None
    assert second.age >= 50.0


def test_a_file_grows_older_also_after_the_clock_was_set_back(desk: Desk) -> None:
    desk.ahead = 3600.0
    store = desk.store()
    store.read()
    desk.path.write_text("[] t-7: another\n")
    store.read()
    desk.ahead = 0.0
    store.read()
    desk.ahead = 60.0
    reading = store.read()
    assert reading is not None
    assert reading.age >= 60.0


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling link", "loop"])
def test_what_is_no_file_cannot_be_looked_at(desk: Desk, kind: str) -> None:
    desk.path.unlink()
    match kind:
        case "folder":
            desk.path.mkdir()
        case "pipe":
            os.mkfifo(desk.path)
        case "dangling link":
            desk.path.symlink_to(desk.folder / "nowhere" / "tasks.md")
        case _:
            desk.path.symlink_to(desk.path)
    store = desk.store()
    assert store.read() is None
    with pytest.raises(TransientError, match=re.escape(str(desk.path))):
        store.apply([START])


def test_while_the_file_is_being_changed_the_last_version_is_given(desk: Desk) -> None:
    store = desk.store()
    store.apply([])
    first = store.read()
    desk.path.write_text("[] t-1: in the middle of a swap\n")
    desk.ahead = 5.0
    with desk.lock.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        locked = store.read()
    assert first is not None
    assert locked is not None
    assert locked.document is first.document
    assert locked.age < 5.0
    unlocked = store.read()
    assert unlocked is not None
    assert unlocked.document is not first.document


def test_a_first_look_waits_for_a_change_to_be_over(desk: Desk) -> None:
    desk.store().apply([START])
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(desk.lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        looker = subprocess.Popen(
            [sys.executable, "-c", LOOK, str(desk.path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        with looker:
            assert looker.stdout is not None
            assert looker.stdout.readline() == "looking\n"
            holder.stdin.write("\n")
            holder.stdin.close()
            assert looker.stdout.readline() == "t-2 t-1\n"


HOLD = """
import fcntl, sys
with open(sys.argv[1]) as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.readline()
"""
LOOK = """
import sys
from pathlib import Path
from orch.adapters.store.task_file import TaskFile
path = Path(sys.argv[1])
print("looking", flush=True)
reading = TaskFile(path, lock=path.parent / ".orch" / "tasks.lock").read()
print(*reading.document.tasks)
"""


# --- people who save at the wrong moment ------------------------------------------------------------------


@STEPS
def test_an_edit_in_place_between_look_and_swap_is_kept(desk: Desk, swap: Exchange) -> None:
    edited = TEXT.replace("words", "other words")

    def save() -> None:
        desk.path.write_text(edited)

    store = desk.store(during([save], swap))
    inode = desk.path.stat().st_ino
    assert store.apply([START]).text == STARTED.replace("words", "other words")
    assert desk.text == STARTED.replace("words", "other words")
    assert desk.path.stat().st_ino != inode
    desk.put_away()
    assert desk.text == STARTED.replace("words", "other words")


def test_an_edit_by_rename_between_look_and_swap_is_kept(desk: Desk) -> None:
    def save() -> None:
        save_by_rename(desk.path, TEXT.replace("words", "other words"))

    store = desk.store(during([save]))
    assert store.apply([START]).text == STARTED.replace("words", "other words")
    desk.put_away()
    assert desk.text == STARTED.replace("words", "other words")


def test_two_edits_around_the_first_swap_are_both_kept(desk: Desk) -> None:
    """One is swapped out, and while it lies beside, the next is made from what was swapped in."""

    def first() -> None:
        save_by_rename(desk.path, TEXT.replace("words", "words\none"))

    def second() -> None:
        save_by_rename(desk.path, desk.text + "two\n")

    store = desk.store(during([first, second]))
    store.apply([START])
    desk.put_away()
    assert parse(desk.text).tasks["t-1"].mark == ACTIVE
    assert desk.text.endswith("words\none\ntwo\n")
    assert desk.text.count("t-1") == 1


def test_an_edit_made_from_what_was_there_for_a_moment_keeps_the_one_before(desk: Desk) -> None:
    shown: list[str] = []

    def first() -> None:
        save_by_rename(desk.path, TEXT.replace("words", "words\none"))

    steps: list[Callable[[], None]] = [first]

    def swapping(one: Path, other: Path) -> None:
        if steps:
            steps.pop()()
        exchange(one, other)
        shown.append(desk.text)

    store = desk.store(swapping)
    store.apply([START])
    assert "one" not in shown[0]
    # The editor had read the file in that moment. It saves now.
    save_by_rename(desk.path, shown[0] + "two\n")
    desk.ahead += PACE_SECONDS
    reading = store.read()
    assert reading is not None
    assert reading.document.text == desk.text == STARTED.replace("words", "words\none\ntwo")


def test_so_does_one_that_is_saved_at_once(desk: Desk) -> None:
    shown: list[str] = []

    swapping = taken_back(
        desk, shown, lambda text: text.replace("words", "words\none"), lambda shown: shown[0] + "two\n"
    )
    document = desk.store(swapping).apply([START])
    assert "one" not in shown[0]
    assert document.text == desk.text == STARTED.replace("words", "words\none\ntwo")
    desk.put_away()
    assert desk.text == STARTED.replace("words", "words\none\ntwo")


@pytest.mark.parametrize("late", [False, True], ids=["given back", "typed late"])
def test_what_was_there_for_a_moment_and_had_more_than_orch_wrote_loses_nothing(
    desk: Desk, *, late: bool
) -> None:
    """Neither what it gave back to somebody, nor what somebody typed into a replaced version."""
    store = desk.store()
    with desk.path.open("r+") as file:
        store.apply([AddTask(Task("t-3", "z"))])
        if late:
            file.write(TEXT.replace("words", "words\nlate"))
            file.truncate()
            unaware = desk.text
        else:
            unaware = TEXT
    save_by_rename(desk.path, unaware.replace("words", "zero\nwords"))
    shown: list[str] = []

    swapping = taken_back(desk, shown, lambda text: f"{text}one\n", lambda shown: shown[0] + "two\n")
    desk.ahead += QUIET_SECONDS
    desk.store(swapping).apply([START])
    assert "one" not in shown[0]
    assert "t-3: z" in shown[0]
    assert ("late" in shown[0]) == late
    desk.put_away()
    document = parse(desk.text)
    assert {name: task.mark for name, task in document.tasks.items()} == {
        "t-1": ACTIVE,
        "t-2": PENDING,
        "t-3": PENDING,
    }
    words = ("zero", "one", "two", *(["late"] if late else []))
    assert [desk.text.count(word) for word in words] == [1] * len(words)


@pytest.mark.parametrize("made_from", [0, 1], ids=["ours", "theirs"])
def test_a_line_that_had_an_id_for_a_moment_is_there_once(desk: Desk, made_from: int) -> None:
    """Whatever the next one who saves it with more had read: the one with the id, or the one without."""
    desk.path.write_text(TEXT.replace("[] t-2: y\n", "[] t-2: y\n[] typed\n"))
    shown: list[str] = []

    swapping = taken_back(
        desk,
        shown,
        lambda text: text.replace("words", "words\none"),
        lambda shown: shown[made_from].replace("typed", "typed two"),
    )
    desk.store(swapping).apply([SetId("[] typed", 5, "t-3")])
    assert "[] t-3: typed\n" in shown[0]
    desk.put_away()
    assert re.findall(".*typed.*", desk.text) == ["[] t-3: typed two" if made_from == 0 else "[] typed two"]
    assert desk.text.count("one") == 1


@STEPS
def test_an_editor_that_had_the_file_open_loses_nothing(desk: Desk, swap: Exchange) -> None:
    store = desk.store(swap)
    with desk.path.open("r+") as late:
        store.apply([START])
        late.write(TEXT.replace("x\n", "x, but better {p0}\n").replace("words", "late words"))
    desk.ahead += QUIET_SECONDS
    reading = store.read()
    assert reading is not None
    assert reading.document.text == desk.text
    assert desk.text == STARTED.replace("x\n", "x, but better {p0}\n").replace("words", "late words")
    assert reading.age < QUIET_SECONDS
    desk.put_away()
    assert desk.text.count("late words") == 1


def test_an_editor_that_writes_twice_loses_nothing(desk: Desk) -> None:
    store = desk.store()
    with desk.path.open("r+") as late:
        store.apply([START])
        late.write(TEXT + "first\n")
        late.flush()
        desk.ahead += QUIET_SECONDS
        store.settle()
        assert desk.text == STARTED + "first\n"
        late.write("second\n")
    desk.ahead += QUIET_SECONDS
    store.settle()
    assert desk.text == STARTED + "first\nsecond\n"
    desk.put_away()
    assert desk.text == STARTED + "first\nsecond\n"


def test_an_edit_in_a_version_and_one_in_the_file_are_both_kept(desk: Desk) -> None:
    store = desk.store()
    with desk.path.open("r+") as late:
        store.apply([START])
        late.write(TEXT.replace("y\n", "y, late\n") + "late\n")
    save_by_rename(desk.path, desk.text.replace("words", "new words") + "in time\n")
    desk.ahead += QUIET_SECONDS
    document = store.apply([SetMark("t-2", PENDING, ACTIVE)])
    assert document.tasks["t-2"].title == "y, late"
    assert document.tasks["t-2"].mark == ACTIVE
    assert desk.text.endswith("new words\nin time\nlate\n")


def test_an_editor_that_empties_and_then_waits_deletes_nothing(desk: Desk) -> None:
    store = desk.store()
    late = desk.path.open("r+")
    with late:
        store.apply([START])
        late.truncate(0)
        desk.ahead += QUIET_SECONDS
        store.settle()
        assert desk.text == STARTED
        late.write(TEXT + "late\n")
    desk.ahead += QUIET_SECONDS
    store.settle()
    assert desk.text == STARTED + "late\n"


def test_what_was_only_emptied_is_forgotten(desk: Desk) -> None:
    store = desk.store()
    with desk.path.open("r+") as late:
        store.apply([START])
        late.truncate(0)
    desk.put_away()
    assert desk.text == STARTED


def test_an_editor_that_opened_what_was_there_for_a_moment_loses_nothing(desk: Desk) -> None:
    files: list[TextIO] = []

    def save() -> None:
        save_by_rename(desk.path, TEXT.replace("words", "saved words"))

    def swapping(one: Path, other: Path) -> None:
        if not files:
            save()
        exchange(one, other)
        if not files:
            files.append(desk.path.open("r+"))

    store = desk.store(swapping)
    store.apply([START])
    with files[0] as late:
        late.write(STARTED + "late\n")
    desk.put_away()
    assert desk.text == STARTED.replace("words", "saved words") + "late\n"


@pytest.mark.parametrize("moment", [0, 1])
def test_an_editor_that_moves_the_file_away_during_a_swap_loses_nothing(desk: Desk, moment: int) -> None:
    away = desk.folder / "tasks.md~"

    def begin() -> None:
        desk.path.rename(away)

    def save() -> None:
        save_by_rename(desk.path, TEXT.replace("words", "saved words"))

    steps = [begin] if moment == 0 else [save, begin]
    store = desk.store(during(steps))
    with pytest.raises(TransientError, match="missing"):
        store.apply([START])
    assert store.read() is None
    desk.path.write_text(away.read_text() + "typed\n")
    away.unlink()
    document = store.apply([START])
    assert document.tasks["t-1"].mark == ACTIVE
    assert "typed\n" in desk.text
    desk.put_away()
    assert ("saved words" in desk.text) is (moment == 1)
    assert "typed\n" in desk.text


def test_a_file_that_is_just_being_saved_is_waited_for(desk: Desk) -> None:
    desk.path.rename(desk.folder / "tasks.md~")
    saver = subprocess.Popen(
        [sys.executable, "-c", "import os, sys; sys.stdin.read(1); os.rename('tasks.md~', 'tasks.md')"],
        cwd=desk.folder,
        stdin=subprocess.PIPE,
    )
    with saver:
        store = TaskFile(desk.path, lock=desk.lock, create=False)
        deadline = time.monotonic() + 30.0
        assert saver.stdin is not None
        saver.stdin.write(b"x")
        saver.stdin.flush()
        document = None
        while document is None and time.monotonic() < deadline:
            try:
                document = store.apply([AddTask(Task("t-3", "z"))])
            except TransientError:
                continue
        assert document is not None
    assert list(document.tasks) == ["t-1", "t-2", "t-3"]


def test_a_missing_file_is_made_only_where_that_was_asked_for(desk: Desk) -> None:
    desk.path.unlink()
    with pytest.raises(TransientError, match="missing"):
        TaskFile(desk.path, lock=desk.lock, create=False).apply([AddTask(Task("t-1", "x"))])
    assert not desk.path.exists()
    desk.store().apply([AddTask(Task("t-1", "x"))])
    assert desk.text == "## Pending\n\n[] t-1: x\n"


def test_somebody_who_saves_without_end_is_given_way(desk: Desk) -> None:
    swaps: list[Path] = []

    def swapping(one: Path, other: Path) -> None:
        if len(swaps) % 2 == 0:
            save_by_rename(desk.path, f"{TEXT}{len(swaps)}\n")
        swaps.append(one)
        exchange(one, other)

    with pytest.raises(TransientError, match="all the time"):
        TaskFile(desk.path, lock=desk.lock, exchange=swapping, patience=0.2).apply([START])
    last = f"{TEXT}{len(swaps) - 2}\n"
    assert desk.text == last
    desk.put_away()
    assert desk.text == last


# --- where it cannot be written -------------------------------------------------------------------------


def refusing(number: int) -> Exchange:
    def swapping(one: Path, other: Path) -> None:
        raise OSError(number, os.strerror(number), str(other))

    return swapping


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV])
def test_a_file_that_is_a_mount_of_its_own_is_said(desk: Desk, number: int) -> None:
    with pytest.raises(PermanentError, match=r"tasks\.md cannot be replaced.*mount the folder"):
        desk.store(refusing(number)).apply([START])
    assert (desk.text, desk.beside(), desk.kept()) == (TEXT, [], [])


def test_any_other_refusal_is_for_now(desk: Desk) -> None:
    with pytest.raises(TransientError, match=r"cannot change .*tasks\.md.*Read-only"):
        desk.store(refusing(errno.EROFS)).apply([START])
    assert (desk.text, desk.beside(), desk.kept()) == (TEXT, [], [])


def test_a_refusal_half_way_loses_nothing(desk: Desk) -> None:
    """The first swap brought out somebody's version, and putting it back is refused."""
    calls = []

    def swapping(one: Path, other: Path) -> None:
        calls.append(one)
        if len(calls) > 1:
            raise OSError(errno.EIO, "broken disk")
        save_by_rename(desk.path, TEXT + "saved\n")
        exchange(one, other)

    with pytest.raises(TransientError, match="broken disk"):
        desk.store(swapping).apply([START])
    desk.put_away()
    assert desk.text == STARTED + "saved\n"


def test_a_read_only_file_is_respected(desk: Desk) -> None:
    desk.path.chmod(0o444)
    with pytest.raises(TransientError, match="read-only"):
        desk.store().apply([START])
    assert desk.text == TEXT


def test_a_full_disk_leaves_the_file_whole(desk: Desk) -> None:
    desk.path.write_text(TEXT + "z" * 20_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    store = desk.store()
    store.settle()
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(TransientError, match=r"cannot change .*tasks\.md: File too large"):
            store.apply([START])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert desk.text == TEXT + "z" * 20_000
    assert (desk.beside(), desk.kept()) == ([], [])
    assert store.apply([START]).text == STARTED + "z" * 20_000


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no second file system at hand")
def test_replaced_versions_on_another_disk_stay_beside_the_file(desk: Desk) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        if Path(elsewhere).stat().st_dev == desk.folder.stat().st_dev:
            pytest.skip("no second file system at hand")
        desk.lock = Path(elsewhere) / "tasks.lock"
        desk.replaced = Path(elsewhere) / "replaced"
        store = desk.store()
        with desk.path.open("r+") as late:
            store.apply([START])
            assert len(desk.beside()) == 1
            late.write(TEXT + "late\n")
        desk.put_away()
        assert desk.text == STARTED + "late\n"


def test_a_lock_that_is_held_is_said(desk: Desk) -> None:
    desk.store().settle()
    with desk.lock.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TransientError, match=r"tasks\.lock"):
            TaskFile(desk.path, lock=desk.lock, patience=0.05).apply([START])


def test_a_folder_that_cannot_be_made_is_said(desk: Desk) -> None:
    desk.lock.parent.write_text("not a folder")
    with pytest.raises(OrchError):
        desk.store().apply([START])
    assert desk.store().read() is not None
    assert desk.text == TEXT


def test_replaced_versions_that_cannot_be_read_do_not_stop_a_look(desk: Desk) -> None:
    store = desk.store()
    store.apply([START])
    (desk.replaced / f"{'a' * 16}-{'b' * 16}-{'c' * 16}.old").mkdir()
    desk.ahead += WATCH_SECONDS
    assert store.read() is not None
    with pytest.raises(TransientError):
        store.settle()


# --- killed at any moment ---------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for kill -9: nothing runs after it but the next process."""


@STEPS
@pytest.mark.parametrize("edit", [False, True])
@pytest.mark.parametrize("moment", ["before the swap", "after the swap", "after the swap back"])
def test_killed_around_a_swap(desk: Desk, swap: Exchange, moment: str, edit: bool) -> None:
    swaps = []

    def swapping(one: Path, other: Path) -> None:
        swaps.append(one)
        if moment == "before the swap":
            raise Killed
        if edit and len(swaps) == 1:
            desk.path.write_text(TEXT + "typed\n")
        swap(one, other)
        if len(swaps) == (2 if moment == "after the swap back" and edit else 1):
            raise Killed

    with pytest.raises(Killed):
        desk.store(swapping).apply([START])
    desk.put_away()
    swapped = moment == "after the swap" or (moment == "after the swap back" and not edit)
    tail = "typed\n" if edit and moment != "before the swap" else ""
    assert desk.text == (STARTED if swapped else TEXT) + tail


@pytest.mark.parametrize("replaced_too", [False, True])
def test_killed_in_the_middle_of_a_swap_by_links(desk: Desk, replaced_too: bool) -> None:
    store = desk.store(lambda one, other: half_a_swap(one, other, replaced_too=replaced_too))
    with pytest.raises(Killed):
        store.apply([START])
    desk.put_away()
    assert desk.text == (STARTED if replaced_too else TEXT)


def half_a_swap(one: Path, other: Path, *, replaced_too: bool) -> None:
    os.link(other, one.with_name(one.name + KEPT))
    if replaced_too:
        one.replace(other)
    raise Killed


def test_leftovers_of_other_programs_are_left_alone(desk: Desk) -> None:
    (desk.folder / ".tasks.md.orch-notes").write_text("mine")
    (desk.folder / f".tasks.md.orch-part-{'a' * 16}").write_text("half")
    # A repository may hold a file of any name. It must not get tasks into the queue.
    forged = f".tasks.md.orch-{'a' * 16}-{'b' * 16}-{'c' * 16}"
    (desk.folder / forged).write_text("[] forged\n")
    desk.replaced.mkdir(parents=True)
    (desk.replaced / "lonely.base").write_text("x")
    (desk.replaced / "readme.old").write_text("x")
    desk.store().apply([START])
    assert desk.beside() == [forged, ".tasks.md.orch-notes"]
    desk.ahead += WATCH_SECONDS
    desk.store().settle()
    assert desk.text == STARTED
    assert "readme.old" in names(desk.replaced)
    assert "lonely.base" not in names(desk.replaced)


def test_what_a_kill_left_is_repaired_also_if_a_first_look_cannot(desk: Desk) -> None:
    def swapping(one: Path, other: Path) -> None:
        desk.path.write_text(TEXT + "typed\n")
        exchange(one, other)
        raise Killed

    with pytest.raises(Killed):
        desk.store(swapping).apply([START])
    desk.ahead += QUIET_SECONDS
    store = desk.store()
    with desk.lock.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        first = store.read()
    second = store.read()
    assert first is not None
    assert second is not None
    assert (first.document.text, second.document.text) == (STARTED, STARTED + "typed\n")


def test_an_edit_whose_base_is_lost_is_kept(desk: Desk) -> None:
    store = desk.store()
    with desk.path.open("r+") as late:
        store.apply([START])
        late.write(TEXT + "late\n")
    (base,) = desk.replaced.glob("*.base")
    base.unlink()
    desk.put_away()
    assert desk.text.startswith(STARTED)
    assert desk.text.endswith("late\n")


# --- storms -----------------------------------------------------------------------------------------------

QUEUE = (
    "# Queue\n\n## Pending\n\n"
    + "".join(f"[] t-{number}: title {number}\n" for number in range(1, 9))
    + "\n## Active\n\n## Notes\n\nwords\n"
)
STYLES = ["in_place", "in_place_slowly", "overwrite", "rename", "backup", "sed"]


def type_much(desk: Desk, count: int, styles: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.adapters.editors", str(desk.path), "0", str(count), *styles],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def check_storm(desk: Desk, editor: "subprocess.Popen[str]", count: int) -> None:
    assert editor.stdout is not None
    assert editor.stdout.read().split() == [str(number) for number in range(count)]
    assert editor.returncode == 0
    desk.put_away()
    typed = [int(number) for number in re.findall(r"\btyped-(\d+)", desk.text)]
    assert sorted(set(typed)) == list(range(count))
    document = parse(desk.text)
    assert sorted(document.tasks) == [f"t-{number}" for number in range(1, 9)]
    assert document.problems == ()


@pytest.mark.parametrize("styles", [STYLES, STYLES[:3]], ids=["all", "in place"])
def test_no_edit_is_lost_while_orch_writes(desk: Desk, styles: list[str]) -> None:
    desk.path.write_text(QUEUE)
    store, chance = desk.store(), random.Random(7)  # noqa: S311 - the same storm each time
    changes = 0
    with type_much(desk, 300, styles) as editor:
        while editor.poll() is None:
            changes += toggle(store, chance, changes)
        assert changes > 0
        check_storm(desk, editor, 300)


def test_no_edit_is_lost_while_orch_is_killed_again_and_again(desk: Desk) -> None:
    desk.path.write_text(QUEUE)
    chance = random.Random(11)  # noqa: S311 - the same kills each time
    kills = 0
    with type_much(desk, 300, STYLES) as editor:
        while editor.poll() is None:
            with applying(desk, kills) as worker:
                assert worker.stdout is not None
                assert worker.stdout.readline()
                for _ in range(chance.randrange(40)):
                    worker.stdout.readline()
                worker.send_signal(signal.SIGKILL)
            kills += 1
        assert kills > 0
        check_storm(desk, editor, 300)


def applying(desk: Desk, seed: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.adapters.applying", str(desk.path), str(seed)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def test_several_processes_change_the_file_at_once(desk: Desk) -> None:
    desk.path.write_text("## Pending\n")
    program = """
import sys
from pathlib import Path
from orch.adapters.store.task_file import TaskFile
from orch.core.actions import AddTask
from orch.core.model import Task
path, first = Path(sys.argv[1]), int(sys.argv[2])
store = TaskFile(path, lock=path.parent / ".orch" / "tasks.lock")
for number in range(first, first + 25):
    store.apply([AddTask(Task(f"t-{number}", "x"))])
"""
    workers = [
        subprocess.Popen([sys.executable, "-c", program, str(desk.path), str(first)], cwd=ROOT)
        for first in (100, 200, 300)
    ]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert len(parse(desk.text).tasks) == 75


@pytest.fixture(autouse=True)
def _no_leftovers_in_the_project() -> Iterator[None]:
    yield
    assert not list(ROOT.glob(".tasks.md.orch-*"))
