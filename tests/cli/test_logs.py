import io
import json
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from orch.cli.conversation import Conversation
from orch.cli.harmless import defuse
from orch.cli.tailing import PIECE, Lines, Tail, find_last_lines
from orch.ports import Passage, Voice
from tests.cli.command import ENVIRONMENT, argv, ok, running, status, wait_until


@pytest.mark.parametrize(
    ("text", "lines", "rest"),
    [
        (b"", 3, b""),
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc", 2, b"b\nc"),
        (b"a\nb\nc\n", 9, b"a\nb\nc\n"),
        (b"a\nb\nc\n", 0, b""),
        (b"\n\n\n", 2, b"\n\n"),
        (b"one", 1, b"one"),
        (b"x" * 3 * PIECE + b"\nlast\n", 1, b"last\n"),
        (b"first\n" + b"x" * 3 * PIECE + b"\n", 1, b"x" * 3 * PIECE + b"\n"),
        (b"x\n" * PIECE, PIECE - 1, b"x\n" * (PIECE - 1)),
    ],
)
def test_the_last_lines_are_found_from_the_end(text: bytes, lines: int, rest: bytes) -> None:
    assert text[find_last_lines(io.BytesIO(text), lines) :] == rest


def test_a_growing_file_is_read_on_from_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tail = Tail(path, 1)
    assert list(tail.read()) == []
    path.write_bytes(b"a\nb\n")
    assert list(tail.read()) == [b"b\n"]
    with path.open("ab") as file:
        file.write(b"c" * (PIECE + 1))
    assert b"".join(tail.read()) == b"c" * (PIECE + 1)
    assert list(tail.read()) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\tand\n", "plain\tand\n"),
        ("\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
        ("\x1b[2J\x1b[H", "␛[2J␛[H"),
        ("\x1b]52;c;eA==\x07", "␛]52;c;eA==␇"),
        ("50%\r100%", "50%100%"),
        ("\x7f\x9b\u202e", "␡\\u009b\\u202e"),
        ("\x1b[3", "␛[3"),
    ],
)
def test_only_colours_reach_a_terminal(text: str, shown: str) -> None:
    assert defuse(text) == shown


def test_following_ends_with_the_run_and_with_an_interrupt(shop: Path) -> None:
    ok(shop, "add", "Take your time", "--agent", "slow")
    with running(shop, "run", "--plain") as coordinator:
        wait_until(lambda: any(w["activity"] == "working" for w in status(shop)["workers"]), "it works")
        with running(shop, "logs", "t-1", "-f") as impatient:
            assert impatient.stdout
            assert impatient.stdout.readline() == "working\n"
            impatient.send_signal(signal.SIGINT)
            assert impatient.wait(60) == 130
            assert "Traceback" not in impatient.stdout.read()
        with running(shop, "logs", "t-1", "-f") as patient:
            assert patient.stdout
            assert patient.stdout.readline() == "working\n"
            assert ok(shop, "stop", "t-1")
            assert patient.wait(60) == 0
        coordinator.send_signal(signal.SIGTERM)
        assert coordinator.wait(60) == 0


def test_a_file_that_was_replaced_or_cut_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"first\n")
    tail = Tail(path)
    assert b"".join(tail.read()) == b"first\n"
    path.rename(tmp_path / "log.1")
    assert list(tail.read()) == []
    path.write_bytes(b"second, and longer\n")
    assert b"".join(tail.read()) == b"second, and longer\n"
    path.write_bytes(b"cut\n")
    assert b"".join(tail.read()) == b"cut\n"


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_pieces_are_put_together_to_lines(size: int) -> None:
    text = b"one\n\ntwo is longer\nx\n" + b"y" * 30 + b"\nlast"
    lines = Lines(longest=20)
    found = [line for place in range(0, len(text), size) for line in lines.split(text[place : place + size])]
    assert [*found, lines.take_rest()] == [b"one", b"", b"two is longer", b"x", 30, b"last"]
    assert lines.take_rest() == b""


def show(*passages: Passage, full: bool = False) -> str:
    conversation = Conversation(full=full)
    lines = [line for passage in passages for line in conversation.tell(passage)]
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines))


