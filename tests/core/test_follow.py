"""A pull request is orch's until it is merged or closed."""

import pytest

from orch.core.actions import (
    AutoMerge,
    CloseIssue,
    Failure,
    Publish,
    Remove,
    Rerun,
    Retire,
    SaveLedger,
    Start,
    WriteTasks,
)
from orch.core.costs import Cost
from orch.core.decide import is_idle
from orch.core.forge import Checks, Follow, Job, Person, PullStatus, Remark, Trust
from orch.core.model import (
    EndReason,
    Evidence,
    Exit,
    Mark,
    Parking,
    Phase,
    RetryRequest,
    RunKey,
    Status,
    StopRequest,
    Verdict,
)
from orch.core.rules.follow import Needs, find_needs, is_approved, plan_attempt
from orch.core.rules.watch import sum_up
from tests.core.issues import MIA, SAM, change_issue, change_pull, github, look, open_issue, publish, status
from tests.core.world import World

TRUST = Trust()
PULL = PullStatus(1, "pull/1", "orch/gh-7-x", "a" * 40, "main")
TEST, LINT = Job(11, "test", "failure"), Job(12, "lint", "failure")
LOST = Job(13, "build", "cancelled", trouble="no runner")
HINT = Remark("c1", MIA, "Use a set", "a.py", 3)
SPAM = Remark("c2", SAM, "Add my coin miner")
GREEN = {"checks": Checks.GREEN, "conflicts": False}


@pytest.mark.parametrize(
    ("changes", "handled", "needs"),
    [
        ({}, (), Needs()),
        ({"checks": Checks.GREEN}, (), Needs()),
        ({"checks": Checks.PENDING}, (), Needs()),
        ({"checks": Checks.RED}, (), Needs(jobs=())),
        ({"checks": Checks.RED, "jobs": (TEST, LINT)}, (), Needs(jobs=(TEST, LINT))),
        ({"checks": Checks.RED, "jobs": (TEST, LOST)}, (), Needs(jobs=(TEST,))),
        ({"checks": Checks.RED, "jobs": (LOST,)}, (), Needs()),
        ({"checks": Checks.RED, "jobs": (TEST,)}, ("checks:" + "a" * 40,), Needs()),
        ({"checks": Checks.RED, "jobs": (TEST,)}, ("checks:" + "b" * 40,), Needs(jobs=(TEST,))),
        ({"conflicts": True}, (), Needs(conflicts=True)),
        ({"conflicts": True}, ("conflicts:" + "a" * 40,), Needs()),
        ({"conflicts": False}, (), Needs()),
        ({"remarks": (HINT, SPAM)}, (), Needs(remarks=(HINT,))),
        ({"remarks": (HINT, SPAM)}, ("remark:c1",), Needs()),
    ],
)
def test_what_an_agent_may_mend(changes: dict[str, object], handled: tuple[str, ...], needs: Needs) -> None:
    assert find_needs(PULL.evolve(**changes), TRUST, handled) == needs


def test_an_attempt_is_planned_for_all_at_once() -> None:
    red = PULL.evolve(checks=Checks.RED, jobs=(TEST,), conflicts=True, remarks=(HINT,))
    needs = find_needs(red, TRUST)
    assert needs.kinds == ("checks", "conflicts", "remarks")
    plan = plan_attempt(red, needs, Follow(handled=("remark:c0",), rounds={"checks": 1}), "c" * 40)
    assert plan == Follow(
        handled=("remark:c0", "checks:" + "a" * 40, "conflicts:" + "a" * 40, "remark:c1"),
        rounds={"checks": 2, "conflicts": 1, "remarks": 1},
        pull=1,
        url="pull/1",
        heads=("c" * 40, "a" * 40),
        text="Checks failed:\n- test: failure\n\n"
        "It conflicts with main: merge origin/main into it and resolve the conflicts.\n\n"
        "mia remarks on a.py, line 3:\n\nUse a set",
        jobs=(TEST,),
        remarks=("c1",),
    )


def test_a_long_plan_is_cut_and_says_so() -> None:
    status = PULL.evolve(remarks=(Remark("1", MIA, "x" * 30_000),))
    text = plan_attempt(status, find_needs(status, TRUST), None, "").text
    assert len(text) < 20_100
    assert text.endswith("x\n\n(the rest is left out)")


