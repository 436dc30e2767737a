"""What only GitHub's reviews can suffer: logs elsewhere, runs, threads, merging by itself, branches."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orch.adapters.forge.github import logs
from orch.core.forge import Job, PullStatus, Reply
from orch.errors import PermanentError, TransientError
from orch.ports import PullDraft
from tests.adapters.hub import Desk, desk
from tests.github.fake import BOT, MEMBER, OWNER, FakeGitHub
from tests.github.faults import BadGateway, ServerError

pytestmark = pytest.mark.usefixtures("contracts")
BRANCH = "orch/gh-1-fix"


@pytest.fixture
def here(github: FakeGitHub, tmp_path: Path) -> Iterator[Desk]:
    with desk(github, tmp_path) as made:
        yield made


def publish(here: Desk) -> PullStatus:
    here.commit(BRANCH, "a.txt", "a\nb\n")
    pull = here.forge().publish(PullDraft(BRANCH, "Fix", "Text"))
    return PullStatus(pull.number, pull.url, BRANCH, pull.head, "main")


# --- logs --------------------------------------------------------------------------------------------------

LOG = """\
\ufeff2024-05-01T10:00:00.0000000Z ##[group]Run make test
2024-05-01T10:00:00.1000000Z \x1b[36;1mmake test\x1b[0m
2024-05-01T10:00:00.2000000Z ##[endgroup]
2024-05-01T10:00:01.0000000Z FAILED tests/test_a.py::test_one - ghp_aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6
2024-05-01T10:00:01.1000000Z ##[error]Process completed with exit code 2.
2024-05-01T10:00:02.0000000Z Post job cleanup.
2024-05-01T10:00:02.1000000Z git config --unset-all x
"""


def test_the_tail_is_what_a_person_would_look_at() -> None:
    assert logs.tail(LOG).split("\n") == [
        "Run make test",
        "make test",
        "FAILED tests/test_a.py::test_one - ***",
        "##[error]Process completed with exit code 2.",
    ]
    long = logs.tail("".join(f"line {number} {'x' * 50}\n" for number in range(10_000)))
    assert long.endswith("line 9999 " + "x" * 50)
    assert len(long.split("\n")) <= logs.SHOWN_LINES
    assert logs.tail("") == ""


def test_a_log_is_fetched_from_elsewhere_without_the_token(github: FakeGitHub, here: Desk) -> None:
    pull = publish(here)
    check = github.finish_check(pull.number, "build", "failure", log="x" * 3_000_000 + "\nthe end\n")
    assert here.reviews().tails([Job(check.id, "build", "failure")])["build"].endswith("the end")
    (asked,) = github.traffic.of("GET", "/logs/*")
    assert "authorization" not in asked.headers


@pytest.mark.parametrize("location", ["http://logs.example.org/x?sig=1", "ftp://127.0.0.1/x", ""])
def test_a_log_from_a_place_that_makes_no_sense_is_not_asked_for(location: str) -> None:
    with pytest.raises(TransientError, match="makes no sense"):
        logs._download(location)


def test_a_storage_that_is_away_names_no_secret_address() -> None:
    with pytest.raises(TransientError, match=r"cannot be read from 127\.0\.0\.1") as caught:
        logs._download("http://127.0.0.1:9/x?signature=made-up-secret")
    assert "made-up-secret" not in str(caught.value)


def test_logs_that_cannot_be_had_are_left_out(github: FakeGitHub, here: Desk) -> None:
    pull = publish(here)
    other = github.start_checks(pull.number, "preview", workflow="")[0]
    check = github.finish_check(pull.number, "build", "failure", log="boom")
    jobs = [Job(other.id, "preview", "failure"), Job(0, "ci/x", "error"), Job(check.id, "build", "failure")]
    assert here.reviews().tails(jobs) == {"build": "boom"}
    github.faults.add("GET", "*/logs", ServerError())
    with pytest.raises(TransientError):
        here.reviews().tails(jobs[2:])


# --- runs --------------------------------------------------------------------------------------------------


def test_only_what_is_over_and_was_not_run_again_runs_again(github: FakeGitHub, here: Desk) -> None:
    pull = publish(here)
    reviews = here.reviews()
    github.start_checks(pull.number, "build", "test")
    build = github.finish_check(pull.number, "build", "cancelled")
    job = Job(build.id, "build", "cancelled")
    reviews.rerun(pull, [job])
    assert github.traffic.count("POST", "*/rerun-failed-jobs") == 0, "its run is still at work"
    github.finish_check(pull.number, "test", "failure")
    reviews.rerun(pull, [job, Job(0, "ci/x", "error"), Job(987, "gone", "cancelled")])
    reviews.rerun(pull, [job])
    assert github.traffic.count("POST", "*/rerun-failed-jobs") == 1
    for name in ("build", "test"):
        github.finish_check(pull.number, name)
    reviews.rerun(pull, [replace(job, attempt=2)])
    assert github.traffic.count("POST", "*/rerun-failed-jobs") == 2, "GitHub says that there is nothing to do"


def test_a_run_that_was_begun_although_github_stumbled(github: FakeGitHub, here: Desk) -> None:
    pull = publish(here)
    check = github.finish_check(pull.number, "build", "cancelled")
    github.faults.add("POST", "*/rerun-failed-jobs", BadGateway())
    job = Job(check.id, "build", "cancelled")
    with pytest.raises(TransientError):
        here.reviews().rerun(pull, [job])
    here.reviews().rerun(pull, [job])
    assert github.traffic.count("POST", "*/rerun-failed-jobs") == 1


# --- answers -----------------------------------------------------------------------------------------------


def test_an_answer_to_an_answer_goes_to_the_thread(github: FakeGitHub, here: Desk) -> None:
    pull = publish(here)
    github.review(pull.number, "COMMENTED", comments=[("a.txt", 1, "Why?")])
    first = github.pull(pull.number).threads[0].comments[0]
    second = github.reply(pull.number, first.id, "Really, why?", by=OWNER)
    here.reviews().reply(pull.number, Reply(f"rc-{second.id}", "Because.", "k"))
    (asked,) = github.traffic.of("POST", "*/replies")
    assert asked.path.endswith(f"/comments/{first.id}/replies")


def test_reviews_and_plain_comments_are_quoted_and_mention_nobody(github: FakeGitHub, here: Desk) -> None:
    pull = publish(here)
    review = github.review(pull.number, "CHANGES_REQUESTED", "Not yet, @mia!\nSee below.")
    said = github.comment(pull.number, "Slow <!-- orch:status -->", by=MEMBER)
    for remark in (f"rv-{review.id}", f"ic-{said.id}", "ic-99", "rv-99"):
        for _ in range(2):
            here.reviews().reply(pull.number, Reply(remark, "Done.", "k"))
    bodies = [comment.body for comment in github.issue(pull.number).comments if comment.user == BOT]
    assert [body.split("\n\n")[:2] for body in bodies] == [
        ["> Not yet, @\N{ZERO WIDTH SPACE}mia! See below.", "Done."],
        ["> Slow <!-- (orch):status -->", "Done."],
    ]


def test_what_is_no_remark_is_refused(github: FakeGitHub, here: Desk) -> None:
    with pytest.raises(PermanentError, match="'x-1' is no remark"):
        here.reviews().reply(1, Reply("x-1", "Done.", "k"))


# --- merging by itself -------------------------------------------------------------------------------------


def test_what_waits_for_nothing_is_merged_at_once(github: FakeGitHub, here: Desk) -> None:
    pull = publish(here)
    here.reviews().auto_merge(pull)
    assert github.pull(pull.number).merged_by == BOT
    here.reviews().auto_merge(pull)


def test_what_waits_is_merged_by_github(github: FakeGitHub, here: Desk) -> None:
    github.protect("build")
    pull = publish(here)
    here.reviews().auto_merge(pull)
    assert github.pull(pull.number).merged_at is None
    github.finish_check(pull.number, "build")
    assert github.pull(pull.number).merged_at is not None


def test_it_became_clean_in_the_very_moment(github: FakeGitHub, here: Desk) -> None:
    """GitHub told that it is blocked, and a moment later refuses because it no longer is."""
    github.protect("build")
    pull = publish(here)
    reviews = here.reviews()
    here.hub.repository()

    class Late:
        after_write = True

        def spoil(self, reply: object) -> object:
            github.protect()
            return reply

    github.faults.add("POST", "/graphql", Late(), containing="query node")  # type: ignore[arg-type]
    reviews.auto_merge(pull)
    assert github.pull(pull.number).merged_at is not None


def test_another_head_is_not_merged(github: FakeGitHub, here: Desk) -> None:
    pull = publish(here)
    github.push(BRANCH, {"b.txt": "more"})
    here.reviews().auto_merge(pull)
    assert github.pull(pull.number).merged_at is None


def test_why_it_is_not_merged(github: FakeGitHub, here: Desk) -> None:
    github.protect("build")
    github.state.allow_auto_merge = False
    pull = publish(here)
    with pytest.raises(PermanentError, match="not allowed") as caught:
        here.reviews().auto_merge(pull)
    assert "settings of the repository" in caught.value.hint
    github.pull(pull.number).draft = True
    with pytest.raises(PermanentError, match="is a draft"):
        here.reviews().auto_merge(pull)
    github.pull(pull.number).draft = False
    github.push("main", {"a.txt": "theirs"})
    with pytest.raises(PermanentError, match="conflicts with main"):
        here.reviews().auto_merge(pull)
    github.pull(pull.number).unknown_reads = 9
    with pytest.raises(TransientError, match="does not know yet"):
        here.reviews().auto_merge(pull)
    here.reviews().auto_merge(replace(pull, number=99))


def test_auto_merge_that_was_set_although_github_stumbled(github: FakeGitHub, here: Desk) -> None:
    github.protect("build")
    pull = publish(here)
    github.faults.add("POST", "/graphql", BadGateway(), containing="enableAutoMerge")
    with pytest.raises(TransientError):
        here.reviews().auto_merge(pull)
    here.reviews().auto_merge(pull)
    assert len(github.traffic.of("POST", "/graphql")) == 3
    assert github.pull(pull.number).auto_merge is not None


# --- branches ----------------------------------------------------------------------------------------------


def test_branches_go_here_and_there(github: FakeGitHub, here: Desk) -> None:
    pull = publish(here)
    github.merge(pull.number)
    assert here.reviews().retire(pull) == ""
    assert github.head(BRANCH) is None
    assert (
        here.sample.git("for-each-ref", "--format=%(refname)", "refs/heads", "refs/orch") == "refs/heads/main"
    )


def test_a_branch_with_anything_else_stays(github: FakeGitHub, here: Desk) -> None:
    pull = publish(here)
    github.merge(pull.number)
    theirs = github.push(BRANCH, {"late.txt": "x"})
    assert "at origin has other commits" in here.reviews().retire(pull)
    assert github.head(BRANCH) == theirs
    github.delete_branch(BRANCH)
    mine = here.commit(BRANCH, "mine.txt", "x")
    assert "has commits here" in here.reviews().retire(pull)
    assert here.sample.sha(f"refs/heads/{BRANCH}") == mine


def test_a_branch_that_is_checked_out_stays(github: FakeGitHub, here: Desk) -> None:
    pull = publish(here)
    here.sample.git("worktree", "add", "--quiet", str(here.hands), BRANCH)
    assert here.reviews().retire(pull) == f"{BRANCH} is checked out"
    assert here.sample.sha(f"refs/heads/{BRANCH}") == pull.head


def test_the_base_is_never_deleted(github: FakeGitHub, here: Desk) -> None:
    for branch in ("main", ""):
        pull = PullStatus(1, "x", branch, str(github.head("main")), "dev")
        assert "is no branch of a task" in here.reviews().retire(pull)
    assert github.head("main")


def test_an_origin_that_is_away(github: FakeGitHub, here: Desk) -> None:
    pull = publish(here)
    here.sample.git("remote", "set-url", "origin", "http://127.0.0.1:9/acme/widget.git")
    with pytest.raises(TransientError):
        here.reviews().retire(pull)
    assert here.sample.sha(f"refs/heads/{BRANCH}") == pull.head
