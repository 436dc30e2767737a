"""The end of a file that others wrote."""

import os
from pathlib import Path

import pytest

from orch.adapters import tails

TOKEN = "ghp_" + "a1" * 18


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "stderr.log"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text\twith tab", "plain text\twith tab"),
        ("\x1b[1;31mred\x1b[0m \x1b[2K\x1b[?25lline", "red line"),
        ("\x1b]0;title\x07a \x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\", "a link"),
        ("\x1bPdevice control\x1b\\x", "x"),
        ("\x1b]never ended\nnext", "\nnext"),
        ("\x1b(Bx\x1b=y\x1b", "xy"),
        ("10%\r50%\r100%\nnext\r\nlast\r", "100%\nnext\nlast"),
        ("a\x00\x07\x08\x9b31mb\x7f", "a31mb"),
        ("\u202eevil\u2066x", "evilx"),
        ("Grüße ✅", "Grüße ✅"),
    ],
)
def test_it_becomes_plain(text: str, shown: str) -> None:
    assert tails.plain(text) == tails.clean(text) == shown


def test_a_colour_hides_no_secret() -> None:
    assert tails.clean(f"{TOKEN[:10]}\x1b[31m{TOKEN[10:]}") == "***"


def test_a_huge_file_is_read_from_its_end(log: Path) -> None:
    with log.open("wb") as file:
        file.truncate(2**40)
        file.seek(0, os.SEEK_END)
        file.write(b"\n\nthe\t end\n \n")
    assert tails.last_lines(log) == ["the\t end"]
    assert tails.last_line(log) == "the end"


def test_a_line_that_was_cut_is_left_out_unless_it_is_all(log: Path) -> None:
    log.write_text("é" * 3000 + "\nwhole\n")
    assert tails.last_lines(log) == ["whole"]
    log.write_text("x" * 9000)
    assert tails.last_lines(log) == ["x" * tails.BYTES]
    log.write_text("x" * 9000 + "\n")
    assert tails.last_lines(log) == ["x" * (tails.BYTES - 1)]


def test_bytes_that_are_no_text_do_no_harm(log: Path) -> None:
    log.write_bytes(b"\xff\xfe caf\xe9\n")
    assert tails.last_line(log) == "\ufffd\ufffd caf\ufffd"


def test_a_line_is_short_and_cut_after_its_secrets(log: Path) -> None:
    log.write_text(f"{'x' * 190} {TOKEN} {'y' * 50}\n")
    assert tails.last_line(log) == f"{'x' * 190} *** yyyyy"


def test_what_is_no_plain_file_is_not_opened(log: Path, tmp_path: Path) -> None:
    assert tails.last_lines(log) == []
    (tmp_path / "secret").write_text("secret\n")
    log.symlink_to(tmp_path / "secret")
    assert tails.last_lines(log) == []
    log.unlink()
    os.mkfifo(log)
    assert tails.last_line(log) == ""
