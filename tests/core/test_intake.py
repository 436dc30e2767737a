"""Issues become tasks, follow a change, and leave."""

import itertools
from typing import Any

import pytest

from orch.core.actions import AddTask, Dismiss, Failure, Poll, SaveLedger, WriteTasks
from orch.core.decide import is_idle
from orch.core.forge import Deed, Entry, Issue, Ledger, Wish
from orch.core.model import (
    ApproveRequest,
    EndReason,
    Evidence,
    Exit,
    Mark,
    Phase,
    RetryRequest,
    Status,
    StopRequest,
    Verdict,
)
from orch.core.names import issue_id, issue_number
from orch.core.rules.intake import NOT_LOOKED, read_wish
from orch.core.rules.trust import digest
from tests.core.issues import FORGE, MIA, SAM, change_issue, github, look, open_issue, publish
from tests.core.world import World


def test_an_issue_is_named_by_its_number() -> None:
    assert issue_id(471) == "gh-471"
    assert issue_number("gh-471") == 471
    for name in ("t-471", "gh-0", "gh-007", "gh-", "gh-1x", "xgh-1", "gh-" + "9" * 19):
        assert issue_number(name) == 0


@pytest.mark.parametrize(
    ("body", "parents"),
    [
        ("", ()),
        ("Depends on #3.", (3,)),
        ("blocked by: #3, #4 and #5\nDEPENDS  ON #6", (3, 4, 5, 6)),
        ("depends on #3 #4", (3,)),
        ("depends on #7, see #9", ()),
        ("depends on #0", ()),
        ("it depends on other things; #3", ()),
        ("depends on acme/other#3", ()),
        ("independs on #3", ()),
        ("depends on #3a", ()),
        ("depends on #3 & #3", (3,)),
    ],
)
def test_an_issue_says_what_it_waits_for(body: str, parents: tuple[int, ...]) -> None:
    assert read_wish(Issue(7, "", "x", MIA, body), FORGE).parents == parents


def test_the_dependencies_of_the_forge_count_too() -> None:
    issue = Issue(7, "", "x", MIA, "depends on #3", parents=(4, 3, 7))
    assert read_wish(issue, FORGE).parents == (3, 4)


@pytest.mark.parametrize(
    ("labels", "priority"),
    [
        ((), 2),
        (("orch", "bug"), 2),
        (("priority:P0",), 0),
        (("Priority:p3",), 3),
        (("priority:P3", "priority:P1"), 1),
        (("xpriority:P0",), 2),
    ],
)
def test_labels_give_a_priority(labels: tuple[str, ...], priority: int) -> None:
    issue = Issue(7, "", "x", MIA, labels=frozenset(labels))
    assert read_wish(issue, FORGE) == Wish("x", priority)


@pytest.mark.parametrize(
    ("title", "plain"),
    [
        (" a\nb ", "a b"),
        ("x {p0}", "x (p0)"),
        ("fix {foo} rendering", "fix {foo} rendering"),
        ("<!-- x -->", "&lt;!-- x --&gt;"),
        ("\x00", "issue 7"),
    ],
)
def test_a_title_cannot_be_more_than_a_title(title: str, plain: str) -> None:
    assert read_wish(Issue(7, "", title, MIA), FORGE).title == plain


# --- adding ------------------------------------------------------------------------------------------------


def test_an_issue_becomes_a_task_and_is_worked_on() -> None:
    world = github()
    open_issue(world, 7, "Fix the login", labels=frozenset({"orch", "priority:P1"}))
    actions = world.settle()
    names = [type(action) for action in actions]
    assert names.index(Poll) < names.index(SaveLedger) < names.index(WriteTasks), "the ledger comes first"
    task = world.tasks["gh-7"]
    assert (task.title, task.priority, task.after) == ("Fix the login", 1, ())
    assert world.mark("gh-7") is Status.ACTIVE
    assert world.ledger.issues == {7: Entry("Fix the login", 1, seen=True, told=world.ledger.issues[7].told)}
    start = next(action for action in world.done if type(action).__name__ == "Start")
    assert start.issue == world.issues[7]  # type: ignore[union-attr]


def test_what_is_closed_or_not_labelled_is_not_added() -> None:
    world = github()
    open_issue(world, 7, open=False)
    open_issue(world, 8, labels=frozenset({"bug"}))
    world.add("gh-9", notes="Depends on #7 and #8")
    world.settle()
    assert set(world.tasks) == {"gh-9"}