def test_what_is_not_known_is_left_out_of_the_plan() -> None:
    remarks = (Remark("1", MIA, "x"), Remark("2", MIA, "y", "b.py"))
    status = PULL.evolve(base="", conflicts=True, remarks=remarks)
    text = plan_attempt(status, find_needs(status, TRUST), None, "").text
    assert "conflicts with the base branch: merge" in text
    assert "mia remarks:\n\nx" in text
    assert "mia remarks on b.py:\n\ny" in text


@pytest.mark.parametrize(
    ("approvers", "objectors", "approved"),
    [
        ((), (), False),
        ((MIA,), (), True),
        ((SAM,), (), False),
        ((MIA,), (SAM,), True),
        ((MIA,), (MIA,), False),
    ],
)
def test_who_approves(approvers: tuple[Person, ...], objectors: tuple[Person, ...], approved: bool) -> None:
    assert is_approved(PULL.evolve(approvers=approvers, objectors=objectors), TRUST) is approved


# --- checks ------------------------------------------------------------------------------------------------


def test_red_checks_lead_to_another_attempt_with_their_logs() -> None:
    world = github()
    name = publish(world)
    change_pull(world, name, checks=Checks.RED, jobs=(TEST,))
    look(world)
    run = world.run(name)
    assert run.key == RunKey(name, 2)
    assert run.phase is Phase.RUNNING
    follow = run.claim.follow
    assert follow is not None
    assert follow.jobs == (TEST,)
    assert follow.rounds == {"checks": 1}
    task = world.tasks[name]
    assert task.mark == Mark(Status.ACTIVE, run.key.worker)
    assert task.fields["PR"] == "pull/1", "a person can see what it is about"
    start = next(action for action in reversed(world.done) if isinstance(action, Start))
    assert start.run.claim.follow == follow
    world.work(name, "b" * 40)
    assert world.mark(name) is Status.COMPLETED
    assert len(world.pulls) == 1
    look(world)
    assert world.mark(name) is Status.COMPLETED, "the same head is still red, but was handled"
    change_pull(world, name, head="b" * 40, checks=Checks.PENDING, jobs=())
    look(world)
    change_pull(world, name, checks=Checks.GREEN)
    look(world)
    assert world.mark(name) is Status.COMPLETED
    assert is_idle(world.state)


def test_an_attempt_that_changes_nothing_has_settled_nothing() -> None:
    world = github()
    world.policy = world.policy.evolve(max_attempts=2)
    name = publish(world)
    change_pull(world, name, checks=Checks.RED, jobs=(TEST,))
    look(world)
    world.work(name, "a" * 40)
    assert world.mark(name) is Status.PENDING
    assert "no work" in world.tasks[name].fields["Reason"]
    world.wait(100.0)
    run = world.run(name)
    assert run.key.attempt == 3
    assert run.claim.follow is not None
    assert run.claim.follow.jobs == (TEST,), "it is told the same again"
    assert run.claim.follow.rounds == {"checks": 1}
    world.work(name, "a" * 40)
    assert world.mark(name) is Status.FAILED
    assert world.tasks[name].fields["PR"] == "pull/1"


def test_over_the_rounds_it_is_blocked_with_the_reason() -> None:
    world = github(max_rounds=2)
    name = publish(world)
    for number, head in enumerate(("b" * 40, "c" * 40), 2):
        change_pull(world, name, checks=Checks.RED, jobs=(TEST,))
        look(world)
        assert world.run(name).key.attempt == number
        world.work(name, head)
        change_pull(world, name, head=head)
    look(world)
    assert world.mark(name) is Status.BLOCKED
    task = world.tasks[name]
    assert task.fields["Reason"] == "2 attempts did not settle the failing checks of pull request #1"
    assert "Completed" not in task.fields
    look(world)
    assert len(world.workers) == 3
    world.requests = [RetryRequest(name)]
    world.settle()
    run = world.run(name)
    assert run.key.attempt == 4
    assert run.claim.follow is not None
    assert run.claim.follow.rounds == {"checks": 1}, "a person asked: it counts anew"
    assert run.claim.follow.jobs == (TEST,)


