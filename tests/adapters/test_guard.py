"""The guard itself: what it says in the end, and what makes it end its command.

The tests of this file run it without -I -S, which shows in the coverage. test_local.py runs it as it is.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orch.adapters.executors import guard, processes
from orch.adapters.executors.guarding import Command, Guarded
from orch.adapters.executors.limits import MEGABYTE
from orch.core.model import EndReason
from orch.errors import TransientError
from tests.adapters.workers import PATH, is_gone, pid_in, until

MARK = "TEST_GUARD"


@contextmanager
def guarded(
    folder: Path, *command: str, timeout: float = 0, grace: float = 5, output: int = 0, locale: str = "-"
) -> Iterator["subprocess.Popen[bytes]"]:
    words = (str(folder / "log"), MARK, locale, repr(timeout), repr(grace), repr(output))
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, guard.__file__, *words, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, MARK: str(folder), "D": str(folder)},
            pass_fds=[writer],
            start_new_session=True,
        )
    os.close(writer)
    with child:
        yield child
    # Whatever it was given is free again.
    assert os.read(reader, 1) == b""
    os.close(reader)
    assert processes.marked(str(folder), name=MARK) == []


def said(child: "subprocess.Popen[bytes]") -> dict[str, Any]:
    assert child.stdout is not None
    found: dict[str, Any] = json.loads(child.stdout.read())
    return found


def test_it_tells_how_the_command_ended_and_ends_what_it_left(tmp_path: Path) -> None:
    text = (
        "(setsid sh -c 'echo $$ > \"$D/pid\"; exec sleep 600' &)\n"
        'while ! test -s "$D/pid"; do sleep 0.01; done; ls /proc/self/fd; echo "$LC_CTYPE" >&2; exit 4'
    )
    with guarded(tmp_path, "sh", "-c", text, locale="+C") as child:
        exit = said(child)
    assert (exit["reason"], exit["code"], exit["signal"]) == ("exited", 4, None)
    assert is_gone(pid_in(tmp_path / "pid"))
    # The last one is ls looking: neither locks nor pipes come to the command.
    assert (tmp_path / "log").read_text().split() == ["0", "1", "2", "3", "C"]


@pytest.mark.parametrize("how", ["the pipe", "a signal"])
def test_it_ends_the_command_with_all_that_it_started(tmp_path: Path, how: str) -> None:
    text = "trap '' TERM; (trap '' TERM; exec sleep 600) & echo $! > \"$D/pid\"; while :; do sleep 600; done"
    with guarded(tmp_path, "sh", "-c", text, grace=0.2) as child:
        pid = pid_in(tmp_path / "pid")
        assert child.stdin is not None
        if how == "the pipe":
            child.stdin.close()
        else:
            child.send_signal(signal.SIGTERM)
        exit = said(child)
    assert (exit["reason"], exit["signal"]) == ("stopped", signal.SIGKILL)
    assert is_gone(pid)


def test_nobody_needs_to_listen(tmp_path: Path) -> None:
    with guarded(tmp_path, "sleep", "600") as child:
        until(lambda: len(processes.marked(str(tmp_path), name=MARK)) > 1)
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.close()
        child.stdin.close()
        assert child.wait() == 0


@pytest.mark.parametrize(
    ("argv", "limit", "reason"),
    [
        (("sleep", "600"), {"timeout": 0.2}, "timeout"),
        (("yes",), {"output": MEGABYTE}, "output"),
        (("no-such-program",), {}, "spawn"),
    ],
)
def test_each_limit_has_its_own_reason(
    tmp_path: Path, argv: tuple[str, ...], limit: dict[str, Any], reason: str
) -> None:
    with guarded(tmp_path, *argv, **limit) as child:
        assert said(child)["reason"] == reason
    assert (tmp_path / "log").stat().st_size <= MEGABYTE


# --- the coordinator's side --------------------------------------------------------------------------


def order(folder: Path, command: str, **env: str) -> Guarded:
    return Guarded(
        what="the test",
        command=command,
        folder=folder,
        env={"PATH": PATH, "D": str(folder), MARK: str(folder), **env},
        mark=MARK,
        log=folder / "log",
        timeout=0,
        grace=0.2,
    )


@pytest.mark.parametrize("locale", [{}, {"LC_CTYPE": "C"}, {"LC_ALL": "C"}])
def test_the_environment_is_what_was_given(tmp_path: Path, locale: dict[str, str]) -> None:
    given = order(tmp_path, "exec env -0", **locale)
    assert Command(given).run().ok
    found = dict(line.split("=", 1) for line in (tmp_path / "log").read_text().split("\0")[:-1])
    found.pop("PWD", None)  # the shell's own
    assert found == dict(given.env)


def test_one_that_is_stopped_before_it_began_does_not_go_on(tmp_path: Path) -> None:
    command = Command(order(tmp_path, "sleep 600"))
    command.stop()
    assert command.run().reason is EndReason.STOPPED


def test_a_guard_that_hangs_is_given_up(tmp_path: Path) -> None:
    # The command stops its guard: for it, time stands still.
    stops = order(tmp_path, "kill -STOP $(cut -d ' ' -f 4 /proc/$PPID/stat); exec sleep 600")
    with pytest.raises(TransientError, match=f"the test in {tmp_path} lost its guard"):
        Command(replace(stops, timeout=0.3, patience=0.2)).run()
    for stat in processes.marked(str(tmp_path), name=MARK):
        stat.send(signal.SIGKILL)


def test_what_no_system_could_start_says_so(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match=f"cannot run the test in {tmp_path}: .*null byte"):
        Command(order(tmp_path, "true\0")).run()
