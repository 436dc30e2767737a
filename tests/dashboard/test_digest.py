"""What is taken from the drawing before: a queue of thousands is not gone through for each of them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from orch.core.model import Activity, Mark, Phase, Run, Stall, Status, Task
from orch.core.tasks_md import Document
from orch.dashboard.digest import list_failed, list_pulls, list_queue, list_workers, make_digest
from tests.dashboard.snapshots import COMPLETED, NOW, busy, make_run, make_snapshot

Value = TypeVar("Value")


class Counted(Mapping[str, Value]):
    """Counts how often it is gone through as a whole."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values
        self.times = 0

    def __getitem__(self, key: str) -> Value:
        return self._values[key]

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[str]:
        self.times += 1
        return iter(self._values)


def test_a_document_and_its_runs_are_gone_through_only_when_they_change() -> None:
    tasks: Counted[Task] = Counted({f"t-{number}": Task(f"t-{number}", "x") for number in range(9)})
    runs: Counted[Run] = Counted({"t-1": make_run("t-1")})
    snapshot = make_snapshot(document=Document(tasks))
    snapshot = replace(snapshot, runs=runs, live=frozenset({"t-1"}))
    known = make_digest(snapshot)
    before = (tasks.times, runs.times)
    for second in range(3):
        known = make_digest(replace(snapshot, at=NOW + second, waiting={"t-2": "waits for t-1"}), known)
        assert [row.task for row in list_workers(known.snapshot, NOW)] == ["t-1"]
        rows, total, waiting = list_queue(known, 3)
        assert ([row.id for row in rows], total, waiting) == (["t-0", "t-3", "t-4"], 8, 1)
        assert list_failed(known, 3) == []
        assert list_pulls(known, 3) == []
        assert known.counts[Status.PENDING] == 9
    assert (tasks.times, runs.times) == before


def test_what_has_changed_is_not_taken_from_before() -> None:
    first = Task("t-1", "One")
    second = Task("t-2", "Two", COMPLETED, fields={"PR": "https://forge.example/pull/12"})
    third = Task("t-3", "Three", COMPLETED, fields={"PR": "by hand"})
    known = make_digest(make_snapshot(first, second, third))
    assert [(row.number, row.state) for row in list_pulls(known, 9)] == [(12, "open"), (0, "open")]

    failed = replace(first, mark=Mark(Status.FAILED))
    merged = replace(second, fields={**second.fields, "Merged": "today"})
    known = make_digest(make_snapshot(failed, merged), known)
    assert [row.id for row in list_failed(known, 9)] == ["t-1"]
    assert list_queue(known, 9) == ([], 0, 0)
    assert [row.state for row in list_pulls(known, 9)] == ["merged"]
    assert known.open_pulls == 0


def test_a_digest_is_the_same_with_and_without_the_one_before() -> None:
    snapshot = busy()
    assert make_digest(snapshot, make_digest(replace(snapshot, document=None, runs={}))) == make_digest(
        snapshot
    )


def test_a_stalled_worker_says_so_and_when_it_is_ended() -> None:
    snapshot = make_snapshot()
    run = make_run("t-1").evolve(phase=Phase.RUNNING, stall=Stall(since=NOW - 720, ends_at=NOW + 1080))
    snapshot = replace(
        snapshot, runs={"t-1": run}, live=frozenset({"t-1"}), activity={"t-1": Activity("thinking")}
    )
    (row,) = list_workers(snapshot, NOW)
    assert (row.phase, row.activity) == ("stalled", "no output and no CPU for 12 min, is ended at 30 min")
    over = replace(snapshot, runs={"t-1": run.evolve(phase=Phase.INSPECTING)})
    (row,) = list_workers(over, NOW)
    assert (row.phase, row.activity) == ("inspecting", "thinking")
