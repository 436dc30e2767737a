"""The words of the house: what a task, a run, a worktree and a pull request are. Pure data."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import field
from enum import StrEnum
from typing import Any

from orch.core import names
from orch.core.costs import Budget
from orch.core.evolving import Evolving
from orch.core.forge import Follow, Trust
from orch.core.values import dataclass

# --- the queue ---------------------------------------------------------------------------------


class Status(StrEnum):
    """What a task's mark in tasks.md says."""

    PENDING = "pending"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    BLOCKED = "blocked"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Mark:
    """The bracket before a task, for example `[✅ cbffe52, w-1a2b3c]`."""

    status: Status = Status.PENDING
    worker: str = ""
    """`w-` and six hex digits, or empty where a person made the mark."""
    commit: str = ""
    """Abbreviated commit of a completed task, or empty."""


PENDING = Mark()


@dataclass(frozen=True, slots=True)
class Task:
    """One line of tasks.md and what is written under it.

    Where the line stands is known to the Document alone: it shifts with every line above it.
    """

    id: str
    """Empty until orch has given one."""
    title: str
    mark: Mark = PENDING
    priority: int = 2
    """0 is the most urgent, 9 the least; 2 where the line says nothing."""
    after: tuple[str, ...] = ()
    agent: str = ""
    model: str = ""
    budget: float | None = None
    """US dollars this task may cost."""
    notes: str = ""
    """What a person wrote under the line, without orch's own bullets. Goes into the prompt."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """orch's own bullets, for example {"Branch": "orch/t-3-fix", "Attempt": "2"}."""
    text: str = ""
    """The whole line as it stands, without its line ending."""
    terminated: bool = True
    """False for a last line without a line ending: a person may still be typing it."""

    @property
    def status(self) -> Status:
        """What the mark says. Asked of every task at every change, as the next one: they must be cheap."""
        return self.mark.status

    @property
    def bullets(self) -> AbstractSet[str]:
        """The names of the `fields`."""
        return self.fields.keys()

    @property
    def attempt(self) -> int:
        """The last attempt that tasks.md tells of, 0 where it tells of none."""
        told = self.fields.get("Attempt", "")
        return int(told) if told.isascii() and told.isdecimal() and len(told) < 9 else 0

    def evolve(self, **changes: Any) -> "Task":
        """A copy with `changes` applied. Raises TypeError for an unknown field."""
        return Task(**{**{name: getattr(self, name) for name in Task.__dataclass_fields__}, **changes})


FIELDS = (
    "Started",
    "PID",
    "Branch",
    "Attempt",
    "Retry at",
    "Completed",
    "PR",
    "Merged",
    "Failed",
    "Reason",
    "Blocked",
    "Saved",
)
"""orch's own bullets under a task, in the order in which they are written."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that orch left alone and that a person should look at."""

    line: int
    """1-based; 0 where no single line is meant."""
    message: str


# --- runs --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class RunKey:
    """One attempt at one task: the name of a run directory and the fence of everything in it."""

    task: str
    attempt: int

    @property
    def worker(self) -> str:
        """The worker id, `w-1a2b3c`."""
        return names.worker_id(self.task, self.attempt)

    def __str__(self) -> str:
        """Also the place of its directory among those of all runs, as `names.folder_name`."""
        return f"{self.task}/{self.attempt}"


@dataclass(frozen=True, slots=True)
class Parking(Evolving):
    """An agent that a usage limit keeps from working. Seconds since the epoch."""

    lane: str
    """The agent's name; with ` model:NAME` where that model of it took over for another."""
    since: float
    until: float
    """When the agent said that it ends; where it did not say, when it is tried again."""
    tries: int = 0
    """0: the agent said when it ends. Else how often it was tried in vain."""
    limit: str = ""
    """Which one, in a person's words."""


@dataclass(frozen=True, slots=True)
class Claim(Evolving):
    """claim.json: what was decided for an attempt before anything was started."""

    branch: str
    agent: str
    title: str
    claimed_at: float
    """Seconds since the epoch."""
    spent: int = 0
    """Attempts that failed before this one since the task was last queued by a person."""
    before: str = ""
    """What went wrong in the attempt before, for the prompt."""
    fresh: bool = False
    """Start from the base branch again instead of going on in the kept worktree."""
    queued_at: float = 0.0
    """When the task became ready to start, seconds since the epoch."""
    pull: int = 0
    """Number of the pull request that there was before this attempt: it is no evidence of its work."""
    head: str = ""
    """Where the branch stood when the task was last completed: the same head is no new work."""
    follow: Follow | None = None
    """What was done so far about the task's pull request."""
    resume: str = ""
    """The session id of the conversation to go on with, empty for a new one."""
    model: str = ""
    """The model that the task asks for, empty for that of the agent's settings."""
    budget_usd: float | None = None
    """US dollars that this attempt may cost, None for no limit."""
    budget_of_day: bool = False
    """Whether that is what is left of the day's budget, not of the task's."""
    lane: str = ""
    """Whose usage limit it is under, see `Parking`; empty where that is the agent's."""
    parked: tuple[Parking, ...] = ()
    """The limits because of which another agent or model than the task's was taken."""
    message: str = ""
    """What a person has to say to the agent: `orch send`."""
    taken: tuple[str, ...] = ()
    """Ids of the messages that were taken up so far and may still wait as requests."""


