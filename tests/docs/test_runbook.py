"""Every command of the RUNBOOK is run, against a real project. Only systemd and the network are played."""

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer

from orch.cli.main import app
from orch.cli.place import Place
from tests.cli.command import DEADLINE, ENVIRONMENT, git, wait_until
from tests.docs.runbook import ROOT, read_fences, read_inline, run_block

pytestmark = pytest.mark.timeout(400)

RUNBOOK = ROOT / "RUNBOOK.md"
FENCES = read_fences(RUNBOOK)

STUBS = {
    **dict.fromkeys(("systemctl", "loginctl", "journalctl"), 'echo "$(basename "$0") $*"'),
    # A host that is there, has all that is needed but rsync, and does what it is told.
    "ssh": 'cat > /dev/null; case "$*" in *"command -v rsync"*) exit 1 ;; esac',
}
"""What is played."""

ELSEWHERE = ("Upgrade", "Roll back")
"""Run by tests/tools/test_deploy.py, where orch is installed as the page says."""

AGENT = """\
echo "working on $ORCH_TASK_ID"
case $ORCH_TASK_ID in
t-4) echo "Which port shall it be?" > BLOCKED.md ;;
t-5) echo "no such host" >&2; mkdir -p src; echo unfinished > src/parser.py; exit 3 ;;
t-6|t-7) while [ ! -e STOP ]; do sleep 0.05; done; exit 1 ;;
*) echo "$ORCH_TASK_ID $ORCH_ATTEMPT" > "$ORCH_TASK_ID.txt"; git add .; git commit -qm "$ORCH_TASK_ID" ;;
esac
"""

CONFIG = """\
[coordinator]
poll_interval_seconds = 1
[agent]
default = "scripted"
[agents.scripted]
kind = "command"
command = ["sh", "../agent.sh"]
[limits]
min_free_memory_mb = 0
min_free_disk_mb = 0
stop_seconds = 1
grace_seconds = 0.5
[retry]
max_attempts = 1
"""


