"""An agent that has said its last word: what that is, and that it is ended."""

import json
import os
from pathlib import Path

import pytest

from orch.adapters.executors import lingering
from orch.adapters.executors.limits import Limits
from orch.adapters.executors.lingering import Lingering
from orch.adapters.executors.local import WorkerLimits
from orch.core.model import EndReason
from orch.ports import Command
from tests.adapters.workers import PATH, RUN, place

RESULT = json.dumps({"type": "result", "is_error": False})
LIMIT = 60.0


class Look:
    """One worker, at moments that the test says."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "stdout.jsonl"
        self._lingering = Lingering(str(self.path), ("result",), LIMIT, 0.0)

    def say(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text)

    def at(self, now: float) -> str | None:
        return self._lingering.look(self.path.stat().st_size if self.path.exists() else 0, now)


@pytest.fixture
def look(tmp_path: Path) -> Look:
    return Look(tmp_path)


def test_it_is_ended_when_it_has_been_silent_after_its_result(look: Look) -> None:
    look.say(RESULT + "\n")
    assert look.at(10) is None
    assert look.at(10 + LIMIT - 1) is None
    assert look.at(10 + LIMIT) == "still there 60 s after its last word"


def test_one_that_goes_on_is_not(look: Look) -> None:
    look.say(RESULT + "\n")
    assert look.at(0) is None
    look.say('{"type":"system"}\n')
    assert look.at(LIMIT - 1) is None
    assert look.at(9 * LIMIT) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "working\n",
        '{"type":"assistant","input":{"type":"result"}}\n',
        '["result"]\n',
        '{"type":["result"]}\n',
        RESULT[:-1],
        "[" * 100_000,
        '{"type":"result","text":"' + "x" * 17_000_000 + '"}\n',
    ],
    ids=["nothing", "empty", "text", "inside", "list", "odd", "cut", "deep", "long"],
)
def test_what_is_no_result_is_none(look: Look, text: str) -> None:
    look.say(text)
    look.at(0)
    assert look.at(LIMIT) is None


@pytest.mark.parametrize("before", ["", "x" * 200_000 + "\n", "x" * 65_535 + "\n"])
@pytest.mark.parametrize("after", ["", "\n", "\n\n"])
@pytest.mark.parametrize("length", [0, lingering.END_BYTES, 5 * lingering.END_BYTES])
def test_a_result_is_found_wherever_its_line_begins(look: Look, before: str, after: str, length: int) -> None:
    look.say(before + json.dumps({"result": "é" * length, "type": "result"}, ensure_ascii=False) + after)
    look.at(0)
    assert look.at(LIMIT)


def test_a_file_that_is_gone_is_none_and_one_that_cannot_be_read_is_told(look: Look) -> None:
    assert look.at(LIMIT) is None
    look.path.symlink_to("/dev/null")
    with pytest.raises(OSError, match="symbolic links"):
        Lingering(str(look.path), ("result",), LIMIT, 0.0).look(0, LIMIT)


def test_it_is_one_of_the_limits(tmp_path: Path) -> None:
    files = (str(tmp_path / "stdout.jsonl"), str(tmp_path / "stderr.log"))
    (tmp_path / "stdout.jsonl").write_text(RESULT + "\n")
    limits = Limits(
        timeout=0,
        stall=0,
        memory=0,
        output=0,
        files=files,
        root=os.getpid(),
        linger=5,
        last_words=("result",),
        now=0,
    )
    assert limits.exceeded(1) is None
    assert limits.seconds_left(1) == 1.0
    assert limits.exceeded(6) == ("lingered", "still there 5 s after its last word")


def test_a_real_worker_is_ended_for_it_and_one_without_last_words_is_not(tmp_path: Path) -> None:
    limits = WorkerLimits(linger_seconds=0.2, timeout_seconds=3, grace_seconds=0.1)
    script = f"echo '{RESULT}'; exec sleep 300"
    for words, reason in ((frozenset({"result"}), EndReason.LINGERED), (frozenset[str](), EndReason.TIMEOUT)):
        root = tmp_path / reason
        root.mkdir()
        with place(root, limits) as here:
            command = Command(("sh", "-c", script), {"PATH": PATH}, last_words=words)
            here.executor.start(RUN, command, here.worktree, "")
            exit = here.ended().exit
            assert exit.reason is reason
            assert exit.ok is (reason is EndReason.LINGERED)
