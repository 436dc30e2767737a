"""The version of everything under `.orch/`: an older layout is brought up to date, a newer one is left alone.

`.orch/version` holds one number. A project without it was made before there were versions: that is 0. Each
single file has a version of its own besides (see `records`), by which a change of one record is told.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from orch.adapters.store import atomic
from orch.errors import ConfigError, TransientError

log = logging.getLogger(__name__)

TRIES = 5
"""A removal of `.orch` (`git clean -fdx`) meets one write of it, or two."""

Step = Callable[[Path], None]
"""Brings `.orch` (its path is given) from one version to the next. Killed, it is done again."""


def _number(_: Path) -> None:
    """0 to 1: the layout is the same, and from now on it has a number."""


STEPS: Mapping[int, Step] = {0: _number}
"""By the version that a step starts from."""


def read_version(file: Path) -> int:
    """The version of a project's `.orch`, 0 where none is written.

    Raises ConfigError where the file holds something else, TransientError where it cannot be read.
    """
    data = atomic.read(file, 32)
    if data is None:
        return 0
    text = data.decode("ascii", "replace").strip()
    if not (text.isascii() and text.isdecimal()):
        raise ConfigError(
            f"{file} does not hold a version", hint="it is orch's own: put 1 there if .orch is of this orch"
        )
    return int(text)


def check(file: Path, steps: Mapping[int, Step] = STEPS) -> int:
    """The version of a project's `.orch`. Raises ConfigError for a newer one, and as `read_version`."""
    version, known = read_version(file), len(steps)
    if version > known:
        raise ConfigError(
            f"{file.parent} was written by a newer orch (version {version}, this one knows {known})",
            hint="upgrade orch, or go back to the copy of .orch that you made before",
        )
    return version


def migrate(file: Path, steps: Mapping[int, Step] = STEPS) -> None:
    """Bring a project's `.orch` up to date. The lock of the coordinator must be held. Raises as `check`.

    The version is written after each step, last: a migration that is killed goes on where it was.
    """
    version = check(file, steps)
    for start in range(version, len(steps)):
        steps[start](file.parent)
        _write_version(file, start + 1)
        if start:
            log.info("%s was brought from version %d to %d", file.parent, start, start + 1)


def _write_version(file: Path, version: int) -> None:
    """Write it, also where somebody removes the folder under us: the loop then takes the lock again."""
    for tried in range(TRIES):
        atomic.make_folder(file.parent)
        try:
            atomic.write(file, f"{version}\n".encode(), durable=True)
        except TransientError as error:
            if tried == TRIES - 1 or not isinstance(error.__cause__, FileNotFoundError):
                raise
        else:
            return
