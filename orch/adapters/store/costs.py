"""`.orch/costs.jsonl`: one line for each run that has cost something, for good.

The run directories are removed after a while; budgets of tasks and the question what a month has cost
need them all. A line is written before outcome.json, so a run that is over is always in here. Where orch
is killed in between it writes the line again: a reader takes the first one of a run.

A line is a JSON object. One that was cut off by a power loss or a full disk is no line: the run is then
not over, and is written again. The number of a run is given again where the run directories are lost, so
a run is known by the time of its claim, too.
"""

import errno
import io
import os
import stat
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from orch.adapters.store import atomic
from orch.core.costs import Cost, Expense, Spending
from orch.core.model import Outcome, RunKey


class CostFile:
    """The CostStore on disk."""

    def __init__(self, path: Path) -> None:
        """`path` is `.orch/costs.jsonl`; it is made when there is something to write."""
        self._path = path
        self._written: set[tuple[str, int, float]] = set()

    def read(self, now: float, live: Collection[RunKey]) -> Spending:
        """See `ports.CostStore`."""
        today, day = Cost(), _day(now)
        tasks: dict[str, Cost] = {}
        for expense in self.expenses():
            if RunKey(expense.task, expense.attempt) in live:
                continue
            cost = Cost(expense.usd, expense.tokens)
            tasks[expense.task] = tasks.get(expense.task, Cost()) + cost
            if _day(expense.ended_at) == day:
                today += cost
        return Spending(day, today, tasks)

    def record(self, run: RunKey, outcome: Outcome) -> None:
        """See `ports.CostStore`. A run that has cost nothing is not written."""
        key = (run.task, run.attempt, outcome.claimed_at)
        if key in self._written or not (outcome.cost_usd or outcome.tokens):
            return
        expense = Expense(
            task=run.task,
            attempt=run.attempt,
            claimed_at=outcome.claimed_at,
            ended_at=outcome.ended_at,
            agent=outcome.agent,
            model=outcome.model,
            kind=outcome.kind.value,
            usd=outcome.cost_usd,
            tokens=outcome.tokens,
            turns=outcome.turns,
        )
        atomic.make_folder(self._path.parent, durable=True)
        try:
            self._append(msgspec.json.encode(expense) + b"\n")
        except OSError as error:
            raise atomic.failure("write", self._path, error) from error
        self._written.add(key)

    def expenses(self) -> Iterator[Expense]:
        """Every run once, in the order of their ends. Raises TransientError where it cannot be read."""
        known: set[tuple[str, int, float]] = set()
        try:
            with self._open(os.O_RDONLY) as file:
                for line in file:
                    try:
                        expense = msgspec.json.decode(line, type=Expense)
                    except (msgspec.MsgspecError, UnicodeDecodeError):
                        continue  # It was cut off, see above.
                    key = (expense.task, expense.attempt, expense.claimed_at)
                    if key not in known:
                        known.add(key)
                        yield expense
        except FileNotFoundError:
            return
        except OSError as error:
            raise atomic.failure("read", self._path, error) from error

    def _append(self, line: bytes) -> None:
        """Write a line at the end, durably. Raises OSError; what is then there of it is no line."""
        new = not os.path.lexists(self._path)
        with self._open(os.O_RDWR | os.O_APPEND | os.O_CREAT) as file:
            size = file.seek(0, os.SEEK_END)
            if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
                line = b"\n" + line
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        if new:
            atomic.sync_folder(self._path.parent)

    def _open(self, flags: int) -> "io.FileIO | io.BufferedReader":
        """The file, opened. Raises OSError, also where it is a symbolic link or no plain file."""
        descriptor = os.open(self._path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is no plain file")
        if flags & os.O_RDWR:
            return io.FileIO(descriptor, "r+")
        return io.BufferedReader(io.FileIO(descriptor, "r"))


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(at))
