"""Keeping work that is in no commit of a branch: `refs/orch/saved/<task>/<attempt>`.

A saved ref is a commit whose tree is the worktree as it was, without what git ignores, and whose first
parent is the commit that was checked out. It is made through a copy of the index, so that neither the
index nor the files change. Work that is the same is saved once; other work of the same attempt gets the
next free name (`2-2`, `2-3`): nothing that was saved is ever replaced.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from orch.adapters import git
from orch.adapters.store import atomic
from orch.adapters.worktrees.changes import STATUS, Changes, read_status
from orch.adapters.worktrees.registration import Registration
from orch.core.model import RunKey
from orch.core.values import dataclass
from orch.errors import OrchError, PermanentError

_IDENTITY = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "orch"), ("EMAIL", "orch@localhost"))
}
"""Saving must also work where nobody has set user.name."""

_NO_TIME = {f"GIT_{role}_DATE": "@0 +0000" for role in ("AUTHOR", "COMMITTER")}


_DURABLE = ("-c", "core.fsync=objects,reference", "-c", "core.fsyncMethod=batch")
"""By itself git leaves new objects and refs to the system for half a minute. What is saved is about to be
removed where it was: after a power cut it must be in one of the two places."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What came of saving."""

    ref: str
    """'' where there was nothing to keep."""
    changes: Changes
    left_out: tuple[str, ...] = ()
    """Paths whose content could not be saved."""


class Saver:
    """Saves the work in one worktree."""

    def __init__(self, registration: Registration, tree: Path, *, hold: Sequence[int]) -> None:
        """`hold` are descriptors of locks, see `git.run`."""
        self._registration = registration
        self._tree = tree
        self._hold = hold

    def save(self, run: RunKey, keep: Sequence[str] = (), *, whole: bool = False) -> Saved:
        """Save what is in no commit, and have the commits `keep` stay reachable.

        Commits on a detached HEAD that are on no branch are kept too. With `whole` raises PermanentError
        where something cannot be saved; without, the rest is saved and `left_out` tells.
        """
        with self._index() as index:
            changes = self._changes(index)
            head = changes.head
            paths, unreadable = self._readable(changes)
            left_out = (*changes.unsaveable, *unreadable)
            if whole and left_out:
                raise _unsaveable(self._tree, changes, left_out)
            staged = self._write_tree(index) if changes.staged else ""
            content = self._snapshot(index, paths) if paths else ""
        parents = [head, self._registration.autostash, *keep]
        if self._registration.detached and head and self._is_loose(head):
            keep = (*keep, head)
        if staged and staged != content:
            # Without a time of its own it is the same commit each time: the same work is saved once.
            parents.append(
                _commit(self._registration.common, staged, [head], f"the index of {run}", _NO_TIME)
            )
        if not (content or any(keep) or self._registration.autostash):
            return Saved("", changes, left_out)
        ref = _store(self._registration.common, run, content, parents, hold=self._hold)
        return Saved(ref, changes, left_out)

    def save_head(self, run: RunKey, keep: Sequence[str] = ()) -> str:
        """Keep commits only, for a worktree whose files are gone. Gives the ref, or ''."""
        head = self._git("rev-parse", "--verify", "--quiet", "HEAD^{commit}", accept=(0, 1, 128)).text
        loose = [head] if head and self._registration.detached and self._is_loose(head) else []
        stash = [self._registration.autostash] if self._registration.autostash else []
        wanted = [*loose, *stash, *keep]
        return keep_commits(self._registration.common, run, wanted, hold=self._hold)

    # --- looking ----------------------------------------------------------------------------------

    def _changes(self, index: Path) -> Changes:
        try:
            return self._status(index)
        except PermanentError as error:
            if "index" not in error.message:
                raise
            # The real index is damaged (power loss): compare with the commit instead.
            index.unlink(missing_ok=True)
            self._read_tree(index)
            return self._status(index)

    def _status(self, index: Path) -> Changes:
        return read_status(self._git(*STATUS, index=index))

    def _readable(self, changes: Changes) -> tuple[dict[str, bool], list[str]]:
        """The paths to put into a commit, True for those to remove, and those that cannot be read."""
        good, bad = {}, []
        for path in changes.paths:
            file = self._tree / path
            try:
                mode = None if path in changes.removed else file.lstat().st_mode
            except (FileNotFoundError, NotADirectoryError):
                mode = None
            except OSError:
                bad.append(path)
                continue
            if mode is None:
                good[path] = True
            elif stat.S_ISREG(mode) and not os.access(file, os.R_OK):
                bad.append(path)
            elif stat.S_ISREG(mode) or stat.S_ISLNK(mode) or (file / ".git").exists():
                good[path] = False
            # Anything else is a folder, pipe or socket in a file's place: there is nothing to save.
        return good, bad

    def _is_loose(self, commit: str) -> bool:
        """Whether no branch, tag or saved ref holds the commit."""
        known = ("--branches", "--tags", "--remotes", "--glob=refs/orch/saved", "--glob=refs/pull")
        return bool(self._git("rev-list", "--max-count=1", commit, "--not", *known).text)

    # --- writing ----------------------------------------------------------------------------------

    @contextmanager
    def _index(self) -> Iterator[Path]:
        admin = self._registration.admin
        try:
            # Where we are killed, this goes with the worktree.
            with tempfile.TemporaryDirectory(prefix="orch-", dir=admin, ignore_cleanup_errors=True) as folder:
                index = Path(folder) / "index"
                try:
                    shutil.copyfile(admin / "index", index)
                except FileNotFoundError:
                    self._read_tree(index)
                yield index
        except OSError as error:
            raise atomic.failure("save the work in", self._tree, error) from error

    def _read_tree(self, index: Path) -> None:
        if self._git("read-tree", "HEAD", index=index, accept=(0, 128)).code != 0:
            self._git("read-tree", "--empty", index=index)

    def _write_tree(self, index: Path) -> str:
        """The tree of the index, '' where a conflict in it keeps it from being one."""
        return self._git("write-tree", index=index, accept=(0, 128)).text

    def _snapshot(self, index: Path, paths: Mapping[str, bool]) -> str:
        """The tree of the index with these files as they are now; True means that one is removed."""
        for how, removed in (("--force-remove",), True), (("--add", "--replace"), False):
            feed = b"".join(os.fsencode(path) + b"\0" for path in paths if paths[path] is removed)
            if feed:
                # A file that goes away meanwhile is as good as removed.
                self._git("update-index", "--remove", *how, "-z", "--stdin", index=index, stdin=feed)
        return self._git("write-tree", index=index).text

    def _git(
        self,
        *arguments: str,
        index: Path | None = None,
        accept: tuple[int, ...] = (0,),
        stdin: bytes | None = None,
    ) -> git.Output:
        where = self._tree if self._tree.is_dir() else self._registration.common
        return git.run(
            where,
            *_DURABLE,
            *self._registration.git_arguments,
            *arguments,
            env={"GIT_INDEX_FILE": str(index)} if index else {},
            accept=accept,
            stdin=stdin,
            hold=self._hold,
            timeout=git.CHECKOUT_SECONDS,
        )


