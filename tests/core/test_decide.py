"""Stories of tasks, told to `decide` alone."""

from dataclasses import replace

import pytest

from orch.core.actions import (
    Action,
    Archive,
    Ask,
    Dismiss,
    End,
    Ensure,
    Failure,
    Finish,
    Inspect,
    MakeRun,
    Poll,
    Prune,
    Publish,
    Remove,
    Result,
    SavePause,
    SetMark,
    Start,
    Sweep,
    Tend,
    Verify,
    Warm,
    WriteTasks,
)
from orch.core.decide import decide, is_drained, is_idle
from orch.core.draft import Draft
from orch.core.metrics import Metrics
from orch.core.model import (
    Drain,
    EndReason,
    Evidence,
    Exit,
    Mark,
    OutcomeKind,
    PauseRequest,
    Phase,
    Policy,
    Process,
    PullRequest,
    Request,
    Resources,
    RetryRequest,
    RunKey,
    Stall,
    Status,
    StopRequest,
    Task,
    Verdict,
)
from orch.core.state import Seen, State
from orch.core.tasks_md import apply, parse
from tests.core.world import TODAY, Worker, World


def kinds(actions: list[Action]) -> list[type]:
    return [type(action) for action in actions]


def running(*names: str, **policy: object) -> World:
    """A world in which these tasks are being worked on."""
    world = World()
    world.policy = world.policy.evolve(**policy)
    for name in names:
        world.add(name)
    world.settle()
    world.wait()
    for name in names:
        assert world.run(name).phase is Phase.RUNNING
    return world


def events(world: World) -> list[str]:
    return [event.kind for event in world.state.metrics.history]


# --- the main path --------------------------------------------------------------------------------


def test_a_task_travels_to_its_pull_request() -> None:
    world = World()
    world.add("t-1", notes="be careful")
    first = kinds(world.settle())
    assert first.index(MakeRun) < first.index(Ensure) < first.index(Start)
    assert world.mark("t-1") is Status.ACTIVE
    world.wait()
    assert world.tasks["t-1"].fields["PID"] == "4711"
    world.end("t-1")
    assert [kind for kind in kinds(world.settle()) if kind is not WriteTasks] == [
        Inspect,
        Publish,
        Finish,
        Remove,
        Poll,
    ]
    done = world.tasks["t-1"]
    assert done.mark == Mark(Status.COMPLETED, RunKey("t-1", 1).worker, "abcdef1")
    assert done.fields["PR"] == "pull/1"
    assert "PID" not in done.fields
    assert "be careful" in world.pulls["orch/t-1-do-t-1"].body
    assert "- work" in world.pulls["orch/t-1-do-t-1"].body
    assert world.trees == set()
    metrics = world.state.metrics
    assert (metrics.workers_launched, metrics.workers_completed, metrics.prs_created, metrics.attempts) == (
        1,
        1,
        1,
        1,
    )
    assert is_idle(world.state)


def test_the_limit_and_the_order_hold() -> None:
    world = World()
    world.policy = world.policy.evolve(max_concurrent_workers=2)
    for number in range(5):
        world.add(f"t-{number}", priority=5 - number)
    world.settle()
    assert world.state.live == {"t-4", "t-3"}
    world.wait()
    world.end("t-4")
    world.settle()
    assert world.state.live == {"t-3", "t-2"}


def test_a_dependent_starts_when_its_parent_is_completed() -> None:
    world = World()
    world.add("t-1")
    world.add("t-2", after=("t-1",))
    world.settle()
    assert world.state.live == {"t-1"}
    assert world.state.plan.waiting == {"t-2": "waits for t-1"}
    world.wait()
    world.end("t-1")
    world.settle()
    assert world.state.live == {"t-2"}


def test_lines_without_an_id_are_named_once_the_line_is_finished() -> None:
    world = World()
    world.policy = world.policy.evolve(max_concurrent_workers=0)
    world.add("t-7")
    world.unnamed = [Task("", "one", text="[] one"), Task("", "two", text="[] two", terminated=False)]
    world.age = 0.25
    world.settle()
    assert set(world.tasks) == {"t-7", "t-8"}
    assert world.wake_at == world.now + 0.75
    assert not is_idle(world.state)
    world.age = 2.0
    world.wait()
    assert set(world.tasks) == {"t-7", "t-8", "t-9"}


def test_several_lines_get_ids_in_one_write() -> None:
    world = World()
    world.unnamed = [Task("", name, text=f"[] {name}") for name in ("one", "two", "three")]
    world.settle()
    assert [task.title for task in world.tasks.values()] == ["one", "two", "three"]
    assert list(world.tasks) == ["t-1", "t-2", "t-3"]


def test_an_unterminated_last_line_starts_only_when_it_is_settled() -> None:
    world = World()
    world.add("t-1", terminated=False)
    world.age = 0.5
    world.settle()
    assert not world.state.live
    world.age = 1.5
    world.wait()
    assert world.state.live == {"t-1"}


# --- evidence -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exit", "evidence", "status", "reason"),
    [
        (
            Exit(EndReason.EXITED, 0),
            Evidence(),
            Status.FAILED,
            "no work: the agent ended well but committed nothing",
        ),
        (
            Exit(EndReason.EXITED, 0),
            Evidence(uncommitted=1, saved="refs/orch/saved/t-1/1"),
            Status.FAILED,
            "no work: the agent committed nothing (1 file left uncommitted, saved in refs/orch/saved/t-1/1)",
        ),
        (
            Exit(EndReason.EXITED, 0),
            Evidence(uncommitted=2, saved="r"),
            Status.FAILED,
            "no work: the agent committed nothing (2 files left uncommitted, saved in r)",
        ),
        (
            Exit(EndReason.EXITED, 0),
            Evidence(verdict=Verdict(ok=True, reason="it was not allowed to use: Bash")),
            Status.FAILED,
            "no work: the agent ended well but committed nothing; it was not allowed to use: Bash",
        ),
        (
            Exit(EndReason.EXITED, 3),
            Evidence(commits=("c",), verdict=Verdict(ok=False, reason="exit code 3")),
            Status.FAILED,
            "exit code 3",
        ),
        (Exit(EndReason.TIMEOUT, message="too long"), Evidence(commits=("c",)), Status.FAILED, "too long"),
        (Exit(EndReason.MEMORY), Evidence(), Status.FAILED, "ended: memory"),
        (
            Exit(EndReason.EXITED, 0),
            Evidence(commits=("c",), verdict=Verdict(ok=False, reason="refused")),
            Status.FAILED,
            "refused",
        ),
        (Exit(EndReason.EXITED, 1), Evidence(blocked=" which\ncolour? "), Status.BLOCKED, "which colour?"),
        (Exit(EndReason.EXITED, 0), Evidence(blocked=""), Status.BLOCKED, "BLOCKED.md is empty"),
        (Exit(EndReason.EXITED, 0), Evidence(blocked="x" * 900), Status.BLOCKED, "x" * 199 + "…"),
        (Exit(EndReason.EXITED, 0), Evidence(head="f" * 40, commits=("c",)), Status.COMPLETED, None),
    ],
)
def test_what_the_evidence_means(exit: Exit, evidence: Evidence, status: Status, reason: str | None) -> None:
    world = running("t-1", max_attempts=1)
    world.end("t-1", exit, evidence)
    world.settle()
    assert world.mark("t-1") is status
    assert world.tasks["t-1"].fields.get("Reason") == reason
    assert (world.state.metrics.prs_created == 1) is (status is Status.COMPLETED)


def test_a_pull_request_that_someone_opened_completes_the_task_and_is_not_doubled() -> None:
    world = running("t-1")
    branch = world.run("t-1").claim.branch
    world.pulls[branch] = PullRequest(9, "pull/9", branch)
    world.end("t-1", Exit(EndReason.EXITED, 1), Evidence(head="a" * 40, commits=("c",)))
    world.settle()
    assert world.mark("t-1") is Status.COMPLETED
    assert world.tasks["t-1"].fields["PR"] == "pull/9"
    assert len(world.pulls) == 1
    assert world.state.metrics.prs_created == 0


