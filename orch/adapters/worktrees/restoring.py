"""Bringing saved work back, without ever being in the way of what is there now.

The files go back into the task's worktree, uncommitted as they were, where that is possible to the letter:
the worktree is clean (or gone) and stands at the commit that they were saved from. Everywhere else the work
becomes a branch `restored/<task>-<n>`, which changes nothing but itself. The saved ref stays in any case.

Killed at any instruction, it converges: while files are put into a worktree its marker says `making`, so that
nobody goes on in one that has half of them; it is made anew, by this or by the next attempt.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from orch.adapters import git
from orch.adapters.repository import BLOCKED, STOP
from orch.adapters.store import atomic
from orch.adapters.worktrees import removal
from orch.adapters.worktrees.changes import STATUS, read_status
from orch.adapters.worktrees.clearing import is_usable
from orch.adapters.worktrees.registration import Marker, Registration, clear_locks, points_at
from orch.adapters.worktrees.saved import SavedWork, find_saved
from orch.adapters.worktrees.trees import GitWorktrees
from orch.core.model import RunKey
from orch.core.values import dataclass
from orch.errors import ConfigError, PermanentError, TransientError

_SHOWN = 5
"""Names in a message."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of saved work."""

    work: SavedWork
    tree: Path | None = None
    """The worktree in which the files are now, None where the work became a branch."""
    branches: tuple[str, ...] = ()
    """The branches that hold it; several where it was commits of several."""
    new: bool = True
    """False where all of it was there already, and nothing was done."""
    why: str = ""
    """Why it is a branch."""


