"""What work has cost, and what it may cost. Pure."""

from collections.abc import Mapping
from dataclasses import field

from orch.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """What was used."""

    usd: float = 0.0
    """US dollars."""
    tokens: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.usd + other.usd, self.tokens + other.tokens)

    def __bool__(self) -> bool:
        return bool(self.usd or self.tokens)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be used. None means no limit."""

    usd: float | None = None
    tokens: int | None = None

    @property
    def bounded(self) -> bool:
        """Whether there is a limit at all."""
        return self.usd is not None or self.tokens is not None

    def excess(self, used: Cost) -> str:
        """What was used of what, for a person, where nothing is left: `$2.53 of $2.50`; else ''."""
        if self.usd is not None and used.usd >= self.usd:
            return f"${used.usd:.2f} of ${self.usd:.2f}"
        if self.tokens is not None and used.tokens >= self.tokens:
            return f"{used.tokens:,} of {self.tokens:,} tokens"
        return ""

    def left_usd(self, used: Cost) -> float | None:
        """The dollars that are left, None for no limit."""
        return None if self.usd is None else max(0.0, self.usd - used.usd)


@dataclass(frozen=True, slots=True)
class Budget:
    """`[budget]`: what one task may cost in all, and what all tasks may cost in one local day."""

    task: Allowance = Allowance()
    day: Allowance = Allowance()


@dataclass(frozen=True, slots=True)
class Spending:
    """What the runs that are over have cost."""

    day: str = ""
    """The local date that `today` is about, YYYY-MM-DD."""
    today: Cost = Cost()
    tasks: Mapping[str, Cost] = field(default_factory=dict)
    """All runs of each task together; a task that cost nothing may be missing."""

    def roll(self, day: str) -> "Spending":
        """The spending as it stands on `day`: a new day begins with nothing."""
        return self if day == self.day else Spending(day, Cost(), self.tasks)

    def charge(self, task: str, cost: Cost) -> "Spending":
        """The spending with one more run that ended today."""
        if not cost:
            return self
        tasks = {**self.tasks, task: self.tasks.get(task, Cost()) + cost}
        return Spending(self.day, self.today + cost, tasks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expense:
    """What one run has cost."""

    task: str
    attempt: int
    claimed_at: float
    """Seconds since the epoch."""
    ended_at: float
    """Seconds since the epoch."""
    agent: str
    model: str = ""
    kind: str = ""
    """How it ended, as in its outcome; empty while it goes on."""
    usd: float = 0.0
    tokens: int = 0
    turns: int = 0