def test_the_old_pull_request_of_a_task_that_is_done_again_is_no_evidence() -> None:
    world = running("t-1", max_attempts=1)
    world.end("t-1")
    world.settle()
    assert world.mark("t-1") is Status.COMPLETED
    world.edit("t-1", Mark())
    world.settle()
    world.wait()
    world.end("t-1", Exit(EndReason.EXITED, 1), Evidence(head="abcdef1234567890", commits=("work",)))
    world.settle()
    assert world.mark("t-1") is Status.FAILED
    world.edit("t-1", Mark())
    world.settle()
    world.wait()
    world.end("t-1", evidence=Evidence(head="fedcba0987654321", commits=("work", "more")))
    world.settle()
    assert world.mark("t-1") is Status.COMPLETED
    assert len(world.pulls) == 1


def test_doing_nothing_on_a_branch_that_was_completed_before_is_no_work() -> None:
    world = running("t-1", max_attempts=1)
    world.end("t-1")
    world.settle()
    world.edit("t-1", Mark())
    world.settle()
    world.wait()
    world.end("t-1")
    world.settle()
    assert world.mark("t-1") is Status.FAILED
    assert world.tasks["t-1"].fields["Reason"].startswith("no work")


def test_verify_decides_and_its_tail_reaches_the_next_attempt() -> None:
    world = running("t-1", verify=True, max_attempts=2)
    world.check = (False, "collected 3\nFAILED test_a")
    world.end("t-1")
    assert Verify in kinds(world.settle())
    assert world.mark("t-1") is Status.PENDING
    assert world.tasks["t-1"].fields["Reason"] == "verify failed: FAILED test_a"
    assert "Retry at" in world.tasks["t-1"].fields
    world.wait()
    world.wait()
    run = world.run("t-1")
    assert run.key.attempt == 2
    assert "collected 3" in run.claim.before
    world.check = (True, "")
    world.end("t-1")
    world.settle()
    assert world.mark("t-1") is Status.COMPLETED


def test_verify_that_says_nothing_fails_too() -> None:
    world = running("t-1", verify=True, max_attempts=1)
    world.check = (False, "")
    world.end("t-1")
    world.settle()
    assert world.tasks["t-1"].fields["Reason"] == "verify failed: no output"


# --- retries --------------------------------------------------------------------------------------


def test_failures_come_back_later_and_later_and_then_end() -> None:
    world = running("t-1", max_attempts=3)
    failed = Exit(EndReason.EXITED, 1)
    waits = []
    for attempt in (1, 2, 3):
        assert world.run("t-1").key.attempt == attempt
        world.end("t-1", failed, Evidence(verdict=Verdict(ok=False, reason="no")))
        world.settle()
        outcome = world.run("t-1").outcome
        assert outcome is not None
        assert outcome.spent == attempt
        if outcome.retry_at is not None:
            assert world.mark("t-1") is Status.PENDING
            waits.append(outcome.retry_at - world.now)
            world.now = outcome.retry_at - 0.01
            world.settle()
            assert not world.state.live, "too early"
            world.wait()
            world.wait()
    assert world.mark("t-1") is Status.FAILED
    assert 3.75 < waits[0] <= 5
    assert 7.5 < waits[1] <= 10
    assert world.state.metrics.workers_failed == 3
    assert world.state.metrics.recent == (False,)


def test_a_failure_that_is_not_charged_comes_back_for_ever() -> None:
    world = running("t-1", max_attempts=1)
    for _ in range(3):
        verdict = Verdict(ok=False, reason="no binary", charged=False)
        world.end("t-1", Exit(EndReason.SPAWN), Evidence(verdict=verdict))
        world.settle()
        assert world.mark("t-1") is Status.PENDING
        assert world.run("t-1").claim.spent == 0
        world.wait(world.policy.retry_max)
        world.wait()
        assert world.run("t-1").phase is Phase.RUNNING


def test_a_usage_limit_parks_the_task_until_it_ends() -> None:
    world = running("t-1", max_attempts=1)
    verdict = Verdict(ok=False, reason="5 hour limit", retry_at=world.now + 100)
    world.end("t-1", Exit(EndReason.EXITED, 1), Evidence(verdict=verdict))
    world.tick(tuple(world.tick(tuple(world.tick()))))
    outcome = world.workers[RunKey("t-1", 1)].outcome
    assert outcome is not None
    assert outcome.kind is OutcomeKind.LIMITED
    assert outcome.retry_at == world.now + 100
    assert outcome.spent == 0


def test_a_worker_that_was_ended_from_outside_costs_no_attempt() -> None:
    world = running("t-1", max_attempts=1)
    world.end("t-1", Exit(EndReason.STOPPED, signal=15))
    world.settle()
    assert world.tasks["t-1"].fields["Reason"] == "ended from outside"
    assert world.mark("t-1") is Status.PENDING
    world.wait(world.policy.retry_max)
    world.wait()
    assert world.run("t-1").key.attempt == 2
    assert world.run("t-1").claim.spent == 0


def test_a_restart_of_the_machine_costs_no_attempt() -> None:
    world = running("t-1", max_attempts=1)
    world.end("t-1", Exit(EndReason.INTERRUPTED), Evidence(verdict=Verdict(ok=False, charged=False)))
    world.settle()
    world.wait()
    assert world.run("t-1").key.attempt == 2
    assert world.run("t-1").claim.spent == 0
    assert world.run("t-1").phase is Phase.RUNNING


# --- what goes wrong on the way -------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", [MakeRun, Ensure, Start, Inspect, Verify, Publish, Finish, WriteTasks, Remove]
)
def test_any_step_may_fail_once_and_the_task_still_gets_there(kind: type) -> None:
    world = World()
    world.policy = world.policy.evolve(verify=True)
    world.add("t-1")
    failed: list[Action] = []

    def fault(action: Action) -> Failure | None:
        if isinstance(action, kind) and not failed:
            failed.append(action)
            return Failure("the disk is full")
        return None

    world.faults = fault
    world.settle()
    for _ in range(10):
        if "t-1" in world.state.runs and world.run("t-1").phase is Phase.RUNNING:
            break
        world.wait()
    world.end("t-1")
    for _ in range(10):
        world.wait()
    assert failed
    assert world.mark("t-1") is Status.COMPLETED
    assert len(world.workers) == 1
    assert world.trees == set()
    assert not world.state.notices


def test_a_worktree_that_cannot_be_had_gives_its_place_to_another_task_uncharged() -> None:
    world = World()
    world.policy = world.policy.evolve(max_concurrent_workers=1, max_attempts=1)
    world.add("t-1")
    world.add("t-2")
    world.faults = lambda action: (
        Failure("no network") if isinstance(action, Ensure) and action.run.task == "t-1" else None
    )
    world.settle()
    for _ in range(3):
        world.wait()
    assert world.mark("t-1") is Status.PENDING
    assert world.tasks["t-1"].fields["Reason"] == "no network"
    assert world.state.live == {"t-2"}
    assert world.state.metrics.worktree_errors == 3


def test_a_permanent_failure_ends_the_attempt_and_asks_for_a_person() -> None:
    world = World()
    world.add("t-1")
    world.faults = lambda action: (
        Failure("checked out elsewhere", permanent=True) if isinstance(action, Ensure) else None
    )
    world.settle()
    assert world.mark("t-1") is Status.FAILED
    assert world.tasks["t-1"].fields["Reason"] == "checked out elsewhere"


def test_an_unwritable_run_directory_is_tried_for_ever_even_if_it_is_permanent() -> None:
    world = World()
    world.add("t-1")
    world.faults = lambda action: (
        Failure("read-only", permanent=True) if isinstance(action, MakeRun) else None
    )
    world.settle()
    for _ in range(20):
        world.wait()
    assert world.run("t-1").phase is Phase.CLAIMING
    world.faults = lambda _: None
    world.wait(100)
    assert world.run("t-1").phase is Phase.RUNNING


