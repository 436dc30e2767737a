"""Many short tasks through one coordinator, which must not grow. `tools/soak` does it with thousands."""

from pathlib import Path

from tests.chaos.soak import find_growth, soak


def test_a_coordinator_does_not_grow_with_what_is_done(tmp_path: Path) -> None:
    first, last = soak(tmp_path, 300)
    assert find_growth(first, last) == [], f"{first}\n{last}"
