"""`trees/<task id>` for each task: made from whatever is there, looked at, and taken away.

Killed at any instruction, everything here converges when it is done again:

- ensure: `git worktree add --no-checkout`, marker `making`, checkout, copies, setup, marker `ready`. What
  is not `ready` was never given to an agent and is made anew. What is `ready` but cannot be gone on with
  (another branch is checked out, `fresh`) is saved and made anew. What is no worktree of ours is put aside.
- remove: save, teardown, rename into `.removed`, take git's record away, delete.

Whatever changes git's list of worktrees happens under one lock, since git's own commands collide there
(measured: 5 of 80). Everything about one task happens under that task's lock. Checkouts run in parallel.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from orch.adapters import git
from orch.adapters import repository as repositories
from orch.adapters.locks import FileLock
from orch.adapters.origin import RETRY_SECONDS, Origin
from orch.adapters.worktrees import hooks as commands
from orch.adapters.worktrees import provisions, registration, removal, signs
from orch.adapters.worktrees.hooks import Hooks
from orch.adapters.worktrees.registration import Marker, Registration
from orch.adapters.worktrees.saving import Saver, check_submodules
from orch.core.model import Evidence, RunKey
from orch.core.names import is_task_id
from orch.errors import ConfigError, PermanentError
from orch.ports import Worktree

COMMITS_LIMIT = 500
"""Messages of commits that are read: for a person and the pull request, not for a machine."""

_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
_ELSEWHERE = re.compile(r"already (?:checked out|used by worktree) at '([^']*)'")


class GitWorktrees:
    """The worktrees of one repository."""

    def __init__(
        self,
        repository: Path,
        trees: Path,
        runs: Path,
        *,
        base: str,
        hooks: Hooks = Hooks(),
        warn: Callable[[str], None],
        retries: Sequence[float] = RETRY_SECONDS,
    ) -> None:
        """Work in `trees` for the repository whose top folder is `repository`.

        `runs` holds the run directories, `base` is the name of the base branch, `warn` gets one line for
        each thing that a person should know, `retries` are the pauses between tries of a fetch, in
        seconds. Raises ConfigError where there is no repository or `trees` would hold it.
        """
        self._repository = repository.resolve()
        self._trees = trees.resolve()
        if self._repository.is_relative_to(self._trees):
            raise ConfigError(f"the worktrees cannot lie in {trees}", hint="[worktree] base_dir in config.toml")
        self._runs = runs
        self._hooks = hooks
        self._warn = warn
        self._common = git.common_directory(self._repository)
        self._origin = Origin(self._repository, base, retries=retries)
        self._list_lock = FileLock(self._common / "orch" / "worktrees.lock")

    def ensure(self, run: RunKey, branch: str, fresh: bool = False) -> Worktree:
        """See `ports.Worktrees`.

        Raises PermanentError where the branch is checked out elsewhere or the setup command fails,
        TransientError where origin cannot be reached or a lock is held.
        """
        tree = self._tree(run.task)
        _check_branch(branch)
        repositories.exclude(self._repository, repositories.SIGNS)
        with self._lock(run.task).hold() as lock:
            known = self._references(branch)
            place = self._place(tree)
            if not fresh and place is not None and self._is_ready(place, tree, branch, known):
                base = self._origin.choose(known)
                registration.clear_locks(place, tree, branch)
                self._finish(run, place, tree, branch)
            else:
                base = self._make(run, tree, branch, known, fresh=fresh, lock=lock)
        return Worktree(tree, branch, base)

    def inspect(self, run: RunKey, branch: str) -> Evidence:
        """See `ports.Worktrees`. What cannot be saved is left out, and `warn` told."""
        tree = self._tree(run.task)
        _check_branch(branch)
        with self._lock(run.task).hold() as lock:
            known = self._references(branch, f"refs/orch/saved/{run.task}/{run.attempt}")
            head = known.get(f"refs/heads/{branch}", "")
            saved, uncommitted = known.get(f"refs/orch/saved/{run.task}/{run.attempt}", ""), 0
            saved = saved and f"refs/orch/saved/{run.task}/{run.attempt}"
            place = self._place(tree)
            if place is not None and tree.is_dir() and _is_usable(place.marker()):
                found = Saver(place, tree, hold=[lock]).save(run)
                saved, uncommitted = found.ref or saved, found.changes.count
                for name in found.left_out:
                    self._warn(f"{ascii(name)} in {tree} could not be saved: it stays in the worktree only")
        return Evidence(
            head=head,
            commits=self._commits(self._origin.choose(known), head) if head else (),
            uncommitted=uncommitted,
            saved=saved,
            blocked=signs.read_blocked(tree),
        )

    def remove(self, task: str) -> str:
        """See `ports.Worktrees`. Safe to repeat; the branch stays.

        What is found there but is no worktree of git's is put aside under `trees/.orphans`. Raises
        PermanentError where something could not be saved or a person locked the worktree,
        TransientError where something cannot be deleted.
        """
        tree = self._tree(task)
        with self._lock(task).hold(discard=True) as lock:
            place = self._place(tree)
            marker = place.marker() if place is not None else None
            run = RunKey(task, marker.attempt if marker is not None else 0)
            ref = self._take_away(run, tree, place, lock=lock, whole=True)
            removal.delete_buried(tree, self._warn)
        return ref

    def ask(self, task: str, reason: str) -> None:
        """See `ports.Worktrees`."""
        signs.write_stop(self._tree(task), reason)

    def list(self) -> Mapping[str, Path]:
        """See `ports.Worktrees`."""
        if not self._trees.is_dir():
            return {}
        found = sorted(path for path in self._trees.iterdir() if is_task_id(path.name))
        return {path.name: path for path in found if path.is_dir() and not path.is_symlink()}

    # --- looking ----------------------------------------------------------------------------------

    def _tree(self, task: str) -> Path:
        if not is_task_id(task):
            raise PermanentError(f"{task!r} is not a task id")
        tree = self._trees / task
        if tree.is_symlink():
            raise PermanentError(f"{tree} is a symbolic link", hint="remove it")
        return tree

    def _lock(self, task: str) -> FileLock:
        return FileLock(self._common / "orch" / f"{task}.lock")

    def _references(self, branch: str, *more: str) -> dict[str, str]:
        here, there = f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"
        return git.references(
            self._repository, here, there, self._origin.local_ref, self._origin.remote_ref, *more
        )

    def _place(self, tree: Path) -> Registration | None:
        """git's record of the worktree, the one with our marker if there are several."""
        found = registration.find(self._common, tree)
        return max(found, key=lambda entry: entry.marker() is not None, default=None)

    def _is_ready(self, place: Registration, tree: Path, branch: str, known: Mapping[str, str]) -> bool:
        """Whether an agent can go on here. It may also be in the middle of a merge or rebase."""
        return (
            _is_usable(place.marker())
            and registration.points_at(tree, place)
            and place.branch == branch
            and f"refs/heads/{branch}" in known
        )

    def _commits(self, base: str, head: str) -> tuple[str, ...]:
        wanted = ("log", "--reverse", f"--max-count={COMMITS_LIMIT}", "--format=%B%x00", "--encoding=UTF-8")
        data = git.run(self._repository, *wanted, f"{base}..{head}", "--").data
        return tuple(text.decode("utf-8", "replace").strip() for text in data.split(b"\0\n") if text.strip())

    # --- making -----------------------------------------------------------------------------------

    def _make(
        self, run: RunKey, tree: Path, branch: str, known: dict[str, str], *, fresh: bool, lock: int
    ) -> str:
        """Make the worktree anew. Gives the sha of the base."""
        here, there = f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"
        if fresh or not self._has_work(known, here):
            self._origin.fetch(branch)
            known = self._references(branch)
        base = self._origin.choose(known)
        old = [known[ref] for ref in (here, there) if ref in known] if fresh else []
        keep = [sha for sha in old if not git.is_ancestor(self._repository, sha, base)]
        place = self._place(tree)
        if fresh and place is None and keep:
            place = self._add(tree, branch, known[here] if here in known else base, reset=here not in known)
            place.mark(Marker(run.attempt, branch))
        self._take_away(run, tree, place, keep=keep, lock=lock)
        self._check_place(tree)
        if fresh:
            start = base
        elif self._has_work(known, here):
            start = ""
        else:
            start = known[there] if self._has_work(known, there) else base
        place = self._add(tree, branch, start)
        place.mark(Marker(run.attempt, branch))
        git.run(
            tree,
            *place.git_arguments,
            *("read-tree", "--reset", "-u", "HEAD"),
            timeout=git.CHECKOUT_SECONDS,
            hold=[lock],
        )
        self._finish(run, place, tree, branch, setup=True)
        return base
