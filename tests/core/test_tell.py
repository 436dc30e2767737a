"""What an issue shows of its task."""

import re
from dataclasses import replace

import pytest

from orch.core.actions import Failure, Poll, Tell
from orch.core.forge import Telling
from orch.core.model import (
    Claim,
    EndReason,
    Evidence,
    Exit,
    Mark,
    Outcome,
    OutcomeKind,
    Phase,
    RetryRequest,
    Run,
    RunKey,
    Status,
    Task,
    Verdict,
)
from orch.core.rules.tell import describe, is_followed, sign
from tests.core.issues import FORGE, SAM, change_pull, github, look, open_issue, publish
from tests.core.world import World

WORKER = "w-1a2b3c"
LABELS = {"active": "orch:active", "blocked": "orch:blocked"}


def task(status: Status, commit: str = "", **fields: str) -> Task:
    told = {name.replace("_", " "): value for name, value in fields.items()}
    return Task("gh-7", "x", Mark(status, WORKER, commit), fields={"Attempt": "2", **told})


def run(kind: OutcomeKind, detail: str = "") -> Run:
    outcome = Outcome(kind, "b", "claude", 1.0, detail=detail)
    return Run(RunKey("gh-7", 2), Claim("b", "claude", "x", 0.0), Phase.OVER, outcome=outcome)


@pytest.mark.parametrize(
    ("task", "run", "text"),
    [
        (
            task(Status.ACTIVE),
            Run(RunKey("gh-7", 2), Claim("b", "claude", "x", 0.0)),
            "🟡 **orch** is at work by claude (attempt 2, `w-1a2b3c`).",
        ),
        (
            task(Status.ACTIVE, PR="pull/1"),
            None,
            "🟡 **orch** is at work (attempt 2, `w-1a2b3c`); it follows up on pull/1.",
        ),
        (
            task(Status.COMPLETED, "abc1234", PR="pull/1"),
            run(OutcomeKind.COMPLETED),
            (
                "✅ **orch** is done (attempt 2, `w-1a2b3c`): pull/1 at abc1234, not merged yet.\n\n"
                "It has cost $1.23 so far."
            ),
        ),
        (
            Task("gh-7", "x", Mark(Status.COMPLETED)),
            None,
            "✅ **orch** is done: no pull request, not merged yet.",
        ),
        (
            task(Status.COMPLETED, PR="pull/1", Merged="today", Reason="old"),
            None,
            "✅ **orch** is done: pull/1 is merged.",
        ),
        (
            task(Status.BLOCKED, Reason="Which database?"),
            None,
            (
                "⏰ **orch** is blocked (attempt 2, `w-1a2b3c`):\n\n```\nWhich database?\n```\n\n"
                "`orch retry gh-7` queues it again."
            ),
        ),
        (
            task(Status.BLOCKED, Reason="Which…"),
            run(OutcomeKind.BLOCKED, "Which database?\n```\n@everyone\n```"),
            (
                "⏰ **orch** is blocked (attempt 2, `w-1a2b3c`):\n\n"
                "````\nWhich database?\n```\n@everyone\n```\n````\n\n"
                "`orch retry gh-7` queues it again."
            ),
        ),
        (
            task(Status.FAILED, Reason="exit code 1"),
            run(OutcomeKind.FAILED, "a long log"),
            "❌ **orch** failed (attempt 2, `w-1a2b3c`):\n\n```\nexit code 1\n```",
        ),
        (
            task(Status.PENDING, Retry_at="12:00", Reason="exit code 1"),
            None,
            "🔁 **orch** tries again at 12:00 (attempt 2 did not succeed):\n\n```\nexit code 1\n```",
        ),
    ],
)
def test_the_comment_says_how_it_stands(task: Task, run: Run | None, text: str) -> None:
    cost = 1.234 if "cost" in text else 0.0
    assert describe(task, run, FORGE, cost) == Telling(text)


def test_labels_follow_the_status() -> None:
    policy = FORGE.evolve(status_labels=LABELS)
    assert describe(task(Status.BLOCKED), None, policy).labels == {"orch:active": False, "orch:blocked": True}
    assert describe(task(Status.BLOCKED), None, policy.evolve(comment=False)) == Telling(
        "", {"orch:active": False, "orch:blocked": True}
    )


def test_the_hash_is_of_what_is_told_and_nothing_else() -> None:
    done = task(Status.COMPLETED, "abc1234", PR="pull/1")
    same = sign(done, FORGE)
    assert sign(done.evolve(title="y", notes="z", fields={**done.fields, "PID": "7"}), FORGE) == same
    others = [
        sign(done.evolve(mark=replace(done.mark, commit="abc1235")), FORGE),
        sign(done.evolve(fields={**done.fields, "Merged": "today"}), FORGE),
        sign(done.evolve(mark=replace(done.mark, status=Status.FAILED)), FORGE),
        sign(done, FORGE.evolve(status_labels=LABELS)),
    ]
    assert len({same, *others}) == 5


