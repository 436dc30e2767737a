"""Reviews: one contract for the fake and the real ones, each with a bench of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from orch.adapters.forge.local_tracker import LocalReviews
from orch.core.forge import Job, PullStatus, Reply
from orch.ports import PullDraft, Reviews
from tests.adapters.hub import desk
from tests.adapters.repositories import Samples
from tests.fakes.reviews import FakeReviews
from tests.github.fake import fake_github

BRANCH = "orch/gh-1-fix"


@dataclass
class Bench:
    """Reviews of one pull request, and what CI and people do beside it."""

    reviews: Reviews
    pull: PullStatus
    fail: Callable[[str, str], Job]
    """A job of this name fails with this log."""
    runs: Callable[[], int]
    """How often failed jobs were run again."""
    remark: Callable[[str], str]
    """Somebody says something in a thread. Gives the id of the remark."""
    take_back: Callable[[str], object]
    """They delete it."""
    answers: Callable[[], list[str]]
    is_waiting: Callable[[], bool]
    """Whether the pull request is merged by itself as soon as it may."""
    merge: Callable[[], object]
    branch_there: Callable[[], bool]


def fake(folder: Path, samples: Samples, stack: ExitStack) -> Bench:
    reviews = FakeReviews()
    pull = PullStatus(1, "fake/pull/1", BRANCH, "a" * 40, "main")
    ids = iter(range(1, 100))

    def fail(name: str, log: str) -> Job:
        job = Job(next(ids), name, "failure")
        if log:
            reviews.logs[job.id] = log
        return job

    return Bench(
        reviews,
        pull,
        fail,
        lambda: len(reviews.reruns),
        lambda text: f"rc-{next(ids)}",
        reviews.gone.add,
        lambda: [reply.text for _, reply in reviews.replies.values()],
        lambda: bool(reviews.merging),
        lambda: None,
        lambda: BRANCH not in reviews.retired,
    )


def real(folder: Path, samples: Samples, stack: ExitStack) -> Bench:
    hub = stack.enter_context(fake_github(folder / "hub"))
    here = stack.enter_context(desk(hub, folder))
    hub.protect("build")
    here.commit(BRANCH, "a.txt", "a\nb\n")
    opened = here.forge().publish(PullDraft(BRANCH, "Fix", "Text"))
    pull = PullStatus(opened.number, opened.url, BRANCH, opened.head, "main")

    def fail(name: str, log: str) -> Job:
        check = hub.finish_check(pull.number, name, "failure", log=log)
        return Job(check.id, name, "failure")

    def remark(text: str) -> str:
        hub.review(pull.number, "COMMENTED", comments=[("a.txt", 1, text)])
        return f"rc-{hub.pull(pull.number).threads[-1].comments[0].id}"

    def take_back(remark: str) -> None:
        threads = hub.pull(pull.number).threads
        threads[:] = [each for each in threads if f"rc-{each.comments[0].id}" != remark]

    def answers() -> list[str]:
        threads = hub.pull(pull.number).threads
        said = [comment for thread in threads for comment in thread.comments if comment.user == "orch-bot"]
        return [comment.body.partition("\n\n<!-- orch:")[0] for comment in said]

    return Bench(
        here.reviews(),
        pull,
        fail,
        lambda: hub.traffic.count("POST", "*/rerun-failed-jobs"),
        remark,
        take_back,
        answers,
        lambda: hub.pull(pull.number).auto_merge is not None,
        lambda: (hub.finish_check(pull.number, "build"), hub.merge(pull.number)),
        lambda: hub.head(BRANCH) is not None,
    )


@pytest.fixture(params=[fake, real], ids=["fake", "GitHub"])
def bench(
    request: pytest.FixtureRequest, tmp_path: Path, samples: Samples, contracts: None
) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield request.param(tmp_path, samples, stack)


def test_the_tails_of_the_logs_by_the_names_of_the_jobs(bench: Bench) -> None:
    jobs = [bench.fail("build", "one\ntwo"), bench.fail("test", "three"), bench.fail("lint", "")]
    assert bench.reviews.tails(jobs) == {"build": "one\ntwo", "test": "three"}
    assert bench.reviews.tails([]) == {}


def test_failed_jobs_run_again(bench: Bench) -> None:
    jobs = [bench.fail("build", "x")]
    bench.reviews.rerun(bench.pull, jobs)
    assert bench.runs() == 1


def test_a_remark_is_answered_once_for_each_key(bench: Bench) -> None:
    remark = bench.remark("Why?")
    for _ in range(2):
        bench.reviews.reply(bench.pull.number, Reply(remark, "Done.", "t-1/2"))
    assert bench.answers() == ["Done."]
    bench.reviews.reply(bench.pull.number, Reply(remark, "Again.", "t-1/3"))
    assert bench.answers() == ["Done.", "Again."]


def test_a_remark_that_is_gone_is_not_answered(bench: Bench) -> None:
    remark = bench.remark("Why?")
    bench.take_back(remark)
    bench.reviews.reply(bench.pull.number, Reply(remark, "Done.", "t-1/2"))
    assert bench.answers() == []


def test_it_is_merged_as_soon_as_it_may(bench: Bench) -> None:
    for _ in range(2):
        bench.reviews.auto_merge(bench.pull)
    assert bench.is_waiting()


def test_the_branch_of_a_merged_one_goes(bench: Bench) -> None:
    bench.merge()
    merged = replace(bench.pull, state="merged")
    for _ in range(2):
        assert bench.reviews.retire(merged) == ""
        assert not bench.branch_there()


def test_nobody_reviews_locally() -> None:
    reviews, pull = LocalReviews(), PullStatus(1, "refs/pull/1/head", BRANCH)
    assert reviews.tails([Job(1, "build", "failure")]) == {}
    reviews.rerun(pull, [])
    reviews.reply(1, Reply("rc-1", "x", "y"))
    reviews.auto_merge(pull)
    assert reviews.retire(pull) == ""
