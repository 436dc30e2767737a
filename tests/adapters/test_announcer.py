"""Hooks: one contract for the fake and the real one, then real commands."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from orch.adapters import redaction
from orch.adapters.announcer import THREADS, WAITING, HookAnnouncer, Hooks
from orch.core.announce import Announcement, Occasion
from orch.core.model import RunKey
from orch.ports import Announcer
from tests.fakes.announcer import FakeAnnouncer

DEADLINE = 30.0
NEWS = Announcement(
    Occasion.BLOCKED, 1_763_642_400.0, "which port?", "t-3", "Fix it", 2, "orch/t-3-fix-it", "claude"
)


class Desk:
    """A real announcer, and the means to wait for it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "shop"
        self.root.mkdir()
        self.logs = folder / "hooks"
        self._woken = threading.Event()
        self.announcer = HookAnnouncer(self.root, self.logs, Hooks(), wake=lambda _: self._woken.set())

    def hook(self, command: str, seconds: float = 20.0) -> None:
        env = {"PATH": os.environ["PATH"], "COLOUR": "red"}
        self.announcer.hooks = Hooks({Occasion.BLOCKED: command}, seconds, env)

    def run(self, command: str, news: Announcement = NEWS) -> None:
        """Announce something, and wait for the end of its hook."""
        self.hook(command)
        self.announcer.announce([news])
        self.wait()

    def wait(self) -> None:
        wait_until(lambda: not self.announcer.pending)


def wait_until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.announcer.close(0)


@pytest.mark.parametrize("kind", ["fake", "real"])
def test_a_hook_is_pending_until_it_is_over_and_its_end_wakes(tmp_path: Path, kind: str) -> None:
    woken = threading.Event()
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    hooks = Hooks({Occasion.BLOCKED: f"read line < {gate}"}, 20.0, {"PATH": os.environ["PATH"]})
    fake = FakeAnnouncer(wake=lambda _: woken.set())
    fake.hold = True
    real = HookAnnouncer(tmp_path, tmp_path / "logs", hooks, wake=lambda _: woken.set())
    announcer: Announcer = fake if kind == "fake" else real
    assert announcer.pending == 0
    announcer.announce([NEWS])
    assert announcer.pending == 1
    if kind == "fake":
        fake.end()
    else:
        gate.write_text("go on\n")
    assert woken.wait(DEADLINE)
    assert announcer.pending == 0
    announcer.close(DEADLINE)
    announcer.announce([NEWS])
    assert announcer.pending == 0, "none starts after it was closed"


def test_the_facts_are_in_the_environment_and_nothing_else_is(desk: Desk) -> None:
    desk.run("env -0 > told")
    told = dict(pair.split("=", 1) for pair in (desk.root / "told").read_text().split("\0") if pair)
    for name in ("PWD", "SHLVL", "_", "OLDPWD", "ORCH_HOOK_ID", "PATH", "LC_CTYPE"):
        told.pop(name, "")
    assert told == {
        "COLOUR": "red",
        "ORCH_PROJECT": str(desk.root),
        "ORCH_EVENT": "blocked",
        "ORCH_TIME": "2025-11-20T12:40:00+00:00",
        "ORCH_MESSAGE": "which port?",
        "ORCH_TASK_ID": "t-3",
        "ORCH_TITLE": "Fix it",
        "ORCH_ATTEMPT": "2",
        "ORCH_WORKER": RunKey("t-3", 2).worker,
        "ORCH_BRANCH": "orch/t-3-fix-it",
        "ORCH_AGENT": "claude",
        "ORCH_PULL_URL": "",
    }


def test_facts_are_never_part_of_the_command_and_hold_no_secret(desk: Desk) -> None:
    redaction.remember({"correct-horse"})
    try:
        message = f"$(touch cracked) `touch cracked`\0 correct-horse ghp_{'a' * 36}"
        desk.run('printf %s "$ORCH_MESSAGE" > told', Announcement(Occasion.BLOCKED, 1.0, message))
    finally:
        redaction.remember(())
    assert (desk.root / "told").read_text() == "$(touch cracked) `touch cracked` *** ***"
    assert not (desk.root / "cracked").exists()


