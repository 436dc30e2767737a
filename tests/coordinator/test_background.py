"""Slow calls on daemon threads."""

import queue
import threading

import pytest

from orch.coordinator.background import THREADS, Background, perform
from orch.core.actions import Action, Poll, Remove, Result, Verify
from orch.core.model import RunKey
from orch.errors import ConfigError, PermanentError, TransientError

SECONDS = 20.0


class Posted:
    """Where the results come."""

    def __init__(self) -> None:
        self.queue: queue.Queue[Result] = queue.Queue()
        self.background = Background(self.queue.put)

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
    before = threading.active_count()
    for number in range(10, 40):
        posted.background.submit(f"t-{number}", Remove(f"t-{number}"), lambda: None)
    done = {posted.next().action for _ in range(30)}
    assert len(done) == 30
    assert threading.active_count() <= before + THREADS
    go.set()
    assert posted.background.wait_until_idle(SECONDS)


@pytest.mark.parametrize(
    ("error", "permanent", "text"),
    [
        (TransientError("later", retry_after=3.0), False, "later"),
        (PermanentError("never", hint="give up"), True, "never (give up)"),
        (ConfigError("wrong"), False, "wrong"),
        (OSError(28, "No space left on device"), False, "[Errno 28] No space left on device"),
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