def test_the_forge_may_be_away_for_long() -> None:
    world = running("t-1")
    world.faults = lambda action: Failure("502", retry_after=5.0) if isinstance(action, Publish) else None
    world.end("t-1")
    world.settle()
    assert world.wake_at == world.now + 5.0
    for _ in range(5):
        world.wait()
    assert world.run("t-1").phase is Phase.PUBLISHING
    assert world.state.metrics.github_api_errors == 6
    world.faults = lambda _: None
    world.wait()
    assert world.mark("t-1") is Status.COMPLETED
    assert len(world.pulls) == 1


def test_a_launcher_is_believed_lost_on_the_second_look_and_swept() -> None:
    world = running("t-1")
    worker = world.workers[RunKey("t-1", 1)]
    worker.alive = False
    assert world.settle() == []
    assert world.run("t-1").phase is Phase.RUNNING
    world.evidence["t-1"] = Evidence(verdict=Verdict(ok=False, reason="launcher lost"))
    actions = kinds(world.wait())
    assert actions[:2] == [Sweep, Inspect]
    assert world.tasks["t-1"].fields["Reason"] == "launcher lost"


def test_a_launcher_that_is_seen_again_is_not_lost() -> None:
    world = running("t-1")
    worker = world.workers[RunKey("t-1", 1)]
    worker.alive = False
    world.settle()
    assert world.run("t-1").missing_since == world.now
    worker.alive = True
    world.wait()
    assert world.run("t-1").missing_since is None
    assert world.run("t-1").phase is Phase.RUNNING


def test_a_stalled_worker_is_told_once_and_forgotten_when_it_goes_on() -> None:
    world = running("t-1")
    worker = world.workers[RunKey("t-1", 1)]
    worker.stall = Stall(since=world.now - 720, ends_at=world.now + 1080)
    world.wait()
    world.wait()
    assert world.run("t-1").stall == worker.stall
    told = [event.message for event in world.state.metrics.history if event.kind == "stalled"]
    assert told == ["no output and no CPU for 12 min, is ended at 30 min"]
    worker.stall = None
    world.wait()
    assert world.run("t-1").stall is None
    worker.stall = Stall(since=world.now - 4, ends_at=world.now + 4)
    world.wait()
    assert world.state.metrics.history[-1].message.endswith("is ended at 8 s")
    assert events(world).count("stalled") == 2


def test_a_run_json_that_somebody_took_away_is_started_again_behind_the_fence() -> None:
    world = running("t-1")
    worker = world.workers[RunKey("t-1", 1)]
    worker.process, worker.alive = None, False
    world.wait()
    world.wait()
    assert world.starts == {RunKey("t-1", 1): 2}
    assert world.run("t-1").phase is Phase.RUNNING


def test_a_run_that_cannot_be_probed_is_left_alone() -> None:
    world = running("t-1")
    del world.workers[RunKey("t-1", 1)]
    assert world.wait(1000) == []
    assert world.run("t-1").phase is Phase.RUNNING


def test_a_file_that_cannot_be_written_is_not_written_in_a_circle() -> None:
    world = World()
    world.add("t-1")
    world.faults = lambda action: Failure("disk full") if isinstance(action, WriteTasks) else None
    world.settle()
    assert world.state.notices["tasks.md"] == "disk full"
    assert world.mark("t-1") is Status.PENDING
    assert world.run("t-1").phase is Phase.READY
    world.add("t-2")
    world.settle()
    assert "t-2" not in world.state.runs, "nothing is launched while the queue cannot be written"
    world.faults = lambda _: None
    world.wait()
    assert "tasks.md" not in world.state.notices
    assert world.run("t-1").phase is Phase.RUNNING


def test_a_write_that_changes_nothing_is_not_repeated_at_once() -> None:
    world = World()
    world.add("t-1", Status.ACTIVE)
    was = world.document()
    results = [result for result in world.tick() if isinstance(result.action, WriteTasks)]
    world.tick((type(results[0])(results[0].action, was),))
    assert world.state.retry_writes_at > world.now


def test_results_of_another_time_are_ignored() -> None:
    world = running("t-1")
    before = world.state
    key = RunKey("t-1", 1)
    ensure = world.perform(Ensure(key, "b"))
    foreign = world.perform(Ensure(RunKey("t-9", 1), "b"))
    assert world.tick((ensure, foreign)) == []
    assert world.state.runs == before.runs


# --- what is over -----------------------------------------------------------------------------------


def test_what_is_done_is_not_kept_and_looked_up_when_it_is_needed() -> None:
    world = running("t-1")
    world.end("t-1")
    world.settle()
    assert world.state.runs == {}
    world.edit("t-1", Mark())
    world.settle()
    assert world.run("t-1").key == RunKey("t-1", 2)
    assert world.run("t-1").claim.head == "abcdef1234567890"


def test_what_waits_for_its_next_attempt_is_kept() -> None:
    world = running("t-1")
    world.end("t-1", Exit(EndReason.EXITED, 1, ended_at=world.now))
    world.settle()
    assert world.state.runs.keys() == {"t-1"}
    world.edit("t-1", Mark(Status.SKIPPED))
    world.settle()
    assert world.state.runs == {}
    world.edit("t-1", Mark())
    assert MakeRun not in kinds(world.settle()), "its time has not come, as before"
    assert world.state.runs.keys() == {"t-1"}


def test_an_old_version_of_the_file_that_is_saved_again_does_not_start_what_is_done() -> None:
    world = running("t-1")
    old = world.tasks["t-1"]
    world.end("t-1")
    world.settle()
    done = world.tasks["t-1"]
    world.tasks["t-1"] = old
    world.settle()
    assert world.tasks["t-1"].mark == done.mark
    assert len(world.workers) == 1


def test_nothing_is_claimed_or_taken_back_while_the_run_directories_cannot_be_read() -> None:
    document = parse(f"[] t-1: a\n\n[🟡 {RunKey('t-2', 1).worker}] t-2: b\n")
    state = decide(State(pruned=TODAY), Seen(now=0.0, document=document), Policy(agents=("claude",))).state
    assert state.recall == {"t-1", "t-2"}
    seen = Seen(now=1.0, document=document, unseen={"the run directories": "full"})
    decision = decide(state, seen, Policy(agents=("claude",)))
    assert decision.actions == ()
    assert decision.state.recall == {"t-1", "t-2"}
    assert decision.wake_at == 2.0


def test_what_is_missing_is_looked_up_with_what_is_known_only_for_now() -> None:
    """Else one would be let go of while the other is looked up, without end."""
    marks = [f"[🟡 {RunKey(name, 1).worker}] {name}: a\n\n" for name in ("t-1", "t-2")]
    document, policy = parse("".join(marks)), Policy(agents=("claude",))
    seen = Seen(now=0.0, document=document, recalled={"t-1": None})
    state = decide(State(pruned=TODAY, recall=frozenset({"t-1"})), seen, policy).state
    assert state.recall == {"t-1", "t-2"}
    seen = Seen(now=0.0, document=document, recalled={"t-1": None, "t-2": None})
    assert decide(state, seen, policy).state.recall == frozenset()


def test_the_id_of_a_deleted_task_that_ran_is_not_given_again() -> None:
    world = running("t-7")
    world.end("t-7")
    world.settle()
    del world.tasks["t-7"]
    world.wait(5)
    world.unnamed.append(Task("", "New", text="[] New"))
    world.settle()
    assert world.tasks.keys() == {"t-8"}


