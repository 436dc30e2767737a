"""What a Snapshot means, row by row. Both the drawn and the JSON view are made from these."""

import re
import time
from collections.abc import Mapping, Sequence

from orch.core.costs import Cost
from orch.core.counts import count_statuses
from orch.core.forge import Follow
from orch.core.metrics import Metrics
from orch.core.model import Activity, Phase, PullRequest, Run, Status, Task
from orch.core.state import Snapshot
from orch.core.tasks_md import Document
from orch.core.values import dataclass

_NUMBER = re.compile(r"/([0-9]{1,18})(?:/head)?$")
"""In `https://github.com/o/r/pull/12`, and in the local forge's `refs/pull/12/head`."""

COUNTED = (Status.PENDING, Status.ACTIVE, Status.COMPLETED, Status.FAILED, Status.BLOCKED)
"""What is counted, in the order of a task's life. Skipped tasks are nobody's work."""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One task, with what its last run left. Empty text means that there is nothing to say."""

    id: str
    title: str
    status: Status
    priority: int
    attempt: int
    worker: str
    branch: str
    commit: str
    pr_url: str
    review: str
    """How it stands with the open pull request of a completed task."""
    error: str
    waiting: str
    """Why a pending task cannot start."""


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One live worker."""

    task: str
    title: str
    worker: str
    agent: str
    phase: str
    follow_up: str
    """What about its pull request the worker is to settle, and for the how manieth time; or ''."""
    attempt: int
    pid: int
    """Of the launcher; 0 while there is none."""
    branch: str
    age: float
    """Seconds since the process started, or since the run was claimed."""
    activity: str
    cost_usd: float
    """Of this run so far."""
    tokens: int
    turns: int


@dataclass(frozen=True, slots=True)
class PullRow:
    """The pull request of a completed task."""

    task: str
    title: str
    number: int
    state: str
    review: str
    """How it stands with an open one."""


@dataclass(frozen=True, slots=True)
class Digest:
    """A Snapshot, sorted for drawing. Rows are made only of what is shown: a queue may have thousands."""

    snapshot: Snapshot
    counts: Mapping[Status, int]
    """How many tasks there are of each counted status."""
    pending: Sequence[Task]
    """The most urgent first, else in the order of the file."""
    failed: Sequence[Task]
    """The failed and blocked tasks, the blocked ones first."""
    pulls: Sequence[Task]
    """The completed tasks that have a pull request: the open ones first, each the newest first."""
    open_pulls: int
    """How many of those are open."""


def make_digest(snapshot: Snapshot, before: Digest | None = None) -> Digest:
    """Sort a Snapshot. `before` is an earlier digest: what has not changed since is taken from it."""
    same = before is not None and before.snapshot.document is snapshot.document
    if before is not None and same:
        counts, pending, failed = before.counts, before.pending, before.failed
        pulls, open_pulls = before.pulls, before.open_pulls
    else:
        tasks = _all_tasks(snapshot.document)
        counts = count_tasks(snapshot)
        pending = [task for task in tasks if task.status is Status.PENDING]
        pending.sort(key=lambda task: task.priority)
        failed = [task for task in tasks if task.status in (Status.BLOCKED, Status.FAILED)]
        failed.sort(key=lambda task: task.status is Status.FAILED)
        pulls = [task for task in tasks if task.status is Status.COMPLETED and "PR" in task.bullets]
        pulls.sort(key=lambda task: ("Merged" in task.bullets, -_pull_number(task)))
        open_pulls = sum(1 for task in pulls if "Merged" not in task.bullets)
    return Digest(snapshot, counts, pending, failed, pulls, open_pulls)


def list_tasks(snapshot: Snapshot) -> list[TaskRow]:
    """Every task line in the order of the file; those that have no id yet come last."""
    return [_task_row(snapshot, task) for task in _all_tasks(snapshot.document)]


def _all_tasks(document: Document | None) -> Sequence[Task]:
    return (*document.tasks.values(), *document.unnamed) if document else ()


def _task_row(snapshot: Snapshot, task: Task) -> TaskRow:
    status = task.status
    run = snapshot.runs.get(task.id)
    outcome = run.outcome if run else None
    pull = find_pull(run)
    waiting = snapshot.waiting.get(task.id, "")
    if not waiting and "Retry at" in task.fields:
        today = time.strftime("%Y-%m-%d ", time.localtime(snapshot.at))
        waiting = f"retry at {task.fields['Retry at'].removeprefix(today)}"
    error = ""
    if status in (Status.PENDING, Status.FAILED, Status.BLOCKED):
        error = task.fields.get("Reason", "") or (outcome.reason if outcome else "")
    return TaskRow(
        id=task.id,
        title=task.title,
        status=status,
        priority=task.priority,
        attempt=run.key.attempt if run else task.attempt,
        worker=run.key.worker if run and run.live else task.mark.worker,
        branch=run.claim.branch if run else task.fields.get("Branch", ""),
        commit=task.mark.commit or (outcome.commit if outcome else ""),
        pr_url=pull.url if pull else task.fields.get("PR", ""),
        review=snapshot.reviews.get(task.fields.get("PR", ""), "") if _is_open(task) else "",
        error=error,
        waiting=waiting if status is Status.PENDING else "",
    )


