"""What was saved and put aside, as it lies in git and under `trees/.orphans`. Only looks."""

import re
from dataclasses import replace
from pathlib import Path

from orch.adapters import git
from orch.adapters.store import atomic
from orch.adapters.worktrees.removal import ORPHANS
from orch.core.names import TASK_ID, is_task_id
from orch.core.values import dataclass

_ROOT = "refs/orch/saved/"
_FORM = "%00".join(
    f"%({name})"
    for name in ("refname", "objectname", "tree", "parent", "committerdate:unix", "committeremail")
)
_OURS = "<orch@localhost>"
"""The committer of what `saving` makes. Any other commit is an agent's own, and the ref only keeps it."""

_ORPHAN = re.compile(rf"({TASK_ID.pattern})-[0-9]+(?:-[0-9]+)?")
_NUMBERS = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class SavedWork:
    """One saved ref; `saving` says what that is."""

    task: str
    ref: str
    commit: str
    """What the ref names: full sha."""
    base: str
    """The commit that was checked out, '' where there was none. The same as `commit` for a ref that only
    keeps a commit."""
    others: tuple[str, ...]
    """Further commits that the ref keeps: a version that was only staged, a stash, abandoned branches."""
    saved_at: float
    """Seconds since the epoch."""
    files: int = 0
    """Files that were changed, new or removed. 0: the ref keeps commits only."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """Something that lay where a worktree should be, and was put aside for a person."""

    path: Path
    task: str
    """'' where the name does not say."""
    changed_at: float
    """Seconds since the epoch."""


def find_saved(repository: Path, task: str = "") -> list[SavedWork]:
    """What was saved of a task, or of all tasks; the latest first."""
    under = f"{_ROOT}{task}/" if task else _ROOT
    lines = git.run(repository, "for-each-ref", f"--format={_FORM}", under).data.splitlines()
    found = [work for line in lines if (work := _read(line.decode("utf-8", "replace").split("\0")))]
    counts = _count(repository, found)
    counted = [replace(work, files=counts.get(work.commit, 0)) for work in found]
    return sorted(counted, key=_age, reverse=True)


def find_orphans(trees: Path, task: str = "") -> list[Orphan]:
    """What was put aside of a task, or altogether; by name."""
    try:
        paths = sorted((trees / ORPHANS).iterdir())
        found = [Orphan(path, _task_of(path.name), path.lstat().st_mtime) for path in paths]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise atomic.failure("read", trees / ORPHANS, error) from error
    return [orphan for orphan in found if task in {"", orphan.task}]


def _read(fields: list[str]) -> SavedWork | None:
    ref, commit, tree, parents, date, committer = fields
    task = ref.removeprefix(_ROOT).partition("/")[0]
    if not (tree and is_task_id(task)):
        return None  # A person put something else there.
    if committer != _OURS:
        return SavedWork(task, ref, commit, commit, (), float(date))
    base, *others = parents.split(" ")
    return SavedWork(task, ref, commit, base, tuple(others), float(date))


def _count(repository: Path, works: list[SavedWork]) -> dict[str, int]:
    """For each commit the number of files in which it differs from what was checked out."""
    pairs = {work.commit: work.base for work in works if work.commit != work.base}
    if not pairs:
        return {}
    feed = "".join(f"{commit} {base}".strip() + "\n" for commit, base in pairs.items())
    command = ("diff-tree", "--stdin", "--root", "-r", "-z", "--no-renames", "--name-only")
    counts = dict.fromkeys(pairs, 0)
    commit = ""
    for field in git.run(repository, *command, stdin=feed.encode()).fields:
        if field in pairs:
            commit = field
        else:
            counts[commit] += 1
    return counts


def _age(work: SavedWork) -> tuple[float, list[int]]:
    """Of two that were saved in the same second the later attempt, and the higher number, is later."""
    return work.saved_at, [int(number) for number in _NUMBERS.findall(work.ref.rpartition("/")[2])]


def _task_of(name: str) -> str:
    found = _ORPHAN.fullmatch(name)
    return found[1] if found else ""