@dataclass(frozen=True, slots=True)
class Process:
    """run.json: the live process of a run, named so that no other process can be mistaken for it."""

    pid: int
    """The launcher's process id."""
    start_ticks: int
    """Field 22 of /proc/PID/stat; 0 where the system has none."""
    boot_id: str
    started_at: float
    """Seconds since the epoch."""
    argv: tuple[str, ...] = ()
    agent: str = ""
    session_id: str = ""
    """The conversation that the agent has, empty where it names none before it starts."""
    agent_pid: int = 0
    """The agent's own process id, 0 until known."""


@dataclass(frozen=True, slots=True)
class Stall:
    """stall.json: a worker that does nothing, and when it is ended for it. Seconds since the epoch."""

    since: float
    """The last output, and the last CPU time of anything that it started."""
    ends_at: float

    def describe(self, now: float) -> str:
        """One line for a person."""
        quiet, limit = _span(now - self.since), _span(self.ends_at - self.since)
        return f"no output and no CPU for {quiet}, is ended at {limit}"


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


class EndReason(StrEnum):
    """Why a worker's process is over."""

    EXITED = "exited"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    STALLED = "stalled"
    OUTPUT = "output"
    """Its log grew over the limit."""
    STOPPED = "stopped"
    LINGERED = "lingered"
    """It had said its last word, and did not leave."""
    SPAWN = "spawn"
    """The command could not be started at all: the message says why."""
    LOST = "lost"
    """The launcher vanished without writing exit.json."""
    INTERRUPTED = "interrupted"
    """The machine restarted under it."""


@dataclass(frozen=True, slots=True)
class Exit:
    """exit.json: how a worker's process ended."""

    reason: EndReason
    code: int | None = None
    """The exit code, None where a signal ended it or it never started."""
    signal: int | None = None
    ended_at: float = 0.0
    """Seconds since the epoch."""
    cpu_seconds: float = 0.0
    peak_rss_bytes: int = 0
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether the process itself has nothing to say against it that all went well."""
        return self.reason is EndReason.LINGERED or (self.reason is EndReason.EXITED and self.code == 0)


class Cause(StrEnum):
    """Why a run was not ok, by its agent's own words."""

    NONE = ""
    """It was ok, or the agent gives no reason: the exit tells all there is."""
    AUTHENTICATION = "authentication"
    """Not logged in, a wrong or expired key."""
    BILLING = "billing"
    """The account has no credit."""
    USAGE_LIMIT = "usage_limit"
    """So much and no more until `retry_at`; where that is None nobody knows until when."""
    UNAVAILABLE = "unavailable"
    """The API was overloaded, broken or out of reach for as long as the agent tried."""
    MODEL = "model"
    """There is no such model, or not for this account."""
    PROMPT_TOO_LONG = "prompt_too_long"
    """The conversation does not fit into the model: only a new one can go on."""
    REFUSAL = "refusal"
    """The model declined to do it."""
    REQUEST = "request"
    """The API found the request wrong in another way."""
    MAX_TURNS = "max_turns"
    MAX_BUDGET = "max_budget"
    PERMISSION = "permission"
    """It was denied what it needed."""
    SESSION = "session"
    """The conversation to go on with is not there, or in use: only a new one can go on."""
    UNFINISHED = "unfinished"
    """Its output stops before its result."""
    OTHER = "other"
    """Something else that the agent itself told of."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an agent's own output says about the run, read by the agent's adapter."""

    ok: bool
    reason: str = ""
    """One line for a person, where it is not ok."""
    cost_usd: float = 0.0
    """Of this run alone, also where it went on with a conversation."""
    tokens: int = 0
    """Of this run alone: read, written to and read from the cache, and written."""
    turns: int = 0
    retry_at: float | None = None
    """A usage limit ends then, seconds since the epoch."""
    charged: bool = True
    """Whether a failure counts against max_attempts."""
    tail: str = ""
    """The last lines of output, for the prompt of the next attempt."""
    cause: Cause = Cause.NONE
    agent_wide: bool = False
    """It would happen to every task of this agent now: a limit, a login. Not the task's fault."""
    limit: str = ""
    """Which usage limit, in a person's words: `5-hour limit`."""
    session_id: str = ""
    """The conversation that a next attempt can go on with, empty where there is none."""
    summary: str = ""
    """What the agent said last, shortened."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What a live worker is doing and has used, by what it has printed so far."""

    text: str = ""
    """The last tool or the last thing said, or why it waits: one line."""
    cost_usd: float = 0.0
    """Of this run so far; an estimate while a turn goes on, as agents tell the price at its end."""
    tokens: int = 0
    """Of this run so far, as in a Verdict."""
    turns: int = 0
    retries: int = 0
    """So many calls in a row that the API has not answered; 0 while it does."""
    limit: str = ""
    """The usage limit that it has run into, empty while there is none."""
    limited_until: float | None = None
    """When that ends, seconds since the epoch; None where it is not known."""
    session_id: str = ""
    done: bool = False
    """It has said its last word, and should leave."""