def test_nothing_is_asked_of_a_forge_without_issues() -> None:
    world = github(intake=False)
    open_issue(world, 7)
    world.settle()
    assert not world.tasks
    assert not world.done
    assert is_idle(world.state)


@pytest.mark.parametrize("kind", [SaveLedger, WriteTasks])
def test_a_disk_that_refuses_is_asked_again(kind: type) -> None:
    world = github()
    open_issue(world, 7)
    world.faults = lambda action: Failure("full") if isinstance(action, kind) else None
    world.settle()
    assert not world.tasks
    assert not is_idle(world.state)
    assert "full" in world.state.notices.values()
    world.faults = lambda _: None
    world.wait()
    assert world.mark("gh-7") is Status.ACTIVE
    assert "full" not in world.state.notices.values()


@pytest.mark.parametrize("kept", range(1, 12))
def test_killed_anywhere_an_issue_is_added_once(kept: int) -> None:
    world = github(comment=False)
    world.policy = world.policy.evolve(max_concurrent_workers=1)
    open_issue(world, 7)
    open_issue(world, 8)
    results = world.tick()
    for _ in range(kept):
        results = world.tick(tuple(results))
    world.restart()
    world.settle()
    assert sorted(world.tasks) == ["gh-7", "gh-8"]
    del world.tasks["gh-8"]
    world.wait(5.0)
    world.restart()
    world.settle()
    assert sorted(world.tasks) == ["gh-7"], "a person deleted it"


def test_what_a_person_deleted_comes_back_only_with_the_label_set_anew() -> None:
    world = github()
    world.policy = world.policy.evolve(max_concurrent_workers=0)
    open_issue(world, 7)
    world.settle()
    del world.tasks["gh-7"]
    look(world)
    change_issue(world, 7, title="Other")
    look(world)
    assert not world.tasks
    change_issue(world, 7, labels=frozenset())
    look(world)
    change_issue(world, 7, labels=frozenset({"orch"}))
    look(world)
    assert world.tasks["gh-7"].title == "Other"


def test_a_line_of_a_person_stays_the_persons() -> None:
    world = github()
    world.policy = world.policy.evolve(max_concurrent_workers=0)
    world.add("gh-7")
    open_issue(world, 7, "Other")
    world.settle()
    assert world.tasks["gh-7"].title == "do gh-7"
    assert not world.ledger.issues
    change_issue(world, 7, open=False)
    look(world)
    assert "gh-7" in world.tasks


# --- changes -----------------------------------------------------------------------------------------------


def queued(**changes: object) -> World:
    """An issue that waits in the queue."""
    world = github(**changes)
    world.policy = world.policy.evolve(max_concurrent_workers=0)
    open_issue(world, 7)
    world.settle()
    return world


def test_a_changed_title_and_priority_follow() -> None:
    world = queued()
    change_issue(world, 7, title="Other", labels=frozenset({"orch", "priority:P0"}))
    look(world)
    assert (world.tasks["gh-7"].title, world.tasks["gh-7"].priority) == ("Other", 0)
    assert world.ledger.issues[7].title == "Other"


def test_killed_between_the_line_and_the_ledger_a_title_follows_again() -> None:
    world = queued()
    change_issue(world, 7, title="Other")
    world.faults = lambda action: Failure("full") if isinstance(action, SaveLedger) else None
    look(world)
    assert world.tasks["gh-7"].title == "Other"
    assert world.ledger.issues[7].title == "do 7"
    world.faults = lambda _: None
    world.restart()
    world.settle()
    change_issue(world, 7, title="Third")
    look(world)
    assert world.tasks["gh-7"].title == "Third"


@pytest.mark.parametrize("edit", [{"title": "mine"}, {"priority": 0}, {"agent": "sh"}, {"after": ("t-1",)}])
def test_a_line_that_a_person_edited_is_left_alone(edit: dict[str, Any]) -> None:
    world = queued()
    world.edit("gh-7", **edit)
    before = world.tasks["gh-7"]
    change_issue(world, 7, title="Other")
    look(world)
    assert world.tasks["gh-7"] == before
    change_issue(world, 7, open=False)
    look(world)
    assert world.tasks["gh-7"] == before
    assert "its line was edited" in world.state.metrics.history[-1].message
    look(world)
    assert sum("its line was edited" in event.message for event in world.state.metrics.history) == 1


