"""What was saved comes back as it was, and nothing that is there now goes for it."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orch.adapters.worktrees import Hooks
from orch.adapters.worktrees.registration import Marker, Registration
from orch.adapters.worktrees.restoring import Restored, RestoringWorktrees
from orch.adapters.worktrees.saved import find_orphans, find_saved
from orch.core.model import RunKey
from orch.errors import ConfigError, PermanentError, TransientError
from tests.adapters.crash import killed_at
from tests.adapters.places import BRANCH, HEAD, NEXT, RUN, Place
from tests.adapters.repositories import Samples, at_once

REF = "refs/orch/saved/t-1/1"
ODD = os.fsdecode(b"bad\xff \t\"name'\\\n")
BINARY = bytes(range(256)) * 300
STRIDE = 5

State = dict[str, tuple[str, bytes]]


def free() -> None:
    """Nobody works on the task."""


def restore(
    place: Place,
    ref: str = "",
    *,
    run: RunKey | None = RUN,
    as_branch: bool = False,
    check: Callable[[], None] = free,
) -> Restored:
    worktrees = RestoringWorktrees(
        place.sample.root,
        place.trees,
        place.runs,
        base="main",
        hooks=place.hooks,
        warn=place.warnings.append,
        retries=(0.01,),
    )
    return worktrees.restore("t-1", ref, run=run, branch=BRANCH, as_branch=as_branch, check=check)


def state(tree: Path) -> State:
    """Every file of a worktree with its kind and content, but for git's own."""
    found: State = {}
    for path in sorted(tree.rglob("*")):
        name = str(path.relative_to(tree))
        if path.is_symlink():
            found[name] = ("link", os.fsencode(path.readlink()))
        elif path.is_file() and name != ".git":
            found[name] = ("program" if os.access(path, os.X_OK) else "file", path.read_bytes())
    return found


def everything(place: Place) -> tuple[State, str, str]:
    """What must be the same after something was refused."""
    refs = place.sample.git("for-each-ref")
    return state(place.tree), place.git("status", "--porcelain", "-z"), refs


def work(place: Place) -> State:
    """What an agent leaves: a commit, and changes of every kind that are in none."""
    place.worktrees.ensure(RUN, BRANCH)
    place.commit("gone.txt")
    (place.tree / "README.md").write_text("changed\n")
    (place.tree / "gone.txt").unlink()
    shutil.rmtree(place.tree / "src")
    (place.tree / "src").write_text("a file where a folder was")
    (place.tree / "binary").write_bytes(BINARY)
    (place.tree / "new" / "deep").mkdir(parents=True)
    (place.tree / "new" / "deep" / "link").symlink_to("../../README.md")
    (place.tree / "dangling").symlink_to("nowhere")
    (place.tree / "run.sh").write_text("#!/bin/sh\n")
    (place.tree / "run.sh").chmod(0o755)
    (place.tree / ODD).write_text("odd")
    (place.tree / "empty").touch()
    return state(place.tree)


def test_a_worktree_that_is_gone_is_made_again(place: Place) -> None:
    before = work(place)
    status = place.git("status", "--porcelain", "-z")
    head = place.git("rev-parse", "HEAD")
    assert place.worktrees.remove("t-1") == REF
    assert not place.tree.exists()
    restored = restore(place)
    assert restored.tree == place.tree
    assert restored.new
    assert state(place.tree) == before
    assert place.git("status", "--porcelain", "-z") == status
    assert place.sample.sha(HEAD) == head
    assert place.refs() == [REF]
    assert place.warnings == []


def test_an_agent_goes_on_with_what_was_restored(place: Place) -> None:
    before = work(place)
    place.worktrees.remove("t-1")
    place.sample.push_elsewhere("other", "x")
    restore(place)
    place.worktrees.ensure(NEXT, BRANCH)
    assert state(place.tree) == before
    # The same work is still the same: it is not saved under another name.
    assert place.worktrees.inspect(RUN, BRANCH).saved == REF


