"""The one place to wait: real signals, real files, real threads."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.coordinator.mailbox import REST_SECONDS, Mailbox
from orch.coordinator.watcher import Watcher
from orch.core.state import Look, Signalled, Wake

SECONDS = 20.0


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as opened:
        yield opened


def collect(mailbox: Mailbox, count: int) -> list[Wake]:
    wakes: list[Wake] = []
    while len(wakes) < count:
        more = mailbox.wait(SECONDS)
        assert more, f"only {wakes} came"
        wakes.extend(more)
    return wakes


def test_time_is_up(mailbox: Mailbox) -> None:
    assert mailbox.wait(0.01) == ()
    assert mailbox.wait(-5) == ()


def test_a_thread_leaves_a_wake(mailbox: Mailbox) -> None:
    threading.Thread(target=lambda: mailbox.post(Look("hello"))).start()
    assert mailbox.wait(SECONDS) == (Look("hello"),)
    assert not mailbox.waiting


def test_more_rings_than_the_bell_holds_lose_nothing(mailbox: Mailbox) -> None:
    for number in range(20_000):
        mailbox.post(Look(str(number)))
    assert mailbox.waiting
    assert len(collect(mailbox, 20_000)) == 20_000


def test_signals_are_counted(mailbox: Mailbox) -> None:
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    wakes = collect(mailbox, 3)
    assert wakes.count(Signalled(signal.SIGTERM)) == 2
    assert wakes.count(Signalled(signal.SIGUSR1)) == 1


def test_a_dying_child_is_a_look_and_is_not_reaped(mailbox: Mailbox) -> None:
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"]) as child:
        assert mailbox.wait(SECONDS) == (Look("SIGCHLD"),)
        assert child.wait() == 7


class Scarce(Watcher):
    """Has no memory left for what it is asked first."""

    def __init__(self) -> None:
        super().__init__()
        self.lacks = True

    def changed(self) -> list[str]:
        if self.lacks:
            self.lacks = False
            raise MemoryError
        return super().changed()


def test_without_memory_nothing_that_came_is_lost(mailbox: Mailbox) -> None:
    mailbox.watch_with(Scarce())
    os.kill(os.getpid(), signal.SIGTERM)
    mailbox.post(Look("hello"))
    with pytest.raises(MemoryError):
        mailbox.wait(SECONDS)
    assert mailbox.wait(SECONDS) == (Signalled(signal.SIGTERM), Look("hello"))
    assert mailbox.wait(0.01) == ()


ALLOCATIONS = """
import os, signal, sys, _testcapi
from orch.coordinator.mailbox import Mailbox
from orch.core.state import Look, Signalled

posts, number, lacked = int(sys.argv[1]), 0, True
while lacked:
    number, lacked = number + 1, False
    with Mailbox() as mailbox:
        for name in (signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1):
            os.kill(os.getpid(), name)
        sent = [Look(str(post)) for post in range(posts)]
        for look in sent:
            mailbox.post(look)
        got = ()
        _testcapi.set_nomemory(number, number + 1)
        try:
            got = mailbox.wait(0.0)
        except MemoryError:
            lacked = True
        finally:
            _testcapi.remove_mem_hooks()
        got = (*got, *mailbox.wait(0.0))
    signals = [Signalled(name) for name in (signal.SIGUSR1, signal.SIGTERM, signal.SIGTERM)]
    assert sorted(map(str, got)) == sorted(map(str, [*signals, *sent])), (number, got)
