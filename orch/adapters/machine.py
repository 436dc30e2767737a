"""The real clock and what the real machine has left."""

import contextlib
import os
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from orch.core.model import Resources

MEBIBYTE = 1024 * 1024


class SystemClock:
    """The Clock of the system."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()


class SystemMachine:
    """The Machine that orch runs on."""

    def __init__(self, root: Path) -> None:
        """`root` is the project: the disk that it lies on is looked at."""
        self._root = root

    def resources(self) -> Resources:
        """Available memory and free disk in MiB, load of one minute; None for what cannot be known.

        The disk is what an unprivileged user may still fill. Each may fail by itself: /proc may be
        hidden in a container, the folder may be gone, some systems have no load.
        """
        memory = disk = load = None
        with contextlib.suppress(OSError, RuntimeError, psutil.Error):
            memory = psutil.virtual_memory().available / MEBIBYTE
        with contextlib.suppress(OSError):
            disk = psutil.disk_usage(str(self._root)).free / MEBIBYTE
        with contextlib.suppress(OSError):
            load = os.getloadavg()[0]
        return Resources(free_memory_mb=memory, free_disk_mb=disk, load=load)
