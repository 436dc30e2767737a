"""What is shown of a forge: reviews, rounds, what waits for approval, the requests."""

from dataclasses import replace

import pytest

from orch.core.forge import Follow, Usage
from orch.core.state import Snapshot
from orch.dashboard.report import make_report
from tests.dashboard.snapshots import NOW, busy
from tests.dashboard.test_view import draw

PULL = "https://forge.example/pull/41"


def hub() -> Snapshot:
    """A busy snapshot whose forge is GitHub."""
    snapshot = busy()
    run = snapshot.runs["gh-473"]
    follow = Follow(pull=40, url="u", rounds={"checks": 2, "remarks": 1})
    runs = {**snapshot.runs, "gh-473": run.evolve(claim=run.claim.evolve(follow=follow))}
    return replace(
        snapshot,
        runs=runs,
        awaiting={"gh-490": "Bug\x1b[31m, by sam (none)"},
        reviews={PULL: "checks failed, 2 remarks"},
        usage=Usage(120, 4880, NOW + 60, 9),
    )


@pytest.mark.parametrize("width", [80, 160])
def test_it_is_draw(width: int) -> None:
    text = draw(hub(), width)
    assert "gh-490 waits for approval: Bug, by sam (none)" in text
    assert "checks failed" in text
    assert "120 requests used, 4880 left" in text


def test_it_is_reported() -> None:
    report = make_report(hub(), NOW)
    assert report["forge"] == {
        "awaiting": [{"id": "gh-490", "issue": "Bug\x1b[31m, by sam (none)"}],
        "requests": {"used": 120, "left": 4880, "resets_at": NOW + 60, "sent": 9},
    }
    tasks = {task["id"]: task for task in report["tasks"]}
    assert tasks["gh-430"]["review"] == "checks failed, 2 remarks"
    assert tasks["gh-471"]["review"] is None
    workers = {worker["task"]: worker["follow_up"] for worker in report["workers"]}
    assert workers == {"gh-471": None, "gh-473": "#40: checks (round 2), remarks (round 1)"}


def test_without_a_forge_that_counts_nothing_is_shown() -> None:
    assert make_report(busy(), NOW)["forge"] == {"awaiting": [], "requests": None}
    assert "requests used" not in draw(busy(), 160)
