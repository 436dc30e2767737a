"""Worktrees: one contract for the fake and the real ones."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from orch.adapters.worktrees import GitWorktrees
from orch.core.model import Evidence, RunKey
from orch.errors import PermanentError, TransientError
from orch.ports import Worktrees
from tests.adapters.repositories import Samples
from tests.fakes.worktrees import FakeWorktrees

FIRST = RunKey("gh-471", 1)
SECOND = RunKey("gh-471", 2)
BRANCH = "orch/gh-471-fix-the-login"
HOSTILE = ["", ".", "..", "../gh-1", "gh-1/../../x", "/etc", "gh-1\n", "gh-1\0", ".git", "-gh-1", "gh-1;ls"]


@dataclass
class Bench:
    """Worktrees, and an agent's hands."""

    worktrees: Worktrees
    trees: Path
    runs: Path
    commit: Callable[[str, str], object]
    """Commits everything in a task's worktree: (task, message)."""
    saved: Callable[[str], dict[str, str]]
    """The files that a saved ref holds."""

    @property
    def tree(self) -> Path:
        return self.trees / FIRST.task

    def claim(self, run: RunKey) -> Path:
        directory = self.runs / run.task / str(run.attempt)
        directory.mkdir(parents=True)
        return directory


def fake(folder: Path, samples: Samples) -> Bench:
    worktrees = FakeWorktrees(folder / "trees", folder / "runs")
    return Bench(worktrees, folder / "trees", folder / "runs", worktrees.commit, worktrees.saved.__getitem__)


def real(folder: Path, samples: Samples, warm: int = 0) -> Bench:
    sample = samples.make(folder)
    trees, runs = folder / "trees", folder / "runs"

    def commit(task: str, message: str) -> None:
        sample.git("add", "--all", where=trees / task)
        sample.git("commit", "--quiet", "-m", message, where=trees / task)

    worktrees = GitWorktrees(sample.root, trees, runs, base="main", warn=pytest.fail, warm=warm)
    return Bench(worktrees, trees, runs, commit, sample.files)


def warm(folder: Path, samples: Samples) -> Bench:
    """As `real`, with ready worktrees waiting."""
    bench = real(folder, samples, warm=2)
    assert isinstance(bench.worktrees, GitWorktrees)
    assert bench.worktrees.warm()
    assert not bench.worktrees.warm()
    return bench


