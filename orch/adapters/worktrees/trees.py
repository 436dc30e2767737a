"""`trees/<task id>` for each task: made from whatever is there, looked at, and taken away.

Killed at any instruction, everything here converges when it is done again:

- ensure: `git worktree add --no-checkout`, marker `making`, checkout, copies, setup, marker `ready`. What
  is not `ready` was never given to an agent and is made anew. What is `ready` but cannot be gone on with
  (another branch is checked out, `fresh`) is saved and made anew. What is no worktree of ours is put aside.
  Where a ready worktree waits in the pool, it takes the place of the first three steps.
- remove: save, teardown, rename into `.removed`, take git's record away, delete.

Whatever changes git's list of worktrees happens under one lock, since git's own commands collide there
(measured: 5 of 80). Everything about one task happens under that task's lock. Checkouts run in parallel.
"""

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orch.adapters import git, git_locks
from orch.adapters import repository as repositories
from orch.adapters.locks import WAIT_SECONDS, FileLock
from orch.adapters.origin import RETRY_SECONDS, Origin
from orch.adapters.worktrees import provisions, registration, removal, signs
from orch.adapters.worktrees.clearing import Clearing, is_usable
from orch.adapters.worktrees.hooks import Hooks
from orch.adapters.worktrees.pool import CHECK_OUT, Pool
from orch.adapters.worktrees.registration import Marker, Registration
from orch.adapters.worktrees.saving import Saver
from orch.core.model import Evidence, RunKey
from orch.core.names import folder_name, is_task_id
from orch.errors import ConfigError, PermanentError, TransientError
from orch.ports import Worktree

COMMITS_LIMIT = 500
"""Messages of commits that are read: for a person and the pull request, not for a machine."""

REPAIR_SECONDS = 2.0
"""A start does not wait longer than this for another git: the first worktree does it then."""

_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
_ELSEWHERE = re.compile(r"already (?:checked out|used by worktree) at '([^']*)'")