@pytest.mark.parametrize(
    ("rounds", "reason"),
    [(0, "a person has to settle the conflicts"), (1, "1 attempt did not settle the conflicts")],
)
def test_few_rounds(rounds: int, reason: str) -> None:
    world = github(max_rounds=rounds)
    name = publish(world)
    for head in ["b" * 40] * rounds:
        change_pull(world, name, conflicts=True)
        look(world)
        world.work(name, head)
        change_pull(world, name, head=head)
    change_pull(world, name, conflicts=True)
    look(world)
    assert world.tasks[name].fields["Reason"].startswith(reason)


@pytest.mark.parametrize("kept", range(12))
def test_killed_anywhere_a_head_gets_one_attempt(kept: int) -> None:
    world = github(comment=False)
    name = publish(world)
    change_pull(world, name, checks=Checks.RED, jobs=(TEST,))
    world.now = max(world.now, world.wake_at)
    results = world.tick()
    for _ in range(kept):
        results = world.tick(tuple(results))
    world.restart()
    world.settle()
    assert world.run(name).key == RunKey(name, 2)
    world.work(name, "b" * 40)
    world.restart()
    look(world)
    assert world.mark(name) is Status.COMPLETED
    assert sorted(world.workers) == [RunKey(name, 1), RunKey(name, 2)]
    assert all(count == 1 for count in world.starts.values())


def test_a_forge_without_follow_up_only_tells_of_the_merge() -> None:
    world = github(follow=False, retire=False)
    name = publish(world)
    change_pull(world, name, checks=Checks.RED, jobs=(TEST,))
    look(world)
    assert world.mark(name) is Status.COMPLETED
    change_pull(world, name, state="merged", merged_commit="d" * 40)
    look(world)
    assert world.tasks[name].fields["Merged"].endswith("ddddddd")
    assert not world.retired


def test_the_pull_request_closes_its_issue_and_tells_the_cost() -> None:
    world = github()
    open_issue(world, 7)
    world.settle()
    verdict = Verdict(ok=True, cost_usd=1.5)
    world.end("gh-7", evidence=Evidence(head="b" * 40, commits=("work",), verdict=verdict))
    world.settle()
    (pull,) = world.pulls.values()
    assert pull.body.endswith("opened by orch. It cost $1.50.\n\nFixes #7")


# --- what is none of the code's fault ---------------------------------------------------------------------


def test_infrastructure_that_fails_is_asked_once_more_and_no_agent() -> None:
    world = github()
    name = publish(world)
    change_pull(world, name, checks=Checks.RED, jobs=(LOST,))
    look(world)
    assert world.reruns == [("a" * 40, (13,))]
    look(world)
    change_pull(world, name, remarks=(SPAM,))
    look(world)
    assert len(world.reruns) == 1, "the forge does not show yet that it runs again"
    change_pull(world, name, checks=Checks.RED, jobs=(Job(14, "build", "cancelled", 2, "no runner"),))
    look(world)
    assert len(world.reruns) == 1
    assert world.mark(name) is Status.BLOCKED
    assert world.tasks[name].fields["Reason"] == "the checks cannot run: build: no runner"
    assert len(world.workers) == 1


def test_a_rerun_is_tried_again_with_the_next_look() -> None:
    world = github()
    name = publish(world)
    change_pull(world, name, checks=Checks.RED, jobs=(LOST,))
    world.faults = lambda action: Failure("502") if isinstance(action, Rerun) else None
    look(world)
    assert world.state.metrics.github_api_errors == 1
    world.faults = lambda _: None
    look(world)
    assert len(world.reruns) == 1


@pytest.mark.parametrize(
    ("forge", "errors"), [({}, 0), ({"follow": False}, 0), ({"follow": False, "intake": False}, 1)]
)
def test_a_forge_elsewhere_that_answers_is_well(forge: dict[str, object], errors: int) -> None:
    world = github(**forge)
    world.add("t-1")
    world.settle()
    world.faults = lambda action: Failure("502") if isinstance(action, Publish) else None
    world.work("t-1", "a" * 40)
    assert world.state.metrics.github_api_errors == 1
    world.faults = lambda _: None
    world.wait(2.0)
    look(world)
    assert world.state.metrics.github_api_errors == errors
    assert world.state.metrics.forge_errors == 1


