"""Refs as git keeps them in files, read without a process: microseconds where git takes milliseconds.

The layout is gitrepository-layout(5): a file for each ref, `refs/heads/main`, and `packed-refs` for those
that have none. What is not plainly a full sha in there (a symbolic ref, a link, the reftable format, a
damaged file) is left to git.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

_SHARED = re.compile(r"refs/(?:heads|remotes|orch|pull)/.*[^/]")
"""Refs that all worktrees of a repository share, named in full."""

_SHA = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LARGEST = 64
"""Bytes of a plain ref: a sha and a line feed."""


def read_refs(common: Path, names: Sequence[str]) -> dict[str, str] | None:
    """Those of the refs `names` that exist, with their full shas; None where git has to be asked.

    `common` is the common git directory.
    """
    if not all(_SHARED.fullmatch(name) and ".." not in name for name in names):
        return None
    try:
        if not (common / "refs" / "heads").is_dir() or (common / "reftable").exists():
            return None
        found = {name: _read_loose(common / name) for name in names}
        # In this order: what is packed meanwhile is written there before it goes away here.
        missing = [name for name, sha in found.items() if not sha]
        found.update(_read_packed(common, missing) if missing else {})
    except (OSError, ValueError):
        return None
    return {name: sha for name, sha in found.items() if sha}


def _read_loose(path: Path) -> str:
    """The sha in the file of a ref, '' where there is none. Raises ValueError for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    try:
        data = os.read(descriptor, _LARGEST + 2)
    except IsADirectoryError:
        return ""
    finally:
        os.close(descriptor)
    return _sha(data.removesuffix(b"\n"))


def _read_packed(common: Path, names: Sequence[str]) -> dict[str, str]:
    """The shas of those refs that are in packed-refs. Raises ValueError where it is not what it should be."""
    try:
        data = b"\n" + (common / "packed-refs").read_bytes()
    except FileNotFoundError:
        return {}
    found = {}
    for name in names:
        end = data.find(b" " + os.fsencode(name) + b"\n")
        if end >= 0:
            found[name] = _sha(data[data.rfind(b"\n", 0, end) + 1 : end])
    return found


def _sha(data: bytes) -> str:
    # A ref of zeros only is a broken one.
    if _SHA.fullmatch(data) is None or not data.strip(b"0"):
        raise ValueError(data)
    return data.decode("ascii")
