"""Fixtures that the adapters' tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.places import Place
from tests.adapters.repositories import Samples
from tests.github.fake import FakeGitHub, fake_github
from tests.github.packages import missing
from tests.github.routes import operations


@pytest.fixture(scope="session", autouse=True)
def _nobody_in_particular() -> Iterator[None]:
    """Git must not depend on the person who runs the tests; our own code inherits this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
        yield


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return Samples(tmp_path_factory.mktemp("samples"))


@pytest.fixture
def place(tmp_path: Path, samples: Samples) -> Place:
    for attempt in ("1", "2"):
        (tmp_path / "runs" / "t-1" / attempt).mkdir(parents=True)
    return Place(samples.make(tmp_path), tmp_path / "trees", tmp_path / "runs")


@pytest.fixture
def github(tmp_path: Path) -> Iterator[FakeGitHub]:
    with fake_github(tmp_path / "hub") as running:
        yield running


@pytest.fixture
def contracts() -> None:
    """Skips a test that means nothing without GitHub's contracts: GraphQL needs its schema."""
    if reason := missing(operations()):
        pytest.skip(reason)