@pytest.mark.parametrize("gone", [False, True])
def test_a_rerun_that_is_refused_is_told(gone: bool) -> None:
    world = github()
    name = publish(world)
    change_pull(world, name, checks=Checks.RED, jobs=(LOST,))
    world.faults = lambda action: Failure("no", permanent=True) if isinstance(action, Rerun) else None
    if gone:
        world.now = world.wake_at
        results = world.tick(tuple(world.tick()))
        del world.tasks[name]
        world.tick(tuple(results))
        assert name not in world.tasks
        return
    look(world)
    assert world.mark(name) is Status.BLOCKED
    assert world.tasks[name].fields["Reason"] == "the checks cannot run again: no"


# --- reviews -----------------------------------------------------------------------------------------------


def test_remarks_are_settled_and_answered() -> None:
    world = github()
    name = publish(world)
    change_pull(world, name, remarks=(HINT, SPAM), objectors=(MIA,))
    look(world)
    follow = world.run(name).claim.follow
    assert follow is not None
    assert "Use a set" in follow.text
    assert "coin" not in follow.text
    world.work(name, "b" * 40)
    sent = [action for action in world.done if isinstance(action, Publish)][-1]
    (reply,) = sent.replies
    assert (reply.remark, reply.key) == ("c1", "gh-7/2:c1")
    assert reply.text == f"Settled in bbbbbbb (attempt 2, {RunKey(name, 2).worker})."
    change_pull(world, name, head="b" * 40)
    look(world)
    assert world.mark(name) is Status.COMPLETED, "a remark is handled once, resolved or not"
    change_pull(world, name, remarks=(HINT, Remark("c3", MIA, "And a test")))
    look(world)
    follow = world.run(name).claim.follow
    assert follow is not None
    assert follow.remarks == ("c3",)
    assert follow.rounds == {"remarks": 2}


def test_remarks_survive_a_failed_attempt() -> None:
    world = github()
    name = publish(world)
    change_pull(world, name, remarks=(HINT,))
    look(world)
    world.end(name, Exit(EndReason.EXITED, 1), Evidence(verdict=Verdict(ok=False, reason="crash")))
    world.settle()
    world.restart()
    world.wait(300.0)
    run = world.run(name)
    assert run.claim.follow is not None
    assert run.claim.follow.remarks == ("c1",)
    assert run.claim.before == "crash"
    world.work(name, "b" * 40)
    assert [len(action.replies) for action in world.done if isinstance(action, Publish)][-1] == 1


def test_what_a_person_queues_again_keeps_what_was_handled() -> None:
    world = github()
    name = publish(world)
    change_pull(world, name, remarks=(HINT,))
    look(world)
    world.work(name, "b" * 40)
    change_pull(world, name, head="b" * 40, remarks=())
    look(world)
    world.edit(name, Mark())
    world.settle()
    run = world.run(name)
    assert run.key.attempt == 3
    assert run.claim.follow == Follow(handled=("remark:c1",))
    assert "PR" not in world.tasks[name].fields
    world.work(name, "c" * 40)
    change_pull(world, name, head="c" * 40, remarks=(HINT,))
    look(world)
    assert world.mark(name) is Status.COMPLETED


def test_a_follow_up_waits_for_room_and_goes_first() -> None:
    world = github()
    world.policy = world.policy.evolve(max_concurrent_workers=1)
    name = publish(world)
    world.add("t-1")
    world.add("t-2")
    world.settle()
    change_pull(world, name, conflicts=True)
    look(world)
    assert world.mark("t-1") is Status.ACTIVE
    assert world.mark(name) is Status.COMPLETED
    assert not is_idle(world.state)
    forge = world.state.forge
    assert world.tick() == []
    assert world.state.forge is forge, "it costs nothing while it waits"
    world.work("t-1", "c" * 40)
    assert world.mark(name) is Status.ACTIVE
    assert world.mark("t-2") is Status.PENDING


def test_a_follow_up_is_dropped_when_it_is_not_needed_any_more() -> None:
    world = github()
    name = publish(world)
    world.paused = "no"
    world.state = world.state.evolve(paused="no")
    change_pull(world, name, checks=Checks.RED, jobs=(TEST,))
    look(world)
    assert world.state.forge.todo
    change_pull(world, name, checks=Checks.GREEN, jobs=())
    look(world)
    assert not world.state.forge.todo
    assert world.mark(name) is Status.COMPLETED


