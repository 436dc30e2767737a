"""The metrics store: one contract for the fake and the real one, then the file itself."""

import itertools
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orch.adapters.store.metrics_file import MetricsFile, SeenForge
from orch.core.forge import Usage
from orch.core.metrics import Event, Health, Metrics
from orch.core.model import Claim, Mark, Outcome, OutcomeKind, Phase, Process, Run, RunKey, Status, Task
from orch.core.state import Snapshot
from orch.core.tasks_md import Document
from orch.errors import PermanentError, TransientError
from orch.ports import MetricsStore
from tests.adapters.crash import full_disk, killed_at
from tests.fakes.metrics import FakeMetricsStore

METRICS = Metrics(
    workers_launched=5,
    workers_completed=3,
    workers_failed=1,
    workers_blocked=1,
    prs_created=3,
    worktree_errors=2,
    github_api_errors=4,
    attempts=6,
    history=(Event(1.0, "launched", "gh-471 started", "gh-471", 2), Event(2.0, "paused", "lunch")),
    recent=(True, False, True, True),
    durations=(1.0, 2.0, 3.0, 40.0),
    queue_waits=(0.5,),
)
SNAPSHOT = Snapshot(
    at=1_700_000_000.0,
    document=None,
    runs={},
    metrics=METRICS,
    health=Health.WARNING,
    pid=4711,
    started_at=1_699_999_000.0,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".orch" / "metrics.json"


@pytest.fixture
def file(path: Path) -> MetricsFile:
    return MetricsFile(path, warn=pytest.fail)


@pytest.fixture(params=["fake", "real"])
def store(request: pytest.FixtureRequest, path: Path) -> MetricsStore:
    return FakeMetricsStore() if request.param == "fake" else MetricsFile(path, warn=pytest.fail)


def content(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text())
    assert isinstance(found, dict)
    return found


class Looked(dict[str, Run]):
    """Runs of years, that nobody may go through at every write."""

    def values(self) -> Any:
        raise AssertionError

    __iter__ = items = values


class TestContract:
    def test_there_are_no_counters_at_first(self, store: MetricsStore) -> None:
        assert store.read() is None

    def test_the_counters_come_back(self, store: MetricsStore) -> None:
        store.write(SNAPSHOT)
        assert store.read() == METRICS

    def test_the_last_write_counts(self, store: MetricsStore) -> None:
        store.write(SNAPSHOT)
        store.write(replace(SNAPSHOT, metrics=Metrics()))
        assert store.read() == Metrics()


class TestFile:
    def test_it_has_the_keys_that_are_relied_upon(self, file: MetricsFile, path: Path) -> None:
        file.write(SNAPSHOT)
        found = content(path)
        assert {name: found[name] for name in ("version", "health", "paused", "uptime_seconds")} == {
            "version": 1,
            "health": "warning",
            "paused": None,
            "uptime_seconds": 1000.0,
        }
        assert found["last_update"] == "2023-11-14T22:13:20Z"
        assert found["coordinator"] == {"pid": 4711, "started_at": 1_699_999_000.0}
        counters = (
            "workers_launched",
            "workers_completed",
            "workers_failed",
            "workers_blocked",
            "prs_created",
            "worktree_errors",
            "github_api_errors",
            "attempts",
        )
        assert [found[name] for name in counters] == [5, 3, 1, 1, 3, 2, 4, 6]
        assert found["success_rate"] == 0.75
        assert found["durations"] == {"p50": 2.0, "p95": 40.0, "samples": 4}
        assert found["queue_waits"] == {"p50": 0.5, "p95": 0.5, "samples": 1}
        assert found["history"] == [
            {"at": 1.0, "kind": "launched", "message": "gh-471 started", "task": "gh-471", "attempt": 2},
            {"at": 2.0, "kind": "paused", "message": "lunch", "task": "", "attempt": 0},
        ]

    def test_an_empty_fleet_can_be_written(self, file: MetricsFile, path: Path) -> None:
        file.write(Snapshot(at=5.0, document=None, runs={}, metrics=Metrics(), health=Health.OK))
        found = content(path)
        assert found["success_rate"] is None
        assert found["durations"] == {"p50": None, "p95": None, "samples": 0}
        assert found["uptime_seconds"] == 0
        assert found["counts"] == dict.fromkeys(
            ["pending", "active", "completed", "failed", "blocked", "skipped"], 0
        )

    def test_live_workers_are_listed(self, file: MetricsFile, path: Path) -> None:
        claim = Claim("orch/x", "claude", "X", 1.0)
        process = Process(pid=77, start_ticks=1, boot_id="b", started_at=3.0)
        over = Outcome(OutcomeKind.COMPLETED, "orch/x", "claude", 9.0)
        runs = {
            "t-3": Run(RunKey("t-3", 1), claim, Phase.OVER, outcome=over),
            "t-2": Run(RunKey("t-2", 4), claim, Phase.RUNNING, process=process),
            "t-1": Run(RunKey("t-1", 1), claim, Phase.PREPARING),
        }
        file.write(replace(SNAPSHOT, runs=Looked(runs), live=frozenset({"t-1", "t-2"})))
        first, second = content(path)["workers"]
        assert first == {
            "task": "t-1",
            "attempt": 1,
            "worker": RunKey("t-1", 1).worker,
            "phase": "preparing",
            "pid": None,
            "agent": "claude",
            "started_at": None,
            "branch": "orch/x",
        }
        assert (second["task"], second["pid"], second["started_at"]) == ("t-2", 77, 3.0)

    def test_tasks_are_counted_anew_for_each_document(self, file: MetricsFile, path: Path) -> None:
        one = Document(tasks={"t-1": Task("t-1", "x")})
        two = Document(tasks={"t-1": Task("t-1", "x", Mark(Status.ACTIVE))})
        file.write(replace(SNAPSHOT, document=one))
        assert content(path)["counts"]["pending"] == 1
        file.write(replace(SNAPSHOT, document=two))
        assert content(path)["counts"]["pending"] == 0
        assert content(path)["counts"]["active"] == 1

    def test_long_lists_are_cut(self, file: MetricsFile, path: Path) -> None:
        waiting = {f"t-{number}": "after t-0" for number in range(1000)}
        file.write(
            replace(SNAPSHOT, waiting=waiting, notices={str(n): "a" for n in range(1000)}, paused="lunch")
        )
        found = content(path)
        assert len(found["waiting"]) == len(found["notices"]) == 100
        assert found["waiting"]["t-0"] == "after t-0"
        assert found["paused"] == "lunch"

    def test_text_that_is_no_utf_8_can_be_written(self, file: MetricsFile, path: Path) -> None:
        metrics = Metrics().note(Event(1.0, "launched", "caf\udce9"))
        file.write(replace(SNAPSHOT, metrics=metrics, waiting={"t-1": "\ud800"}))
        assert content(path)["history"][0]["message"] == "caf\N{REPLACEMENT CHARACTER}"

    def test_nothing_is_written_while_only_a_little_time_passes(self, file: MetricsFile, path: Path) -> None:
        file.write(SNAPSHOT)
        first = path.stat().st_ino, content(path)
        file.write(replace(SNAPSHOT, at=SNAPSHOT.at + 4.9))
        assert (path.stat().st_ino, content(path)) == first
        file.write(replace(SNAPSHOT, at=SNAPSHOT.at + 5.0))
        assert content(path)["uptime_seconds"] == 1005.0

    def test_a_change_is_written_at_once(self, file: MetricsFile, path: Path) -> None:
        file.write(SNAPSHOT)
        file.write(replace(SNAPSHOT, at=SNAPSHOT.at + 0.1, paused="lunch"))
        assert content(path)["paused"] == "lunch"

    def test_a_clock_that_was_set_back_stops_no_update(self, file: MetricsFile, path: Path) -> None:
        file.write(SNAPSHOT)
        file.write(replace(SNAPSHOT, at=SNAPSHOT.at - 3600))
        assert content(path)["last_update"] == "2023-11-14T21:13:20Z"

    def test_a_full_disk_leaves_the_old_file_whole(self, file: MetricsFile, path: Path) -> None:
        file.write(SNAPSHOT)
        before = path.read_bytes()
        changed = replace(SNAPSHOT, paused="lunch")
        with full_disk(200), pytest.raises(TransientError, match=r"metrics\.json"):
            file.write(changed)
        assert path.read_bytes() == before
        assert list(path.parent.iterdir()) == [path]
        file.write(changed)
        assert content(path)["paused"] == "lunch"

    def test_a_kill_at_any_step_leaves_a_whole_file(self, tmp_path: Path) -> None:
        seen = set()
        for step in itertools.count():
            file = MetricsFile(tmp_path / str(step) / "metrics.json", warn=pytest.fail)
            file.write(SNAPSHOT)
            after = replace(SNAPSHOT, metrics=METRICS.evolve(attempts=7))
            killed = killed_at(step, partial(file.write, after))
            kept = file.read()
            assert kept is not None
            seen.add(kept.attempts)
            if not killed:
                break
        assert seen == {6, 7}

    @pytest.mark.parametrize("damage", ["", "{", "[]", '{"attempts": "many"}', '{"history": [{"at": 1}]}'])
    def test_a_damaged_file_is_told_and_replaced(self, path: Path, damage: str) -> None:
        warnings: list[str] = []
        file = MetricsFile(path, warn=warnings.append)
        path.parent.mkdir()
        path.write_text(damage)
        assert file.read() is None
        assert len(warnings) == 1
        assert "counting starts again" in warnings[0]
        file.write(SNAPSHOT)
        assert file.read() == METRICS

    def test_a_file_of_a_newer_orch_is_not_guessed_at(self, file: MetricsFile, path: Path) -> None:
        path.parent.mkdir()
        path.write_text('{"version": 2}')
        with pytest.raises(PermanentError, match="newer orch"):
            file.read()


def test_what_a_coordinator_had_to_say_is_known_as_long_as_it_runs(path: Path, file: MetricsFile) -> None:
    assert file.notices(4711) == {}
    file.write(replace(SNAPSHOT, notices={"tasks.md": "cannot write tasks.md"}))
    assert content(path)["notices"] == ["cannot write tasks.md"]
    assert file.notices(4711) == {"tasks.md": "cannot write tasks.md"}
    assert file.notices(4712) == {}, "it was another one"
    path.write_text("{")
    assert file.notices(4711) == {}


def test_the_caution_after_a_lack_of_memory_survives_a_restart(file: MetricsFile) -> None:
    file.write(replace(SNAPSHOT, metrics=METRICS.evolve(capacity=2)))
    found = file.read()
    assert found is not None
    assert found.capacity == 2


def test_what_was_seen_of_the_forge_is_kept_for_whoever_looks(path: Path, file: MetricsFile) -> None:
    assert file.forge() == SeenForge()
    usage = Usage(120, 4880, 1_700_003_600.0, 9)
    awaiting, reviews = {"gh-7": "Bug, by sam (none)"}, {"pull/1": "checks failed"}
    file.write(replace(SNAPSHOT, usage=usage, awaiting=awaiting, reviews=reviews))
    assert MetricsFile(path, warn=pytest.fail).forge() == SeenForge(usage, awaiting, reviews)
    path.write_text("{")
    assert file.forge() == SeenForge()


def test_errors_of_the_forge_survive_a_restart(file: MetricsFile) -> None:
    file.write(replace(SNAPSHOT, metrics=METRICS.evolve(forge_errors=12)))
    found = file.read()
    assert found is not None
    assert found.forge_errors == 12
