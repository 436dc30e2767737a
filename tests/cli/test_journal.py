import logging
from pathlib import Path

import pytest

from orch.cli.journal import Logfmt, keep_journal


def line(message: str, **extra: object) -> str:
    record = logging.LogRecord("orch.x", logging.WARNING, "x.py", 1, message, (), None)
    record.created = 1_763_642_400.0
    record.__dict__.update(extra)
    return Logfmt().format(record)


@pytest.mark.parametrize(
    ("message", "extra", "written"),
    [
        ("launched it", {"task": "t-3", "run": 2}, 'level=warning task=t-3 attempt=2 msg="launched it"'),
        ("launched it", {"task": "", "run": ""}, 'level=warning msg="launched it"'),
        ("bare", {}, "level=warning msg=bare"),
        ('a "quote" and = sign', {}, r'level=warning msg="a \"quote\" and = sign"'),
        ("two\nlines \x1b[31m日本", {}, r'level=warning msg="two\nlines 日本"'),
    ],
)
def test_a_record_is_one_line_of_pairs(message: str, extra: dict[str, object], written: str) -> None:
    assert line(message, **extra) == f"time=2025-11-20T12:40:00Z {written}"


def test_a_traceback_stays_on_the_line() -> None:
    error = ZeroDivisionError("by a test")
    text = line("oh", exc_info=(type(error), error, None))
    assert "\n" not in text
    assert "ZeroDivisionError: by a test" in text


def test_the_file_gets_every_line_and_stdout_only_the_plain_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / ".orch" / "orch.log"
    log = logging.getLogger("orch.test")
    with keep_journal(path, plain=True):
        log.info("one")
    with keep_journal(path, plain=False):
        log.info("two")
    log.info("three")
    assert capsys.readouterr().out.count("msg=") == 1
    assert [text.rpartition("=")[2] for text in path.read_text().splitlines()] == ["one", "two"]


def test_a_log_that_cannot_be_written_is_told_and_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".orch").write_text("not a folder")
    with keep_journal(tmp_path / ".orch" / "orch.log", plain=True):
        logging.getLogger("orch.test").info("one")
    told = capsys.readouterr()
    assert "there is no log" in told.err
    assert "msg=one" in told.out
