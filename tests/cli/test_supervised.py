"""`orch run` as systemd runs it: told of, watched, its lines taken by journald; and the hooks of events."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.command import DEADLINE, ENVIRONMENT, argv, git, wait_until


class Systemd:
    """Listens where systemd would, and has what journald would get."""

    def __init__(self, folder: Path) -> None:
        self.address = folder / "notify"
        self.journal = folder / "journal"
        self.heard: list[str] = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.address))
        self.socket.setblocking(False)

    def hears(self, line: str) -> bool:
        """Whether orch has said this by now."""
        while True:
            try:
                self.heard += self.socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return line in self.heard

    @contextmanager
    def run(self, shop: Path) -> Iterator["subprocess.Popen[bytes]"]:
        with self.journal.open("wb") as journal:
            stream = os.fstat(journal.fileno())
            process = subprocess.Popen(
                argv("run", "--plain"),
                cwd=shop,
                env={
                    **ENVIRONMENT,
                    "NOTIFY_SOCKET": str(self.address),
                    "WATCHDOG_USEC": "1500000",
                    "JOURNAL_STREAM": f"{stream.st_dev}:{stream.st_ino}",
                },
                stdout=journal,
                stderr=journal,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(DEADLINE)


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    systemd = Systemd(tmp_path)
    yield systemd
    systemd.socket.close()


def test_it_says_how_it_does_and_its_lines_are_those_of_journald(shop: Path, systemd: Systemd) -> None:
    (shop / "tasks.md").write_text("## Pending\n\n[] t-1: Do it\n")
    config = (shop / "config.toml").read_text().replace("echo $ORCH_TASK_ID", "env")
    (shop / "config.toml").write_text(
        config + "[hooks]\non_pr_ready = 'echo \"$ORCH_EVENT $ORCH_TASK_ID $ORCH_PULL_URL\" >> told'\n"
    )
    log = shop / ".orch" / "orch.log"
    with systemd.run(shop) as process:
        wait_until(lambda: systemd.hears("READY=1"), "it is ready")
        wait_until(lambda: (shop / "told").exists() and (shop / "told").read_text(), "the hook has run")
        systemd.heard.clear()
        wait_until(lambda: systemd.hears("WATCHDOG=1"), "it says that it lives")
        wait_until(lambda: systemd.hears("STATUS=0 at work, 0 ready"), "it says what it does")

        text = (shop / "config.toml").read_text()
        (shop / "config.toml").write_text(text.replace("[coordinator]", '[coordinator]\nlog_level = "debug"'))
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: systemd.hears("RELOADING=1"), "it reads its settings again")
        wait_until(lambda: "was reloaded" in log.read_text(), "it has")
        (shop / "tasks.md").write_text((shop / "tasks.md").read_text() + "\n[] t-2: Again\n")
        wait_until(lambda: "does Publish" in log.read_text(), "it logs more now")

        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0
        assert systemd.hears("STOPPING=1")
    journal = systemd.journal.read_text().splitlines()
    assert [line for line in journal if line.startswith("<6>task=t-1 run=t-1/1 worker=w-")]
    assert not [line for line in journal if "time=" in line]
    assert log.read_text().startswith("time=")
    assert (shop / "told").read_text().splitlines()[0] == "pr_ready t-1 refs/pull/1/head"
    environment = subprocess.run(
        ["git", "grep", "-h", "-E", "^(NOTIFY_SOCKET|WATCHDOG|JOURNAL_STREAM)", "refs/pull/1/head"],
        cwd=shop,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert environment.stdout == "", "a worker is given none of it"
    assert "PATH=" in git(shop, "show", "refs/pull/1/head:t-1.txt"), "it did write its environment"
