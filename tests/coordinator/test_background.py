"""Slow calls on daemon threads."""

import errno
import queue
import threading
from collections.abc import Callable
from itertools import groupby

import pytest

from orch.coordinator.background import ACTIONS, THREADS, Background, perform
from orch.coordinator.loop import count_threads
from orch.core.actions import Action, Poll, Remove, Result, Verify
from orch.core.model import ForgePolicy, Policy, RunKey
from orch.errors import ConfigError, PermanentError, ShortageError, TransientError
from orch.threads import start_thread

SECONDS = 20.0


class Posted:
    """Where the results come."""

    def __init__(self, threads: int = THREADS, **ways: Callable[..., bool]) -> None:
        self.queue: queue.Queue[Result] = queue.Queue()
        self.background = Background(self.queue.put, threads=threads, **ways)

    def next(self) -> Result:
        return self.queue.get(timeout=SECONDS)


@pytest.fixture
def posted() -> Posted:
    return Posted()


def test_a_result_comes_back(posted: Posted) -> None:
    posted.background.submit("t-1", Remove("t-1"), lambda: 42)
    assert posted.next() == Result(Remove("t-1"), 42)
    assert posted.background.wait_until_idle(SECONDS)
    assert posted.background.pending == 0


def test_what_is_under_way_is_not_started_twice(posted: Posted) -> None:
    go, calls = threading.Event(), []

    def work() -> None:
        calls.append(1)
        go.wait(SECONDS)

    for _ in range(3):
        posted.background.submit("t-1", Remove("t-1"), work)
    assert posted.background.pending == 1
    assert not posted.background.wait_until_idle(0)
    go.set()
    posted.next()
    posted.background.wait_until_idle(SECONDS)
    assert calls == [1]


def test_actions_of_one_task_come_one_after_the_other(posted: Posted) -> None:
    go = threading.Event()
    running: list[str] = []
    order: list[str] = []

    def work(name: str) -> None:
        assert not running
        running.append(name)
        go.wait(SECONDS)
        order.append(running.pop())

    posted.background.submit("t-1", Remove("t-1"), lambda: work("first"))
    posted.background.submit("t-1", Poll(), lambda: work("second"))
    posted.background.submit("t-2", Remove("t-2"), lambda: order.append("other"))
    assert posted.next().action == Remove("t-2")
    go.set()
    assert [posted.next().failure, posted.next().failure] == [None, None]
    assert order == ["other", "first", "second"]


def test_many_tasks_share_few_threads_but_verify_holds_nobody_up(posted: Posted) -> None:
    go = threading.Event()
    for number in range(6):
        action: Action = Verify(RunKey(f"t-{number}", 1))
        posted.background.submit(f"t-{number}", action, lambda: go.wait(SECONDS))
    before = count_serving()
    for number in range(10, 40):
        posted.background.submit(f"t-{number}", Remove(f"t-{number}"), lambda: None)
    done = {posted.next().action for _ in range(30)}
    assert len(done) == 30
    assert count_serving() <= before + THREADS
    go.set()
    assert posted.background.wait_until_idle(SECONDS)


def count_serving() -> int:
    """The threads that take one action after the other; what runs the tests has some of its own."""
    return sum(thread.name.startswith("background-") for thread in threading.enumerate())


def test_slow_actions_of_different_tasks_run_at_the_same_time(posted: Posted) -> None:
    posted.background.submit("t-0", Remove("t-0"), lambda: None)
    posted.next()
    together = threading.Barrier(THREADS, timeout=SECONDS)
    for number in range(1, THREADS + 1):
        posted.background.submit(f"t-{number}", Remove(f"t-{number}"), together.wait)
    assert [posted.next().failure for _ in range(THREADS)] == [None] * THREADS


def test_what_belongs_to_no_task_does_not_count_as_pending(posted: Posted) -> None:
    go = threading.Event()
    posted.background.submit("", Poll(), lambda: go.wait(SECONDS))
    assert posted.background.pending == 0
    assert not posted.background.wait_until_idle(0)
    go.set()
    assert posted.background.wait_until_idle(SECONDS)