def test_without_commits_the_worktree_starts_where_it_did(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    base = place.git("rev-parse", "HEAD")
    (place.tree / "new").write_text("mine")
    place.worktrees.remove("t-1")
    place.sample.push_elsewhere("other", "x")
    restore(place)
    assert (place.tree / "new").read_text() == "mine"
    assert place.git("rev-parse", "HEAD") == base


def test_a_clean_worktree_gets_the_files(place: Place) -> None:
    before = work(place)
    status = place.git("status", "--porcelain", "-z")
    place.worktrees.inspect(RUN, BRANCH)
    (place.tree / "out.log").write_text("ignored")
    place.git("reset", "--quiet", "--hard")
    place.git("clean", "-dfq")
    (place.tree / "BLOCKED.md").write_text("why")
    restored = restore(place)
    assert restored.tree == place.tree
    assert restored.new
    signs = {"out.log": ("file", b"ignored"), "BLOCKED.md": ("file", b"why")}
    assert state(place.tree) == before | signs
    assert place.git("status", "--porcelain", "-z") == status
    place.worktrees.ensure(NEXT, BRANCH)
    assert state(place.tree).keys() == before.keys() | {"out.log"}, "it was ready"


def test_twice_is_once(place: Place) -> None:
    work(place)
    place.worktrees.remove("t-1")
    restore(place)
    before = everything(place)
    again = restore(place)
    assert again.tree == place.tree
    assert not again.new
    assert everything(place) == before


def test_a_worktree_that_still_has_it_is_left_alone(place: Place) -> None:
    work(place)
    place.worktrees.inspect(RUN, BRANCH)
    place.git("add", "README.md")
    before = everything(place)
    assert not restore(place).new
    assert everything(place) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: (tree / "README.md").write_text("mine"),
        lambda tree: (tree / "another").write_text("mine"),
        lambda tree: (tree / "binary").write_bytes(BINARY[1:]),
        lambda tree: (tree / "gone.txt").unlink(),
        lambda tree: subprocess.run(["git", "init", "--quiet", "nested"], cwd=tree, check=True),
    ],
)
def test_a_worktree_with_changes_of_its_own_is_refused(
    place: Place, change: Callable[[Path], object]
) -> None:
    work(place)
    place.worktrees.inspect(RUN, BRANCH)
    place.git("reset", "--quiet", "--hard")
    place.git("clean", "-dfq")
    change(place.tree)
    before = everything(place)
    with pytest.raises(PermanentError, match="changes of its own") as refused:
        restore(place)
    assert "orch restore t-1 --ref 1 --branch" in refused.value.hint
    assert everything(place) == before


@pytest.mark.parametrize("name", ["x.log", "build", "build/below", "here.log/below"])
def test_ignored_files_are_not_overwritten(place: Place, name: str) -> None:
    """Saved may be what git ignores elsewhere: the agent had added it by force."""
    place.worktrees.ensure(RUN, BRANCH)
    saved = {"build": "build/out", "build/below": "build"}.get(name, name)
    path = place.tree / saved
    path.parent.mkdir(exist_ok=True)
    path.write_text("saved")
    place.git("add", "--force", saved)
    place.worktrees.inspect(RUN, BRANCH)
    place.git("reset", "--quiet", "--hard")
    there = place.tree / {"here.log/below": "here.log"}.get(name, name)
    there.parent.mkdir(exist_ok=True)
    if there.is_dir():
        there.rmdir()
    if name == "build":
        place.sample.git("config", "core.excludesFile", str(place.trees / "ignored"))
        (place.trees / "ignored").write_text("build\n")
    there.write_text("mine")
    before = everything(place)
    with pytest.raises(PermanentError, match=f"in the way: '{there.relative_to(place.tree)}'"):
        restore(place)
    assert everything(place) == before
    assert there.read_text() == "mine"


