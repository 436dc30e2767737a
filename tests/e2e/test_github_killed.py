"""GitHub stumbles, and orch is killed in the middle of a write: nothing is done twice, nobody waits."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.hub import Hub, make_hub
from tests.github.fake import BOT, fake_github
from tests.github.faults import BadGateway, Dropped, Nonsense, SecondaryLimited, Slow
from tests.github.packages import missing
from tests.github.routes import operations

pytestmark = pytest.mark.skipif(bool(missing(operations())), reason=f"no contracts: {missing(operations())}")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with fake_github(tmp_path / "hub") as github:
        made = make_hub(tmp_path, github)
        github.make_label("orch")
        yield made
        for child in made.project.children:
            if child.poll() is None:  # Only a failed test leaves a coordinator.
                child.kill()
                child.wait()
        if made.project.leftovers():
            made.orch("stop", "--all", "--now")


WRITES = {
    "the push": ("POST", "*/git-receive-pack"),
    "the pull request": ("POST", "*/pulls"),
    "the comment": ("POST", "*/issues/1/comments"),
}


@pytest.mark.parametrize("after_write", [True, False], ids=["carried out", "not carried out"])
@pytest.mark.parametrize("what", WRITES)
def test_killed_in_the_middle_of_a_write(hub: Hub, what: str, after_write: bool) -> None:
    github, project = hub.github, hub.project
    slow = Slow(after_write=after_write, seconds=3600)
    github.faults.add(*WRITES[what], slow)
    issue = github.open_issue("Fix the login", labels=["orch"]).number
    child = hub.start()
    project.wait_for(slow.reached.is_set, "the request")
    project.end(child, signal.SIGKILL)
    slow.released.set()
    child = hub.start()
    pull = hub.wait_for_pull("orch/gh-1-")
    hub.wait_for_comment(issue, "is done")
    github.merge(pull)
    hub.wait_for_comment(issue, "is merged")
    assert project.end(child, signal.SIGTERM) == 0
    assert len(hub.pulls()) == 1
    assert len(hub.comments_of_orch(issue)) == 1
    assert project.launches() == ["gh-1/1"]


def test_github_that_does_not_answer_keeps_nobody_waiting(hub: Hub) -> None:
    github, project = hub.github, hub.project
    project.write_tasks("[] t-1: Wait", "  please obey", "[] t-2: Fail", "  please fail")
    slow = [Slow(seconds=3600) for _ in range(20)]
    for each in slow:
        github.faults.add("*", "/repos/*", each)
    child = hub.start()
    project.wait_for_sign("t-1")
    project.wait_for(slow[0].reached.is_set, "a request that hangs")
    # What is written by hand is started, what is stopped stops, what ends is seen; all while GitHub hangs.
    began = time.monotonic()
    with project.tasks_file.open("a") as tasks:
        tasks.write("[] t-3: By hand\n  please wait\n")
    project.wait_for_sign("t-3")
    hub.orch("stop", "t-1")
    project.wait_for((project.signs / "stopped").exists, "STOP in the worktree")
    hub.orch("stop", "t-3", "--now")
    project.wait_for(lambda: not project.leftovers(), "the end of every worker")
    assert time.monotonic() - began < 10, "not even one request was waited for"
    assert project.end(child, signal.SIGKILL) == -signal.SIGKILL
    github.faults.clear()


def test_a_bad_day_ends_as_if_nothing_had_been(hub: Hub) -> None:
    github, project = hub.github, hub.project
    for path in ("*/pulls", "*/issues"):
        github.faults.add("GET", path, Nonsense())
        github.faults.add("GET", path, Dropped(after_write=False))
    for path in ("*/pulls", "/graphql"):
        github.faults.add("POST", path, BadGateway())
    github.faults.add("POST", "*/pulls", SecondaryLimited(retry_after=1))
    numbers = [github.open_issue(f"Fix {letter}", labels=["orch"]).number for letter in "ab"]
    child = hub.start()
    pulls = [hub.wait_for_pull(f"orch/gh-{number}-") for number in numbers]
    for number in numbers:
        hub.wait_for_comment(number, "is done")
    for pull in pulls:
        github.merge(pull)
    for number in numbers:
        hub.wait_for_comment(number, "is merged")
    assert project.end(child, signal.SIGTERM) == 0
    assert sorted(project.launches()) == [f"gh-{number}/1" for number in numbers]
    assert len(hub.pulls()) == 2
    bodies = [comment for number in numbers for comment in github.issue(number).comments]
    assert [comment.user for comment in bodies] == [BOT] * 2
    github.faults.clear()