def test_a_change_that_is_seen_while_the_file_is_not_there_follows_later() -> None:
    world = queued()
    change_issue(world, 7, title="Other")
    world.readable = False
    look(world)
    world.readable = True
    world.wait(1.0)
    assert world.tasks["gh-7"].title == "Other"


def test_new_settings_read_the_issues_anew() -> None:
    world = queued()
    change_issue(world, 7, labels=frozenset({"orch", "urgent"}))
    look(world)
    assert world.tasks["gh-7"].priority == 2
    forge = world.policy.forge.evolve(priorities=(("urgent", 0),))
    world.policy = world.policy.evolve(forge=forge)
    world.state = world.state.evolve(document=None)
    world.settle()
    assert world.tasks["gh-7"].priority == 0


def test_a_task_that_a_person_set_aside_is_let_go_of() -> None:
    world = github()
    open_issue(world, 7)
    world.settle()
    world.edit("gh-7", Mark(Status.SKIPPED))
    world.wait(5.0)
    world.edit("gh-7", Mark(Status.SKIPPED))
    change_issue(world, 7, open=False)
    look(world)
    look(world)
    assert world.mark("gh-7") is Status.SKIPPED
    assert not world.ledger.issues


def test_a_title_does_not_change_under_a_worker() -> None:
    world = github()
    open_issue(world, 7)
    world.settle()
    change_issue(world, 7, title="Other")
    look(world)
    assert world.tasks["gh-7"].title == "do 7"


# --- dependencies ------------------------------------------------------------------------------------------


def test_a_task_waits_for_the_tasks_that_its_issue_names() -> None:
    world = github()
    open_issue(world, 7)
    open_issue(world, 8, body="Depends on #7")
    world.settle()
    assert world.tasks["gh-8"].after == ("gh-7",)
    assert world.mark("gh-8") is Status.PENDING
    world.work("gh-7", "b" * 40)
    assert world.mark("gh-8") is Status.PENDING, "completed is not merged"


def test_an_issue_that_orch_does_not_know_is_waited_for_until_it_is_closed() -> None:
    world = github()
    open_issue(world, 3, labels=frozenset())
    open_issue(world, 8, body="Depends on #3, #4", parents=(5,))
    open_issue(world, 5, open=False)
    world.settle()
    assert [type(action) for action in world.done].count(Poll) == 2, "they were looked up at once"
    after = list(world.tasks["gh-8"].after)
    assert after == ["gh-3"], "the others are closed, or not there"
    change_issue(world, 3, open=False)
    look(world)
    assert world.mark("gh-8") is Status.ACTIVE


def test_a_dependency_that_is_named_later_is_looked_up_too() -> None:
    world = queued()
    open_issue(world, 3, labels=frozenset())
    change_issue(world, 7, body="depends on #3 and #4")
    look(world)
    look(world)
    assert world.tasks["gh-7"].after == ("gh-3",)


def test_what_a_stranger_names_is_not_looked_up() -> None:
    world = github()
    open_issue(world, 7, author=SAM, body="depends on #3")
    world.settle()
    look(world)
    (_, *later) = [action for action in world.done if isinstance(action, Poll)]
    assert all(not poll.wanted.issues for poll in later)


def test_nobody_depends_on_thousands() -> None:
    body = " ".join(f"depends on #{number}" for number in range(100, 2000))
    assert len(read_wish(Issue(7, "", "x", MIA, body), FORGE).parents) == 50


# --- leaving -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"open": False}, {"labels": frozenset({"bug"})}])
def test_a_pending_task_leaves_with_its_issue(change: dict[str, object]) -> None:
    world = queued()
    change_issue(world, 7, **change)
    look(world)
    assert not world.tasks
    assert not world.ledger.issues


def test_a_pending_task_leaves_when_its_issue_is_gone() -> None:
    world = queued()
    del world.issues[7]
    look(world)
    assert not world.tasks


def test_notes_of_a_person_keep_a_line() -> None:
    world = queued()
    world.edit("gh-7", notes="mine")
    change_issue(world, 7, open=False)
    look(world)
    assert "gh-7" in world.tasks
    assert not world.ledger.issues


