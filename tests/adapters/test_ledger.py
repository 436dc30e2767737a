"""The ledger: one contract for the fake and the file, and what only a file can meet."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from orch.adapters.store.ledger import LedgerFile
from orch.core.forge import Checks, Entry, Job, Ledger, Person, PullStatus, Remark
from orch.errors import PermanentError, TransientError
from orch.ports import LedgerStore
from tests.fakes.ledger import FakeLedgerStore

PULL = PullStatus(
    3,
    "https://forge.example/pull/3",
    "orch/gh-7-x",
    "a" * 40,
    state="merged",
    checks=Checks.RED,
    jobs=(Job(1, "test", "failure"),),
    remarks=(Remark("c1", Person("mia", "MEMBER"), "x"),),
)
LEDGER = Ledger(
    {7: Entry("Fïx", 1, ("gh-3",), seen=True, told="ab"), 8: Entry("y", closed=True)},
    {9: "d1"},
    {"gh-7": PULL},
)


@pytest.fixture(params=["fake", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> LedgerStore:
    made: dict[str, Callable[[], LedgerStore]] = {
        "fake": FakeLedgerStore,
        "file": lambda: LedgerFile(tmp_path / ".orch" / "forge.json", warn=pytest.fail),
    }
    return made[request.param]()


def test_at_first_nothing_is_remembered(store: LedgerStore) -> None:
    assert store.read() == Ledger()


def test_what_is_written_is_read(store: LedgerStore) -> None:
    for ledger in (LEDGER, Ledger(), LEDGER):
        store.write(ledger)
        assert store.read() == ledger


@pytest.mark.parametrize("text", ["", "{", '{"issues": {"x": 1}}', '{"issues": []}'])
def test_a_damaged_file_is_told_and_put_aside(tmp_path: Path, text: str) -> None:
    path = tmp_path / "forge.json"
    told: list[str] = []
    path.write_text(text)
    store = LedgerFile(path, warn=told.append)
    assert store.read() == Ledger()
    assert "forge.json is damaged" in told[0]
    assert path.read_text() == text, "looking changes nothing"
    store.write(LEDGER)
    assert store.read() == LEDGER
    assert (tmp_path / "forge.json.bad").read_text() == text


def test_a_file_of_a_newer_orch_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "forge.json"
    path.write_text(json.dumps({"version": 99}))
    store = LedgerFile(path, warn=pytest.fail)
    for use in (store.read, lambda: store.write(LEDGER)):
        with pytest.raises(PermanentError, match="newer orch"):
            use()
    assert json.loads(path.read_text()) == {"version": 99}


def test_a_folder_that_cannot_be_written_is_transient(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TransientError):
        LedgerFile(tmp_path / "file" / "forge.json", warn=pytest.fail).write(LEDGER)