def test_a_follow_up_needs_its_agent_and_no_stop() -> None:
    world = github()
    name = publish(world)
    world.agent_problems = {"sh": "gone"}
    change_pull(world, name, conflicts=True)
    look(world)
    assert world.mark(name) is Status.COMPLETED
    world.agent_problems = {}
    world.requests = [StopRequest(name, "no")]
    world.tick()
    assert name not in world.state.live
    world.requests = []
    world.settle()
    assert world.mark(name) is Status.ACTIVE


def test_a_follow_up_waits_for_a_usage_limit() -> None:
    world = github()
    name = publish(world)
    change_pull(world, name, conflicts=True)
    parked = Parking("sh", world.now, world.now + 3600.0, limit="5-hour limit")
    world.state = world.state.evolve(parked={"sh": parked})
    look(world)
    assert world.mark(name) is Status.COMPLETED
    world.wait(4000.0)
    assert world.mark(name) is Status.ACTIVE


def test_a_follow_up_stays_within_the_budget() -> None:
    world = github()
    name = publish(world)
    world.edit(name, budget=1.0)
    world.state = world.state.evolve(spending=world.state.spending.charge(name, Cost(usd=1.5)))
    change_pull(world, name, conflicts=True)
    look(world)
    assert world.mark(name) is Status.BLOCKED
    assert "its budget is spent" in world.tasks[name].fields["Reason"]
    assert world.tasks[name].fields["PR"] == "pull/1"


def test_a_look_that_sees_no_pull_requests_changes_nothing_about_them() -> None:
    world = github()
    name = publish(world)
    change_pull(world, name, checks=Checks.GREEN)
    look(world)
    assert world.state.forge.reviews == {"pull/1": "checks passed"}
    world.blind = True
    change_pull(world, name, checks=Checks.RED, jobs=(TEST,))
    open_issue(world, 8)
    look(world)
    assert world.mark(name) is Status.COMPLETED
    assert world.state.forge.reviews == {"pull/1": "checks passed"}
    assert "gh-8" in world.tasks


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"draft": True, "conflicts": True, "checks": Checks.PENDING}, "draft, conflicts, checks run"),
        ({"checks": Checks.RED, "remarks": (HINT, SPAM)}, "checks failed, 1 remark"),
        ({"remarks": (HINT, HINT), "objectors": (MIA,)}, "2 remarks, changes requested"),
        (
            {"checks": Checks.GREEN, "approvers": (MIA,), "auto_merge": True},
            "checks passed, approved, merges by itself",
        ),
    ],
)
def test_how_it_stands_is_said_in_a_few_words(changes: dict[str, object], words: str) -> None:
    assert sum_up(PULL.evolve(**changes), TRUST) == words


def test_a_task_that_a_person_completed_is_not_touched() -> None:
    world = github(auto_merge="when_green")
    name = publish(world)
    world.edit(name, Mark(Status.COMPLETED))
    change_pull(world, name, remarks=(HINT,), **GREEN)
    look(world)
    assert not world.merging, "a remark is unanswered"
    assert world.tasks[name].mark == Mark(Status.COMPLETED)
    assert len(world.workers) == 1


def test_a_mark_that_a_person_sets_stops_a_follow_up() -> None:
    world = github()
    name = publish(world)
    change_pull(world, name, conflicts=True)
    world.faults = lambda action: Failure("busy") if isinstance(action, WriteTasks) else None
    look(world)
    world.edit(name, Mark(Status.COMPLETED))
    world.faults = lambda _: None
    world.wait(5.0)
    assert world.mark(name) is not Status.ACTIVE
    assert not world.workers[RunKey(name, 2)].alive


def test_a_pull_request_that_cannot_be_seen_is_left_alone() -> None:
    world = github()
    world.add("t-1", Status.COMPLETED, fields={"PR": "pull/99"})
    world.settle()
    assert world.mark("t-1") is Status.COMPLETED


def test_a_lost_run_directory_starts_nothing() -> None:
    world = github()
    name = publish(world)
    world.workers.clear()
    world.state = world.state.evolve(runs={})
    change_pull(world, name, conflicts=True)
    look(world)
    assert world.mark(name) is Status.COMPLETED


def test_a_run_directory_that_is_lost_while_it_waits_starts_nothing() -> None:
    world = github()
    name = publish(world)
    world.state = world.state.evolve(paused="no")
    change_pull(world, name, conflicts=True)
    look(world)
    world.workers.clear()
    world.state = world.state.evolve(paused=None, runs={})
    world.tick()
    assert name not in world.state.live


