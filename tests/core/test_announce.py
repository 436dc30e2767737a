"""Which events are announced, and with which facts."""

import pytest

from orch.core.announce import Announcement, Occasion, announcements
from orch.core.metrics import Event
from orch.core.model import Claim, Outcome, OutcomeKind, Parking, Phase, PullRequest, Run, RunKey
from orch.core.state import State
from orch.core.tasks_md import parse

KEY = RunKey("t-1", 2)
CLAIM = Claim("orch/t-1-do-it", "claude", "Do it", 1.0)
PULL = PullRequest(7, "https://example.com/pull/7", "orch/t-1-do-it")


def state(kind: OutcomeKind, event: Event, retry_at: float | None = None, pull: bool = False) -> State:
    outcome = Outcome(kind, CLAIM.branch, "claude", 2.0, retry_at=retry_at, pull=PULL if pull else None)
    run = Run(KEY, CLAIM, Phase.OVER, outcome=outcome)
    return State(document=parse("[] t-1: Do it now\n"), runs={"t-1": run}, events=(event,))


def event(kind: str) -> Event:
    return Event(5.0, kind, "why", "t-1", 2)


@pytest.mark.parametrize(
    ("kind", "retry_at", "pull", "occasions"),
    [
        ("blocked", None, False, [Occasion.BLOCKED]),
        ("failed", None, False, [Occasion.FAILED]),
        ("failed", 9.0, False, []),
        ("limited", 9.0, False, [Occasion.LIMITED]),
        ("completed", None, True, [Occasion.PR_READY]),
        ("completed", None, False, []),
        ("stopped", None, False, []),
        ("interrupted", None, False, []),
    ],
)
def test_the_end_of_an_attempt(
    kind: str, retry_at: float | None, pull: bool, occasions: list[Occasion]
) -> None:
    now = state(OutcomeKind(kind), event(kind), retry_at, pull)
    assert [news.occasion for news in announcements(State(), now)] == occasions


@pytest.mark.parametrize(("phase", "told"), [(Phase.FINISHING, 1), (Phase.OVER, 0)])
def test_a_limit_is_announced_when_it_begins_and_not_with_every_attempt(phase: Phase, told: int) -> None:
    outcome = Outcome(OutcomeKind.LIMITED, CLAIM.branch, "claude", 2.0, parked=(Parking("claude", 1.0, 9.0),))
    run = Run(KEY, CLAIM, phase, outcome=outcome)
    now = State(runs={"t-1": run}, events=(event("limited"),))
    assert len(announcements(State(), now)) == told


def test_the_facts_of_a_run() -> None:
    now = state(OutcomeKind.COMPLETED, event("completed"), pull=True)
    (news,) = announcements(State(), now)
    assert news == Announcement(
        Occasion.PR_READY, 5.0, "why", "t-1", "Do it", 2, CLAIM.branch, "claude", PULL.url
    )
    assert news.run == KEY


def test_a_run_that_was_let_go_in_the_same_turn_is_known_from_before() -> None:
    now = state(OutcomeKind.BLOCKED, event("blocked"))
    (news,) = announcements(now, now.evolve(runs={}))
    assert (news.branch, news.agent) == (CLAIM.branch, "claude")


def test_a_run_of_another_attempt_is_not_taken_for_it() -> None:
    now = state(OutcomeKind.BLOCKED, Event(5.0, "blocked", "why", "t-1", 1))
    (news,) = announcements(State(), now)
    assert (news.branch, news.agent, news.title) == ("", "", "Do it now")


def test_a_merge_is_known_by_its_task() -> None:
    document = parse(f"[✅ cbffe52] t-1: Do it\n- Branch: orch/t-1-x\n- PR: {PULL.url}\n")
    now = State(document=document, events=(Event(5.0, "merged", "x", "t-1"), Event(6.0, "error", "x", "t-1")))
    (news,) = announcements(State(), now)
    assert (news.occasion, news.pull, news.branch, news.run) == (
        Occasion.MERGED,
        PULL.url,
        "orch/t-1-x",
        None,
    )


def test_a_pause_is_about_no_task() -> None:
    (news,) = announcements(State(), State(paused="lunch", events=(Event(5.0, "paused", "lunch"),)))
    assert news == Announcement(Occasion.PAUSED, 5.0, "lunch")
    assert announcements(State(), State(events=(Event(5.0, "merged", "x", "t-9"),)))[0].pull == ""
