import json
import time
from pathlib import Path

import pytest

from orch.adapters.store.costs import CostFile
from orch.core.model import Outcome, OutcomeKind, RunKey
from tests.cli.command import ok, orch

TODAY = time.strftime("%Y-%m-%d")
DAY = 86_400.0


@pytest.fixture
def spent(shop: Path) -> Path:
    """A project in which something was spent."""
    store = CostFile(shop / ".orch" / "costs.jsonl")
    for run, agent, model, usd, tokens, days in (
        (RunKey("t-1", 1), "claude", "", 1.25, 1_000_000, 40),
        (RunKey("t-1", 2), "claude", "opus", 2.5, 2_000, 0),
        (RunKey("t-2", 1), "codex", "", 0.0, 500, 0),
    ):
        ended = time.time() - days * DAY
        store.record(
            run,
            Outcome(
                OutcomeKind.COMPLETED,
                "b",
                agent,
                ended,
                cost_usd=usd,
                tokens=tokens,
                model=model,
                claimed_at=ended - 60,
            ),
        )
    return shop


def test_nothing_was_spent_at_first(shop: Path) -> None:
    assert ok(shop, "cost") == "Nothing was spent yet.\n"
    assert json.loads(ok(shop, "cost", "--json"))["rows"] == []


def test_it_is_added_up_by_day_task_and_agent(spent: Path) -> None:
    lines = ok(spent, "cost").splitlines()
    assert [line.split() for line in lines[2:]] == [
        [TODAY, "2", "2,500", "2.50"],
        ["total", "3", "1,002,500", "3.75"],
    ]
    assert [line.split()[0] for line in ok(spent, "cost", "--by", "task").splitlines()] == [
        *("task", "t-1", "t-2", "total")
    ]
    by_agent = json.loads(ok(spent, "cost", "--by", "agent", "--json"))
    assert by_agent["rows"] == [
        {"agent": "claude", "runs": 1, "usd": 1.25, "tokens": 1_000_000},
        {"agent": "claude opus", "runs": 1, "usd": 2.5, "tokens": 2_000},
        {"agent": "codex", "runs": 1, "usd": 0.0, "tokens": 500},
    ]
    assert by_agent["total"] == {"runs": 3, "usd": 3.75, "tokens": 1_002_500}
    assert by_agent["today"] == {"usd": 2.5, "tokens": 2_500, "budget_usd": None, "budget_tokens": None}


def test_what_is_left_of_the_day_is_told(spent: Path) -> None:
    with (spent / "config.toml").open("a") as file:
        file.write("\n[budget]\nper_day_usd = 20\n")
    assert ok(spent, "cost").splitlines()[-1] == "today $2.50 of $20.00"


def test_a_file_that_cannot_be_read_is_an_expected_failure(shop: Path) -> None:
    (shop / ".orch").mkdir()
    (shop / ".orch" / "costs.jsonl").mkdir()
    done = orch(shop, "cost")
    assert done.code == 1
    assert "costs.jsonl" in done.err
