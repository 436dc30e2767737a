"""STOP and BLOCKED.md: how orch and an agent talk through files at the top of a worktree.

The worktree belongs to the agent, so nothing in it is trusted: it is opened as a folder, never through
a symbolic link, and a sign counts only where it is a plain file.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from orch.adapters import tails
from orch.adapters.repository import BLOCKED, STOP
from orch.adapters.store import atomic
from orch.errors import PermanentError

BLOCKED_LIMIT = 64 * 1024
"""Bytes of BLOCKED.md that are read: it is for a person."""

ARCHIVE_LIMIT = 16 * 1024 * 1024
"""Bytes that are kept of a sign where it has to be copied to another disk."""


def write_stop(tree: Path, reason: str) -> None:
    """Put STOP into a worktree. Nothing happens where there is no worktree.

    Raises PermanentError where a folder of that name is in the way, TransientError for the disk.
    """
    with _opened(tree) as folder:
        if folder is None:
            return
        # Made beside the worktree, so that the agent never sees a part of it as a file of its own.
        draft = tree.parent / f".stop-{tree.name}-{secrets.token_hex(6)}"
        try:
            atomic.write(draft, reason.rstrip("\n").encode("utf-8", "replace") + b"\n")
            os.replace(draft, STOP, dst_dir_fd=folder)
        except IsADirectoryError as error:
            raise PermanentError(f"{tree / STOP} is a folder", hint="remove it") from error
        except OSError as error:
            raise atomic.failure("write", tree / STOP, error) from error
        finally:
            with contextlib.suppress(OSError):
                draft.unlink()


def read_blocked(tree: Path) -> str | None:
    """The text of BLOCKED.md, see `tails.clean`; None where there is none."""
    with _opened(tree) as folder:
        data = None if folder is None else _read(folder, BLOCKED, BLOCKED_LIMIT)
    return None if data is None else tails.clean(data.decode("utf-8", "replace"))


def archive(tree: Path, into: Path) -> None:
    """Move the signs that are there into the folder `into`. Safe to repeat.

    What has the name of a sign but is a link or the like is removed; a folder is left alone.
    """
    with _opened(tree) as folder:
        if folder is None:
            return
        for name in (STOP, BLOCKED):
            try:
                _move(folder, name, into)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise atomic.failure("move", tree / name, error) from error


def _move(folder: int, name: str, into: Path) -> None:
    mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISDIR(mode):
        return
    if not stat.S_ISREG(mode):
        os.unlink(name, dir_fd=folder)
        return
    atomic.make_folder(into)
    try:
        os.replace(name, into / name, src_dir_fd=folder)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # The worktrees may be on another disk than .orch.
        atomic.write(into / name, _read(folder, name, ARCHIVE_LIMIT) or b"")
        os.unlink(name, dir_fd=folder)


@contextlib.contextmanager
def _opened(tree: Path) -> Iterator[int | None]:
    try:
        folder = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    except OSError as error:
        raise atomic.failure("open", tree, error) from error
    try:
        yield folder
    finally:
        os.close(folder)


def _read(folder: int, name: str, limit: int) -> bytes | None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=folder)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return os.read(descriptor, limit)
    finally:
        os.close(descriptor)
