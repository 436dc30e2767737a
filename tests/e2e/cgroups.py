"""A control group of a test's own, in which the kernel gives no more processes and threads."""

import contextlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PLACES = (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup"))
"""Where the controller of processes may lie: cgroups(7), version 1 and version 2."""
SECONDS = 20.0


@dataclass(frozen=True)
class Cage:
    """The group. What its members start belongs to it too."""

    folder: Path

    def close(self) -> None:
        """From now on no member can start a process or a thread."""
        self._limit("0")

    def open(self) -> None:
        """Take that back."""
        self._limit("max")

    def _limit(self, text: str) -> None:
        (self.folder / "pids.max").write_text(text)


@contextlib.contextmanager
def cage(pid: int) -> Iterator[Cage]:
    """Put a process and its threads into a group of their own. Skips the test where that cannot be done."""
    for place in PLACES:
        folder = place / f"orch-test-{secrets.token_hex(4)}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            if not (folder / "pids.max").exists():
                continue
            (folder / "cgroup.procs").write_text(str(pid))
            yield Cage(folder)
            return
        finally:
            _remove(folder)
    pytest.skip("no control group that limits processes can be had here")


def _remove(folder: Path) -> None:
    """Remove the group once its last member is gone: the kernel refuses before."""
    for pid in (folder / "cgroup.procs").read_text().split():
        with contextlib.suppress(OSError):
            (folder.parent / "cgroup.procs").write_text(pid)
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