# --- restarts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ticks", range(14))
def test_killed_at_any_tick_each_attempt_starts_once(ticks: int) -> None:
    world = World()
    world.policy = world.policy.evolve(verify=True)
    world.add("t-1")
    results = world.tick()
    for count in range(40):
        if count == ticks:
            world.restart()
            results = []
        for key, worker in world.workers.items():
            if worker.alive and count > 6:
                world.end(key.task)
        world.now = world.now + 0.1 if results else max(world.now, world.wake_at)
        results = world.tick(tuple(results))
    assert world.mark("t-1") is Status.COMPLETED
    assert [key.attempt for key in world.workers] == [1]
    assert len(world.pulls) == 1


def test_a_live_worker_is_adopted() -> None:
    world = running("t-1")
    world.restart()
    assert Start not in kinds(world.settle())
    assert world.run("t-1").phase is Phase.RUNNING
    world.end("t-1")
    world.settle()
    assert world.mark("t-1") is Status.COMPLETED


def test_an_outcome_without_its_mark_is_written_into_the_file() -> None:
    world = running("t-1")
    world.end("t-1")
    world.faults = lambda action: Failure("no") if isinstance(action, WriteTasks) else None
    world.settle()
    assert world.mark("t-1") is Status.ACTIVE
    world.restart()
    world.faults = lambda _: None
    world.wait(5)
    assert world.mark("t-1") is Status.COMPLETED
    assert len(world.workers) == 1


def test_active_marks_of_nobody_go_back_to_pending() -> None:
    world = World()
    world.policy = world.policy.evolve(max_concurrent_workers=0)
    world.add("t-1", Status.ACTIVE, mark=Mark(Status.ACTIVE, "w-ffffff"), fields={"PID": "1", "Started": "x"})
    world.settle()
    assert world.mark("t-1") is Status.PENDING
    assert world.tasks["t-1"].fields == {}


# --- a person's edits ----------------------------------------------------------------------------


def test_a_deleted_line_stops_its_worker_after_two_seconds() -> None:
    world = running("t-1")
    del world.tasks["t-1"]
    world.age = 0.5
    assert world.settle() == []
    assert world.wake_at == world.now + 1.5
    world.age = 2.0
    actions = kinds(world.wait())
    assert actions[:2] == [End, Inspect]
    assert world.run("t-1").outcome is not None
    assert world.tasks == {}


def test_a_file_that_is_away_or_empty_stops_nobody() -> None:
    world = running("t-1")
    world.readable = False
    assert world.wait(100) == []
    world.readable = True
    tasks = dict(world.tasks)
    world.tasks.clear()
    world.document()
    empty = world.document()
    assert empty is not None
    object.__setattr__(empty, "chunks", parse(" \n").chunks)
    assert world.settle() == []
    world.tasks.update(tasks)
    world.settle()
    assert world.run("t-1").phase is Phase.RUNNING


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.BLOCKED, Status.SKIPPED])
def test_a_mark_made_by_hand_stops_the_worker_and_stays(status: Status) -> None:
    world = running("t-1")
    world.edit("t-1", Mark(status))
    world.settle()
    assert world.workers[RunKey("t-1", 1)].ended
    assert world.tasks["t-1"].mark == Mark(status)
    assert not world.state.live


def test_an_active_task_that_is_marked_pending_starts_anew() -> None:
    world = running("t-1")
    world.edit("t-1", Mark())
    world.settle()
    assert world.workers[RunKey("t-1", 1)].ended
    assert world.run("t-1").key.attempt == 2
    assert world.run("t-1").claim.spent == 0


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_line_from_before_the_attempt_ends_no_worker(attempt: int) -> None:
    """Somebody had the file open for long, and saved it."""
    world = running("t-1")
    if attempt == 2:
        world.end("t-1", Exit(EndReason.EXITED, 1), Evidence(verdict=Verdict(ok=False, reason="no")))
        world.settle()
    before = world.tasks["t-1"] if attempt == 2 else Task("t-1", "do t-1")
    world.wait()
    world.wait()
    world.tasks["t-1"] = before
    world.settle()
    run = world.run("t-1")
    assert (run.key.attempt, run.phase) == (attempt, Phase.RUNNING)
    assert world.tasks["t-1"].mark == Mark(Status.ACTIVE, run.key.worker)
    assert world.tasks["t-1"].attempt == attempt
    assert not world.workers[run.key].ended


def test_a_garbled_worker_id_is_mended() -> None:
    world = running("t-1")
    world.edit("t-1", Mark(Status.ACTIVE, "w-000000"))
    world.settle()
    assert world.tasks["t-1"].mark.worker == RunKey("t-1", 1).worker
    assert world.run("t-1").phase is Phase.RUNNING


def test_a_failed_task_that_is_queued_again_by_hand_has_fresh_attempts() -> None:
    world = running("t-1", max_attempts=1)
    world.end("t-1", evidence=Evidence())
    world.settle()
    assert world.mark("t-1") is Status.FAILED
    branch = world.run("t-1").claim.branch
    world.edit("t-1", Mark(), title="something else")
    world.settle()
    assert world.run("t-1").key.attempt == 2
    assert world.run("t-1").claim.spent == 0
    assert world.run("t-1").claim.branch == branch
    assert "no work" in world.run("t-1").claim.before
    assert "Reason" not in world.tasks["t-1"].fields


def test_a_new_priority_counts_at_once() -> None:
    world = World()
    world.policy = world.policy.evolve(max_concurrent_workers=1)
    world.add("t-1")
    world.add("t-2")
    world.add("t-3")
    world.settle()
    world.wait()
    world.edit("t-3", priority=0)
    world.end("t-1")
    world.settle()
    assert world.state.live == {"t-3"}


def test_a_claim_whose_task_is_taken_away_starts_nothing() -> None:
    world = World()
    world.add("t-1")
    world.tick()
    world.edit("t-1", Mark(Status.SKIPPED))
    world.restart()
    world.settle()
    assert Start not in kinds(world.done)
    assert world.mark("t-1") is Status.SKIPPED
    assert world.workers[RunKey("t-1", 1)].outcome is not None


# --- stop, retry, pause ---------------------------------------------------------------------------


def test_stop_asks_first_and_kills_later() -> None:
    world = running("t-1")
    world.requests = [StopRequest("t-1", "not now")]
    assert kinds(world.settle()) == [Ask]
    assert world.workers[RunKey("t-1", 1)].stop_file == "not now"
    assert world.wake_at == world.now + min(world.policy.stop_seconds, world.policy.poll_interval)
    world.wait(world.policy.stop_seconds)
    assert world.workers[RunKey("t-1", 1)].ended
    assert world.mark("t-1") is Status.BLOCKED
    fields = world.tasks["t-1"].fields
    assert fields["Reason"] == "not now"
    assert fields["Branch"] == "orch/t-1-do-t-1"
    assert world.requests == []
    assert world.state.metrics.workers_blocked == 1


def test_stop_now_skips_the_asking_even_later() -> None:
    world = running("t-1")
    world.requests = [StopRequest("t-1", "later")]
    world.settle()
    world.requests = [StopRequest("t-1", "now", now=True)]
    assert End in kinds(world.settle())
    assert world.tasks["t-1"].fields["Reason"] == "later"


def test_an_agent_that_obeys_stop_is_blocked_even_with_commits() -> None:
    world = running("t-1")
    world.requests = [StopRequest("t-1", "enough")]
    world.settle()
    world.end("t-1")
    world.settle()
    assert world.mark("t-1") is Status.BLOCKED
    assert world.pulls == {}
    assert world.requests == []


def test_a_stop_while_verify_runs_still_counts() -> None:
    world = running("t-1", verify=True)
    world.end("t-1")
    world.faults = lambda action: Failure("later") if isinstance(action, Verify) else None
    world.settle()
    assert world.run("t-1").phase is Phase.VERIFYING
    world.requests = [StopRequest("t-1", "enough")]
    world.settle()
    world.faults = lambda _: None
    world.wait()
    assert world.mark("t-1") is Status.BLOCKED


