"""Taking folders away: aside where they may hold work, for good where everything in them is saved.

    trees/.orphans/<task>-<attempt>[-n]    found where a worktree should be, and not git's: kept for a person
    trees/.removed/<task>.<pid>.<n>        saved, and being deleted

Both begin with one rename, so that `trees/<task>` is there whole or not at all.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from orch.adapters.store import atomic
from orch.errors import TransientError

ORPHANS = ".orphans"
REMOVED = ".removed"


def put_aside(tree: Path, name: str) -> Path:
    """Move a folder (or whatever is there) out of the way; gives where it is now."""
    folder = tree.parent / ORPHANS
    atomic.make_folder(folder)
    number = 1
    while True:
        place = folder / (name if number == 1 else f"{name}-{number}")
        if not os.path.lexists(place):
            break
        number += 1
    try:
        _move(tree, place)
    except OSError as error:
        raise atomic.failure("move", tree, error) from error
    return place


def bury(tree: Path) -> None:
    """Take a worktree away in one step. What is left is deleted by `delete_buried`."""
    folder = tree.parent / REMOVED
    while os.path.lexists(tree):
        atomic.make_folder(folder)
        # Somebody else may take the empty folder away in between: then once more.
        try:
            _move(tree, folder / f"{tree.name}.{os.getpid()}.{time.monotonic_ns()}")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise atomic.failure("remove", tree, error) from error


def _move(tree: Path, place: Path) -> None:
    try:
        tree.rename(place)
    except PermissionError:
        # To another parent only a folder goes that may be written to.
        mode = tree.lstat().st_mode
        if not stat.S_ISDIR(mode):
            raise
        tree.chmod(stat.S_IMODE(mode) | stat.S_IRWXU)
        tree.rename(place)


def entries(folder: Path) -> Sequence[Path]:
    """What lies in a folder, sorted; nothing where it is not there (any more)."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return ()


def delete_buried(tree: Path, warn: Callable[[str], None]) -> None:
    """Delete what was buried, also by an orch that was killed then.

    Raises TransientError, with the path, where something of this worktree cannot be deleted; `warn`
    gets a line where it is of another.
    """
    folder = tree.parent / REMOVED
    problem = None
    for place in entries(folder):
        try:
            _delete(place)
        except OSError as error:
            failed = atomic.failure("delete", place / (error.filename or ""), error)
            if place.name.startswith(tree.name + "."):
                problem = failed
            else:
                warn(str(failed))
    if problem is not None:
        raise TransientError(problem.message, hint=problem.hint or f"delete {folder} yourself")
    with contextlib.suppress(OSError):
        folder.rmdir()  # Unless something is left in it.


def _delete(place: Path) -> None:
    """Delete a folder, unless somebody else is deleting it."""
    try:
        descriptor = _open(place)
    except FileNotFoundError:
        return
    try:
        # The kernel forgets this lock with us, so that the next orch goes on.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            shutil.rmtree(place)
        except PermissionError:
            _allow(place)
            shutil.rmtree(place)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)


def _open(place: Path) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(place, flags)
    except PermissionError:
        place.chmod(stat.S_IRWXU)
        return os.open(place, flags)


def _allow(place: Path) -> None:
    """Give ourselves every right to the folders: module caches, for one, are made read-only."""
    place.chmod(stat.S_IRWXU)
    for folder, names, _ in os.walk(place):
        for name in names:
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(stat.S_IRWXU)