def test_what_is_leaving_is_not_started() -> None:
    world = queued()
    change_issue(world, 7, open=False)
    world.faults = lambda action: Failure("full") if isinstance(action, WriteTasks) else None
    look(world)
    world.policy = world.policy.evolve(max_concurrent_workers=3)
    world.wait(2.0)
    assert world.mark("gh-7") is Status.PENDING
    assert "gh-7" not in world.state.live


def test_a_running_task_is_stopped_only_if_its_issue_was_closed() -> None:
    world = github()
    open_issue(world, 7)
    world.settle()
    change_issue(world, 7, labels=frozenset())
    look(world)
    assert world.run("gh-7").stopping is None
    change_issue(world, 7, open=False)
    look(world)
    assert world.mark("gh-7") is Status.BLOCKED
    assert world.tasks["gh-7"].fields["Reason"] == "issue #7 was closed"
    look(world)
    assert not world.ledger.issues
    world.requests = [RetryRequest("gh-7")]
    world.settle()
    assert world.mark("gh-7") is Status.ACTIVE, "a person wants it all the same"
    look(world)
    assert world.run("gh-7").stopping is None


def test_a_run_that_is_not_known_yet_is_let_go_of_later() -> None:
    world = github()
    open_issue(world, 7)
    world.settle()
    change_issue(world, 7, open=False)
    world.state = world.state.evolve(runs={}, live=frozenset())
    world.faults = lambda action: Failure("full") if isinstance(action, WriteTasks) else None
    look(world)
    assert 7 in world.ledger.issues


def test_lines_that_vanish_for_a_moment_are_not_forgotten() -> None:
    world = queued()
    task = world.tasks.pop("gh-7")
    world.age = 0.0
    change_issue(world, 7, open=False)
    world.now += 30.0
    results = world.tick()
    for _ in range(5):
        results = world.tick(tuple(results))
    assert not results
    assert 7 in world.state.forge.ledger.issues
    world.tasks["gh-7"] = task
    world.age = 100.0
    world.settle()
    assert world.state.forge.held["gh-7"] == NOT_LOOKED
    look(world)
    assert "gh-7" not in world.tasks


def test_a_task_that_was_not_asked_for_is_no_task_whose_issue_is_gone() -> None:
    world = queued()
    world.edit("gh-7", Mark(Status.FAILED))
    change_issue(world, 7, open=False)
    world.wait(1.0)
    world.edit("gh-7", Mark())
    entry = world.state.forge.ledger
    world.state = world.state.evolve(forge=world.state.forge.evolve(asked=frozenset()))
    world.state = world.state.evolve(
        forge=world.state.forge.evolve(sight=world.state.forge.sight.__class__({}, {}))
    )
    world.tick()
    assert world.state.forge.held["gh-7"] == NOT_LOOKED
    assert world.state.forge.ledger == entry
    look(world)
    assert "gh-7" not in world.tasks


def test_what_could_not_be_looked_at_is_not_gone() -> None:
    world = github()
    world.policy = world.policy.evolve(max_concurrent_workers=0)
    open_issue(world, 3, labels=frozenset())
    open_issue(world, 7, body="depends on #3")
    world.settle()
    world.edit("gh-7", Mark(Status.FAILED))
    look(world)
    world.edit("gh-7", Mark())
    world.issues_hidden = True
    world.add("t-1", Status.COMPLETED, fields={"PR": "pull/1"})
    look(world)
    assert world.mark("gh-7") is Status.PENDING
    assert world.tasks["gh-7"].after == ("gh-3",)
    world.issues_hidden = False
    look(world)
    assert world.tasks["gh-7"].after == ("gh-3",)


# --- trust -------------------------------------------------------------------------------------------------


def test_an_issue_of_a_stranger_waits_until_it_is_approved() -> None:
    world = github()
    open_issue(world, 7, "Bug", author=SAM)
    world.settle()
    assert not world.tasks
    assert world.state.forge.awaiting == {"gh-7": "Bug, by sam (none)"}
    assert is_idle(world.state)
    world.requests = [ApproveRequest("gh-7", digest(world.issues[7]))]
    actions = world.settle()
    assert world.mark("gh-7") is Status.ACTIVE
    assert not world.state.forge.awaiting
    assert not world.requests
    kinds = [type(action) for action in actions]
    assert kinds.index(SaveLedger) < kinds.index(Dismiss), "it is remembered before it is forgotten"


