"""What CI says, through PyGithub: check runs, workflow runs, jobs with logs, statuses."""

import pytest
from github import GithubException, UnknownObjectException

from tests.github.clients import connect, plain
from tests.github.fake import FakeGitHub
from tests.github.state import Annotation

NAME = "acme/widget"


@pytest.fixture
def number(github: FakeGitHub) -> int:
    """A pull request from the branch `fix/1`."""
    github.push("fix/1", {"a.txt": "one\n"}, "Fix")
    return github.open_pull("fix/1").number


def test_check_runs_tell_how_they_ended(github: FakeGitHub, number: int) -> None:
    github.start_checks(number, "build", "lint")
    annotation = Annotation("a.txt", 1, "is wrong")
    github.finish_check(number, "lint", "failure", title="1 error", annotations=(annotation,))
    with connect(github) as client:
        commit = client.get_repo(NAME).get_commit("fix/1").complete()
        found = {check.name: check for check in commit.get_check_runs()}
        assert found["build"].raw_data["status"] == "queued"
        assert found["build"].raw_data["conclusion"] is None
        assert (found["lint"].status, found["lint"].conclusion) == ("completed", "failure")
        assert found["lint"].output.title == "1 error"
        assert [(entry.path, entry.message) for entry in found["lint"].get_annotations()] == [
            ("a.txt", "is wrong")
        ]
        assert client.get_repo(NAME).get_check_run(found["lint"].id).conclusion == "failure"
        assert [check.name for check in commit.get_check_runs(status="queued")] == ["build"]
        assert commit.sha == github.head("fix/1")
        assert [file.filename for file in commit.files] == ["a.txt"]


def test_failed_jobs_are_run_again_with_new_ids(github: FakeGitHub, number: int) -> None:
    first = github.start_checks(number, "build", "lint")
    github.finish_check(number, "build")
    with connect(github) as client:
        repo = client.get_repo(NAME)
        (run,) = repo.get_workflow_runs(head_sha=str(github.head("fix/1")))
        assert run.status == "in_progress"
        path = f"{run.url}/rerun-failed-jobs"
        with pytest.raises(GithubException) as refused:
            client.requester.requestJsonAndCheck("POST", path)
        assert refused.value.status == 403
        github.finish_check(number, "lint", "cancelled")
        client.requester.requestJsonAndCheck("POST", path)
        (run,) = repo.get_workflow_runs(head_sha=str(github.head("fix/1")))
        assert (run.run_attempt, run.status) == (2, "in_progress")
        assert run.raw_data["conclusion"] is None
        jobs = {job.name: job for job in run.jobs()}
        assert jobs["build"].id == first[0].id
        assert jobs["lint"].id != first[1].id
        assert jobs["lint"].complete().run_attempt == 2
        assert len(list(run.jobs("all"))) == 3
        github.finish_check(number, "lint")
        (run,) = repo.get_workflow_runs(branch=repo.get_branch("fix/1"), status="success")
        assert run.conclusion == "success"


def test_a_log_lies_elsewhere_and_wants_no_token(github: FakeGitHub, number: int) -> None:
    job = github.finish_check(number, "build", "failure", log="line 1\nerror: no\n")
    path = f"{github.url}/repos/{NAME}/actions/jobs/{job.id}/logs"
    with connect(github) as client:
        (run,) = client.get_repo(NAME).get_workflow_runs()
        (found,) = run.jobs()
        assert found.logs_url().startswith("http://127.0.0.1:")
    with plain(github) as session:
        answer = session.get(path)
        assert answer.text == "line 1\nerror: no\n"
        assert answer.history[0].status_code == 302
        assert "Authorization" not in answer.request.headers
        wrong = session.get(answer.url, headers={"Authorization": "Bearer x"})
        assert wrong.status_code == 400
    assert [text for text in github.violations if "another host" in text]
    github.violations.clear()


def test_a_log_that_is_not_there_is_404(github: FakeGitHub, number: int) -> None:
    queued, other = github.start_checks(number, "build")[0], github.start_checks(number, "x", workflow="")[0]
    with plain(github) as session:
        for key in (queued.id, other.id, 99):
            url = f"{github.url}/repos/{NAME}/actions/jobs/{key}/logs"
            assert session.get(url, allow_redirects=False).status_code == 404
    with connect(github) as client, pytest.raises(UnknownObjectException):
        client.get_repo(NAME).get_check_run(99).name  # noqa: B018  lazy: this asks


def test_statuses_are_combined(github: FakeGitHub, number: int) -> None:
    with connect(github) as client:
        commit = client.get_repo(NAME).get_commit(str(github.head("fix/1")))
        assert commit.get_combined_status().state == "pending"
        github.set_status(number, "ci/old", "pending")
        github.set_status(number, "ci/old", "success", "Fine")
        status = commit.get_combined_status()
        assert (status.state, [entry.context for entry in status.statuses]) == ("success", ["ci/old"])
        github.set_status(number, "ci/other", "error")
        assert commit.get_combined_status().state == "failure"


def test_a_commit_that_is_not_there_is_422(github: FakeGitHub) -> None:
    with connect(github) as client, pytest.raises(GithubException) as refused:
        client.get_repo(NAME).get_commit("nowhere").complete()
    assert refused.value.status == 422
