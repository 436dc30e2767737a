"""The state while it is being decided on. Rules read what was seen and change the draft. Pure."""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from orch.core.actions import Action, Change, WriteTasks
from orch.core.metrics import Event
from orch.core.model import Phase, Policy, Run, RunKey, Status, Task
from orch.core.state import Decision, Seen, State


def take_up(run: Run) -> Run:
    """A run as it was found on disk, so that it is gone on with."""
    if run.phase is Phase.RUNNING:
        # The active mark is written before the launch: another mark is a person's edit.
        return run.evolve(marked=True)
    return run.evolve(retry_at=0.0) if run.phase is Phase.CLAIMING else run


class Draft:
    """Collects what the rules decide; `decision()` closes it."""

    def __init__(self, state: State, seen: Seen, policy: Policy) -> None:
        self.before = state
        self.state = state
        self.seen = seen
        self.policy = policy
        self.now = seen.now
        self.runs: dict[str, Run] = dict(state.runs)
        self.live: set[str] = set(state.live)
        self._recall: set[str] = set()
        self._recalled: set[str] = set()
        """What was looked up, and was wanted."""
        self.actions: list[Action] = []
        self.changes: list[Change] = []
        self.wake_at = math.inf
        self._events: list[Event] = []
        self._moved = False
        for name, run in seen.recalled.items():
            if run is not None and name not in self.runs:
                self.put(take_up(run))
        self._zone = timezone(timedelta(seconds=seen.utc_offset)) if seen.utc_offset else UTC

    def change(self, **fields: Any) -> None:
        """Change fields of the state."""
        self.state = self.state.evolve(**fields)

    def put(self, run: Run) -> Run:
        """Keep a changed run."""
        self.runs[run.key.task] = run
        (self.live.add if run.live else self.live.discard)(run.key.task)
        self._moved = True
        return run

    def run(self, key: RunKey) -> Run | None:
        """The run of that very attempt, if it is still live."""
        run = self.runs.get(key.task)
        return run if run is not None and run.key == key and run.live else None

    @property
    def recalls(self) -> bool:
        """Whether something waits for the next look, at which it is known what is on disk."""
        return bool(self._recall)

    def recall(self, name: str) -> bool:
        """Whether it is known how the latest run of a task went, if any. If not, it is looked up."""
        if name in self.seen.recalled:
            self._recalled.add(name)
            return True
        if name in self.runs:
            return True
        self._recall.add(name)
        if name not in self.before.recall:
            self.wake(self.now)
        return False

    def task(self, name: str) -> Task | None:
        """The task's line as last seen."""
        document = self.state.document
        return document.tasks.get(name) if document else None

    def act(self, action: Action) -> None:
        """Ask for an action."""
        self.actions.append(action)

    def write(self, change: Change) -> None:
        """Ask for a change to tasks.md."""
        self.changes.append(change)

    def wake(self, at: float) -> None:
        """Look again at `at` (seconds since the epoch) at the latest."""
        self.wake_at = min(self.wake_at, at)

    def note(self, kind: str, message: str, run: RunKey | None = None, *, task: str = "") -> None:
        """Put an event into the history."""
        name, attempt = (run.task, run.attempt) if run else (task, 0)
        event = Event(at=self.now, kind=kind, message=message, task=name, attempt=attempt)
        self._events.append(event)
        self.change(metrics=self.state.metrics.note(event))

    def count(self, **amounts: int) -> None:
        """Add to counters of the metrics."""
        metrics = self.state.metrics
        self.change(metrics=metrics.evolve(**{k: getattr(metrics, k) + n for k, n in amounts.items()}))

    def notice(self, about: str, message: str | None) -> None:
        """Show `message` until it is taken back with None."""
        notices = dict(self.state.notices)
        if notices.get(about) == message:
            return
        if message is None:
            del notices[about]
        else:
            notices[about] = message
        self.change(notices=notices)

    def stamp(self, at: float) -> str:
        """A time as people read it in tasks.md: local, to the second."""
        return datetime.fromtimestamp(at, self._zone).strftime("%Y-%m-%d %H:%M:%S")

    @property
    def today(self) -> str:
        """The local date, YYYY-MM-DD."""
        return self.stamp(self.now)[:10]

    @property
    def midnight(self) -> float:
        """When the next local day begins, seconds since the epoch."""
        tomorrow = datetime.fromtimestamp(self.now, self._zone).date() + timedelta(days=1)
        return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=self._zone).timestamp()

    def decision(self) -> Decision:
        """Close the draft."""
        if self.changes:
            if self.now >= self.state.retry_writes_at:
                self.act(WriteTasks(tuple(self.changes)))
            else:
                self.wake(self.state.retry_writes_at)
        self._forget_runs()
        if self._events or self.state.events:
            self.change(events=tuple(self._events))
        if self._moved:
            self.change(runs=self.runs, live=frozenset(self.live))
        # What is missing is decided upon together with what is known by now: else one task after the other
        # might be looked up and let go of without end.
        recall = frozenset(self._recall | self._recalled if self._recall else ())
        if recall != self.state.recall:
            self.change(recall=recall)
        return Decision(self.state, tuple(self.actions), self.wake_at)

    def _forget_runs(self) -> None:
        """Let go of the runs that are over and of which nothing follows any more."""
        document = self.state.document
        if document is None:
            return
        for name in self.runs.keys() - self.live:
            task, outcome = document.tasks.get(name), self.runs[name].outcome
            status = task.status if task else None
            waits = outcome is not None and outcome.retry_at is not None and status is Status.PENDING
            if not waits and status is not Status.ACTIVE:
                del self.runs[name]
                self._moved = True
