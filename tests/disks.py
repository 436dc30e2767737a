"""Small disks that a test fills up, makes read-only and frees again, in mounts that nobody else sees."""

import contextlib
import ctypes
import itertools
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

NEW_MOUNTS = 0x00020000
"""CLONE_NEWNS of unshare(2) and setns(2)."""
PAGE = 4096
"""What a tmpfs hands out: less than this is never left."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class SmallDisk:
    """A tmpfs. What fills it lies in a folder of its own in .git, beside what is tried."""

    path: Path

    @property
    def ballast(self) -> Path:
        return self.path / ".git" / "ballast"

    def fill(self) -> None:
        """Take the last byte. Again after each call that may have given some back."""
        self.ballast.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError), (self.ballast / "bytes").open("ab", buffering=0) as file:
            for size in (1024 * 1024, PAGE):
                with contextlib.suppress(OSError):
                    while file.write(b"\0" * size) == size:
                        pass

    def fill_names(self) -> None:
        """Take the last inode: no file can be made, however much room there is."""
        self.ballast.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            for number in itertools.count(sum(1 for _ in self.ballast.iterdir())):
                (self.ballast / str(number)).touch()

    def free(self) -> None:
        """Give everything back."""
        for path in self.ballast.iterdir():
            path.unlink()

    def make_read_only(self) -> None:
        """From now on nothing can be opened for writing.

        As after an error of the disk, files that are open stay so: a plain remount would be refused.
        """
        _mount("--bind", str(self.path), str(self.path))
        _mount("-o", "remount,bind,ro", str(self.path))

    def make_writable(self) -> None:
        """Take that back."""
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)


@contextlib.contextmanager
def private_mounts() -> Iterator[None]:
    """Mounts of this process and its children that end with them, even if all of them are killed."""
    here, before = Path.cwd(), os.open("/proc/self/ns/mnt", os.O_RDONLY)
    try:
        if _libc.unshare(NEW_MOUNTS):
            pytest.skip(f"no mounts of our own here: {os.strerror(ctypes.get_errno())}")
        try:
            _mount("--make-rprivate", "/")
            yield
        finally:
            if _libc.setns(before, NEW_MOUNTS):
                raise OSError(ctypes.get_errno(), "setns")
            os.chdir(here)
    finally:
        os.close(before)


def mount_disk(path: Path, *, megabytes: int, inodes: int) -> SmallDisk:
    """A new, empty disk at the folder `path`."""
    path.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={megabytes}m,nr_inodes={inodes}", "tmpfs", str(path))
    return SmallDisk(path)


def _mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not possible here: {done.stderr.strip()}")
