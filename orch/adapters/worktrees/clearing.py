"""Taking away whatever is where a worktree is or should be, its work saved.

What is saved whole is deleted. What cannot be saved, and what is not orch's, is put aside as it is.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from orch.adapters.locks import FileLock
from orch.adapters.worktrees import registration, removal, signs
from orch.adapters.worktrees.hooks import Hooks
from orch.adapters.worktrees.registration import Registration
from orch.adapters.worktrees.saving import Saver, check_submodules, keep_commits
from orch.core.model import RunKey
from orch.errors import OrchError, PermanentError


class Clearing:
    """Clears places for worktrees."""

    def __init__(
        self, common: Path, runs: Path, *, hooks: Hooks, lock: FileLock, warn: Callable[[str], None]
    ) -> None:
        """`common` is the common git directory; `lock` guards git's list of worktrees."""
        self._common = common
        self._runs = runs
        self._hooks = hooks
        self._list_lock = lock
        self._warn = warn

    def clear(
        self,
        run: RunKey,
        tree: Path,
        place: Registration | None,
        *,
        keep: Sequence[str] = (),
        into: Path,
        lock: int,
        whole: bool = False,
    ) -> str:
        """Take away what is at `tree`, and git's record `place` of it. Gives the saved ref, or ''.

        The commits `keep` stay reachable, STOP and BLOCKED.md go `into` a folder, and git holds the
        task's `lock`. With `whole` raises PermanentError, and changes nothing, where something cannot be
        saved; without, it is put aside.
        """
        ref, aside = "", False
        is_there = os.path.lexists(tree)
        if place is not None:
            check_submodules(place, tree)
        if place is None:
            ref = keep_commits(self._common, run, keep, hold=[lock])
            aside = is_there and not _is_bare(tree)
        elif not is_there:
            ref = Saver(place, tree, hold=[lock]).save_head(run, keep)
        elif is_usable(place) or not (_is_making(place) or _is_bare(tree)):
            foreign = os.path.lexists(tree / ".git") and not registration.points_at(tree, place)
            if whole and foreign:
                raise PermanentError(f"{tree / '.git'} is not git's own", hint="move it to where you want it")
            registration.clear_locks(place, tree)
            saved = Saver(place, tree, hold=[lock]).save(run, keep, whole=whole)
            ref = saved.ref
            aside = foreign or bool(saved.left_out) or not is_usable(place)
            signs.archive(tree, into)
            self._tear_down(run, place, tree, lock)
        else:
            ref = keep_commits(self._common, run, keep, hold=[lock])
        if aside:
            kept = removal.put_aside(tree, f"{run.task}-{run.attempt}")
            self._warn(f"{tree} held something that is not in git: it is in {kept} now")
        elif is_there:
            removal.bury(tree)
        with self._list_lock.hold():
            for entry in registration.find(self._common, tree):
                entry.discard()
        return ref

    def _tear_down(self, run: RunKey, place: Registration, tree: Path, lock: int) -> None:
        marker = place.marker()
        if marker is None:
            return
        try:
            last = RunKey(run.task, marker.attempt)
            self._hooks.run("teardown", last, marker.branch, tree, self._runs, hold=[lock])
        except OrchError as error:
            self._warn(f"{run.task}: {error}")


def is_usable(place: Registration) -> bool:
    """Whether an agent was ever given this worktree."""
    marker = place.marker()
    return marker is not None and marker.ready


def _is_making(place: Registration) -> bool:
    """Whether we were killed while we made it: all that is in it is ours."""
    marker = place.marker()
    return marker is not None and not marker.ready


def _is_bare(tree: Path) -> bool:
    """Whether there is nothing in it but what `git worktree add --no-checkout` puts there."""
    try:
        names = [path.name for path in tree.iterdir()]
    except OSError:
        return False
    return names in ([], [".git"]) and not (tree / ".git").is_dir()
