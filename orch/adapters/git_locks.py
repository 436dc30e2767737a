"""git's own lock files, and what becomes of those that a killed git has left.

git writes NAME.lock beside a file that it is about to replace, and removes it again whatever happens, but
for SIGKILL and a power failure. Then nobody can change that file any more. orch removes such a lock only
where nobody else writes (in its own worktrees, and that of a ref of its own), and only when its owner is
proved dead. Any other one it tells of: it may belong to a program of the person's.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orch.adapters.store import atomic
from orch.errors import ShortageError, TransientError
from orch.ports import Finding

if TYPE_CHECKING:
    import psutil  # type: ignore[import-untyped]

RETRY_SECONDS = 1.0
"""Who holds a lock is asked again after this."""

_NAMED = re.compile(r"Unable to create '([^']+\.lock)': File exists")
_OUR_REFS = ("refs/heads/orch/", "refs/remotes/origin/orch/", "refs/orch/", "refs/pull/")


class LeftLockError(ShortageError):
    """A lock that only a person may remove keeps git from its work: nobody's fault, tried until it works."""


def resolve(where: Path, said: str) -> bool:
    """Remove the lock that made a git command in `where` fail, by what it `said`; whether the way is free.

    Only that of a ref of orch's own. Raises LeftLockError for any other one that a killed git left,
    TransientError for one that is held.
    """
    for line in said.split("; "):
        found = None if line.startswith("remote:") else _NAMED.search(line)
        if found is not None:
            path = where / found[1]
            path = path.parent.resolve() / path.name
            common = _common_of(path)
            if common is None:
                continue
            if is_ours(path, common):
                clear(path, [common.parent, common, where])
            else:
                _check(path, [common.parent, common, where])
                raise LeftLockError(f"{path} was left by a git that was killed", hint=f"rm {path}")
            return True
    return False


def is_ours(path: Path, common: Path) -> bool:
    """Whether nobody but orch and its workers changes the ref that is locked."""
    return path.relative_to(common).as_posix().startswith(_OUR_REFS)


def clear(path: Path, places: Sequence[Path]) -> None:
    """Remove a lock file whose owner is proved dead. Nothing happens if it is gone.

    The owner would be any git that works in one of the `places` (it goes to the top of its worktree before
    it starts), or whatever has the file open. Raises TransientError where there is one.
    """
    before = _version(path)
    if before is None:
        return
    _check(path, places)
    # Another one by now: its owner may have come after we looked for it.
    if _version(path) == before:
        atomic.remove(path)


def discard_left(common: Path) -> None:
    """Remove the locks of refs of orch's own that nobody holds. What cannot be removed now stays."""
    for path in _find_refs(common):
        if is_ours(path, common):
            with contextlib.suppress(TransientError):
                clear(path, [common.parent, common])


def discard_maintenance(common: Path) -> None:
    """Remove the lock of a `git maintenance` that was killed: git would never put anything in order again."""
    path = common / "objects" / "maintenance.lock"
    with contextlib.suppress(TransientError):
        clear(path, [common.parent, common])


def find_left(common: Path) -> list[Path]:
    """The lock files in the common git directory, and of its worktrees, that nobody holds."""
    folders = (common, common / "objects" / "info", *_folders(common / "worktrees"))
    found = [path for folder in folders for path in sorted(folder.glob("*.lock"))]
    return [path for path in (*found, *_find_refs(common)) if not _owner_of(path, [common.parent, common])]


def check_locks(common: Path) -> list[Finding]:
    """For `orch doctor`: the locks that keep git from its work until a person removes them."""
    return [
        Finding(ok=False, what=f"{path} was left by a git that was killed", do=f"rm {path}")
        for path in find_left(common)
        if not is_ours(path, common)
    ]


def _check(path: Path, places: Sequence[Path]) -> None:
    if owner := _owner_of(path, places):
        raise TransientError(f"{path} is held by {owner}", retry_after=RETRY_SECONDS)


def _version(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise atomic.failure("look at", path, error) from error
    return found.st_ino, found.st_mtime_ns


def _common_of(path: Path) -> Path | None:
    """The git directory that a lock file is in; None for what is no such file."""
    if path.is_symlink() or not path.is_file():
        return None
    return next((folder for folder in path.parents if (folder / "objects").is_dir()), None)


def _find_refs(common: Path) -> list[Path]:
    """The locks of refs, held or not."""
    return sorted((common / "refs").rglob("*.lock"))


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in sorted(folder.iterdir()) if path.is_dir())


def _owner_of(path: Path, places: Sequence[Path]) -> str:
    """The process that may own a lock file, for a person; '' where none can."""
    import psutil

    for process in psutil.process_iter(["name", "status"]):
        if process.info["status"] != psutil.STATUS_ZOMBIE and _may_own(process, path, places):
            return f"process {process.pid} ({process.info['name']})"
    return ""


def _may_own(process: "psutil.Process", path: Path, places: Sequence[Path]) -> bool:
    import psutil

    is_git = (process.info["name"] or "").startswith("git")
    try:
        if is_git and any(Path(process.cwd()).is_relative_to(place) for place in places):
            return True
        return any(file.path == str(path) for file in process.open_files())
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        # Another user's: only a git could have made the file.
        return is_git
