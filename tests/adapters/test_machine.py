"""The real machine and clock, and their fakes."""

import time
from pathlib import Path

import pytest

from orch.adapters.machine import SystemClock, SystemMachine
from orch.core.model import Resources
from orch.ports import Clock, Machine
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


def test_the_fake_machine_has_what_a_test_says() -> None:
    machine = FakeMachine()
    assert machine.resources() == Resources()
    machine.left = Resources(free_memory_mb=3.0)
    assert machine.resources().free_memory_mb == 3.0
