"""The real machine and clock, and their fakes."""

import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orch.adapters.machine import SystemClock, SystemMachine, tame_allocator
from orch.core.model import Resources
from orch.ports import Clock, Machine
from tests.disks import mount_disk, private_mounts
from tests.fakes.clock import FakeClock
from tests.fakes.machine import FakeMachine


@pytest.mark.parametrize("clock", [FakeClock(), SystemClock()], ids=["fake", "real"])
def test_a_clock_does_not_go_back_by_itself(clock: Clock) -> None:
    assert clock.now() <= clock.now()


def test_the_real_clock_is_the_time() -> None:
    before = time.time()
    assert before <= SystemClock().now() <= time.time()


def test_the_fake_clock_goes_on_when_it_is_told_to() -> None:
    clock = FakeClock(10.0)
    assert clock.now() == 10.0
    assert clock.advance(2.5) == clock.now() == 12.5


def test_the_real_machine_has_something_left(tmp_path: Path) -> None:
    machine: Machine = SystemMachine(tmp_path)
    left = machine.resources()
    assert left.free_memory_mb is not None
    assert 1 < left.free_memory_mb < 2**30
    assert left.free_disk_mb is not None
    assert left.free_disk_mb > 0
    assert left.load is not None
    assert left.load >= 0


def test_what_cannot_be_known_is_none_and_hides_nothing_else(tmp_path: Path) -> None:
    left = SystemMachine(tmp_path / "none").resources()
    assert left.free_disk_mb is None
    assert left.free_memory_mb is not None


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    with private_mounts():
        disk = mount_disk(tmp_path / "small", megabytes=4, inodes=100)
        # Of several disks the one with the least counts.
        machine = SystemMachine(tmp_path, disk.path, disk.path / "not there yet")
        left = machine.resources()
        assert (left.problem, left.free_disk_mb) == ("", 4.0)
        disk.fill()
        left = machine.resources()
        assert (left.problem, left.free_disk_mb) == (f"the disk is full: {disk.path}", 0.0)
        disk.free()
        disk.fill_names()
        assert machine.resources().problem == f"the disk has no room for more files: {disk.path}"
        disk.free()
        disk.make_read_only()
        assert machine.resources().problem == f"the disk is read-only: {disk.path}"
        disk.make_writable()
        assert machine.resources().problem == ""


def test_that_no_file_handles_are_left_is_told(tmp_path: Path) -> None:
    machine = SystemMachine(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        left = machine.resources()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert left.problem == "no file handles are left; raise `ulimit -n`"
    assert left.free_memory_mb is None


def test_the_fake_machine_has_what_a_test_says() -> None:
    machine = FakeMachine()
    assert machine.resources() == Resources()
    machine.left = Resources(free_memory_mb=3.0)
    assert machine.resources().free_memory_mb == 3.0


# --- memory ----------------------------------------------------------------------------------------------

BUFFERS = """
import psutil
from orch.adapters.machine import tame_allocator

{tame}
b"x" * (8 << 20)  # By this glibc learns that large buffers come and go.
buffers, small = [], []
for _ in range(32):
    buffers.append(b"x" * (1 << 20))
    small.append(b"x" * 1000)  # malloc too, and in the way of what is freed
held = psutil.Process().memory_info().rss
buffers.clear()
print(held - psutil.Process().memory_info().rss)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_large_buffers_go_back_to_the_system() -> None:
    assert tame_allocator()
    given = []
    for tame in ("", "tame_allocator()"):
        script = [sys.executable, "-c", BUFFERS.format(tame=tame)]
        given.append(int(subprocess.run(script, check=True, capture_output=True, timeout=60).stdout))
    assert given[1] > 30 << 20
    assert given[0] < given[1]