print(number)
"""
"""Lets each request for memory of `wait` fail in turn, until there is none that could."""


@pytest.mark.parametrize("posts", [3, 600])
def test_whichever_request_for_memory_fails_nothing_is_lost_or_given_twice(posts: int) -> None:
    pytest.importorskip("_testcapi", reason="this Python cannot let memory be lacking")
    done = subprocess.run(
        [sys.executable, "-c", ALLOCATIONS, str(posts)],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10, "memory was lacking"


def test_while_nobody_waits_no_signal_is_lost(mailbox: Mailbox) -> None:
    """The bell holds some hundred bytes, and what does not fit is not heard."""
    resting = threading.Thread(target=mailbox.rest, args=(1.0,))
    resting.start()
    for number in range(1000):
        mailbox.post(Look(str(number)))
        if number % 100 == 99:
            time.sleep(2 * REST_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    resting.join()
    mailbox.rest(2 * REST_SECONDS)
    began = time.monotonic()
    wakes = mailbox.wait(10 * SECONDS)
    assert time.monotonic() - began < SECONDS, "it waits for what is there"
    assert Signalled(signal.SIGTERM) in wakes
    assert len(wakes) == 1001


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with Mailbox():
        assert signal.getsignal(signal.SIGUSR1) is not before
    assert signal.getsignal(signal.SIGUSR1) is before


def test_a_post_after_the_end_is_lost_quietly() -> None:
    mailbox = Mailbox()
    mailbox.close()
    mailbox.post(Look("late"))


@pytest.fixture(params=["inotify", "looking"])
def watching(request: pytest.FixtureRequest, mailbox: Mailbox, tmp_path: Path) -> Mailbox:
    if request.param == "looking":
        # What systems without inotify use; here it is chosen, there it is all there is.
        mailbox.watch_with(Watcher())
    elif sys.platform != "linux":
        pytest.skip("only Linux has inotify")
    (tmp_path / "requests").mkdir()
    (tmp_path / "tasks.md").write_text("one\n")
    mailbox.watch([tmp_path / "tasks.md"], [tmp_path / "requests"])
    # Where inotify is looked for the first time, ldconfig is run for that: it has ended by now.
    mailbox.wait(0.0)
    return mailbox


def test_saving_in_place_wakes(watching: Mailbox, tmp_path: Path) -> None:
    (tmp_path / "tasks.md").write_text("two words\n")
    assert Look("tasks.md changed") in watching.wait(SECONDS)


def test_saving_by_rename_wakes(watching: Mailbox, tmp_path: Path) -> None:
    (tmp_path / "new").write_text("other\n")
    (tmp_path / "new").rename(tmp_path / "tasks.md")
    assert Look("tasks.md changed") in watching.wait(SECONDS)


def test_anything_new_in_a_folder_wakes(watching: Mailbox, tmp_path: Path) -> None:
    (tmp_path / "requests" / "stop.json").write_text("{}")
    assert watching.wait(SECONDS)


def test_other_files_wake_nobody(watching: Mailbox, tmp_path: Path) -> None:
    began = time.monotonic()
    (tmp_path / "other.txt").write_text("x")
    assert watching.wait(0.2) == ()
    assert time.monotonic() - began >= 0.2, "it came back before its time"


def test_what_cannot_be_watched_is_looked_at(mailbox: Mailbox, tmp_path: Path) -> None:
    away = tmp_path / "not there yet" / "tasks.md"
    mailbox.watch([away], [])
    away.parent.mkdir()
    away.write_text("x")
    # A child of another test may end at any time: its SIGCHLD is nothing here.
    heard = (wake for _ in range(20) for wake in mailbox.wait(SECONDS))
    assert Look("tasks.md changed") in heard
    (tmp_path / "tasks.md").write_text("one\n")
    mailbox.watch([tmp_path / "tasks.md"], [])
    (tmp_path / "tasks.md").write_text("other\n")
    assert Look("tasks.md changed") in mailbox.wait(SECONDS)


def test_the_file_behind_a_link_is_watched(mailbox: Mailbox, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "queue.md").write_text("one\n")
    (tmp_path / "tasks.md").symlink_to("real/queue.md")
    mailbox.watch([tmp_path / "tasks.md"], [])
    (tmp_path / "real" / "queue.md").write_text("two\n")
    assert mailbox.wait(SECONDS)


def test_watching_again_watches_other_files(watching: Mailbox, tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("one\n")
    watching.watch([tmp_path / "other.md"], [])
    (tmp_path / "other.md").write_text("other\n")
    assert Look("other.md changed") in watching.wait(SECONDS)
