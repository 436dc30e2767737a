"""What only the forge at GitHub can suffer: other people's pull requests, edits, stumbles in every write."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from orch.adapters.forge.github.forge import Opening
from orch.adapters.forge.github.usage import Meter
from orch.core.forge import PullStatus, Reply, Telling
from orch.errors import PermanentError, TransientError
from orch.ports import PullDraft
from tests.adapters.hub import Desk, Says, desk
from tests.fakes.clock import FakeClock
from tests.github.fake import BOT, MEMBER, STRANGER, FakeGitHub
from tests.github.faults import (
    BadGateway,
    Cut,
    Dropped,
    Nonsense,
    RateLimited,
    SecondaryLimited,
    ServerError,
    Trouble,
    Truncated,
)
from tests.github.traffic import Reply as Wire

BRANCH = "orch/gh-1-fix"
DRAFT = PullDraft(BRANCH, "Fix it", "Fixes #1\n")
ALL = Opening(labels=("by-orch",), reviewers=(MEMBER, BOT, STRANGER))


@pytest.fixture
def later() -> FakeClock:
    """By which it is known whether GitHub's limits still hold."""
    return FakeClock(time.time())


@pytest.fixture
def here(github: FakeGitHub, tmp_path: Path, later: FakeClock) -> Iterator[Desk]:
    with desk(github, tmp_path, meter=Meter(now=later.now)) as made:
        yield made


# --- what other people do ------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [MEMBER, BOT])
def test_a_pull_request_that_somebody_opened_is_taken_as_it_is(
    github: FakeGitHub, here: Desk, by: str
) -> None:
    """A worker opens it by the account of the token, a person by their own."""
    here.commit(BRANCH, "a.txt", "a")
    here.sample.git("push", "--quiet", str(github.path), BRANCH)
    there = github.open_pull(BRANCH, "My title", "My text", by=by)
    found = here.forge().find(BRANCH)
    assert found is not None
    assert found.number == there.number
    head = here.commit(BRANCH, "b.txt", "b")
    pull = here.forge(opening=ALL).publish(DRAFT)
    assert (pull.number, pull.title, pull.body, pull.head) == (there.number, "My title", "My text", head)
    assert len(github.state.pulls()) == 1
    assert github.issue(there.number).labels == []


def test_a_closed_one_is_no_signal_and_a_new_one_is_opened(github: FakeGitHub, here: Desk) -> None:
    here.commit(BRANCH, "a.txt", "a")
    first = here.forge().publish(DRAFT)
    github.close(first.number)
    assert here.forge().find(BRANCH) is None
    second = here.forge().publish(DRAFT)
    assert (second.number, second.state) == (first.number + 1, "open")


def test_a_branch_of_the_same_name_in_a_fork_is_another_one(github: FakeGitHub, here: Desk) -> None:
    here.commit(BRANCH, "a.txt", "a")
    here.sample.git("push", "--quiet", str(github.path), BRANCH)
    number = github.open_pull(BRANCH).number

    class Fork:
        """GitHub's answer, as if the head lay in another repository."""

        after_write = True

        def spoil(self, reply: object) -> object:
            reply.body = reply.body.replace(  # type: ignore[attr-defined]
                b'"head": {"label": "acme:', b'"head": {"repo": null, "label": "sam:'
            ).replace(b'"repo": {"id": 4711', b'"fork": {"id": 4711', 1)
            return reply

    github.faults.add("GET", "*/pulls", Fork())  # type: ignore[arg-type]
    assert here.forge().find(BRANCH) is None
    found = here.forge().find(BRANCH)
    assert found is not None
    assert found.number == number


def test_what_a_person_edited_stays(github: FakeGitHub, here: Desk) -> None:
    here.commit(BRANCH, "a.txt", "a")
    pull = here.forge().publish(DRAFT)
    github.edit(pull.number, title="A better title")
    again = here.forge().publish(PullDraft(BRANCH, "Fix it again", "More"))
    assert (again.title, again.body) == ("A better title", "Fixes #1\n")
    assert github.traffic.count("PATCH") == 0


def test_what_a_person_pushed_is_not_pushed_over(github: FakeGitHub, here: Desk) -> None:
    here.commit(BRANCH, "a.txt", "a")
    here.forge().publish(DRAFT)
    theirs = github.push(BRANCH, {"theirs.txt": "x"})
    here.commit(BRANCH, "b.txt", "b")
    with pytest.raises(PermanentError, match="origin has other commits"):
        here.forge().publish(DRAFT)
    here.sample.git("branch", "--quiet", "-f", BRANCH, "origin/main")
    here.commit(BRANCH, "c.txt", "begun again")
    with pytest.raises(PermanentError, match="origin has other commits"):
        here.forge().publish(DRAFT)
    assert github.head(BRANCH) == theirs


