"""What the coordinator needs from the world: Protocols of at most five methods.

Every method may raise `TransientError` (try again later) or `PermanentError` (do not). A fake of
each lives in `tests/fakes/`, typed against it, and passes the contract suite of the real adapter.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from orch.core.actions import Change
from orch.core.announce import Announcement
from orch.core.brief import NOTHING, Brief
from orch.core.costs import Spending
from orch.core.forge import Comment, Job, Ledger, PullStatus, Reply, Sight, Telling, Wanted
from orch.core.metrics import Event, Metrics
from orch.core.model import (
    Activity,
    Claim,
    Evidence,
    Exit,
    Outcome,
    PullRequest,
    Request,
    Resources,
    Run,
    RunKey,
    Task,
    Verdict,
)
from orch.core.state import Probe, Snapshot
from orch.core.tasks_md import Document
from orch.core.values import dataclass


class Clock(Protocol):
    """The time."""

    def now(self) -> float:
        """Seconds since the epoch."""


class Machine(Protocol):
    """What the machine has left."""

    def resources(self) -> Resources:
        """Free memory, disk of the project's root, and load; None for what cannot be known."""


# --- the queue and the files under .orch/ -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """tasks.md as it was found."""

    document: Document
    age: float
    """Seconds for which the file has not changed."""
    again: float = math.inf
    """Seconds after which it has to be read again, although no change of the file will tell."""


class TaskStore(Protocol):
    """tasks.md."""

    def read(self) -> Reading | None:
        """The file as it is, None where it could not be looked at (missing, unreadable).

        The same Document object comes back while the file is unchanged.
        """

    def apply(self, changes: Sequence[Change]) -> Document:
        """Splice the changes into the newest version without losing a concurrent edit.

        A change whose precondition is gone is left out. Raises TransientError where the file cannot
        be written; it is then whole, old or new.
        """


class RunStore(Protocol):
    """The run directories `.orch/runs/<task>/<attempt>/`."""

    def load(self, tasks: Collection[str] | None = None) -> Mapping[str, Run]:
        """The latest run of each of these tasks, or of every task, with the phase that its files mean.

        OVER with outcome.json, else CLAIMING without run.json, else RUNNING.
        """

    def claim(self, run: RunKey, claim: Claim) -> None:
        """Make the run directory with claim.json. Nothing happens if it is there."""

    def finish(self, run: RunKey, outcome: Outcome) -> None:
        """Write outcome.json, and fence the run: a launcher that comes late finds run.json taken."""

    def directory(self, run: RunKey) -> Path:
        """Where the files of a run lie. Raises PermanentError for an id that is not well-formed."""

    def prune(self, keep_days: float, now: float) -> Sequence[RunKey]:
        """Remove runs that ended more than `keep_days` ago, never the latest of a task; gives those."""


class RequestStore(Protocol):
    """What the command line asked for (`.orch/requests/`), and whether the fleet is paused."""

    def read(self) -> tuple[Request, ...]:
        """Every request that waits."""

    def post(self, request: Request) -> None:
        """Ask. The same request twice is one."""

    def dismiss(self, request: Request) -> None:
        """Forget a request if it still reads the same. Nothing happens if it is gone."""

    def paused(self) -> str | None:
        """Why the fleet is paused, None while it is not."""

    def set_paused(self, reason: str | None) -> None:
        """Remember that the fleet is paused and why, or that it is not."""


class CostStore(Protocol):
    """`.orch/costs.jsonl`: what each run has cost, for good."""

    def read(self, now: float, live: Collection[RunKey]) -> Spending:
        """What the runs that are over have cost, without those in `live`.

        `now`, in seconds since the epoch, says which local day it is. Raises TransientError where the
        file cannot be read.
        """

    def record(self, run: RunKey, outcome: Outcome) -> None:
        """Write down, durably, what a run has cost. A run that is written down already stays as it is.

        Raises TransientError where it cannot be written.
        """


class MetricsStore(Protocol):
    """`.orch/metrics.json`."""

    def read(self) -> Metrics | None:
        """The counters that were last written, None where there are none or they cannot be read."""

    def write(self, snapshot: Snapshot) -> None:
        """Write atomically what the snapshot says."""


class EventLog(Protocol):
    """`.orch/events.jsonl`: everything that happened, for months."""

    def append(self, events: Sequence[Event]) -> None:
        """Add these. Raises nothing: what cannot be written now is kept, in bounds, and written later."""


class Announcer(Protocol):
    """Runs the person's own commands, `[hooks] on_...`."""

    @property
    def pending(self) -> int:
        """How many hooks are under way or wait. The end of one wakes the coordinator."""

    def announce(self, news: Sequence[Announcement]) -> None:
        """Have the hook of each occasion run, if there is one. Does not wait, and raises nothing."""

    def close(self, seconds: float) -> None:
        """Wait until all hooks are over, at most so long; then end those that are left. None starts again."""