class RestoringWorktrees(GitWorktrees):
    """The worktrees of a repository, into which saved work can be brought back."""

    def restore(
        self,
        task: str,
        ref: str = "",
        *,
        run: RunKey | None,
        branch: str,
        as_branch: bool,
        check: Callable[[], None],
    ) -> Restored:
        """Bring back the latest saved work of a task, or that of `ref`. Safe to repeat.

        `ref` may be short, `2` or `t-1/2`. `run` is the latest attempt, if one is known, and `branch` its
        branch. `check` is called before anything is done, when no attempt can begin any more; what it
        raises is raised. `as_branch` leaves the worktree alone.

        Raises ConfigError where there is no such work, PermanentError where the worktree has changes of
        its own or the setup command fails, TransientError where it may work later. The worktree is then
        what it was before.
        """
        tree = self._tree(task)
        with self._lock(task).hold() as lock:
            check()
            work = _choose(find_saved(self._repository, task), task, ref)
            if as_branch:
                return self._restore_branch(work, "")
            if not work.files:
                return self._restore_branch(work, "it is commits only")
            place = self._place(tree)
            if place is not None and tree.is_dir() and is_usable(place):
                return self._restore_into(place, tree, work, lock)
            if os.path.lexists(tree) and not _is_half_made(place, tree):
                return self._restore_branch(work, f"{tree} is not a worktree that orch has made")
            if run is None:
                return self._restore_branch(work, f"orch knows no attempt of {task} any more")
            head = f"refs/heads/{branch}"
            known = self._references(branch)
            if not work.base or known.get(head, work.base) != work.base:
                return self._restore_branch(work, f"{branch} is at another commit than it was then")
            self._make_again(run, branch, tree, work, start="" if head in known else work.base, lock=lock)
        return Restored(work, tree)

    # --- into a worktree --------------------------------------------------------------------------

    def _restore_into(self, place: Registration, tree: Path, work: SavedWork, lock: int) -> Restored:
        changes = read_status(self._run(place, tree, *STATUS))
        if changes.count or changes.closed:
            if self._holds(place, tree, work):
                return Restored(work, tree, new=False)
            raise PermanentError(
                f"{tree} has {changes.count} uncommitted changes of its own",
                hint=f"commit them there, or bring the saved work back as a branch: {_by_branch(work)}",
            )
        marker = place.marker()
        if marker is None or place.branch != marker.branch or not points_at(tree, place):
            return self._restore_branch(work, f"{tree} is not on its branch")
        if changes.head != work.base:
            return self._restore_branch(work, f"{tree} is at another commit than it was then")
        if ignored := self._in_the_way(place, tree, work):
            raise PermanentError(
                f"in {tree} there are ignored files in the way: {', '.join(map(ascii, ignored[:_SHOWN]))}",
                hint=f"move them away, or bring the saved work back as a branch: {_by_branch(work)}",
            )
        self._fill(place, tree, work, marker, lock)
        return Restored(work, tree)

    def _fill(self, place: Registration, tree: Path, work: SavedWork, marker: Marker, lock: int) -> None:
        """Change a clean worktree into what was saved; back to what it was where that fails."""
        clear_locks(place, tree)
        self._run(place, tree, "update-index", "-q", "--refresh", accept=(0, 1), lock=lock)
        place.mark(Marker(marker.attempt, marker.branch))
        try:
            self._run(place, tree, "read-tree", "-m", "-u", work.base, work.commit, lock=lock)
            self._reset_index(place, tree, lock)
        except BaseException:
            # It was clean: what git does not know now, and does not ignore, was written here.
            keep = ("--exclude", f"/{STOP}", "--exclude", f"/{BLOCKED}")
            clear_locks(place, tree)
            self._run(place, tree, "read-tree", "--reset", work.base, lock=lock)
            self._run(place, tree, "checkout-index", "--all", "--force", "--quiet", lock=lock)
            self._run(place, tree, "clean", "-d", "--force", "--quiet", *keep, lock=lock)
            place.mark(marker)
            raise
        place.mark(marker)

    def _make_again(
        self, run: RunKey, branch: str, tree: Path, work: SavedWork, *, start: str, lock: int
    ) -> None:
        """Make the worktree with the saved files in it; none at all where that fails."""
        into = self._archive(run)
        self._clearing.clear(run, tree, self._place(tree), into=into, lock=lock, whole=True)
        place = self._add(tree, branch, start, reset=False, lock=lock)
        try:
            place.mark(Marker(run.attempt, branch))
            self._run(place, tree, "read-tree", "--reset", "-u", work.commit, lock=lock)
            self._reset_index(place, tree, lock)
            self._finish(run, place, tree, branch, setup=lock)
        except BaseException:
            self._clearing.clear(run, tree, place, into=into, lock=lock)
            raise
        try:
            removal.delete_buried(tree, self._warn)
        except TransientError as error:
            self._warn(str(error))  # It is only in the way of the disk.

    def _reset_index(self, place: Registration, tree: Path, lock: int) -> None:
        """From now on the files are uncommitted. What was staged then is not staged again."""
        self._run(place, tree, "read-tree", "--reset", "HEAD", lock=lock)
        self._run(place, tree, "update-index", "-q", "--refresh", accept=(0, 1), lock=lock)

    # --- looking ----------------------------------------------------------------------------------

    def _holds(self, place: Registration, tree: Path, work: SavedWork) -> bool:
        """Whether the files of a worktree are those that were saved, committed or not."""
        try:
            with tempfile.TemporaryDirectory(prefix="orch-", dir=place.admin) as folder:
                index = Path(folder) / "index"
                self._run(place, tree, "read-tree", work.commit, index=index)
                self._run(place, tree, "update-index", "-q", "--refresh", index=index, accept=(0, 1))
                if self._run(place, tree, "diff-files", "--quiet", index=index, accept=(0, 1)).code:
                    return False
                others = ("ls-files", "--others", "--exclude-standard", "-z")
                return {STOP, BLOCKED}.issuperset(self._run(place, tree, *others, index=index).fields)
        except OSError as error:
            raise atomic.failure("compare with", tree, error) from error

    def _in_the_way(self, place: Registration, tree: Path, work: SavedWork) -> list[str]:
        """Ignored files where saved ones belong: git holds them for worthless, and would replace them."""
        added = ("-r", "-z", "--diff-filter=A", "--no-renames", "--name-only")
        wanted = set(self._run(place, tree, "diff-tree", *added, work.base, work.commit).fields)
        if not wanted:
            return []
        folders = {str(above) for path in wanted for above in PurePosixPath(path).parents}
        found = self._run(place, tree, "ls-files", "--others", "-z").fields
        return [
            path
            for path in (name.rstrip("/") for name in found)
            if path in wanted
            or path in folders
            or not wanted.isdisjoint(str(above) for above in PurePosixPath(path).parents)
        ]

    def _run(
        self,
        place: Registration,
        tree: Path,
        *arguments: str,
        index: Path | None = None,
        accept: tuple[int, ...] = (0,),
        lock: int | None = None,
    ) -> git.Output:
        return git.run(
            tree,
            *place.git_arguments,
            *arguments,
            env={"GIT_INDEX_FILE": str(index)} if index else {},
            accept=accept,
            hold=() if lock is None else [lock],
            timeout=git.CHECKOUT_SECONDS,
        )

    # --- as a branch ------------------------------------------------------------------------------

    def _restore_branch(self, work: SavedWork, why: str) -> Restored:
        tips = [self._flatten(work)] if work.files else [work.base, *work.others]
        made = [self._make_branch(work.task, tip) for tip in dict.fromkeys(tips)]
        names = tuple(dict.fromkeys(name for name, _ in made))
        return Restored(work, branches=names, new=any(new for _, new in made), why=why)

    def _make_branch(self, task: str, tip: str) -> tuple[str, bool]:
        """A branch that holds a commit, and whether it is new."""
        form = "--format=%(refname)"
        found = git.run(self._repository, "for-each-ref", form, f"--contains={tip}", "refs/heads/").text
        if found:
            return found.splitlines()[0].removeprefix("refs/heads/"), False
        taken = git.references(self._repository, "refs/heads/restored/")
        number = 1
        while f"refs/heads/restored/{task}-{number}" in taken:
            number += 1
        name = f"restored/{task}-{number}"
        git.run(self._repository, "update-ref", f"refs/heads/{name}", tip, "")
        return name, True

    def _flatten(self, work: SavedWork) -> str:
        """The saved files as a commit on top of what was checked out, the same each time.

        The further parents of a saved commit only keep things. A branch that has them would tell git, when
        it is merged, that they are merged with it.
        """
        if not work.others:
            return work.commit
        data = git.run(self._repository, "cat-file", "commit", work.commit).data
        header, _, text = data.partition(b"\n\n")
        kept = {f"parent {other}".encode() for other in work.others}
        lines = [line for line in header.split(b"\n") if line not in kept]
        command = ("hash-object", "-t", "commit", "-w", "--stdin")
        return git.run(self._repository, *command, stdin=b"\n".join(lines) + b"\n\n" + text).text


def _choose(found: Sequence[SavedWork], task: str, ref: str) -> SavedWork:
    if not found:
        raise ConfigError(
            f"there is no saved work of {task}", hint="orch restore --list shows all that was saved"
        )
    full = {ref, f"refs/{ref}", f"refs/orch/saved/{ref}", f"refs/orch/saved/{task}/{ref}"}
    wanted = next((work for work in found if not ref or work.ref in full), None)
    if wanted is None:
        raise ConfigError(
            f"{ref!r} is no saved work of {task}", hint=f"orch restore {task} --list shows what there is"
        )
    return wanted


def _is_half_made(place: Registration | None, tree: Path) -> bool:
    """Whether what is there is ours, from a making that was killed: then it is no obstacle."""
    if place is None or tree.is_symlink() or not tree.is_dir():
        return False
    marker = place.marker()
    try:
        return (marker is not None and not marker.ready) or {path.name for path in tree.iterdir()} <= {".git"}
    except OSError as error:
        raise atomic.failure("read", tree, error) from error


def _by_branch(work: SavedWork) -> str:
    name = work.ref.rpartition("/")[2]
    return f"orch restore {work.task} --ref {name} --branch"
