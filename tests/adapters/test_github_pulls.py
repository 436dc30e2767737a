"""How it stands with pull requests on GitHub: checks, reviews, conflicts, and what a look costs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.core.forge import Checks, Job, Person, PullStatus, Remark, Reply, Wanted
from orch.ports import PullDraft, Tracker
from tests.adapters.hub import Desk, Says, desk
from tests.fakes.clock import FakeClock
from tests.github.fake import BOT, MEMBER, OWNER, STRANGER, FakeGitHub, fake_github
from tests.github.state import Annotation
from tests.github.traffic import Reply as WireReply

pytestmark = pytest.mark.usefixtures("contracts")
PULLS = "/repos/acme/widget/pulls"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_700_000_000.0)


@pytest.fixture
def github(tmp_path: Path, clock: FakeClock) -> Iterator[FakeGitHub]:
    with fake_github(tmp_path / "hub", now=clock.now) as running:
        yield running


@pytest.fixture
def here(github: FakeGitHub, tmp_path: Path, clock: FakeClock) -> Iterator[Desk]:
    with desk(github, tmp_path, now=clock.now) as made:
        yield made


def url_of(github: FakeGitHub, number: int) -> str:
    return f"{github.url}/acme/widget/pull/{number}"


def open_pull(github: FakeGitHub, branch: str = "orch/gh-1-fix", *, by: str = BOT) -> int:
    github.push(branch, {f"{branch[-5:]}.txt": "one\ntwo\n"})
    return github.open_pull(branch, by=by).number


def look(github: FakeGitHub, tracker: Tracker, number: int) -> PullStatus:
    url = url_of(github, number)
    found = tracker.look(Wanted(pulls=frozenset({url}))).pulls
    assert found is not None
    return found[url]


# --- checks ------------------------------------------------------------------------------------------------


def test_checks_go_from_nothing_to_green(github: FakeGitHub, here: Desk) -> None:
    number, tracker = open_pull(github), here.tracker()
    assert look(github, tracker, number).checks is Checks.NONE
    github.start_checks(number, "build", "test")
    assert look(github, tracker, number).checks is Checks.PENDING
    github.finish_check(number, "build")
    assert look(github, tracker, number).checks is Checks.PENDING
    github.finish_check(number, "test", "skipped")
    assert look(github, tracker, number).checks is Checks.GREEN
    github.push("orch/gh-1-fix", {"b.txt": "b"})
    status = look(github, tracker, number)
    assert (status.checks, status.head) == (Checks.NONE, github.head("orch/gh-1-fix"))


def test_red_counts_once_all_jobs_of_actions_are_over(github: FakeGitHub, here: Desk) -> None:
    number, tracker = open_pull(github), here.tracker()
    github.start_checks(number, "build", "test")
    github.start_checks(number, "preview", workflow="")
    failed = github.finish_check(number, "build", "failure", log="boom")
    status = look(github, tracker, number)
    assert (status.checks, status.jobs) == (Checks.PENDING, ())
    github.finish_check(number, "test")
    status = look(github, tracker, number)
    assert status.checks is Checks.RED
    url = f"{github.url}/acme/widget/runs/{failed.id}"
    assert status.jobs == (Job(failed.id, "CI / build", "failure", 1, "", url),)


def test_a_status_of_another_service_counts(github: FakeGitHub, here: Desk) -> None:
    number, tracker = open_pull(github), here.tracker()
    github.set_status(number, "ci/other", "pending")
    assert look(github, tracker, number).checks is Checks.PENDING
    github.set_status(number, "ci/other", "error")
    status = look(github, tracker, number)
    assert (status.checks, status.jobs) == (Checks.RED, (Job(0, "ci/other", "error"),))


@pytest.mark.parametrize(
    ("conclusion", "runner", "note", "trouble"),
    [
        ("failure", "runner-1", "", ""),
        ("failure", "runner-1", "tests/a.py: assert 1 == 2", ""),
        ("timed_out", "runner-1", "", ""),
        ("cancelled", "runner-1", "", "it was cancelled"),
        ("action_required", None, "", "it waits for somebody's approval on GitHub"),
        ("stale", None, "", "GitHub gave it up"),
        ("failure", None, "", "no runner took it"),
        (
            "failure",
            None,
            "The job was not started because recent account payments have failed.",
            "The job was not started because recent account payments have failed.",
        ),
        (
            "failure",
            "runner-1",
            "The self-hosted runner: box-7 lost communication with the server.",
            "The self-hosted runner: box-7 lost communication with the server.",
        ),
    ],
)
def test_what_is_not_the_fault_of_the_code(
    github: FakeGitHub, here: Desk, conclusion: str, runner: str | None, note: str, trouble: str
) -> None:
    number, tracker = open_pull(github), here.tracker()
    notes = (Annotation(".github", 1, note),) if note else ()
    if conclusion == "stale":  # Nothing that Actions says.
        github.start_checks(number, "build", workflow="")
    check = github.finish_check(number, "build", conclusion, annotations=notes)
    check.runner = runner
    (job,) = look(github, tracker, number).jobs
    assert (job.conclusion, job.trouble) == (conclusion, trouble)


def test_a_second_run_is_told(github: FakeGitHub, here: Desk) -> None:
    number, tracker = open_pull(github), here.tracker()
    reviews = here.reviews(tracker)
    github.finish_check(number, "build", "cancelled")
    status = look(github, tracker, number)
    for _ in range(2):
        reviews.rerun(status, status.jobs)
    assert github.traffic.count("POST", "*/rerun-failed-jobs") == 1
    assert look(github, tracker, number).checks is Checks.PENDING
    github.finish_check(number, "build", "cancelled")
    status = look(github, tracker, number)
    assert [(job.attempt, job.trouble) for job in status.jobs] == [(2, "it was cancelled")]
    reviews.rerun(status, status.jobs)
    github.finish_check(number, "build")
    assert look(github, tracker, number).checks is Checks.GREEN


# --- what people say ------------------------------------------------------------------------------------


def test_remarks_are_what_nobody_settled(github: FakeGitHub, here: Desk, clock: FakeClock) -> None:
    number, tracker = open_pull(github), here.tracker()
    clock.advance(10)
    review = github.review(
        number,
        "CHANGES_REQUESTED",
        "Not yet.",
        comments=[("a.txt", 1, "Why?"), ("a.txt", 2, "And this?")],
        by=MEMBER,
    )
    clock.advance(10)
    said = github.comment(number, "Nice, but slow", by=STRANGER)
    github.review(number, "APPROVED", "Fine with me", by=OWNER)
    github.resolve_thread(number, 1)
    first = github.pull(number).threads[0].comments[0]
    status = look(github, tracker, number)
    start, url = 1_700_000_000.0, url_of(github, number)
    assert status.remarks == (
        Remark(
            f"rc-{first.id}",
            Person(MEMBER, "MEMBER"),
            "Why?",
            "a.txt",
            1,
            f"{url}#discussion_r{first.id}",
            start + 10,
        ),
        Remark(
            f"rv-{review.id}",
            Person(MEMBER, "MEMBER"),
            "Not yet.",
            "",
            0,
            f"{url}#pullrequestreview-{review.id}",
            start + 10,
        ),
        Remark(
            f"ic-{said.id}",
            Person(STRANGER, "NONE"),
            "Nice, but slow",
            "",
            0,
            f"{url}#issuecomment-{said.id}",
            start + 20,
        ),
    )
    assert status.approvers == (Person(OWNER, "OWNER"),)
    assert status.objectors == (Person(MEMBER, "MEMBER"),)
    github.review(number, "APPROVED", by=MEMBER)
    status = look(github, tracker, number)
    assert {person.login for person in status.approvers} == {OWNER, MEMBER}
    assert status.objectors == ()


def test_what_orch_answered_is_settled_and_its_own_words_are_no_remarks(
    github: FakeGitHub, here: Desk
) -> None:
    number, tracker = open_pull(github, by=MEMBER), here.tracker()
    reviews = here.reviews()
    github.review(number, "COMMENTED", "In general", comments=[("a.txt", 1, "Why?")])
    github.comment(number, "Slow")
    for remark in look(github, tracker, number).remarks:
        reviews.reply(number, Reply(remark.id, "Done in abc.", "t-1/2"))
    assert look(github, tracker, number).remarks == ()
    # The holder of the token is a person too: what they say without a mark counts.
    github.comment(number, "One more thing", by=BOT)
    assert [remark.text for remark in look(github, tracker, number).remarks] == ["One more thing"]


def test_a_mark_in_somebody_elses_words_settles_nothing(github: FakeGitHub, here: Desk) -> None:
    number, tracker = open_pull(github), here.tracker()
    said = github.comment(number, "Slow")
    github.comment(number, f"Done <!-- orch:reply ic-{said.id} 0123456789abcdef -->", by=STRANGER)
    assert len(look(github, tracker, number).remarks) == 2


# --- conflicts and the end ----------------------------------------------------------------------------


def test_conflicts_are_seen_however_they_came(github: FakeGitHub, here: Desk, clock: FakeClock) -> None:
    github.push("orch/gh-1-a", {"README.md": "mine\n"})
    number, tracker = github.open_pull("orch/gh-1-a", by=BOT).number, here.tracker()
    other = open_pull(github, "other")
    assert look(github, tracker, number).conflicts is False
    github.push("other", {"README.md": "theirs\n"})
    github.merge(other)
    assert look(github, tracker, number).conflicts is True, "the list tells of the merge"
    github.push("orch/gh-1-a", {"README.md": "theirs\n"})
    clock.advance(10)
    assert look(github, tracker, number).conflicts is False
    github.push("main", {"README.md": "pushed\n"})
    github.push("orch/gh-1-b", {"b.txt": "b"})
    clock.advance(700)
    assert look(github, tracker, number).conflicts is True, "nothing tells of a push, so it is asked at times"


def test_what_github_does_not_know_yet_is_asked_again(github: FakeGitHub, here: Desk) -> None:
    github.state.unknown_reads = 2
    number, tracker = open_pull(github), here.tracker()
    seen = [look(github, tracker, number).conflicts for _ in range(4)]
    assert seen[0] is None
    assert seen[-1] is False


def test_merged_and_closed(github: FakeGitHub, here: Desk) -> None:
    tracker = here.tracker()
    merged, closed = open_pull(github), open_pull(github, "orch/gh-2-other")
    github.finish_check(closed, "build", "failure")
    sha = github.merge(merged)
    github.close(closed)
    status = look(github, tracker, merged)
    assert (status.state, status.merged_commit, status.conflicts) == ("merged", sha, None)
    status = look(github, tracker, closed)
    assert (status.state, status.merged_commit, status.jobs) == ("closed", "", ())


def test_the_requests_of_a_hundred_that_wait_for_ci(github: FakeGitHub, here: Desk, clock: FakeClock) -> None:
    head = github.push("orch/gh-0-x", {"0.txt": "x"})
    for count in range(100):
        github.repository.move(f"orch/gh-{count}-x", head)
    with github.at_once():
        numbers = [github.open_pull(f"orch/gh-{count}-x", by=BOT).number for count in range(100)]
        github.push("orch/gh-7-x", {"7.txt": "x"})
        for number in (numbers[0], numbers[7]):  # The others have the head of the first.
            github.start_checks(number, "build")
    tracker = here.tracker()
    wanted = Wanted(pulls=frozenset(url_of(github, number) for number in numbers))
    assert len(tracker.look(wanted).pulls or {}) == 100
    clock.advance(100)
    tracker.look(wanted)
    github.traffic.clear()
    tracker.look(wanted)
    paths = [exchange.path for exchange in github.traffic.exchanges]
    assert paths == ["/repos/acme/widget/issues", PULLS, "/graphql"]
    github.finish_check(numbers[7], "build")
    github.traffic.clear()
    found = tracker.look(wanted).pulls or {}
    assert found[url_of(github, numbers[7])].checks is Checks.GREEN
    assert github.traffic.count("POST", "/graphql") == 2, "one for all, one for that one"


def test_more_changes_than_one_page_of_the_list(github: FakeGitHub, here: Desk, clock: FakeClock) -> None:
    number = open_pull(github)
    for count in range(130):
        github.repository.move(f"b{count}", str(github.head("orch/gh-1-fix")))
    with github.at_once():
        for count in range(130):
            github.open_pull(f"b{count}")
    clock.advance(1000)
    tracker = here.tracker()
    look(github, tracker, number)
    with github.at_once():
        github.comment(number, "First of all")
        clock.advance(1)
        for other in range(number + 1, number + 131):
            github.comment(other, "Me too")
    assert [remark.text for remark in look(github, tracker, number).remarks] == ["First of all"]
    assert github.traffic.of("GET", PULLS)[-1].query["page"] == "2"


def test_a_draft_and_its_auto_merge(github: FakeGitHub, here: Desk) -> None:
    tracker = here.tracker()
    github.push("orch/gh-1-fix", {"a.txt": "a"})
    number = github.open_pull("orch/gh-1-fix", draft=True, by=BOT).number
    assert look(github, tracker, number).draft


def test_the_pull_request_that_orch_opened_is_found_by_its_url(github: FakeGitHub, here: Desk) -> None:
    here.commit("orch/gh-1-fix", "a.txt", "a")
    pull = here.forge().publish(PullDraft("orch/gh-1-fix", "Fix", "Text"))
    assert look(github, here.tracker(), pull.number).url == pull.url


def test_the_token_of_an_app_is_known_by_graphql(github: FakeGitHub, here: Desk) -> None:
    class Denied:
        after_write = False

        def spoil(self, reply: object) -> WireReply:
            return WireReply(403, {}, b'{"message": "Resource not accessible by integration"}')

    github.faults.add("GET", "/user", Denied())
    assert here.hub.login() == BOT
    assert here.hub.is_me(f"{BOT}[bot]")
    assert not here.hub.is_me(MEMBER)


def test_jobs_that_the_token_may_not_see(github: FakeGitHub, here: Desk) -> None:
    number = open_pull(github)
    check = github.finish_check(number, "build", "failure")
    denied = Says(403, '{"message": "Resource not accessible by personal access token"}')
    github.faults.add("GET", "*/jobs", denied)
    (job,) = look(github, here.tracker(), number).jobs
    assert (job.id, job.attempt, job.trouble) == (check.id, 1, "")
    github.faults.add("GET", "*/annotations", denied)
    (job,) = look(github, here.tracker(), number).jobs
    assert (job.attempt, job.trouble) == (1, "")


def test_checks_of_actions_that_are_done_tell_who_expects_them(github: FakeGitHub, here: Desk) -> None:
    """Whoever has jobs run again says so: nothing else tells that a red head is worth another look."""
    number, tracker = open_pull(github), here.tracker()
    github.finish_check(number, "build", "failure")
    assert look(github, tracker, number).checks is Checks.RED
    tracker.expect(number)
    tracker.expect(99)
    github.finish_check(number, "build")
    assert look(github, tracker, number).checks is Checks.GREEN


def test_a_pull_request_that_is_gone(github: FakeGitHub, here: Desk, clock: FakeClock) -> None:
    number, tracker = open_pull(github), here.tracker()
    url = url_of(github, number)
    look(github, tracker, number)
    github.state.issues[number].deleted = True
    tracker.expect(number)
    assert tracker.look(Wanted(pulls=frozenset({url}))).pulls == {}
    github.traffic.clear()
    assert tracker.look(Wanted(pulls=frozenset({url}))).pulls == {}
    assert github.traffic.count("POST", "/graphql") == 0
    github.state.issues[number].deleted = False
    clock.advance(200)
    assert look(github, tracker, number).number == number, "it was only not seen yet"


def test_what_the_list_does_not_tell_is_seen_within_the_hour(
    github: FakeGitHub, here: Desk, clock: FakeClock
) -> None:
    number, tracker = open_pull(github), here.tracker()
    clock.advance(1000)
    assert look(github, tracker, number).remarks == ()
    before = github.issue(number).updated_at
    github.comment(number, "Unheard")
    github.issue(number).updated_at = before
    assert look(github, tracker, number).remarks == ()
    clock.advance(4000)
    assert [remark.text for remark in look(github, tracker, number).remarks] == ["Unheard"]
