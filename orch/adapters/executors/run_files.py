"""How the launcher writes run.json and exit.json: whole or not at all, and so that a power loss keeps them.

(The store writes its files in the same way, with libraries that would cost each launcher megabytes.)
Standard library only, see processes.py.
"""

# pathlib and contextlib would cost each launcher time and memory.
# ruff: noqa: PTH105, PTH108, PTH116, PTH120, SIM105

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VERSION = 1
"""Of run.json and exit.json."""

RESERVED_BYTES = 4096
"""Kept free for exit.json from the start on, so that an agent that fills the disk can be told of."""

WRITE_TRIES = 60
"""So often exit.json is tried, a second apart, while its folder is away."""


_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(32), ord('"'), ord("\\"), 127)}


def to_json(value: object) -> str:
    """JSON of what the two files hold; `json` itself would cost 6 ms and 0.5 MB."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{to_json(key)}: {to_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(to_json, value)) + "]"
    return '"' + value.translate(_ESCAPES) + '"' if isinstance(value, str) else repr(value)


def publish(path: str, record: "Mapping[str, object]") -> None:
    """Create a file whole, or raise FileExistsError. It survives a power loss once this returns."""
    temporary = _temporary(path)
    try:
        write(temporary, _encode(record))
        os.link(temporary, path)
    finally:
        discard(temporary)
    _sync_folder(path)


def replace(path: str, record: "Mapping[str, object]") -> None:
    """Put a new version in the place of a file. Raises OSError; the old one is then still there."""
    temporary = _temporary(path)
    try:
        write(temporary, _encode(record))
        os.replace(temporary, path)
    except OSError:
        discard(temporary)
        raise


def reserve(path: str) -> None:
    """Keep space for `write_exit`. Raises OSError where there is none."""
    write(path, b" " * RESERVED_BYTES)


def write_exit(
    path: str, reserved: str, record: "Mapping[str, object]", pause: "Callable[[float], object]"
) -> bool:
    """Write exit.json into the space that was kept for it; says whether it is there.

    While the disk takes nothing, it is tried again after each `pause` of a second, for as long as it
    takes: nobody else knows how the agent ended. A folder that is gone is given up after a minute.
    """
    said: str | None = ""
    left = WRITE_TRIES
    while left:
        try:
            write(reserved, _encode(record))
            os.replace(reserved, path)
            _sync_folder(path)
        except OSError as error:
            left -= error.errno in (errno.ENOENT, errno.ENOTDIR)
            if error.strerror != said:  # the log must not grow with each try
                said = error.strerror
                complain(f"cannot write {path}: {said}")
            pause(1.0)
        else:
            return True
    return False


def write(path: str, data: bytes) -> None:
    """Make `data` the content of a file, in the place that the file already takes on the disk."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        rest = data
        while rest:
            rest = rest[os.write(file, rest) :]
        os.ftruncate(file, len(data))
        os.fsync(file)
    finally:
        os.close(file)


def cut(path: str, size: int) -> None:
    """Take what is over `size` bytes off a log: between two looks an agent can print gigabytes."""
    try:
        if os.stat(path).st_size > size:
            os.truncate(path, size)
    except OSError as error:
        complain(f"cannot cut {path}: {error.strerror}")


def discard(path: str) -> None:
    """Remove a temporary file, if it is there and can be."""
    try:
        os.unlink(path)
    except OSError:  # it is not there, or only a leftover
        pass


def complain(text: str) -> None:
    """Say something in launcher.log."""
    try:
        os.write(2, f"{text}\n".encode("utf-8", "replace"))
    except OSError:  # the disk is full: there is nowhere to say it
        pass


def _encode(record: "Mapping[str, object]") -> bytes:
    # Arguments need not be UTF-8; JSON must. Such a byte becomes a question mark.
    return to_json(record).encode("utf-8", "replace") + b"\n"


def _temporary(path: str) -> str:
    """A name beside `path` for a new file."""
    temporary = f"{path}.{os.getpid()}.tmp"
    # A launcher that had this pid and was killed may have left it as a second name of run.json:
    # writing into it would change the fence.
    discard(temporary)
    return temporary


def _sync_folder(path: str) -> None:
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems have no fsync for folders
            raise
    finally:
        os.close(folder)
