"""The request store: one contract for the fake and the real one, then what only files can suffer."""

import contextlib
import fcntl
import itertools
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from orch.adapters.store.requests import RequestFiles
from orch.core.model import ApproveRequest, PauseRequest, Request, RetryRequest, SendRequest, StopRequest
from orch.errors import PermanentError, TransientError
from orch.ports import RequestStore
from tests.adapters.crash import full_disk, killed_at
from tests.fakes.clock import FakeClock
from tests.fakes.requests import FakeRequestStore

STOP = StopRequest("gh-471", "no longer wanted")
STOP_NOW = StopRequest("gh-471", "at once", now=True)
STOP_ALL = StopRequest("", "the laptop is needed")
RETRY = RetryRequest("gh-471", fresh=True)
PAUSE = PauseRequest(paused=True, reason="lunch")
RESUME = PauseRequest(paused=False)
SEND = SendRequest("gh-471", "Use tabs.\n\tPlease.", "0f3a", restart=True)
ALL: tuple[Request, ...] = (STOP, STOP_ALL, RETRY, PAUSE, SEND)


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def files(tmp_path: Path, warnings: list[str]) -> RequestFiles:
    return RequestFiles(tmp_path / ".orch", warn=warnings.append)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the requests of `files` lie."""
    path = tmp_path / ".orch" / "requests"
    path.mkdir(parents=True)
    return path


@pytest.fixture(params=["fake", "real"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> RequestStore:
    return FakeRequestStore() if request.param == "fake" else RequestFiles(tmp_path / "x", warn=pytest.fail)


class TestContract:
    def test_nothing_is_asked_at_first(self, store: RequestStore) -> None:
        assert store.read() == ()
        assert store.paused() is None

    @pytest.mark.parametrize(
        "request_",
        [
            *ALL,
            STOP_NOW,
            RESUME,
            RetryRequest("t-3"),
            SendRequest("t-3", "", "1"),
            ApproveRequest("gh-7", "ab"),
        ],
        ids=str,
    )
    def test_what_was_asked_is_read_until_it_is_dismissed(
        self, store: RequestStore, request_: Request
    ) -> None:
        store.post(request_)
        store.post(request_)
        assert store.read() == store.read() == (request_,)
        store.dismiss(request_)
        store.dismiss(request_)
        assert store.read() == ()

    def test_requests_of_different_kinds_wait_side_by_side(self, store: RequestStore) -> None:
        for request in ALL:
            store.post(request)
        assert set(store.read()) == set(ALL)
        store.dismiss(RETRY)
        assert set(store.read()) == {STOP, STOP_ALL, PAUSE, SEND}

    def test_each_message_waits_for_itself(self, store: RequestStore) -> None:
        other = SendRequest(SEND.task, SEND.text, "0f3b")
        store.post(SEND)
        store.post(other)
        assert set(store.read()) == {SEND, other}
        store.dismiss(SEND)
        assert store.read() == (other,)

    def test_the_last_one_of_a_kind_counts(self, store: RequestStore) -> None:
        store.post(PAUSE)
        store.post(RESUME)
        store.post(STOP)
        store.post(STOP_NOW)
        assert set(store.read()) == {RESUME, STOP_NOW}

    def test_a_newer_request_is_not_dismissed_with_the_older_one(self, store: RequestStore) -> None:
        store.post(STOP)
        store.post(STOP_NOW)
        store.dismiss(STOP)
        assert store.read() == (STOP_NOW,)

    @pytest.mark.parametrize(
        "request_",
        [
            StopRequest("../x", ""),
            RetryRequest(""),
            ApproveRequest("7", "ab"),
            RetryRequest("471"),
            StopRequest("all", ""),
            SendRequest("../x", "", "1"),
        ],
    )
    def test_a_request_for_what_is_no_task_is_refused(self, store: RequestStore, request_: Request) -> None:
        with pytest.raises(PermanentError, match="is not a task id"):
            store.post(request_)
        with pytest.raises(PermanentError):
            store.dismiss(request_)

    def test_the_pause_is_remembered(self, store: RequestStore) -> None:
        store.set_paused("lunch")
        assert store.paused() == "lunch"
        store.set_paused("dinner")
        assert store.paused() == "dinner"
        store.set_paused(None)
        store.set_paused(None)
        assert store.paused() is None


class TestFiles:
    def test_one_file_for_each_kind_and_task(self, files: RequestFiles, folder: Path) -> None:
        for request in (*ALL, StopRequest("t-3", ""), STOP_NOW):
            files.post(request)
        assert sorted(path.name for path in folder.glob("*.json")) == [
            "pause.json",
            "retry-gh-471.json",
            "send-gh-471-0f3a.json",
            "stop-all.json",
            "stop-gh-471.json",
            "stop-t-3.json",
        ]

    def test_the_oldest_comes_first(self, files: RequestFiles, folder: Path) -> None:
        for request in ALL:
            files.post(request)
        for age, name in enumerate(
            ["pause.json", "stop-gh-471.json", "retry-gh-471.json", "stop-all.json", "send-gh-471-0f3a.json"]
        ):
            os.utime(folder / name, (age, age))
        assert files.read() == (PAUSE, STOP, RETRY, STOP_ALL, SEND)

    def test_a_message_has_no_name_that_leaves_the_folder(self, files: RequestFiles) -> None:
        with pytest.raises(PermanentError):
            files.post(SendRequest("t-1", "", "../x"))

    def test_a_script_may_write_a_request(self, files: RequestFiles, folder: Path) -> None:
        (folder / "stop-t-3.json").write_text('{"kind": "stop", "task": "t-3"}')
        assert files.read() == (StopRequest("t-3", ""),)

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("stop-t-3.json", b""),
            ("stop-t-3.json", b"\xff{"),
            ("stop-t-3.json", b'{"kind": "stop", "task": "t-4"}'),
            ("stop-t-3.json", b'{"kind": "retry", "task": "t-3"}'),
            ("stop-t-3.json", b'{"kind": "launch", "task": "t-3"}'),
            ("approve-gh-7.json", b'{"kind": "approve", "task": "gh-7"}'),
            ("stop-..json", b'{"kind": "stop", "task": "."}'),
            ("hello.json", b'{"kind": "stop", "task": "t-3"}'),
        ],
    )
    def test_a_bad_file_is_moved_aside_whole(
        self, files: RequestFiles, folder: Path, warnings: list[str], name: str, content: bytes
    ) -> None:
        files.post(RETRY)
        for _ in range(2):
            (folder / name).write_bytes(content)
            os.utime(folder / name, (1, 1))
            assert files.read() == (RETRY,)
            assert not (folder / name).exists()
        assert [path.read_bytes() for path in (folder / "bad").iterdir()] == [content, content]
        assert len(warnings) == 2
        assert name in warnings[0]
        assert "moved to" in warnings[0]

    def test_a_file_that_is_being_written_is_left_alone(self, folder: Path) -> None:
        clock = FakeClock()
        files = RequestFiles(folder.parent, warn=pytest.fail, now=clock.now)
        path = folder / "stop-t-3.json"
        path.write_text('{"kind": "st')
        for written in (clock.time - 0.9, clock.time, clock.time + 0.9):
            os.utime(path, (written, written))
            assert files.read() == ()
        path.write_text('{"kind": "stop", "task": "t-3"}')
        assert files.read() == (StopRequest("t-3", ""),)

    def test_what_is_no_plain_file_is_moved_aside(self, files: RequestFiles, folder: Path) -> None:
        os.mkfifo(folder / "pause.json")
        (folder / "stop-t-1.json").symlink_to("/etc/passwd")
        (folder / "stop-t-2.json").mkdir()
        for path in folder.iterdir():
            os.utime(path, (1, 1), follow_symlinks=False)
        assert files.read() == ()
        assert len(list((folder / "bad").iterdir())) == 3

    def test_names_that_mean_nothing_are_ignored(
        self, files: RequestFiles, folder: Path, warnings: list[str]
    ) -> None:
        for name in ("README", ".stop-t-1.json", "stop-t-1.json~"):
            (folder / name).write_text("x")
            os.utime(folder / name, (1, 1))
        assert files.read() == ()
        assert warnings == []

    def test_a_bad_file_that_cannot_be_moved_is_told_once(
        self, files: RequestFiles, folder: Path, warnings: list[str]
    ) -> None:
        files.post(RETRY)
        (folder / "bad").write_text("in the way")
        (folder / "stop-t-3.json").write_text("x")
        os.utime(folder / "stop-t-3.json", (1, 1))
        assert files.read() == files.read() == (RETRY,)
        assert len(warnings) == 1
        assert "could not be moved aside" in warnings[0]

    def test_a_request_of_a_newer_orch_waits_for_it(
        self, files: RequestFiles, folder: Path, warnings: list[str]
    ) -> None:
        files.post(RETRY)
        content = '{"version": 2, "kind": "stop", "task": "t-3"}'
        (folder / "stop-t-3.json").write_text(content)
        os.utime(folder / "stop-t-3.json", (1, 1))
        assert files.read() == files.read() == (RETRY,)
        assert (folder / "stop-t-3.json").read_text() == content
        assert len(warnings) == 1
        assert "newer orch" in warnings[0]
        files.dismiss(StopRequest("t-3", ""))
        assert (folder / "stop-t-3.json").exists()

    def test_a_folder_that_is_none_could_not_be_looked_at(self, files: RequestFiles, folder: Path) -> None:
        folder.rmdir()
        folder.write_text("")
        with pytest.raises(TransientError, match="cannot read"):
            files.read()
        with pytest.raises(TransientError):
            files.post(STOP)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_file_of_somebody_else_stops_no_other(
        self, files: RequestFiles, folder: Path, warnings: list[str]
    ) -> None:
        files.post(RETRY)
        files.post(STOP)
        (folder / "stop-gh-471.json").chmod(0)
        assert files.read() == (RETRY,)
        assert "Permission denied" in warnings[0]

    @pytest.mark.parametrize("content", ["", "{", '{"version": 9}'])
    def test_a_pause_file_that_is_not_understood_pauses(
        self, files: RequestFiles, folder: Path, content: str
    ) -> None:
        (folder.parent / "pause.json").write_text(content)
        reason = files.paused()
        assert reason is not None
        assert "orch resume" in reason
        files.set_paused(None)
        assert files.paused() is None

    def test_a_pause_without_a_reason_is_a_pause(self, files: RequestFiles) -> None:
        files.set_paused("")
        assert files.paused()

    def test_a_full_disk_keeps_what_was_asked_before(self, files: RequestFiles) -> None:
        files.post(STOP)
        files.set_paused("lunch")
        with full_disk(10):
            with pytest.raises(TransientError):
                files.post(STOP_NOW)
            with pytest.raises(TransientError):
                files.set_paused("dinner")
        assert files.read() == (STOP,)
        assert files.paused() == "lunch"


class TestRaces:
    def test_a_kill_while_posting_leaves_the_old_request_or_the_new_one(self, tmp_path: Path) -> None:
        seen = set()
        for step in itertools.count():
            files = RequestFiles(tmp_path / str(step), warn=pytest.fail)
            files.post(STOP)
            killed = killed_at(step, partial(files.post, STOP_NOW))
            seen.add(files.read())
            files.post(STOP)
            assert files.read() == (STOP,)
            if not killed:
                break
        assert seen == {(STOP,), (STOP_NOW,)}

    def test_a_kill_while_dismissing_leaves_the_request_or_nothing(self, tmp_path: Path) -> None:
        seen = set()
        for step in itertools.count():
            files = RequestFiles(tmp_path / str(step), warn=pytest.fail)
            files.post(STOP)
            killed = killed_at(step, partial(files.dismiss, STOP))
            seen.add(files.read())
            files.dismiss(STOP)
            assert files.read() == ()
            if not killed:
                break
        assert seen == {(STOP,), ()}

    def test_no_request_is_lost_to_a_dismissal_of_the_one_before(self, tmp_path: Path) -> None:
        """A person posts numbered requests as fast as can be; each dismissal hits only what it read."""
        files = RequestFiles(tmp_path / ".orch", warn=pytest.fail)
        last = ""
        with subprocess.Popen([sys.executable, "-c", POSTER, str(tmp_path / ".orch")]) as poster:
            while poster.poll() is None or files.read():
                for request in files.read():
                    assert isinstance(request, StopRequest)
                    last = request.reason
                    with contextlib.suppress(TransientError):  # the poster holds the lock nearly always
                        files.dismiss(request)
        assert poster.returncode == 0
        assert last == "300"

    def test_a_lock_that_is_held_too_long_is_told(self, files: RequestFiles, folder: Path) -> None:
        with (folder / ".lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(TransientError, match="held by another orch"):
                files.post(STOP)
        files.post(STOP)
        assert files.read() == (STOP,)


POSTER = """
import sys
from pathlib import Path
from orch.adapters.store.requests import RequestFiles
from orch.core.model import StopRequest
from orch.errors import TransientError
files = RequestFiles(Path(sys.argv[1]), warn=sys.exit)
for number in range(1, 301):
    while True:
        try:
            files.post(StopRequest("t-1", str(number)))
            break
        except TransientError as error:
            print(error)
"""
