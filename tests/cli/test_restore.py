"""`orch restore`, from the work that an agent leaves to its coming back."""

import shutil
from pathlib import Path

import pytest

from tests.cli.command import git, ok, orch, task

REF = "refs/orch/saved/t-1/1"
LEAVES = """
[agents.leaves]
kind = "command"
command = ["sh", "-c", "echo work > work.txt; echo changed >> README.md; exit 1"]
"""


@pytest.fixture
def left(shop: Path) -> Path:
    """The agent of t-1 left two files uncommitted and failed; `orch clean` took the worktree away."""
    config = shop / "config.toml"
    config.write_text(config.read_text() + LEAVES)
    ok(shop, "add", "Leave it", "--agent", "leaves")
    ok(shop, "run", "--plain", "--until-idle")
    ok(shop, "clean")
    assert not (shop / "trees" / "t-1").exists()
    return shop


def test_the_work_comes_back_and_the_agent_goes_on(left: Path) -> None:
    assert "orch restore t-1 " in ok(left, "show", "t-1")
    first, *advice = ok(left, "restore", "1").splitlines()
    assert first.startswith(f"{REF} (2 files, ")
    assert first.endswith("is in trees/t-1 again.")
    assert advice[1].startswith("orch retry t-1 ")
    assert git(left, "-C", "trees/t-1", "status", "--porcelain") == "M README.md\n?? work.txt"
    again = ok(left, "restore", "t-1").splitlines()
    assert again[0].endswith("is in trees/t-1 already.")
    ok(left, "retry", "t-1")
    ok(left, "run", "--plain", "--until-idle")
    assert (left / "trees/t-1/README.md").read_text() == "# Shop\nchanged\nchanged\n"


def test_as_a_branch(left: Path) -> None:
    first, *advice = ok(left, "restore", "t-1", "--branch", "--ref", "1").splitlines()
    assert first.endswith("is on restored/t-1-1 now.")
    assert advice[1].startswith("git merge restored/t-1-1 ")
    assert git(left, "show", "restored/t-1-1:work.txt") == "work"
    assert "is on restored/t-1-1 already." in ok(left, "restore", "t-1", "--branch")
    assert not (left / "trees" / "t-1").exists()


def test_why_it_is_a_branch(left: Path) -> None:
    branch = git(left, "for-each-ref", "--format=%(refname:short)", "refs/heads/orch/")
    git(left, "commit", "--quiet", "--allow-empty", "--message", "More")
    git(left, "branch", "--force", branch, "main")
    out = ok(left, "restore", "t-1")
    assert f"because {branch} is at another commit than it was then." in out


def test_show_names_also_what_was_saved_after_the_attempt(left: Path) -> None:
    ok(left, "restore", "t-1")
    (left / "trees/t-1/mine.txt").write_text("mine\n")
    ok(left, "clean")
    (left / "trees/.orphans/t-1-1").mkdir(parents=True)
    shown = ok(left, "show", "t-1")
    assert f"git show {REF}-2 " in shown
    assert "trees/.orphans/t-1-1 " in shown
    assert f"{REF}-2 (3 files, " in ok(left, "restore", "t-1")


def test_show_works_where_git_does_not(left: Path) -> None:
    (left / ".git").rename(left / "git")
    assert f"git show {REF} " in ok(left, "show", "t-1")


def test_the_list(left: Path) -> None:
    (left / "trees/.orphans/t-2-1").mkdir(parents=True)
    everything = ok(left, "restore", "--list")
    assert "     2 files  " + REF in everything
    assert "put aside  trees/.orphans/t-2-1" in everything
    assert "t-2" not in ok(left, "restore", "t-1", "--list")
    assert REF not in ok(left, "restore", "t-2", "--list")
    git(left, "update-ref", "refs/orch/saved/t-3/1", "main")
    assert "commits only  refs/orch/saved/t-3/1" in ok(left, "restore", "t-3", "--list")


def test_nothing_was_saved(shop: Path) -> None:
    ok(shop, "add", "Nothing yet")
    assert ok(shop, "restore", "--list") == "Nothing was saved.\n"
    assert ok(shop, "restore", "t-1", "--list") == "Nothing was saved of t-1.\n"
    done = orch(shop, "restore", "t-1")
    assert done.code == 1
    assert "there is no saved work of t-1" in done.err
    assert "orch restore --list" in done.err
    done = orch(shop, "restore", "t-9")
    assert done.code == 1
    assert "there is no task 't-9'" in done.err
    assert orch(shop, "restore").code == 2


def test_a_task_that_is_worked_on(left: Path) -> None:
    tasks = left / "tasks.md"
    line = next(line for line in tasks.read_text().splitlines() if "t-1" in line)
    tasks.write_text(tasks.read_text().replace(line, "[🟡 w-1a2b3c] t-1: Leave it"))
    assert task(left, "t-1")["status"] == "active"
    done = orch(left, "restore", "t-1")
    assert done.code == 1
    assert "t-1 is being worked on" in done.err
    assert not (left / "trees" / "t-1").exists()


def test_an_attempt_that_nobody_has_ended_yet(left: Path) -> None:
    (left / ".orch/runs/t-1/1/outcome.json").unlink()
    done = orch(left, "restore", "t-1")
    assert done.code == 1
    assert "t-1 is being worked on" in done.err


def test_changes_that_are_in_the_way(left: Path) -> None:
    ok(left, "restore", "t-1")
    (left / "trees/t-1/work.txt").write_text("mine\n")
    done = orch(left, "restore", "t-1")
    assert done.code == 1
    assert "changes of its own" in done.err
    assert "orch restore t-1 --ref 1 --branch" in done.err
    assert (left / "trees/t-1/work.txt").read_text() == "mine\n"


def test_a_task_of_which_nothing_else_is_left(left: Path) -> None:
    shutil.rmtree(left / ".orch")
    (left / "tasks.md").write_text("# Tasks\n")
    assert "no attempt of t-1" in ok(left, "restore", "t-1")