def test_a_stop_that_comes_too_late_is_dismissed() -> None:
    world = running("t-1")
    world.end("t-1")
    results = world.tick(tuple(world.tick()))
    assert world.run("t-1").phase is Phase.PUBLISHING
    world.requests = [StopRequest("t-1", "enough")]
    while results:
        results = world.tick(tuple(results))
    assert world.mark("t-1") is Status.COMPLETED
    assert world.requests == []


@pytest.mark.parametrize("kind", [Inspect, Publish])
def test_a_stop_need_not_wait_for_what_does_not_work_out(kind: type) -> None:
    world = running("t-1")
    world.end("t-1")
    world.faults = lambda action: Failure("unreachable") if isinstance(action, kind) else None
    world.settle()
    world.requests = [StopRequest("t-1", "enough")]
    world.settle()
    assert world.mark("t-1") is Status.BLOCKED
    assert world.requests == []
    assert is_idle(world.state)


def test_a_stop_whose_inspection_can_never_work_is_still_a_stop() -> None:
    world = running("t-1")
    world.requests = [StopRequest("t-1", "enough", now=True)]
    world.faults = lambda action: Failure("no base", permanent=True) if isinstance(action, Inspect) else None
    world.settle()
    assert world.mark("t-1") is Status.BLOCKED
    assert world.tasks["t-1"].fields["Reason"] == "enough"


def test_a_drain_leaves_what_does_not_work_out_to_the_next_start() -> None:
    world = running("t-1", drain=Drain.STOP)
    world.end("t-1")
    world.faults = lambda action: Failure("unreachable") if isinstance(action, Publish) else None
    world.settle()
    world.settle(terminations=1)
    assert is_drained(world.state, world.policy)
    world.restart()
    world.faults = lambda _: None
    world.settle()
    assert world.mark("t-1") is Status.COMPLETED
    assert [key.attempt for key in world.workers] == [1]


def test_a_verify_that_takes_long_is_ended_by_a_stop() -> None:
    world = running("t-1", verify=True)
    world.end("t-1")
    results = world.tick()
    results = world.tick(tuple(results))
    assert [type(result.action) for result in results] == [Verify]
    world.requests = [StopRequest("t-1", "enough")]
    assert End in [type(result.action) for result in world.tick()]
    assert End not in [type(result.action) for result in world.tick()]
    verify = Verify(RunKey("t-1", 1))
    results = world.tick((type(results[0])(verify, (False, "stopped")),))
    world.tick(tuple(results))
    world.settle()
    assert world.mark("t-1") is Status.BLOCKED


def test_a_launcher_that_does_not_obey_is_swept() -> None:
    world = running("t-1")
    world.faults = lambda action: Failure("EPERM") if isinstance(action, End) else None
    world.requests = [StopRequest("t-1", "now", now=True)]
    world.settle()
    assert world.run("t-1").phase is Phase.RUNNING
    assert "error" in events(world)
    world.wait(world.policy.grace_seconds + 15)
    assert world.workers[RunKey("t-1", 1)].swept
    assert world.mark("t-1") is Status.BLOCKED


def test_a_stop_in_the_moment_of_the_launch_waits_for_the_launcher() -> None:
    world = running("t-1")
    world.requests = [StopRequest("t-1", "now", now=True)]
    early = world.state.evolve(runs={"t-1": world.run("t-1").evolve(process=None)})
    blind = replace(world.look(), probes={})
    assert End not in kinds(list(decide(early, blind, world.policy).actions))
    assert End in kinds(world.settle())
    assert world.workers[RunKey("t-1", 1)].ended


def test_a_pending_task_can_be_stopped_and_retried() -> None:
    world = World()
    world.policy = world.policy.evolve(max_concurrent_workers=0)
    world.add("t-1")
    world.requests = [StopRequest("t-1", "not  yet\n")]
    world.settle()
    assert world.tasks["t-1"].mark == Mark(Status.BLOCKED)
    assert world.tasks["t-1"].fields["Reason"] == "not yet"
    assert world.requests == []
    world.policy = world.policy.evolve(max_concurrent_workers=1)
    world.requests = [RetryRequest("t-1", fresh=True)]
    world.settle()
    assert world.run("t-1").claim.fresh
    assert world.requests == []
    assert "Blocked" not in world.tasks["t-1"].fields


def test_stop_all_means_the_active_ones_and_launches_nothing_meanwhile() -> None:
    world = running("t-1", "t-2", max_concurrent_workers=2)
    world.add("t-3")
    world.requests = [StopRequest("", "enough")]
    world.settle()
    assert "t-3" not in world.state.runs
    world.wait(world.policy.stop_seconds)
    assert world.mark("t-1") is world.mark("t-2") is Status.BLOCKED
    assert world.requests == []
    assert world.state.live == {"t-3"}


def test_requests_for_what_is_not_there_are_dismissed() -> None:
    world = World()
    world.add("t-1", Status.COMPLETED)
    world.requests = [StopRequest("t-9", "x"), StopRequest("t-1", "x"), RetryRequest("t-9")]
    assert kinds(world.settle()) == [Dismiss, Dismiss, Dismiss]


def test_requests_wait_while_the_file_is_away() -> None:
    world = World()
    world.readable = False
    world.requests = [RetryRequest("t-1"), StopRequest("t-1", "x")]
    assert world.settle() == []
    assert len(world.requests) == 2


def test_a_retry_that_cannot_start_keeps_nobody_from_being_idle() -> None:
    world = World()
    world.add("t-1", Status.FAILED)
    world.add("t-2", after=("t-1",))
    world.requests = [RetryRequest("t-2")]
    world.settle()
    assert world.requests
    assert is_idle(world.state)
    world.requests = [RetryRequest("t-1")]
    world.tick()
    assert not is_idle(world.state)


@pytest.mark.parametrize("request_", [RetryRequest("t-9"), StopRequest("t-9", "x")])
def test_a_request_that_is_about_to_be_dismissed_is_waited_for(request_: Request) -> None:
    world = World()
    world.requests = [request_]
    world.tick()
    assert not is_idle(world.state)
    world.requests = []
    world.tick()
    assert is_idle(world.state)


def test_a_retry_stays_until_the_run_directory_of_its_attempt_is_there() -> None:
    world = World()
    world.add("t-1")
    world.requests = [RetryRequest("t-1", fresh=True)]
    results = world.tick()
    assert kinds(world.done) == [MakeRun]
    assert world.requests, "killed now, nobody else knows that it was to be fresh"
    world.tick()
    assert world.requests
    world.tick(tuple(results))
    assert world.requests == []


def test_what_cannot_be_looked_at_is_said_once() -> None:
    world = World()
    seen = replace(world.look(), unseen={"tasks.md": "could not look at tasks.md: EIO"})
    state = decide(decide(world.state, seen, world.policy).state, seen, world.policy).state
    assert list(state.notices.values()) == ["could not look at tasks.md: EIO"]
    assert [event.kind for event in state.metrics.history] == ["error"]
    state = decide(state, world.look(), world.policy).state
    assert state.notices == {}


def test_requests_that_cannot_be_read_are_remembered() -> None:
    world = running("t-1")
    world.requests = [StopRequest("t-1", "later")]
    world.settle()
    seen = replace(world.look(), now=world.now + world.policy.stop_seconds, requests=None)
    decision = decide(world.state, seen, world.policy)
    assert decision.state.requests == (StopRequest("t-1", "later"),)
    assert decision.actions == (End(RunKey("t-1", 1)),)


def test_a_request_that_could_not_be_dismissed_is_shown() -> None:
    world = World()
    world.requests = [StopRequest("t-9", "x")]
    world.faults = lambda action: Failure("read-only") if isinstance(action, Dismiss) else None
    world.tick(tuple(world.tick()))
    assert world.state.notices == {"requests": "read-only"}