def test_what_only_waits_is_not_told() -> None:
    assert sign(Task("gh-7", "x"), FORGE) == ""
    assert sign(task(Status.SKIPPED), FORGE) == ""
    assert sign(task(Status.ACTIVE), FORGE.evolve(comment=False)) == ""


def test_a_followed_task_has_an_open_pull_request() -> None:
    assert is_followed(task(Status.COMPLETED, PR="pull/1"))
    assert not is_followed(task(Status.COMPLETED, PR="pull/1", Merged="today"))
    assert not is_followed(task(Status.COMPLETED))
    assert not is_followed(task(Status.SKIPPED, PR="pull/1"))


# --- when it is told ---------------------------------------------------------------------------------------


def told(world: World) -> list[str]:
    """What the comments were told, without what differs."""
    return [re.split(r" at [0-9]| by |[(:]", text.split("**")[2])[0].strip() for _, text in world.told]


def test_each_change_is_told_once() -> None:
    world = github()
    name = publish(world)
    assert told(world) == ["is at work", "is done"]
    change_pull(world, name, conflicts=True)
    look(world)
    world.end(name, Exit(EndReason.EXITED, 1), Evidence(verdict=Verdict(ok=False, reason="crash")))
    world.settle()
    world.wait(300.0)
    world.work(name, "b" * 40)
    change_pull(world, name, head="b" * 40, conflicts=False, state="merged")
    look(world)
    assert told(world)[2:] == ["is at work", "tries again", "is at work", "is done", "is done"]
    count = len(world.told)
    world.add("t-1")
    world.restart()
    world.settle()
    look(world)
    assert len(world.told) == count


def test_what_could_not_be_told_is_told_later() -> None:
    world = github()
    open_issue(world, 7)
    world.faults = lambda action: Failure("502", retry_after=90.0) if isinstance(action, Tell) else None
    world.settle()
    assert not world.told
    world.work("gh-7", "b" * 40)
    world.add("t-1")
    world.settle()
    world.faults = lambda _: None
    world.wait(30.0)
    assert not world.told
    world.wait(61.0)
    assert told(world) == ["is done"]


def test_nothing_is_told_to_a_forge_that_is_away() -> None:
    world = github()
    open_issue(world, 7)
    world.settle()
    world.faults = lambda action: Failure("down") if isinstance(action, Poll | Tell) else None
    look(world)
    world.work("gh-7", "b" * 40)
    world.wait(20.0)
    assert [type(action) for action in world.done].count(Tell) == 1
    world.faults = lambda _: None
    world.wait(40.0)
    assert told(world) == ["is at work", "is done"]


def test_what_can_never_be_told_is_given_up() -> None:
    world = github()
    open_issue(world, 7)
    world.faults = lambda action: Failure("locked", permanent=True) if isinstance(action, Tell) else None
    world.settle()
    world.wait(100.0)
    assert [type(action) for action in world.done].count(Tell) == 1
    assert world.mark("gh-7") is Status.ACTIVE


def test_only_what_orch_brought_in_is_told() -> None:
    world = github()
    world.add("gh-7")
    open_issue(world, 7)
    open_issue(world, 8, author=SAM)
    world.settle()
    world.work("gh-7", "b" * 40)
    assert not world.told


def test_comments_can_be_off() -> None:
    world = github(comment=False)
    publish(world)
    assert not world.told


def test_an_issue_that_went_meanwhile_is_told_no_more() -> None:
    world = github()
    open_issue(world, 7)
    results = world.tick()
    while not any(isinstance(result.action, Tell) for result in results):
        results = world.tick(tuple(results))
    forge = world.state.forge
    world.state = world.state.evolve(forge=forge.evolve(ledger=forge.ledger.evolve(issues={})))
    world.tick(tuple(results))
    assert 7 not in world.state.forge.telling


def test_an_edit_between_two_looks_closes_nothing() -> None:
    world = github()
    name = publish(world)
    change_pull(world, name, state="merged")
    look(world)
    world.edit(name, priority=1)
    world.settle()
    assert not world.closed


def test_a_person_queues_again_and_only_the_work_is_told() -> None:
    world = github()
    open_issue(world, 7)
    world.settle()
    world.end("gh-7", evidence=Evidence(blocked="why?"))
    world.settle()
    world.policy = world.policy.evolve(max_concurrent_workers=0)
    world.requests = [RetryRequest("gh-7")]
    world.settle()
    assert told(world) == ["is at work", "is blocked"]