class Life(StrEnum):
    """What the system's supervisor of services is told."""

    READY = "ready"
    """The coordinator works: at its start, and after it has read its settings again."""
    ALIVE = "alive"
    RELOADING = "reloading"
    STOPPING = "stopping"


class Supervisor(Protocol):
    """Who has started orch and watches over it: systemd, or nobody."""

    @property
    def interval(self) -> float:
        """The loop must say that it is alive at least this often, in seconds; infinite: never."""

    def tell(self, life: Life, status: str = "") -> None:
        """Say how it stands, with a line for people. Does not wait, and raises nothing."""


# --- workers ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Command:
    """How an agent is started. The prompt comes on stdin and in $ORCH_PROMPT_FILE."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    """The whole environment of the worker, built from the allow-list."""
    session_id: str = ""
    """The conversation, for run.json; empty where the agent names none before it starts."""
    last_words: frozenset[str] = frozenset()
    """The `type` of the JSON lines after which the agent has nothing left to do: one that then says no
    more and does not leave is ended. Empty: it is never looked for."""


class Agent(Protocol):
    """Builds a command and reads what it printed."""

    @property
    def name(self) -> str:
        """The NAME of `[agents.NAME]`."""

    def problem(self) -> str:
        """Why this agent cannot be started now and what to do about it, or ''. Cheap."""

    def command(self, run: Run, directory: Path, worktree: Path) -> Command:
        """The command for a run whose files lie in `directory` and whose work in `worktree`.

        `run.claim` tells which conversation to go on with (`resume`), the model and the budget. May
        write settings of the agent into `directory`. Raises TransientError while another process has
        that conversation: two at once would both go on with it.
        """

    def verdict(self, directory: Path, exit: Exit) -> Verdict:
        """What the run's own output says, read from its directory."""

    def activity(self, directory: Path) -> Activity:
        """What the worker is doing now, and what it has used. Reads only what is new since the last time."""


class Voice(StrEnum):
    """Who or what speaks in a conversation."""

    SAID = "said"
    THOUGHT = "thought"
    USED = "used"
    """A tool; the title is its name, the text what it was given."""
    GAVE = "gave"
    """What the tool gave."""
    FAILED = "failed"
    NOTE = "note"
    """About the conversation itself."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a conversation, for a person. Without escape sequences and secrets, but foreign."""

    voice: Voice
    text: str
    title: str = ""


Transcript = Callable[[bytes], Sequence[Passage]]
"""What a line of a worker's stdout.jsonl says to a person; nothing where it says nothing. Raises nothing."""


@dataclass(frozen=True, slots=True)
class Check:
    """What became of a verify command."""

    ok: bool
    tail: str = ""
    """The last lines that it printed."""


class Executor(Protocol):
    """Runs workers."""

    def start(self, run: RunKey, command: Command, worktree: Path, prompt: str) -> None:
        """Write prompt.md and start a worker. A run that was ever started starts nothing.

        Returns once the launcher has published itself. Raises TransientError where it cannot be started.
        """

    def probe(self, run: RunKey) -> Probe:
        """How it stands with a run. Raises TransientError where it cannot be known.

        Reaps the launcher if it is a child of ours. The end of a run that is being probed wakes the
        coordinator.
        """

    def end(self, run: RunKey) -> None:
        """Have the worker's tree ended: SIGTERM, the grace, SIGKILL. Does not wait.

        A verify command of the run that is under way is ended too: its check is then not ok.
        """

    def sweep(self, run: RunKey) -> None:
        """End every process that carries the run's id, and wait until they are gone."""

    def check(self, run: RunKey, worktree: Path) -> Check:
        """Run the verify command in the worktree, bounded in time."""


# --- git and the forge --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Worktree:
    """A worktree that is ready for a worker."""

    path: Path
    branch: str
    base: str
    """Full sha of the base branch that the branch was made from or is compared with."""


class Worktrees(Protocol):
    """`trees/<task id>`, one for each task that is worked on."""

    def ensure(self, run: RunKey, branch: str, fresh: bool = False) -> Worktree:
        """Make the worktree ready on `branch`, whatever is there now. Repeatable.

        What the attempt before left as STOP or BLOCKED.md goes into its run directory. With `fresh`
        the work so far is saved and the branch starts again at the base.
        """

    def inspect(self, run: RunKey, branch: str) -> Evidence:
        """What is on the branch and in the worktree; saves what is uncommitted. The default verdict."""

    def remove(self, task: str) -> str:
        """Save what is uncommitted, then remove the worktree. Gives the ref, or ''.

        Raises PermanentError, and removes nothing, where work would be lost.
        """

    def ask(self, task: str, reason: str) -> None:
        """Put STOP with the reason into the worktree, if it is there."""

    def list(self) -> Mapping[str, Path]:
        """The worktrees under the base folder, by task id."""


