"""What CI does: check runs, workflow runs and commit statuses."""

from tests.github.errors import forbidden, not_found
from tests.github.state import Annotation, Check, State, Status, WorkflowRun

PASSED = frozenset({"success", "neutral", "skipped"})


class Checks:
    """The checks of every commit."""

    def __init__(self, state: State) -> None:
        self._state = state

    # --- looking --------------------------------------------------------------------------------------

    def of(self, sha: str) -> list[Check]:
        """The latest checks of a commit."""
        return [check for check in self._state.checks.values() if check.sha == sha and check.latest]

    def statuses(self, sha: str) -> list[Status]:
        """The latest status of each context of a commit."""
        latest = {status.context: status for status in self._state.statuses if status.sha == sha}
        return list(latest.values())

    def get(self, key: int) -> Check:
        if key not in self._state.checks:
            raise not_found()
        return self._state.checks[key]

    def run(self, key: int) -> WorkflowRun:
        if key not in self._state.runs:
            raise not_found()
        return self._state.runs[key]

    def jobs(self, run: WorkflowRun) -> list[Check]:
        """Every job of a workflow run, those of earlier attempts too."""
        return [check for check in self._state.checks.values() if check.run == run.id]

    def status_of(self, run: WorkflowRun) -> tuple[str, str | None]:
        """`status` and `conclusion` of a workflow run: what its latest jobs say."""
        jobs = [job for job in self.jobs(run) if job.latest]
        if any(job.status != "completed" for job in jobs):
            return ("queued" if all(job.status == "queued" for job in jobs) else "in_progress"), None
        for conclusion in ("failure", "timed_out", "cancelled", "action_required"):
            if any(job.conclusion == conclusion for job in jobs):
                return "completed", conclusion
        return "completed", "success"

    def rollup(self, sha: str) -> str | None:
        """GitHub's StatusState of a commit, None where nothing was ever reported."""
        found = [
            ("SUCCESS" if check.conclusion in PASSED else "FAILURE")
            if check.status == "completed"
            else "PENDING"
            for check in self.of(sha)
        ]
        found += [status.state.upper() for status in self.statuses(sha)]
        return next((state for state in ("ERROR", "FAILURE", "PENDING", "SUCCESS") if state in found), None)

    def passed(self, sha: str, name: str) -> bool:
        """Whether a check or a status of this name succeeded."""
        results = [check.conclusion in PASSED for check in self.of(sha) if check.name == name]
        results += [status.state == "success" for status in self.statuses(sha) if status.context == name]
        return bool(results) and all(results)

    # --- changing -------------------------------------------------------------------------------------

    def start(self, sha: str, names: tuple[str, ...], *, workflow: str, branch: str) -> list[Check]:
        """Queue checks for a commit: jobs of a workflow, or checks of another app where that is ''."""
        now, suite = self._state.now(), self._state.new_id()
        run = 0
        if workflow:
            run = self._state.new_id()
            self._state.runs[run] = WorkflowRun(run, workflow, sha, branch, suite, now, now)
        return [self._add(name, sha, suite, run) for name in names]

    def _add(self, name: str, sha: str, suite: int, run: int, attempt: int = 1) -> Check:
        check = Check(self._state.new_id(), name, sha, suite, run, attempt, created_at=self._state.now())
        self._state.checks[check.id] = check
        return check

    def begin(self, check: Check) -> None:
        check.status, check.started_at = "in_progress", self._state.now()

    def finish(
        self,
        check: Check,
        conclusion: str,
        *,
        log: str = "",
        title: str | None = None,
        summary: str | None = None,
        annotations: tuple[Annotation, ...] = (),
    ) -> None:
        now = self._state.now()
        check.status, check.conclusion = "completed", conclusion
        check.started_at, check.completed_at = check.started_at or now, now
        check.log, check.title, check.summary = log, title, summary
        check.annotations = list(annotations)
        if check.run:
            self._state.runs[check.run].updated_at = now

    def set_status(self, sha: str, context: str, state: str, description: str | None = None) -> None:
        """A commit status, as older CI services report: error, failure, pending or success."""
        key, now = self._state.new_id(), self._state.now()
        self._state.statuses.append(Status(key, sha, context, state, description, now))

    def rerun_failed(self, run: WorkflowRun) -> None:
        """Queue the failed jobs of a run again, with new ids; raises 403 where nothing can be done."""
        if self.status_of(run)[0] != "completed":
            raise forbidden("This workflow is already running")
        failed = [job for job in self.jobs(run) if job.latest and job.conclusion not in PASSED]
        if not failed:
            raise forbidden("This workflow run has no failed jobs")
        run.attempt, run.updated_at = run.attempt + 1, self._state.now()
        for job in failed:
            job.latest = False
            self._add(job.name, job.sha, job.suite, run.id, run.attempt)
