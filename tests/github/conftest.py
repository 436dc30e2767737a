"""The fake GitHub as a fixture, and a client for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.github.fake import FakeGitHub, fake_github
from tests.github.packages import missing
from tests.github.routes import operations


@pytest.fixture
def github(tmp_path: Path) -> Iterator[FakeGitHub]:
    with fake_github(tmp_path) as running:
        yield running


@pytest.fixture
def contracts() -> None:
    """Skips a test that means nothing without GitHub's contracts."""
    if reason := missing(operations()):
        pytest.skip(reason)