class GitWorktrees:
    """The worktrees of one repository."""

    def __init__(  # noqa: PLR0913 - what differs from project to project
        self,
        repository: Path,
        trees: Path,
        runs: Path,
        *,
        base: str,
        hooks: Hooks | None = None,
        warn: Callable[[str], None],
        retries: Sequence[float] = RETRY_SECONDS,
        access: Callable[[], Mapping[str, str]] = dict,
        warm: int = 0,
    ) -> None:
        """Work in `trees` for the repository whose top folder is `repository`.

        `runs` holds the run directories, `base` is the name of the base branch, `warn` gets one line for
        each thing that a person should know, `retries` are the pauses between tries of a fetch, in
        seconds, `access` gives the environment that lets git log in at origin, `warm` is how many ready
        worktrees are kept for tasks to come. Raises ConfigError where there is no repository or `trees` would
        hold it.
        """
        self._repository = repository.resolve()
        self._trees = trees.resolve()
        if self._repository.is_relative_to(self._trees):
            raise ConfigError(
                f"the worktrees cannot lie in {trees}", hint="[worktree] base_dir in config.toml"
            )
        self._runs = runs
        self._hooks = hooks or Hooks()
        self._warn = warn
        self._common = git.common_directory(self._repository)
        self._origin = Origin(self._repository, base, retries=retries, access=access)
        self._list_lock = _list_lock(self._common)
        self._pool = Pool(
            self._repository, self._trees, size=warm, origin=self._origin, lock=self._list_lock, warn=warn
        )
        self._clearing = Clearing(self._common, runs, hooks=self._hooks, lock=self._list_lock, warn=warn)

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
                registration.clear_locks(place, tree)
                registration.clear_branch_lock(self._common, tree, branch)
                self._finish(run, place, tree, branch)
            else:
                base = self._make(run, tree, branch, known, fresh=fresh, lock=lock)
        return Worktree(tree, branch, base)

    def inspect(self, run: RunKey, branch: str) -> Evidence:
        """See `ports.Worktrees`. What cannot be saved is left out, and `warn` told."""
        tree = self._tree(run.task)
        _check_branch(branch)
        with self._lock(run.task).hold() as lock:
            ref = f"refs/orch/saved/{run.task}/{run.attempt}"
            known = self._references(branch, ref)
            head = known.get(f"refs/heads/{branch}", "")
            saved, uncommitted = ref if ref in known else "", 0
            place = self._place(tree)
            if place is not None and tree.is_dir() and is_usable(place):
                found = Saver(place, tree, hold=[lock]).save(run)
                saved, uncommitted = found.ref or saved, found.changes.count
                for name in found.left_out:
                    self._warn(f"{name!a} in {tree} could not be saved: it stays in the worktree only")
        return Evidence(
            head=head,
            commits=self._commits(self._origin.choose(known), head) if head else (),
            uncommitted=uncommitted,
            saved=saved,
            blocked=signs.read_blocked(tree),
        )

    def remove(self, task: str, *, check: Callable[[], None] | None = None) -> str:
        """See `ports.Worktrees`. Safe to repeat; the branch stays.

        What is found there but is no worktree of git's is put aside under `trees/.orphans`. `check` is
        called before anything is done, when no attempt can begin any more; what it raises is raised.
        Raises PermanentError where something could not be saved or a person locked the worktree,
        TransientError where something cannot be deleted.
        """
        tree = self._tree(task)
        with self._lock(task).hold(discard=True) as lock:
            if check is not None:
                check()
            place = self._place(tree)
            marker = place.marker() if place is not None else None
            run = RunKey(task, marker.attempt if marker is not None else 0)
            if place is not None and place.locked is not None:
                hint = f"git worktree unlock {tree}"
                raise PermanentError(f"{tree} is locked: {place.locked or 'no reason given'}", hint=hint)
            # The signs go to the attempt that is over, which the next one would look for.
            into = self._archive(RunKey(task, run.attempt + 1))
            ref = self._clearing.clear(run, tree, place, into=into, lock=lock, whole=True)
            removal.delete_buried(tree, self._warn)
        return ref

    def ask(self, task: str, reason: str) -> None:
        """See `ports.Worktrees`."""
        signs.write_stop(self._tree(task), reason)

    def list(self) -> Mapping[str, Path]:
        """See `ports.Worktrees`. What an orch that was killed has not removed to the end is listed too."""
        names = {
            path.name for path in removal.entries(self._trees) if path.is_dir() and not path.is_symlink()
        }
        names.update(path.name.split(".", 1)[0] for path in removal.entries(self._trees / removal.REMOVED))
        known = (entry.path for entry in registration.every(self._common))
        names.update(path.name for path in known if path is not None and path.parent == self._trees)
        return {name: self._trees / name for name in sorted(filter(is_task_id, names))}

    # --- ready worktrees ----------------------------------------------------------------------------

    def warm(self) -> bool:
        """Make one ready worktree if there are fewer than are wanted; says whether one more is to be made.

        Raises as `git.run`. Safe to repeat.
        """
        return self._pool.fill()

    def tidy(self, *, dry_run: bool = False) -> Sequence[Path]:
        """Take away ready worktrees that are too many or half-made; gives what was (`dry_run`: would be)."""
        return self._pool.tidy(dry_run=dry_run)

    # --- looking ----------------------------------------------------------------------------------

    def _tree(self, task: str) -> Path:
        if not is_task_id(task):
            raise PermanentError(f"{task!r} is not a task id")
        tree = self._trees / folder_name(task)
        if tree.is_symlink():
            raise PermanentError(f"{tree} is a symbolic link", hint="remove it")
        return tree

    def _lock(self, task: str) -> FileLock:
        return FileLock(self._common / "orch" / f"{task}.flock")

    def _references(self, branch: str, *more: str) -> dict[str, str]:
        here, there = f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"
        return git.references(
            self._repository, here, there, self._origin.local_ref, self._origin.remote_ref, *more
        )

    def _place(self, tree: Path) -> Registration | None:
        """The record of git of the worktree, the one with our marker if there are several."""
        found = registration.find(self._common, tree)
        return max(found, key=lambda entry: entry.marker() is not None, default=None)

    def _is_ready(self, place: Registration, tree: Path, branch: str, known: Mapping[str, str]) -> bool:
        """Whether an agent can go on here. It may also be in the middle of a merge or rebase."""
        return (
            is_usable(place)
            and registration.points_at(tree, place)
            and place.branch == branch
            and f"refs/heads/{branch}" in known
        )

    def _has_work(self, known: Mapping[str, str], ref: str) -> bool:
        """Whether a branch has commits that the base, as far as it is known here, has not."""
        if ref not in known:
            return False
        base = known.get(self._origin.remote_ref) or known.get(self._origin.local_ref)
        return base is None or not git.is_ancestor(self._repository, known[ref], base)

    def _commits(self, base: str, head: str) -> tuple[str, ...]:
        if base == head:
            return ()
        wanted = ("log", "--reverse", f"--max-count={COMMITS_LIMIT}", "--format=%B%x00", "--encoding=UTF-8")
        data = git.run(self._repository, *wanted, f"{base}..{head}", "--").data
        texts = (text.decode("utf-8", "replace").strip() for text in data.split(b"\0\n"))
        return tuple(text for text in texts if text)

    # --- making -----------------------------------------------------------------------------------

    def _make(
        self, run: RunKey, tree: Path, branch: str, known: dict[str, str], *, fresh: bool, lock: int
    ) -> str:
        """Make the worktree anew. Gives the sha of the base."""
        here, there = f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"
        keep: list[str] = []
        registration.discard_killed(self._common, self._trees, self._list_lock)
        if fresh or not self._has_work(known, here):
            if self._origin.fetch(branch):
                known = self._references(branch)
            start = self._origin.choose(known)
            if fresh:
                keep = [known[ref] for ref in (here, there) if self._has_work(known, ref)]
            elif self._has_work(known, there):
                start = known[there]  # Left by another machine.
        else:
            start = self._catch_up(branch, known)
        self._clearing.clear(run, tree, self._place(tree), keep=keep, into=self._archive(run), lock=lock)
        marker, was = Marker(run.attempt, branch), known.get(here, "")
        registration.clear_branch_lock(self._common, tree, branch)
        place = self._pool.take(marker, tree, start or was, was=was, hold=[lock])
        if place is None:
            place = self._add(tree, branch, start, reset=here in known, lock=lock)
            place.mark(marker)
            command = (*place.git_arguments, *CHECK_OUT, "read-tree", "--reset", "-u", "HEAD")
            git.run(tree, *command, timeout=git.CHECKOUT_SECONDS, hold=[lock])
        self._finish(run, place, tree, branch, setup=lock)
        try:
            removal.delete_buried(tree, self._warn)
        except TransientError as error:
            self._warn(str(error))  # It is only in the way of the disk, not of the worker.
        return self._origin.choose(known)

    def _catch_up(self, branch: str, known: Mapping[str, str]) -> str:
        """What others pushed on top of a branch since; '' where it goes on as it is.

        Without it the next push would be refused. Origin need not be reached: then that push tells.
        """
        with contextlib.suppress(TransientError):
            if self._origin.fetch(branch):
                known = self._references(branch)
        here, there = known[f"refs/heads/{branch}"], known.get(f"refs/remotes/origin/{branch}", "")
        newer = there not in ("", here) and git.is_ancestor(self._repository, here, there)
        return there if newer else ""

    def _add(self, tree: Path, branch: str, start: str, *, reset: bool, lock: int) -> Registration:
        """Have git register the worktree, on the branch as it is or made (`reset`: again) at `start`.

        Git holds the task's `lock`: if orch is killed, the next one must not clear the place before that git
        has made the worktree.
        """
        registration.clear_branch_lock(self._common, tree, branch)
        with self._list_lock.hold() as list_lock:
            registration.discard_half_made(self._common, tree.name)
            create = ("--no-track", "-B" if reset else "-b", branch) if start else ()
            command = ("worktree", "add", "--no-checkout", *create, "--", str(tree), start or branch)
            try:
                git.run(self._repository, *command, hold=[lock, list_lock])
            except PermanentError as error:
                elsewhere = _ELSEWHERE.search(error.message)
                if elsewhere is None:
                    raise
                if not registration.discard_missing(self._common, branch, tree):
                    raise PermanentError(
                        f"the branch {branch} is checked out at {elsewhere[1]}",
                        hint="switch that checkout to another branch",
                    ) from error
                git.run(self._repository, *command, hold=[lock, list_lock])
        place = self._place(tree)
        if place is None:
            raise TransientError(f"git made no worktree at {tree}")
        return place

    def _finish(
        self, run: RunKey, place: Registration, tree: Path, branch: str, *, setup: int | None = None
    ) -> None:
        """What every attempt needs: the provisions, no signs of the attempt before, our marker.

        A new worktree is set up, under the lock of the task that `setup` is.
        """
        hooks = self._hooks
        skip = [self._trees, self._common, self._runs]
        provisions.provide(self._repository, tree, copy=hooks.copy, link=hooks.link, skip=skip)
        if setup is not None:
            hooks.run("setup", run, branch, tree, self._runs, hold=[setup])
        signs.archive(tree, self._archive(run))
        marker = Marker(run.attempt, branch, ready=True)
        if place.marker() != marker:
            place.mark(marker)

    def _archive(self, run: RunKey) -> Path:
        """Where the signs of the attempt before go. No run directory is made: it would be a claim."""
        places = (self._runs / str(replace(run, attempt=run.attempt - 1)), self._runs / str(run))
        aside = self._trees / removal.ORPHANS / f"{run.task}-{run.attempt}"
        return next((place for place in places if place.is_dir()), aside)


def repair(repository: Path, trees: Path) -> None:
    """Take away what a git that was killed left in the way of every other one, see `git_locks` too.

    What cannot be done now is left to `ensure`. Raises ConfigError where there is no repository.
    """
    common = git.common_directory(repository.resolve())
    git_locks.discard_left(common)
    with contextlib.suppress(TransientError):
        lock = _list_lock(common, wait=REPAIR_SECONDS)
        registration.discard_killed(common, trees.resolve(), lock)


def _list_lock(common: Path, wait: float = WAIT_SECONDS) -> FileLock:
    """What guards git's list of worktrees."""
    return FileLock(common / "orch" / "worktrees.flock", wait=wait)


def _check_branch(branch: str) -> None:
    """The names that orch gives are plain; anything else did not come from there."""
    if _BRANCH.fullmatch(branch) is None or ".." in branch or branch.endswith(("/", ".", ".lock")):
        raise PermanentError(f"{branch!r} is not the name of a branch that orch makes")