def test_work_that_began_again_replaces_what_orch_pushed(github: FakeGitHub, here: Desk) -> None:
    here.commit(BRANCH, "a.txt", "a")
    first = here.forge().publish(DRAFT)
    here.sample.git("branch", "--quiet", "-f", BRANCH, "origin/main")
    head = here.commit(BRANCH, "b.txt", "b")
    again = here.forge().publish(DRAFT)
    assert (again.number, again.head, github.head(BRANCH)) == (first.number, head, head)


@pytest.mark.parametrize("method", ["merge", "squash"])
def test_a_merged_one_counts_while_the_branch_has_nothing_newer(
    github: FakeGitHub, here: Desk, method: str
) -> None:
    here.commit(BRANCH, "a.txt", "a")
    pull = here.forge().publish(DRAFT)
    github.push(BRANCH, {"theirs.txt": "pushed at GitHub, not known here"})
    github.merge(pull.number, method=method)
    found = here.forge().find(BRANCH)
    assert found is not None
    assert (found.state, found.merged_commit) == ("merged", github.head("main"))
    assert here.forge().publish(DRAFT) == found
    here.commit(BRANCH, "b.txt", "newer")
    assert here.forge().find(BRANCH) is None


def test_a_branch_without_work_is_not_published(github: FakeGitHub, here: Desk) -> None:
    here.sample.git("branch", "--quiet", BRANCH)
    with pytest.raises(PermanentError, match="nothing that main has not"):
        here.forge().publish(DRAFT)
    assert github.head(BRANCH) is None


def test_pull_requests_of_other_branches_are_not_orchs(github: FakeGitHub, here: Desk) -> None:
    github.push("mine", {"a.txt": "a"})
    github.open_pull("mine")
    assert list(here.forge().pulls()) == []


def test_github_that_does_not_see_yet_what_was_pushed(github: FakeGitHub, here: Desk) -> None:
    here.commit(BRANCH, "a.txt", "a")
    forge = here.forge()
    said = '{"message": "Validation Failed", "errors": [{"field": "head", "code": "invalid"}]}'
    github.faults.add("POST", "*/pulls", Says(422, said), times=4)
    for _ in range(3):
        with pytest.raises(TransientError, match="head invalid"):
            forge.publish(DRAFT)
    with pytest.raises(PermanentError, match="head invalid"):
        forge.publish(DRAFT)
    assert forge.publish(DRAFT).number == 1


def test_work_that_came_into_the_base_by_another_way(github: FakeGitHub, here: Desk) -> None:
    here.commit(BRANCH, "a.txt", "a")
    here.sample.git("push", "--quiet", str(github.path), f"{BRANCH}:main")
    with pytest.raises(PermanentError, match="nothing that main has not"):
        here.forge().publish(DRAFT)


def test_a_base_that_is_not_there_is_told(github: FakeGitHub, here: Desk) -> None:
    here.commit(BRANCH, "a.txt", "a")
    said = '{"message": "Validation Failed", "errors": [{"field": "base", "code": "invalid"}]}'
    github.faults.add("POST", "*/pulls", Says(422, said))
    with pytest.raises(PermanentError, match="base invalid"):
        here.forge().publish(DRAFT)


def test_a_pull_request_that_is_opened_in_the_very_moment(github: FakeGitHub, here: Desk) -> None:
    here.commit(BRANCH, "a.txt", "a")

    class Late:
        """A worker opens it between the look and the write."""

        after_write = False

        def spoil(self, reply: object) -> Wire:
            github.open_pull(BRANCH, "Mine")
            said = (
                b'{"message": "Validation Failed", "errors": [{"message": "A pull request already exists"}]}'
            )
            return Wire(422, {"Content-Type": "application/json"}, said)

    github.faults.add("POST", "*/pulls", Late())
    assert here.forge().publish(DRAFT).title == "Mine"


def test_a_title_as_github_writes_it(github: FakeGitHub, here: Desk) -> None:
    here.commit(BRANCH, "a.txt", "a")
    pull = here.forge().publish(PullDraft(BRANCH, "Fix\n  " + "x" * 300, ""))
    assert pull.title == "Fix " + "x" * 252


