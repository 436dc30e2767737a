"""The file of costs: nothing is lost, nothing is counted twice, whatever happened to it."""

import os
import time
from pathlib import Path

import pytest

from orch.adapters.store.costs import CostFile
from orch.core.costs import Cost, Spending
from orch.core.model import Outcome, OutcomeKind, RunKey
from orch.errors import TransientError
from orch.ports import CostStore
from tests.adapters.crash import full_disk
from tests.fakes.costs import FakeCostStore

NOW = time.mktime((2026, 11, 28, 12, 0, 0, 0, 0, -1))
TODAY = "2026-11-28"
YESTERDAY = NOW - 86_400


def outcome(usd: float, tokens: int = 100, *, ended_at: float = NOW, claimed_at: float = 1.0) -> Outcome:
    return Outcome(
        OutcomeKind.FAILED,
        "orch/t-1",
        "claude",
        ended_at,
        cost_usd=usd,
        tokens=tokens,
        claimed_at=claimed_at,
        model="opus",
        turns=3,
    )


@pytest.fixture(params=["real", "fake"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CostStore:
    return CostFile(tmp_path / ".orch" / "costs.jsonl") if request.param == "real" else FakeCostStore()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "costs.jsonl"


class TestContract:
    def test_at_first_nothing_is_spent(self, store: CostStore) -> None:
        assert store.read(NOW, ()) == Spending(TODAY)

    def test_it_adds_up_by_task_and_for_the_day(self, store: CostStore) -> None:
        store.record(RunKey("t-1", 1), outcome(1.0, ended_at=YESTERDAY))
        store.record(RunKey("t-1", 2), outcome(0.25))
        store.record(RunKey("t-2", 1), outcome(0.5))
        expected = {"t-1": Cost(1.25, 200), "t-2": Cost(0.5, 100)}
        assert store.read(NOW, ()) == Spending(TODAY, Cost(0.75, 200), expected)

    def test_a_run_counts_once_however_often_it_is_told(self, store: CostStore) -> None:
        for _ in range(3):
            store.record(RunKey("t-1", 1), outcome(1.0))
        assert store.read(NOW, ()).today == Cost(1.0, 100)

    def test_a_run_that_is_still_live_does_not_count(self, store: CostStore) -> None:
        store.record(RunKey("t-1", 1), outcome(1.0))
        assert store.read(NOW, [RunKey("t-1", 1)]) == Spending(TODAY)

    def test_the_same_number_of_another_time_is_another_run(self, store: CostStore) -> None:
        store.record(RunKey("t-1", 1), outcome(1.0, claimed_at=1.0))
        store.record(RunKey("t-1", 1), outcome(1.0, claimed_at=2.0))
        assert store.read(NOW, ()).tasks == {"t-1": Cost(2.0, 200)}

    def test_what_costs_nothing_leaves_nothing(self, store: CostStore) -> None:
        store.record(RunKey("t-1", 1), outcome(0.0, 0))
        assert store.read(NOW, ()).today == Cost()


def test_a_restart_counts_no_run_twice(path: Path) -> None:
    for _ in range(3):
        CostFile(path).record(RunKey("t-1", 1), outcome(1.0))
    assert len(path.read_text().splitlines()) == 3, "each start writes what it is not sure of"
    assert CostFile(path).read(NOW, ()).today == Cost(1.0, 100)
    (expense,) = CostFile(path).expenses()
    assert (expense.agent, expense.model, expense.kind, expense.turns) == ("claude", "opus", "failed", 3)


@pytest.mark.parametrize("kept", range(0, 160, 7))
def test_a_line_that_was_cut_off_is_written_again_and_breaks_no_other(path: Path, kept: int) -> None:
    CostFile(path).record(RunKey("t-1", 1), outcome(1.0))
    whole = path.read_bytes()
    CostFile(path).record(RunKey("t-2", 1), outcome(2.0))
    path.write_bytes(path.read_bytes()[: len(whole) + kept])
    assert CostFile(path).read(NOW, ()).today.usd in (1.0, 3.0)
    CostFile(path).record(RunKey("t-2", 1), outcome(2.0))
    CostFile(path).record(RunKey("t-3", 1), outcome(4.0))
    assert CostFile(path).read(NOW, ()).today.usd == 7.0


def test_a_full_disk_is_told_and_the_line_comes_later(path: Path) -> None:
    store = CostFile(path)
    store.record(RunKey("t-1", 1), outcome(1.0))
    with full_disk(path.stat().st_size + 30), pytest.raises(TransientError, match=r"cannot write .*costs"):
        store.record(RunKey("t-2", 1), outcome(2.0))
    assert CostFile(path).read(NOW, ()).today.usd == 1.0
    store.record(RunKey("t-2", 1), outcome(2.0))
    assert CostFile(path).read(NOW, ()).today.usd == 3.0


def test_what_is_no_entry_is_passed_over(path: Path) -> None:
    path.write_bytes(b'\xff\xfe\nnull\n{"task": 3}\n\n[[[[\n' + b"[" * 100_000 + b"\n")
    CostFile(path).record(RunKey("t-1", 1), outcome(1.0))
    assert CostFile(path).read(NOW, ()).today.usd == 1.0


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_plain_file_is_neither_read_nor_written(path: Path, tmp_path: Path, kind: str) -> None:
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(TransientError, match=r"costs\.jsonl"):
        CostFile(path).record(RunKey("t-1", 1), outcome(1.0))
    with pytest.raises(TransientError, match=r"costs\.jsonl"):
        CostFile(path).read(NOW, ())
    assert not (tmp_path / "elsewhere").exists()