@pytest.mark.parametrize("action", [Remove("t-1"), Verify(RunKey("t-1", 1))])
def test_a_system_without_threads_fails_the_action(action: Action) -> None:
    posted = Posted(start_thread=lambda *_: False)
    posted.background.submit("t-1", action, lambda: None)
    failure = posted.next().failure
    assert failure is not None
    assert "no more threads" in failure.message
    assert failure.shortage
    assert posted.background.wait_until_idle(0)


def test_with_one_thread_to_be_had_everything_is_still_done() -> None:
    started: list[str] = []

    def once(name: str, target: Callable[..., None], *arguments: str) -> bool:
        started.append(name)
        return len(started) == 1 and start_thread(name, target, *arguments)

    posted = Posted(start_thread=once)
    for number in range(5):
        posted.background.submit(f"t-{number}", Remove(f"t-{number}"), lambda: None)
    assert len({posted.next().action for _ in range(5)}) == 5
    assert len(started) > 1


def test_a_thread_that_has_done_much_is_replaced() -> None:
    posted = Posted(threads=1)
    doers: list[int] = []

    def work() -> None:
        doers.append(threading.get_native_id())

    for number in range(2 * ACTIONS + 1):
        posted.background.submit(f"t-{number}", Remove(f"t-{number}"), work)
    assert posted.background.wait_until_idle(SECONDS)
    assert [len(list(turn)) for _, turn in groupby(doers)] == [ACTIONS, ACTIONS, 1]


@pytest.mark.parametrize(
    ("error", "permanent", "text"),
    [
        (TransientError("later", retry_after=3.0), False, "later"),
        (PermanentError("never", hint="give up"), True, "never (give up)"),
        (ConfigError("wrong"), False, "wrong"),
        (OSError(28, "No space left on device"), False, "[Errno 28] No space left on device"),
        (MemoryError(), False, "orch gets no more memory"),
        (ZeroDivisionError("oops"), False, "ZeroDivisionError: oops (a bug in orch)"),
    ],
)
def test_whatever_goes_wrong_is_told(error: Exception, permanent: bool, text: str) -> None:
    def work() -> object:
        raise error

    failure = perform(Poll(), work).failure
    assert failure is not None
    assert failure.permanent is permanent
    assert failure.message == text
    assert failure.retry_after == getattr(error, "retry_after", None)


def caused_by(cause: Exception) -> TransientError:
    error = TransientError("cannot write")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "shortage"),
    [
        (OSError(errno.ENOSPC, "full"), True),
        (OSError(errno.EMFILE, "files"), True),
        (OSError(errno.ENOENT, "gone"), False),
        (caused_by(OSError(errno.EROFS, "read-only")), True),
        (caused_by(OSError(errno.EACCES, "forbidden")), False),
        (caused_by(MemoryError()), True),
        (MemoryError(), True),
        (ShortageError("git was killed"), True),
        (TransientError("no network"), False),
        (PermanentError("never"), False),
    ],
)
def test_what_the_machine_lacks_is_told_apart(error: Exception, shortage: bool) -> None:
    def work() -> object:
        raise error

    failure = perform(Poll(), work).failure
    assert failure is not None
    assert failure.shortage is shortage


def test_so_many_threads_and_no_more() -> None:
    go = threading.Event()
    posted = Posted(threads=2)
    running = threading.Semaphore(0)

    def work() -> None:
        running.release()
        go.wait(SECONDS)

    for number in range(3):
        posted.background.submit(f"t-{number}", Remove(f"t-{number}"), work)
    for _ in range(2):
        assert running.acquire(timeout=SECONDS)
    assert not running.acquire(blocking=False)
    go.set()
    assert posted.background.wait_until_idle(SECONDS)


@pytest.mark.parametrize(
    ("forge", "workers", "threads"),
    [(ForgePolicy(), 8, 4), (ForgePolicy(intake=True), 3, 7), (ForgePolicy(follow=True), 256, 20)],
)
def test_a_forge_elsewhere_may_hold_a_thread_for_each_worker(
    forge: ForgePolicy, workers: int, threads: int
) -> None:
    assert count_threads(Policy(forge=forge, max_concurrent_workers=workers)) == threads
