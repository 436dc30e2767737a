"""The versions of tasks.md that were taken out of its place, and what people still do to them.

An editor that saves in place opens the file, empties it and writes. If orch swaps the file in between,
what was typed goes into the version that was swapped out. So that version is kept for a moment beside
a copy of what it held (its base), and what is typed into it is merged into tasks.md.

An editor may also read the file, and save it over what orch wrote since, unaware. So the bases tell as well
what could be read lately, and the newest version of tasks.md that is known to be right is kept beside them.

If somebody saves just before a swap, it is taken back. Then they may have read what was there for a moment,
and save over their own save what they make of that. So theirs, ours and what both were made from are kept
until tasks.md has all of it.

Everything here is done under the lock of tasks.md. Every step leaves files whose names say what they
are, so a kill at any moment is repaired by the next `sweep`:

    .tasks.md.orch-part-<token>         being written; worth nothing
    .tasks.md.orch-<stem>               about to be swapped in, or just swapped out
    .orch/replaced/<stem>.old           swapped out, and watched
    .orch/replaced/<stem>.base          what it held then; as old as the swap
    .orch/replaced/<stem>.next          what is swapped in: `newest` from then on
    .orch/replaced/newest               what tasks.md should be, as long as there is any base
    .orch/replaced/newest.lacked        as old as the first version that lacked something of it
    .orch/replaced/newest.part          being written; worth nothing
    .orch/replaced/told                 as old as the last time that somebody was told what was written
    .orch/replaced/<stem>.saved         what was saved just before a swap that was therefore taken back
    .orch/replaced/<stem>.withdrawn     what was in its place for a moment
    .orch/replaced/<stem>.found         what orch had made that from

where the stem is the digest of the base, the digest of what was to be swapped in, and a random token.
"""

import contextlib
import errno
import math
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from orch.adapters.store import atomic
from orch.adapters.store.exchange import KEPT
from orch.adapters.store.sight import TICK_SECONDS, Found, digest_of
from orch.core.values import dataclass

QUIET_SECONDS = 1.0
"""A replaced version that was written to is merged once it has not changed for this long: a person's
file is written in several steps, and the design gives a half-typed line the same second."""

WATCH_SECONDS = 3.0
"""A replaced version is forgotten after this long: between opening a file, or reading it, and writing
editors take milliseconds."""

_STEM = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})-[0-9a-f]{16}")
_PART = re.compile(r"part-[0-9a-f]{16}")
_DIGITS = 16
"""So much of a digest is in a name."""
_NEWEST = "newest"
_FRESH = f"{_NEWEST}.part"
_LACKED = f"{_NEWEST}.lacked"
_TOLD = "told"
_LACKING = (".lacked", ".withdrawn", ".saved", ".found")
"""What tells of what tasks.md lacks."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A new version that is ready to be swapped in."""

    path: Path
    stem: str
    digest: str
    """That of the whole new version."""


@dataclass(frozen=True, slots=True)
class LateEdit:
    """What a person wrote into a version that had been replaced."""

    path: Path
    stem: str
    base: bytes
    """What the version held when it was replaced; empty where that is not known any more."""
    data: bytes
    replaced: int
    """When it was replaced, as far as that is known; nanoseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A swap that was taken back."""

    found: bytes
    """What was to be replaced."""
    ours: bytes
    """What was in its place for a moment."""
    theirs: bytes
    """What a person had saved just before, which is there again."""
    saved: float
    """When it was taken back; seconds since the epoch."""


