"""Runs the real command line in real processes."""

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orch.cli.main import main

DEADLINE = 60.0
"""Seconds: a loaded machine is slow, and no test waits for this unless it fails."""

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "ORCH_"))},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.invalid",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.invalid",
    "TERM": "xterm-256color",
    "COLUMNS": "100",
    "LINES": "30",
}
# A claude of the person who runs the tests would become the agent of new projects, and cost money.
ENVIRONMENT["PATH"] = os.pathsep.join(
    folder for folder in os.environ["PATH"].split(os.pathsep) if not (Path(folder) / "claude").exists()
)
ENVIRONMENT.pop("AGENT_COMMAND", None)
ENVIRONMENT.pop("NO_COLOR", None)


PROCESSES = ("run", "demo", "diff", "stop")
"""Commands that handle signals or become another program."""


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str


def argv(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "orch", *arguments]


def orch(where: Path, *arguments: str) -> Done:
    """Run a command in the folder `where`, in this very process: quick, for what only reads and asks."""
    out, err = (
        io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape", newline="", write_through=True)
        for _ in "ab"
    )
    before, code = sys.argv, None
    sys.argv = ["orch", *arguments]
    try:
        with chdir(where), redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as leaving:
        code = leaving.code
    finally:
        sys.argv = before
    texts = [stream.buffer.getvalue().decode("utf-8", "surrogateescape") for stream in (out, err)]
    assert isinstance(code, int)
    return Done(code, *texts)


def spawn(where: Path, *arguments: str, **environment: str) -> Done:
    """Run a command in the folder `where` in a process of its own, to its end."""
    done = subprocess.run(
        argv(*arguments),
        cwd=where,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    out, err = (data.decode("utf-8", "surrogateescape") for data in (done.stdout, done.stderr))
    return Done(done.returncode, out, err)


def ok(where: Path, *arguments: str) -> str:
    """Run a command that must succeed; gives its output."""
    done = (spawn if arguments[0] in PROCESSES else orch)(where, *arguments)
    assert done.code == 0, done
    return done.out


def status(where: Path) -> dict[str, Any]:
    """`orch status --json`."""
    report: dict[str, Any] = json.loads(ok(where, "status", "--json"))
    return report


def task(where: Path, name: str) -> dict[str, Any]:
    """One task of `orch status --json`."""
    (found,) = (row for row in status(where)["tasks"] if row["id"] == name)
    return dict(found)


def git(where: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=where, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def wait_until(what: Callable[[], object], told: str) -> None:
    """Wait for something in another process that nothing tells us about."""
    deadline = time.monotonic() + DEADLINE
    while not what():
        assert time.monotonic() < deadline, f"waited in vain until {told}"
        time.sleep(0.05)


@contextmanager
def running(where: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on in the background; whatever happens it is ended at the end."""
    process = subprocess.Popen(
        argv(*arguments),
        cwd=where,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=DEADLINE)


class Terminal:
    """A command whose input and output are a terminal."""

    def __init__(self, where: Path, *arguments: str) -> None:
        self.written = b""
        self._descriptor, theirs = pty.openpty()
        self._process = subprocess.Popen(
            argv(*arguments), cwd=where, env=ENVIRONMENT, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)

    @property
    def pid(self) -> int:
        return self._process.pid

    def read_until(self, wanted: bytes) -> None:
        """Read until the command has written that."""
        while wanted not in self.written:
            assert self._read(), f"it never wrote {wanted!r}: {self.written!r}"

    def vanish(self) -> None:
        """The window is closed; the command goes on without it."""
        os.close(self._descriptor)

    def wait(self) -> int:
        """Wait for the end of a command whose window is closed; gives the exit code."""
        return self._process.wait(DEADLINE)

    def interrupt(self) -> None:
        """What the terminal does at ^C."""
        self._process.send_signal(signal.SIGINT)

    def finish(self) -> int:
        """Read to the end; gives the exit code."""
        while self._read():
            pass
        os.close(self._descriptor)
        return self._process.wait(DEADLINE)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], DEADLINE)
        assert ready, f"nothing was written for {DEADLINE:g} s after {self.written!r}"
        try:
            piece = os.read(self._descriptor, 65_536)
        except OSError:  # EIO: nobody has the other end open any more
            piece = b""
        self.written += piece
        return bool(piece)