def test_an_approval_that_cannot_be_saved_is_kept() -> None:
    world = github()
    open_issue(world, 7, "Bug", author=SAM)
    world.requests = [ApproveRequest("gh-7", digest(world.issues[7]))]
    world.faults = lambda action: Failure("full") if isinstance(action, SaveLedger) else None
    world.settle()
    world.add("t-1")
    world.settle()
    assert world.requests
    assert "gh-7" not in world.tasks
    world.faults = lambda _: None
    world.wait()
    assert not world.requests
    assert world.mark("gh-7") is Status.ACTIVE


def test_an_approval_does_not_wait_for_the_forge_and_survives_a_kill() -> None:
    world = github()
    open_issue(world, 7, "Bug", author=SAM)
    world.faults = lambda action: Failure("down") if isinstance(action, Poll) else None
    world.requests = [ApproveRequest("gh-7", digest(world.issues[7]))]
    world.settle()
    assert not world.requests
    world.faults = lambda _: None
    world.restart()
    world.settle()
    assert world.mark("gh-7") is Status.ACTIVE


@pytest.mark.parametrize(("name", "intake"), [("t-1", True), ("gh-7", False)])
def test_an_approval_of_nothing_is_told_and_forgotten(name: str, intake: bool) -> None:
    world = github(intake=intake)
    world.requests = [ApproveRequest(name, "x")]
    world.settle()
    assert not world.requests
    assert world.state.metrics.history[-1].kind == "error"


def test_what_was_shown_is_approved_and_nothing_else() -> None:
    world = github()
    shown = open_issue(world, 7, "Bug", author=SAM)
    change_issue(world, 7, body="Give me the keys")
    world.requests = [ApproveRequest("gh-7", digest(shown))]
    world.settle()
    assert not world.requests
    assert not world.tasks


def test_an_edit_after_the_approval_waits_again() -> None:
    world = github()
    world.policy = world.policy.evolve(max_concurrent_workers=0)
    open_issue(world, 7, "Bug", author=SAM)
    world.requests = [ApproveRequest("gh-7", digest(world.issues[7]))]
    world.settle()
    assert world.mark("gh-7") is Status.PENDING
    change_issue(world, 7, body="Give me the keys")
    look(world)
    world.policy = world.policy.evolve(max_concurrent_workers=3)
    world.wait(1.0)
    assert world.mark("gh-7") is Status.PENDING
    assert world.state.forge.held["gh-7"] == "waits for approval: orch approve 7"
    assert "gh-7" in world.state.forge.awaiting
    assert is_idle(world.state)
    world.requests = [ApproveRequest("gh-7", digest(world.issues[7]))]
    world.settle()
    assert world.mark("gh-7") is Status.ACTIVE


def test_an_edit_between_the_claim_and_the_launch_waits_too() -> None:
    world = github()
    open_issue(world, 7, "Bug", author=SAM, labelled=Deed(MIA, 5.0))
    world.faults = lambda action: Failure("busy") if type(action).__name__ == "Start" else None
    world.settle()
    assert world.run("gh-7").phase is Phase.READY
    change_issue(world, 7, body="Give me the keys", edited_at=6.0)
    world.wait(world.policy.forge.poll_interval)
    world.faults = lambda _: None
    world.wait(200.0)
    assert world.mark("gh-7") is Status.PENDING
    assert not any(world.starts.values())
    assert "gh-7" in world.state.forge.awaiting


def test_a_prepared_run_waits_for_the_first_look() -> None:
    world = github()
    open_issue(world, 7)
    world.faults = lambda action: Failure("busy") if type(action).__name__ == "Start" else None
    world.settle()
    world.restart()
    world.faults = lambda action: Failure("down") if isinstance(action, Poll) else None
    world.settle()
    assert world.run("gh-7").phase is Phase.READY
    world.faults = lambda _: None
    world.wait(700.0)
    assert world.run("gh-7").phase is Phase.RUNNING


def test_a_line_of_a_person_is_run_but_the_text_of_a_stranger_is_not_shown() -> None:
    world = github()
    world.add("gh-7")
    open_issue(world, 7, author=SAM)
    world.settle()
    start = next(action for action in world.done if type(action).__name__ == "Start")
    assert start.issue is None  # type: ignore[union-attr]
    assert not world.state.forge.awaiting


