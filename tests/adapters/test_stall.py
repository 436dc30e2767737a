"""What is work and what is not: output, CPU time, a connection; the warning, and the end."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orch.adapters.executors import connections, processes
from orch.adapters.executors.limits import Limits
from tests.adapters.workers import PYTHON, until

LIMIT = 40.0
"""Seconds. The clock is the test's own: nothing waits for it."""


class Look:
    """The limits of one process, at moments that the test says."""

    def __init__(self, folder: Path, pid: int) -> None:
        self.log = folder / "log"
        self.sign = folder / "stall.json"
        self._limits = Limits(
            timeout=0,
            stall=LIMIT,
            memory=0,
            output=0,
            files=(str(self.log), str(folder / "none")),
            sign=str(self.sign),
            root=pid,
            now=0.0,
        )

    def at(self, now: float) -> str:
        """`works`, `warned` or why it is ended."""
        exceeded = self._limits.exceeded(now)
        if exceeded is not None:
            assert exceeded[0] == "stalled"
            return exceeded[1]
        return "warned" if self.sign.exists() else "works"

    def over(self) -> None:
        self._limits.clear()


@contextmanager
def running(*argv: str) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            yield child
        finally:
            for stat in processes.descendants(child.pid):
                stat.send(signal.SIGKILL)
            child.kill()


@contextmanager
def python(text: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A program under a shell, which is what is looked at; it prints a line when it is ready."""
    with running("sh", "-c", '"$@"; exit', "-", *PYTHON, text) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child


@pytest.fixture
def idle() -> Iterator[int]:
    """The pid of a shell whose child does nothing."""
    with running("sh", "-c", "sleep 600; exit") as child:
        yield child.pid


def test_silence_is_warned_of_and_ended(tmp_path: Path, idle: int) -> None:
    look = Look(tmp_path, idle)
    assert [look.at(now) for now in (11.0, 19.0, 30.0)] == ["works", "works", "warned"]
    told = json.loads(look.sign.read_bytes())
    assert told["ends_at"] - told["since"] == pytest.approx(LIMIT)
    assert time.time() - told["since"] == pytest.approx(30.0, abs=10.0)
    before = look.sign.stat().st_ino
    assert look.at(39.0) == "warned"
    assert look.sign.stat().st_ino == before, "it is written once"
    assert look.at(45.0) == "no output and no CPU time for 45 s"
    look.over()
    assert not look.sign.exists()


def test_output_is_work_and_takes_the_warning_back(tmp_path: Path, idle: int) -> None:
    look = Look(tmp_path, idle)
    assert look.at(30.0) == "warned"
    look.log.write_text("a line")
    assert [look.at(now) for now in (40.0, 59.0, 65.0)] == ["works", "works", "warned"]
    look.log.write_text("another line")
    assert [look.at(now) for now in (70.0, 105.0)] == ["works", "warned"]
    assert look.at(110.0) == "no output and no CPU time for 40 s"


def test_cpu_time_of_the_tree_is_work(tmp_path: Path) -> None:
    text = "import time\nwhile time.process_time() < 0.5: pass\nprint(flush=True)\ntime.sleep(600)"
    with python(text) as child:
        look = Look(tmp_path, child.pid)
        # The half second counts when it is first seen, over the time since the look before.
        assert [look.at(now) for now in (39.0, 58.0, 65.0)] == ["works", "works", "warned"]
        assert look.at(79.0) == "no output and no CPU time for 40 s"


def test_a_sign_that_cannot_be_written_changes_nothing(tmp_path: Path, idle: int) -> None:
    look = Look(tmp_path / "gone", idle)
    assert look.at(30.0) == "works"
    assert look.at(40.0) == "no output and no CPU time for 40 s"


# --- waiting for somebody else -----------------------------------------------------------------------

CONNECT = """
import socket, sys, time
kept = socket.create_connection(("{host}", {port}))
print(flush=True)
time.sleep(600)
"""


@contextmanager
def server(host: str = "127.0.0.1") -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as made:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            made.bind((host, 0))
        except OSError as error:
            pytest.skip(f"no {host} here: {error}")
        made.listen()
        yield made


def test_who_waits_for_an_answer_works_for_a_while(tmp_path: Path) -> None:
    with server() as api, python(CONNECT.format(host="127.0.0.1", port=api.getsockname()[1])) as child:
        look = Look(tmp_path, child.pid)
        # Twice the limit it counts as work, then the limit begins.
        assert {look.at(float(now)) for now in range(10, 100, 10)} == {"works"}
        assert [look.at(now) for now in (101.0, 115.0)] == ["warned", "warned"]
        assert look.at(120.0) == "no output and no CPU time for 120 s"


def test_who_has_been_hung_up_on_does_not_wait(tmp_path: Path) -> None:
    with server() as api, python(CONNECT.format(host="127.0.0.1", port=api.getsockname()[1])) as child:
        look = Look(tmp_path, child.pid)
        assert look.at(30.0) == "works"
        connection, _ = api.accept()
        connection.close()
        until(lambda: not connections.reach_others(tree(child.pid)))
        assert [look.at(now) for now in (45.0, 50.0, 65.0)] == ["works", "warned", "warned"]
        assert look.at(70.0) == "no output and no CPU time for 70 s"


def test_connections_among_the_workers_own_processes_are_no_waiting(tmp_path: Path) -> None:
    text = """
import os, socket, time
api = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
port = api.getsockname()[1]
if os.fork() == 0:
    kept = [socket.create_connection(("127.0.0.1", port)), socket.create_connection(("::1", port))]
    time.sleep(600)
kept = [api.accept(), api.accept()]
print(flush=True)
time.sleep(600)
"""
    with server("::1"), python(text) as child:
        look = Look(tmp_path, child.pid)
        assert look.at(30.0) == "warned"


def test_a_connection_of_any_family_counts() -> None:
    for listening, host in (("127.0.0.1", "127.0.0.1"), ("::", "127.0.0.1"), ("::1", "::1")):
        with server(listening) as api, python(CONNECT.format(host=host, port=api.getsockname()[1])) as child:
            assert connections.reach_others(tree(child.pid)), (listening, host)


def test_who_is_gone_reaches_nobody() -> None:
    with running("sleep", "600") as child:
        pass
    assert not connections.reach_others([child.pid])


def tree(pid: int) -> list[int]:
    return [stat.pid for stat in processes.descendants(pid)]
