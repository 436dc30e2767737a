"""REST: what CI said about a commit."""

from tests.github import shapes_checks as shapes
from tests.github.calls import Answer, Call, Table, page
from tests.github.errors import not_found
from tests.github.rest_repository import resolve
from tests.github.shapes_repository import commit, files
from tests.github.state import Check, WorkflowRun

table = Table()


@table.route("GET ~/commits/{ref}/check-runs")
def list_checks(call: Call) -> Answer:
    sha = resolve(call)
    latest = call.query.get("filter", "latest") == "latest"
    status, name = call.query.get("status"), call.query.get("check_name")
    found = [
        check
        for check in call.world.state.checks.values()
        if check.sha == sha
        and (check.latest or not latest)
        and status in {None, check.status}
        and name in {None, check.name}
    ]
    return page(call, found, lambda check: shapes.check(call.links, check), key="check_runs")


@table.route("GET ~/commits/{ref}/status")
def get_status(call: Call) -> Answer:
    sha = resolve(call)
    statuses = call.world.checks.statuses(sha)
    call.query.get("per_page")  # Nothing here has more than one page of them.
    return Answer(200, shapes.combined_status(call.links, call.world.state, sha, statuses))


# After the two above: a ref may hold slashes.
@table.route("GET ~/commits/{ref}")
def get_commit(call: Call) -> Answer:
    found = call.world.repository.commit_of(resolve(call))
    changes = files(call.links, call.world.repository, found.parents[0], found.sha) if found.parents else []
    added, deleted = (sum(change[name] for change in changes) for name in ("additions", "deletions"))
    # The files come in pages, the rest with each of them.
    answer = page(call, changes, lambda change: change)
    stats = {"additions": added, "deletions": deleted, "total": added + deleted}
    return Answer(200, {**commit(call.links, found), "stats": stats, "files": answer.body}, answer.headers)


@table.route("GET ~/check-runs/{check_run_id}")
def get_check(call: Call) -> Answer:
    return Answer(200, shapes.check(call.links, call.world.checks.get(call.number("check_run_id"))))


@table.route("GET ~/check-runs/{check_run_id}/annotations")
def list_annotations(call: Call) -> Answer:
    check = call.world.checks.get(call.number("check_run_id"))
    return page(call, check.annotations, lambda entry: shapes.annotation(call.links, check.sha, entry))


def _shape(call: Call, run: WorkflowRun) -> dict[str, object]:
    world = call.world
    commit = world.repository.commit_of(run.sha)
    return shapes.workflow_run(call.links, world.state, run, world.checks.status_of(run), commit)


@table.route("GET ~/actions/runs")
def list_runs(call: Call) -> Answer:
    world, query = call.world, call.query
    sha, branch, status = query.get("head_sha"), query.get("branch"), query.get("status")
    found = [
        run
        for run in reversed(world.state.runs.values())
        if sha in {None, run.sha}
        and branch in {None, run.branch}
        # GitHub takes a status or a conclusion here.
        and (status is None or status in world.checks.status_of(run))
    ]

    return page(call, found, lambda run: _shape(call, run), key="workflow_runs")


@table.route("GET ~/actions/runs/{run_id}")
def get_run(call: Call) -> Answer:
    return Answer(200, _shape(call, call.world.checks.run(call.number("run_id"))))


@table.route("GET ~/actions/runs/{run_id}/jobs")
def list_jobs(call: Call) -> Answer:
    run = call.world.checks.run(call.number("run_id"))
    latest = call.query.get("filter", "latest") == "latest"
    found = [job for job in call.world.checks.jobs(run) if job.latest or not latest]
    return page(call, found, lambda job: shapes.job(call.links, run, job), key="jobs")


def _job(call: Call) -> Check:
    check = call.world.checks.get(call.number("job_id"))
    if not check.run:
        raise not_found()
    return check


@table.route("GET ~/actions/jobs/{job_id}")
def get_job(call: Call) -> Answer:
    job = _job(call)
    return Answer(200, shapes.job(call.links, call.world.checks.run(job.run), job))


@table.route("GET ~/actions/jobs/{job_id}/logs", needs="write")
def get_log(call: Call) -> Answer:
    job = _job(call)
    if job.status != "completed" or not job.log:
        raise not_found()
    return Answer(302, headers={"Location": f"{call.links.storage}/logs/{job.id}?signature=made-up"})


@table.route("POST ~/actions/runs/{run_id}/rerun-failed-jobs", needs="write")
def rerun_failed_jobs(call: Call) -> Answer:
    call.fields.get("enable_debug_logging")
    call.world.checks.rerun_failed(call.world.checks.run(call.number("run_id")))
    return Answer(201, {})