@pytest.fixture(params=[fake, real, warm], ids=["fake", "git", "warm git"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, samples: Samples) -> Bench:
    made: Bench = request.param(tmp_path, samples)
    return made


def test_a_worktree_is_made_on_its_branch(bench: Bench) -> None:
    made = bench.worktrees.ensure(FIRST, BRANCH)
    assert made.path == bench.tree
    assert made.branch == BRANCH
    assert len(made.base) == 40
    assert bench.tree.is_dir()
    assert bench.worktrees.inspect(FIRST, BRANCH) == Evidence(head=made.base)


def test_making_it_again_changes_nothing(bench: Bench) -> None:
    made = bench.worktrees.ensure(FIRST, BRANCH)
    (bench.tree / "one.txt").write_text("1")
    bench.commit(FIRST.task, "One")
    (bench.tree / "two.txt").write_text("2")
    before = bench.worktrees.inspect(FIRST, BRANCH)
    assert bench.worktrees.ensure(FIRST, BRANCH) == made
    assert bench.worktrees.ensure(SECOND, BRANCH) == made
    assert (bench.tree / "two.txt").read_text() == "2"
    assert bench.worktrees.inspect(FIRST, BRANCH) == before


def test_commits_are_told_oldest_first(bench: Bench) -> None:
    made = bench.worktrees.ensure(FIRST, BRANCH)
    for name in ("one", "two"):
        (bench.tree / name).write_text(name)
        bench.commit(FIRST.task, f"Add {name}\n\nBecause.")
    found = bench.worktrees.inspect(FIRST, BRANCH)
    assert found.commits == ("Add one\n\nBecause.", "Add two\n\nBecause.")
    assert found.head != made.base
    assert (found.uncommitted, found.saved, found.blocked) == (0, "", None)


def test_what_is_uncommitted_is_saved_and_stays(bench: Bench) -> None:
    bench.worktrees.ensure(FIRST, BRANCH)
    (bench.tree / "deep").mkdir()
    (bench.tree / "deep" / "new.txt").write_text("new")
    (bench.tree / "other.txt").write_text("other")
    found = bench.worktrees.inspect(FIRST, BRANCH)
    assert found.uncommitted == 2
    assert found.saved == "refs/orch/saved/gh-471/1"
    assert bench.saved(found.saved).items() >= {"deep/new.txt": "new", "other.txt": "other"}.items()
    assert (bench.tree / "deep" / "new.txt").read_text() == "new"
    assert bench.worktrees.inspect(FIRST, BRANCH) == found


def test_what_was_saved_is_never_replaced(bench: Bench) -> None:
    bench.worktrees.ensure(FIRST, BRANCH)
    (bench.tree / "a.txt").write_text("first")
    first = bench.worktrees.inspect(FIRST, BRANCH).saved
    (bench.tree / "a.txt").write_text("second")
    second = bench.worktrees.inspect(FIRST, BRANCH).saved
    assert first != second
    assert bench.saved(first)["a.txt"] == "first"
    assert bench.saved(second)["a.txt"] == "second"


def test_nothing_there_is_no_evidence(bench: Bench) -> None:
    assert bench.worktrees.inspect(FIRST, BRANCH) == Evidence()


def test_a_stop_is_put_into_the_worktree(bench: Bench) -> None:
    bench.worktrees.ask(FIRST.task, "too early")
    assert not bench.tree.exists()
    bench.worktrees.ensure(FIRST, BRANCH)
    bench.worktrees.ask(FIRST.task, "a person said so")
    bench.worktrees.ask(FIRST.task, "a person said so again")
    assert (bench.tree / "STOP").read_text() == "a person said so again\n"
    found = bench.worktrees.inspect(FIRST, BRANCH)
    assert (found.uncommitted, found.saved) == (0, "")


def test_a_blocked_agent_is_heard(bench: Bench) -> None:
    bench.worktrees.ensure(FIRST, BRANCH)
    (bench.tree / "BLOCKED.md").write_text("I need a key.\n")
    found = bench.worktrees.inspect(FIRST, BRANCH)
    assert found.blocked == "I need a key.\n"
    assert (found.uncommitted, found.saved) == (0, "")


def test_the_signs_go_to_the_attempt_before(bench: Bench) -> None:
    first, second = bench.claim(FIRST), bench.claim(SECOND)
    bench.worktrees.ensure(FIRST, BRANCH)
    (bench.tree / "BLOCKED.md").write_text("I need a key.\n")
    bench.worktrees.ask(FIRST.task, "stop")
    bench.worktrees.ensure(SECOND, BRANCH)
    assert (first / "BLOCKED.md").read_text() == "I need a key.\n"
    assert (first / "STOP").read_text() == "stop\n"
    assert not (second / "STOP").exists()
    assert not (bench.tree / "STOP").exists()
    assert bench.worktrees.inspect(SECOND, BRANCH).blocked is None


def test_the_signs_go_to_the_attempt_itself_where_the_one_before_is_gone(bench: Bench) -> None:
    second = bench.claim(SECOND)
    bench.worktrees.ensure(FIRST, BRANCH)
    (bench.tree / "BLOCKED.md").write_text("I need a key.\n")
    bench.worktrees.ensure(SECOND, BRANCH)
    assert (second / "BLOCKED.md").read_text() == "I need a key.\n"


def test_removing_saves_and_keeps_the_branch(bench: Bench) -> None:
    bench.claim(FIRST)
    bench.worktrees.ensure(FIRST, BRANCH)
    (bench.tree / "one.txt").write_text("1")
    bench.commit(FIRST.task, "One")
    (bench.tree / "two.txt").write_text("2")
    ref = bench.worktrees.remove(FIRST.task)
    assert ref == "refs/orch/saved/gh-471/1"
    assert bench.saved(ref)["two.txt"] == "2"
    assert not bench.tree.exists()
    assert bench.worktrees.remove(FIRST.task) == ""
    assert bench.worktrees.inspect(FIRST, BRANCH).commits == ("One",)
    bench.worktrees.ensure(SECOND, BRANCH)
    assert (bench.tree / "one.txt").read_text() == "1"
    assert not (bench.tree / "two.txt").exists()


def test_removing_a_clean_one_saves_nothing(bench: Bench) -> None:
    bench.worktrees.ensure(FIRST, BRANCH)
    assert bench.worktrees.remove(FIRST.task) == ""
    assert not bench.tree.exists()


def test_a_fresh_start_saves_everything_first(bench: Bench) -> None:
    bench.claim(FIRST)
    bench.worktrees.ensure(FIRST, BRANCH)
    (bench.tree / "one.txt").write_text("1")
    bench.commit(FIRST.task, "One")
    (bench.tree / "two.txt").write_text("2")
    made = bench.worktrees.ensure(SECOND, BRANCH, fresh=True)
    assert not (bench.tree / "one.txt").exists()
    assert not (bench.tree / "two.txt").exists()
    found = bench.worktrees.inspect(SECOND, BRANCH)
    assert (found.head, found.commits, found.uncommitted) == (made.base, (), 0)
    files = bench.saved("refs/orch/saved/gh-471/2")
    assert (files["one.txt"], files["two.txt"]) == ("1", "2")


def test_a_fresh_start_without_work_is_a_start(bench: Bench) -> None:
    made = bench.worktrees.ensure(FIRST, BRANCH, fresh=True)
    assert bench.worktrees.inspect(FIRST, BRANCH) == Evidence(head=made.base)


def test_worktrees_are_listed(bench: Bench) -> None:
    assert bench.worktrees.list() == {}
    bench.worktrees.ensure(FIRST, BRANCH)
    bench.worktrees.ensure(RunKey("t-3", 1), "orch/t-3")
    (bench.trees / "notes").mkdir()
    (bench.trees / "t-9").write_text("a file")
    assert bench.worktrees.list() == {"gh-471": bench.tree, "t-3": bench.trees / "t-3"}


def test_a_hostile_id_is_refused(bench: Bench) -> None:
    for task in HOSTILE:
        run = RunKey(task, 1)
        for call in (
            partial(bench.worktrees.ensure, run, BRANCH),
            partial(bench.worktrees.inspect, run, BRANCH),
            partial(bench.worktrees.remove, task),
            partial(bench.worktrees.ask, task, "x"),
        ):
            with pytest.raises(PermanentError, match="not a task id"):
                call()


def test_a_link_in_place_of_a_worktree_is_refused(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")
    bench.trees.mkdir(exist_ok=True)
    bench.tree.symlink_to(outside)
    for call in (
        lambda: bench.worktrees.ensure(FIRST, BRANCH),
        lambda: bench.worktrees.inspect(FIRST, BRANCH),
        lambda: bench.worktrees.remove(FIRST.task),
        lambda: bench.worktrees.ask(FIRST.task, "x"),
    ):
        with pytest.raises(PermanentError, match="symbolic link"):
            call()
    assert sorted(path.name for path in outside.iterdir()) == ["precious"]


def test_the_fake_fails_when_told(tmp_path: Path) -> None:
    worktrees = FakeWorktrees(tmp_path / "trees", tmp_path / "runs")
    worktrees.fail("ensure")
    worktrees.fail("ensure", PermanentError("never"))
    with pytest.raises(TransientError):
        worktrees.ensure(FIRST, BRANCH)
    with pytest.raises(PermanentError):
        worktrees.ensure(FIRST, BRANCH)
    worktrees.ensure(FIRST, BRANCH)
    worktrees.leave(FIRST, Evidence(head="c" * 40, commits=("Done",)))
    assert worktrees.inspect(FIRST, BRANCH).commits == ("Done",)
    assert worktrees.ensured == [FIRST]
