"""What systemd is told: one contract for the fake and the real one, then the datagrams."""

import math
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.adapters.supervisor import NobodySupervisor, SystemdSupervisor
from orch.ports import Life, Supervisor
from tests.fakes.supervisor import FakeSupervisor


class Systemd:
    """The other end of $NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0"))
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        heard = []
        while True:
            try:
                heard.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "notify") if request.param == "path" else f"@orch-test-{os.getpid()}"


@pytest.fixture
def systemd(address: str) -> Iterator[Systemd]:
    systemd = Systemd(address)
    yield systemd
    systemd.close()


@pytest.mark.parametrize("kind", ["fake", "nobody", "real", "gone"])
def test_telling_never_fails(tmp_path: Path, kind: str) -> None:
    supervisors: dict[str, Supervisor] = {
        "fake": FakeSupervisor(),
        "nobody": NobodySupervisor(),
        "real": SystemdSupervisor(str(tmp_path / "nobody-listens")),
        "gone": SystemdSupervisor("/dev/null"),
    }
    assert supervisors[kind].interval == math.inf
    for life in Life:
        supervisors[kind].tell(life, "fine\nREADY=0")


def test_each_life_is_said_as_systemd_has_it(systemd: Systemd, address: str) -> None:
    supervisor = SystemdSupervisor(address, 30.0)
    assert supervisor.interval == 10.0
    supervisor.tell(Life.READY, "1 at work")
    supervisor.tell(Life.RELOADING)
    supervisor.tell(Life.READY, "two\nlines")
    supervisor.tell(Life.STOPPING)
    supervisor.tell(Life.STOPPING)
    ready, reloading, again, stopping = systemd.heard()
    assert ready == "READY=1\nSTATUS=1 at work"
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert again == "READY=1\nSTATUS=two lines", "a status cannot say more than a status"
    assert stopping == "STOPPING=1"


def test_the_loop_may_turn_often_and_is_alive_once_a_second(systemd: Systemd, address: str) -> None:
    supervisor = SystemdSupervisor(address)
    for _ in range(50):
        supervisor.tell(Life.ALIVE)
    assert systemd.heard() == ["WATCHDOG=1"]


def test_a_queue_that_is_full_is_not_waited_for(systemd: Systemd, address: str) -> None:
    supervisor = SystemdSupervisor(address)
    for _ in range(5000):
        supervisor.tell(Life.READY)
    assert set(systemd.heard()) == {"READY=1"}
