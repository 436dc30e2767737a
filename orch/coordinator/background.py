"""Slow calls, off the thread that owns the state."""

import errno
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable
from contextvars import ContextVar

from orch.core.actions import (
    Action,
    Ask,
    End,
    Ensure,
    Failure,
    Finish,
    Inspect,
    MakeRun,
    Publish,
    Remove,
    Result,
    Start,
    Sweep,
    Verify,
)
from orch.core.model import RunKey
from orch.errors import OrchError, PermanentError, ShortageError, TransientError
from orch.threads import start_thread

log = logging.getLogger(__name__)

THREADS = 4
"""Git and the forge at the same time."""
ACTIONS = 256
"""So many a thread takes on, then another takes its place: glibc keeps what a thread has freed for it until
it ends, and keeps more and more of it for hours (measured: 0.1 MB more each after 10,000 actions)."""

ALONE = (Verify, MakeRun, Finish)
"""These have a thread of their own each: a verify command takes minutes, and must not keep git from the
others; the disk takes milliseconds to make something durable, and neither is to wait for the other."""

SHORTAGES = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS),
        *(errno.EMFILE, errno.ENFILE),
        *(errno.ENOMEM, errno.EAGAIN),
    }
)
"""What the system says where there is no disk, no file handle, no memory or no process to be had."""

Work = Callable[[], object]

_at_work_on: ContextVar[tuple[str, RunKey | None]] = ContextVar("at_work_on", default=("", None))


def at_work_on() -> tuple[str, RunKey | None]:
    """The task and the run that the present thread works for: what an adapter logs then is about these."""
    return _at_work_on.get()


def perform(action: Action, work: Work) -> Result:
    """Do an action now; whatever goes wrong becomes its failure, so that it is decided on."""
    token = _at_work_on.set(_subject(action))
    log.debug("does %s", type(action).__name__)
    try:
        return _perform(action, work)
    finally:
        _at_work_on.reset(token)


def _subject(action: Action) -> tuple[str, RunKey | None]:
    """What an action is about."""
    match action:
        case Start(run) | Inspect(run):
            return run.key.task, run.key
        case (
            MakeRun(run=key)
            | Ensure(run=key)
            | Ask(run=key)
            | End(run=key)
            | Sweep(run=key)
            | Verify(run=key)
            | Publish(run=key)
            | Finish(run=key)
        ):
            return key.task, key
        case Remove(task):
            return task, None
        case _:
            return "", None


def _perform(action: Action, work: Work) -> Result:
    try:
        return Result(action, work())
    except TransientError as error:
        failure = Failure(str(error), retry_after=error.retry_after, shortage=_is_shortage(error))
        return Result(action, failure=failure)
    except PermanentError as error:
        return Result(action, failure=Failure(str(error), permanent=True))
    except (OrchError, OSError) as error:
        # A full disk, a missing file, no descriptors left: the world, not the code.
        return Result(action, failure=Failure(str(error), shortage=_is_shortage(error)))
    except MemoryError:
        return Result(action, failure=Failure("orch gets no more memory", shortage=True))
    except Exception as error:
        log.exception("a bug in %s", type(action).__name__)
        return Result(action, failure=Failure(f"{type(error).__name__}: {error} (a bug in orch)"))


def _is_shortage(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that the machine lacks something."""
    while error is not None:
        if isinstance(error, ShortageError | MemoryError):
            return True
        if isinstance(error, OSError) and error.errno in SHORTAGES:
            return True
        error = error.__cause__
    return False


class Background:
    """Runs actions on daemon threads, those of one task one after the other.

    A thread pool from the standard library would hold up the exit by its slowest call; daemon
    threads do not. An action that is under way or queued already is not started twice.
    """

    def __init__(
        self,
        post: Callable[[Result], None],
        *,
        threads: int = THREADS,
        start_thread: Callable[..., bool] = start_thread,
    ) -> None:
        """`post` gets the results, on at most so many `threads`.

        `start_thread` is for systems that have no more.
        """
        self._post = post
        self._start_thread = start_thread
        self._limit = threads
        self._changed = threading.Condition()
        self._queues: dict[str, deque[tuple[Action, Work]]] = {}
        """By task. The first entry of a queue is under way or waits for a thread."""
        self._ready: deque[str] = deque()
        self._idle = 0
        self._threads = 0
        self._open: Counter[str] = Counter()
        """By task: what is under way, queued, or done but not yet posted."""

    @property
    def pending(self) -> int:
        """How many actions on tasks have not been posted yet; the general ones, such as Poll, do not count.

        Whoever sees 0 has all results.
        """
        with self._changed:
            return self._open.total() - self._open[""]

    def submit(self, task: str, action: Action, work: Work) -> None:
        """Have `work` done for `action` after whatever is under way for `task`.

        What belongs to no task has the task ''.
        """
        with self._changed:
            queue = self._queues.setdefault(task, deque())
            if any(known == action for known, _ in queue):
                return
            queue.append((action, work))
            self._open[task] += 1
            if len(queue) == 1:
                self._schedule(task)

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait for everything under way, at most `timeout` seconds; whether it came to an end."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open.total(), timeout)

    def _schedule(self, task: str) -> None:
        """Give the task's first action to a thread. The lock is held."""
        action = self._queues[task][0][0]
        if isinstance(action, ALONE):
            name = f"{type(action).__name__.lower()}-{task}"
            if not self._start_thread(name, self._serve_one, task):
                self._fail(task)
            return
        self._ready.append(task)
        if len(self._ready) > self._idle and self._threads < self._limit:
            if self._start_thread(f"background-{self._threads + 1}", self._serve):
                self._threads += 1
            elif not self._threads:
                self._ready.pop()
                self._fail(task)
                return
        self._changed.notify_all()

    def _fail(self, task: str) -> None:
        """Give up the actions of a task for which no thread can be had. The lock is held."""
        for action, _ in self._queues.pop(task):
            failure = Failure("the system gives orch no more threads", shortage=True)
            self._post(Result(action, failure=failure))
            self._forget(task)

    def _forget(self, task: str) -> None:
        """An action of the task is done and posted. The lock is held."""
        self._open[task] -= 1
        if not self._open[task]:
            del self._open[task]
        self._changed.notify_all()

    def _serve(self) -> None:
        while True:
            for _ in range(ACTIONS):
                with self._changed:
                    while not self._ready:
                        self._idle += 1
                        self._changed.wait()
                        self._idle -= 1
                    task = self._ready.popleft()
                self._serve_one(task)
            if self._start_thread(threading.current_thread().name, self._serve):
                return  # That one goes on.

    def _serve_one(self, task: str) -> None:
        with self._changed:
            action, work = self._queues[task][0]
        result = perform(action, work)
        with self._changed:
            queue = self._queues[task]
            queue.popleft()
            if queue:
                self._schedule(task)
            else:
                del self._queues[task]
        self._post(result)
        with self._changed:
            self._forget(task)