# --- how it is opened ------------------------------------------------------------------------------------


def test_labels_reviewers_and_draft(github: FakeGitHub, here: Desk) -> None:
    here.commit(BRANCH, "a.txt", "a")
    opening = Opening(draft=True, labels=ALL.labels, reviewers=ALL.reviewers)
    pull = here.forge(opening=opening).publish(DRAFT)
    there = github.pull(pull.number)
    assert (there.draft, there.requested) == (True, [MEMBER])
    assert github.issue(pull.number).labels == ["by-orch"]
    assert pull.body == DRAFT.body
    (warning,) = here.warnings
    assert "sam is not a collaborator" in warning
    github.unlabel(pull.number, "by-orch")
    here.commit(BRANCH, "b.txt", "b")
    here.forge(opening=opening).publish(DRAFT)
    assert github.issue(pull.number).labels == [], "what a person took off stays off"


def test_an_empty_body_and_a_long_one(github: FakeGitHub, here: Desk) -> None:
    here.commit(BRANCH, "a.txt", "a")
    assert here.forge().publish(PullDraft(BRANCH, "Fix it", "")).body == ""
    here.forge().publish(PullDraft(BRANCH, "Fix it", "x" * 100_000))
    assert "(shortened)" in github.issue(1).body
    assert here.forge().publish(PullDraft(BRANCH, "Fix it", "x")).body == "x"


# --- merging ---------------------------------------------------------------------------------------------


def test_it_is_merged_as_the_repository_allows(github: FakeGitHub, here: Desk) -> None:
    here.commit(BRANCH, "a.txt", "a")
    pull = here.forge().publish(DRAFT)
    repository = here.hub.repository()
    for merge_commit, squash, method in (
        (True, True, "merge"),
        (False, True, "squash"),
        (False, False, "rebase"),
    ):
        repository.allow_merge_commit, repository.allow_squash_merge = merge_commit, squash
        assert repository.method == method
    repository.allow_squash_merge = True
    here.forge().merge(pull.number)
    assert github.traffic.of("PUT")[0].body["merge_method"] == "squash"


def test_why_it_cannot_be_merged(github: FakeGitHub, here: Desk) -> None:
    here.commit(BRANCH, "a.txt", "a")
    pull = here.forge().publish(DRAFT)
    github.protect("build")
    with pytest.raises(PermanentError, match='"build" is expected'):
        here.forge().merge(pull.number)
    github.close(pull.number)
    with pytest.raises(PermanentError, match="is closed"):
        here.forge().merge(pull.number)


def test_a_head_that_moves_in_the_very_moment(github: FakeGitHub, here: Desk) -> None:
    here.commit(BRANCH, "a.txt", "a")
    pull = here.forge().publish(DRAFT)
    forge = here.forge()

    class Late:
        after_write = True

        def spoil(self, reply: object) -> object:
            github.push(BRANCH, {"late.txt": "x"})
            return reply

    github.faults.add("GET", "*/pulls/1", Late())  # type: ignore[arg-type]
    with pytest.raises(TransientError, match="is moving"):
        forge.merge(pull.number)
    assert github.pull(pull.number).merged_at is None


# --- every write, every fault ------------------------------------------------------------------------------

FAULTS: list[Trouble] = [
    BadGateway(),
    BadGateway(after_write=False),
    ServerError(),
    ServerError(after_write=True),
    Dropped(after_write=True),
    Dropped(after_write=False),
    Cut(),
    Truncated(),
    Nonsense(),
    Nonsense(html=False),
    RateLimited(seconds=0),
    RateLimited(429, seconds=0),
    SecondaryLimited(retry_after=0),
    SecondaryLimited(429, retry_after=0),
]


@dataclass
class Write:
    """Something that orch writes, by which request, and what is there in the end."""

    method: str
    path: str
    act: Callable[[Desk], object]
    count: Callable[[FakeGitHub], int]
    containing: str = ""


def _publish(here: Desk) -> object:
    return here.forge(opening=Opening(labels=("by-orch",), reviewers=(MEMBER,))).publish(
        PullDraft(BRANCH, "Fix it again", "Fixes #1\n")
    )


def _status(here: Desk) -> PullStatus:
    (pull,) = here.forge().pulls()
    return PullStatus(pull.number, pull.url, BRANCH, pull.head, "main")