def keep_commits(common: Path, run: RunKey, commits: Sequence[str], *, hold: Sequence[int] = ()) -> str:
    """Have commits stay reachable, whatever becomes of their branch. Gives the ref, '' for none."""
    return _store(common, run, "", commits, hold=hold) if commits else ""


def check_submodules(registration: Registration, tree: Path) -> None:
    """Raise PermanentError if a submodule of the worktree has commits that are nowhere else.

    Their repositories lie in the worktree's own git directory, and go with it.
    """
    modules = registration.admin / "modules"
    for head in sorted(modules.rglob("HEAD")):
        if not (head.parent / "objects").is_dir():
            continue
        known = ("--all", "HEAD", "--not", "--remotes")
        found = git.run(head.parent, "rev-list", "--max-count=1", *known, env={"GIT_DIR": "."})
        if found.text:
            name = head.parent.relative_to(modules)
            raise PermanentError(
                f"the submodule {str(name)!r} in {tree} has commits that were not pushed",
                hint="push them, or remove the worktree yourself: git worktree remove --force",
            )


def _unsaveable(tree: Path, changes: Changes, left_out: Sequence[str]) -> OrchError:
    name = ascii(left_out[0])
    if left_out[0] in changes.nested:
        message = f"{tree} holds another repository, {name}, whose content git cannot save"
    elif left_out[0] in changes.submodules:
        message = f"the submodule {name} in {tree} has changes that cannot be saved"
    else:
        message = f"{name} in {tree} cannot be read, so it cannot be saved"
    return PermanentError(message, hint="move it to where you want it, then try again")


def _store(common: Path, run: RunKey, tree: str, parents: Iterable[str], *, hold: Sequence[int] = ()) -> str:
    """Name a commit with this tree and these parents; without a tree, the parents' work alone."""
    here = f"--git-dir={common}"
    parents = [parent for parent in dict.fromkeys(parents) if parent]
    folder = f"refs/orch/saved/{run.task}/"
    form = "--format=%(refname) %(objectname) %(tree) %(parent)"
    lines = git.run(common, here, "for-each-ref", form, folder).text.splitlines()
    known = {line.split(" ")[0]: line.split(" ")[1:] for line in lines}
    if not tree and len(parents) > 1:
        tree = git.run(common, here, "rev-parse", f"{parents[0]}^{{tree}}").text
    number = 1
    while True:
        ref = f"{folder}{run.attempt}" if number == 1 else f"{folder}{run.attempt}-{number}"
        there = known.get(ref)
        if there is None:
            commit = _commit(common, tree, parents, f"work saved from {run}") if tree else parents[0]
            git.run(common, *_DURABLE, here, "update-ref", ref, commit, "", hold=hold)
            return ref
        if there[1:] == [tree, *parents] or (not tree and there[0] == parents[0]):
            return ref
        number += 1


def _commit(
    common: Path, tree: str, parents: Iterable[str], what: str, times: Mapping[str, str] | None = None
) -> str:
    arguments = [part for parent in dict.fromkeys(parents) if parent for part in ("-p", parent)]
    command = ("commit-tree", tree, *arguments, "-m", f"orch: {what}")
    env = {**_IDENTITY, **(times or {})}
    return git.run(common, *_DURABLE, f"--git-dir={common}", *command, env=env).text
