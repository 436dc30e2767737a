"""Check runs, workflow runs, jobs and statuses as the REST API shows them."""

from urllib.parse import quote

from tests.github.links import REPOSITORY_LINKS, Links, stamp, stamp_or_none
from tests.github.repository import Commit
from tests.github.shapes_repository import Json, node, repository
from tests.github.state import Annotation, Check, State, Status, WorkflowRun

MINIMAL = frozenset(
    {"id", "node_id", "name", "full_name", "owner", "private", "html_url", "description", "fork", "url"}
)


def minimal_repository(links: Links, state: State) -> Json:
    keep = MINIMAL | set(REPOSITORY_LINKS)
    return {name: value for name, value in repository(links, state).items() if name in keep}


def check(links: Links, found: Check) -> Json:
    url = links.repo(f"/check-runs/{found.id}")
    html = links.html(f"/actions/runs/{found.run}/job/{found.id}" if found.run else f"/runs/{found.id}")
    return {
        "id": found.id,
        "name": found.name,
        "node_id": node("CR", found.id),
        "head_sha": found.sha,
        "external_id": "",
        "url": url,
        "html_url": html,
        "details_url": html,
        "status": found.status,
        "conclusion": found.conclusion,
        "started_at": stamp_or_none(found.started_at),
        "completed_at": stamp_or_none(found.completed_at),
        "output": {
            "title": found.title,
            "summary": found.summary,
            "text": None,
            "annotations_count": len(found.annotations),
            "annotations_url": f"{url}/annotations",
        },
        "check_suite": {"id": found.suite},
        "app": None,
        "pull_requests": [],
    }


def annotation(links: Links, sha: str, found: Annotation) -> Json:
    return {
        "path": found.path,
        "blob_href": links.html(f"/blob/{sha}/{quote(found.path)}"),
        "start_line": found.line,
        "end_line": found.line,
        "start_column": None,
        "end_column": None,
        "annotation_level": found.level,
        "title": None,
        "message": found.message,
        "raw_details": None,
    }


def workflow_run(
    links: Links, state: State, run: WorkflowRun, now: tuple[str, str | None], commit: Commit
) -> Json:
    """`now` is its status and its conclusion."""
    url = links.repo(f"/actions/runs/{run.id}")
    shape = minimal_repository(links, state)
    return {
        "id": run.id,
        "name": run.name,
        "node_id": node("WFR", run.id),
        "check_suite_id": run.suite,
        "check_suite_node_id": node("CS", run.suite),
        "head_branch": run.branch,
        "head_sha": run.sha,
        "path": f".github/workflows/{run.name.lower()}.yml",
        "display_title": commit.message.partition("\n")[0],
        "run_number": list(state.runs).index(run.id) + 1,
        "run_attempt": run.attempt,
        "event": "pull_request",
        "status": now[0],
        "conclusion": now[1],
        "workflow_id": state.id,
        "url": url,
        "html_url": links.html(f"/actions/runs/{run.id}"),
        "pull_requests": [],
        "created_at": stamp(run.created_at),
        "updated_at": stamp(run.updated_at),
        "run_started_at": stamp(run.created_at),
        "jobs_url": f"{url}/jobs",
        "logs_url": f"{url}/logs",
        "check_suite_url": links.repo(f"/check-suites/{run.suite}"),
        "artifacts_url": f"{url}/artifacts",
        "cancel_url": f"{url}/cancel",
        "rerun_url": f"{url}/rerun",
        "workflow_url": links.repo(f"/actions/workflows/{state.id}"),
        "head_commit": {
            "id": commit.sha,
            "tree_id": commit.tree,
            "message": commit.message,
            "timestamp": commit.committer[2],
            "author": {"name": commit.author[0], "email": commit.author[1]},
            "committer": {"name": commit.committer[0], "email": commit.committer[1]},
        },
        "repository": shape,
        "head_repository": shape,
    }


def job(links: Links, run: WorkflowRun, found: Check) -> Json:
    runner = found.runner if found.started_at is not None else None
    return {
        "id": found.id,
        "run_id": run.id,
        "run_url": links.repo(f"/actions/runs/{run.id}"),
        "run_attempt": found.attempt,
        "node_id": node("CR", found.id),
        "head_sha": found.sha,
        "head_branch": run.branch,
        "url": links.repo(f"/actions/jobs/{found.id}"),
        "html_url": links.html(f"/actions/runs/{run.id}/job/{found.id}"),
        "check_run_url": links.repo(f"/check-runs/{found.id}"),
        "name": found.name,
        "workflow_name": run.name,
        "status": found.status,
        "conclusion": found.conclusion,
        "created_at": stamp(found.created_at),
        # GitHub gives a queued job the time at which it was queued.
        "started_at": stamp(found.started_at or found.created_at),
        "completed_at": stamp_or_none(found.completed_at),
        "labels": ["ubuntu-latest"],
        "runner_id": 1 if runner else None,
        "runner_name": runner,
        "runner_group_id": 1 if runner else None,
        "runner_group_name": "GitHub Actions" if runner else None,
        "steps": [],
    }


def combined_status(links: Links, state: State, sha: str, statuses: list[Status]) -> Json:
    states = {status.state for status in statuses}
    worst = "failure" if states & {"failure", "error"} else "success" if states == {"success"} else "pending"
    return {
        "state": worst,
        "statuses": [_status(links, status) for status in statuses],
        "sha": sha,
        "total_count": len(statuses),
        "repository": minimal_repository(links, state),
        "commit_url": links.repo(f"/commits/{sha}"),
        "url": links.repo(f"/commits/{sha}/status"),
    }


def _status(links: Links, status: Status) -> Json:
    moment = stamp(status.created_at)
    return {
        "id": status.id,
        "node_id": node("SC", status.id),
        "url": links.repo(f"/statuses/{status.sha}"),
        "avatar_url": None,
        "context": status.context,
        "state": status.state,
        "description": status.description,
        "target_url": None,
        "created_at": moment,
        "updated_at": moment,
    }
