"""The local forge seen as a tracker: which pull requests are merged, and nothing else."""

from orch.adapters.forge.local_tracker import LocalReviews, LocalTracker
from orch.core.forge import Job, PullStatus, Reply, Sight, Telling, Wanted
from orch.ports import PullDraft, Reviews, Tracker
from tests.fakes.forge import FakeForge


def test_it_tells_of_the_pull_requests_that_are_asked_for() -> None:
    forge = FakeForge()
    first, second = (forge.publish(PullDraft(branch, "x", "")) for branch in ("orch/t-1", "orch/t-2"))
    tracker: Tracker = LocalTracker(forge)
    assert tracker.look(Wanted()) == Sight({}, {})
    wanted = Wanted(frozenset({7}), frozenset({first.url, second.url, "elsewhere"}))
    assert tracker.look(wanted) == Sight({}, {}), "nothing follows from an open one"
    forge.merge_by_hand(first.number)
    assert tracker.look(Wanted()) == Sight({}, {})
    sight = tracker.look(wanted)
    assert sight.issues == {}
    assert sight.pulls is not None
    assert set(sight.pulls) == {first.url}
    status = sight.pulls[first.url]
    assert (status.number, status.state, status.head) == (first.number, "merged", first.head)
    assert status.merged_commit
    assert second.state == "open"
    assert tracker.look(wanted).pulls is sight.pulls, "the same comes back while nothing has changed"


def test_the_rest_is_nothing() -> None:
    forge = FakeForge()
    tracker: Tracker = LocalTracker(forge)
    tracker.tell(7, Telling("x"))
    tracker.close(7)
    assert tracker.comments(7) == ()
    reviews: Reviews = LocalReviews()
    pull = PullStatus(1, "u", "orch/t-1")
    reviews.rerun(pull, [])
    reviews.reply(1, Reply("c1", "x", "k"))
    reviews.auto_merge(pull)
    assert reviews.tails([Job(1, "test", "failure")]) == {}
    assert reviews.retire(pull) == ""