def test_retry_of_a_task_that_waits_for_its_next_attempt_starts_it_now() -> None:
    world = running("t-1")
    world.end("t-1", evidence=Evidence())
    world.settle()
    assert world.mark("t-1") is Status.PENDING
    world.requests = [RetryRequest("t-1")]
    world.settle()
    assert world.run("t-1").key.attempt == 2
    assert world.run("t-1").claim.spent == 0
    assert world.requests == []


def test_retry_waits_until_the_run_directory_is_there() -> None:
    world = World()
    world.add("t-1")
    world.requests = [RetryRequest("t-1", fresh=True)]
    world.tick()
    world.restart()
    world.state = world.state.evolve(runs={}, live=frozenset())
    world.workers.clear()
    world.settle()
    assert world.run("t-1").claim.fresh
    assert world.requests == []


def test_retry_of_an_active_mark_waits_for_the_mark() -> None:
    world = World()
    world.add("t-1", Status.ACTIVE, mark=Mark(Status.ACTIVE, "w-ffffff"))
    world.requests = [RetryRequest("t-1")]
    world.settle()
    assert world.run("t-1").key.attempt == 1
    assert world.requests == []


def test_pause_launches_nothing_and_survives() -> None:
    world = running("t-1")
    world.add("t-2")
    world.requests = [PauseRequest(paused=True)]
    world.settle()
    assert world.paused == "paused by orch pause"
    assert world.requests == []
    assert "t-2" not in world.state.runs
    world.restart()
    world.settle()
    assert world.state.paused == "paused by orch pause"
    assert not is_idle(world.state)
    world.requests = [PauseRequest(paused=False)]
    world.settle()
    assert world.paused is None
    assert "t-2" in world.state.runs


def test_a_pause_in_mid_launch_holds_the_worker_back() -> None:
    world = World()
    world.add("t-1")
    results = world.tick()
    world.requests = [PauseRequest(paused=True, reason="lunch")]
    for _ in range(6):
        results = world.tick(tuple(results))
    assert world.run("t-1").phase is Phase.READY
    world.requests = [PauseRequest(paused=False)]
    world.settle()
    assert world.run("t-1").phase is Phase.RUNNING


def test_sigusr1_toggles() -> None:
    world = World()
    assert kinds(world.settle(toggles=1)) == [SavePause]
    assert world.paused == "paused by SIGUSR1"
    assert world.settle(toggles=2) == []
    world.settle(toggles=1)
    assert world.paused is None


def test_a_pause_that_could_not_be_saved_is_saved_later() -> None:
    world = World()
    world.faults = lambda action: Failure("disk full") if isinstance(action, SavePause) else None
    world.requests = [PauseRequest(paused=True)]
    world.settle()
    assert world.state.paused
    assert world.requests, "the request stays until the pause is on disk"
    assert world.state.notices == {"pause": "disk full"}
    world.faults = lambda _: None
    world.wait()
    assert world.paused == "paused by orch pause"
    assert world.requests == []
    assert world.state.notices == {}


# --- draining -------------------------------------------------------------------------------------


def test_a_drain_leaves_the_workers_and_launches_nothing() -> None:
    world = running("t-1")
    world.add("t-2")
    assert not is_drained(world.state, world.policy)
    world.settle(terminations=1)
    assert "t-2" not in world.state.runs
    assert is_drained(world.state, world.policy)
    assert world.workers[RunKey("t-1", 1)].alive


def test_a_drain_can_wait_for_the_workers() -> None:
    world = running("t-1", drain=Drain.FINISH)
    world.settle(terminations=1)
    assert not is_drained(world.state, world.policy)
    world.end("t-1")
    world.settle()
    assert is_drained(world.state, world.policy)
    assert world.mark("t-1") is Status.COMPLETED


@pytest.mark.parametrize(("drain", "terminations"), [(Drain.STOP, 1), (Drain.LEAVE, 2), (Drain.FINISH, 2)])
def test_stopped_workers_are_taken_up_again_later(drain: Drain, terminations: int) -> None:
    world = running("t-1", drain=drain, max_attempts=1)
    world.settle(terminations=terminations)
    assert world.workers[RunKey("t-1", 1)].ended
    assert world.mark("t-1") is Status.PENDING
    assert is_drained(world.state, world.policy)
    world.restart()
    world.settle()
    assert world.run("t-1").key.attempt == 2
    assert world.run("t-1").claim.spent == 0


def test_signals_may_come_one_by_one() -> None:
    world = running("t-1", drain=Drain.FINISH)
    world.settle(terminations=1)
    world.settle(terminations=1)
    assert world.workers[RunKey("t-1", 1)].ended
    assert events(world).count("draining") == 1


def test_the_third_signal_ends_it_whatever_is_left() -> None:
    world = running("t-1", drain=Drain.FINISH)
    world.settle(terminations=3)
    assert is_drained(world.state, world.policy)


# --- resources, agents, idleness ------------------------------------------------------------------


@pytest.mark.parametrize("resources", [Resources(free_memory_mb=10), Resources(free_disk_mb=10)])
def test_too_little_memory_or_disk_launches_nothing_and_says_so(resources: Resources) -> None:
    world = World()
    world.policy = world.policy.evolve(min_free_memory_mb=100, min_free_disk_mb=100)
    world.resources = resources
    world.add("t-1")
    world.settle()
    assert world.state.runs == {}
    assert "10 MB" in world.state.notices["resources"]
    assert not is_idle(world.state)
    world.resources = Resources(free_memory_mb=1000, free_disk_mb=1000)
    world.settle()
    assert "t-1" in world.state.runs
    assert "resources" not in world.state.notices


@pytest.mark.parametrize("load", [8.0, 0.5, None])
def test_a_high_load_launches_nothing_and_says_so(load: float | None) -> None:
    world = World()
    world.policy = world.policy.evolve(max_load=4.0)
    world.resources = Resources(load=load)
    world.add("t-1")
    world.settle()
    assert (world.state.runs == {}) is (load == 8.0)
    assert ("the load is 8.0" in str(world.state.notices)) is (load == 8.0)


def test_after_one_ran_out_of_memory_fewer_run_at_once() -> None:
    names = [f"t-{number}" for number in range(1, 7)]
    world = running(*names[:3], max_concurrent_workers=3, max_attempts=1)
    for name in names[3:]:
        world.add(name)
    world.end("t-1", Exit(EndReason.MEMORY), Evidence())
    world.settle()
    assert world.state.live == {"t-2", "t-3"}
    assert "2 at once" in world.state.notices["memory"]
    world.end("t-2", Exit(EndReason.MEMORY), Evidence())
    world.settle()
    assert world.state.live == {"t-3"}
    world.end("t-3")
    world.settle()
    assert world.state.metrics.capacity == 2
    assert len(world.state.live) == 2
    world.wait()
    world.end("t-4")
    world.settle()
    assert world.state.metrics.capacity is None
    assert "memory" not in world.state.notices


SOON = 1_000_002.0
"""Two seconds after the workers of a `running` world were started."""


def failing(count: int, **policy: object) -> World:
    """A world in which so many tasks are being worked on."""
    return running(*(f"t-{number}" for number in range(1, count + 1)), max_concurrent_workers=count, **policy)


def test_many_tasks_that_fail_alike_within_seconds_pause_the_fleet() -> None:
    world = failing(5, max_attempts=1)
    for number in range(1, 6):
        assert world.state.paused is None
        verdict = Verdict(
            ok=False, reason=f"t-{number}: login of /home/me/{number} has expired at 12:0{number}"
        )
        world.end(f"t-{number}", Exit(EndReason.EXITED, 1, ended_at=SOON), Evidence(verdict=verdict))
        world.settle()
    assert world.paused is not None
    assert "the last 5 tasks failed alike within seconds: t-5: login" in world.paused


