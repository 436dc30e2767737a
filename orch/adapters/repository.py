"""Whether a repository can be worked in, and what is kept out of it."""

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path

from orch.adapters import git, git_locks
from orch.adapters.locks import FileLock
from orch.adapters.store import atomic
from orch.errors import ConfigError, OrchError, TransientError

STOP = "STOP"
BLOCKED = "BLOCKED.md"
SIGNS = (f"/{STOP}", f"/{BLOCKED}")
"""What is always excluded: the files by which orch and an agent talk, at the top of a worktree."""

_EXCLUDE_LIMIT = 4 * 1024 * 1024
_NEAR_LIMIT = 3


def check_repository(root: Path, base_branch: str = "") -> str:
    """The name of the base branch, if the repository at `root` can be worked in.

    An empty `base_branch` means the default branch of origin, else the one that is checked out.
    Raises ConfigError, with the way out, where there is no repository, it is bare or without commits,
    `root` is not the top of a working tree, or the base branch is missing or cannot be told.
    """
    _check_top(root)
    names = git.references(root, "refs/heads/", "refs/remotes/origin/")
    if not names and not _has_commit(root):
        hint = "make the first one: git commit --allow-empty -m 'Start'"
        raise ConfigError(f"the repository {root} has no commits yet", hint=hint)
    name = base_branch or _default_branch(root)
    if not name:
        hint = "check out a branch, or set [forge] base_branch in config.toml"
        raise ConfigError(f"no branch is checked out in {root} (detached HEAD)", hint=hint)
    known = sorted({branch for ref in names if (branch := _branch(ref)) and branch != "HEAD"})
    if name not in known:
        near = difflib.get_close_matches(name, known, _NEAR_LIMIT) or known[:_NEAR_LIMIT]
        hint = f"[forge] base_branch in config.toml; there is {', '.join(near)}" if near else ""
        raise ConfigError(f"the base branch {name!r} does not exist in {root}", hint=hint)
    return name


class GitRepository:
    """The Repository on disk."""

    def __init__(self, root: Path, *, warm: Callable[[], bool] = lambda: False) -> None:
        """`root` is the top of the checkout; `warm` does what the method of that name is to do."""
        self._root = root
        self._warm = warm

    def tend(self) -> None:
        """See `ports.Repository`: as `git maintenance` does after a person's commit, in the background.

        What the person's settings say of it holds. Raises as `git.run`.
        """
        git_locks.discard_maintenance(git.common_directory(self._root))
        git.run(self._root, "maintenance", "run", "--auto", "--quiet", maintains=True)

    def warm(self) -> bool:
        """See `ports.Repository`. Raises as `git.run`."""
        return self._warm()


def exclude(root: Path, patterns: Sequence[str]) -> tuple[str, ...]:
    """Add the patterns that are missing to the repository's info/exclude; gives those.

    The rest of the file stays as it is. Raises ConfigError without a repository, TransientError where
    the file cannot be written.
    """
    common = git.common_directory(root)
    path = common / "info" / "exclude"
    if not _missing(path, patterns):
        return ()
    with FileLock(common / "orch" / "exclude.flock").hold():
        added = _missing(path, patterns)
        content = atomic.read(path.resolve(), _EXCLUDE_LIMIT) or b""
        if content and not content.endswith(b"\n"):
            content += b"\n"
        content += b"".join(pattern.encode("utf-8", "surrogateescape") + b"\n" for pattern in added)
        atomic.make_folder(path.parent)
        # A person may keep the file elsewhere and link to it: the link stays.
        atomic.write(path.resolve(), content)
    return added


def _missing(path: Path, patterns: Sequence[str]) -> tuple[str, ...]:
    content = atomic.read(path.resolve(), _EXCLUDE_LIMIT) or b""
    there = {line.strip() for line in content.decode("utf-8", "surrogateescape").splitlines()}
    return tuple(pattern for pattern in dict.fromkeys(patterns) if pattern not in there)


def _check_top(root: Path) -> None:
    if not root.is_dir():
        raise ConfigError(f"{root} is not a folder")
    try:
        bare = git.run(root, "rev-parse", "--is-bare-repository").text == "true"
        top = "" if bare else git.run(root, "rev-parse", "--show-toplevel").text
    except TransientError:
        raise
    except OrchError as error:
        if "not a git repository" in error.message:
            raise ConfigError(f"{root} is not in a git repository", hint=f"git init {root}") from error
        raise ConfigError(error.message, hint=error.hint) from error
    if bare:
        raise ConfigError(f"{root} is a bare repository", hint="clone it, and work in the clone")
    if Path(top).resolve() != root.resolve():
        raise ConfigError(f"{root} is not the top of its repository", hint=f"work in {top}: orch -C {top}")


def _has_commit(root: Path) -> bool:
    return git.run(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", accept=(0, 1, 128)).code == 0


def _default_branch(root: Path) -> str:
    origin = git.run(root, "symbolic-ref", "--quiet", "refs/remotes/origin/HEAD", accept=(0, 1)).text
    if origin:
        return _branch(origin)
    head = git.run(root, "symbolic-ref", "--quiet", "HEAD", accept=(0, 1)).text
    return _branch(head) if head else ""


def _branch(ref: str) -> str:
    return ref.removeprefix("refs/heads/").removeprefix("refs/remotes/origin/")
