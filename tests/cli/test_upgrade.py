"""A project of an older orch is taken over; one of a newer orch is refused with a clear line."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.command import ok, orch, status

OLDER = Path(__file__).parents[1] / "data" / "state-0"
"""What the last orch without a version left: a task completed, one failed, one blocked, a pull request."""


@pytest.fixture
def old_shop(shop: Path) -> Path:
    shutil.copytree(OLDER / "orch", shop / ".orch")
    shutil.copy(OLDER / "tasks.md", shop / "tasks.md")
    return shop


def test_an_older_state_is_read_as_it_is_and_taken_over(old_shop: Path) -> None:
    before = status(old_shop)
    assert {row["id"]: row["status"] for row in before["tasks"]} == {
        "t-1": "completed",
        "t-2": "failed",
        "t-3": "blocked",
    }
    assert not (old_shop / ".orch" / "version").exists(), "looking changes nothing"
    ok(old_shop, "run", "--plain", "--until-idle")
    assert (old_shop / ".orch" / "version").read_text() == "1\n"
    after = status(old_shop)
    assert [row["status"] for row in after["tasks"]] == [row["status"] for row in before["tasks"]]
    old = json.loads((OLDER / "orch" / "metrics.json").read_text())
    new = json.loads((old_shop / ".orch" / "metrics.json").read_text())
    for counter in ("workers_launched", "workers_completed", "workers_failed", "workers_blocked", "attempts"):
        assert new[counter] == old[counter], counter
    assert "exit code 3" in ok(old_shop, "show", "t-2")


@pytest.mark.parametrize(
    "command",
    [("status",), ("run", "--plain"), ("stop", "t-1"), ("show", "t-1"), ("add", "x"), ("clean",), ("pause",)],
)
def test_a_newer_state_is_refused_and_nothing_is_touched(old_shop: Path, command: tuple[str, ...]) -> None:
    (old_shop / ".orch" / "version").write_text("2\n")
    before = sorted(path.relative_to(old_shop) for path in old_shop.rglob("*"))
    done = orch(old_shop, *command)
    assert done.code == 1
    assert "was written by a newer orch (version 2, this one knows 1)" in done.err
    assert "hint: upgrade orch" in done.err
    assert sorted(path.relative_to(old_shop) for path in old_shop.rglob("*")) == before


def test_doctor_says_so_too_and_the_service_can_be_removed(old_shop: Path) -> None:
    (old_shop / ".orch" / "version").write_text("2\n")
    done = orch(old_shop, "doctor")
    assert done.code == 1
    assert "was written by a newer orch" in done.out
    assert orch(old_shop, "service", "uninstall").code == 0
