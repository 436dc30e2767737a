"""The event log: one contract for the fake and the real one, then the file itself."""

import json
import os
import resource
from pathlib import Path, PosixPath
from typing import Any, Self

import pytest

from orch.adapters.store.events_file import KEPT, WAITING, EventsFile
from orch.core.metrics import Event
from orch.core.model import RunKey
from orch.ports import EventLog
from tests.fakes.events import FakeEventLog

ONE = Event(1_763_642_400.25, "launched", "claude started", "t-3", 2)
TWO = Event(1_763_642_401.0, "paused", "lunch")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".orch" / "events.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class FullDisk:
    """Nothing can be written into `folder` while this is entered: for root neither, as it is no folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        if self._folder.is_dir():
            self._folder.rename(self._folder.with_name("away"))
        self._folder.write_text("in the way")

    def __exit__(self, *_: object) -> None:
        self._folder.unlink()
        if (away := self._folder.with_name("away")).is_dir():
            away.rename(self._folder)


@pytest.mark.parametrize("kind", ["fake", "real"])
def test_events_are_kept_in_order_and_none_is_lost_to_a_full_disk(path: Path, kind: str) -> None:
    warned: list[str] = []
    fake, real = FakeEventLog(), EventsFile(path, warn=warned.append)
    log: EventLog = fake if kind == "fake" else real
    log.append([ONE])
    fake.full = True
    with FullDisk(path.parent):
        log.append([TWO])
        log.append([ONE])
    fake.full = False
    log.append([])
    log.append([TWO])
    kinds = [event.kind for event in fake.written] if kind == "fake" else [e["kind"] for e in lines(path)]
    assert kinds == ["launched", "paused", "launched", "paused"]
    assert len(warned) == (kind == "real"), "told once"


def test_a_line_says_all_that_is_known(path: Path) -> None:
    EventsFile(path, warn=pytest.fail).append([ONE, TWO])
    one, two = lines(path)
    assert one == {
        "version": 1,
        "at": 1_763_642_400.25,
        "time": "2025-11-20T12:40:00.250+00:00",
        "kind": "launched",
        "message": "claude started",
        "task": "t-3",
        "attempt": 2,
        "run": "t-3/2",
        "worker": RunKey("t-3", 2).worker,
    }
    assert two.keys() == {"version", "at", "time", "kind", "message"}


def test_secrets_and_what_is_not_utf8_do_not_get_into_it(path: Path) -> None:
    EventsFile(path, warn=pytest.fail).append(
        [Event(1.0, "error", f"push to https://me:{'p' * 20}@example.com failed\udcff")]
    )
    assert lines(path)[0]["message"] == "push to https://***@example.com failed?"


def test_it_is_rotated_and_so_many_older_files_are_kept(path: Path) -> None:
    log = EventsFile(path, warn=pytest.fail, limit=200)
    for number in range(30):
        log.append([Event(float(number), "error", f"number {number} {'x' * 100}")])
    names = sorted(entry.name for entry in path.parent.iterdir())
    assert names == ["events.jsonl", *(f"events.jsonl.{number}" for number in range(1, KEPT + 1))]
    told = [lines(path.with_name(name))[0]["at"] for name in names]
    assert told[1:] == sorted(told[1:], reverse=True), "the latest is number 1"
    assert lines(path)[-1]["at"] == 29.0


def test_a_line_that_was_cut_off_spoils_no_other(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"version":1,"ki')
    EventsFile(path, warn=pytest.fail).append([TWO])
    assert json.loads(path.read_text().splitlines()[1])["kind"] == "paused"


def test_a_write_that_stops_in_the_middle_is_taken_back(path: Path) -> None:
    warned: list[str] = []
    log = EventsFile(path, warn=warned.append)
    log.append([ONE])
    whole = path.read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, before[1]))  # Python ignores SIGXFSZ
    try:
        log.append([TWO])
        assert path.read_bytes() == whole
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    log.append([])
    assert [line["kind"] for line in lines(path)] == ["launched", "paused"]
    assert len(warned) == 1


class ScarcePath(PosixPath):
    """A path that takes more memory than there is, once."""

    lacks = True

    @property
    def parent(self) -> Self:
        if self.lacks:
            type(self).lacks = False
            raise MemoryError
        return super().parent


def test_without_memory_events_are_kept_and_written_once(path: Path) -> None:
    warned: list[str] = []
    log = EventsFile(ScarcePath(path), warn=warned.append)
    log.append([ONE])
    assert "no memory" in warned[0]
    log.append([TWO])
    assert [event["kind"] for event in lines(path)] == ["launched", "paused"]


def test_while_it_cannot_be_written_the_memory_does_not_grow(path: Path) -> None:
    warned: list[str] = []
    log = EventsFile(path, warn=warned.append)
    with FullDisk(path.parent):
        for _ in range(WAITING + 50):
            log.append([TWO])
    log.append([ONE])
    assert len(lines(path)) == WAITING
    assert "51 events could not be written and are lost" in warned[-1]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_is_told_and_left_alone(path: Path, tmp_path: Path, kind: str) -> None:
    path.parent.mkdir()
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    warned: list[str] = []
    EventsFile(path, warn=warned.append).append([ONE])
    assert len(warned) == 1
    assert not (tmp_path / "elsewhere").exists()
