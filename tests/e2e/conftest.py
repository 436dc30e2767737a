"""A real project for each test, and nothing of it left running afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.projects import Project, make_project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = make_project(tmp_path)
    yield made
    for child in made.children:
        if child.poll() is None:  # Only a failed test leaves a coordinator.
            child.kill()
            child.wait()
    if made.leftovers():
        made.orch("stop", "--all", "--now")