def _answer(here: Desk) -> None:
    thread = here.github.pull(2).threads[0].comments[0].id
    here.reviews().reply(2, Reply(f"rc-{thread}", "Done.", "k"))


def _remark(here: Desk) -> None:
    said = here.github.issue(2).comments[0].id
    here.reviews().reply(2, Reply(f"ic-{said}", "Done.", "k"))


def _rerun(here: Desk) -> None:
    from orch.core.forge import Job

    failed = min(check.id for check in here.github.state.checks.values() if check.name == "test")
    here.reviews().rerun(_status(here), [Job(failed, "test", "cancelled")])


def _tell_twice(here: Desk) -> None:
    for text in ("One", "Two"):
        here.tracker().tell(1, Telling(text))


def _by_orch(github: FakeGitHub, number: int) -> int:
    return sum(comment.user == BOT for comment in github.issue(number).comments)


WRITES = {
    "the pull request": Write("POST", "*/pulls", _publish, lambda github: len(github.state.pulls())),
    "its labels": Write("POST", "*/labels", _publish, lambda github: len(github.issue(2).labels)),
    "its reviewers": Write(
        "POST", "*/requested_reviewers", _publish, lambda github: len(github.pull(2).requested)
    ),
    "its text": Write(
        "PATCH", "*/pulls/2", _publish, lambda github: github.issue(2).title.count("Fix it again")
    ),
    "the comment": Write(
        "POST",
        "*/issues/1/comments",
        lambda here: here.tracker().tell(1, Telling("Started")),
        lambda github: _by_orch(github, 1),
    ),
    "its edit": Write(
        "PATCH",
        "*/issues/comments/*",
        _tell_twice,
        lambda github: _by_orch(github, 1),
    ),
    "a label": Write(
        "POST",
        "*/issues/1/labels",
        lambda here: here.tracker().tell(1, Telling("", {"orch:active": True})),
        lambda github: github.issue(1).labels.count("orch:active"),
    ),
    "a label that goes": Write(
        "DELETE",
        "*/issues/1/labels/*",
        lambda here: here.tracker().tell(1, Telling("", {"orch": False})),
        lambda github: 1 - github.issue(1).labels.count("orch"),
    ),
    "closing": Write(
        "PATCH",
        "*/issues/1",
        lambda here: here.tracker().close(1),
        lambda github: sum(event.kind == "closed" for event in github.issue(1).events),
    ),
    "an answer in a thread": Write(
        "POST", "*/replies", _answer, lambda github: len(github.pull(2).threads[0].comments) - 1
    ),
    "an answer below": Write("POST", "*/issues/2/comments", _remark, lambda github: _by_orch(github, 2)),
    "another run": Write(
        "POST",
        "*/rerun-failed-jobs",
        _rerun,
        lambda github: max(run.attempt for run in github.state.runs.values()) - 1,
    ),
    "the merge": Write(
        "PUT",
        "*/merge",
        lambda here: here.forge().merge(2),
        lambda github: sum(event.kind == "merged" for event in github.issue(2).events),
    ),
}


SOME = (BadGateway(), Dropped(after_write=False), Nonsense(html=False), SecondaryLimited(retry_after=0))
"""For the small writes. That each fault of a write is a TransientError, test_github_connection holds."""
GREAT = ("the pull request", "the comment")


@pytest.mark.parametrize(
    ("what", "trouble"),
    [(what, trouble) for what in WRITES for trouble in (FAULTS if what in GREAT else SOME)],
    ids=str,
)
def test_whatever_goes_wrong_each_write_is_made_once(
    github: FakeGitHub, here: Desk, later: FakeClock, what: str, trouble: Trouble
) -> None:
    write = WRITES[what]
    github.open_issue("Bug", labels=["orch"])
    here.commit(BRANCH, "a.txt", "a\nb\n")
    if what not in {"the pull request", "its labels", "its reviewers"}:
        here.forge().publish(DRAFT)
        github.review(2, "COMMENTED", comments=[("a.txt", 1, "Why?")])
        github.comment(2, "Slow")
        github.finish_check(2, "test", "cancelled")
    fault = github.faults.add(write.method, write.path, trouble, containing=write.containing)
    for _ in range(4):
        # As often as the coordinator would, each time as after a restart, and after any silence.
        later.advance(3700)
        try:
            write.act(here)
        except TransientError:
            continue
    assert fault.met == 1
    assert write.count(github) == 1
    assert len(github.state.pulls()) == 1 or what in {"the comment", "its edit"}
