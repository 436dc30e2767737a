"""tasks.md on the disk: read at every look, and changed without losing what a person types meanwhile."""

import contextlib
import errno
import fcntl
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from orch.adapters.locks import FileLock
from orch.adapters.store import atomic
from orch.adapters.store.exchange import exchange as exchange_files
from orch.adapters.store.replaced import WATCH_SECONDS, LateEdit, Replaced
from orch.adapters.store.sight import PAUSE_SECONDS, TICK_SECONDS, Found, Sight
from orch.core import names, tasks_md
from orch.core.actions import AddTask, Change
from orch.core.model import Task
from orch.core.tasks_md import Document
from orch.errors import OrchError, PermanentError, TransientError
from orch.ports import Reading

PATIENCE_SECONDS = 10.0
"""How long a change waits for another process, or for somebody who saves the file again and again; what
is done under the lock takes milliseconds."""

UNDO_SECONDS = 1.0
"""A save that takes back just what orch wrote within this time is by somebody who had not seen it, unless
they were told; later it is a person's wish, who needs longer to read and to save."""

UNAWARE_SECONDS = 0.15
"""On a machine that is not loaded, whoever has read the file saves it sooner than this, if it is saved
unchanged. `add` tells nobody before that."""

STILL_SECONDS = 0.02
"""A version that lacks something and is as young as this may be half-written: it is looked at again."""

PACE_SECONDS = 0.25
"""How often replaced versions are looked after at most: there are many while orch is busy."""

LOOK_AGAIN_SECONDS = 0.02
"""After this the version is worth another look that could not be read because of another process."""

Choice = Callable[[Document], Sequence[Change]]
"""The changes that are to be made to what is found."""


