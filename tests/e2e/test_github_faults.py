"""GitHub stumbles, hangs and lies, and orch is killed: everything is done once in the end."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.hub import Hub, make_hub
from tests.github.fake import fake_github
from tests.github.faults import BadGateway, Dropped, SecondaryLimited, Slow, Trouble, Truncated
from tests.github.packages import missing
from tests.github.routes import operations
from tests.github.traffic import Reply

pytestmark = [
    pytest.mark.skipif(bool(missing(operations())), reason=f"no contracts: {missing(operations())}"),
    pytest.mark.timeout(600),  # many processes, one after the other, on a machine that may be busy
]

WRITES = [
    ("POST", "/repos/*/pulls"),
    ("POST", "/repos/*/issues/1/comments"),
    ("PATCH", "/repos/*/issues/comments/*"),
    ("POST", "/repos/*/actions/runs/*"),
    ("POST", "/repos/*/pulls/*/comments/*/replies"),
]
"""Every kind of write to the API on the path."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with fake_github(tmp_path / "hub") as github:
        made = make_hub(tmp_path, github)
        github.make_label("orch")
        yield made
        for child in made.project.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        if made.project.leftovers():
            made.orch("stop", "--all", "--now")


def walk(hub: Hub) -> None:
    """From the issue to the merge, by way of a runner that is lost, a failed check and a remark."""
    github = hub.github
    issue = github.open_issue("Fix the login", labels=["orch"]).number
    assert issue == 1
    pull = hub.wait_for_pull("orch/gh-1-")
    # What comes later then edits it: the write that is to fail.
    hub.wait_for(lambda: hub.comments_of_orch(1), "a comment")
    hub.wait_for_comment(1, "is done")
    head = github.pull(pull).head_sha
    (check,) = github.start_checks(pull, "test")
    github.finish_check(pull, "test", "cancelled")
    hub.wait_for(lambda: github.state.runs[check.run].attempt == 2, "the job runs again")
    with github.at_once():
        github.finish_check(pull, "test", "failure", log="no")
        github.review(pull, "CHANGES_REQUESTED", comments=[("gh-1.txt", 1, "Use a set")])
    head = hub.wait_for_head(pull, head)
    hub.wait_for(lambda: len(github.pull(pull).threads[0].comments) > 1, "an answer")
    with github.at_once():
        github.start_checks(pull, "test")
        github.finish_check(pull, "test")
        github.merge(pull)
    branch = github.pull(pull).head
    hub.wait_for(lambda: "- Merged:" in hub.project.tasks, "the merge")
    hub.wait_for_comment(1, "is merged")
    hub.wait_for(lambda: github.head(branch) is None, "the branch is deleted")
    assert len(hub.pulls()) == 1
    assert len(hub.comments_of_orch(1)) == 1
    assert len(github.pull(pull).threads[0].comments) == 2
    assert github.state.runs[check.run].attempt == 2
    assert hub.project.launches() == ["gh-1/1", "gh-1/2"]
    assert not github.issue(1).is_open


@pytest.mark.parametrize(
    "trouble",
    [
        BadGateway(),
        Dropped(after_write=True),
        Dropped(after_write=False),
        Truncated(),
        SecondaryLimited(429, 1),
    ],
    ids=["502 after it", "dropped after it", "dropped before it", "truncated", "limited"],
)
def test_each_write_fails_once(hub: Hub, trouble: Trouble) -> None:
    for method, path in WRITES:
        hub.github.faults.add(method, path, trouble)
    walk(hub)


@dataclass(frozen=True)
class Killed:
    """The coordinator is killed in the middle of its write."""

    hub: Hub
    after_write: bool

    def spoil(self, reply: Reply | None) -> Reply:
        self.hub.kill()
        return reply or Reply(0, {}, ending="dropped")


@pytest.mark.parametrize("after_write", [False, True], ids=["before it", "after it"])
def test_killed_at_each_write(hub: Hub, after_write: bool) -> None:
    for method, path in [*WRITES, ("POST", "*/git-receive-pack")]:
        hub.github.faults.add(method, path, Killed(hub, after_write))
    walk(hub)


def test_a_forge_that_hangs_delays_nothing_else(hub: Hub) -> None:
    project = hub.project
    project.write_tasks("[] t-1: Wait", "  please wait", "[] t-2: Hold", "  please hold", "[] t-3: End")
    slow = Slow(seconds=300)
    hub.github.faults.add("GET", "/repos/*", slow, times=math.inf)
    hub.start()
    project.wait_for_sign("t-1")
    project.wait_for_sign("t-2")
    project.wait_for(slow.reached.is_set, "a request")
    project.wait_for(lambda: "t-3/1" in project.launches(), "a worker that ends")
    began = time.monotonic()
    project.orch("stop", "t-1", "--now")
    hub.wait_for(lambda: "[⏰" in project.tasks, "the stop")
    project.tasks_file.write_text(project.tasks.replace("Hold", "Hold on {p0}"))

    def priorities() -> dict[str, int]:
        return {task["id"]: task["priority"] for task in project.status()["tasks"]}

    hub.wait_for(lambda: priorities()["t-2"] == 0, "the edit")
    assert time.monotonic() - began < 9.0, "it did not wait for the timeout of a request"


def test_a_poll_costs_the_same_however_many_tasks_there_are(hub: Hub) -> None:
    github, project = hub.github, hub.project

    def wait_for_polls(number: int) -> None:
        github.traffic.clear()
        project.wait_for(lambda: github.traffic.count("GET", "*/issues") >= number, "polls")

    costs = []
    project.orch("pause", "--reason", "counting")
    hub.start()
    for made, count in ((0, 10), (10, 100), (100, 1000)):
        with github.at_once():
            for _ in range(made, count):
                github.open_issue("Bug", labels=["orch"])
        project.wait_for(lambda: f"] gh-{len(github.state.issues)}:" in project.tasks, f"{count} tasks")
        wait_for_polls(3)  # What is new has been looked up by then.
        wait_for_polls(5)
        costs.append((len(github.traffic.of()), github.traffic.charged()))
    assert {charged for _, charged in costs} == {0}, f"nothing has changed, so nothing is charged: {costs}"
    assert max(sent for sent, _ in costs) <= 10, f"two requests a poll: {costs}"
