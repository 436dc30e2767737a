"""A project whose agent is the real claude, and the API that it talks to."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.claude.binary import BINARY, missing
from tests.claude.messages_api import MessagesApi, Say, messages_api
from tests.claude.world import World, make_world


@pytest.fixture
def binary() -> Path:
    """The real claude. Without it a test is skipped, or, in CI, fails: it must not pass unseen."""
    if reason := missing():
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(reason)
        pytest.skip(reason)
    return BINARY


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with messages_api(lambda _: Say("done")) as running:
        yield running
        assert running.errors == []


@pytest.fixture
def world(tmp_path: Path, api: MessagesApi, binary: Path) -> Iterator[World]:
    made = make_world(tmp_path, api, binary)
    yield made
    made.close()
