"""tasks.md as it is seen: read again only where it may have changed, with the time of its last change."""

import contextlib
import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from orch.core import tasks_md
from orch.core.tasks_md import Document
from orch.core.values import dataclass

SAVING_SECONDS = 0.5
"""How long a file that is away or empty is taken for one that is just being saved."""

EMPTIED_SECONDS = 30.0
"""How long one that is empty may belong to an editor that is just slow."""

PAUSE_SECONDS = 0.005
"""Between two looks at a lock or a file that another process is about to leave."""

TICK_SECONDS = 0.02
"""A file's times lag behind the clock by less than this: the kernel counts in steps of 10 ms or fewer."""

_COARSE_SECONDS = 2.0
"""The coarsest clock of a file system (FAT): a version of this age has a stamp of its own."""


@dataclass(frozen=True, slots=True)
class Known:
    """A version as it was last seen."""

    document: Document
    digest: str
    """That of its bytes."""
    since: float
    """When a person last changed it, as far as can be known; seconds since the epoch."""
    looked: float
    """When it was last seen; seconds since the epoch."""
    stamp: tuple[int, ...] = ()
    """What the file looks like while it is unchanged; empty where that must be found out."""


@dataclass(frozen=True, slots=True)
class Found:
    """A version that was just read."""

    data: bytes
    digest: str
    """That of `data`."""
    status: os.stat_result
    document: Document

    @property
    def changed(self) -> float:
        """When the file was saved, or moved to its place; seconds since the epoch."""
        return max(self.status.st_mtime, self.status.st_ctime)


class Sight:
    """What is known of one file. Methods raise OSError where it cannot be looked at."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        """`path` may be a symbolic link; `now` gives seconds since the epoch."""
        self._path = path
        self._now = now
        self.known: Known | None = None

    @property
    def target(self) -> Path:
        """The file itself, where the path is a symbolic link."""
        return Path(os.path.realpath(self._path))

    @property
    def is_emptied(self) -> bool:
        """Whether there was nothing in the file at the last look, and there was not long before."""
        known = self.known
        return known is not None and known.document.blank and known.looked - known.since < EMPTIED_SECONDS

    def look(self) -> None:
        """Bring what is known up to date."""
        known = self.known
        try:
            if known is None or known.stamp != _stamp(self.target.stat()):
                self.find()
                return
        except OSError:
            if known:
                # What comes next is not older than this look, whatever its clock says.
                self.known = replace(known, looked=self._now())
            raise
        self.known = _looked_again(known, self._now())

    def find(self) -> Found:
        """Read the file, whatever is known of it."""
        descriptor = os.open(self.target, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            # Before it is read: if it changes meanwhile, its next stamp is another one.
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a plain file")
            data = file.read()
        known, now, changed = self.known, self._now(), max(status.st_mtime, status.st_ctime)
        stamp = _stamp(status) if now - changed > _COARSE_SECONDS else ()
        digest = digest_of(data)
        if known and known.digest == digest:
            self.known = found = replace(_looked_again(known, now), stamp=stamp)
        else:
            # Whatever the clock of the file says, it changed after the last look at another version.
            since = min(max(changed, known.looked), now) if known else min(changed, now)
            document = tasks_md.parse_again(known.document if known else Document(), data)
            self.known = found = Known(document, digest, since, now, stamp)
        return Found(data, digest, status, found.document)

    def find_whole(self) -> Found | None:
        """Read the file, None where it is missing. One that is just being saved is waited for."""
        deadline = time.monotonic() + SAVING_SECONDS
        while True:
            found = None
            with contextlib.suppress(FileNotFoundError):
                found = self.find()
            saving = found is None or (
                not found.data and time.time() - found.status.st_mtime < SAVING_SECONDS
            )
            if not saving or time.monotonic() > deadline:
                return found
            time.sleep(PAUSE_SECONDS)

    def still_there(self, found: Found) -> bool:
        """Whether the file has not been saved since. Raises FileNotFoundError where it is away."""
        return _stamp(self.target.stat()) == _stamp(found.status)

    def replaced(self, document: Document, digest: str, *, by_person: bool) -> None:
        """Note that the file was replaced by `document`, which holds something that a person typed or not."""
        now = self._now()
        self.known = Known(document, digest, now if by_person or not self.known else self.known.since, now)


def digest_of(data: bytes) -> str:
    """What tells one version from another, however long they are."""
    return hashlib.sha256(data).hexdigest()


def _looked_again(known: Known, now: float) -> Known:
    """What is known, seen once more. It is not younger than that, even if the clock was set back."""
    return replace(known, looked=now, since=min(known.since, now))


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