def test_a_conversation_is_set_for_a_reader() -> None:
    shown = show(
        Passage(Voice.NOTE, "conversation 5a"),
        Passage(Voice.SAID, "I look.\nThen I act."),
        Passage(Voice.THOUGHT, "hm"),
        Passage(Voice.USED, "ls", "Bash"),
        Passage(Voice.GAVE, "a\nb"),
        Passage(Voice.USED, "rm a\nrm b", "Bash"),
        Passage(Voice.FAILED, "denied", "not allowed"),
        Passage(Voice.SAID, "Done."),
    )
    assert shown == (
        "── conversation 5a\n\nI look.\nThen I act.\n  hm\n\n● Bash  ls\n  │ a\n  │ b\n"
        "● Bash  rm a\n    rm b\n  ✗ not allowed: denied\n\nDone."
    )


def test_what_tools_give_is_folded_and_what_is_said_is_not() -> None:
    long = "\n".join(f"line {number}" for number in range(10)) + "\n" + "x" * 1000
    folded = show(Passage(Voice.GAVE, long))
    assert folded.splitlines()[3:] == ["  │ line 3", "  │ … 7 more lines (--full shows them)"]
    assert show(Passage(Voice.GAVE, "x" * 1000)) == f"  │ {'x' * 300}…"
    assert len(show(Passage(Voice.GAVE, long), full=True).splitlines()) == 11
    assert len(show(Passage(Voice.SAID, long)).splitlines()) == 11
    assert len(show(Passage(Voice.GAVE, "1\n2\n3\n4\n5")).splitlines()) == 5, "one line is not worth a fold"


def test_a_conversation_does_nothing_to_a_terminal() -> None:
    shown = show(Passage(Voice.SAID, "a\x1b[2Jb\tc\x07"), Passage(Voice.USED, "x\x9b", "\x1b]0;t\x07"))
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert "␛[2Jb  c␇" in shown


def write_run(shop: Path, lines: list[str], *, agent: str = "claude") -> Path:
    """A run of an agent, with what it printed."""
    with (shop / "config.toml").open("a") as file:
        file.write('\n[agents.claude]\nkind = "claude"\n')
    ok(shop, "add", "Talk")
    folder = shop / ".orch" / "runs" / "t-1" / "1"
    folder.mkdir(parents=True)
    claim = {"branch": "orch/t-1", "agent": agent, "title": "Talk", "claimed_at": 1.0}
    (folder / "claim.json").write_text(json.dumps(claim))
    (folder / "run.json").write_text('{"pid": 0, "start_ticks": 0, "boot_id": "", "started_at": 1.0}')
    (folder / "stdout.jsonl").write_text("\n".join(lines))
    (folder / "stderr.log").write_text("a warning\n")
    return folder


SAID = [json.dumps({"type": "assistant", "message": {"content": f"word {number}"}}) for number in range(5)]


def test_a_stream_is_shown_as_a_conversation(shop: Path) -> None:
    write_run(shop, [*SAID, "no event at all"])
    shown = ok(shop, "logs", "t-1")
    assert shown == "word 0\nword 1\nword 2\nword 3\nword 4\n── no event at all\na warning\n"
    assert ok(shop, "logs", "t-1", "-n", "2") == "word 4\n── no event at all\na warning\n"
    assert ok(shop, "logs", "t-1", "--raw").startswith('{"type": "assistant"')
    assert ok(shop, "logs", "t-1", "--stderr") == "a warning\n"


def test_an_agent_that_is_not_configured_any_more_is_shown_as_it_printed(shop: Path) -> None:
    write_run(shop, SAID, agent="gone")
    assert ok(shop, "logs", "t-1").startswith('{"type": "assistant"')


def test_a_huge_log_is_shown_in_little_memory_and_a_closed_pipe_ends_it(shop: Path) -> None:
    folder = write_run(shop, [])
    with (folder / "stdout.jsonl").open("w") as file:
        file.write('{"type": "' + "x" * 20_000_000 + '"}\n')
        for _ in range(40_000):
            file.write(SAID[0] + "\n")
    done = subprocess.run(
        ["sh", "-c", f"ulimit -v 600000; {shlex.join(argv('logs', 't-1'))}"],
        cwd=shop,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.startswith("── a line of 20,000,012 bytes is not shown (--raw has it)\n")
    assert done.stdout.count("word 0") == 40_000
    head = subprocess.run(
        ["bash", "-c", f"{shlex.join(argv('logs', 't-1'))} | head -n 2; echo ${{PIPESTATUS[0]}}"],
        cwd=shop,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert head.stdout.splitlines()[-1] == "141"
    assert head.stderr == ""
