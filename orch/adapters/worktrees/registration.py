"""git's own record of a worktree: the folder `worktrees/<name>` in the common git directory.

    gitdir    the path of the worktree's .git file      HEAD   its branch, or a commit
    locked    why it must not be pruned                 index  its index
    orch.json our marker: `making` until the files are checked out and set up, then `ready`

The layout is gitrepository-layout(5). It is read directly: a look costs no process, and a half-made
record, which makes git itself stumble, can be looked at too. A worktree's own `.git` file is only
believed where git's record agrees: an agent may have put another one there.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from orch.adapters import git, git_locks
from orch.adapters.locks import FileLock
from orch.adapters.store import atomic, records
from orch.core.names import is_task_id
from orch.core.values import dataclass
from orch.errors import OrchError, TransientError

HALF_MADE_SECONDS = 600.0
"""`git worktree add` names its worktree within milliseconds: an older record without is a dead one's."""

WARM = ".warm"
"""The folder in that of the worktrees where ready ones wait for a task, see `pool`."""

_MARKER = "orch.json"
_SMALL = 64 * 1024


@dataclass(frozen=True, slots=True)
class Marker:
    """What orch knows about a worktree."""

    attempt: int
    """The latest attempt that works here."""
    branch: str
    ready: bool = False
    """False while files are being checked out: what is missing then was never deleted by anyone."""


