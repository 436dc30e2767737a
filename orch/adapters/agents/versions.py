"""Which version a program is, found out once for each program: asking it costs a start."""

import functools
import os
import re
import subprocess
from pathlib import Path

from orch.adapters.agents import fields

SECONDS = 10.0
"""A program that has not told its version by then is let be: it may be its first start on a slow disk."""

_NUMBER = re.compile(r"(\d+)\.(\d+)\.(\d+)")

Version = tuple[int, int, int]


def problem(program: str, package: str, oldest: Version, update: str) -> str:
    """Says that `program`, an absolute path, is older than `oldest`, and how to `update` it; '' if it is not.

    `package` is how the names of its npm packages begin. '' too where its version cannot be known: the
    first run will tell more.
    """
    version = find_version(program, package)
    if version is None or version >= oldest:
        return ""
    told, wanted = (".".join(map(str, numbers)) for numbers in (version, oldest))
    return f"{program} is version {told}, and orch needs {wanted} or later: {update}"


def find_version(program: str, package: str) -> Version | None:
    """The version of a program, None where it cannot be known. The program is started at most once."""
    try:
        status = Path(program).stat()
    except OSError:
        return None
    return _find(program, package, status.st_ino, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=16)
def _find(program: str, package: str, _inode: int, _changed: int, _size: int) -> Version | None:
    """The version; that of the file only keys the cache."""
    real = Path(os.path.realpath(program))
    # As the installers lay it out: .../versions/2.1.329, or in a package, there perhaps in its folder bin.
    told = (real.name, *(_packaged(folder, package) for folder in real.parents[:2]))
    return next(filter(None, map(_parse, told)), None) or _parse(_ask(program))


def _packaged(folder: Path, package: str) -> str:
    """The version of the npm package in a folder, '' where there is none of that name."""
    try:
        found = fields.parse((folder / "package.json").read_bytes())
    except OSError:
        return ""
    return fields.text(found, "version") if fields.text(found, "name").startswith(package) else ""


def _ask(program: str) -> str:
    try:
        done = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
            cwd="/",
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout[:200] if done.returncode == 0 else ""


def _parse(text: str) -> Version | None:
    found = _NUMBER.search(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None
