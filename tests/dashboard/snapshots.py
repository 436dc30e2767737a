"""Snapshots to draw, made by hand."""

from dataclasses import replace
from typing import Any

from orch.core.costs import Cost, Spending
from orch.core.metrics import Event, Health, Metrics
from orch.core.model import (
    Activity,
    Claim,
    Mark,
    Outcome,
    OutcomeKind,
    Parking,
    Phase,
    Problem,
    Process,
    PullRequest,
    Run,
    RunKey,
    Status,
    Task,
)
from orch.core.state import Snapshot
from orch.core.tasks_md import Document

NOW = 1_763_642_400.0
COMPLETED = Mark(Status.COMPLETED, "w-9a9b9c", "cbffe52")


def make_run(task: str, attempt: int = 1, *, phase: Phase = Phase.RUNNING, age: float = 754) -> Run:
    claim = Claim(f"orch/{task}-x", "claude", f"title of {task}", claimed_at=NOW - age - 2)
    process = Process(pid=4000 + attempt, start_ticks=1, boot_id="b", started_at=NOW - age)
    return Run(RunKey(task, attempt), claim, phase, process=process)


def end(run: Run, kind: OutcomeKind, reason: str = "", pull: PullRequest | None = None) -> Run:
    outcome = Outcome(
        kind, run.claim.branch, "claude", NOW, reason=reason, commit="cbffe52" + "0" * 33, pull=pull
    )
    return run.evolve(phase=Phase.OVER, outcome=outcome, pull=pull)


def make_snapshot(*tasks: Task, runs: tuple[Run, ...] = (), **fields: Any) -> Snapshot:
    snapshot = Snapshot(
        at=NOW,
        document=Document({task.id: task for task in tasks}),
        runs={run.key.task: run for run in runs},
        live=frozenset(run.key.task for run in runs if run.live),
        metrics=Metrics(),
        health=Health.OK,
    )
    document = fields.get("document")
    # As the coordinator does it.
    return replace(snapshot, problems=document.problems if document else (), **fields)


def busy() -> Snapshot:
    """A morning's work: of everything a little."""
    pull = PullRequest(41, "https://forge.example/pull/41", "orch/gh-430-x", created_at=NOW)
    tasks = (
        Task("gh-471", "Fix the login flow", Mark(Status.ACTIVE, "w-1a2b3c"), priority=1),
        Task("gh-473", "日本語のタイトルで幅を確かめる" * 3, Mark(Status.ACTIVE, "w-2a2b3c")),
        Task("gh-480", "Export invoices as PDF", priority=0),
        Task("gh-481", "Mail the invoices", priority=0, after=("gh-480",)),
        Task("gh-500", "Small clean-up", priority=5),
        Task("gh-460", "Rotate the logs", Mark(Status.FAILED, "w-4a2b3c")),
        Task("gh-461", "Pick a provider", Mark(Status.BLOCKED), fields={"Reason": "which one?"}),
        Task("gh-430", "Add a map", COMPLETED, fields={"PR": "https://forge.example/pull/41"}),
        Task("gh-431", "Never mind", Mark(Status.SKIPPED)),
    )
    runs = (
        make_run("gh-471"),
        make_run("gh-473", 2, phase=Phase.VERIFYING, age=61),
        end(make_run("gh-460", 3), OutcomeKind.FAILED, "verify failed: 3 tests"),
        end(make_run("gh-430"), OutcomeKind.COMPLETED, pull=pull),
    )
    events = (
        Event(NOW - 90_000, "launched", "claude started", "gh-471", 1),
        Event(NOW - 60, "completed", "pull request #41", "gh-430", 1),
    )
    snapshot = make_snapshot(*tasks, runs=runs)
    return replace(
        snapshot,
        problems=(Problem(14, "unknown tag {colour:red}"),),
        metrics=Metrics(
            workers_launched=7,
            history=events,
            recent=(True, True, True, False),
            durations=(30.0, 200.0, 800.0),
            queue_waits=(1.0,),
        ),
        pid=4242,
        started_at=NOW - 11_520,
        max_workers=3,
        waiting={"gh-481": "waits for gh-480"},
        notices={"agent: codex": "agent codex is not installed"},
        activity={"gh-471": Activity("editing login.ts", cost_usd=1.25, tokens=123_456, turns=7)},
        parked={"codex": Parking("codex", NOW - 60, NOW + 3600, limit="5-hour limit")},
        spending=Spending("2023-11-14", Cost(3.5, 2_000_000)),
    )


def crowded() -> Snapshot:
    """Far more than a screen can show, and long."""
    tasks = [Task(f"t-{number}", f"Task {number} " + "long " * 40) for number in range(1000)]
    active = [Task(f"a-{number}", "Busy", Mark(Status.ACTIVE)) for number in range(60)]
    failed = [Task(f"f-{number}", "Broken", Mark(Status.FAILED)) for number in range(60)]
    runs = [make_run(task.id) for task in active]
    events = tuple(Event(NOW - number, "launched", f"event {number}") for number in range(100))
    return make_snapshot(*tasks, *active, *failed, runs=tuple(runs), metrics=Metrics(history=events))
