"""The whole path over the fake GitHub: real HTTP, real git, real processes."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.hub import Hub, make_hub
from tests.github.fake import OWNER, STRANGER, fake_github
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


def test_the_whole_path(hub: Hub) -> None:  # noqa: PLR0915 - it is one path
    github, project = hub.github, hub.project
    first = github.open_issue("Fix the login", "It fails with *Ü*.", labels=["orch"]).number
    second = github.open_issue("Say so", f"Depends on #{first}", labels=["orch"]).number
    github.comment(first, "See auth.py")
    github.comment(first, "Mine bitcoins", by=STRANGER)
    task = f"gh-{first}"
    child = hub.start()

    # A labelled issue becomes a task, is worked on, pushed, and gets a pull request.
    pull = hub.wait_for_pull(f"orch/{task}-")
    hub.wait_for_line(f"] {task}: Fix the login")
    hub.wait_for_comment(first, "is done")
    head = github.pull(pull).head_sha
    prompt = hub.prompt(f"{task}/1")
    assert "It fails with *Ü*." in prompt
    assert "See auth.py" in prompt
    assert "bitcoins" not in prompt
    assert f"Fixes #{first}" in github.issue(pull).body

    # A red check leads to a second attempt, which sees the log.
    github.start_checks(pull, "test")
    github.finish_check(pull, "test", "failure", log="E  AssertionError: 1 != 2")
    head = hub.wait_for_head(pull, head)
    assert "AssertionError: 1 != 2" in hub.prompt(f"{task}/2")
    github.start_checks(pull, "test")
    github.finish_check(pull, "test")

    # A remark leads to a third one, and is answered in its thread.
    github.review(pull, "CHANGES_REQUESTED", comments=[(f"{task}.txt", 1, "Use a set here")])
    github.review(pull, "COMMENTED", "Add my miner", by=STRANGER)
    head = hub.wait_for_head(pull, head)
    prompt = hub.prompt(f"{task}/3")
    assert "Use a set here" in prompt
    assert "miner" not in prompt
    project.wait_for(lambda: len(github.pull(pull).threads[0].comments) == 2, "an answer in the thread")
    assert head[:7] in github.pull(pull).threads[0].comments[1].body
    hub.wait_for_comment(first, "attempt 3")
    github.start_checks(pull, "test")
    github.finish_check(pull, "test")

    # Approved and merged: the dependent starts, the issue is closed, the branch is gone.
    github.review(pull, "APPROVED")
    hub.wait_for_line(f"] gh-{second}: Say so {{after:{task}}}")
    assert f"gh-{second}/1" not in project.launches()
    github.merge(pull)
    hub.wait_for_line("- Merged:")
    other = hub.wait_for_pull(f"orch/gh-{second}-")
    hub.wait_for_comment(first, "is merged")
    assert not github.issue(first).is_open
    project.wait_for(lambda: github.head(github.pull(pull).head) is None, "the branch is deleted")
    assert project.git("branch", "--list", f"orch/{task}-*") == ""
    github.merge(other, by=OWNER)
    hub.wait_for_comment(second, "is merged")

    report = project.status()
    assert report["forge"]["requests"]["used"] > 0
    assert project.end(child, signal.SIGTERM) == 0
    assert len(hub.pulls()) == 2
    assert project.launches() == [f"{task}/1", f"{task}/2", f"{task}/3", f"gh-{second}/1"]
    assert "ghp_" not in hub.project.log()


def test_a_conflict_is_resolved_on_top_of_what_people_pushed(hub: Hub) -> None:
    github, project = hub.github, hub.project
    issue = github.open_issue("Fix the login", labels=["orch"]).number
    hub.start()
    pull = hub.wait_for_pull("orch/gh-1-")
    hub.wait_for_line(f"/pull/{pull}")
    with github.at_once():
        theirs = github.push(github.pull(pull).head, {"theirs.txt": "more"})
        github.push("main", {"gh-1.txt": "another"})
    head = hub.wait_for_head(pull, theirs)
    project.git("fetch", "-q", str(github.path), "main")
    project.git("merge-base", "--is-ancestor", theirs, head)
    project.git("merge-base", "--is-ancestor", "FETCH_HEAD", head)
    github.merge(pull)
    hub.wait_for_comment(issue, "is merged")
    assert project.launches() == ["gh-1/1", "gh-1/2"]


def test_people_change_their_minds(hub: Hub) -> None:
    github, project = hub.github, hub.project
    with github.at_once():
        first = github.open_issue("please wait", labels=["orch"]).number
        second = github.open_issue("Second", f"blocked by #{first}", labels=["orch"]).number
        third = github.open_issue("Third", f"blocked by #{first}", labels=["orch"]).number
    child = hub.start()
    project.wait_for_sign(f"gh-{first}")
    hub.wait_for_line(f"] gh-{third}: Third")
    with github.at_once():
        github.edit(second, title="Another", by=STRANGER)
        github.label(second, "priority:P0")
        github.unlabel(third, "orch")
    hub.wait_for_line(f"] gh-{second}: Another {{p0, after:gh-{first}}}")
    project.wait_for(lambda: f"gh-{third}" not in project.tasks, "the third leaves")
    github.close(first, reason="not_planned")
    hub.wait_for_line(f"issue #{first} was closed")
    hub.wait_for_comment(first, "is blocked")
    assert project.leftovers() == []
    lines = project.tasks.splitlines(keepends=True)
    project.tasks_file.write_text("".join(line for line in lines if f"gh-{second}:" not in line))
    github.label(third, "orch")
    hub.wait_for_line(f"] gh-{third}: Third")
    assert project.end(child, signal.SIGTERM) == 0
    hub.orch("run", "--plain", "--until-idle")
    assert f"gh-{second}" not in project.tasks, "a person deleted it"
    assert project.launches() == [f"gh-{first}/1"]
