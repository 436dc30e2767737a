"""Merging without a server, never by halves.

The merge commit is made from objects alone (`git merge-tree`), so a conflict touches no file. It is pushed
first, if there is an origin, and only then the local base branch moves on to it, in the checkout where it
is checked out. Killed in between, the pull request is seen as merged the next time, and only the rest is
done.
"""

import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from orch.adapters import git
from orch.adapters.origin import Origin
from orch.errors import ConfigError, PermanentError

_TRIES = 3
"""Somebody else may push to the base branch in the moment between our fetch and our push."""

_OVERTAKEN = re.compile(r"\[rejected\]|failed to update ref|cannot lock ref")
"""What git says of that: before it sends anything, or when the ref has moved while it did."""

_NAMED = 5
"""Files that are named in a message."""


class Merging:
    """Merges into the base branch of a repository."""

    def __init__(self, repository: Path, origin: Origin, *, own_files: Sequence[str]) -> None:
        """`own_files` of the checkout may have changes: orch writes them itself."""
        self._repository = repository
        self._origin = origin
        self._own_files = frozenset(own_files)

    def check_identity(self) -> None:
        """Raise ConfigError where git does not know who the person is."""
        identity = git.run(self._repository, "var", "GIT_COMMITTER_IDENT", accept=(0, 128))
        if identity.code != 0:
            hint = "git config --global user.name NAME; git config --global user.email ADDRESS"
            raise ConfigError("git does not know who you are, so it cannot make merge commits", hint=hint)

    def merge(self, head: str, message: str, *, hold: Sequence[int]) -> str:
        """Merge the commit `head` into the base branch, here and at origin; gives the merge commit.

        `hold` are descriptors of locks, see `git.run`. Raises PermanentError on a conflict, with the
        files, and where the base branch cannot move; nothing has changed then.
        """
        for left in reversed(range(_TRIES)):
            tip = self._newest()
            commit = self._commit(tip, head, message)
            checkout = self._checkout()
            if checkout is not None:
                self._check_checkout(checkout, commit)
            if self._push(commit, last=left == 0):
                self._forward(commit, hold)
                return commit
            self._origin.fetch()
        raise AssertionError("the last try returns or raises")

    def catch_up(self, commit: str, *, hold: Sequence[int]) -> None:
        """Move the local base branch on to `commit`, which is in the base branch at origin already."""
        local = self._local()
        if not local or git.is_ancestor(self._repository, commit, local):
            return
        tip = self._newest()
        checkout = self._checkout()
        if checkout is not None:
            self._check_checkout(checkout, tip)
        self._forward(tip, hold)

    def merge_of(self, head: str, tip: str) -> str:
        """The commit by which `head` came into the branch whose newest commit is `tip`."""
        path = ("--first-parent", "--ancestry-path", "--reverse", "--parents", f"{head}..{tip}")
        first = git.run(self._repository, "rev-list", *path).text.partition("\n")[0].split(" ")
        # Its first parent is the head itself where the branch was only moved on (fast-forward).
        return first[0] if len(first) > 1 and first[1] != head else head

    def _local(self) -> str:
        ref = self._origin.local_ref
        return git.references(self._repository, ref).get(ref, "")

    def _newest(self) -> str:
        """The newest commit of the base branch, here or at origin. Raises PermanentError if both differ."""
        remote, local = self._origin.tip(), self._local()
        if not local or git.is_ancestor(self._repository, local, remote):
            return remote
        if git.is_ancestor(self._repository, remote, local):
            return local
        base = self._origin.base
        raise PermanentError(
            f"{base} and origin/{base} have diverged", hint=f"bring them together: git pull origin {base}"
        )

    def _commit(self, tip: str, head: str, message: str) -> str:
        tree, clean, conflicts = _try_merge(self._repository, tip, head)
        if not clean:
            files = name_files(conflicts)
            hint = f"merge {self._origin.base} into the branch, or give the task to an agent again"
            raise PermanentError(f"conflicts with {self._origin.base} in {files}", hint=hint)
        command = ("commit-tree", tree, "-p", tip, "-p", head, "-m", message)
        return git.run(self._repository, *command).text

    def _push(self, commit: str, *, last: bool) -> bool:
        """Push the base branch, if there is an origin. False, unless `last`, where origin has moved on."""
        if not self._origin.exists():
            return True
        command = ("push", "--quiet", "origin", f"{commit}:{self._origin.local_ref}")
        pushed = git.run(self._repository, *command, timeout=git.NETWORK_SECONDS, accept=(0, 1), hooks=True)
        if pushed.code != 0 and (last or _OVERTAKEN.search(pushed.said) is None):
            raise git.failure("git push", self._repository, pushed)
        return pushed.code == 0

    def _forward(self, commit: str, hold: Sequence[int]) -> None:
        """Move the local base branch on, if there is one; with the files where it is checked out."""
        local = self._local()
        if not local:
            return
        checkout = self._checkout()
        if checkout is None:
            git.run(self._repository, "update-ref", self._origin.local_ref, commit, local, hold=hold)
            return
        command = ("merge", "--quiet", "--ff-only", "--no-stat", commit)
        git.run(checkout, *command, timeout=git.CHECKOUT_SECONDS, hold=hold, hooks=True)

    def _checkout(self) -> Path | None:
        """The worktree in which the base branch is checked out."""
        listing = git.run(self._repository, "worktree", "list", "--porcelain", "-z")
        for block in os.fsdecode(listing.data).split("\0\0"):
            lines = block.strip("\0").split("\0")
            path = Path(lines[0].removeprefix("worktree "))
            if f"branch {self._origin.local_ref}" in lines and path.is_dir():
                return path
        return None

    def _check_checkout(self, checkout: Path, commit: str) -> None:
        """Raise PermanentError where files of the checkout keep it from moving on to `commit`."""
        if git.run(checkout, "rev-parse", "--verify", "--quiet", "MERGE_HEAD", accept=(0, 1, 128)).code == 0:
            raise PermanentError(
                f"a merge is under way in {checkout}", hint="finish it, or git merge --abort"
            )
        status = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=no")
        changed = {entry[3:] for entry in git.run(checkout, *status).fields}
        difference = ("diff", "--name-only", "-z", "--no-renames", "HEAD", commit)
        moved = git.run(checkout, *difference, "--").fields
        added = git.run(checkout, *difference, "--diff-filter=A", "--").fields
        blocking = changed - (self._own_files - set(moved))
        blocking |= {path for path in added if os.path.lexists(checkout / path)}
        if blocking:
            message = (
                f"{self._origin.base} is checked out in {checkout}, with changes in {name_files(blocking)}"
            )
            raise PermanentError(message, hint="commit or stash them first")


def find_conflicts(repository: Path, tip: str, head: str) -> Sequence[str]:
    """The files in which the commits `tip` and `head` conflict. Nothing is changed."""
    return _try_merge(repository, tip, head)[2]


def _try_merge(repository: Path, tip: str, head: str) -> tuple[str, bool, Sequence[str]]:
    """The tree of a merge, whether it is clean, and the files that conflict."""
    options = ("--write-tree", "-z", "--name-only", "--no-messages")
    output = git.run(
        repository, "merge-tree", *options, tip, head, accept=(0, 1), timeout=git.CHECKOUT_SECONDS
    )
    tree, *conflicts = output.fields
    clean = output.code == 0
    return tree, clean, () if clean else tuple(dict.fromkeys(conflicts))


def name_files(paths: Collection[str]) -> str:
    """Some files for a message: the first few by name, and how many more."""
    names = [ascii(path)[1:-1] for path in sorted(paths)]
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
