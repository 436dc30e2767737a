"""What the coordinator knows, sees, decides and shows. Pure data."""

import math
from collections.abc import Mapping
from dataclasses import field

from orch.core.actions import Action, Result
from orch.core.costs import Spending
from orch.core.evolving import Evolving
from orch.core.forge import ForgeState, Usage
from orch.core.graph import Plan
from orch.core.metrics import Event, Health, Metrics
from orch.core.model import (
    Activity,
    Exit,
    Parking,
    Problem,
    Process,
    Request,
    Resources,
    Run,
    RunKey,
    Stall,
)
from orch.core.tasks_md import Document
from orch.core.values import dataclass

# --- what a probe of a run can say ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Alive:
    """The launcher lives."""

    process: Process
    stall: Stall | None = None
    """Its worker does nothing."""


@dataclass(frozen=True, slots=True)
class Ended:
    """exit.json is there (or the machine has restarted since: reason `interrupted`)."""

    exit: Exit
    process: Process | None = None


@dataclass(frozen=True, slots=True)
class Absent:
    """No run.json: nothing was ever started for this run."""


@dataclass(frozen=True, slots=True)
class Gone:
    """run.json, but neither a live launcher nor exit.json."""

    process: Process


Probe = Alive | Ended | Absent | Gone


# --- the loop's values --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """Look sooner. `reason` is for the log."""

    reason: str


@dataclass(frozen=True, slots=True)
class Signalled:
    """A signal came in."""

    number: int