def test_what_is_seen_while_the_file_is_not_there_is_not_lost() -> None:
    world = github()
    name = publish(world)
    change_pull(world, name, conflicts=True)
    change_issue(world, 7, title="Other")
    world.readable = False
    look(world)
    assert world.mark(name) is Status.COMPLETED
    world.readable = True
    world.wait(1.0)
    assert world.mark(name) is Status.ACTIVE


# --- merging -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "changes", "merges"),
    [
        ("never", {**GREEN, "approvers": (MIA,)}, False),
        ("when_green", GREEN, True),
        ("when_green", {**GREEN, "checks": Checks.PENDING}, False),
        ("when_green", {**GREEN, "checks": Checks.NONE}, False),
        ("when_green", {**GREEN, "conflicts": None}, False),
        ("when_green", {**GREEN, "draft": True}, False),
        ("when_green", {**GREEN, "auto_merge": True}, False),
        ("when_green", {**GREEN, "objectors": (MIA,)}, False),
        ("when_green", {**GREEN, "objectors": (SAM,)}, True),
        ("when_approved", GREEN, False),
        ("when_approved", {**GREEN, "approvers": (SAM,)}, False),
        ("when_approved", {**GREEN, "approvers": (MIA,)}, True),
        ("when_approved", {**GREEN, "checks": Checks.NONE, "approvers": (MIA,)}, True),
    ],
)
def test_when_it_is_handed_over_to_be_merged(when: str, changes: dict[str, object], merges: bool) -> None:
    world = github(auto_merge=when)
    name = publish(world)
    change_pull(world, name, **changes)
    look(world)
    assert world.merging == ([(1, "a" * 40)] if merges else [])
    change_pull(world, name, remarks=(SPAM,))
    look(world)
    assert len(world.merging) <= 1


@pytest.mark.parametrize(("permanent", "tries"), [(False, 2), (True, 1)])
def test_a_merge_that_fails(permanent: bool, tries: int) -> None:
    world = github(auto_merge="when_green")
    name = publish(world)
    change_pull(world, name, **GREEN)
    world.faults = lambda action: (
        Failure("no", permanent=permanent) if isinstance(action, AutoMerge) else None
    )
    look(world)
    look(world)
    assert [type(action) for action in world.done].count(AutoMerge) == tries
    assert world.mark(name) is Status.COMPLETED


def merge(world: World, name: str) -> None:
    """A person merges the pull request of a task."""
    change_pull(world, name, state="merged", merged_commit="d" * 40)
    look(world)


def test_a_merge_frees_dependents_and_clears_up() -> None:
    world = github()
    name = publish(world)
    open_issue(world, 8, body="depends on #7")
    look(world)
    change_issue(world, 7, open=False)
    merge(world, name)
    assert world.tasks[name].fields["Merged"].endswith("ddddddd")
    assert world.retired == ["orch/gh-7-do-7"]
    assert name not in world.trees
    assert world.mark("gh-8") is Status.ACTIVE
    assert not world.ledger.retire
    assert not world.closed
    look(world)
    assert 7 not in world.ledger.issues


def test_an_issue_that_the_merge_did_not_close_is_closed_once() -> None:
    world = github()
    name = publish(world)
    merge(world, name)
    world.add("t-1")
    change_issue(world, 7, title="x")
    world.settle()
    assert not world.closed, "the forge may still be about to do it"
    look(world)
    assert world.closed == [7]
    look(world)
    change_issue(world, 7, open=True)
    look(world)
    look(world)
    assert world.closed == [7], "a person opened it again"


def test_closing_is_tried_again() -> None:
    world = github()
    name = publish(world)
    world.faults = lambda action: Failure("502") if isinstance(action, CloseIssue) else None
    merge(world, name)
    look(world)
    assert not world.closed
    world.faults = lambda _: None
    world.wait(100.0)
    assert world.closed == [7]


@pytest.mark.parametrize("kind", [SaveLedger, WriteTasks])
def test_a_merge_is_written_down_in_the_end(kind: type) -> None:
    world = github()
    name = publish(world)
    world.faults = lambda action: Failure("full") if isinstance(action, kind) else None
    merge(world, name)
    assert "Merged" not in world.tasks[name].fields
    world.faults = lambda _: None
    world.wait(2.0)
    assert "Merged" in world.tasks[name].fields
    assert world.retired


