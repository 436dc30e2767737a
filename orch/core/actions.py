"""What `decide` may ask for. Every action is safe to repeat; its `Result` comes back as a wake."""

from orch.core.forge import Issue, Job, Ledger, PullStatus, Reply, Telling, Trust, Wanted
from orch.core.model import Claim, Mark, Outcome, Request, Run, RunKey, Task
from orch.core.values import dataclass

# --- changes to tasks.md (applied by core.tasks_md.apply) -------------------------------------------


@dataclass(frozen=True, slots=True)
class SetMark:
    """Give a task another mark and other orch bullets, if its mark is still `was`.

    `was` makes it a compare-and-set: a person's edit that came in between wins. In `fields` a value
    of None removes the bullet; bullets that are not named stay. The line moves under the heading of
    its new status.
    """

    task: str
    was: Mark
    mark: Mark
    fields: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class SetId:
    """Give the hand-written task line `text` (the whole line, without its ending) the id `id`.

    `line` is where it was seen; of several equal lines the nearest one is meant.
    """

    text: str
    line: int
    id: str


@dataclass(frozen=True, slots=True)
class AddTask:
    """Append a pending task at the end of the Pending section. Nothing happens if the id is there."""

    task: Task


@dataclass(frozen=True, slots=True)
class Archive:
    """Move a task from Completed Today to Completed."""

    task: str


@dataclass(frozen=True, slots=True)
class Reword:
    """Give a pending task another title, priority and dependencies, if its line still says `was`.

    What else the line says (agent, model, budget) stays, and so does everything under it.
    """

    task: str
    was: str
    """The whole line as it stood, without its ending."""
    title: str
    priority: int
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """Take the line of a pending task away with orch's own bullets, if it still says `was`.

    A task with anything else under it stays.
    """

    task: str
    was: str
    """The whole line as it stood, without its ending."""


Change = SetMark | SetId | AddTask | Archive | Reword | Drop


# --- actions -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WriteTasks:
    """Apply changes to tasks.md."""

    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class MakeRun:
    """Make the run directory with claim.json."""

    run: RunKey
    claim: Claim


@dataclass(frozen=True, slots=True)
class Ensure:
    """Make the worktree and branch of a run, or repair what is there. Gives a Worktree."""

    run: RunKey
    branch: str
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """Write prompt.md and start the worker."""

    run: Run
    task: Task
    issue: Issue | None = None
    """The issue that the task stands for, where its text may be shown to the agent."""
    trust: Trust = Trust()
    """Whose comments on the issue may be shown."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Put STOP with the reason into the worktree."""

    run: RunKey
    reason: str


@dataclass(frozen=True, slots=True)
class End:
    """Tell the launcher to end the worker's tree: SIGTERM, the grace, SIGKILL."""

    run: RunKey


@dataclass(frozen=True, slots=True)
class Sweep:
    """End every process that a lost launcher left behind."""

    run: RunKey


@dataclass(frozen=True, slots=True)
class Inspect:
    """Read what a run left behind and save what is uncommitted. Gives an Inspection."""

    run: Run


@dataclass(frozen=True, slots=True)
class Verify:
    """Run the verify command in the worktree. Gives a Check."""

    run: RunKey


@dataclass(frozen=True, slots=True)
class Publish:
    """Push the branch and open its pull request, or find it. Gives a PullRequest."""

    run: RunKey
    branch: str
    title: str
    body: str
    replies: tuple[Reply, ...] = ()
    """Given once the branch is there."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Write outcome.json."""

    run: RunKey
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Remove:
    """Save what is uncommitted in a task's worktree, then remove it. Gives the ref, or ''."""

    task: str


@dataclass(frozen=True, slots=True)
class Dismiss:
    """Forget a request that was carried out."""

    request: Request


@dataclass(frozen=True, slots=True)
class SavePause:
    """Remember that the fleet is paused and why; None: it is not."""

    reason: str | None


@dataclass(frozen=True, slots=True)
class Poll:
    """Look at the forge. Gives a Sight."""

    wanted: Wanted = Wanted()


@dataclass(frozen=True, slots=True)
class SaveLedger:
    """Remember this in .orch/forge.json."""

    ledger: Ledger


@dataclass(frozen=True, slots=True)
class Tell:
    """Bring the comment of orch on a task's issue up to date."""

    issue: int
    telling: Telling
    hash: str
    """Of the telling, for the ledger."""


@dataclass(frozen=True, slots=True)
class CloseIssue:
    """Close the issue of a merged task, which the forge itself did not."""

    issue: int


@dataclass(frozen=True, slots=True)
class Rerun:
    """Have failed jobs run again."""

    task: str
    pull: PullStatus
    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class AutoMerge:
    """Have a pull request merged as soon as the forge allows it."""

    task: str
    pull: PullStatus


@dataclass(frozen=True, slots=True)
class Retire:
    """Delete the branch of a merged pull request, here and at the forge. Gives what stayed, or ''."""

    task: str
    pull: PullStatus


@dataclass(frozen=True, slots=True)
class Prune:
    """Remove run directories that are older than `keep_days`."""

    keep_days: float
    now: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Warm:
    """Make one worktree ready for a task to come, if there are fewer than are wanted.

    Result: whether one more is to be made.
    """


@dataclass(frozen=True, slots=True)
class Tend:
    """Have git put the repository's objects in order, if there is need."""


Action = (
    WriteTasks
    | MakeRun
    | Ensure
    | Start
    | Ask
    | End
    | Sweep
    | Inspect
    | Verify
    | Publish
    | Finish
    | Remove
    | Dismiss
    | SavePause
    | Poll
    | SaveLedger
    | Tell
    | CloseIssue
    | Rerun
    | AutoMerge
    | Retire
    | Prune
    | Tend
    | Warm
)


# --- results -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Failure:
    """An action that did not work."""

    message: str
    permanent: bool = False
    """Trying the same again is pointless."""
    retry_after: float | None = None
    """Seconds."""
    shortage: bool = False
    """The machine lacks something (disk, file handles, memory, threads): it is nobody's fault."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an action: a value, or a failure."""

    action: Action
    value: object = None
    failure: Failure | None = None
