"""Worktrees converge from whatever is there."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from orch.adapters.locks import FileLock
from orch.adapters.worktrees import GitWorktrees, repair
from orch.adapters.worktrees.registration import HALF_MADE_SECONDS
from orch.core.model import RunKey
from orch.errors import ConfigError, PermanentError, TransientError
from tests.adapters.places import BRANCH, HEAD, NEXT, RUN, Place
from tests.adapters.repositories import Samples, at_once

# --- where the branch starts -----------------------------------------------------------------------------


def test_a_branch_starts_at_what_origin_has_now(place: Place) -> None:
    newest = place.sample.push_elsewhere("new.txt", "new")
    made = place.worktrees.ensure(RUN, BRANCH)
    assert made.base == newest
    assert (place.tree / "new.txt").read_text() == "new"
    assert place.sample.sha("main") != newest, "the person's own branch is not moved"
    place.check()


def test_without_an_origin_it_starts_at_the_local_base(tmp_path: Path, samples: Samples) -> None:
    sample = samples.make(tmp_path, origin=False)
    place = Place(sample, tmp_path / "trees", tmp_path / "runs")
    assert place.worktrees.ensure(RUN, BRANCH).base == sample.sha("main")
    place.check()


def test_an_origin_without_the_base_leaves_the_local_one(place: Place) -> None:
    shutil.rmtree(place.sample.origin)
    place.sample.git("init", "--quiet", "--bare", str(place.sample.origin))
    place.sample.git("update-ref", "-d", "refs/remotes/origin/main")
    assert place.worktrees.ensure(RUN, BRANCH).base == place.sample.sha("main")


def test_an_origin_that_cannot_be_reached_is_transient(place: Place) -> None:
    place.sample.origin.rename(place.sample.origin.with_name("away"))
    with pytest.raises(TransientError, match="cannot fetch from origin"):
        place.worktrees.ensure(RUN, BRANCH)
    assert not place.tree.exists()
    place.sample.origin.with_name("away").rename(place.sample.origin)
    place.worktrees.ensure(RUN, BRANCH)
    place.check()


def test_a_retry_needs_no_origin(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    place.commit("a.txt")
    place.worktrees.remove("t-1")
    shutil.rmtree(place.sample.origin)
    place.worktrees.ensure(NEXT, BRANCH)
    assert (place.tree / "a.txt").exists()
    place.check()


def test_a_missing_base_branch_is_told(place: Place) -> None:
    worktrees = GitWorktrees(place.sample.root, place.trees, place.runs, base="trunk", warn=pytest.fail)
    with pytest.raises(PermanentError, match="'trunk' does not exist"):
        worktrees.ensure(RUN, BRANCH)


def test_a_branch_that_another_machine_left_on_origin_is_gone_on_with(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    there = place.commit("there.txt")
    place.git("push", "--quiet", "origin", BRANCH)
    place.worktrees.remove("t-1")
    place.sample.git("update-ref", "-d", HEAD)
    place.sample.git("update-ref", "-d", f"refs/remotes/origin/{BRANCH}")
    place.worktrees.ensure(RUN, BRANCH)
    assert place.git("rev-parse", "HEAD") == there
    place.check()


def test_what_somebody_pushed_on_top_of_the_branch_is_gone_on_with(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    place.commit("a.txt")
    place.git("push", "--quiet", "origin", BRANCH)
    place.worktrees.remove("t-1")
    theirs = place.sample.push_elsewhere("theirs.txt", "theirs", branch=BRANCH)
    newest = place.sample.push_elsewhere("new.txt", "new")
    place.worktrees.ensure(NEXT, BRANCH)
    assert place.git("rev-parse", "HEAD") == theirs
    assert place.git("rev-parse", "origin/main") == newest, "the base can be merged as it is now"
    place.check()


def test_what_others_pushed_elsewhere_does_not_replace_the_branch(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    first = place.commit("a.txt")
    place.git("push", "--quiet", "origin", BRANCH)
    ours = place.commit("b.txt")
    place.worktrees.remove("t-1")
    place.sample.push_elsewhere("theirs.txt", "theirs", branch=BRANCH)
    place.worktrees.ensure(NEXT, BRANCH)
    assert place.git("rev-parse", "HEAD") == ours
    assert place.git("merge-base", "HEAD", f"origin/{BRANCH}") == first
    place.check()


def test_a_leftover_branch_without_work_starts_at_the_newest_base(place: Place) -> None:
    place.sample.git("branch", BRANCH)
    newest = place.sample.push_elsewhere("new.txt", "new")
    place.worktrees.ensure(RUN, BRANCH)
    assert place.git("rev-parse", "HEAD") == newest
    place.check()


def test_a_follow_up_of_merged_work_starts_at_the_newest_base(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    place.commit("a.txt")
    place.git("push", "--quiet", "origin", "HEAD:main")
    place.worktrees.remove("t-1")
    newest = place.sample.push_elsewhere("new.txt", "new")
    place.worktrees.ensure(NEXT, BRANCH)
    assert place.git("rev-parse", "HEAD") == newest
    assert place.worktrees.inspect(NEXT, BRANCH).commits == ()


# --- what may be in the way ------------------------------------------------------------------------------


def test_a_registered_worktree_whose_folder_is_gone(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    place.commit("a.txt")
    shutil.rmtree(place.tree)
    assert place.worktrees.inspect(RUN, BRANCH).commits == ("Change a.txt",)
    place.worktrees.ensure(RUN, BRANCH)
    assert (place.tree / "a.txt").exists()
    place.check()


def test_commits_on_a_detached_head_survive_a_folder_that_is_gone(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    place.git("checkout", "--quiet", "--detach")
    loose = place.commit("a.txt")
    shutil.rmtree(place.tree)
    place.worktrees.ensure(NEXT, BRANCH)
    assert place.sample.sha("refs/orch/saved/t-1/2") == loose
    place.check()


def test_a_folder_that_is_not_gits_is_put_aside_whole(place: Place) -> None:
    place.tree.mkdir(parents=True)
    (place.tree / "precious.log").write_text("mine")
    place.worktrees.ensure(RUN, BRANCH)
    place.check()
    assert [path.name for path in place.aside()] == ["t-1-1"]
    assert (place.aside()[0] / "precious.log").read_text() == "mine"
    assert "t-1-1" in place.warnings[0]


def test_a_pruned_worktree_is_put_aside_whole(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    place.commit("a.txt")
    (place.tree / "uncommitted").write_text("work")
    shutil.rmtree(place.admin)
    place.worktrees.ensure(NEXT, BRANCH)
    place.check()
    assert (place.tree / "a.txt").exists()
    assert (place.aside()[0] / "uncommitted").read_text() == "work"
    shutil.rmtree(place.admin)
    place.worktrees.ensure(NEXT, BRANCH)
    assert len(place.aside()) == 2


def test_removing_what_is_not_gits_puts_it_aside(place: Place) -> None:
    place.tree.mkdir(parents=True)
    (place.tree / "precious").write_text("mine")
    assert place.worktrees.remove("t-1") == ""
    assert not place.tree.exists()
    assert (place.aside()[0] / "precious").read_text() == "mine"


def test_an_empty_folder_is_no_obstacle(place: Place) -> None:
    place.tree.mkdir(parents=True)
    place.worktrees.ensure(RUN, BRANCH)
    place.check()
    assert not place.aside()


def test_a_file_in_the_way_is_put_aside(place: Place) -> None:
    place.trees.mkdir()
    place.tree.write_text("mine")
    place.worktrees.ensure(RUN, BRANCH)
    place.check()
    assert place.aside()[0].read_text() == "mine"


def test_a_worktree_that_a_person_made_is_put_aside(place: Place) -> None:
    place.sample.git("worktree", "add", "--quiet", "-b", BRANCH, str(place.tree))
    (place.tree / "work").write_text("mine")
    place.worktrees.ensure(RUN, BRANCH)
    place.check()
    assert (place.aside()[0] / "work").read_text() == "mine"
    assert place.sample.files("refs/orch/saved/t-1/1")["work"] == "mine"


# --- half-made worktrees ---------------------------------------------------------------------------------


def half_made(place: Place) -> None:
    """As `ensure` leaves it when it is killed while files are being checked out."""
    place.worktrees.ensure(RUN, BRANCH)
    marker = place.admin / "orch.json"
    marker.write_text(marker.read_text().replace("true", "false"))


@pytest.mark.parametrize("gone", [["README.md"], ["README.md", "src/app.py", ".gitignore"]])
def test_files_missing_from_a_half_done_checkout_are_no_deletions(place: Place, gone: list[str]) -> None:
    half_made(place)
    for name in gone:
        (place.tree / name).unlink()
    assert place.worktrees.inspect(RUN, BRANCH).uncommitted == 0
    place.worktrees.ensure(RUN, BRANCH)
    place.check()
    assert place.refs() == []


def test_a_half_done_checkout_with_its_lock_and_without_an_index(place: Place) -> None:
    half_made(place)
    (place.admin / "index").rename(place.admin / "index.lock")
    (place.tree / "README.md").write_text("")
    place.worktrees.ensure(RUN, BRANCH)
    place.check()


@pytest.mark.parametrize("left", [["gitdir", "commondir", "HEAD"], ["gitdir", "commondir"], ["gitdir"]])
def test_worktree_add_killed_before_it_was_done(place: Place, left: list[str]) -> None:
    half_made(place)
    for path in place.admin.iterdir():
        if path.name not in left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (place.admin / "locked").write_text("initializing\n")
    for path in place.tree.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    place.worktrees.ensure(RUN, BRANCH)
    place.check()
    assert not place.aside()


def test_worktree_add_killed_before_it_named_its_worktree(place: Place) -> None:
    place.admin.mkdir(parents=True)
    (place.admin / "locked").write_text("initializing\n")
    long_ago = time.time() - HALF_MADE_SECONDS - 1
    os.utime(place.admin, (long_ago, long_ago))
    place.worktrees.ensure(RUN, BRANCH)
    place.check()
    assert [path.name for path in place.admin.parent.iterdir()] == ["t-1"]


@pytest.mark.parametrize("empty", ["commondir", "HEAD", "nothing"])
def test_worktree_add_killed_elsewhere_is_in_nobodys_way(place: Place, empty: str) -> None:
    other = unfinished(place, "t-4", empty)
    if empty == "commondir":
        assert "fatal" in place.sample.git("worktree", "list", fails=True) + fetch(place)
    place.worktrees.ensure(RUN, BRANCH)
    place.check()
    assert not other.exists()
    made = place.worktrees.ensure(RunKey("t-4", 1), "orch/t-4")
    assert place.sample.git("status", "--porcelain", where=made.path) == ""
    assert not place.aside()


def test_what_a_killed_worktree_add_left_is_gone_after_the_start(place: Place, tmp_path: Path) -> None:
    other = unfinished(place, "t-4", "commondir")
    persons = unfinished(place, "mine", "nothing", tmp_path / "elsewhere")
    (persons / "HEAD").write_text(place.sample.sha("HEAD") + "\n")
    lock = place.sample.root / ".git" / f"{HEAD}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    repair(place.sample.root, place.trees)
    assert not other.exists()
    assert not lock.exists()
    assert persons.exists()
    assert fetch(place) == ""


def test_a_worktree_add_that_is_at_work_under_the_lock_is_waited_for(place: Place) -> None:
    other = unfinished(place, "t-4", "nothing")
    listed = FileLock(place.sample.root / ".git" / "orch" / "worktrees.flock")

    def add() -> None:
        with listed.hold():
            inside.set()
            time.sleep(0.05)
            assert other.exists(), "whoever holds the lock is not disturbed"

    inside = threading.Event()

    def ensure() -> None:
        inside.wait()
        place.worktrees.ensure(RUN, BRANCH)

    assert at_once(add, ensure) == [None, None]
    place.check()


def unfinished(place: Place, name: str, empty: str, folder: Path | None = None) -> Path:
    """git's record of a worktree as `git worktree add` leaves it that is killed in the middle."""
    admin = place.sample.root / ".git" / "worktrees" / name
    tree = (folder or place.trees) / name
    admin.mkdir(parents=True)
    tree.mkdir(parents=True)
    (tree / ".git").write_text(f"gitdir: {admin}\n")
    texts = {"locked": "initializing\n", "gitdir": f"{tree}/.git\n", "HEAD": "0" * 40, "commondir": "../..\n"}
    for file, text in texts.items():
        (admin / file).write_text("" if file == empty else text)
    return admin


