"""What a Snapshot means, row by row. Both the drawn and the JSON view are made from these."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from orch.core.counts import count_statuses
from orch.core.metrics import Metrics
from orch.core.model import PullRequest, Run, Status, Task
from orch.core.state import Snapshot

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
    attempt: int
    pid: int
    """Of the launcher; 0 while there is none."""
    branch: str
    age: float
    """Seconds since the process started, or since the run was claimed."""
    activity: str


@dataclass(frozen=True, slots=True)
class PullRow:
    """One pull request of a task's last run."""

    task: str
    title: str
    pull: PullRequest
    state: str


def list_tasks(snapshot: Snapshot) -> list[TaskRow]:
    """Every task line in the order of the file; those that have no id yet come last."""
    if snapshot.document is None:
        return []
    document = snapshot.document
    return [
        _task_row(task, snapshot.runs.get(task.id), snapshot.waiting.get(task.id, ""), snapshot.at)
        for task in (*document.tasks.values(), *document.unnamed)
    ]


def _task_row(task: Task, run: Run | None, waiting: str, at: float) -> TaskRow:
    status = task.mark.status
    outcome = run.outcome if run else None
    pull = find_pull(run)
    if not waiting and "Retry at" in task.fields:
        today = time.strftime("%Y-%m-%d ", time.localtime(at))
        waiting = f"retry at {task.fields['Retry at'].removeprefix(today)}"
    error = ""
    if status in (Status.PENDING, Status.FAILED, Status.BLOCKED):
        error = task.fields.get("Reason", "") or (outcome.reason if outcome else "")
    return TaskRow(
        id=task.id,
        title=task.title,
        status=status,
        priority=task.priority,
        attempt=run.key.attempt if run else 0,
        worker=run.key.worker if run and run.live else task.mark.worker,
        branch=run.claim.branch if run else task.fields.get("Branch", ""),
        commit=task.mark.commit or (outcome.commit if outcome else ""),
        pr_url=pull.url if pull else task.fields.get("PR", ""),
        error=error,
        waiting=waiting if status is Status.PENDING else "",
    )


def list_workers(snapshot: Snapshot, now: float) -> list[WorkerRow]:
    """The live workers, the oldest first. `now` is in seconds since the epoch."""
    live = [run for run in snapshot.runs.values() if run.live]
    live.sort(key=lambda run: (run.claim.claimed_at, run.key))
    return [_worker_row(snapshot, run, now) for run in live]


def _worker_row(snapshot: Snapshot, run: Run, now: float) -> WorkerRow:
    task = snapshot.document.tasks.get(run.key.task) if snapshot.document else None
    process = run.process
    return WorkerRow(
        task=run.key.task,
        title=task.title if task else run.claim.title,
        worker=run.key.worker,
        agent=run.claim.agent,
        phase="stopping" if run.stopping else str(run.phase),
        attempt=run.key.attempt,
        pid=process.pid if process else 0,
        branch=run.claim.branch,
        age=max(0.0, now - (process.started_at if process else run.claim.claimed_at)),
        activity=snapshot.activity.get(run.key.task, ""),
    )


def list_queue(snapshot: Snapshot) -> list[TaskRow]:
    """The pending tasks in the order in which they would start; those that wait come last.

    A task whose worker is just being prepared is with the workers already.
    """
    live = {name for name, run in snapshot.runs.items() if run.live}
    tasks = list_tasks(snapshot)
    pending = [task for task in tasks if task.status is Status.PENDING and task.id not in live]
    return sorted(pending, key=lambda task: (bool(task.waiting), task.priority))


def list_pulls(snapshot: Snapshot) -> list[PullRow]:
    """The pull requests of the tasks' last runs: the open ones first, each the newest first."""
    rows = []
    for run in snapshot.runs.values():
        pull = find_pull(run)
        if pull is None:
            continue
        task = snapshot.document.tasks.get(run.key.task) if snapshot.document else None
        state = "merged" if task and "Merged" in task.fields else pull.state
        rows.append(PullRow(run.key.task, task.title if task else run.claim.title, pull, state))
    return sorted(rows, key=lambda row: (row.state != "open", -row.pull.number))


def find_pull(run: Run | None) -> PullRequest | None:
    """The pull request of a run, None where it has none."""
    if run is None:
        return None
    return run.pull or (run.outcome.pull if run.outcome else None)


def count_tasks(snapshot: Snapshot) -> Mapping[Status, int]:
    """How many tasks there are of each counted status."""
    found = count_statuses(snapshot.document)
    return {status: found[status] for status in COUNTED}


def rate_success(metrics: Metrics) -> float | None:
    """The share (0..1) of the last finished tasks that were completed, None before the first."""
    return metrics.recent.count(True) / len(metrics.recent) if metrics.recent else None