@dataclass(frozen=True, slots=True)
class Evidence(Evolving):
    """What a run really left behind, read from git and the forge."""

    head: str = ""
    """Full sha of the branch."""
    commits: tuple[str, ...] = ()
    """Messages of the commits that the branch has and the base has not, oldest first."""
    uncommitted: int = 0
    """Changed and untracked files that are in no commit of the branch."""
    saved: str = ""
    """The ref that keeps them, empty where there was nothing to keep."""
    blocked: str | None = None
    """Text of BLOCKED.md, None where there is none."""
    verdict: Verdict = Verdict(ok=True)


class OutcomeKind(StrEnum):
    """How an attempt ended, in the end."""

    COMPLETED = "completed"
    FAILED = "failed"
    BLOCKED = "blocked"
    STOPPED = "stopped"
    LIMITED = "limited"
    INTERRUPTED = "interrupted"
    """Nobody's fault: restarts without being counted."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request of a forge."""

    number: int
    url: str
    branch: str
    head: str = ""
    """Full sha it was last seen at."""
    title: str = ""
    body: str = ""
    state: str = "open"
    """open, merged or closed."""
    base: str = ""
    merged_commit: str = ""
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome(Evolving):
    """outcome.json: what the coordinator concluded. Written before the mark in tasks.md."""

    kind: OutcomeKind
    branch: str
    agent: str
    ended_at: float
    """Seconds since the epoch."""
    reason: str = ""
    """One line for a person."""
    detail: str = ""
    """More of it (a verify tail, the text of BLOCKED.md) for the next attempt and `orch show`."""
    spent: int = 0
    """Charged attempts since the task was last queued by a person, this one included."""
    retry_at: float | None = None
    """When the next attempt may start; None means that only a person queues the task again."""
    commit: str = ""
    pull: PullRequest | None = None
    saved: str = ""
    cost_usd: float = 0.0
    tokens: int = 0
    turns: int = 0
    started_at: float = 0.0
    claimed_at: float = 0.0
    queued_at: float = 0.0
    follow: Follow | None = None
    session_id: str = ""
    """The conversation that the next attempt of the same agent can go on with."""
    model: str = ""
    """As in the claim."""
    lane: str = ""
    """As in the claim."""
    parked: tuple[Parking, ...] = ()
    """The usage limits that were in force: the one that ended this attempt, and those of the claim."""
    message: str = ""
    """What the agent was to be told and may not have heard: the next attempt tells it."""
    taken: tuple[str, ...] = ()
    """As in the claim."""


class Phase(StrEnum):
    """Where a live run stands. Each phase is left by the result of one action or one probe."""

    CLAIMING = "claiming"
    """The run directory is being made."""
    PREPARING = "preparing"
    """The worktree is being made."""
    READY = "ready"
    """The worktree is there; the active mark is not yet seen in tasks.md."""
    STARTING = "starting"
    RUNNING = "running"
    SWEEPING = "sweeping"
    """The launcher was lost; what it left running is being ended."""
    INSPECTING = "inspecting"
    VERIFYING = "verifying"
    PUBLISHING = "publishing"
    FINISHING = "finishing"
    """outcome.json is being written."""
    OVER = "over"
    """outcome.json is there. The run is history."""


BEFORE_LAUNCH = frozenset({Phase.CLAIMING, Phase.PREPARING, Phase.READY})
"""No worker was started yet."""


@dataclass(frozen=True, slots=True)
class Stopping(Evolving):
    """A wish to end a run."""

    reason: str
    since: float
    """Seconds since the epoch."""
    now: bool = False
    """Skip the time in which the agent may stop by itself."""
    asked: bool = False
    """STOP was put into the worktree."""
    ended_at: float | None = None
    """When the launcher was told to end the tree."""
    then: OutcomeKind = OutcomeKind.STOPPED
    """STOPPED and BLOCKED leave the task to a person; INTERRUPTED and LIMITED take it up again later."""
    until: float | None = None
    """When it may be taken up again, seconds since the epoch; None: at once."""