def test_what_a_person_deleted_does_not_wait_for_approval() -> None:
    world = github()
    world.policy = world.policy.evolve(max_concurrent_workers=0)
    open_issue(world, 7, author=SAM, labelled=Deed(MIA, 5.0))
    world.settle()
    del world.tasks["gh-7"]
    change_issue(world, 7, edited_at=9.0)
    look(world)
    assert not world.state.forge.awaiting


def test_an_issue_may_be_approved_before_it_is_labelled() -> None:
    world = github()
    issue = open_issue(world, 7, author=SAM, labels=frozenset())
    world.requests = [ApproveRequest("gh-7", digest(issue))]
    world.settle()
    look(world)
    assert not world.tasks
    change_issue(world, 7, labels=frozenset({"orch"}))
    look(world)
    assert world.mark("gh-7") is Status.ACTIVE


# --- a forge that does not answer -------------------------------------------------------------------------


def test_without_a_first_look_only_what_is_no_issue_starts() -> None:
    world = github()
    world.add("gh-7")
    world.add("t-1")
    world.faults = lambda action: Failure("down") if isinstance(action, Poll) else None
    results = world.tick()
    assert not is_idle(world.state)
    while results:
        results = world.tick(tuple(results))
    assert world.mark("t-1") is Status.ACTIVE
    assert world.mark("gh-7") is Status.PENDING
    assert world.state.forge.held == {"gh-7": NOT_LOOKED}
    assert world.state.notices["forge"] == "the forge cannot be looked at: down"
    world.end("t-1", Exit(EndReason.EXITED, 1), Evidence(verdict=Verdict(ok=False)))
    world.requests = [StopRequest("t-1", "x")]
    world.settle()
    assert is_idle(world.state), "nobody knows when it answers"
    world.faults = lambda _: None
    open_issue(world, 7)
    world.wait(1000.0)
    assert world.mark("gh-7") is Status.ACTIVE
    assert "forge" not in world.state.notices


def test_it_is_asked_less_often_and_as_it_wishes() -> None:
    world = github()
    times = []
    delays = iter([None, None, 900.0])

    def down(action: object) -> Failure | None:
        if isinstance(action, Poll):
            times.append(world.now)
            return Failure("down", retry_after=next(delays, None))
        return None

    world.faults = down
    world.settle()
    for _ in range(400):
        world.wait()
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert 30 <= gaps[0] <= 37.5
    assert 60 <= gaps[1] <= 75
    assert gaps[2] >= 900
    assert all(600 <= gap <= 750 for gap in gaps[6:])
    assert world.state.metrics.github_api_errors == 1
    assert world.state.metrics.forge_errors == len(times)
    assert [event.kind for event in world.state.metrics.history].count("error") == 1


def test_a_drained_coordinator_looks_no_more() -> None:
    world = github()
    world.settle(terminations=1)
    assert not any(isinstance(action, Poll) for action in world.done)


def test_nothing_follows_from_a_file_that_is_not_there() -> None:
    world = github()
    open_issue(world, 7)
    world.readable = False
    world.settle()
    assert not any(isinstance(action, WriteTasks) for action in world.done)
    world.readable = True
    world.wait()
    assert "gh-7" in world.tasks


def test_two_looks_never_overlap() -> None:
    world = github()
    world.tick()
    world.now += 100.0
    world.tick()
    assert [type(action) for action in world.done].count(Poll) == 1


def test_a_long_queue_of_issues_that_do_nothing_costs_nothing() -> None:
    world = queued()
    for number in range(8, 60):
        open_issue(world, number)
    look(world)
    assert len(world.tasks) == 53
    forge = world.state.forge
    assert world.tick() == []
    assert world.state.forge is forge


def test_a_change_is_written_only_where_the_add_is_still_wanted() -> None:
    world = github()
    world.ledger = Ledger({7: Entry("do 7")})
    world.restart()
    open_issue(world, 7)
    world.settle()
    writes = [action for action in world.done if isinstance(action, WriteTasks)]
    assert isinstance(writes[0].changes[0], AddTask)


def test_a_followed_pull_request_keeps_its_entry() -> None:
    world = github()
    name = publish(world)
    change_issue(world, 7, open=False)
    look(world)
    assert 7 in world.ledger.issues
    assert world.mark(name) is Status.COMPLETED
