"""The run store: one contract for the fake and the real one, then what only files can suffer."""

import itertools
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from orch.adapters.store import atomic, records
from orch.adapters.store.runs import DAY, RunDirectories
from orch.core.model import (
    Claim,
    EndReason,
    Exit,
    Outcome,
    OutcomeKind,
    Phase,
    Process,
    PullRequest,
    Run,
    RunKey,
)
from orch.errors import PermanentError, TransientError
from orch.ports import RunStore
from tests.adapters.crash import full_disk, killed_at
from tests.fakes.runs import FakeRunStore

KEY = RunKey("gh-471", 1)
NEXT = RunKey("gh-471", 2)
CLAIM = Claim(
    branch="orch/gh-471-fix",
    agent="claude",
    title="Fix",
    claimed_at=10.0,
    spent=1,
    before="no",
    queued_at=9.0,
)
OUTCOME = Outcome(
    OutcomeKind.COMPLETED,
    branch="orch/gh-471-fix",
    agent="claude",
    ended_at=20.0,
    spent=2,
    commit="cbffe52",
    pull=PullRequest(7, "file:///x", "orch/gh-471-fix"),
    claimed_at=10.0,
    queued_at=9.0,
)
PROCESS = Process(pid=4711, start_ticks=5, boot_id="boot", started_at=11.0, agent="claude", session_id="s")

Launch = Callable[[RunKey], bool]
"""What a launcher does: take run.json; says whether it got it."""


def launch_file(root: Path, key: RunKey) -> bool:
    return atomic.create(root / key.task / str(key.attempt) / "run.json", records.encode(PROCESS))


class Store(RunStore, Protocol):
    """What both have beyond the protocol, for the command line."""

    def history(self, task: str) -> Sequence[Run]:
        """Every attempt that is still kept, oldest first."""


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Store, Launch]:
    if request.param == "fake":
        fake = FakeRunStore()
        return fake, lambda key: fake.processes.setdefault(key, PROCESS) is PROCESS
    return RunDirectories(tmp_path / "runs", warn=pytest.fail), lambda key: launch_file(
        tmp_path / "runs", key
    )


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, warnings: list[str]) -> RunDirectories:
    return RunDirectories(tmp_path / "runs", warn=warnings.append)