def fetch(place: Place) -> str:
    """What is wrong with a fetch, '' if nothing."""
    done = subprocess.run(
        ["git", "fetch", "--quiet", "origin"],
        cwd=place.sample.root,
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stderr if done.returncode else ""


def test_a_worktree_add_at_work_is_left_alone(place: Place) -> None:
    place.admin.mkdir(parents=True)
    (place.admin / "locked").write_text("initializing\n")
    place.worktrees.ensure(RUN, BRANCH)
    place.check()
    assert (place.admin / "locked").exists()
    assert place.worktrees.remove("t-1") == ""
    assert (place.admin / "locked").exists()


# --- what an agent may have done -------------------------------------------------------------------------


def test_another_branch_in_the_worktree_is_left_for_the_tasks_own(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    place.git("checkout", "--quiet", "-b", "other")
    other = place.commit("other.txt")
    (place.tree / "uncommitted").write_text("work")
    found = place.worktrees.inspect(RUN, BRANCH)
    assert (found.commits, found.uncommitted) == ((), 1)
    place.worktrees.ensure(NEXT, BRANCH)
    place.check()
    assert not (place.tree / "other.txt").exists()
    assert place.sample.sha("refs/heads/other") == other
    assert place.sample.files("refs/orch/saved/t-1/2")["uncommitted"] == "work"


def test_commits_on_a_detached_head_are_kept(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    place.git("checkout", "--quiet", "--detach")
    loose = place.commit("loose.txt")
    found = place.worktrees.inspect(RUN, BRANCH)
    assert found.saved == "refs/orch/saved/t-1/1"
    assert place.sample.sha(found.saved) == loose
    place.worktrees.ensure(NEXT, BRANCH)
    place.check()


def test_a_detached_head_that_a_branch_holds_needs_no_saving(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    place.git("checkout", "--quiet", "--detach")
    assert place.worktrees.inspect(RUN, BRANCH).saved == ""
    place.worktrees.ensure(NEXT, BRANCH)
    place.check()


def test_a_merge_under_way_is_left_to_the_next_attempt(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    place.commit("README.md", "ours")
    place.sample.push_elsewhere("README.md", "theirs")
    place.git("fetch", "--quiet", "origin")
    place.git("merge", "origin/main", fails=True)
    found = place.worktrees.inspect(RUN, BRANCH)
    assert found.uncommitted == 1
    assert "<<<<<<<" in place.sample.files(found.saved)["README.md"]
    place.worktrees.ensure(NEXT, BRANCH)
    assert "UU README.md" in place.git("status", "--porcelain")
    assert place.worktrees.remove("t-1") == "refs/orch/saved/t-1/2"


def test_a_rebase_under_way_is_left_to_the_next_attempt_and_ends_with_a_fresh_one(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    head = place.commit("README.md", "ours")
    place.sample.push_elsewhere("README.md", "theirs")
    place.git("fetch", "--quiet", "origin")
    place.git("rebase", "origin/main", fails=True)
    place.worktrees.ensure(NEXT, BRANCH)
    assert (place.admin / "rebase-merge").is_dir()
    place.worktrees.ensure(NEXT, BRANCH, fresh=True)
    place.check()
    assert not (place.admin / "rebase-merge").exists()
    assert head in place.sample.git("rev-list", "--glob=refs/orch/saved")


def test_what_a_rebase_has_stashed_is_kept(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    place.commit("README.md", "ours")
    (place.tree / "src" / "app.py").write_text("stashed away")
    place.sample.push_elsewhere("README.md", "theirs")
    place.git("fetch", "--quiet", "origin")
    place.git("rebase", "--autostash", "origin/main", fails=True)
    stash = (place.admin / "rebase-merge" / "autostash").read_text().strip()
    (place.tree / "README.md").write_text("solved")
    ref = place.worktrees.remove("t-1")
    assert stash in place.sample.git("rev-list", ref)


def test_a_git_file_that_leads_elsewhere_is_not_followed(place: Place, tmp_path: Path) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    (place.tree / "work").write_text("mine")
    (place.tree / ".git").write_text(f"gitdir: {tmp_path / 'evil'}\n")
    place.sample.git("init", "--quiet", "--bare", str(tmp_path / "evil"))
    found = place.worktrees.inspect(RUN, BRANCH)
    assert place.sample.files(found.saved)["work"] == "mine"
    with pytest.raises(PermanentError, match=r"\.git"):
        place.worktrees.remove("t-1")
    assert (place.tree / "work").exists()
    place.worktrees.ensure(NEXT, BRANCH)
    place.check()
    assert (place.aside()[0] / "work").read_text() == "mine"


def test_a_repository_of_its_own_in_place_of_the_worktree_is_put_aside(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    (place.tree / ".git").unlink()
    place.git("init", "--quiet", "-b", "main")
    own = place.commit("own.txt")
    place.worktrees.ensure(NEXT, BRANCH)
    place.check()
    assert place.sample.git("rev-parse", "HEAD", where=place.aside()[0]) == own


def test_a_missing_git_file_costs_nothing(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    (place.tree / "work").write_text("mine")
    (place.tree / ".git").unlink()
    ref = place.worktrees.remove("t-1")
    assert place.sample.files(ref)["work"] == "mine"
    place.worktrees.ensure(NEXT, BRANCH)
    place.check()


def test_a_deleted_branch_begins_again(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    place.commit("a.txt", "mine")
    place.git("update-ref", "-d", HEAD)
    place.worktrees.ensure(NEXT, BRANCH)
    place.check()
    assert place.sample.files("refs/orch/saved/t-1/2")["a.txt"] == "mine"


def test_a_damaged_index_costs_nothing(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    (place.tree / "work").write_text("mine")
    (place.admin / "index").write_bytes(b"\0" * 100)
    found = place.worktrees.inspect(RUN, BRANCH)
    assert found.uncommitted == 1
    assert place.sample.files(found.saved).keys() == {"README.md", "src/app.py", ".gitignore", "work"}
    (place.admin / "index").unlink()
    assert place.worktrees.inspect(RUN, BRANCH) == found


# --- checked out elsewhere -------------------------------------------------------------------------------


def test_a_branch_that_a_person_has_checked_out_is_told(place: Place) -> None:
    place.sample.git("checkout", "--quiet", "-b", BRANCH)
    place.sample.commit("a.txt", "x")
    with pytest.raises(PermanentError, match="is checked out at") as caught:
        place.worktrees.ensure(RUN, BRANCH)
    assert str(place.sample.root) in caught.value.message
    assert "another branch" in caught.value.hint
    place.sample.git("checkout", "--quiet", "main")
    place.worktrees.ensure(RUN, BRANCH)
    place.check()


def test_a_branch_that_a_vanished_worktree_still_claims_is_freed(place: Place, tmp_path: Path) -> None:
    elsewhere = tmp_path / "old-trees" / "t-1"
    place.sample.git("worktree", "add", "--quiet", "-b", BRANCH, str(elsewhere))
    place.sample.commit("a.txt", "x", where=elsewhere)
    shutil.rmtree(elsewhere)
    place.worktrees.ensure(RUN, BRANCH)
    place.check()
    assert (place.tree / "a.txt").exists()


def test_a_branch_in_the_way_of_all_of_ours_is_told(place: Place) -> None:
    place.sample.git("branch", "orch")
    with pytest.raises(PermanentError, match="cannot create") as caught:
        place.worktrees.ensure(RUN, BRANCH)
    assert "rename" in caught.value.hint


# --- locks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["index.lock", "HEAD.lock"])
def test_a_lock_of_a_dead_git_is_removed(place: Place, name: str) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    (place.admin / name).touch()
    place.worktrees.ensure(NEXT, BRANCH)
    assert not (place.admin / name).exists()
    place.commit("a.txt")


def test_a_lock_of_our_branch_is_removed(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    lock = place.sample.root / ".git" / "refs" / "heads" / f"{BRANCH}.lock"
    lock.touch()
    place.worktrees.ensure(NEXT, BRANCH)
    assert not lock.exists()


def test_locks_elsewhere_are_left_alone(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    lock = place.sample.root / ".git" / "index.lock"
    lock.touch()
    place.worktrees.ensure(NEXT, BRANCH)
    assert lock.exists()


def test_a_lock_that_a_process_has_open_is_kept(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    lock = place.admin / "index.lock"
    code = "import sys; file = open(sys.argv[1], 'w'); print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdin is not None
        owner.stdout.readline()
        with pytest.raises(TransientError, match=f"process {owner.pid}"):
            place.worktrees.ensure(NEXT, BRANCH)
        assert lock.exists()
        owner.stdin.close()
        owner.wait()
    place.worktrees.ensure(NEXT, BRANCH)
    assert not lock.exists()


def test_a_lock_while_a_git_is_at_work_there_is_kept(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    lock = place.admin / "index.lock"
    lock.touch()
    with subprocess.Popen(
        ["git", "cat-file", "--batch"], cwd=place.tree, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdin is not None
        assert owner.stdout is not None
        owner.stdin.write(b"HEAD\n")
        owner.stdin.flush()
        owner.stdout.readline()
        with pytest.raises(TransientError, match=f"process {owner.pid}"):
            place.worktrees.ensure(NEXT, BRANCH)
        owner.stdin.close()
        owner.wait()
    place.worktrees.ensure(NEXT, BRANCH)


def test_what_a_person_locked_is_not_removed(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    place.sample.git("worktree", "lock", "--reason", "mine now", str(place.tree))
    with pytest.raises(PermanentError, match="mine now"):
        place.worktrees.remove("t-1")
    place.worktrees.ensure(NEXT, BRANCH)
    place.sample.git("worktree", "unlock", str(place.tree))
    place.worktrees.remove("t-1")
    assert not place.tree.exists()


# --- and the rest ----------------------------------------------------------------------------------------


def test_a_hostile_branch_is_refused(place: Place) -> None:
    for branch in ("", "-b", "a..b", "a/", "a b", "a.lock", "--help", "a\nb", "a~1", "@{-1}"):
        with pytest.raises(PermanentError, match="not the name of a branch"):
            place.worktrees.ensure(RUN, branch)
        with pytest.raises(PermanentError, match="not the name of a branch"):
            place.worktrees.inspect(RUN, branch)


def test_the_folder_of_the_worktrees_may_be_a_link(place: Place, tmp_path: Path) -> None:
    (tmp_path / "big-disk").mkdir()
    place.trees.symlink_to(tmp_path / "big-disk")
    made = place.worktrees.ensure(RUN, BRANCH)
    assert made.path == tmp_path / "big-disk" / "t-1"
    place.worktrees.ensure(NEXT, BRANCH)
    assert place.worktrees.list() == {"t-1": made.path}
    place.worktrees.remove("t-1")
    assert not made.path.exists()


def test_worktrees_may_lie_inside_the_repository(place: Place) -> None:
    place.trees = place.sample.root / "trees"
    place.worktrees.ensure(RUN, BRANCH)
    place.check()
    place.worktrees.remove("t-1")


@pytest.mark.parametrize("up", ["", ".."])
def test_worktrees_around_the_repository_are_refused(place: Place, up: str) -> None:
    with pytest.raises(ConfigError):
        GitWorktrees(place.sample.root, place.sample.root / up, place.runs, base="main", warn=pytest.fail)


def test_the_same_task_from_two_sides_at_once(place: Place) -> None:
    results = at_once(*[lambda: place.worktrees.ensure(RUN, BRANCH) for _ in range(4)])
    assert [str(result) for result in results] == [str(results[0])] * 4
    assert not isinstance(results[0], Exception), results
    place.check()
