import os
from pathlib import Path

import pytest

from tests.cli.command import ENVIRONMENT, git

CONFIG = """\
[coordinator]
poll_interval_seconds = 1

[agent]
default = "quick"

[agents.quick]
kind = "command"
command = ["sh", "-c", "echo $ORCH_TASK_ID > $ORCH_TASK_ID.txt; git add .; git commit -qm $ORCH_TASK_ID"]

[agents.slow]
kind = "command"
command = ["sh", "-c", "echo working; while [ ! -e STOP ]; do sleep 0.1; done; echo left > left.txt; exit 1"]

[agents.deaf]
kind = "command"
command = ["sh", "-c", "trap '' TERM; echo working; while :; do sleep 0.1; done"]

[limits]
min_free_memory_mb = 0
min_free_disk_mb = 0
grace_seconds = 0.5

[retry]
max_attempts = 1
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the commands in this very process see: nothing of the person who runs the tests."""
    for name in set(os.environ) - set(ENVIRONMENT):
        monkeypatch.delenv(name)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit and a bare origin, and no project yet."""
    root = tmp_path / "shop"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
    git(tmp_path, "init", "--quiet", "--initial-branch=main", "shop")
    (root / "README.md").write_text("# Shop\n")
    git(root, "add", "README.md")
    git(root, "commit", "--quiet", "--message", "Start")
    git(root, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(root, "push", "--quiet", "--set-upstream", "origin", "main")
    return root


@pytest.fixture
def shop(repository: Path) -> Path:
    """A project with agents that are quick, slow, and deaf to SIGTERM."""
    (repository / "config.toml").write_text(CONFIG)
    (repository / "tasks.md").write_text("# Tasks\n\n## Pending\n\n")
    return repository
