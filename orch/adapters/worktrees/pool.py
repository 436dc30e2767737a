"""Ready worktrees, checked out while nothing else is to be done, so that a launch costs milliseconds.

    trees/.warm/<n>    a worktree at the base as it was, on no branch; nobody was ever told of it

One that is used gets its branch, is brought to the commit that is wanted (only what differs is written) and
moved to its place. Its record with git carries our marker as every other does: `making`, then `ready` without
a branch. Killed at any instruction, what is left is no ready worktree of the pool: it is taken away by the
next `fill` or `tidy`, or made anew by the `ensure` that was at it. It holds no work: all in it is git's.

The lock of a number is held by whoever makes, takes or discards that worktree; nobody waits for it.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

from orch.adapters import git
from orch.adapters.locks import FileLock
from orch.adapters.origin import Origin
from orch.adapters.store import atomic
from orch.adapters.worktrees import registration, removal
from orch.adapters.worktrees.registration import WARM, Marker, Registration
from orch.errors import PermanentError, TransientError

READY = Marker(0, "", ready=True)
MAKING = Marker(0, "")

CHECK_OUT = ("-c", "checkout.workers=0")
"""For git commands that write many files: as many processes as there are cores, where that pays."""

_STATUS = ("status", "--porcelain", "--untracked-files=all")

_NO_SUCH = "0" * 40


class Pool:
    """The ready worktrees of one repository."""

    def __init__(
        self,
        repository: Path,
        trees: Path,
        *,
        size: int,
        origin: Origin,
        lock: FileLock,
        warn: Callable[[str], None],
    ) -> None:
        """`size` is how many are wanted; `lock` guards git's list of worktrees."""
        self._repository = repository
        self._common = git.common_directory(repository)
        self._trees = trees
        self._folder = trees / WARM
        self._size = size
        self._origin = origin
        self._list_lock = lock
        self._warn = warn

    def fill(self) -> bool:
        """Make one, if there are fewer than are wanted; says whether one more is.

        Raises as `git.run`, and PermanentError where the folder of the pool is a link to elsewhere.
        """
        if self._folder.is_symlink():
            raise PermanentError(f"{self._folder} is a symbolic link", hint="remove it")
        self.tidy()
        there = len(self._ready())
        if there >= self._size:
            return False
        registration.discard_killed(self._common, self._trees, self._list_lock)
        path = next(path for number in count(1) if not self._is_taken(path := self._folder / str(number)))
        with self._lock(path) as lock:
            self._make(path, lock)
        return there + 1 < self._size

    def take(
        self, marker: Marker, tree: Path, target: str, *, was: str, hold: Sequence[int]
    ) -> Registration | None:
        """Have a ready worktree at `tree`, where nothing is, on the branch of `marker` at the sha `target`.

        `was` is where the branch is now, '' for nowhere. Until the caller marks it as ready it is being
        made. None where there is none to be had; the branch is then as it was. Raises TransientError.
        """
        places = sorted(self._ready(), key=lambda place: place.commit != target)
        if not places or self._is_checked_out(marker.branch):
            return None  # git says best what is wrong with that
        for place in places:
            path = place.path
            with contextlib.ExitStack() as held:
                try:
                    held.enter_context(self._lock(path or tree))
                except TransientError:
                    continue  # Somebody else takes it.
                if path is None or place.path != path or place.marker() != READY:
                    continue
                commit = place.commit
                self._move(place, path, tree, marker)
                if self._attach(place, tree, commit, target, (marker.branch, was), hold):
                    return place
                self._discard(place, tree, ready=True)
        return None

    def tidy(self, *, dry_run: bool = False) -> Sequence[Path]:
        """Take away what is no ready worktree, or one too many; gives what was (`dry_run`: would be)."""
        known = {entry.path: entry for entry in self._entries()}
        ready = [place.path for place in self._ready()]
        surplus = ready[self._size :]
        elsewhere = self._folder.is_symlink()
        here = () if elsewhere else removal.entries(self._folder)
        found = {*known, *(path for path in here if path.name.isdecimal())}
        gone = []
        for path in sorted(path for path in found if path is not None and path not in ready[: self._size]):
            with contextlib.suppress(TransientError), self._lock(path):  # Who holds it is at it.
                place = known.get(path)
                if place is not None and (place.path != path or (self._is_ready(place) != (path in surplus))):
                    continue  # It was made or taken meanwhile.
                if not dry_run:
                    self._discard(place, path, ready=path in surplus)
                gone.append(path)
        if not elsewhere and not dry_run:
            removal.delete_buried(self._folder / "all", self._warn)
            with contextlib.suppress(OSError):
                self._folder.rmdir()  # unless there are more
        return gone

    # --- looking ----------------------------------------------------------------------------------

    def _entries(self) -> list[Registration]:
        found = ((entry, entry.path) for entry in registration.every(self._common))
        return [entry for entry, path in found if path is not None and path.parent == self._folder]

    def _ready(self) -> list[Registration]:
        return [entry for entry in self._entries() if self._is_ready(entry)]

    def _is_ready(self, place: Registration) -> bool:
        path = place.path
        return path is not None and place.marker() == READY and place.commit != "" and path.is_dir()

    def _is_taken(self, path: Path) -> bool:
        return os.path.lexists(path) or any(entry.path == path for entry in self._entries())

    def _is_checked_out(self, branch: str) -> bool:
        main = Registration(self._common, self._common)
        return any(entry.branch == branch for entry in (main, *registration.every(self._common)))

    @contextlib.contextmanager
    def _lock(self, path: Path) -> Iterator[int]:
        """Hold the lock of one of them. Raises TransientError where somebody else does."""
        with FileLock(self._common / "orch" / f"warm-{path.name}.flock", wait=0).hold(discard=True) as lock:
            yield lock

    # --- changing ---------------------------------------------------------------------------------

    def _make(self, path: Path, lock: int) -> None:
        base = self._origin.tip()
        with self._list_lock.hold() as list_lock:
            add = ("worktree", "add", "--no-checkout", "--detach", "--", str(path), base)
            git.run(self._repository, *add, hold=[lock, list_lock])
        place = next(iter(registration.find(self._common, path)), None)
        if place is None:
            raise TransientError(f"git made no worktree at {path}")
        place.mark(MAKING)
        command = (*place.git_arguments, *CHECK_OUT, "read-tree", "--reset", "-u", "HEAD")
        git.run(path, *command, timeout=git.CHECKOUT_SECONDS, hold=[lock])
        place.mark(READY)

    def _move(self, place: Registration, path: Path, tree: Path, marker: Marker) -> None:
        """Give it to a task. First git's record, then the folder: one without a record holds no work."""
        with self._list_lock.hold():
            place.mark(marker)
            atomic.write(place.admin / "gitdir", os.fsencode(tree / ".git") + b"\n")
            try:
                path.rename(tree)
            except OSError as error:
                raise atomic.failure("move", path, error) from error

    def _attach(
        self,
        place: Registration,
        tree: Path,
        commit: str,
        target: str,
        branch: tuple[str, str],
        hold: Sequence[int],
    ) -> bool:
        """Bring the files from `commit` to `target`, and a branch (name, commit before); say if that went."""
        name, was = branch
        ref = f"refs/heads/{name}"
        try:
            if commit != target:
                command = (*place.git_arguments, *CHECK_OUT, "read-tree", "-m", "-u", commit, target)
                git.run(tree, *command, timeout=git.CHECKOUT_SECONDS, hold=hold)
            git.run(tree, *place.git_arguments, "symbolic-ref", "HEAD", ref, hold=hold)
            if was != target:
                git.run(self._repository, "update-ref", ref, target, was or _NO_SUCH, hold=hold)
        except PermanentError:
            return False
        return True

    def _discard(self, place: Registration | None, path: Path, *, ready: bool) -> None:
        """Take away a worktree and its record. One that was `ready` is put aside if somebody wrote in it."""
        if ready and place is not None and git.run(path, *place.git_arguments, *_STATUS).data:
            kept = removal.put_aside(path, f"warm-{path.name}")
            self._warn(f"{path} was changed by somebody: it is in {kept} now")
        removal.bury(path)
        if place is not None:
            with self._list_lock.hold():
                place.discard()