def load_per_core() -> float:
    """How many processes wanted to run for each core in the last minute; 0 where that is not known."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except OSError:
        return 0.0


class TaskFile:
    """The TaskStore of a file. Any number of threads and processes may use the same file."""

    def __init__(
        self,
        path: Path,
        *,
        lock: Path,
        create: bool = True,
        patience: float = PATIENCE_SECONDS,
        now: Callable[[], float] = time.time,
        exchange: Callable[[Path, Path], None] = exchange_files,
        load: Callable[[], float] = load_per_core,
    ) -> None:
        """`path` may be a symbolic link: it stays one. The folder of `lock` keeps replaced versions.

        With `create` a missing file is made for new tasks, and only for them. `patience` is how long a
        change may have to wait, in seconds. `now` gives seconds since the epoch. `exchange` swaps two
        files; it may raise any OSError. `load` says how many processes want to run for each core.
        """
        self._path = path
        self._lock_path = lock
        self._lock = FileLock(lock, wait=patience)
        self._lock_at_once = FileLock(lock, wait=0.0)
        self._create = create
        self._patience = patience
        self._now = now
        self._exchange = exchange
        self._load = load
        self._replaced = Replaced(lock.parent / "replaced", now)
        self._repaired = False
        """Whether it was looked what a kill had left."""
        self._swept = 0.0
        """When replaced versions were last looked after; seconds since the epoch."""
        self._sight = Sight(path, now)

    # --- reading -----------------------------------------------------------------------------------------

    def read(self) -> Reading | None:
        """The file as it is, None where it could not be looked at (missing, unreadable, no file).

        While somebody changes it, the version before. Merges on the way what was typed into a version
        that had just been replaced, and what a version lacks that was made from one.
        """
        # Where there is no lock nothing was ever changed, and a mere look makes no folder.
        if self._lock_path.exists() and self._must_sweep():
            # Reading goes on without it; `apply` says what is wrong.
            with contextlib.suppress(OrchError), self._hold(self._lock_at_once):
                self._merge_late_edits()
        before = self._sight.known
        with self._at_rest() as resting:
            if resting:
                try:
                    self._sight.look()
                except OSError:
                    return None
        if not resting:
            # Nobody tells when another process lets go of the file.
            again = LOOK_AGAIN_SECONDS
        elif self._is_doubtful() and not self._clear_doubts():
            self._sight.known = before or self._sight.known
            again = PACE_SECONDS
        else:
            # Nor when a replaced version is settled.
            wait = self._replaced.wait()
            again = math.inf if wait is None else max(wait, PACE_SECONDS)
        known = self._sight.known
        # Where it could not be looked at now, its age is what it was at the last look.
        if known is None:
            return None
        return Reading(known.document, max(0.0, known.looked - known.since), again)

    def settle(self) -> float | None:
        """Merge what was typed into replaced versions, as far as it is ready.

        Gives the seconds after which this or `read` should be called again, None where nothing is
        watched. Raises as `apply` does.
        """
        with self._hold(self._lock):
            self._merge_late_edits()
        return self._replaced.wait()

    @contextlib.contextmanager
    def _hold(self, lock: FileLock) -> Iterator[None]:
        """Keep everybody else from the file. What a kill left is taken in before anything is held against it.

        Raises as the lock does, and as `apply`.
        """
        with lock.hold():
            try:
                self._replaced.recover(self._sight.target)
            except OSError as error:
                raise self._failure(error) from error
            yield

    @contextlib.contextmanager
    def _at_rest(self) -> Iterator[bool]:
        """Keep others from changing the file, if that is possible at once; says whether it is at rest.

        During a swap the file may for an instant hold what will not stay. A first look waits for that.
        """
        try:
            descriptor = os.open(self._lock_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            # Nobody has changed anything yet, or we may look but not lock.
            yield True
            return
        try:
            deadline = time.monotonic() + (0.0 if self._sight.known else self._patience)
            resting = _share(descriptor)
            while not resting and time.monotonic() < deadline:
                time.sleep(PAUSE_SECONDS)
                resting = _share(descriptor)
            yield resting
        finally:
            os.close(descriptor)

    def _is_doubtful(self) -> bool:
        """Whether somebody has saved a version that may lack what orch had written."""
        known, newest = self._sight.known, self._replaced.newest_digest()
        if known is None or newest is None or known.digest == newest:
            return False
        # An editor empties a file before it writes it.
        return not known.document.blank

    def _clear_doubts(self) -> bool:
        """Bring into the file what it lacks. Says whether what is known now can be relied on."""
        try:
            with self._hold(self._lock_at_once):
                self._rewrite(_nothing, (), patience=PACE_SECONDS)
        except OrchError:
            # Another orch is at work on it. Or it cannot be written, and after a while it counts as it is.
            known = self._sight.known
            return known is None or known.looked - known.since > WATCH_SECONDS
        return True

    # --- changing ----------------------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change]) -> Document:
        """Splice the changes into the newest version without losing a concurrent edit.

        Gives the document as it then is; where nothing is to be changed, nothing is written. Raises
        TransientError where the file is away, busy or cannot be written, and PermanentError where it
        can never be replaced; it is then whole, old or new.
        """
        with self._hold(self._lock):
            return self._change(lambda _: changes)

    def add(self, wish: Task, used: Iterable[str]) -> str:
        """Add a pending task under the next free id, and give that. `used` are ids beside those in the file.

        It is chosen under the lock: no other orch takes the same. Comes back once nobody can save the
        file any more who had read it before and knew nothing of the task: in a fifth of a second, on a
        loaded machine in up to one, and after as long again if somebody takes it out meanwhile. Who takes
        it out from then on means it. Raises as `apply` does.
        """
        taken = list(used)
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            task = wish

            def name(document: Document) -> Sequence[Change]:
                nonlocal task
                # It is there already if somebody saved what a swap that was taken back had shown.
                there = document.tasks.get(task.id)
                if there is None or not there.title.startswith(wish.title):
                    task = wish.evolve(id=names.next_id((*document.tasks, *taken)))
                return [AddTask(task)]

            with self._hold(self._lock):
                self._change(name)
            try:
                found = self._outlast(task, deadline)
            except TransientError:
                return task.id  # It is added, and whoever works on the file now keeps it there.
            if found is not None and tasks_md.is_same_task(task, found):
                return task.id
            taken.append(task.id)  # A person has typed that very id for something else.
        raise TransientError(f"{self._path} takes no new task", hint="`orch status` says what is wrong in it")

    def _outlast(self, task: Task, deadline: float) -> Task | None:
        """Wait for those who had read the file without an added task, and give what has its id then.

        At most until `deadline`, by the monotonic clock. Raises as `apply` does.
        """
        left = wait = min(UNDO_SECONDS, UNAWARE_SECONDS * max(1.0, self._load()))
        told = False
        while True:
            time.sleep(left)
            with self._hold(self._lock):
                # Was it taken out, it comes back now, and whoever read it without waits for as long again.
                found = self._change(lambda _: [AddTask(task)]).tasks.get(task.id)
                left = wait - self._replaced.since_without(f"{task.id}:", wait)
                if (told and left <= 0.0) or time.monotonic() > deadline:
                    return found
                told = left <= 0.0
                if told:
                    # A save from here on may count as a wish, so it is looked once more whether there is one.
                    self._replaced.tell()
                    left = TICK_SECONDS

    def _change(self, choose: Choice) -> Document:
        """Make the changes that are chosen for what is found, under the lock."""
        return self._rewrite(choose, self._sweep() if self._must_sweep() else ())

    def _must_sweep(self) -> bool:
        """Whether it is time to look after replaced versions."""
        now = self._now()
        if self._repaired and abs(now - self._swept) < PACE_SECONDS:
            return False
        self._swept = now
        return not self._repaired or self._replaced.wait() == 0.0

    def _sweep(self) -> list[LateEdit]:
        try:
            # First what the file lacks: a sweep forgets what it was made from.
            self._sight.look()
            if self._is_doubtful():
                self._rewrite(_nothing, ())
            elif not self._sight.is_emptied:
                self._replaced.lacks_nothing()
            edits = self._replaced.sweep(self._sight.target)
        except FileNotFoundError:
            return []  # an editor has moved it away for a moment
        except OSError as error:
            raise self._failure(error) from error
        self._repaired = True
        return edits

    def _merge_late_edits(self) -> None:
        """Bring what was typed into replaced versions into the file, under the lock."""
        edits = self._sweep()
        if edits:
            self._rewrite(_nothing, edits)

    def _rewrite(
        self, choose: Choice, edits: Sequence[LateEdit], *, patience: float | None = None
    ) -> Document:
        """Make the changes and merge the edits, under the lock."""
        deadline = time.monotonic() + (self._patience if patience is None else patience)
        waited = False
        try:
            while time.monotonic() < deadline:
                found = self._sight.find_whole()
                if found is None:
                    self._make(choose(Document()))
                    continue
                merged = self._merge(found, edits)
                by_person = merged is not found.document
                if by_person and not waited and time.time() - found.changed < STILL_SECONDS:
                    waited = True
                    time.sleep(STILL_SECONDS)
                    continue
                wanted = tasks_md.apply(merged, choose(merged))
                put = self._put(found, wanted, by_person=by_person)
                if put is not None:
                    for edit in edits:
                        self._replaced.accept(edit)
                    self._replaced.remember(*put)
                    return wanted
        except OSError as error:
            raise self._failure(error) from error
        raise TransientError(f"{self._path} is being saved all the time", retry_after=1.0)

    def _merge(self, found: Found, edits: Sequence[LateEdit]) -> Document:
        """What was found, with everything that it lacks and that people typed elsewhere."""
        document = found.document
        if not edits and not self._is_doubtful():
            return document
        was = document.text
        text = self._restore(found) if self._is_doubtful() else was
        if text != was:
            self._replaced.lacks(found.changed)
        for edit in edits:
            # It may have been made from an older version, as any other.
            typed = self._give_back(edit.base, edit.replaced, edit.replaced / 1e9, _text(edit.data))
            text = tasks_md.merge(_text(edit.base), text, typed)
        return document if text == was else tasks_md.parse(text)

    def _restore(self, found: Found) -> str:
        """The text with what it lacks because it was made from a version that was replaced meanwhile."""
        text = found.document.text
        for swap in self._replaced.withdrawn(found.changed):
            # What was made from ours keeps what is ours: the ids and marks that are in it.
            both = tasks_md.merge(_text(swap.found), _text(swap.ours), _text(swap.theirs))
            text = _give_back([(0.0, swap.ours)], swap.theirs, text, both, wish=math.inf)
        newest = self._replaced.newest()
        return text if newest is None else self._give_back(*newest, found.changed, text)

    def _give_back(self, newest: bytes, noted: int, changed: float, saved: str) -> str:
        """What was saved at `changed`, with what it lacks of `newest`, which had been noted at `noted`."""
        shown = self._replaced.shown(changed, followed=noted)
        wish = min(UNDO_SECONDS, UNAWARE_SECONDS + self._replaced.since_told(changed))
        return _give_back(shown, newest, saved, wish=wish)

    def _make(self, changes: Sequence[Change]) -> None:
        """Make the missing file, empty, if new tasks are all that is wanted."""
        if not (self._create and changes and all(isinstance(change, AddTask) for change in changes)):
            raise TransientError(f"{self._path} is missing", hint="save it again, or run `orch init`")
        data = tasks_md.apply(Document(), changes).data
        atomic.create(self._sight.target, data, durable=True)

    def _put(self, found: Found, wanted: Document, *, by_person: bool) -> tuple[bytes, str] | None:
        """Have `wanted` in the place of `found`; gives its bytes and their digest.

        None if something else is there by now.
        """
        if wanted is not found.document:
            return self._swap(found, wanted, by_person=by_person)
        try:
            # Whoever is still writing it will be through with it at the next look.
            there = not self._is_doubtful() or self._sight.still_there(found)
        except FileNotFoundError:
            return None
        return (found.data, found.digest) if there else None

    def _swap(self, found: Found, wanted: Document, *, by_person: bool) -> tuple[bytes, str] | None:
        """Put `wanted` in the place of `found`; gives its bytes and their digest.

        None if something else was there: a person's version is back in its place, or lies where the
        next sweep finds it.
        """
        target = self._sight.target
        if not found.status.st_mode & 0o222:
            # It could be replaced all the same, but whoever made it so does not want it changed.
            raise PermissionError(errno.EACCES, "it is read-only", str(target))
        data = wanted.data_from(found.document, found.data)
        staged = self._replaced.stage(target, found, data)
        try:
            unchanged = self._sight.still_there(found)
            if unchanged:
                self._exchange(staged.path, target)
        except OSError as error:
            self._replaced.discard(staged)
            if isinstance(error, FileNotFoundError):
                return None  # an editor has moved it away for a moment
            raise
        if not unchanged:
            self._replaced.discard(staged)
            return None
        swapped_out = staged.path.stat()
        saved = staged.path.read_bytes()
        if saved == found.data:
            self._replaced.retire(staged, swapped_out)
            self._sight.replaced(wanted, staged.digest, by_person=by_person)
            return data, staged.digest
        # Somebody saved between the look and the swap. That version goes back to where its editor
        # expects it, at once: what is still being written to it then lands in the right place.
        whole = _is_whole(saved, found.data)
        if whole:
            self._replaced.save(staged, saved)
        try:
            self._exchange(staged.path, target)
            if not whole and _is_whole(now := target.read_bytes(), found.data):
                self._replaced.save(staged, now)
            overwritten = staged.path.read_bytes() != data
            if overwritten:
                # What somebody has saved over it meanwhile is later, so that goes there.
                self._exchange(staged.path, target)
        except OSError as error:
            self._replaced.retire(staged)
            if isinstance(error, FileNotFoundError):
                return None
            raise
        self._replaced.withdraw(staged, data, saved, overwritten=overwritten)
        return None

    def _failure(self, error: OSError) -> OrchError:
        if error.errno in {errno.EBUSY, errno.EXDEV}:
            return PermanentError(
                f"{self._path} cannot be replaced: {error.strerror}",
                hint="it seems to be mounted by itself: mount the folder that it lies in instead",
            )
        return atomic.failure("change", self._path, error)


def _share(descriptor: int) -> bool:
    """Take a shared lock, if that is possible at once."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _nothing(_: Document) -> Sequence[Change]:
    return ()


def _is_whole(saved: bytes, before: bytes) -> bool:
    """Whether a version seems to be written to its end: it has the last line of the one before."""
    return bool(saved.strip()) and before.rstrip().rpartition(b"\n")[2] in saved


def _give_back(
    shown: Iterable[tuple[float, bytes]], newest: bytes, saved: str, both: str | None = None, *, wish: float
) -> str:
    """What was saved over `newest`, with what it lacks of that if it was made from one of those `shown`.

    With `both`, what these two come to together, it gets that instead. If it is just one of those, replaced
    more than `wish` seconds before, a person took back what orch had written: it gets nothing.
    """
    kept = _text(newest)
    if saved.startswith(kept):
        return saved  # That was half-written yet.
    origin = tasks_md.find_origin(((age, _text(data)) for age, data in shown), kept, saved)
    if origin is None or (origin.differences == 0 and origin.age > wish):
        return saved
    return tasks_md.restore(origin.text, kept, tasks_md.parse(saved), both)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