def test_a_live_task_is_refused(place: Place) -> None:
    work(place)
    place.worktrees.remove("t-1")

    def refuse() -> None:
        raise ConfigError("t-1 is being worked on")

    with pytest.raises(ConfigError, match="being worked on"):
        restore(place, check=refuse)
    assert not place.tree.exists()
    assert place.refs("refs/heads/") == ["refs/heads/main", HEAD]


def test_no_saved_work(place: Place) -> None:
    with pytest.raises(ConfigError, match="there is no saved work of t-1"):
        restore(place)
    work(place)
    place.worktrees.remove("t-1")
    with pytest.raises(ConfigError, match="'7' is no saved work of t-1"):
        restore(place, "7")
    with pytest.raises(ConfigError, match="no saved work"):
        restore(place, "refs/heads/main")
    assert not place.tree.exists()


@pytest.mark.parametrize("ref", ["1", "t-1/1", REF, "orch/saved/t-1/1"])
def test_a_ref_may_be_short(place: Place, ref: str) -> None:
    first = work(place)
    place.worktrees.inspect(RUN, BRANCH)
    (place.tree / "more").write_text("x")
    assert place.worktrees.remove("t-1") == f"{REF}-2"
    assert restore(place, ref).work.ref == REF
    assert state(place.tree) == first


def test_the_latest_is_meant(place: Place) -> None:
    work(place)
    place.worktrees.inspect(RUN, BRANCH)
    for number in range(2, 12):
        (place.tree / "more").write_text(str(number))
        place.worktrees.inspect(RUN, BRANCH)
    place.worktrees.remove("t-1")
    assert restore(place).work.ref == f"{REF}-11"
    assert (place.tree / "more").read_text() == "11"
    assert len(find_saved(place.sample.root, "t-1")) == 11


def test_a_branch_that_is_gone_is_made_again(place: Place) -> None:
    before = work(place)
    head = place.sample.sha(HEAD)
    place.worktrees.remove("t-1")
    place.sample.git("branch", "-D", BRANCH)
    assert restore(place).tree == place.tree
    assert state(place.tree) == before
    assert place.sample.sha(HEAD) == head


def test_a_branch_that_moved_on_is_not_touched(place: Place) -> None:
    work(place)
    place.worktrees.remove("t-1")
    tip = place.sample.sha("main")
    place.sample.git("branch", "--force", BRANCH, "main")
    restored = restore(place)
    assert restored.branches == ("restored/t-1-1",)
    assert "at another commit" in restored.why
    assert place.sample.sha(HEAD) == tip
    assert place.sample.sha("restored/t-1-1") == place.sample.sha(REF)
    assert not place.tree.exists()
    again = restore(place)
    assert (again.branches, again.new) == (("restored/t-1-1",), False)


def test_a_worktree_that_moved_on_is_not_touched(place: Place) -> None:
    work(place)
    place.worktrees.inspect(RUN, BRANCH)
    place.git("reset", "--quiet", "--hard")
    place.git("clean", "-dfq")
    place.commit("more")
    before = state(place.tree)
    restored = restore(place)
    assert restored.branches == ("restored/t-1-1",)
    assert state(place.tree) == before
    place.check()


def test_a_worktree_on_another_branch_is_not_touched(place: Place) -> None:
    work(place)
    place.worktrees.inspect(RUN, BRANCH)
    place.git("reset", "--quiet", "--hard")
    place.git("clean", "-dfq")
    place.git("switch", "--quiet", "-c", "mine")
    assert "not on its branch" in restore(place).why
    assert place.git("status", "--porcelain") == ""


def test_after_a_fresh_start_the_old_line_is_a_branch(place: Place) -> None:
    work(place)
    old = place.sample.sha(HEAD)
    place.worktrees.ensure(NEXT, BRANCH, fresh=True)
    restored = restore(place)
    assert restored.branches == ("restored/t-1-1",)
    assert place.sample.sha("restored/t-1-1^") == old
    place.check()


