"""orch as process 1 of a container: it reaps, forwards signals, and ends as its child does."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tests.cli.command import DEADLINE, ENVIRONMENT, argv, ok, wait_until

ROOT = Path(__file__).parents[2]


def make_container(folder: Path, *command: str) -> list[str]:
    """The command as process 1 of a process namespace of its own."""
    words = [
        "bwrap",
        "--unshare-pid",
        "--as-pid-1",
        "--die-with-parent",
        "--bind",
        "/",
        "/",
        "--proc",
        "/proc",
    ]
    return [*words, "--dev", "/dev", "--chdir", str(folder), "--", *command]


@pytest.fixture(scope="module", autouse=True)
def _bubblewrap() -> None:
    if shutil.which("bwrap") is None:
        assert not os.environ.get("CI"), "CI has bubblewrap: see .ci/run"
        pytest.skip("bubblewrap is not here")
    tried = subprocess.run(make_container(Path("/"), "true"), check=False, capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"bubblewrap may not make a process namespace here: {tried.stderr}")


@contextmanager
def container(folder: Path, *command: str) -> Iterator[tuple["subprocess.Popen[str]", psutil.Process]]:
    """A container at work, and its process 1, seen from outside."""
    bwrap = subprocess.Popen(
        make_container(folder, *command),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until(lambda: psutil.Process(bwrap.pid).children(), "the container has a process 1")
        yield bwrap, psutil.Process(bwrap.pid).children()[0]
    finally:
        if bwrap.poll() is None:
            bwrap.kill()
        bwrap.communicate(timeout=DEADLINE)


def test_the_queue_is_cleared_and_the_exit_code_is_that_of_orch(shop: Path) -> None:
    ok(shop, "add", "Do it")
    done = subprocess.run(
        make_container(shop, *argv("run", "--plain", "--until-idle")),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done
    assert "1 completed" in done.stdout
    (shop / "config.toml").write_text("[agent]\nnothing = 1\n")
    broken = subprocess.run(
        make_container(shop, *argv("run")),
        env=ENVIRONMENT,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    assert broken.returncode == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signals_reach_orch_and_everything_ends(shop: Path, number: signal.Signals, code: int) -> None:
    with container(shop, *argv("run", "--plain")) as (bwrap, first):
        wait_until((shop / ".orch" / "coordinator.pid").exists, "orch runs")
        assert (shop / ".orch" / "coordinator.pid").read_text().strip() != "1"
        first.send_signal(signal.SIGUSR1)
        wait_until((shop / ".orch" / "pause.json").exists, "it is paused")
        first.send_signal(number)
        assert bwrap.wait(DEADLINE) == code


ORPHANS = """
import os, sys, time
from orch.cli.first import run_beside_init
run_beside_init()
for _ in range(20):
    if os.fork() == 0:
        if os.fork() == 0:
            os._exit(7)  # its parent is gone: process 1 has to bury it
        os._exit(0)
    os.wait()
deadline = time.monotonic() + 20
def dead():
    found = 0
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            found += ") Z " in open(f"/proc/{pid}/stat").read()
        except (FileNotFoundError, ProcessLookupError):
            found += 1  # buried just now
    return found
while dead():
    assert time.monotonic() < deadline, "zombies are left"
    time.sleep(0.02)
os.kill(os.getpid(), 9) if sys.argv[1] == "killed" else sys.exit(5)
"""


@pytest.mark.parametrize(("end", "code"), [("exit", 5), ("killed", 137)])
def test_orphans_are_buried(tmp_path: Path, end: str, code: int) -> None:
    done = subprocess.run(
        make_container(ROOT, sys.executable, "-c", ORPHANS, end),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == code, done


def test_elsewhere_it_is_nothing() -> None:
    from orch.cli.first import run_beside_init

    before = os.getpid(), time.monotonic()
    run_beside_init()
    assert os.getpid() == before[0]