@pytest.mark.parametrize("kept", range(8))
def test_killed_anywhere_the_branch_of_a_merged_task_goes(kept: int) -> None:
    world = github(comment=False)
    name = publish(world)
    change_pull(world, name, state="merged", merged_commit="d" * 40)
    world.now = max(world.now, world.wake_at)
    results = world.tick()
    for _ in range(kept):
        results = world.tick(tuple(results))
    world.restart()
    world.settle()
    assert "Merged" in world.tasks[name].fields
    assert set(world.retired) == {"orch/gh-7-do-7"}
    assert not world.ledger.retire


def test_the_worktree_of_an_interrupted_attempt_goes_before_the_branch() -> None:
    world = github()
    name = publish(world)
    world.trees.add(name)
    world.restart()
    merge(world, name)
    assert name not in world.trees
    assert world.retired


def test_a_branch_goes_after_its_worktree() -> None:
    world = github()
    world.faults = lambda action: Failure("busy") if isinstance(action, Remove) else None
    name = publish(world)
    merge(world, name)
    assert not world.retired
    world.faults = lambda _: None
    world.wait(100.0)
    assert world.retired


@pytest.mark.parametrize("permanent", [False, True])
def test_a_branch_that_cannot_be_deleted(permanent: bool) -> None:
    world = github()
    name = publish(world)
    world.faults = lambda action: Failure("403", permanent=permanent) if isinstance(action, Retire) else None
    merge(world, name)
    look(world)
    assert [type(action) for action in world.done].count(Retire) == 1
    assert bool(world.ledger.retire) is not permanent
    world.faults = lambda _: None
    world.restart()
    world.settle()
    assert bool(world.retired) is not permanent
    assert not world.ledger.retire


def test_a_branch_that_stays_is_told() -> None:
    world = github()
    name = publish(world)
    world.stays = "orch/gh-7-do-7 has more"
    merge(world, name)
    assert not world.ledger.retire
    assert ("kept", "orch/gh-7-do-7 has more") in {
        (event.kind, event.message) for event in world.state.metrics.history
    }


def test_closed_without_a_merge_is_blocked_with_the_reason() -> None:
    world = github()
    name = publish(world)
    change_pull(world, name, state="closed")
    look(world)
    assert world.mark(name) is Status.BLOCKED
    assert world.tasks[name].fields["Reason"] == "pull request #1 was closed without being merged"
    look(world)
    merge(world, name)
    assert world.mark(name) is Status.COMPLETED, "a person thought better of it"
    assert "Reason" not in world.tasks[name].fields
    assert "Blocked" not in world.tasks[name].fields


@pytest.mark.parametrize(("state", "mark"), [("merged", Status.COMPLETED), ("closed", Status.BLOCKED)])
def test_a_follow_up_ends_with_the_pull_request(state: str, mark: Status) -> None:
    world = github()
    name = publish(world)
    change_pull(world, name, conflicts=True)
    look(world)
    assert world.mark(name) is Status.ACTIVE
    change_pull(world, name, state=state)
    look(world)
    assert world.mark(name) is mark
    assert not any(worker.alive for worker in world.workers.values())


@pytest.mark.parametrize(("state", "mark"), [("merged", Status.COMPLETED), ("closed", Status.BLOCKED)])
def test_a_follow_up_that_waits_for_its_next_attempt_ends_too(state: str, mark: Status) -> None:
    world = github()
    world.policy = world.policy.evolve(retry_initial=3600.0, retry_max=3600.0)
    name = publish(world)
    change_pull(world, name, conflicts=True)
    look(world)
    world.end(name, Exit(EndReason.EXITED, 1), Evidence(verdict=Verdict(ok=False, reason="crash")))
    world.settle()
    assert world.mark(name) is Status.PENDING
    look(world)
    change_pull(world, name, state=state)
    look(world)
    assert world.mark(name) is mark
    world.wait(7200.0)
    assert len(world.workers) == 2


def test_what_a_person_queued_again_is_not_taken_back() -> None:
    world = github()
    name = publish(world)
    world.policy = world.policy.evolve(max_concurrent_workers=0)
    world.edit(name, Mark())
    change_pull(world, name, state="closed")
    look(world)
    assert world.mark(name) is Status.PENDING
    assert status(world, name).state == "closed"