def test_a_branch_leaves_the_worktree_alone(place: Place) -> None:
    work(place)
    place.worktrees.inspect(RUN, BRANCH)
    (place.tree / "another").write_text("mine")
    before = state(place.tree)
    assert restore(place, as_branch=True).branches == ("restored/t-1-1",)
    assert state(place.tree) == before


def test_names_of_branches_that_are_taken(place: Place) -> None:
    work(place)
    place.worktrees.inspect(RUN, BRANCH)
    place.sample.git("branch", "restored/t-1-1", "main")
    assert restore(place, as_branch=True).branches == ("restored/t-1-2",)
    assert place.sample.sha("restored/t-1-1") == place.sample.sha("main")


def test_a_branch_in_the_way_of_all_names(place: Place) -> None:
    work(place)
    place.worktrees.inspect(RUN, BRANCH)
    place.sample.git("branch", "restored", "main")
    with pytest.raises(PermanentError) as failed:
        restore(place, as_branch=True)
    assert "git branch -m" in failed.value.hint


def test_a_branch_has_no_parents_that_would_be_merged_with_it(place: Place) -> None:
    """A version that was only staged is kept by the ref, and is no part of the history."""
    place.worktrees.ensure(RUN, BRANCH)
    (place.tree / "both").write_text("staged")
    place.git("add", "both")
    (place.tree / "both").write_text("last")
    place.worktrees.inspect(RUN, BRANCH)
    assert place.sample.sha(f"{REF}^2")
    restored = restore(place, as_branch=True)
    (name,) = restored.branches
    assert place.sample.sha(f"{name}^2") == ""
    assert place.sample.sha(f"{name}^") == place.sample.sha(HEAD)
    assert place.sample.sha(f"{name}^{{tree}}") == place.sample.sha(f"{REF}^{{tree}}")
    assert not restore(place, as_branch=True).new
    place.sample.git("fsck", "--strict")


