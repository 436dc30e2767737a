"""A real project for each test, and nothing of it left running afterwards."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.projects import Project, make_project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = make_project(tmp_path)
    yield made
    pid_file = made.root / ".orch" / "coordinator.pid"
    if pid_file.exists():
        # Only a failed test leaves a coordinator; its pid is ours, from our own temporary folder.
        with contextlib.suppress(ProcessLookupError, ValueError):
            os.kill(int(pid_file.read_text()), signal.SIGKILL)
    if made.leftovers():
        made.orch("stop", "--all", "--now")
