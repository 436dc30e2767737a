"""The Tracker: one contract for the fake and the real one, each with a bench of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from orch.adapters.forge.local import LocalForge
from orch.adapters.forge.local_tracker import LocalTracker
from orch.core.forge import Person, Telling, Wanted
from orch.core.model import PullRequest
from orch.errors import PermanentError
from orch.ports import PullDraft, Tracker
from tests.adapters.hub import desk
from tests.adapters.repositories import Samples
from tests.fakes.forge import FakeForge
from tests.fakes.tracker import MAINTAINER, STRANGER, FakeTracker
from tests.github.fake import fake_github

BRANCH = "orch/gh-1-fix"


@dataclass
class Bench:
    """A tracker, and what people do beside it."""

    tracker: Tracker
    open_issue: Callable[..., int]
    """Opens one with the label: (title, body=, by=, labelled_by=). Gives the number."""
    label: Callable[[int, str], object]
    unlabel: Callable[[int, str], object]
    close: Callable[[int], object]
    is_open: Callable[[int], bool]
    labels: Callable[[int], set[str]]
    say: Callable[[int, str, Person], object]
    block: Callable[[int, int], object]
    """The first is blocked by the second."""
    told: Callable[[int], list[str]]
    """The comments of orch on an issue, without marks."""
    publish: Callable[[], PullRequest]
    """A pull request is opened for BRANCH."""
    merge: Callable[[int], object]


def fake(folder: Path, samples: Samples, stack: ExitStack) -> Bench:
    forge = FakeForge()
    tracker = FakeTracker(pulls=forge.known)

    def open_issue(title: str, body: str = "", by: Person = MAINTAINER) -> int:
        return tracker.open_issue(title, body=body, author=by).number

    def change(number: int, name: str, *, there: bool) -> None:
        labels = set(tracker.issues[number].labels)
        (labels.add if there else labels.discard)(name)
        tracker.change_issue(number, labels=frozenset(labels))

    def told(number: int) -> list[str]:
        text = tracker.comments_of_orch.get(number)
        return [] if text is None else [text]

    return Bench(
        tracker,
        open_issue,
        lambda number, name: change(number, name, there=True),
        lambda number, name: change(number, name, there=False),
        lambda number: tracker.change_issue(number, open=False),
        lambda number: tracker.issues[number].open,
        lambda number: set(tracker.issues[number].labels),
        tracker.say,
        lambda number, other: tracker.change_issue(number, parents=(other,)),
        told,
        lambda: forge.publish(PullDraft(BRANCH, "Fix", "Text")),
        forge.merge_by_hand,
    )


def real(folder: Path, samples: Samples, stack: ExitStack) -> Bench:
    hub = stack.enter_context(fake_github(folder / "hub"))
    here = stack.enter_context(desk(hub, folder))

    def open_issue(title: str, body: str = "", by: Person = MAINTAINER) -> int:
        number = hub.open_issue(title, body, by=by.login).number
        hub.label(number, "orch")
        return number

    def told(number: int) -> list[str]:
        bodies = [comment.body for comment in hub.issue(number).comments if comment.user == "orch-bot"]
        return [body.partition("\n\n<!-- orch:")[0] for body in bodies]

    def publish() -> PullRequest:
        here.commit(BRANCH, "a.txt", "a")
        return here.forge().publish(PullDraft(BRANCH, "Fix", "Text"))

    return Bench(
        here.tracker(),
        open_issue,
        hub.label,
        hub.unlabel,
        hub.close,
        lambda number: hub.issue(number).is_open,
        lambda number: set(hub.issue(number).labels),
        lambda number, text, by: hub.comment(number, text, by=by.login),
        hub.block,
        told,
        publish,
        hub.merge,
    )


@pytest.fixture(params=[fake, real], ids=["fake", "GitHub"])
def bench(
    request: pytest.FixtureRequest, tmp_path: Path, samples: Samples, contracts: None
) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield request.param(tmp_path, samples, stack)


def issues(bench: Bench, *wanted: int) -> dict[int, tuple[str, bool, bool]]:
    found = bench.tracker.look(Wanted(frozenset(wanted))).issues
    assert found is not None
    return {number: (each.title, each.open, "orch" in each.labels) for number, each in found.items()}


def test_nothing_is_there_in_the_beginning(bench: Bench) -> None:
    sight = bench.tracker.look(Wanted())
    assert (sight.issues, sight.pulls) == ({}, {})


def test_an_issue_is_seen_as_it_is(bench: Bench) -> None:
    number = bench.open_issue("Bug", "It breaks.")
    sight = bench.tracker.look(Wanted())
    assert sight.issues is not None
    issue = sight.issues[number]
    assert (issue.number, issue.title, issue.body, issue.open) == (number, "Bug", "It breaks.", True)
    assert (issue.author, set(issue.labels), issue.parents) == (MAINTAINER, {"orch"}, ())
    assert len(issue.url.split()) == 1
    assert sight.usage is not None
    assert sight.usage.sent >= 1


def test_the_same_comes_back_while_nothing_changes(bench: Bench) -> None:
    number = bench.open_issue("Bug")
    pull = bench.publish()
    wanted = Wanted(frozenset({number}), frozenset({pull.url}))
    first = bench.tracker.look(wanted)
    second = bench.tracker.look(wanted)
    assert second.issues is first.issues
    assert second.pulls is first.pulls
    bench.label(number, "priority:P0")
    third = bench.tracker.look(wanted)
    assert third.issues is not first.issues
    assert third.pulls is first.pulls


def test_what_is_unlabelled_or_closed_is_seen_only_by_who_wants_it(bench: Bench) -> None:
    closed, bare, kept = (bench.open_issue(title) for title in ("Closed", "Bare", "Kept"))
    assert issues(bench).keys() == {closed, bare, kept}
    bench.close(closed)
    bench.unlabel(bare, "orch")
    assert issues(bench, closed, bare) == {
        closed: ("Closed", False, True),
        bare: ("Bare", True, False),
        kept: ("Kept", True, True),
    }
    assert issues(bench) == {kept: ("Kept", True, True)}
    assert issues(bench, closed, 99) == {closed: ("Closed", False, True), kept: ("Kept", True, True)}
    bench.label(bare, "orch")
    assert issues(bench).keys() == {bare, kept}


def test_parents_are_told(bench: Bench) -> None:
    parent, child = bench.open_issue("Parent"), bench.open_issue("Child")
    bench.block(child, parent)
    sight = bench.tracker.look(Wanted())
    assert sight.issues is not None
    assert (sight.issues[child].parents, sight.issues[parent].parents) == ((parent,), ())


def test_comments_are_read_without_those_of_orch(bench: Bench) -> None:
    number = bench.open_issue("Bug")
    bench.say(number, "More about it", MAINTAINER)
    bench.tracker.tell(number, Telling("Started"))
    bench.say(number, "Me too", STRANGER)
    found = bench.tracker.comments(number)
    assert [(comment.author, comment.text) for comment in found] == [
        (MAINTAINER, "More about it"),
        (STRANGER, "Me too"),
    ]


def test_one_comment_is_edited(bench: Bench) -> None:
    number = bench.open_issue("Bug")
    for text in ("Started", "Started", "Done: a pull request\n\n- with a list"):
        bench.tracker.tell(number, Telling(text))
        assert bench.told(number) == [text]
    bench.tracker.tell(number, Telling(""))
    assert bench.told(number) == ["Done: a pull request\n\n- with a list"]


def test_labels_are_set_and_taken_off(bench: Bench) -> None:
    number = bench.open_issue("Bug")
    bench.label(number, "mine")
    for _ in range(2):
        bench.tracker.tell(number, Telling("", {"orch:active": True, "orch:failed": False}))
        assert bench.labels(number) == {"orch", "mine", "orch:active"}
    bench.tracker.tell(number, Telling("Failed", {"orch:active": False, "orch:failed": True}))
    assert bench.labels(number) == {"orch", "mine", "orch:failed"}
    assert bench.told(number) == ["Failed"]


def test_an_issue_that_does_not_exist_cannot_be_told(bench: Bench) -> None:
    with pytest.raises(PermanentError):
        bench.tracker.tell(99, Telling("Started"))


def test_closing(bench: Bench) -> None:
    number = bench.open_issue("Bug")
    for _ in range(2):
        bench.tracker.close(number)
        assert not bench.is_open(number)
    bench.tracker.close(99)


def test_a_pull_request_is_seen_as_it_is(bench: Bench) -> None:
    pull = bench.publish()
    sight = bench.tracker.look(Wanted(pulls=frozenset({pull.url})))
    assert sight.pulls is not None
    status = sight.pulls[pull.url]
    assert (status.number, status.url, status.branch) == (pull.number, pull.url, BRANCH)
    assert (status.head, status.base, status.state) == (pull.head, "main", "open")
    assert (status.draft, status.auto_merge, status.remarks, status.jobs) == (False, False, (), ())
    bench.merge(pull.number)
    sight = bench.tracker.look(Wanted(pulls=frozenset({pull.url})))
    assert sight.pulls is not None
    status = sight.pulls[pull.url]
    assert status.state == "merged"
    assert len(status.merged_commit) == 40


def test_pull_requests_that_nobody_wants_are_not_told(bench: Bench) -> None:
    pull = bench.publish()
    assert bench.tracker.look(Wanted()).pulls == {}
    assert bench.tracker.look(Wanted(pulls=frozenset({"nowhere/pull/7"}))).pulls == {}
    both = frozenset({pull.url, "nowhere/pull/7"})
    assert (bench.tracker.look(Wanted(pulls=both)).pulls or {}).keys() == {pull.url}


def test_the_local_tracker_knows_pull_requests_alone(tmp_path: Path, samples: Samples) -> None:
    sample = samples.make(tmp_path)
    forge = LocalForge(sample.root, tmp_path / "pulls", base="main", now=lambda: 5.0)
    tracker = LocalTracker(forge)
    assert tracker.look(Wanted()).issues == {}
    tracker.tell(1, Telling("Started"))
    tracker.close(1)
    assert tracker.comments(1) == ()
