"""Swaps two files, so that each is found under the other's name."""

import contextlib
import ctypes
import errno
import os
from pathlib import Path

KEPT = ".kept"
"""What `exchange_by_link` adds to a name for a moment."""

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
"""Both from linux/fs.h and linux/fcntl.h."""

# Found once: between the last look at the file and the swap there must be as little time as can be.
_RENAMEAT2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)

_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}


def exchange(one: Path, other: Path) -> None:
    """Swap two files in one step where the system can (renameat2 on Linux), else in two.

    Raises FileNotFoundError if one of them is missing, and OSError where the system refuses; then
    nothing has changed.
    """
    try:
        exchange_at_once(one, other)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        exchange_by_link(one, other)


def exchange_at_once(one: Path, other: Path) -> None:
    """Swap two files in one step. Raises OSError with ENOSYS where the system has no call for it."""
    if _RENAMEAT2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), os.fspath(other))
    if _RENAMEAT2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fspath(other))


def exchange_by_link(one: Path, other: Path) -> None:
    """Swap two files in such a way that `other` is never missing and neither is ever lost.

    A kill in between may leave the former `other` under the name of `one` with KEPT behind it. What
    somebody renames to `other` between two of these steps is lost: that is why `exchange` prefers
    the other way.
    """
    kept = one.with_name(one.name + KEPT)
    os.link(other, kept)
    try:
        one.replace(other)
    except BaseException:
        with contextlib.suppress(OSError):
            kept.unlink()
        raise
    kept.rename(one)