@dataclass(frozen=True, slots=True)
class PullDraft:
    """A pull request to be opened."""

    branch: str
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `orch doctor`."""

    ok: bool
    what: str
    do: str = ""
    """What a person should do, where it is not ok."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that `orch service` does to the machine."""

    says: str
    do: Callable[[], None]
    optional: bool = False
    """Its failure is told, and the rest goes on."""


class Forge(Protocol):
    """Where branches are pushed and pull requests live."""

    def find(self, branch: str) -> PullRequest | None:
        """The open or merged pull request of a branch, whoever opened it."""

    def publish(self, draft: PullDraft) -> PullRequest:
        """Push the branch and open its pull request, or bring the one that is there up to date."""

    def pulls(self, urls: Collection[str] | None = None) -> Iterable[PullRequest]:
        """Every pull request of orch's branches, oldest first, or those of `urls`; with its present state.

        There may be thousands: an adapter may look at each only when it is asked for.
        """

    def merge(self, number: int) -> PullRequest:
        """Merge a pull request. Raises PermanentError on a conflict; nothing is then half-merged."""

    def check(self) -> Sequence[Finding]:
        """Whether the forge can be used, for `orch doctor`."""


class Tracker(Protocol):
    """Where issues live, and how it stands with everything that orch follows at the forge."""

    def look(self, wanted: Wanted) -> Sight:
        """How it stands now. The same number of requests however much there is to tell.

        Raises TransientError, with `retry_after` where the forge says it, where nothing could be
        looked at. Bounded in time.
        """

    def comments(self, issue: int) -> Sequence[Comment]:
        """What was said about an issue, oldest first, whoever said it."""

    def tell(self, issue: int, telling: Telling) -> None:
        """Bring the one comment of orch on an issue and its status labels up to date. Repeatable."""

    def close(self, issue: int) -> None:
        """Close an issue as completed. Nothing happens if it is closed or gone."""


class Reviews(Protocol):
    """What is done about a pull request until it is merged."""

    def tails(self, jobs: Sequence[Job]) -> Mapping[str, str]:
        """The last lines of the log of each of these failed jobs, by the job's name.

        A job without a log (any more) is left out.
        """

    def rerun(self, pull: PullStatus, jobs: Sequence[Job]) -> None:
        """Have failed jobs run again. Nothing happens to one that runs already or was re-run."""

    def reply(self, pull: int, reply: Reply) -> None:
        """Answer a remark where it was made. Repeatable. Nothing happens if the remark is gone."""

    def auto_merge(self, pull: PullStatus) -> None:
        """Have a pull request merged as soon as the forge allows it, if its head is still this one.

        Raises PermanentError where the forge will not do it.
        """

    def retire(self, pull: PullStatus) -> str:
        """Delete the branch of a merged pull request, here and at the forge. Repeatable.

        A branch that has anything but `pull.head` or is checked out stays. Gives what stayed and why, or ''.
        """


class LedgerStore(Protocol):
    """`.orch/forge.json`."""

    def read(self) -> Ledger:
        """What is remembered; empty where there is no file."""

    def write(self, ledger: Ledger) -> None:
        """Write it atomically and durably."""


class Repository(Protocol):
    """The git repository as a whole."""

    def tend(self) -> None:
        """Have git put its objects in order if there is need. Does not wait until that is done."""

    def warm(self) -> bool:
        """Make one worktree ready for a task to come, if there are fewer than are wanted.

        Says whether one more is to be made.
        """


class Prompts(Protocol):
    """Writes the prompt of an attempt."""

    def check(self) -> None:
        """Try the template before anything is launched. Raises ConfigError as `render` would."""

    def render(self, task: Task, run: Run, brief: Brief = NOTHING) -> str:
        """The whole prompt; `brief` is what the forge has to say.

        Raises ConfigError for a template that cannot be used.
        """


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that the coordinator may touch."""

    clock: Clock
    machine: Machine
    tasks: TaskStore
    runs: RunStore
    requests: RequestStore
    metrics: MetricsStore
    costs: CostStore
    executor: Executor
    agents: Mapping[str, Agent]
    worktrees: Worktrees
    repository: Repository
    forge: Forge
    tracker: Tracker
    reviews: Reviews
    ledger: LedgerStore
    prompts: Prompts
    events: EventLog
    announcer: Announcer
    supervisor: Supervisor
    trees: Path
    """The folder of the worktrees: a task's is `trees / id`."""
