"""What CI says about a head: together, and of each failed check whether the code is to blame."""

import re
from collections.abc import Mapping

from orch.adapters.forge.github import shapes
from orch.adapters.forge.github.failures import DeniedError, one_line
from orch.adapters.forge.github.graph_pulls import Context, Full
from orch.adapters.forge.github.hub import Hub
from orch.core.forge import Checks, Job
from orch.errors import PermanentError

ASKED_JOBS = 20
"""Of so many failed jobs it is asked what GitHub remarked on them."""

_FAILED = frozenset({"FAILURE", "TIMED_OUT", "CANCELLED", "ACTION_REQUIRED", "STARTUP_FAILURE", "STALE"})
_STATES = {"SUCCESS": Checks.GREEN, "PENDING": Checks.PENDING, "EXPECTED": Checks.PENDING}

_CONCLUSIONS = {
    "CANCELLED": "it was cancelled",
    "STALE": "GitHub gave it up",
    "ACTION_REQUIRED": "it waits for somebody's approval on GitHub",
}
"""Ends for which the code is not to blame."""

_INFRASTRUCTURE = re.compile(
    r"lost communication|shutdown signal|runner encountered an error|not acquired by|no runner"
    r"|payments have failed|spending limit|billing|job was not started|internal error",
    re.IGNORECASE,
)
"""What GitHub remarks on a job that its own machines failed."""


def result(full: Full) -> Checks:
    """What all checks say. A failure counts once no other job of GitHub Actions is still at work.

    Their logs can only be had, and they can only be run again, when all of a workflow run is over.
    """
    rollup = full.status_check_rollup
    if rollup is None:
        return Checks.NONE
    state = _STATES.get(rollup.state, Checks.RED)
    if state is Checks.RED and any(each.run and each.status != "COMPLETED" for each in rollup.contexts.nodes):
        return Checks.PENDING
    return state


def failed(hub: Hub, full: Full) -> tuple[Job, ...]:
    """The failed checks of a head that is red."""
    nodes = full.status_check_rollup.contexts.nodes if full.status_check_rollup else []
    bad = [each for each in nodes if each.conclusion in _FAILED or each.state in {"FAILURE", "ERROR"}]
    known: dict[int, shapes.Job] = {}
    for run in sorted({each.run for each in bad} - {0}):
        known |= _jobs(hub, run)
    jobs, left = [], ASKED_JOBS
    for each in bad:
        if each.kind == "StatusContext":
            jobs.append(Job(0, each.context, each.state.lower(), url=each.target_url or ""))
            continue
        key = each.database_id or 0
        job = known.get(key)
        conclusion = each.conclusion or ""
        trouble = _CONCLUSIONS.get(conclusion, "")
        if not trouble and job is not None and left:
            left -= 1
            trouble = _trouble(hub, job)
        attempt = job.run_attempt if job is not None else 1
        jobs.append(Job(key, _name(each), conclusion.lower(), attempt, trouble, each.url or ""))
    return tuple(jobs)


def _jobs(hub: Hub, run: int) -> Mapping[int, shapes.Job]:
    """The latest jobs of a workflow run, none where it is gone or the token may not see it."""
    path = hub.path(f"/actions/runs/{run}/jobs")
    try:
        pages = list(hub.connection.pages(path, shapes.Jobs, {"filter": "latest"}, limit=3))
    except (PermanentError, DeniedError):
        return {}
    return {job.id: job for page in pages for job in page.jobs}


def _trouble(hub: Hub, job: shapes.Job) -> str:
    """Why a job failed through no fault of the code, '' where it may be the code's."""
    try:
        path = hub.path(f"/check-runs/{job.id}/annotations")
        notes = hub.connection.read(path, list[shapes.Annotation])
    except (PermanentError, DeniedError):
        notes = []
    said = [one_line(note.message or "") for note in notes]
    told = next((text for text in said if _INFRASTRUCTURE.search(text)), "")
    if told:
        return told
    return "" if job.runner_id or job.runner_name else ": ".join(["no runner took it", *said[:1]])


def _name(check: Context) -> str:
    """The name that tells it from the others: two workflows may have a job of one name."""
    run = check.check_suite.workflow_run if check.check_suite else None
    return f"{run.workflow.name} / {check.name}" if run and run.workflow else check.name
