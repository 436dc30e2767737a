"""orch is killed and edited at any moment: nothing is lost, nothing is done twice, nothing is left.

`tools/chaos` does the same for as long as one likes, and replays a seed.
"""

from pathlib import Path

import pytest

from tests.chaos.edits import storm_edits
from tests.chaos.engine import Chaos

STORM_SECONDS = 6.0
TASKS = 8
EDITS = 2000


@pytest.mark.parametrize("seed", [1, 2])
def test_chaos(tmp_path: Path, seed: int) -> None:
    report = Chaos(tmp_path, seed, seconds=STORM_SECONDS, tasks=TASKS, least_kills=2).run()
    replay = f"tools/chaos --seed {seed} --storm {STORM_SECONDS:g} --tasks {TASKS}"
    assert report.findings == [], f"seed {seed}; replay: {replay}"
    assert report.launches > 0
    assert report.edits.total() > 0


def test_no_edit_of_thousands_is_lost(tmp_path: Path) -> None:
    """Nor any task that `orch add` says is added."""
    report = storm_edits(tmp_path, EDITS, seed=1)
    assert report.problems == []
    assert report.lost == []
    assert report.changes > 0, "orch never wrote: nothing was tried"
    assert report.added > 0, "orch add never wrote: nothing was tried"