class Shop:
    """A project in a home of its own, with stubs in front of the PATH."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.root = self.home / "src" / "shop"
        self.root.mkdir(parents=True)
        (self.home / "src" / "orch").symlink_to(ROOT)
        stubs = folder / "stubs"
        stubs.mkdir()
        for name, text in STUBS.items():
            (stubs / name).write_text(f"#!/bin/sh\n{text}\n")
            (stubs / name).chmod(0o755)
        self.environment = {
            **ENVIRONMENT,
            "HOME": str(self.home),
            "PATH": f"{stubs}:{Path(sys.executable).parent}:{ENVIRONMENT['PATH']}",
            "COLUMNS": "200",
        }
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
        git(self.root, "init", "--quiet", "--initial-branch=main")
        git(self.root, "commit", "--quiet", "--allow-empty", "--message=Start")
        git(self.root, "remote", "add", "origin", str(folder / "origin.git"))
        git(self.root, "push", "--quiet", "--set-upstream", "origin", "main")
        (folder / "home" / "src" / "agent.sh").write_text(AGENT)
        (self.root / "config.toml").write_text(CONFIG.replace("../agent.sh", "../../../agent.sh"))

    def queue(self, *numbers: int) -> None:
        lines = "".join(f"[] t-{number}: Task {number}\n" for number in numbers)
        (self.root / "tasks.md").write_text(f"# Tasks\n\n## Pending\n\n{lines}")

    def do(self, script: str, where: Path | None = None) -> str:
        """Run a script as a person would type it: every line has to succeed. Gives its output."""
        return run_block(script, where or self.root, self.environment, DEADLINE)

    def follow(self, heading: str, block: int = -1) -> str:
        """Run a block under a heading of the RUNBOOK, or all of them."""
        blocks = FENCES[heading] if block < 0 else (FENCES[heading][block],)
        return "".join(map(self.do, blocks))

    def settle(self, *numbers: int) -> None:
        self.queue(*numbers)
        self.do("orch run --plain --until-idle")

    @contextmanager
    def working(self, *numbers: int) -> Iterator[None]:
        """A coordinator is at work, and so are workers at these tasks."""
        self.queue(*numbers)
        runs = [self.root / ".orch" / "runs" / f"t-{number}" / "1" / "run.json" for number in numbers]
        with subprocess.Popen(
            ["orch", "run", "--plain"], cwd=self.root, env=self.environment, stdout=subprocess.DEVNULL
        ) as process:
            try:
                wait_until(lambda: all(run.exists() for run in runs), "the workers run")
                yield
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                process.wait(DEADLINE)
        self.do("orch stop --all --now")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def rename(text: str, **tasks: str) -> str:
    """A block about other tasks than the one on the page: its ids stand for any."""
    return re.sub(r"\bt-\d\b", lambda found: tasks.get(found[0].replace("-", ""), found[0]), text)


def test_looking_giving_and_taking(shop: Shop) -> None:
    shop.settle(3, 4, 5)
    looked = shop.follow("Look")
    assert "working on t-3" in looked
    assert '"kind":"completed"' in looked
    assert "t-6" in shop.follow("Give it work")
    assert "t-3" in shop.follow("Take the results", 0)
    assert "Which port shall it be?" in shop.follow("Take the results", 1)
    shop.follow("Take the results", 2)
    assert (shop.root / "t-3.txt").exists(), "it was merged"


def test_starting_pausing_and_stopping(shop: Shop) -> None:
    with shop.working(6, 7):
        shop.do(rename(FENCES["Start, pause, stop"][0], t3="t-6", t4="t-7"))
        wait_until(lambda: not (shop.root / ".orch" / "coordinator.pid").exists(), "it has ended")


def test_a_worker_that_is_stuck(shop: Shop) -> None:
    with shop.working(6):
        assert "working on t-6" in shop.do(rename(FENCES["A worker is stuck"][0], t3="t-6"))
        shop.do(rename(FENCES["A worker is stuck"][1], t3="t-6"))
        second = shop.root / ".orch" / "runs" / "t-6" / "2" / "run.json"
        wait_until(second.exists, "it is tried again")


def test_as_a_service(shop: Shop) -> None:
    shop.queue(3)
    said = shop.follow("As a service")
    for call in ("--user enable orch-shop-", "--no-pager --lines=10 status orch-shop-", "disable --now"):
        assert call in said
    assert not list((shop.home / ".config/systemd/user").iterdir())


def test_on_another_machine(shop: Shop) -> None:
    said = shop.follow("On another machine")
    assert (
        "would run there: sh .cache/orch-incoming/install_on_host.sh .cache/orch-incoming 'src/shop'" in said
    )
    assert "sending it with tar" in said


def test_alarms(shop: Shop) -> None:
    shop.settle(5)
    shop.follow("Nothing is launched")
    shop.follow("Many worktree errors")
    shop.follow("The usage limit is reached")
    shop.follow("The forge is down")
    assert "exit code 3" in shop.follow("Health")
    said = shop.follow("The disk is full")
    assert "would remove" in said
    assert not (shop.root / "trees" / "t-5").exists()


def test_no_coordinator_and_after_a_crash(shop: Shop) -> None:
    shop.settle(3)
    assert "no coordinator" in shop.follow("No coordinator runs", 0)
    with shop.working(6):
        shop.follow("No coordinator runs", 1)
    shop.queue(3, 5)
    shop.follow("After a crash or a power cut")


def test_getting_work_back(shop: Shop) -> None:
    shop.settle(5)
    shop.do("orch clean")
    first, second = (rename(block, t3="t-5") for block in FENCES["Getting work back"])
    assert "refs/orch/saved/t-5/1" in shop.do(first)
    assert (shop.root / "trees" / "t-5" / "src" / "parser.py").read_text() == "unfinished\n"
    assert "unfinished" in shop.do(second)


def test_moving_and_taking_it_off(shop: Shop, tmp_path: Path) -> None:
    shop.settle(3, 4, 5)
    shop.follow("Move to another machine", 0)
    there = tmp_path / "there"
    git(tmp_path, "clone", "--quiet", "origin.git", "there")
    said = shop.do(FENCES["Move to another machine"][1], there)
    assert "1 completed" in said.replace("✅ ", "")
    assert "refs/orch/saved/t-5/1" in shop.do("orch restore --list", there)

    shop.do("orch resume; orch service install")
    assert "refs/orch/saved/t-5/1" in shop.follow("Take it off")
    assert not (shop.root / ".orch").exists()
    assert git(shop.root, "worktree", "list").count("\n") == 0


def test_the_first_ten_minutes_of_the_readme(shop: Shop) -> None:
    """All but the installation, which tests/tools/test_deploy.py does."""
    (shop.root / "config.toml").unlink()
    install, *blocks = read_fences(ROOT / "README.md")["The first ten minutes on your own repository"]
    assert install.startswith("tools/install ")
    said = [shop.do(block) for block in blocks]
    assert "Everything is fine" in said[0]
    assert "2 completed" in said[2]
    assert (shop.root / "t-1.md").exists(), "it was merged"


def test_every_heading_with_commands_is_followed_by_a_test() -> None:
    tests = Path(__file__).read_text() + (ROOT / "tests/tools/test_deploy.py").read_text()
    for heading, blocks in FENCES.items():
        followed = re.search(rf'(follow\(|FENCES\[|, |\[|\()"{re.escape(heading)}"', tests)
        assert followed, f"no test runs the commands under {heading!r}"
        assert all(block.strip() for block in blocks)


# --- what stands in the text itself ------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", sorted({*read_inline(RUNBOOK, "orch"), *read_inline(ROOT / "README.md", "orch")})
)
def test_every_command_in_the_text_is_one(command: str) -> None:
    """It is there, and takes these options: placeholders become values."""
    plain = re.sub(r"(\\?\|\w+)+", "", command)  # the first of a choice
    words = shlex.split(re.sub(r"[\[\]]", "", plain).split(" | ")[0])[1:]
    values = {"N": "1", "USD": "1", "AGE": "1", "LINES": "1", "DIR": str(ROOT)}
    words = [values.get(word, word) for word in words]
    if "COMMAND" in words or words in ([], ["--version"], ["--install-completion"]):
        return
    found: Any = typer.main.get_command(app)
    context = found.context_class(found, info_name="orch", obj=Place())
    while hasattr(found, "get_command"):
        if words[0] == "-C":
            words = words[2:]
        name, *words = words
        step = found.get_command(context, name)
        assert step is not None, f"there is no {command}"
        found = step
        if not words and hasattr(found, "get_command"):
            return
    if all(word.startswith("-") for word in words):  # named in passing, without the task that it is about
        found.params = [param for param in found.params if not param.required]
    found.make_context(found.name or "", words, parent=context)


def test_every_link_leads_somewhere() -> None:
    for name in ("RUNBOOK.md", "README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        for target in re.findall(r"\]\(([^)]+)\)", text):
            if target.startswith("#"):
                assert target[1:] in anchors, f"{name}: {target}"
            elif "://" not in target:
                assert (ROOT / target.partition("#")[0]).exists(), f"{name}: {target}"
