"""Sees that a file was saved: by inotify where there is one, by looking elsewhere."""

from collections.abc import Collection, Mapping
from pathlib import Path

try:
    from inotify_simple import INotify, flags  # type: ignore[import-untyped]
except ImportError:  # Only Linux has it; elsewhere the files are looked at.
    INotify = None

POLL_SECONDS = 0.05
"""Without inotify the watched files are looked at this often: a save is acted on within 100 ms."""

Stamp = tuple[int, int, int] | None
"""(inode, mtime_ns, size) of a file, None while it is not there."""


class Watcher:
    """Tells which watched files have changed, by looking at them."""

    descriptor: int | None = None

    def __init__(self) -> None:
        self._stamps: dict[Path, Stamp] = {}

    def watch(self, files: Collection[Path], folders: Collection[Path]) -> None:
        """Watch these from now on, and nothing else."""
        self._stamps = {path: _stamp(path) for path in (*files, *folders)}

    def changed(self) -> list[str]:
        """The names of what has changed since the last call. Does not wait."""
        now: Mapping[Path, Stamp] = {path: _stamp(path) for path in self._stamps}
        names = [path.name for path, stamp in now.items() if stamp != self._stamps[path]]
        self._stamps = dict(now)
        return names

    def close(self) -> None:
        """Watch nothing any more."""
        self._stamps = {}


class InotifyWatcher(Watcher):
    """Is told by the kernel."""

    def __init__(self) -> None:
        super().__init__()
        self._inotify = INotify()
        self.descriptor = self._inotify.fileno()
        self._names: dict[int, frozenset[str] | None] = {}

    def watch(self, files: Collection[Path], folders: Collection[Path]) -> None:
        """Watch these too; an earlier watch stays."""
        wanted: dict[Path, set[str] | None] = {}
        for path in files:
            # Of a symbolic link both the link and what it means are watched.
            for each in {path, path.resolve()}:
                names = wanted.setdefault(each.parent, set())
                if names is not None:
                    names.add(each.name)
        wanted.update(dict.fromkeys(folders))
        mask = (
            flags.MODIFY
            | flags.CLOSE_WRITE
            | flags.MOVED_TO
            | flags.MOVED_FROM
            | flags.CREATE
            | flags.DELETE
            | flags.ATTRIB
        )
        for folder, names in wanted.items():
            number = self._inotify.add_watch(str(folder), mask)
            self._names[number] = None if names is None else frozenset(names)

    def changed(self) -> list[str]:
        """See `Watcher`. Where the kernel lost count, that is a change too."""
        names: dict[str, None] = {}
        for event in self._inotify.read(timeout=0):
            if event.mask & flags.Q_OVERFLOW:
                names["(many files)"] = None
            known = self._names.get(event.wd, frozenset())
            if known is None or event.name in known:
                names[event.name] = None
        return list(names)

    def close(self) -> None:
        """See `Watcher`."""
        self._inotify.close()


def best_watcher() -> Watcher:
    """The best watcher that this system has."""
    if INotify is None:
        return Watcher()
    try:
        return InotifyWatcher()
    except OSError:
        # The limit of inotify instances of this user is reached: looking works as well.
        return Watcher()


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