@pytest.mark.parametrize("difference", ["slow", "other", "success", "same task"])
def test_failures_that_differ_do_not(difference: str) -> None:
    world = failing(6, max_attempts=1)
    for number in range(1, 7):
        name = f"t-{number}"
        exit = Exit(EndReason.EXITED, 1, ended_at=SOON)
        evidence = Evidence(verdict=Verdict(ok=False, reason="login expired"))
        if number == 3:
            match difference:
                case "slow":
                    exit = Exit(EndReason.EXITED, 1, ended_at=SOON + 60)
                case "other":
                    evidence = Evidence(verdict=Verdict(ok=False, reason="something else"))
                case "success":
                    exit, evidence = Exit(EndReason.EXITED, 0), Evidence(head="a", commits=("c",))
                case _:
                    continue
        if number == 6 and difference == "same task":
            world.edit("t-1", Mark())
            world.settle()
            world.wait()
            name = "t-1"
        world.end(name, exit, evidence)
        world.settle()
    assert world.state.paused is None


@pytest.mark.parametrize(("agent", "problems"), [("codex", {}), ("", {"sh": "sh is not installed"})])
def test_a_missing_agent_starts_nothing_and_fails_nothing(agent: str, problems: dict[str, str]) -> None:
    world = World()
    world.add("t-1", agent=agent)
    world.add("t-2", after=("t-1",))
    world.agent_problems = problems
    world.settle()
    assert world.state.runs == {}
    assert is_idle(world.state)
    world.agent_problems = {}
    world.edit("t-1", agent="")
    world.settle()
    assert "t-1" in world.state.runs


def test_a_task_that_waits_for_its_next_attempt_is_not_idle() -> None:
    world = running("t-1")
    world.end("t-1", evidence=Evidence())
    world.settle()
    assert not world.state.live
    assert not is_idle(world.state)


def test_nothing_is_idle_before_the_file_was_seen() -> None:
    assert not is_idle(World().state)


# --- the forge and old news -----------------------------------------------------------------------


def test_merges_made_elsewhere_are_written_down() -> None:
    world = running("t-1", unblock_on="merged")
    world.add("t-2", after=("t-1",))
    world.end("t-1")
    world.settle()
    assert world.state.plan.waiting == {"t-2": "waits for t-1 to be merged"}
    (branch,) = world.pulls
    assert Poll in kinds(world.wait(world.policy.poll_interval))
    world.pulls[branch] = PullRequest(1, "pull/1", branch, state="merged", merged_commit="c0ffee123")
    world.wait(world.policy.poll_interval)
    assert world.tasks["t-1"].fields["Merged"].endswith("c0ffee1")
    assert world.state.live == {"t-2"}


def test_a_poll_that_fails_is_counted() -> None:
    world = running("t-1")
    world.end("t-1")
    world.faults = lambda action: Failure("down") if isinstance(action, Poll) else None
    world.settle()
    world.wait(1.3 * world.policy.poll_interval)
    assert world.state.metrics.forge_errors == 2
    assert world.state.metrics.github_api_errors == 1, "one that is known to be away is no news"


# --- worktrees that are no longer needed ----------------------------------------------------------


def test_a_failed_tree_is_kept_unless_configured() -> None:
    world = running("t-1", max_attempts=1)
    world.end("t-1", evidence=Evidence())
    world.settle()
    world.wait(10_000)
    assert world.trees == {"t-1"}


def test_a_failed_tree_goes_after_its_time() -> None:
    world = running("t-1", max_attempts=1, keep_failed_seconds=60.0, poll_interval=1000.0)
    world.end("t-1", evidence=Evidence())
    world.settle()
    assert world.trees == {"t-1"}
    assert world.wake_at == world.now + 60
    world.wait()
    assert world.trees == set()


def test_until_idle_does_not_wait_for_a_tree_that_is_kept_for_a_while() -> None:
    world = running("t-1", max_attempts=1, keep_failed_seconds=3600.0)
    world.end("t-1", evidence=Evidence())
    world.settle()
    assert world.state.trees
    assert is_idle(world.state)


def test_a_tree_stays_between_two_attempts() -> None:
    world = running("t-1", max_attempts=2, keep_failed_seconds=60.0, retry_initial=500.0, retry_max=500.0)
    for _ in range(2):
        world.end("t-1", evidence=Evidence())
        world.settle()
        if world.mark("t-1") is Status.PENDING:
            world.wait(500)
            world.wait()
    assert world.state.trees
    world.edit("t-1", Mark())
    world.settle()
    world.wait()
    world.end("t-1", evidence=Evidence())
    world.settle()
    world.wait(100)
    assert world.mark("t-1") is Status.PENDING
    assert world.trees == {"t-1"}


def test_a_tree_that_is_in_use_again_stays() -> None:
    world = running("t-1", max_attempts=1, keep_failed_seconds=60.0)
    world.end("t-1", evidence=Evidence())
    world.settle()
    world.edit("t-1", Mark())
    world.settle()
    world.wait(100)
    assert world.trees == {"t-1"}
    assert "t-1" in world.state.live


def test_a_tree_that_cannot_be_removed_is_tried_later_and_one_that_must_not_is_left() -> None:
    world = running("t-1")
    world.end("t-1")
    world.faults = lambda action: Failure("busy", retry_after=7.0) if isinstance(action, Remove) else None
    world.settle()
    assert world.wake_at == world.now + 7
    world.faults = lambda action: Failure("nested", permanent=True) if isinstance(action, Remove) else None
    world.wait()
    assert not world.state.trees
    assert world.state.metrics.worktree_errors == 2


def test_work_saved_at_the_removal_is_told() -> None:
    world = running("t-1")
    world.end("t-1")
    results = world.tick()
    for _ in range(20):
        results = [
            type(r)(r.action, "refs/orch/saved/t-1/1") if isinstance(r.action, Remove) else r for r in results
        ]
        results = world.tick(tuple(results))
    assert "saved" in events(world)


# --- health ---------------------------------------------------------------------------------------


def test_health_is_acted_on_once_on_the_way_down() -> None:
    world = World()
    world.settle()
    world.state = world.state.evolve(metrics=Metrics(worktree_errors=11))
    world.settle()
    assert world.state.health.value == "degraded"
    assert world.state.metrics.worktree_errors == 0
    world.state = world.state.evolve(metrics=Metrics(worktree_errors=12))
    world.settle()
    assert world.state.metrics.worktree_errors == 12, "once is enough"
    world.state = world.state.evolve(metrics=Metrics(worktree_errors=21))
    world.settle()
    assert world.state.health.value == "critical"
    assert world.paused is not None
    assert "21 worktree errors" in world.paused
    world.requests = [PauseRequest(paused=False)]
    world.settle()
    assert world.state.health.value == "ok"


def test_a_completed_task_does_not_repeat_an_alarm_that_still_holds() -> None:
    world = running("t-1", "t-2")
    world.state = world.state.evolve(metrics=Metrics(recent=(False,) * 9))
    world.settle()
    for name in ("t-1", "t-2"):
        world.end(name)
        world.settle()
    assert world.state.health.value == "degraded"
    assert events(world).count("health") == 1


def test_a_completed_task_ends_the_alarm() -> None:
    world = running("t-1")
    world.state = world.state.evolve(metrics=Metrics(worktree_errors=11))
    world.settle()
    assert world.state.health.value == "degraded"
    world.end("t-1")
    world.settle()
    assert world.state.health.value == "ok"


# --- small things ---------------------------------------------------------------------------------


def test_an_unfinished_judgement_is_a_bug_and_says_so() -> None:
    from orch.core.rules.complete import judge

    world = running("t-1")
    with pytest.raises(ValueError, match="before it was inspected"):
        judge(world.run("t-1"), world.policy, world.now)


def test_a_process_that_was_adopted_shows_its_own_times() -> None:
    world = World()
    world.add("t-1")
    world.settle()
    key = RunKey("t-1", 1)
    world.workers[key] = Worker(world.run("t-1").claim, Process(99, 1, "b", 0.0), alive=True)
    world.wait()
    assert world.tasks["t-1"].fields["Started"] == "1970-01-01 00:00:00"
    assert world.tasks["t-1"].fields["PID"] == "99"


