"""Pushing a branch of orch's to origin, over other commits only where orch pushed them itself."""

from collections.abc import Mapping
from pathlib import Path

from orch.adapters import git
from orch.errors import PermanentError


def push(
    repository: Path, branch: str, head: str, *, before: str = "", env: Mapping[str, str] | None = None
) -> None:
    """Make `head` the branch at origin. `before` is where orch last pushed it; `env` logs git in.

    Raises PermanentError where origin has other commits on it, TransientError where it cannot be reached.
    """
    lease = []
    if before and before != head and not descends(repository, before, head):
        # The branch began again (`orch retry --fresh`).
        lease = [f"--force-with-lease=refs/heads/{branch}:{before}"]
    command = ("push", "--quiet", *lease, "origin", f"{head}:refs/heads/{branch}")
    pushed = git.run(repository, *command, timeout=git.NETWORK_SECONDS, accept=(0, 1), hooks=True, env=env)
    if "[rejected]" in pushed.said:
        hint = f"look at them with git log origin/{branch}, then merge them or delete them there"
        raise PermanentError(f"origin has other commits on {branch}", hint=hint)
    if pushed.code != 0:
        raise git.failure("git push", repository, pushed)


def descends(repository: Path, old: str, new: str) -> bool:
    """Whether the commit `old` is known here and in the history of `new`."""
    return has_commit(repository, old) and git.is_ancestor(repository, old, new)


def has_commit(repository: Path, sha: str) -> bool:
    """Whether a commit is known here."""
    return git.run(repository, "cat-file", "-e", f"{sha}^{{commit}}", accept=(0, 1, 128)).code == 0