def list_workers(snapshot: Snapshot, now: float) -> list[WorkerRow]:
    """The live workers, the oldest first. `now` is in seconds since the epoch."""
    live = [snapshot.runs[name] for name in snapshot.live]
    live.sort(key=lambda run: (run.claim.claimed_at, run.key))
    return [_worker_row(snapshot, run, now) for run in live]


def _worker_row(snapshot: Snapshot, run: Run, now: float) -> WorkerRow:
    process = run.process
    stall = run.stall if run.phase is Phase.RUNNING else None
    activity = snapshot.activity.get(run.key.task, Activity())
    return WorkerRow(
        task=run.key.task,
        title=_title(snapshot, run),
        worker=run.key.worker,
        agent=run.claim.agent,
        follow_up=describe_follow(run.claim.follow),
        phase="stopping" if run.stopping else "stalled" if stall else str(run.phase),
        attempt=run.key.attempt,
        pid=process.pid if process else 0,
        branch=run.claim.branch,
        age=max(0.0, now - (process.started_at if process else run.claim.claimed_at)),
        activity=stall.describe(now) if stall else activity.text,
        cost_usd=activity.cost_usd,
        tokens=activity.tokens,
        turns=activity.turns,
    )


def list_queue(digest: Digest, most: int) -> tuple[list[TaskRow], int, int]:
    """The pending tasks in the order in which they would start; those that wait come last.

    A task whose worker is just being prepared is with the workers already. Gives at most `most` rows,
    how many there are in all, and how many of those wait.
    """
    snapshot = digest.snapshot
    ready: list[Task] = []
    waiting: list[Task] = []
    for task in digest.pending:
        if task.id not in snapshot.live:
            waits = task.id in snapshot.waiting or "Retry at" in task.fields
            (waiting if waits else ready).append(task)
    shown = (*ready[:most], *waiting[: max(0, most - len(ready))])
    return [_task_row(snapshot, task) for task in shown], len(ready) + len(waiting), len(waiting)


def list_failed(digest: Digest, most: int) -> list[TaskRow]:
    """At most `most` of the blocked and failed tasks, the blocked ones first."""
    return [_task_row(digest.snapshot, task) for task in digest.failed[:most]]


def list_pulls(digest: Digest, most: int) -> list[PullRow]:
    """At most `most` pull requests of completed tasks: the open ones first, each the newest first."""
    return [
        PullRow(
            task.id,
            task.title,
            _pull_number(task),
            "open" if _is_open(task) else "merged",
            digest.snapshot.reviews.get(task.fields["PR"], "") if _is_open(task) else "",
        )
        for task in digest.pulls[:most]
    ]


def describe_follow(follow: Follow | None) -> str:
    """What an attempt is to settle about a pull request, with the number of the round; or ''."""
    if follow is None or not follow.pull:
        return ""
    rounds = ", ".join(f"{kind} (round {count})" for kind, count in follow.rounds.items())
    return f"#{follow.pull}: {rounds}"


def _is_open(task: Task) -> bool:
    return task.status is Status.COMPLETED and "PR" in task.bullets and "Merged" not in task.bullets


def _pull_number(task: Task) -> int:
    """The number that the address of a task's pull request ends with, 0 where there is none."""
    number = _NUMBER.search(task.fields.get("PR", ""))
    return int(number[1]) if number else 0


def _title(snapshot: Snapshot, run: Run) -> str:
    task = snapshot.document.tasks.get(run.key.task) if snapshot.document else None
    return task.title if task else run.claim.title


def find_pull(run: Run | None) -> PullRequest | None:
    """The pull request of a run, None where it has none."""
    if run is None:
        return None
    return run.pull or (run.outcome.pull if run.outcome else None)


def count_tasks(snapshot: Snapshot) -> Mapping[Status, int]:
    """How many tasks there are of each counted status."""
    found = count_statuses(snapshot.document)
    return {status: found[status] for status in COUNTED}


def spent_today(snapshot: Snapshot) -> Cost:
    """What the runs that ended today have cost, and the live ones so far."""
    live = (Cost(activity.cost_usd, activity.tokens) for activity in snapshot.activity.values())
    return sum(live, snapshot.spending.today)


def rate_success(metrics: Metrics) -> float | None:
    """The share (0..1) of the last finished tasks that were completed, None before the first."""
    return metrics.recent.count(True) / len(metrics.recent) if metrics.recent else None
