"""The person's own commands for what happens to the queue: `[hooks] on_...`.

Each runs under a guard, so that all that it starts ends with it, at its time limit, and when its coordinator
does. The facts are in its environment, never in the command: they are text that others wrote.
"""

import itertools
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from pathlib import Path

from orch.adapters import tails
from orch.adapters.executors.guarding import Command, Guarded
from orch.adapters.redaction import redact
from orch.adapters.store import atomic
from orch.core.announce import Announcement, Occasion
from orch.core.model import EndReason, Exit
from orch.core.values import dataclass
from orch.errors import OrchError, TransientError
from orch.threads import start_thread

log = logging.getLogger(__name__)

THREADS = 4
"""Hooks that run at the same time."""
WAITING = 100
"""Hooks that wait for their turn; more are left out, and the log says so."""
FACT_LENGTH = 4000
"""Characters of one fact: a variable of the environment has its limit."""
OUTPUT_BYTES = 1_000_000
"""A hook that prints more is ended."""
GRACE_SECONDS = 2.0
"""Between SIGTERM and SIGKILL."""
MARK = "ORCH_HOOK_ID"
"""In a hook's environment: by it all that it started is found."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """`[hooks]`."""

    commands: Mapping[Occasion, str] = field(default_factory=dict)
    """Lines for `sh -c`. An occasion without one is no hook."""
    seconds: float = 30.0
    """A hook that takes longer is ended."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The whole environment, to which the facts are added."""


class HookAnnouncer:
    """The Announcer. Its `hooks` may be replaced at any time; those that wait then run the new ones."""

    def __init__(
        self,
        root: Path,
        logs: Path,
        hooks: Hooks,
        *,
        wake: Callable[[str], None],
        start_thread: Callable[..., bool] = start_thread,
    ) -> None:
        """Hooks run in the folder `root`; what each prints goes to `logs`, a file for each occasion.

        `wake` is called, on a thread, when one is over; `start_thread` is for systems that have no more.
        """
        self._start = start_thread
        self.hooks = hooks
        self._root = root
        self._logs = logs
        self._wake = wake
        self._changed = threading.Condition()
        self._queue: deque[Announcement] = deque()
        self._threads = 0
        self._running: set[Command] = set()
        self._closed = False
        self._numbers = itertools.count(1)

    @property
    def pending(self) -> int:
        """See `Announcer`."""
        with self._changed:
            return len(self._queue) + len(self._running)

    def announce(self, news: Sequence[Announcement]) -> None:
        """See `Announcer`."""
        with self._changed:
            for each in news:
                if self._closed or not self.hooks.commands.get(each.occasion):
                    continue
                if len(self._queue) >= WAITING:
                    log.warning("the hook on_%s was left out: too many wait", each.occasion)
                    continue
                self._queue.append(each)
                if self._threads < THREADS:
                    self._start_thread()

    def close(self, seconds: float) -> None:
        """See `Announcer`."""
        with self._changed:
            self._closed = True
            if not self._changed.wait_for(lambda: not self._threads, seconds):
                left = len(self._queue) + len(self._running)
                log.warning("orch ends: %d hooks are ended or not started", left)
                self._queue.clear()
                for command in self._running:
                    command.stop()
                self._changed.wait_for(lambda: not self._threads, GRACE_SECONDS + 1.0)

    def _start_thread(self) -> None:
        """Have a thread take from the queue. The lock is held."""
        if self._start("hooks", self._serve):
            self._threads += 1
        elif not self._threads:
            log.warning("the system gives orch no more threads: %d hooks are left out", len(self._queue))
            self._queue.clear()

    def _serve(self) -> None:
        while True:
            with self._changed:
                if not self._queue:
                    self._threads -= 1
                    self._changed.notify_all()
                    break
                each = self._queue.popleft()
                command = self._command(each)
                self._running.add(command)
            problem = self._run(each, command)
            with self._changed:
                self._running.discard(command)
            if problem:
                context = {"task": each.task, "run": each.run}
                log.warning("the hook on_%s %s", each.occasion, problem, extra=context)
        self._wake("a hook is over")

    def _command(self, each: Announcement) -> Command:
        hooks = self.hooks
        facts = {name: redact(value.replace("\0", ""))[:FACT_LENGTH] for name, value in _facts(each).items()}
        mark = f"{os.getpid()}-{next(self._numbers)}-{time.monotonic_ns()}"
        return Command(
            Guarded(
                what=f"the hook on_{each.occasion}",
                command=hooks.commands.get(each.occasion, ""),
                folder=self._root,
                env={**hooks.env, **facts, "ORCH_PROJECT": str(self._root), MARK: mark},
                mark=MARK,
                log=self._log(each),
                timeout=hooks.seconds,
                grace=GRACE_SECONDS,
                output=OUTPUT_BYTES,
            )
        )

    def _log(self, each: Announcement) -> Path:
        return self._logs / f"on_{each.occasion}.log"

    def _run(self, each: Announcement, command: Command) -> str:
        """Run a hook to its end. Says what went wrong, '' if nothing did."""
        try:
            atomic.make_folder(self._logs)
            return _problem(command.run(), self._log(each))
        except TransientError as error:
            return "" if command.stopped else f"did not run: {error}"
        except (OrchError, OSError) as error:
            return f"did not run: {error}"
        except Exception:
            # Whatever it was, the others get their turn, and orch may end.
            log.exception("a bug in the hook on_%s", each.occasion)
            return ""


def _problem(exit: Exit, path: Path) -> str:
    if exit.ok or exit.reason is EndReason.STOPPED:
        return ""
    if exit.reason is not EndReason.EXITED:
        return f"was ended: {exit.message or exit.reason} (see {path})"
    how = f"was ended by signal {exit.signal}" if exit.signal else f"failed with exit code {exit.code}"
    said = tails.last_line(path)
    return f"{how}: {said} (see {path})" if said else f"{how} (see {path})"


def _facts(each: Announcement) -> dict[str, str]:
    """What a hook is told, by the names of its variables. A value that does not apply is empty."""
    return {
        "ORCH_EVENT": each.occasion.value,
        "ORCH_TIME": datetime.fromtimestamp(each.at, UTC).isoformat(timespec="seconds"),
        "ORCH_MESSAGE": each.message,
        "ORCH_TASK_ID": each.task,
        "ORCH_TITLE": each.title,
        "ORCH_ATTEMPT": str(each.attempt or ""),
        "ORCH_WORKER": each.run.worker if each.run else "",
        "ORCH_BRANCH": each.branch,
        "ORCH_AGENT": each.agent,
        "ORCH_PULL_URL": each.pull,
    }