@dataclass(frozen=True, slots=True)
class Run(Evolving):
    """One attempt of one agent at one task, as far as it has come."""

    key: RunKey
    claim: Claim
    phase: Phase = Phase.CLAIMING
    process: Process | None = None
    stall: Stall | None = None
    """It does nothing, and is ended soon."""
    exit: Exit | None = None
    evidence: Evidence | None = None
    outcome: Outcome | None = None
    stopping: Stopping | None = None
    pull: PullRequest | None = None
    retry_at: float | None = None
    """A failed step of this run (not the run itself) is tried again then."""
    failures: int = 0
    """How often in a row that step failed."""
    missing_since: float | None = None
    """The launcher was first seen gone without exit.json at this time."""
    marked: bool = False
    """tasks.md was seen with this run's active mark: another mark is then a person's edit."""

    @property
    def live(self) -> bool:
        """Whether this run still occupies its task and its slot."""
        return self.phase is not Phase.OVER


# --- what can be asked of a coordinator -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StopRequest:
    """`orch stop TASK`; an empty task means every active one."""

    task: str
    reason: str
    now: bool = False


@dataclass(frozen=True, slots=True)
class PauseRequest:
    """`orch pause` and `orch resume`."""

    paused: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RetryRequest:
    """`orch retry TASK [--fresh]`."""

    task: str
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class ApproveRequest:
    """`orch approve N`: run an issue of somebody who is not trusted, as it was shown."""

    task: str
    """The id that the issue has in tasks.md."""
    digest: str
    """The hash of the title and text that were shown: see `rules.trust`."""


@dataclass(frozen=True, slots=True)
class SendRequest:
    """`orch send TASK "text" [--restart]`: something that the next attempt is told."""

    task: str
    text: str
    id: str
    """Up to 32 lower-case letters and digits; no two messages have the same."""
    restart: bool = False
    """Start that attempt now: a running one is interrupted for it."""


Request = StopRequest | PauseRequest | RetryRequest | ApproveRequest | SendRequest


@dataclass(frozen=True, slots=True)
class Resources:
    """What the machine has left. None where it cannot be known here."""

    free_memory_mb: float | None = None
    free_disk_mb: float | None = None
    load: float | None = None
    """Load average of one minute."""
    problem: str = ""
    """Why orch itself cannot work now (no room on the disk, a read-only disk, no file handles), or ''."""


# --- policy --------------------------------------------------------------------------------------


MODEL = "model:"
"""What a fallback begins with that is another model of the same agent."""


class Drain(StrEnum):
    """What a drained coordinator does with live workers."""

    LEAVE = "leave"
    FINISH = "finish"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class ForgePolicy(Evolving):
    """What is done about issues and pull requests. The defaults are those of a forge without issues."""

    intake: bool = False
    """Whether there are issues to bring into tasks.md."""
    follow: bool = False
    """Whether checks, reviews and conflicts of a pull request are acted on."""
    issue_label: str = "orch"
    poll_interval: float = 30.0
    """Seconds."""
    priorities: tuple[tuple[str, int], ...] = ()
    """Patterns of labels (regular expressions, whole, case does not count) and the priority each means."""
    trust: Trust = Trust()
    max_rounds: int = 3
    auto_merge: str = "never"
    """never, when_green or when_approved."""
    retire: bool = False
    """Whether the branch of a merged pull request is deleted."""
    comment: bool = True
    """Whether the issue shows how its task stands."""
    status_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that an issue bears while its task has that status (active, blocked, failed, completed)."""


@dataclass(frozen=True, slots=True)
class Policy(Evolving):
    """The settings that decisions depend on. Times in seconds."""

    max_concurrent_workers: int = 3
    poll_interval: float = 30.0
    drain: Drain = Drain.LEAVE
    unblock_on: str = "completed"
    """`completed` or `merged`."""
    default_agent: str = "claude"
    agents: tuple[str, ...] = ()
    """Configured agent names."""
    stop_seconds: float = 60.0
    grace_seconds: float = 5.0
    max_attempts: int = 3
    retry_initial: float = 5.0
    retry_factor: float = 2.0
    retry_max: float = 120.0
    verify: bool = False
    """Whether a verify command is configured."""
    min_free_memory_mb: float = 0.0
    min_free_disk_mb: float = 0.0
    max_load: float = 0.0
    """Nothing is launched over this load average; 0: do not look."""
    keep_days: float = 14.0
    """Run directories older than this are removed, the last one of each task never."""
    keep_failed_seconds: float | None = None
    """Worktrees of failed and blocked tasks are removed after this; None keeps them."""
    forge: ForgePolicy = ForgePolicy()
    warm: int = 0
    """So many worktrees are kept ready for tasks to come."""
    budget: Budget = Budget()
    fallbacks: Mapping[str, str] = field(default_factory=dict)
    """By agent: which agent, or `model:NAME` of its own, takes over while it is parked."""
