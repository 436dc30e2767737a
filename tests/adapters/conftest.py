"""Fixtures that the adapters' tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.places import Place
from tests.adapters.repositories import Samples


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