Wake = Look | Signalled | Result


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look at the world found. None means that orch could not look, never «nothing»."""

    now: float
    """Seconds since the epoch."""
    utc_offset: float = 0.0
    """Seconds that local time is ahead of UTC: for the times written into tasks.md."""
    document: Document | None = None
    document_age: float = 0.0
    """Seconds for which tasks.md has not changed."""
    document_again: float = math.inf
    """Seconds after which tasks.md has to be looked at again, whatever happens."""
    requests: tuple[Request, ...] | None = ()
    probes: Mapping[RunKey, Probe] = field(default_factory=dict)
    """Of live runs; a run that is missing here could not be probed."""
    activities: Mapping[str, Activity] = field(default_factory=dict)
    """What the live workers do and have used, by task; one that is missing could not be read."""
    recalled: Mapping[str, Run | None] = field(default_factory=dict)
    """The latest run of each task in `State.recall`, None where it never ran. One that is missing here
    could not be looked up."""
    results: tuple[Result, ...] = ()
    toggles: int = 0
    """SIGUSR1 was seen this often."""
    terminations: int = 0
    """SIGTERM or SIGINT was seen this often."""
    resources: Resources = Resources()
    agent_problems: Mapping[str, str] = field(default_factory=dict)
    """Agents that cannot be started now, and what to do."""
    unseen: Mapping[str, str] = field(default_factory=dict)
    """What could not be looked at, and why."""


@dataclass(frozen=True, slots=True)
class QuickFailure:
    """An attempt that failed within seconds."""

    task: str
    kind: str
    """Its reason without what differs from task to task."""


@dataclass(frozen=True, slots=True)
class State(Evolving):
    """What the coordinator knows. Rebuilt at every start from what lies on disk."""

    document: Document | None = None
    looked_at: float = 0.0
    """When it was last looked, seconds since the epoch; 0 before the first look."""
    runs: Mapping[str, Run] = field(default_factory=dict)
    """The latest run of each task that something still follows from: those that are live, wait for the
    next attempt, or whose end is not yet in tasks.md. All others lie on disk only: the cost of a turn
    must not grow with what is done."""
    recall: frozenset[str] = frozenset()
    """Tasks whose latest run is to be looked up on disk at the next look."""
    highest_id: int = 0
    """The highest N of a `t-N` that ever ran: that id is not given again when its line is deleted."""
    live: frozenset[str] = frozenset()
    """Tasks whose latest run is live."""
    trees: Mapping[str, float] = field(default_factory=dict)
    """Tasks whose worktree is to be removed, and when to try (seconds since the epoch)."""
    paused: str | None = None
    """Why the fleet is paused, None while it is not."""
    pause_saved: bool = True
    """Whether that is on disk."""
    draining: int = 0
    """How often SIGTERM or SIGINT came."""
    metrics: Metrics = Metrics()
    health: Health = Health.OK
    alarm: Health = Health.OK
    """The worst health that was acted on since the last completed task or `orch resume`."""
    plan: Plan = Plan()
    """What follows from the document alone; made anew only when the document changes."""
    unstartable: Mapping[str, str] = field(default_factory=dict)
    """Ready tasks whose agent cannot be started without a person, and why."""
    waiting: Mapping[str, str] = field(default_factory=dict)
    """Pending tasks that do not start now, and why: those of the plan and those without an agent."""
    queued: Mapping[str, float] = field(default_factory=dict)
    """Since when each ready task has been ready, seconds since the epoch."""
    today: str = ""
    """The local date of the last look at Completed Today, YYYY-MM-DD."""
    pruned: str = ""
    """The local date on which old run directories were last removed and git was tended, YYYY-MM-DD."""
    warm: bool = False
    """Whether as many worktrees are ready as are wanted, or one is being made."""
    unseen: frozenset[str] = frozenset()
    """What could not be looked at the last time."""
    alike: tuple[QuickFailure, ...] = ()
    """The last attempts in a row that failed within seconds and for the same reason."""
    retry_writes_at: float = 0.0
    """tasks.md could not be written: not again before this."""
    polled_at: float = 0.0
    """When the forge was last looked at."""
    forge: ForgeState = ForgeState()
    requests: tuple[Request, ...] = ()
    """What was asked for and is not yet carried out."""
    resources: Resources = Resources()
    agent_problems: Mapping[str, str] = field(default_factory=dict)
    notices: Mapping[str, str] = field(default_factory=dict)
    """What a person should know now, by what it is about."""
    activities: Mapping[str, Activity] = field(default_factory=dict)
    """What each live worker does and has used, as last seen, by task."""
    parked: Mapping[str, Parking] = field(default_factory=dict)
    """The agents that wait for their usage limit, by lane."""
    stuck: frozenset[str] = frozenset()
    """Ids of messages that bring no attempt about because their task's budget is spent."""
    wanted: frozenset[str] = frozenset()
    """The agents of the ready tasks."""
    spending: Spending = Spending()
    events: tuple[Event, ...] = ()
    """What happened in the last turn, oldest first: all of it, where the history is cut."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from a state and a look: the next state, what to do, when to look again."""

    state: State
    actions: tuple[Action, ...]
    wake_at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is shown: to `orch status`, the dashboard and, later, the server. Immutable."""

    at: float
    """Seconds since the epoch."""
    document: Document | None
    runs: Mapping[str, Run]
    metrics: Metrics
    health: Health
    live: frozenset[str] = frozenset()
    """Tasks whose latest run is live."""
    paused: str | None = None
    draining: bool = False
    pid: int = 0
    """The coordinator's process id, 0 while none runs."""
    started_at: float = 0.0
    max_workers: int = 0
    waiting: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    """What a person should look at in tasks.md."""
    notices: Mapping[str, str] = field(default_factory=dict)
    """What a person should know now, by what it is about: a missing agent, little disk."""
    activity: Mapping[str, Activity] = field(default_factory=dict)
    """What each live worker does and has used, by task."""
    parked: Mapping[str, Parking] = field(default_factory=dict)
    """The agents that wait for their usage limit, by lane."""
    spending: Spending = Spending()
    awaiting: Mapping[str, str] = field(default_factory=dict)
    """Issues that wait for somebody trusted, by the id that their task would have."""
    reviews: Mapping[str, str] = field(default_factory=dict)
    """How it stands with the pull request of a completed task, by its url: checks, reviews, conflicts."""
    usage: Usage | None = None
    """Requests to the forge that were used and are left; None where it does not count."""
