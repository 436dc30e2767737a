"""The issues of GitHub: what a look costs, whom it asks about, and what it survives."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.core.forge import Deed, Person, Telling, Trust, Wanted
from orch.errors import TransientError
from tests.adapters.hub import Desk, Says, desk
from tests.github.fake import BOT, MEMBER, OWNER, STRANGER, FakeGitHub, fake_github
from tests.github.faults import BadGateway, Nonsense, ServerError

pytestmark = pytest.mark.usefixtures("contracts")
ISSUES = "/repos/acme/widget/issues"


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def github(tmp_path: Path, clock: Clock) -> Iterator[FakeGitHub]:
    with fake_github(tmp_path / "hub", now=clock) as running:
        yield running


@pytest.fixture
def here(github: FakeGitHub, tmp_path: Path, clock: Clock) -> Iterator[Desk]:
    with desk(github, tmp_path, now=clock) as made:
        yield made


def numbers(sight: object) -> list[int]:
    return sorted(sight.issues)  # type: ignore[attr-defined]


@pytest.mark.parametrize("count", [10, 100, 1000])
def test_a_look_costs_the_same_however_many_there_are(
    github: FakeGitHub, here: Desk, clock: Clock, count: int
) -> None:
    with github.at_once():
        for number in range(1, count + 1):
            clock.now += 1
            github.open_issue(f"Issue {number}", labels=["orch"], by=MEMBER)
        github.push("orch/gh-1-x", {"a.txt": "a"})
        pull = github.open_pull("orch/gh-1-x")
    url = f"{github.url}/acme/widget/pull/{pull.number}"
    clock.now += 3600
    tracker = here.tracker()
    wanted = Wanted(frozenset(range(1, count + 1)), frozenset({url}))
    assert len(tracker.look(wanted).issues or {}) == count
    tracker.look(wanted)
    clock.now += 300  # Nobody waits for checks that never come.
    tracker.look(wanted)
    github.traffic.clear()
    for _ in range(3):
        tracker.look(wanted)
    asked = [(exchange.path, exchange.status) for exchange in github.traffic.exchanges]
    assert asked == [(ISSUES, 304), ("/repos/acme/widget/pulls", 304)] * 3
    assert github.traffic.charged() == 0
    assert all("labels" not in exchange.query for exchange in github.traffic.exchanges)
    github.edit(count, title="Another title")
    github.traffic.clear()
    found = tracker.look(wanted).issues
    assert found is not None
    assert found[count].title == "Another title"
    assert github.traffic.charged() == 1


def test_the_first_look_takes_a_page_for_a_hundred(github: FakeGitHub, here: Desk, clock: Clock) -> None:
    with github.at_once():
        for number in range(1, 1001):
            clock.now += 100
            github.open_issue(f"Issue {number}", labels=["orch"] if number % 4 == 0 else [])
    tracker = here.tracker()
    assert len(tracker.look(Wanted()).issues or {}) == 250
    # Who is there, the newest, three pages with the label, and the first poll.
    assert github.traffic.count("GET", "*") == 6


def test_thousands_that_change_between_two_looks_are_all_seen(
    github: FakeGitHub, here: Desk, clock: Clock
) -> None:
    tracker = here.tracker()
    github.open_issue("First", labels=["orch"])
    assert numbers(tracker.look(Wanted())) == [1]
    with github.at_once():
        for number in range(2, 1502):
            clock.now += 0.01  # A hundred in each second.
            github.open_issue(f"Issue {number}", labels=["orch"])
        github.unlabel(1, "orch")
    looks = [len(tracker.look(Wanted()).issues or {}) for _ in range(4)]
    assert 500 < looks[0] < 1500, "a look is bounded"
    assert looks[0] < looks[1], "and the next goes on where it ended"
    assert looks[3] == 1500
    github.traffic.clear()
    tracker.look(Wanted())
    assert github.traffic.count() == 1


def test_pull_requests_in_the_list_are_no_issues(github: FakeGitHub, here: Desk) -> None:
    github.push("fix", {"a.txt": "a"})
    github.open_pull("fix")
    github.label(1, "orch")
    assert here.tracker().look(Wanted(frozenset({1}))).issues == {}


def test_labels_are_the_same_whatever_their_case(github: FakeGitHub, here: Desk) -> None:
    github.make_label("Orch")
    github.open_issue("Bug", labels=["Orch"])
    found = here.tracker().look(Wanted()).issues
    assert found is not None
    assert "orch" in found[1].labels


def test_who_labelled_and_asked_is_looked_up_where_the_author_is_not_trusted(
    github: FakeGitHub, here: Desk, clock: Clock
) -> None:
    trusted = github.open_issue("Bug", labels=["orch"], by=MEMBER).number
    doubtful = github.open_issue("Wish", by=STRANGER).number
    clock.now += 10
    github.label(doubtful, "other", by=OWNER)
    github.label(doubtful, "orch", by=OWNER)
    github.unlabel(doubtful, "orch")
    clock.now += 10
    github.label(doubtful, "orch", by=MEMBER)
    labelled_at = clock.now
    github.comment(doubtful, "please /orch run", by=STRANGER)
    github.comment(doubtful, " /orch run\nnow", by=STRANGER)
    clock.now += 10
    github.comment(doubtful, "/orch run", by=OWNER)
    found = here.tracker().look(Wanted()).issues
    assert found is not None
    assert (found[trusted].labelled, found[trusted].asked) == (None, ())
    issue = found[doubtful]
    assert issue.author == Person(STRANGER, "NONE")
    assert issue.labelled == Deed(Person(MEMBER, "COLLABORATOR"), labelled_at)
    assert issue.asked == (
        Deed(Person(STRANGER, "NONE"), labelled_at),
        Deed(Person(OWNER, "OWNER"), labelled_at + 10),
    )
    assert issue.edited_at == 0
    # One query for all of them, and one for the person.
    assert github.traffic.count("POST", "/graphql") == 1


@pytest.mark.parametrize("what", ["title", "body"])
def test_an_edit_after_the_label_is_told(github: FakeGitHub, here: Desk, clock: Clock, what: str) -> None:
    tracker = here.tracker()
    number = github.open_issue("Wish", "Nice", labels=["orch"], by=STRANGER).number
    tracker.look(Wanted())
    clock.now += 60
    github.edit(number, **{what: "Evil"}, by=STRANGER)
    found = tracker.look(Wanted()).issues
    assert found is not None
    assert (getattr(found[number], what), found[number].edited_at) == ("Evil", clock.now)


def test_who_labels_without_being_trusted_is_told_as_that(github: FakeGitHub, here: Desk) -> None:
    github.add_user("tess", permission="triage")
    for number, login in ((1, "tess"), (2, OWNER), (3, "nobody-any-more")):
        github.open_issue("Wish", by=STRANGER)
        if login == "nobody-any-more":
            github.add_user(login)
        github.label(number, "orch", by=login)
    del github.state.users["nobody-any-more"]
    github.add_user("nobody-any-more")  # GraphQL still names the actor.
    found = here.tracker().look(Wanted()).issues
    assert found is not None
    deeds = {number: each.labelled for number, each in found.items()}
    assert {number: deed and deed.by.association for number, deed in deeds.items()} == {
        1: "NONE",
        2: "OWNER",
        3: "NONE",
    }


def test_trust_is_what_the_settings_say(github: FakeGitHub, here: Desk) -> None:
    github.open_issue("Wish", labels=["orch"], by=STRANGER)
    found = here.tracker(trust=Trust(logins=frozenset({STRANGER}))).look(Wanted()).issues
    assert found is not None
    assert found[1].labelled is None
    assert github.traffic.count("POST", "/graphql") == 0


def test_without_a_label_only_what_is_wanted_is_asked_for(github: FakeGitHub, here: Desk) -> None:
    github.open_issue("Bug", labels=["orch"])
    tracker = here.tracker(label="")
    assert tracker.look(Wanted()).issues == {}
    assert github.traffic.count() == 0
    assert numbers(tracker.look(Wanted(frozenset({1})))) == [1]


def test_an_issue_that_was_deleted_is_not_there_once_github_said_so(github: FakeGitHub, here: Desk) -> None:
    tracker = here.tracker()
    github.open_issue("Bug", labels=["orch"])
    tracker.look(Wanted())
    github.delete_issue(1)
    tracker.close(1)
    assert tracker.look(Wanted(frozenset({1}))).issues == {}


def test_a_repository_that_is_renamed_meanwhile(github: FakeGitHub, here: Desk) -> None:
    tracker = here.tracker()
    github.open_issue("Bug", labels=["orch"])
    assert numbers(tracker.look(Wanted())) == [1]
    github.rename_from("acme/widget")
    github.state.name = "gadget"
    github.open_issue("Another", labels=["orch"])
    github.open_issue("Third")
    with pytest.raises(TransientError, match="was renamed"):
        tracker.look(Wanted())
    assert numbers(tracker.look(Wanted())) == [1, 2]
    assert here.hub.name == "acme/gadget"
    tracker.tell(1, Telling("Started"))


def test_one_half_that_cannot_be_seen_does_not_hide_the_other(github: FakeGitHub, here: Desk) -> None:
    github.open_issue("Bug", labels=["orch"])
    github.push("orch/gh-1-x", {"a.txt": "a"})
    pull = github.open_pull("orch/gh-1-x")
    wanted = Wanted(pulls=frozenset({f"{github.url}/acme/widget/pull/{pull.number}"}))
    tracker = here.tracker()
    here.hub.repository()
    github.faults.add("GET", ISSUES, ServerError(), times=2)
    for _ in range(2):
        sight = tracker.look(wanted)
        assert sight.issues is None
        assert len(sight.pulls or {}) == 1
    (warning,) = here.warnings
    assert "not well" in warning
    github.faults.add("GET", "*/pulls", ServerError())
    sight = tracker.look(wanted)
    assert (numbers(sight), sight.pulls) == ([1], None)
    github.faults.add("GET", "*", BadGateway(), times=math.inf)
    with pytest.raises(TransientError) as caught:
        tracker.look(wanted)
    assert caught.value.retry_after is not None
    github.faults.clear()
    assert numbers(tracker.look(wanted)) == [1]


@pytest.mark.parametrize("html", [True, False])
def test_nonsense_changes_nothing(github: FakeGitHub, here: Desk, html: bool) -> None:
    tracker = here.tracker()
    github.open_issue("Bug", labels=["orch"])
    tracker.look(Wanted())
    github.close(1)
    github.faults.add("GET", ISSUES, Nonsense(html=html))
    with pytest.raises(TransientError, match="makes no sense"):
        tracker.look(Wanted())
    assert tracker.look(Wanted()).issues == {}


def test_a_forged_status_comment_is_not_ours(github: FakeGitHub, here: Desk) -> None:
    github.open_issue("Bug", labels=["orch"])
    github.comment(1, "Done!\n\n<!-- orch:status -->", by=STRANGER)
    here.tracker().tell(1, Telling("Started <!-- orch:reply x -->"))
    here.tracker().tell(1, Telling("Done"))
    comments = github.issue(1).comments
    assert [(comment.user, comment.body.split()[0]) for comment in comments] == [
        (STRANGER, "Done!"),
        (BOT, "Done"),
    ]
    assert [comment.author.login for comment in here.tracker().comments(1)] == [STRANGER]


def test_a_comment_that_a_person_deleted_is_written_anew(github: FakeGitHub, here: Desk) -> None:
    tracker = here.tracker()
    github.open_issue("Bug", labels=["orch"])
    tracker.tell(1, Telling("Started"))
    github.issue(1).comments.clear()
    tracker.tell(1, Telling("Done"))
    assert [comment.body.split()[0] for comment in github.issue(1).comments] == ["Done"]


def test_a_long_text_is_shortened_to_what_github_takes(github: FakeGitHub, here: Desk) -> None:
    github.open_issue("Bug", labels=["orch"])
    here.tracker().tell(1, Telling("x" * 100_000))
    assert "(shortened)" in github.issue(1).comments[0].body


def test_a_look_tells_all_or_nothing(github: FakeGitHub, here: Desk, clock: Clock) -> None:
    """What is missing would be taken for gone, and its task would leave the queue."""
    with github.at_once():
        github.open_issue("Parent")
        for number in range(2, 104):
            clock.now += 100
            github.open_issue("Child", labels=["orch"])
            github.block(number, 1)
    tracker = here.tracker()
    assert tracker.look(Wanted()).issues is None
    found = tracker.look(Wanted()).issues or {}
    assert len(found) == 102
    assert {issue.parents for issue in found.values()} == {(1,)}
    clock.now += 100
    with github.at_once():
        for number in range(2, 104):
            github.edit(number, body="More")
    first = tracker.look(Wanted()).issues or {}
    assert sorted(issue.body for issue in first.values()) == ["", ""] + ["More"] * 100, "two as they were"
    second = tracker.look(Wanted()).issues or {}
    assert {issue.body for issue in second.values()} == {"More"}


def test_a_repository_that_is_not_seen_is_not_one_without_issues(
    github: FakeGitHub, here: Desk, clock: Clock
) -> None:
    tracker = here.tracker()
    github.open_issue("Bug")
    clock.now += 1000
    github.open_issue("Newer")
    said = '{"data": {"repository": null}, "errors": [{"type": "NOT_FOUND", "message": "No such thing"}]}'
    github.faults.add("POST", "/graphql", Says(200, said), containing="issues")
    with pytest.raises(TransientError, match="does not show acme/widget"):
        tracker.look(Wanted(frozenset({1})))
    assert numbers(tracker.look(Wanted(frozenset({1})))) == [1]


def test_who_may_not_ask_knows_nobody(github: FakeGitHub, here: Desk) -> None:
    github.open_issue("Wish", by=STRANGER)
    github.label(1, "orch", by=MEMBER)
    github.faults.add("GET", "*/permission", Says(403, '{"message": "Must have push access"}'))
    found = here.tracker().look(Wanted()).issues or {}
    assert found[1].labelled == Deed(Person(MEMBER, "NONE"), found[1].updated_at)
    github.open_issue("Wish", by=STRANGER)
    github.label(2, "orch", by=STRANGER)
    github.faults.add("GET", "*/permission", Says(404, '{"message": "Not Found"}'))
    found = here.tracker().look(Wanted()).issues or {}
    assert found[2].labelled == Deed(Person(STRANGER, "NONE"), found[2].updated_at)


def test_a_github_without_dependencies(github: FakeGitHub, here: Desk) -> None:
    github.open_issue("One")
    github.open_issue("Two", labels=["orch"])
    github.block(2, 1)
    github.faults.add("GET", "*/blocked_by", Says(404, '{"message": "Not Found"}'))
    assert (here.tracker().look(Wanted()).issues or {})[2].parents == ()


def test_what_no_list_of_changes_tells_is_seen_within_the_hour(
    github: FakeGitHub, here: Desk, clock: Clock
) -> None:
    tracker = here.tracker()
    for _ in range(3):
        clock.now += 1000
        github.open_issue("Bug", labels=["orch"])
    wanted = Wanted(frozenset({1, 2}))
    assert numbers(tracker.look(wanted)) == [1, 2, 3]
    for number in (1, 3):
        github.delete_issue(number)
    assert numbers(tracker.look(wanted)) == [1, 2, 3]
    clock.now += 4000
    assert numbers(tracker.look(wanted)) == [2]


def test_the_first_look_at_thousands_goes_on_where_it_was_interrupted(
    github: FakeGitHub, here: Desk, clock: Clock
) -> None:
    with github.at_once():
        for _ in range(1600):
            clock.now += 100
            github.open_issue("Bug", labels=["orch"])
    tracker = here.tracker()
    assert tracker.look(Wanted()).issues is None, "a look is bounded"
    github.traffic.clear()
    github.faults.add("GET", ISSUES, ServerError())
    with pytest.raises(TransientError):
        tracker.look(Wanted())
    assert len(tracker.look(Wanted()).issues or {}) == 1600
    pages = [each.query["page"] for each in github.traffic.of("GET", ISSUES) if "labels" in each.query]
    assert pages == ["16", "16", "17"]