class TestContract:
    def test_there_is_nothing_at_first(self, world: tuple[Store, Launch]) -> None:
        store, _ = world
        assert store.load() == {}
        assert list(store.history("gh-471")) == []

    def test_a_run_goes_through_its_phases(self, world: tuple[Store, Launch]) -> None:
        store, launch = world
        store.claim(KEY, CLAIM)
        run = store.load()["gh-471"]
        assert (run.key, run.claim, run.phase, run.process) == (KEY, CLAIM, Phase.CLAIMING, None)
        assert launch(KEY)
        run = store.load()["gh-471"]
        assert (run.claim, run.phase, run.process) == (CLAIM, Phase.RUNNING, PROCESS)
        store.finish(KEY, OUTCOME)
        run = store.load()["gh-471"]
        assert (run.phase, run.outcome, run.pull) == (Phase.OVER, OUTCOME, OUTCOME.pull)
        told = Claim(CLAIM.branch, CLAIM.agent, title="", claimed_at=10.0, queued_at=9.0)
        assert (run.claim, run.process) == (told, None)

    def test_the_first_claim_of_a_run_stays(self, world: tuple[Store, Launch]) -> None:
        store, _ = world
        store.claim(KEY, CLAIM)
        store.claim(KEY, Claim("orch/other", "codex", "Other", 99.0))
        assert store.load()["gh-471"].claim == CLAIM

    def test_the_first_outcome_of_a_run_stays(self, world: tuple[Store, Launch]) -> None:
        store, _ = world
        store.claim(KEY, CLAIM)
        store.finish(KEY, OUTCOME)
        store.finish(KEY, OUTCOME.evolve(kind=OutcomeKind.FAILED))
        assert store.load()["gh-471"].outcome == OUTCOME

    def test_a_launcher_that_comes_after_the_end_finds_the_run_taken(
        self, world: tuple[Store, Launch]
    ) -> None:
        store, launch = world
        store.claim(KEY, CLAIM)
        store.finish(KEY, OUTCOME)
        assert not launch(KEY)

    def test_finish_leaves_the_launcher_that_was_there_before(self, world: tuple[Store, Launch]) -> None:
        store, launch = world
        store.claim(KEY, CLAIM)
        launch(KEY)
        store.finish(KEY, OUTCOME)
        assert [run.process for run in store.history("gh-471")] == [PROCESS]

    def test_load_gives_the_latest_run_and_history_all_of_them(self, world: tuple[Store, Launch]) -> None:
        store, _ = world
        keys = [RunKey("gh-471", attempt) for attempt in range(1, 12)]
        for key in keys:
            store.claim(key, CLAIM)
            store.finish(key, OUTCOME)
        store.claim(RunKey("t-3", 1), CLAIM)
        assert {task: run.key for task, run in store.load().items()} == {
            "gh-471": keys[-1],
            "t-3": RunKey("t-3", 1),
        }
        assert {task: run.key for task, run in store.load(["t-3", "t-4"]).items()} == {
            "t-3": RunKey("t-3", 1)
        }
        history = store.history("gh-471")
        assert [run.key for run in history] == keys
        assert {run.claim for run in history} == {CLAIM}
        assert {run.outcome for run in history} == {OUTCOME}

    @pytest.mark.parametrize(
        "key",
        [RunKey("../x", 1), RunKey("", 1), RunKey("gh-471/..", 1), RunKey("gh-471", 0), RunKey("gh-471", -1)],
        ids=str,
    )
    def test_what_is_no_run_has_no_directory(self, world: tuple[Store, Launch], key: RunKey) -> None:
        store, _ = world
        with pytest.raises(PermanentError, match="is not the name of a run"):
            store.directory(key)
        with pytest.raises(PermanentError):
            store.claim(key, CLAIM)
        with pytest.raises(PermanentError):
            store.finish(key, OUTCOME)

    def test_history_of_what_is_no_task_is_refused(self, world: tuple[Store, Launch]) -> None:
        with pytest.raises(PermanentError):
            world[0].history("..")

    def test_the_directory_of_a_run(self, world: tuple[Store, Launch]) -> None:
        assert world[0].directory(RunKey("gh-471", 12)).parts[-2:] == ("gh-471", "12")


class TestFiles:
    def test_they_have_a_version_and_readable_values(self, store: RunDirectories) -> None:
        store.claim(KEY, CLAIM)
        store.finish(KEY, OUTCOME)
        directory = store.directory(KEY)
        files = sorted(directory.iterdir())
        assert [path.name for path in files] == ["claim.json", "outcome.json", "run.json"]
        for path in files:
            assert '"version": 1' in path.read_text()
        assert '"kind": "completed"' in (directory / "outcome.json").read_text()

    def test_history_has_the_exit(self, store: RunDirectories) -> None:
        store.claim(KEY, CLAIM)
        ended = Exit(EndReason.EXITED, code=3, ended_at=15.0, cpu_seconds=0.5)
        (store.directory(KEY) / "exit.json").write_bytes(records.encode(ended))
        assert [run.exit for run in store.history("gh-471")] == [ended]

    def test_a_title_that_was_no_utf_8_can_be_claimed(self, store: RunDirectories) -> None:
        store.claim(KEY, Claim("orch/x", "claude", "caf\udce9", 1.0))
        assert store.load()["gh-471"].claim.title == "caf\N{REPLACEMENT CHARACTER}"

    def test_more_fields_than_known_are_ignored(self, store: RunDirectories) -> None:
        store.claim(KEY, CLAIM)
        path = store.directory(KEY) / "claim.json"
        path.write_text(path.read_text().replace("{", '{"colour": {"red": [1, 2]},', 1))
        assert store.load()["gh-471"].claim == CLAIM

    @pytest.mark.parametrize("name", ["claim.json", "outcome.json"])
    def test_a_file_of_a_newer_orch_is_not_guessed_at(self, store: RunDirectories, name: str) -> None:
        store.claim(KEY, CLAIM)
        (store.directory(KEY) / name).write_text('{"version": 2}')
        with pytest.raises(PermanentError, match=rf"{name} was written by a newer orch \(version 2"):
            store.load()

    def test_foreign_names_are_ignored(self, store: RunDirectories, warnings: list[str]) -> None:
        store.claim(KEY, CLAIM)
        root = store.directory(KEY).parent.parent
        for name in (
            "README",
            "gh-471/notes",
            "gh-471/02",
            "gh-471/0",
            "gh-471/-3",
            "gh-471/²",
            "gh-471/1234567890",
            "no_task/1",
        ):
            (root / name).mkdir(parents=True)
            (root / name / "claim.json").write_bytes(records.encode(CLAIM))
        (root / "t-9").write_text("a file")
        (root / "gh-471" / "3").write_text("a file")
        assert {task: run.key for task, run in store.load().items()} == {"gh-471": KEY}
        assert warnings == []

    def test_5000_finished_tasks_cost_one_file_each(self, store: RunDirectories) -> None:
        for number in range(1, 5001):
            directory = store.directory(RunKey(f"t-{number}", 1))
            directory.mkdir(parents=True)
            (directory / "outcome.json").write_bytes(records.encode(OUTCOME))
        assert len(store.load()) == 5000
        assert killed_at(4999, store.load)
        assert not killed_at(5000, store.load)


