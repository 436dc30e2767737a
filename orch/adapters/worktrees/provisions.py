"""What a worktree gets besides the checkout: copied files (`.env`) and links to shared caches.

A pattern comes from the person's config.toml, but what it meets comes from the repository: nothing is
taken from outside the project by way of a symbolic link, and nothing is put outside the worktree.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from orch.adapters import repository as repositories
from orch.adapters.store import atomic
from orch.errors import PermanentError

_SPECIAL = "\\*?["


def provide(
    repository: Path, tree: Path, *, copy: Sequence[str], link: Sequence[str], skip: Sequence[Path]
) -> None:
    """Copy and link into the worktree what is missing there, and keep it out of git.

    `copy` are glob patterns, `link` paths, both relative to `repository`; folders under `skip` are never
    looked into. Raises PermanentError for a pattern that leaves the repository, TransientError for the disk.
    """
    try:
        for pattern in copy:
            _copy(repository, tree, pattern, skip)
        for name in link:
            _link(repository, tree, name)
    except OSError as error:
        raise atomic.failure("provide", Path(error.filename or tree), error) from error


def _copy(repository: Path, tree: Path, pattern: str, skip: Sequence[Path]) -> None:
    _check(pattern)
    found = [file for source in sorted(repository.glob(pattern)) for file in _files(source)]
    paths = [file.relative_to(repository) for file in found if _is_inside(file, repository, skip)]
    missing = [path for path in paths if not os.path.lexists(tree / path)]
    # First this, so that no moment is left in which an agent could commit a secret by accident.
    repositories.exclude(repository, [pattern_of(path) for path in missing])
    for path in missing:
        target = _target(tree, path)
        draft = tree.parent / f".copy-{tree.name}"
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        shutil.copyfile(repository / path, draft)
        shutil.copystat(repository / path, draft)
        draft.replace(target)


def _link(repository: Path, tree: Path, name: str) -> None:
    _check(name)
    path = Path(PurePosixPath(name))
    if (repository / path).exists() and not os.path.lexists(tree / path):
        target = _target(tree, path)
        repositories.exclude(repository, [pattern_of(path)])
        target.symlink_to(repository / path)


def _check(name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or path.parts[0] == ".git":
        raise PermanentError(
            f"{name!r} cannot be copied or linked into a worktree",
            hint="[worktree] copy and link in config.toml take paths inside the repository",
        )


def _files(source: Path) -> Iterator[Path]:
    """The plain files at or under `source`; links to folders are not followed."""
    if source.is_dir() and not source.is_symlink():
        for folder, _, names in os.walk(source):
            for name in sorted(names):
                if (Path(folder) / name).is_file():
                    yield Path(folder) / name
    elif source.is_file():
        yield source


def _is_inside(file: Path, repository: Path, skip: Sequence[Path]) -> bool:
    """Whether the file, and what it links to, lies in the repository and in none of the `skip` folders."""
    for path in (file, file.resolve()):
        if not path.is_relative_to(repository) or any(path.is_relative_to(folder) for folder in skip):
            return False
    return True


def _target(tree: Path, path: Path) -> Path:
    """Where a file goes, its folder made. A link in the checkout must not lead it out of the worktree."""
    target = tree / path
    if not target.parent.resolve().is_relative_to(tree):
        raise PermanentError(f"{path} would be outside of {tree}: a folder above it is a symbolic link")
    atomic.make_folder(target.parent)
    return target


def pattern_of(path: Path) -> str:
    """The line of info/exclude that means this file only."""
    text = "".join("\\" + letter if letter in _SPECIAL else letter for letter in path.as_posix())
    return "/" + (text[:-1] + "\\ " if text.endswith(" ") else text)