def test_commits_that_a_ref_keeps_become_branches(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    here = place.commit("here")
    place.sample.git("push", "--quiet", "origin", f"{here}:{HEAD}")
    clone = place.sample.root.with_name("clone")
    place.sample.git("clone", "--quiet", "-b", BRANCH, str(place.sample.origin), str(clone))
    there = place.sample.commit("there", "x", where=clone)
    place.sample.git("push", "--quiet", "origin", f"{there}:{HEAD}", where=clone)
    more = place.commit("more")
    place.worktrees.ensure(NEXT, BRANCH, fresh=True)
    found = restore(place)
    assert found.work.files == 0
    assert found.branches == ("restored/t-1-1", "restored/t-1-2")
    assert {place.sample.sha(name) for name in found.branches} == {more, there}
    assert restore(place).branches == found.branches
    assert not restore(place).new


def test_a_commit_that_is_on_a_branch_again_needs_none(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    sha = place.commit("here")
    place.worktrees.ensure(NEXT, BRANCH, fresh=True)
    place.sample.git("branch", "mine", sha)
    found = restore(place)
    assert (found.branches, found.new) == (("mine",), False)


def test_work_on_no_commit_at_all_becomes_a_branch(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    place.git("switch", "--quiet", "--orphan", "none")
    (place.tree / "first").write_text("x")
    place.worktrees.remove("t-1")
    found = restore(place)
    assert found.work.files == 1
    assert place.sample.files(found.branches[0]) == {"first": "x"}


def test_without_any_attempt_it_becomes_a_branch(place: Place) -> None:
    work(place)
    place.worktrees.remove("t-1")
    assert "no attempt of t-1" in restore(place, run=None).why
    assert not place.tree.exists()


@pytest.mark.parametrize("kind", ["folder", "file", "repository"])
def test_what_is_not_ours_is_not_moved(place: Place, kind: str) -> None:
    work(place)
    place.worktrees.remove("t-1")
    if kind == "file":
        place.tree.write_text("mine")
    else:
        place.tree.mkdir()
        (place.tree / "mine").write_text("mine")
    if kind == "repository":
        place.sample.git("init", "--quiet", where=place.tree)
    assert "not a worktree that orch has made" in restore(place).why
    assert (place.tree if kind == "file" else place.tree / "mine").read_text() == "mine"
    assert place.aside() == []


def test_a_worktree_that_a_person_deleted_is_made_again(place: Place) -> None:
    before = work(place)
    place.worktrees.inspect(RUN, BRANCH)
    shutil.rmtree(place.tree)
    assert restore(place).tree == place.tree
    assert state(place.tree) == before


def test_one_that_is_checked_out_elsewhere_is_told(place: Place) -> None:
    work(place)
    place.worktrees.remove("t-1")
    place.sample.git("switch", "--quiet", BRANCH)
    with pytest.raises(PermanentError, match="is checked out at"):
        restore(place)
    assert not place.tree.exists()


def test_setup_runs_in_a_new_worktree(place: Place) -> None:
    before = work(place)
    place.worktrees.remove("t-1")
    place.hooks = Hooks(setup="cp README.md setup.log", env=dict(os.environ))
    restore(place)
    assert state(place.tree) == before | {"setup.log": ("file", b"changed\n")}


def test_setup_holds_the_lock_of_the_task(place: Place) -> None:
    """So that nobody goes on in the worktree before it is over, even if orch is killed."""
    work(place)
    place.worktrees.remove("t-1")
    place.hooks = Hooks(setup="readlink /proc/$PPID/fd/* > setup.log || :", env=dict(os.environ))
    restore(place)
    assert "/t-1.flock\n" in (place.tree / "setup.log").read_text()


def test_a_failing_setup_leaves_nothing(place: Place) -> None:
    before = work(place)
    place.worktrees.remove("t-1")
    place.hooks = Hooks(setup="exit 3", env=dict(os.environ))
    with pytest.raises(PermanentError, match="setup"):
        restore(place)
    assert not place.tree.exists()
    assert not place.admin.exists()
    place.hooks = Hooks()
    restore(place)
    assert state(place.tree) == before


def test_two_at_once(place: Place) -> None:
    before = work(place)
    place.worktrees.remove("t-1")
    found = at_once(lambda: restore(place), lambda: restore(place))
    assert sorted(result.new for result in found if isinstance(result, Restored)) == [False, True]
    assert state(place.tree) == before


FULL = """
import resource, sys
from pathlib import Path
from orch.adapters.worktrees.restoring import RestoringWorktrees
from orch.core.model import RunKey
from orch.errors import OrchError
worktrees = RestoringWorktrees(*map(Path, sys.argv[1:]), base="main", warn=print)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    worktrees.restore(
        "t-1", run=RunKey("t-1", 1), branch="orch/t-1-fix", as_branch=False, check=lambda: None
    )
except OrchError as error:
    print(type(error).__name__, error)
"""


def restore_on_a_full_disk(place: Place) -> str:
    arguments = [str(path) for path in (place.sample.root, place.trees, place.runs)]
    done = subprocess.run(
        [sys.executable, "-c", FULL, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    return done.stdout + done.stderr


def test_a_full_disk_leaves_a_worktree_as_it_was(place: Place) -> None:
    after = work(place)
    place.worktrees.inspect(RUN, BRANCH)
    place.git("reset", "--quiet", "--hard")
    place.git("clean", "-dfq")
    (place.tree / "out.log").write_text("ignored")
    before = everything(place)
    assert "Error" in restore_on_a_full_disk(place)
    assert everything(place) == before
    marker = Registration(place.admin, place.admin.parents[1]).marker()
    assert marker == Marker(1, BRANCH, ready=True)
    restore(place)
    assert state(place.tree) == after | {"out.log": ("file", b"ignored")}


def test_a_full_disk_leaves_no_half_worktree(place: Place) -> None:
    after = work(place)
    place.worktrees.remove("t-1")
    assert "Error" in restore_on_a_full_disk(place)
    assert not place.tree.exists()
    restore(place)
    assert state(place.tree) == after


@pytest.mark.parametrize("there", [False, True], ids=["worktree gone", "worktree there"])
@pytest.mark.parametrize("then", ["restore", "ensure"])
def test_killed_at_any_step(tmp_path: Path, samples: Samples, there: bool, then: str) -> None:
    step = random.randrange(STRIDE)  # noqa: S311 - no secret
    while True:
        folder = tmp_path / str(step)
        (folder / "runs" / "t-1" / "1").mkdir(parents=True)
        place = Place(samples.make(folder, origin=False), folder / "trees", folder / "runs")
        after = work(place)
        if there:
            place.worktrees.inspect(RUN, BRANCH)
            place.git("reset", "--quiet", "--hard")
            place.git("clean", "-dfq")
        else:
            place.worktrees.remove("t-1")
        killed = killed_at(step, lambda place=place: restore(place))  # type: ignore[misc]
        if then == "ensure":
            # Whoever goes on has all of it, or none and can have it after.
            place.worktrees.ensure(NEXT, BRANCH)
            assert state(place.tree) == after or place.git("status", "--porcelain") == "", f"step {step}"
        assert restore(place).tree == place.tree
        assert state(place.tree) == after, f"step {step}"
        assert place.refs() == [REF]
        assert place.refs("refs/heads/") == ["refs/heads/main", HEAD]
        assert place.aside() == []
        place.worktrees.ensure(NEXT, BRANCH)
        assert state(place.tree) == after, f"step {step}"
        if not killed:
            break
        step += STRIDE
    assert step >= STRIDE


def test_git_killed_in_the_middle_of_writing(place: Place) -> None:
    """A filter of the repository ends git, as a full memory would."""
    (place.sample.root / ".git" / "info").mkdir(exist_ok=True)
    (place.sample.root / ".git" / "info" / "attributes").write_text("zz filter=deadly\n")
    after = work(place)
    (place.tree / "zz").write_text("last")
    place.worktrees.inspect(RUN, BRANCH)
    place.git("reset", "--quiet", "--hard")
    place.git("clean", "-dfq")
    place.sample.git("config", "filter.deadly.smudge", "kill -9 $PPID; cat")
    before = everything(place)
    with pytest.raises(TransientError, match="ended by signal 9"):
        restore(place)
    assert everything(place) == before
    place.sample.git("config", "--unset", "filter.deadly.smudge")
    (place.admin / "index.lock").touch()
    restore(place)
    assert state(place.tree) == after | {"zz": ("file", b"last")}


def test_orphans_are_found(place: Place) -> None:
    assert find_orphans(place.trees) == []
    for name in ("t-1-2", "t-1-2-3", "t-2-1", "strange"):
        (place.trees / ".orphans" / name).mkdir(parents=True)
    assert [orphan.path.name for orphan in find_orphans(place.trees, "t-1")] == ["t-1-2", "t-1-2-3"]
    assert {orphan.task for orphan in find_orphans(place.trees)} == {"t-1", "t-2", ""}
    shutil.rmtree(place.trees / ".orphans")
    (place.trees / ".orphans").write_text("x")
    with pytest.raises(TransientError, match="orphans"):
        find_orphans(place.trees)


def test_refs_that_are_not_ours_are_passed_over(place: Place) -> None:
    tip = place.sample.sha("main")
    place.sample.git("update-ref", "refs/orch/saved/mine", tip)
    place.sample.git("update-ref", "refs/orch/saved/t-2/1", f"{tip}:README.md")
    assert find_saved(place.sample.root) == []