class TestDamage:
    """Power loss, a hand edit: never a crash, never a number that is given twice to two workers."""

    BROKEN = pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"branch": 3}', b"\xff\0", b"[" * 99999])

    @BROKEN
    def test_a_damaged_outcome_is_concluded_again(
        self, store: RunDirectories, warnings: list[str], content: bytes
    ) -> None:
        store.claim(KEY, CLAIM)
        store.finish(KEY, OUTCOME)
        (store.directory(KEY) / "outcome.json").write_bytes(content)
        run = store.load()["gh-471"]
        assert (run.phase, run.claim, run.outcome) == (Phase.RUNNING, CLAIM, None)
        assert "outcome.json is damaged" in warnings[0]
        store.finish(KEY, OUTCOME)
        assert store.load()["gh-471"].outcome == OUTCOME

    @BROKEN
    def test_a_damaged_claim_that_nobody_started_is_claimed_again(
        self, store: RunDirectories, warnings: list[str], content: bytes
    ) -> None:
        store.claim(KEY, CLAIM)
        store.finish(KEY, OUTCOME)
        store.claim(NEXT, CLAIM)
        (store.directory(NEXT) / "claim.json").write_bytes(content)
        assert store.load()["gh-471"].key == KEY
        assert "claim.json is damaged" in warnings[0]
        store.claim(NEXT, CLAIM)
        assert store.load()["gh-471"].key == NEXT

    @BROKEN
    def test_a_run_whose_claim_is_damaged_under_its_worker_is_stopped(
        self, store: RunDirectories, warnings: list[str], content: bytes
    ) -> None:
        store.claim(KEY, CLAIM)
        store.finish(KEY, OUTCOME)
        store.claim(NEXT, CLAIM)
        launch_file(store.directory(KEY).parent.parent, NEXT)
        (store.directory(NEXT) / "claim.json").write_bytes(content)
        run = store.load()["gh-471"]
        assert (run.key, run.phase, run.process) == (NEXT, Phase.RUNNING, PROCESS)
        assert (run.claim.branch, run.claim.agent) == (CLAIM.branch, "claude")
        assert run.stopping is not None
        assert run.stopping.now
        assert "claim.json is damaged or gone" in run.stopping.reason
        assert any("its worker is stopped" in line for line in warnings)

    def test_a_run_whose_claim_and_process_are_both_damaged_keeps_its_number(
        self, store: RunDirectories
    ) -> None:
        store.directory(KEY).mkdir(parents=True)
        (store.directory(KEY) / "run.json").write_text("")
        run = store.load()["gh-471"]
        assert (run.key, run.phase, run.process, run.claim.branch) == (KEY, Phase.RUNNING, None, "")

    def test_a_damaged_run_json_is_a_run_all_the_same(
        self, store: RunDirectories, warnings: list[str]
    ) -> None:
        store.claim(KEY, CLAIM)
        (store.directory(KEY) / "run.json").write_text("{")
        run = store.load()["gh-471"]
        assert (run.phase, run.claim, run.process) == (Phase.RUNNING, CLAIM, None)
        assert "run.json is damaged" in warnings[0]

    def test_a_directory_without_a_claim_is_unclaimed(self, store: RunDirectories) -> None:
        store.claim(KEY, CLAIM)
        store.directory(NEXT).mkdir()
        assert store.load()["gh-471"].key == KEY

    def test_a_run_whose_directory_was_deleted_can_be_finished(self, store: RunDirectories) -> None:
        store.claim(KEY, CLAIM)
        shutil.rmtree(store.directory(KEY).parent)
        store.finish(KEY, OUTCOME)
        assert store.load()["gh-471"].outcome == OUTCOME

    def test_nothing_is_written_through_a_link(self, store: RunDirectories, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        root = tmp_path / "runs"
        root.mkdir()
        (root / "t-1").symlink_to(elsewhere)
        (root / "t-2").mkdir()
        (root / "t-2" / "1").symlink_to(elsewhere)
        for task in ("t-1", "t-2"):
            with pytest.raises(PermanentError, match="is a symbolic link"):
                store.claim(RunKey(task, 1), CLAIM)
            with pytest.raises(PermanentError):
                store.finish(RunKey(task, 1), OUTCOME)
        assert list(elsewhere.iterdir()) == []
        assert store.load() == {}

    def test_a_root_that_is_no_folder_could_not_be_looked_at(self, tmp_path: Path) -> None:
        (tmp_path / "runs").write_text("")
        with pytest.raises(TransientError, match="cannot read"):
            RunDirectories(tmp_path / "runs", warn=pytest.fail).load()

    def test_a_full_disk_claims_and_finishes_nothing(self, store: RunDirectories) -> None:
        with full_disk(50), pytest.raises(TransientError):
            store.claim(KEY, CLAIM)
        assert store.load() == {}
        store.claim(KEY, CLAIM)
        with full_disk(50), pytest.raises(TransientError):
            store.finish(KEY, OUTCOME)
        assert store.load()["gh-471"].phase is Phase.CLAIMING
        store.finish(KEY, OUTCOME)
        assert store.load()["gh-471"].outcome == OUTCOME


class TestKills:
    def test_a_claim_can_be_repeated_after_a_kill_at_any_step(self, tmp_path: Path) -> None:
        found = []
        for step in itertools.count():
            store = RunDirectories(tmp_path / str(step), warn=pytest.fail)
            killed = killed_at(step, partial(store.claim, KEY, CLAIM))
            found.append("gh-471" in store.load())
            store.claim(KEY, CLAIM)
            assert store.load()["gh-471"].claim == CLAIM
            if not killed:
                break
        assert found == sorted(found)
        assert {*found} == {False, True}

    def test_a_finish_can_be_repeated_after_a_kill_at_any_step(self, tmp_path: Path) -> None:
        phases = []
        for step in itertools.count():
            store = RunDirectories(tmp_path / str(step), warn=pytest.fail)
            store.claim(KEY, CLAIM)
            killed = killed_at(step, partial(store.finish, KEY, OUTCOME))
            run = store.load()["gh-471"]
            phases.append(run.phase)
            if run.phase is not Phase.CLAIMING:
                assert not launch_file(tmp_path / str(step), KEY)
            store.finish(KEY, OUTCOME)
            assert store.load()["gh-471"].outcome == OUTCOME
            if not killed:
                break
        order = [Phase.CLAIMING, Phase.RUNNING, Phase.OVER]
        assert phases == sorted(phases, key=order.index)
        assert set(phases) == set(order)

    def test_what_was_promised_before_a_kill_holds_after_it(self, tmp_path: Path) -> None:
        seed = random.randrange(2**32)  # noqa: S311
        print(f"seed {seed}")  # noqa: T201 - pytest shows it where the test fails
        chance = random.Random(seed)  # noqa: S311 - it need not be secret
        root = tmp_path / "runs"
        store = RunDirectories(root, warn=pytest.fail)
        claimed: set[RunKey] = set()
        finished: set[RunKey] = set()
        known: set[RunKey] = set()
        for _ in range(8):
            with subprocess.Popen(
                [sys.executable, "-c", WORKER, str(root)], stdout=subprocess.PIPE, text=True
            ) as process:
                assert process.stdout is not None
                for line in itertools.islice(process.stdout, chance.randrange(1, 60)):
                    note(line, claimed, finished)
                process.kill()
                for line in process.stdout:
                    if line.endswith("\n"):
                        note(line, claimed, finished)
            runs = {run.key: run for task in store.load() for run in store.history(task)}
            assert claimed <= runs.keys()
            assert all(runs[key].phase is Phase.OVER for key in finished)
            assert len(runs.keys() - claimed - known) <= 1
            live = [key for key, run in runs.items() if run.live]
            assert not any(RunKey(key.task, key.attempt + 1) in runs for key in live)
            known = set(runs)
        assert finished


WORKER = """
import sys
from pathlib import Path
from typing import Protocol
from orch.adapters.store.runs import RunDirectories
from orch.core.model import Claim, Outcome, OutcomeKind, RunKey
store = RunDirectories(Path(sys.argv[1]), warn=sys.exit)
while True:
    for task in ("t-1", "t-2", "t-3"):
        run = store.load().get(task)
        if run is None or run.outcome:
            key = RunKey(task, run.key.attempt + 1 if run else 1)
            store.claim(key, Claim("orch/x", "a", "x", 1.0))
            print("claimed", key, flush=True)
        else:
            store.finish(run.key, Outcome(OutcomeKind.FAILED, "orch/x", "a", 1.0))
            print("finished", run.key, flush=True)
"""


def note(line: str, claimed: set[RunKey], finished: set[RunKey]) -> None:
    what, _, name = line.strip().partition(" ")
    task, _, attempt = name.partition("/")
    (claimed if what == "claimed" else finished).add(RunKey(task, int(attempt)))


class TestPrune:
    NOW = 100 * DAY

    def fill(self, store: RunDirectories) -> None:
        for task, ages in {"t-1": (50, 40, 3, 30), "t-2": (90,), "t-3": (90, 90)}.items():
            for attempt, age in enumerate(ages, start=1):
                store.claim(RunKey(task, attempt), CLAIM)
                store.finish(RunKey(task, attempt), OUTCOME.evolve(ended_at=self.NOW - age * DAY))

    def test_old_runs_go_but_never_the_latest(self, store: RunDirectories) -> None:
        self.fill(store)
        store.claim(RunKey("t-2", 2), CLAIM)
        store.directory(RunKey("t-3", 3)).mkdir()
        gone = [RunKey("t-1", 1), RunKey("t-1", 2), RunKey("t-2", 1), RunKey("t-3", 1)]
        assert store.prune(14, self.NOW, dry_run=True) == gone
        assert len(store.history("t-1")) == 4
        assert store.prune(14, self.NOW) == gone
        assert store.prune(14, self.NOW) == []
        left = [run.key for task in store.load() for run in store.history(task)]
        assert sorted(left) == [RunKey("t-1", 3), RunKey("t-1", 4), RunKey("t-2", 2), RunKey("t-3", 2)]

    def test_protected_tasks_and_runs_without_an_outcome_stay(self, store: RunDirectories) -> None:
        self.fill(store)
        (store.directory(RunKey("t-3", 1)) / "outcome.json").unlink()
        assert store.prune(14, self.NOW, protect={"t-1"}) == []

    def test_a_kill_at_any_step_leaves_whole_runs(self, tmp_path: Path) -> None:
        for step in itertools.count():
            store = RunDirectories(tmp_path / str(step), warn=pytest.fail)
            self.fill(store)
            killed = killed_at(step, partial(store.prune, 14, self.NOW))
            for run in store.history("t-1"):
                assert (run.phase, run.claim, run.outcome is not None) == (Phase.OVER, CLAIM, True)
            store.prune(14, self.NOW)
            assert {path.name for path in (tmp_path / str(step) / "t-1").iterdir()} == {"3", "4"}
            if not killed:
                break
        assert step > 4