def test_a_pull_request_without_commits_of_its_own_is_taken_as_it_is() -> None:
    world = running("t-1")
    branch = world.run("t-1").claim.branch
    world.pulls[branch] = PullRequest(9, "pull/9", branch)
    world.end("t-1", evidence=Evidence())
    world.settle()
    assert world.mark("t-1") is Status.COMPLETED
    publish = next(action for action in world.done if isinstance(action, Publish))
    assert "Commits" not in publish.body


def test_what_was_completed_before_today_is_moved_away() -> None:
    text = "## Completed Today\n\n[✅] t-1: Old\n- Completed: 1970-01-11 10:00:00\n"
    seen = Seen(now=1_000_000.0, document=parse(text))
    decision = decide(State(pruned=TODAY), seen, Policy())
    assert decision.actions == (WriteTasks((Archive("t-1"),)),)
    assert decide(decision.state, seen, Policy()).actions == ()
    tomorrow = Seen(now=1_100_000.0, document=seen.document)
    assert WriteTasks((Archive("t-1"),)) in decide(decision.state, tomorrow, Policy()).actions


def test_old_runs_are_pruned_and_git_is_tended_at_the_start_and_once_a_day() -> None:
    world = World(state=State())
    world.policy = world.policy.evolve(keep_days=3.0)
    assert world.settle() == [Prune(3.0, world.now), Tend()]
    assert world.wait(60) == []
    assert world.wait(86_400) == [Prune(3.0, world.now), Tend()]
    world.faults = lambda action: Failure(f"no {type(action).__name__}")
    world.wait(86_400)
    assert [event.message for event in world.state.metrics.history] == ["no Prune", "no Tend"]


def test_worktrees_are_made_ready_while_nothing_is_being_launched() -> None:
    world = World()
    world.policy = world.policy.evolve(warm=2)
    world.add("t-1")
    found = kinds(world.settle())
    assert found.index(Warm) > found.index(Start)
    assert found.count(Warm) == 1
    assert world.wait(60) == []


def test_one_more_is_made_ready_until_there_are_enough() -> None:
    policy = Policy(warm=2)
    seen = Seen(now=1_000_000.0, document=parse(""))
    decision = decide(State(pruned=TODAY), seen, policy)
    assert decision.actions == (Warm(),)
    for more in (True, False):
        decision = decide(decision.state, replace(seen, results=(Result(Warm(), more),)), policy)
        assert decision.actions == ((Warm(),) if more else ())
    assert decide(decision.state, seen, policy).actions == ()


def test_a_worktree_that_cannot_be_made_ready_is_told_and_tried_at_the_next_launch() -> None:
    policy = Policy(warm=1)
    seen = Seen(now=1_000_000.0, document=parse(""))
    failed = Result(Warm(), failure=Failure("the disk is full"))
    decision = decide(State(pruned=TODAY), replace(seen, results=(failed,)), policy)
    assert decision.actions == ()
    assert [event.message for event in decision.state.metrics.history] == ["the disk is full"]
    used = Result(Ensure(RunKey("t-1", 1), "orch/t-1"), None)
    assert decide(decision.state, replace(seen, results=(used,)), policy).actions == (Warm(),)


@pytest.mark.parametrize(
    ("state", "policy"),
    [
        (State(pruned=TODAY), Policy()),
        (State(pruned=TODAY, draining=1), Policy(warm=1)),
        (State(pruned=TODAY), Policy(warm=1, max_concurrent_workers=0)),
        (State(pruned=TODAY), Policy(warm=1, min_free_disk_mb=10.0)),
    ],
)
def test_none_is_made_ready_where_none_is_wanted_or_can_be(state: State, policy: Policy) -> None:
    seen = Seen(now=1_000_000.0, document=parse(""), resources=Resources(free_disk_mb=1.0))
    assert decide(state, seen, policy).actions == ()


def test_local_time_is_what_tasks_md_shows() -> None:
    draft = Draft(State(), Seen(now=0.0, utc_offset=3600.0), Policy())
    assert draft.stamp(0.0) == "1970-01-01 01:00:00"
    assert draft.today == "1970-01-01"


def decided(text: str, state: State | None = None, now: float = 1_000_000.0) -> State:
    """What is known after a look at a file with this text, by a coordinator that launches nothing."""
    seen = Seen(now=now, document=parse(text))
    return decide(state or State(pruned=TODAY), seen, Policy(max_concurrent_workers=0)).state


def test_problems_of_the_file_are_said_when_they_begin() -> None:
    text = "[] t-1: a {zz:1}\n[] t-2: b {after:t-2}\n[] t-3: c {after:t-9}\n[] t-1: d\n"
    state = decided(text)
    said = [event.message for event in state.metrics.history if event.kind == "problem"]
    assert [message for message in said if not message.startswith("there is no [agents")] == [
        "tasks.md:1: unknown tag {zz:1}",
        "tasks.md:4: t-1 is on line 1 already: the one on line 4 is ignored",
        "tasks.md:3: t-3 waits for t-9, which is not in tasks.md",
        "tasks.md:2: dependency cycle: t-2 -> t-2",
    ]
    assert decided(text + "\n", state).metrics.history == state.metrics.history


def test_an_agent_that_is_missing_is_said_once_and_taken_back() -> None:
    state = decided("[] t-1: a\n[] t-2: b\n[] t-3: c {agent:codex}\n")
    assert sorted(state.notices.values()) == [
        "t-1 and 1 more cannot be started: there is no [agents.claude] in config.toml",
        "t-3 cannot be started: there is no [agents.codex] in config.toml",
    ]
    count = len(state.metrics.history)
    state = decided("[] t-3: c {agent:codex}\n", state)
    assert list(state.notices.values()) == [
        "t-3 cannot be started: there is no [agents.codex] in config.toml"
    ]
    assert len(state.metrics.history) == count


def test_a_line_that_was_marked_by_hand_goes_under_its_heading() -> None:
    text = "## Pending\n\n[x] t-1: a\n- PID: 7\n\n[❌] t-2: b\n\n[-] t-3: c\n\n## Failed\n\n[] t-4: d\n"
    seen = Seen(now=1_000_000.0, document=parse(text))
    decision = decide(State(pruned=TODAY), seen, Policy(max_concurrent_workers=0))
    changes = [
        change for action in decision.actions if isinstance(action, WriteTasks) for change in action.changes
    ]
    done, failed = Mark(Status.COMPLETED), Mark(Status.FAILED)
    assert changes == [
        SetMark("t-1", done, done, (("PID", None), ("Completed", "1970-01-12 13:46:40"))),
        SetMark("t-2", failed, failed, (("PID", None),)),
    ]
    again = Seen(now=1_000_000.0, document=apply(parse(text), changes))
    assert again.document is not None
    assert again.document.misplaced() == ()
    assert decide(decision.state, again, Policy(max_concurrent_workers=0)).actions == ()


def test_a_line_that_orch_itself_is_about_to_move_is_left_to_that() -> None:
    worker = RunKey("t-1", 1).worker
    document = parse(f"## Pending\n\n[🟡 {worker}] t-1: a\n")
    assert document.misplaced() == ("t-1",)
    seen = Seen(now=1_000_000.0, document=document, recalled={"t-1": None})
    decision = decide(State(pruned=TODAY), seen, Policy())
    (write,) = (action for action in decision.actions if isinstance(action, WriteTasks))
    assert [type(change) for change in write.changes] == [SetMark]


def test_an_attempt_that_the_file_tells_of_is_not_made_again() -> None:
    world = World()
    world.add("t-1", fields={"Attempt": "3"})
    world.add("t-2", fields={"Attempt": "many"})
    world.settle()
    assert sorted(world.workers) == [RunKey("t-1", 4), RunKey("t-2", 1)]
