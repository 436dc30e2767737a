from pathlib import Path

import pytest

from orch.core.model import SendRequest
from orch.wiring import open_project
from tests.cli.command import ok, orch


@pytest.fixture
def queue(shop: Path) -> Path:
    ok(shop, "add", "Fix it", "--notes", "carefully")
    return shop


def test_a_message_waits_as_a_file(queue: Path) -> None:
    assert ok(queue, "send", "1", "Use tabs.\n") == "The next attempt at t-1 is told.\n"
    told = ok(queue, "send", "t-1", "Now.", "--restart")
    assert told.startswith("t-1 is told. No coordinator runs")
    requests = open_project(queue).requests.read()
    assert {(each.task, each.text, each.restart) for each in requests if isinstance(each, SendRequest)} == {
        ("t-1", "Use tabs.", False),
        ("t-1", "Now.", True),
    }
    prompt = ok(queue, "prompt", "t-1")
    assert "Use tabs.\n\nNow." in prompt
    assert "Fix it\n\ncarefully" in prompt


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("t-9", "hello"), 1, "there is no task 't-9'"),
        (("t-1", "  "), 2, "there is nothing to tell"),
        (("t-1", "x" * 100_001), 1, "the message has 100001 characters"),
    ],
)
def test_what_cannot_be_told_is_refused(queue: Path, words: tuple[str, str], code: int, told: str) -> None:
    done = orch(queue, "send", *words)
    assert done.code == code
    assert told in done.err
    assert open_project(queue).requests.read() == ()


def test_a_task_that_is_gone_has_no_next_attempt(queue: Path) -> None:
    (queue / ".orch" / "runs" / "t-7" / "1").mkdir(parents=True)
    (queue / ".orch" / "runs" / "t-7" / "1" / "claim.json").write_text(
        '{"branch": "b", "agent": "quick", "title": "t", "claimed_at": 1.0}'
    )
    for words in (("send", "t-7", "hello"), ("prompt", "t-7")):
        done = orch(queue, *words)
        assert done.code == 1
        assert "t-7 is not in tasks.md" in done.err


def test_an_unknown_variable_is_told_before_anything_is_launched(queue: Path) -> None:
    (queue / "worker_template.md").write_text("{{ titel }}\n")
    done = orch(queue, "prompt", "t-1")
    assert done.code == 1
    assert "line 1: unknown variable 'titel'" in done.err