def test_a_hook_that_fails_is_told_and_no_more(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "orch")
    desk.run("echo no such channel >&2; exit 3")
    (record,) = caplog.records
    assert "the hook on_blocked failed with exit code 3: no such channel" in record.getMessage()
    assert record.__dict__["run"] == RunKey("t-3", 2)
    assert (desk.logs / "on_blocked.log").read_text() == "no such channel\n"


def test_an_occasion_without_a_hook_starts_nothing(desk: Desk) -> None:
    desk.hook("touch told")
    desk.announcer.announce([Announcement(Occasion.MERGED, 1.0, "x")])
    assert desk.announcer.pending == 0
    assert not desk.logs.exists()


def test_a_hook_over_its_time_is_ended_with_all_that_it_started(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.hook("setsid sleep 600 & echo $! > child; wait", seconds=0.3)
    desk.announcer.announce([NEWS])
    desk.wait()
    assert "on_blocked was ended" in caplog.text
    assert not psutil.pid_exists(int((desk.root / "child").read_text()))


def test_many_wait_for_their_turn_and_too_many_are_left_out(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    gate = desk.root / "gate"
    desk.hook("echo >> begun; while [ ! -e gate ]; do sleep 0.05; done")
    desk.announcer.announce([NEWS] * (THREADS + WAITING + 7))
    wait_until(lambda: (desk.root / "begun").exists() and (desk.root / "begun").stat().st_size == THREADS)
    assert WAITING <= desk.announcer.pending <= THREADS + WAITING
    assert "was left out: too many wait" in caplog.text
    assert (desk.root / "begun").stat().st_size == THREADS, "no more at the same time"
    gate.touch()
    desk.announcer.close(0)


def test_close_waits_and_then_ends_what_is_left(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.hook("trap '' TERM; echo $$ > pid; while :; do sleep 0.1; done")
    desk.announcer.announce([NEWS])
    wait_until(lambda: (desk.root / "pid").exists() and (desk.root / "pid").read_text().strip())
    desk.announcer.close(0.05)
    assert "1 hooks are ended or not started" in caplog.text
    pid = int((desk.root / "pid").read_text())
    wait_until(lambda: not psutil.pid_exists(pid))
    assert desk.announcer.pending == 0


def test_a_hook_does_not_outlive_a_coordinator_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import os, time\n"
        "from pathlib import Path\n"
        "from orch.adapters.announcer import HookAnnouncer, Hooks\n"
        "from orch.core.announce import Announcement, Occasion\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "hooks = Hooks({Occasion.PAUSED: 'echo $$ > pid; sleep 600'}, 600, dict(os.environ))\n"
        "announcer = HookAnnouncer(folder, folder / 'logs', hooks, wake=print)\n"
        "announcer.announce([Announcement(Occasion.PAUSED, 1.0, 'x')])\n"
        "time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2])
    try:
        pid = tmp_path / "pid"
        wait_until(lambda: pid.exists() and pid.read_text().strip())
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_until(lambda: not psutil.pid_exists(int(pid.read_text())))


def test_a_system_that_has_no_more_threads_leaves_hooks_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = Hooks({Occasion.BLOCKED: "touch told"}, 20.0, {"PATH": os.environ["PATH"]})
    announcer = HookAnnouncer(
        tmp_path, tmp_path / "logs", hooks, wake=print, start_thread=lambda *_arguments: False
    )
    announcer.announce([NEWS])
    assert announcer.pending == 0
    assert "no more threads: 1 hooks are left out" in caplog.text


def test_a_folder_that_is_gone_is_told(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.root.rmdir()
    desk.run("true")
    assert "on_blocked did not run: cannot run the hook on_blocked" in caplog.text


def test_logs_that_cannot_be_written_are_told(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.logs.write_text("not a folder")
    desk.run("true")
    assert "on_blocked did not run: cannot make" in caplog.text
