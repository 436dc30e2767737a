"""What becomes of git's lock files that nobody removed: git was killed, or the power failed."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orch.adapters import git, git_locks
from orch.adapters.forge.local import LocalForge
from orch.adapters.repository import GitRepository
from orch.config.environment import without_maintenance
from orch.errors import PermanentError, ShortageError, TransientError
from orch.ports import PullDraft
from tests.adapters.places import BRANCH, HEAD, NEXT, RUN, Place
from tests.adapters.repositories import ENVIRONMENT

SAVED = "refs/orch/saved/t-1/1"
TRACKING = f"refs/remotes/origin/{BRANCH}"


def leave(place: Place, name: str) -> Path:
    """A lock file as a git leaves it that is killed with SIGKILL: with or without content, and not open."""
    path = place.sample.root / ".git" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("0" * 40 + "\n")
    return path


@contextmanager
def held(path: Path) -> Iterator[int]:
    """Somebody has the file open; gives the pid."""
    code = "import sys; file = open(sys.argv[1], 'a'); print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdin is not None
        owner.stdout.readline()
        yield owner.pid
        owner.stdin.close()


def publish(place: Place) -> int:
    forge = LocalForge(place.sample.root, place.runs / "pulls", base="main", now=lambda: 1.0)
    return forge.publish(PullDraft(BRANCH, "title", "body")).number


# --- refs of orch's own ------------------------------------------------------------------------------


def test_a_lock_of_a_saved_ref_does_not_keep_work_from_being_saved(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    (place.tree / "work").write_text("mine")
    lock = leave(place, SAVED)
    assert place.worktrees.inspect(RUN, BRANCH).saved == SAVED
    assert place.sample.files(SAVED)["work"] == "mine"
    lock = leave(place, "refs/orch/saved/t-1/2")
    (place.tree / "work").write_text("more")
    assert place.worktrees.inspect(NEXT, BRANCH).saved == "refs/orch/saved/t-1/2"
    assert not lock.exists()
    lock = leave(place, "refs/orch/saved/t-1/1-2")
    (place.tree / "work").write_text("again")
    assert place.worktrees.remove("t-1") == "refs/orch/saved/t-1/1-2"
    assert not lock.exists()


def test_a_lock_of_the_branch_does_not_keep_the_worktree_from_being_made(place: Place) -> None:
    lock = leave(place, HEAD)
    place.worktrees.ensure(RUN, BRANCH)
    assert not lock.exists()
    place.check()


def test_a_lock_of_the_branch_at_origin_does_not_keep_it_from_being_fetched(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    there = place.commit("there.txt")
    place.git("push", "--quiet", "origin", BRANCH)
    place.worktrees.remove("t-1")
    place.sample.git("update-ref", "-d", HEAD)
    place.sample.git("update-ref", "-d", TRACKING)
    lock = leave(place, TRACKING)
    place.worktrees.ensure(RUN, BRANCH)
    assert place.git("rev-parse", "HEAD") == there
    assert not lock.exists()


def test_locks_do_not_keep_a_branch_from_being_published(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    place.commit("a.txt")
    locks = [leave(place, "refs/pull/1/head"), leave(place, TRACKING)]
    assert publish(place) == 1
    assert not locks[0].exists()
    head = place.commit("b.txt")
    leave(place, "refs/pull/1/head")
    assert publish(place) == 1
    assert place.sample.sha("refs/pull/1/head") == head
    assert place.sample.sha(HEAD, where=place.sample.origin) == head


def test_a_lock_of_orchs_own_that_is_held_is_kept(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    (place.tree / "work").write_text("mine")
    lock = leave(place, SAVED)
    with held(lock) as pid:
        with pytest.raises(TransientError, match=f"is held by process {pid} ") as caught:
            place.worktrees.inspect(RUN, BRANCH)
        assert caught.value.retry_after == git_locks.RETRY_SECONDS
        assert not isinstance(caught.value, ShortageError)
        assert lock.exists()
    assert place.worktrees.inspect(RUN, BRANCH).saved == SAVED


def test_what_is_left_of_orchs_own_is_removed_at_the_start(place: Place) -> None:
    common = place.sample.root / ".git"
    ours = [leave(place, name) for name in (HEAD, SAVED, TRACKING, "refs/pull/7/head")]
    held_one = leave(place, "refs/orch/saved/t-2/1")
    other = leave(place, "refs/heads/main")
    with held(held_one):
        git_locks.discard_left(common)
        assert [path for path in (*ours, held_one, other) if path.exists()] == [held_one, other]
    git_locks.discard_left(common)
    assert [path for path in (held_one, other) if path.exists()] == [other]


# --- git maintenance ---------------------------------------------------------------------------------


def pack_often(place: Place) -> Callable[[], int]:
    """Have git find that there is something to do, and not do it in the background; counts the packs."""
    sample = place.sample
    for number in range(3):
        sample.commit(f"file-{number}", "text")
        sample.git("repack", "-q")
    for setting in ("gc.autoPackLimit=1", "gc.autoDetach=false", "maintenance.autoDetach=false"):
        sample.git("config", *setting.split("="))
    return lambda: len(list((sample.root / ".git" / "objects" / "pack").glob("*.pack")))


def test_the_repository_is_put_in_order_although_a_maintenance_was_killed(place: Place) -> None:
    count = pack_often(place)
    assert count() >= 3
    lock = leave(place, "objects/maintenance")
    repository = GitRepository(place.sample.root)
    with held(lock):
        repository.tend()
        assert lock.exists()
        assert count() >= 3
    repository.tend()
    assert not lock.exists()
    assert count() == 1


def test_neither_other_calls_nor_workers_put_it_in_order(place: Place) -> None:
    count = pack_often(place)
    packs = count()
    git.run(place.sample.root, "maintenance", "run", "--auto", "--quiet")
    env = without_maintenance(ENVIRONMENT)
    for command in (("commit", "-q", "--allow-empty", "-m", "Work"), ("gc", "--auto")):
        subprocess.run(["git", *command], cwd=place.sample.root, env=env, check=True)
    assert count() == packs
    subprocess.run(
        ["git", "commit", "-q", "--allow-empty", "-m", "By hand"], cwd=place.sample.root, check=True
    )
    assert count() == 1


# --- all others --------------------------------------------------------------------------------------


def test_a_lock_of_the_persons_own_is_told_and_left(place: Place) -> None:
    place.sample.push_elsewhere("new.txt", "new")
    lock = leave(place, "refs/remotes/origin/main")
    with pytest.raises(TransientError, match=f"{lock} was left by a git that was killed") as caught:
        place.worktrees.ensure(RUN, BRANCH)
    assert caught.value.hint == f"rm {lock}"
    assert isinstance(caught.value.__cause__, TransientError)
    assert isinstance(caught.value.__cause__.__cause__, ShortageError), "it is nobody's fault"
    assert lock.exists()
    lock.unlink()
    place.worktrees.ensure(RUN, BRANCH)
    place.check()


def test_a_lock_of_the_persons_own_that_is_held_passes(place: Place) -> None:
    lock = leave(place, "index")
    (place.sample.root / "README.md").write_text("changed")
    with held(lock) as pid, pytest.raises(TransientError, match=f"is held by process {pid} "):
        git.run(place.sample.root, "add", "README.md")
    with pytest.raises(git_locks.LeftLockError, match="was left by a git that was killed"):
        git.run(place.sample.root, "add", "README.md")
    assert lock.exists()


def test_doctor_names_the_locks_that_a_person_has_to_remove(place: Place) -> None:
    common = place.sample.root / ".git"
    place.worktrees.ensure(RUN, BRANCH)
    assert git_locks.check_locks(common) == []
    left = {leave(place, name) for name in ("index", "config", "packed-refs", "refs/heads/main")}
    left.add(leave(place, "worktrees/t-1/HEAD"))
    ours = leave(place, SAVED)
    findings = git_locks.check_locks(common)
    assert {finding.do for finding in findings} == {f"rm {path}" for path in left}
    assert {finding.ok for finding in findings} == {False}
    assert set(git_locks.find_left(common)) == {*left, ours}
    with held(common / "index.lock"):
        assert common / "index.lock" not in git_locks.find_left(common)


# --- what git only repeats ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        "remote: Unable to create '{lock}': File exists.",
        "Unable to create '{lock}': Permission denied",
        "Unable to create '{lock}.lock': File exists.",
        "Unable to create '/etc/passwd.lock': File exists.",
        "Unable to create 'refs/orch/../../../outside.lock': File exists.",
    ],
)
def test_what_is_no_lock_of_this_git_changes_nothing(place: Place, said: str) -> None:
    lock = leave(place, SAVED)
    outside = place.sample.root.parent / "outside.lock"
    outside.touch()
    where = place.sample.root / ".git"
    assert not git_locks.resolve(where, "error: cannot lock ref; " + said.format(lock=lock))
    assert lock.exists()
    assert outside.exists()


def test_a_link_in_the_place_of_a_lock_is_not_followed(place: Place) -> None:
    precious = place.sample.root.parent / "precious"
    precious.write_text("x")
    lock = place.sample.root / ".git" / f"{SAVED}.lock"
    lock.parent.mkdir(parents=True)
    lock.symlink_to(precious)
    with pytest.raises((TransientError, PermanentError)):
        git.run(place.sample.root, "update-ref", SAVED, "HEAD")
    assert precious.read_text() == "x"
    assert lock.is_symlink()