class Replaced:
    """The replaced versions of one file. Methods raise OSError; the caller holds the lock."""

    def __init__(self, folder: Path, now: Callable[[], float]) -> None:
        """`folder` takes the replaced versions; `now` gives seconds since the epoch."""
        self._folder = folder
        self._now = now
        self._seen: dict[str, tuple[int, int]] = {}
        """The (mtime_ns, size) at which a version was last known to hold its base, by its path."""
        self._newest: tuple[tuple[int, int, int], str] | None = None
        """The digest of the newest version, and which file that is of."""
        self._shared: Path | None = None
        """The base that is the same file as the newest version."""
        self._staged: Staged | None = None
        """What was staged last, until it is known whether it is in its place."""

    # --- swapping ----------------------------------------------------------------------------------------

    def stage(self, target: Path, found: Found, data: bytes) -> Staged:
        """Write a new version of `target`, whole and durable, with the mode and owner of the one `found`."""
        atomic.make_folder(self._folder)
        digest = digest_of(data)
        stem = _stem(found.digest, digest)
        staged = Staged(target.with_name(f"{_prefix(target)}{stem}"), stem, digest)
        part = target.with_name(f"{_prefix(target)}part-{secrets.token_hex(8)}")
        try:
            # It comes first and goes last: what lies beside it was swapped in, or is worth nothing.
            _write(self._next(stem), data, like=None)
            _set_time(self._next(stem))
            self._write_base(stem, found)
            _write(part, data, like=found.status)
            part.rename(staged.path)
        except BaseException:
            _discard(part, self._base(stem), self._next(stem))
            raise
        self._staged = staged
        return staged

    def _write_base(self, stem: str, found: Found) -> None:
        """Keep what was found. Mostly that is the newest version, which lies there already."""
        if self.newest_digest() == found.digest:
            with contextlib.suppress(OSError):  # there are file systems without hard links
                self._base(stem).hardlink_to(self._folder / _NEWEST)
                self._shared = self._base(stem)
                return
        self._make_base(stem, found.data)

    def discard(self, staged: Staged) -> None:
        """Forget a version that was not swapped in."""
        self._staged = None
        _discard(staged.path, self._base(staged.stem), self._next(staged.stem))

    def retire(self, staged: Staged, unchanged: os.stat_result | None = None) -> None:
        """Watch what was swapped out just now: it lies where the new version was staged.

        `unchanged` is what it looked like before it was found to hold its base, if it did.
        """
        base = self._base(staged.stem)
        if base != self._shared:
            with contextlib.suppress(OSError):
                # Without it the base is a little older than the swap.
                _set_time(base)
        place = self._keep(staged.path, staged.stem)
        if unchanged is not None:
            self._see(place, unchanged)
        else:
            _discard(self._saved(staged.stem))

    def save(self, staged: Staged, theirs: bytes) -> None:
        """Keep what a person has saved just before a swap: put back, it may be overwritten unaware."""
        with contextlib.suppress(OSError):
            if self.newest_digest() is None:
                # Without one, nothing would seem to lack anything.
                self._write_part(self._base(staged.stem).read_bytes()).rename(self._folder / _NEWEST)
            self._write_part(theirs).rename(self._saved(staged.stem))

    def withdraw(self, staged: Staged, ours: bytes, theirs: bytes, *, overwritten: bool) -> None:
        """Watch what lies where the new version `ours` was staged, which was swapped in and out again.

        It is ours, or what it was swapped out for, `theirs`, if something was saved over ours meanwhile.
        """
        self._staged = None
        stem = self._rebase(ours)
        if self._saved(staged.stem).exists():
            with contextlib.suppress(OSError):
                self._note_withdrawal(staged.stem)
        if overwritten:
            # An emptied file is an editor in the middle of saving.
            stem = self._rebase(theirs) if theirs.strip() else staged.stem
        self._keep(staged.path, stem)
        if stem != staged.stem:
            _discard(self._base(staged.stem))
        _discard(self._next(staged.stem))

    def _note_withdrawal(self, stem: str) -> None:
        self._write_part(self._base(stem).read_bytes()).rename(self._found(stem))
        self._next(stem).rename(self._withdrawn(stem))

    def withdrawn(self, saved: float) -> list[Withdrawn]:
        """The swaps of which a file may lack something that was saved at `saved`, the last one first.

        `saved` is in seconds since the epoch.
        """
        read = self._read_by(saved)
        swaps = []
        for ours in self._all(".withdrawn"):
            with contextlib.suppress(FileNotFoundError):  # a kill while they were discarded
                theirs = self._saved(ours.stem)
                at = theirs.stat().st_mtime
                if read - at < WATCH_SECONDS:
                    found = self._found(ours.stem).read_bytes()
                    swaps.append(Withdrawn(found, ours.read_bytes(), theirs.read_bytes(), at))
        return sorted(swaps, key=lambda swap: -swap.saved)

    def accept(self, edit: LateEdit) -> None:
        """Note that an edit is in tasks.md now. Its file is watched on, from what it holds now."""
        self._keep(edit.path, self._rebase(edit.data))
        _discard(self._base(edit.stem))

    def _rebase(self, data: bytes) -> str:
        """Keep `data` as the base of a version that is watched from now on; gives its stem."""
        stem = _stem(digest_of(data))
        with contextlib.suppress(OSError):
            # Without it an edit could still be seen, only not be told from what was there before.
            self._make_base(stem, data)
        return stem

    def _make_base(self, stem: str, data: bytes) -> None:
        part = self._write_part(data)
        # Before it gets its name: one that seems older than it is would seem to be followed by the newest.
        _set_time(part)
        part.rename(self._base(stem))

    def _write_part(self, data: bytes) -> Path:
        part = self._folder / _FRESH
        _discard(part)
        _write(part, data, like=None)
        return part

    # --- what could be read lately -----------------------------------------------------------------------

    def newest_digest(self) -> str | None:
        """That of `newest`. Cheap while it is the same."""
        try:
            stamp = _stamp(self._folder / _NEWEST)
        except OSError:
            return None
        if self._newest is None or self._newest[0] != stamp:
            newest = self.newest()
            if newest is None:
                return None
            self._newest = stamp, digest_of(newest[0])
        return self._newest[1]

    def newest(self) -> tuple[bytes, int] | None:
        """What tasks.md should be, and when that was noted (nanoseconds since the epoch).

        None once nothing is watched any more, or where it cannot be read.
        """
        path = self._folder / _NEWEST
        try:
            return path.read_bytes(), path.stat().st_mtime_ns
        except OSError:
            return None

    def remember(self, data: bytes, digest: str) -> None:
        """Note that tasks.md should be `data`, of that digest, if any other one could be read lately."""
        staged, self._staged = self._staged, None
        self.lacks_nothing()
        # An emptied file is an editor in the middle of saving.
        if data.strip() and self._names(".base"):
            fresh = self._next(staged.stem) if staged is not None and staged.digest == digest else None
            self._note(data, digest, fresh)
        # Whatever else was to be the newest version is older.
        _discard(*self._all(".next"))

    def _note(self, data: bytes, digest: str, fresh: Path | None) -> None:
        """Have `data` be the newest version; it is in `fresh` already, if that is given."""
        newest = self._folder / _NEWEST
        try:
            if self.newest_digest() == digest:
                _set_time(newest)
            else:
                fresh = fresh or self._write_part(data)
                if self._shared is not None:
                    # Not before: what is as old as the newest version counts as known to it.
                    with contextlib.suppress(FileNotFoundError):
                        _set_time(self._shared)
                    self._shared = None
                _set_time(fresh)
                fresh.replace(newest)
            self._newest = _stamp(newest), digest
        except OSError:
            # tasks.md is right without it; but what was right before must not come back.
            _discard(newest)

    def recover(self, target: Path) -> None:
        """Note the newest version where a kill right after a swap prevented that."""
        for path in sorted(self._all(".next"), key=lambda path: path.stat().st_mtime_ns):
            stem = _STEM.fullmatch(path.stem)
            if stem is None:
                _discard(path)
                continue
            base = self._base(stem[0])
            beside = target.with_name(f"{_prefix(target)}{stem[0]}")
            kept = beside.with_name(f"{beside.name}{KEPT}")
            saved = self._saved(stem[0])
            if _holds_other(stem[2], beside, kept, self._folder / f"{stem[0]}.old"):
                # It has all that was lacking before.
                self.lacks_nothing()
                with contextlib.suppress(FileNotFoundError):
                    _set_time(base, path.stat().st_mtime_ns)
                path.replace(self._folder / _NEWEST)
            elif saved.exists():
                # It was swapped in and out again, so somebody may have read it.
                self._rebase(path.read_bytes())
                self._note_withdrawal(stem[0])
            else:
                # Its base was not replaced, so it must not count as what somebody could have read before.
                _discard(kept, beside, base, path)

    def shown(self, saved: float, *, followed: int) -> Iterator[tuple[float, bytes]]:
        """The versions that a file may be made from that was saved at `saved` (seconds since the epoch).

        Each comes with the seconds from when it was replaced until then. Which were replaced later than at
        `followed` (nanoseconds) are not among them: what it is compared with does not tell what has come
        to those since.
        """
        read = self._read_by(saved)
        for path in self._all(".base"):
            status = path.stat()
            age = read - status.st_mtime
            if age < WATCH_SECONDS and status.st_mtime_ns <= followed:
                yield age, path.read_bytes()

    def _read_by(self, saved: float) -> float:
        """When what is saved at `saved`, or what that was made from, was read at the latest; in seconds."""
        with contextlib.suppress(FileNotFoundError):
            # What was saved since was made from a version that was known to lack something already.
            return min(saved, (self._folder / _LACKED).stat().st_mtime)
        return saved

    def lacks(self, saved: float) -> None:
        """Note that what was saved at `saved` (seconds since the epoch) lacks something of the newest one.

        Until that is given back and `remember` is called, what is saved later counts as made from it, and
        nothing that tells of it is forgotten: a person who saves again and again may leave nobody the time
        to give it back.
        """
        mark = self._folder / _LACKED
        with contextlib.suppress(FileExistsError):
            _write(mark, b"", like=None)
            _set_time(mark, int(saved * 1e9))

    def lacks_nothing(self) -> None:
        """Note that tasks.md has all that it should have, by whoever saved it."""
        _discard(*self._all(*_LACKING))

    def tell(self) -> None:
        """Note that somebody is told now what orch has written, if anything else could be read lately."""
        if self.newest_digest() is not None:
            with contextlib.suppress(OSError):
                (self._folder / _TOLD).touch()
                _set_time(self._folder / _TOLD)

    def since_without(self, text: str, within: float) -> float:
        """Seconds since a version without that text was last replaced; at most `within`."""
        ages = [within]
        for path in self._all(".base"):
            age = time.time() - path.stat().st_mtime
            if 0.0 <= age < within and text.encode() not in path.read_bytes():
                ages.append(age)
        return min(ages)

    def since_told(self, saved: float) -> float:
        """For how long it had been told what orch wrote when `saved` (seconds since the epoch) was read.

        In seconds; infinity where nobody had been told.
        """
        with contextlib.suppress(OSError):
            since = self._read_by(saved) - (self._folder / _TOLD).stat().st_mtime
            return since if since >= 0.0 else math.inf
        return math.inf

    # --- watching ----------------------------------------------------------------------------------------

    def wait(self) -> float | None:
        """Seconds until `sweep` is worth calling, None while nothing is watched. Cheap; needs no lock."""
        names: dict[str, os.DirEntry[str]] = {}
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self._folder) as entries:
            names = {entry.name: entry for entry in entries}
        waits = []
        for name, entry in names.items():
            stem, _, kind = name.rpartition(".")
            with contextlib.suppress(FileNotFoundError):
                if kind == "old":
                    status = entry.stat()
                    same = self._seen.get(entry.path) == (status.st_mtime_ns, status.st_size)
                    waits.append((WATCH_SECONDS if same else QUIET_SECONDS) - self._age(status))
                elif kind == "base" and f"{stem}.old" not in names:
                    # Its version lies beside the file, or it is only what could be read.
                    waits.append(WATCH_SECONDS - (self._now() - entry.stat().st_mtime))
        return max(0.0, min(waits)) if waits else None

    def sweep(self, target: Path) -> list[LateEdit]:
        """Repair what a kill left, forget what was watched long enough, give what a person wrote."""
        watched = self._repair(target)
        watched += [(path, path.stem) for path in self._all(".old") if _STEM.fullmatch(path.stem)]
        edits = []
        for path, stem in dict(watched).items():
            with contextlib.suppress(FileNotFoundError):
                edit = self._examine(path, stem)
                if edit:
                    edits.append(edit)
        self._drop_lonely_bases({stem for path, stem in watched if path.exists()})
        return edits

    def _examine(self, path: Path, stem: str) -> LateEdit | None:
        # Looked at before it is read: what is written in between counts at the next look.
        status = path.stat()
        over = self._age(status) >= WATCH_SECONDS
        unchanged = self._seen.get(str(path)) == (status.st_mtime_ns, status.st_size)
        if unchanged and not over:
            return None
        data = b"" if unchanged else path.read_bytes()
        if not unchanged and digest_of(data)[:_DIGITS] == stem[:_DIGITS]:
            unchanged = True
            self._see(path, status)
        # An emptied file is an editor in the middle of saving: taken for an edit it would delete all.
        nothing = unchanged or not data.strip()
        if nothing and over:
            _discard(path)
            self._seen.pop(str(path), None)
        if nothing or self._age(status) < QUIET_SECONDS:
            return None
        try:
            base, replaced = self._base(stem).read_bytes(), self._base(stem).stat().st_mtime_ns
        except FileNotFoundError:
            base, replaced = b"", status.st_mtime_ns
        return LateEdit(path, stem, base, data, replaced)

    def _see(self, path: Path, status: os.stat_result) -> None:
        """Note that a version, which looked like this before it was read, held its base."""
        # What was written just before might be written again without looking any different.
        if self._now() - status.st_mtime > TICK_SECONDS:
            self._seen[str(path)] = (status.st_mtime_ns, status.st_size)

    def _age(self, status: os.stat_result) -> float:
        return self._now() - max(status.st_mtime, status.st_ctime)

    def _drop_lonely_bases(self, stems: set[str]) -> None:
        """Forget the bases of versions that are not there, once nobody can save what they read any more.

        As long as something is lacking, what tells of it stays: somebody may save all the time.
        """
        left = False
        read = self._read_by(self._now())
        for path in self._all(".base"):
            if path.stem in stems or read - path.stat().st_mtime < WATCH_SECONDS:
                left = True
            else:
                _discard(path)
        if not left:
            self.lacks_nothing()
            _discard(self._folder / _NEWEST, self._folder / _FRESH, self._folder / _TOLD)

    # --- repairing ---------------------------------------------------------------------------------------

    def _repair(self, target: Path) -> list[tuple[Path, str]]:
        """Put away what lies beside `target`; gives what had to stay there."""
        prefix = _prefix(target)
        kept = []
        names = []
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(target.parent) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(prefix)]
        # What a swap by links kept comes first: it shares its base with the version staged for that swap.
        for name in sorted(names, key=lambda name: not name.endswith(KEPT)):
            path, rest = target.with_name(name), name.removeprefix(prefix)
            stem = _STEM.fullmatch(rest.removesuffix(KEPT))
            if _PART.fullmatch(rest):
                _discard(path)
            elif stem and self._base(stem[0]).exists():
                # Without a base it is not ours: a repository may hold a file of any name.
                place: Path | None = path
                with contextlib.suppress(FileNotFoundError):  # an editor has moved the file away for a moment
                    place = self._put_away(path, stem, target)
                kept += [(place, stem[0])] if place and place.parent == target.parent else []
        return kept

    def _put_away(self, path: Path, stem: re.Match[str], target: Path) -> Path | None:
        if path.samefile(target):
            # A swap by links was cut short before it did anything.
            _discard(path)
        elif digest_of(path.read_bytes())[:_DIGITS] == stem[2]:
            # Never swapped in, or withdrawn: it holds nothing of anybody's.
            _discard(path, self._base(stem[0]))
        else:
            return self._keep(path, stem[0])
        return None

    def _keep(self, path: Path, stem: str) -> Path:
        """Move a version to where it is watched; an editor that has it open does not notice."""
        place = self._folder / f"{stem}.old"
        try:
            path.rename(place)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            # The folder is a mount of its own. Then it is watched where it lies, at every sweep.
            place = path.with_name(_STEM.sub(stem, path.name.removesuffix(KEPT)))
            path.rename(place)
        return place

    def _all(self, *kinds: str) -> list[Path]:
        return [self._folder / name for name in self._names(*kinds)]

    def _names(self, *kinds: str) -> list[str]:
        """The names that end in one of those. There may be hundreds of others: glob takes long."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self._folder) as entries:
            return [entry.name for entry in entries if entry.name.endswith(kinds)]
        return []

    def _base(self, stem: str) -> Path:
        return self._folder / f"{stem}.base"

    def _next(self, stem: str) -> Path:
        return self._folder / f"{stem}.next"

    def _saved(self, stem: str) -> Path:
        return self._folder / f"{stem}.saved"

    def _found(self, stem: str) -> Path:
        return self._folder / f"{stem}.found"

    def _withdrawn(self, stem: str) -> Path:
        return self._folder / f"{stem}.withdrawn"


def _holds_other(digits: str, *places: Path) -> bool:
    """Whether the first file that there is of `places` holds another version than the one of that digest."""
    for place in places:
        with contextlib.suppress(FileNotFoundError):
            return digest_of(place.read_bytes())[:_DIGITS] != digits
    return False


def _prefix(target: Path) -> str:
    return f".{target.name}.orch-"


def _stem(base: str, data: str = "0" * _DIGITS) -> str:
    return f"{base[:_DIGITS]}-{data[:_DIGITS]}-{secrets.token_hex(8)}"


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def _write(path: Path, data: bytes, *, like: os.stat_result | None) -> None:
    """Write a new file; with `like` durably, and with that mode and, where we may, that owner."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if like is not None:
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, like.st_uid, like.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(like.st_mode))
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _set_time(path: Path, nanoseconds: int = 0) -> None:
    """Set when a file was written, now by default: the kernel's own stamps stand still for milliseconds."""
    at = nanoseconds or time.time_ns()
    os.utime(path, ns=(at, at))


def _discard(*paths: Path) -> None:
    # Leftovers: that one cannot be removed now must not stop what goes on; the next sweep tries again.
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()
