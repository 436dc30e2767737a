"""The one way to write a small file: whole or not at all, whatever happens in between.

Everything is written to a temporary file in the same folder first and then renamed or linked into
place, so that a reader, a kill, a full disk and (where `durable`) a power loss find the old version
or the new one. Every OSError becomes a TransientError: a person can free the disk while orch runs.
"""

import contextlib
import errno
import os
import secrets
import stat
import time
from pathlib import Path

from orch.errors import TransientError

LEFTOVER_SECONDS = 3600.0
"""A temporary file of this age belongs to a writer that was killed: writing takes milliseconds."""

_HINTS = {
    errno.ENOSPC: "free some disk space",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "make the file system writable again",
    errno.EACCES: "check the owner and the permissions",
    errno.EPERM: "check the owner and the permissions, and whether the file system has hard links",
    errno.EOPNOTSUPP: "the file system has no hard links, which orch needs",
    errno.EMFILE: "raise `ulimit -n`",
    errno.ENFILE: "end something else on this machine",
}


def write(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Make `data` the content of `path`, whatever was there.

    With `durable` it survives a power loss once this returns. Raises TransientError where it cannot
    be written; the old content is then still there, whole.
    """
    try:
        temporary = _temporary(path, data, durable=durable)
        try:
            temporary.replace(path)
        except BaseException:
            _discard(temporary)
            raise
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        raise failure("write", path, error) from error


def create(path: Path, data: bytes, *, durable: bool = False) -> bool:
    """Make `path` with the content `data` if nothing of that name is there; says whether it did.

    Of any number of processes that try, one gets True. Raises TransientError as `write` does.
    """
    try:
        temporary = _temporary(path, data, durable=durable)
        try:
            os.link(temporary, path)
            created = True
        except FileExistsError:
            created = False
        finally:
            _discard(temporary)
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        raise failure("write", path, error) from error
    return created


def remove(path: Path, *, durable: bool = False) -> None:
    """Remove a file. Nothing happens if it is gone. Raises TransientError where it cannot be."""
    try:
        path.unlink(missing_ok=True)
        if durable:
            sync_folder(path.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise failure("remove", path, error) from error


def make_folder(path: Path, *, durable: bool = False) -> None:
    """Make a folder and those above it, where they are missing. Raises TransientError."""
    try:
        _make_folder(path, durable=durable)
    except OSError as error:
        raise failure("make", path, error) from error


def read(path: Path, limit: int) -> bytes | None:
    """At most `limit` bytes from the start of a plain file, None where there is none.

    Symbolic links are not followed, and what is no plain file (a named pipe would hang us) is read
    as empty. Raises TransientError where it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            return b""
        raise failure("read", path, error) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return b""
        # A file that does not grow any more comes in one read; one byte over its size shows that.
        wanted = min(limit, status.st_size + 1)
        return os.read(descriptor, wanted)
    except OSError as error:
        raise failure("read", path, error) from error
    finally:
        os.close(descriptor)


def discard_leftovers(folder: Path) -> int:
    """Remove the temporary files that killed writers left in `folder`; gives how many.

    A folder or file that cannot be looked at is left for the next time.
    """
    removed = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not (entry.name.startswith(".") and entry.name.endswith(".tmp")):
                continue
            with contextlib.suppress(OSError):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > LEFTOVER_SECONDS:
                    Path(entry.path).unlink()
                    removed += 1
    return removed


def failure(verb: str, path: Path, error: OSError) -> TransientError:
    """The TransientError for `error`, which came while `path` was to be read, written, ..."""
    reason = error.strerror or str(error)
    return TransientError(f"cannot {verb} {path}: {reason}", hint=_HINTS.get(error.errno or 0, ""))


def _temporary(path: Path, data: bytes, *, durable: bool) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o666)
    try:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        _discard(temporary)
        raise
    return temporary


def _discard(temporary: Path) -> None:
    # It is only a leftover: that it could not be removed must not hide what went wrong before.
    with contextlib.suppress(OSError):
        temporary.unlink()


def _make_folder(path: Path, *, durable: bool) -> None:
    try:
        path.mkdir()
    except FileNotFoundError:
        _make_folder(path.parent, durable=durable)
        path.mkdir(exist_ok=True)
    except FileExistsError:
        if not path.is_dir():
            if os.path.lexists(path):
                raise
            _make_folder(path, durable=durable)  # Somebody took it away in this very moment.
        return
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was made, renamed or removed in a folder survive a power loss. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems have no fsync for folders; they keep renames by themselves.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
