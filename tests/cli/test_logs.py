import io
import signal
from pathlib import Path

import pytest

from orch.cli.harmless import defuse
from orch.cli.tailing import PIECE, Tail, find_last_lines
from tests.cli.command import ok, running, status, wait_until


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
