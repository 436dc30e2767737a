"""The real clock and what the real machine has left."""

import contextlib
import errno
import os
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from orch.core.model import Resources

MEBIBYTE = 1024 * 1024
LEAST_DISK = MEBIBYTE
"""A disk with fewer bytes than this is full: hardly a run of a few small files fits."""
LEAST_FILES = 64
"""The same, in files and folders."""


_ALLOCATOR = {-8: 1, -3: 32 * 1024, -2: 16 * 1024, -1: 32 * 1024}
"""Parameters of mallopt(3): M_ARENA_MAX, M_MMAP_THRESHOLD, M_TOP_PAD and M_TRIM_THRESHOLD. Set, the
thresholds stay, where glibc would raise them to 32 MB by what was freed last. What has a few bytes for each
of thousands of tasks is larger than any of them: it comes and goes without leaving holes among what stays."""


def tame_allocator() -> bool:
    """Have the C library give large buffers back to the system when they are freed; whether it can.

    A coordinator runs for months, and reads and writes tasks.md as a whole with each change. By default
    glibc keeps such buffers in arenas of each thread, and their holes grow with the file (measured: four
    times the growth over 600 tasks). Nothing to do with other C libraries.
    """
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(mallopt(parameter, value) for parameter, value in _ALLOCATOR.items())


class SystemClock:
    """The Clock of the system."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()


class SystemMachine:
    """The Machine that orch runs on."""

    def __init__(self, root: Path, *others: Path) -> None:
        """The disks that these lie on are looked at: the project, and what may be mounted by itself."""
        self._folders = (root, *others)

    def resources(self) -> Resources:
        """Available memory and free disk in MiB, load of one minute; None for what cannot be known.

        The disk is what an unprivileged user may still fill, of several the one with the least. Each may
        fail by itself: /proc may be hidden in a container, a folder may be gone, some systems have no load.
        """
        memory = load = None
        disks = [found for folder in self._folders if (found := _look_at_disk(folder))]
        with contextlib.suppress(OSError, RuntimeError, psutil.Error):
            memory = psutil.virtual_memory().available / MEBIBYTE
        with contextlib.suppress(OSError):
            load = os.getloadavg()[0]
        return Resources(
            free_memory_mb=memory,
            free_disk_mb=min((free for free, _ in disks), default=None),
            load=load,
            problem=next((problem for _, problem in disks if problem), "") or self._lack_handles(),
        )

    def _lack_handles(self) -> str:
        try:
            os.close(os.open(self._folders[0], os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                return "no file handles are left; raise `ulimit -n`"
        return ""


def _look_at_disk(folder: Path) -> tuple[float, str] | None:
    """The free space in MiB, and why nothing can be written, or ''; None where it cannot be known."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    if not disk.f_blocks:  # Some network file systems do not say.
        return None
    free = disk.f_bavail * disk.f_frsize
    problem = ""
    if disk.f_flag & os.ST_RDONLY:
        problem = f"the disk is read-only: {folder}"
    elif free < LEAST_DISK:
        problem = f"the disk is full: {folder}"
    elif disk.f_files and disk.f_favail < LEAST_FILES:  # Some (btrfs) do not count them.
        problem = f"the disk has no room for more files: {folder}"
    return free / MEBIBYTE, problem