@dataclass(frozen=True, slots=True)
class Registration:
    """One record of git's."""

    admin: Path
    """The folder that holds it."""
    common: Path
    """The common git directory."""

    @property
    def git_arguments(self) -> tuple[str, ...]:
        """For git commands in the worktree: never mind what its .git file says."""
        return (f"--git-dir={self.admin}", "--work-tree=.")

    @property
    def branch(self) -> str:
        """The branch that is checked out, or being rebased, '' for a detached HEAD."""
        head = self._head()
        for state in ("rebase-merge", "rebase-apply"):
            head = _text(self.admin / state / "head-name") or head
        return head.removeprefix("ref: ").removeprefix("refs/heads/") if "refs/heads/" in head else ""

    @property
    def detached(self) -> bool:
        """Whether HEAD names a commit (also in the middle of a rebase)."""
        return not self._head().startswith("ref: ")

    @property
    def commit(self) -> str:
        """The commit that is checked out where that is no branch, else ''."""
        return self._head() if self.detached else ""

    @property
    def autostash(self) -> str:
        """The commit in which a rebase or merge under way keeps changes, ''."""
        places = ("rebase-merge/autostash", "rebase-apply/autostash", "MERGE_AUTOSTASH")
        return next((sha for name in places if (sha := _text(self.admin / name))), "")

    @property
    def locked(self) -> str | None:
        """Why a person locked it, None where nobody has. A killed `worktree add` does not count."""
        reason = _text(self.admin / "locked") if (self.admin / "locked").exists() else "initializing"
        return None if reason == "initializing" else reason

    @property
    def initializing(self) -> bool:
        """Whether `git worktree add` is still at it, or was killed then."""
        return _text(self.admin / "locked") == "initializing"

    @property
    def path(self) -> Path | None:
        """Where the worktree is, None where the record does not say."""
        pointer = _text(self.admin / "gitdir")
        return _real(self.admin / pointer).parent if pointer else None

    def marker(self) -> Marker | None:
        """Ours, None where there is none or it cannot be read."""
        try:
            return records.read(self.admin / _MARKER, Marker)
        except OrchError:
            return None

    def mark(self, marker: Marker) -> None:
        """Write our marker. Raises TransientError where that cannot be done."""
        atomic.write(self.admin / _MARKER, records.encode(marker), durable=marker.ready)

    def discard(self) -> None:
        """Take the record away, in one step. Nothing happens if it is gone."""
        grave = self.common / "orch" / "removed"
        atomic.make_folder(grave)
        name = grave / f"{self.admin.name}.{os.getpid()}.{time.monotonic_ns()}"
        try:
            self.admin.rename(name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise atomic.failure("remove", self.admin, error) from error
        for entry in grave.iterdir():
            shutil.rmtree(entry, ignore_errors=True)

    def _head(self) -> str:
        head = _text(self.admin / "HEAD")
        if head == "ref: refs/heads/.invalid":  # The reftable format keeps it elsewhere.
            found = git.run(self.admin, "symbolic-ref", "--quiet", "HEAD", accept=(0, 1))
            return f"ref: {found.text}" if found.text else ""
        return head


def find(common: Path, tree: Path) -> list[Registration]:
    """The records that say they are for the worktree at `tree`; more than one only after a mishap."""
    return [entry for entry in every(common) if entry.path == tree]


def points_at(tree: Path, registration: Registration) -> bool:
    """Whether the worktree's .git file is the one that git made for this record."""
    pointer = tree / ".git"
    if pointer.is_symlink() or not pointer.is_file():
        return False
    return _real(tree / _text(pointer).removeprefix("gitdir:").strip()) == registration.admin


def discard_missing(common: Path, branch: str, keep: Path) -> bool:
    """Take away records of vanished worktrees that still claim `branch`; says whether there were any.

    What a person locked stays: it may be on a disk that is not plugged in.
    """
    found = False
    for entry in every(common):
        path = entry.path
        if path is None or path == keep or entry.locked is not None or entry.branch != branch:
            continue
        if not os.path.lexists(path):
            entry.discard()
            found = True
    return found


def discard_half_made(common: Path, task: str) -> None:
    """Take away what a `worktree add` for this task left that was killed before it named its worktree."""
    for entry in every(common):
        rest = entry.admin.name.removeprefix(task)
        if entry.path is not None or not (entry.admin.name == task + rest and (not rest or rest.isdecimal())):
            continue
        with contextlib.suppress(OSError):
            if time.time() - entry.admin.stat().st_mtime > HALF_MADE_SECONDS:
                entry.discard()


def discard_killed(common: Path, trees: Path, lock: FileLock) -> None:
    """Take away what a killed `worktree add` left of any worktree in `trees`.

    Its files may be empty, and then `git fetch`, `git gc` and `git worktree list` fail in the whole
    repository. `lock` is the one under which orch has git add worktrees: where we hold it, none is at it.
    Raises TransientError where somebody else holds it all the time.
    """
    if any(_is_unfinished(entry, trees) for entry in every(common)):
        with lock.hold():
            for entry in every(common):
                if _is_unfinished(entry, trees):
                    entry.discard()


def _is_unfinished(entry: Registration, trees: Path) -> bool:
    path = entry.path
    if path is None or not entry.initializing:
        return False
    return path.parent == trees / WARM or (path.parent == trees and is_task_id(path.name))


def clear_locks(registration: Registration, tree: Path) -> None:
    """Remove lock files that a killed git left in the worktree's own git directory.

    Every git command of orch holds the task's lock, which the caller has, and the worker is over; what
    remains is a git of a person. Raises TransientError where it cannot be proved that there is none.
    """
    for path in registration.admin.glob("*.lock"):
        git_locks.clear(path, [tree, registration.admin])


def clear_branch_lock(common: Path, tree: Path, branch: str) -> None:
    """Remove the lock file of our branch; its owner may be any git in the repository. As `clear_locks`."""
    path = common / "refs" / "heads" / f"{branch}.lock"
    if path.exists():
        git_locks.clear(path, [common.parent, common, tree])


def every(common: Path) -> Iterator[Registration]:
    """Every linked worktree that git knows, whether its folder is there or not. Raises TransientError."""
    try:
        folders = sorted((common / "worktrees").iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise atomic.failure("read", common / "worktrees", error) from error
    for folder in folders:
        yield Registration(folder, common)


def _text(path: Path) -> str:
    try:
        return os.fsdecode(atomic.read(path, _SMALL) or b"").strip()
    except TransientError:
        return ""


def _real(path: Path) -> Path:
    # The last part is kept as it is: a .git that is a link must not count as what it points to.
    return Path(os.path.realpath(path.parent)) / path.name
