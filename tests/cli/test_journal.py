import logging
from pathlib import Path

import pytest

from orch.cli.journal import Logfmt, keep_journal
from orch.coordinator.background import perform
from orch.core.actions import Verify
from orch.core.model import RunKey


def line(message: str, **extra: object) -> str:
    record = logging.LogRecord("orch.x", logging.WARNING, "x.py", 1, message, (), None)
    record.created = 1_763_642_400.0
    record.__dict__.update(extra)
    return Logfmt().format(record)


@pytest.mark.parametrize(
    ("message", "extra", "written"),
    [
        (
            "launched it",
            {"task": "t-3", "run": RunKey("t-3", 2)},
            f'level=warning task=t-3 run=t-3/2 worker={RunKey("t-3", 2).worker} msg="launched it"',
        ),
        ("merged it", {"task": "t-3", "run": None}, 'level=warning task=t-3 msg="merged it"'),
        ("launched it", {"task": "", "run": None}, 'level=warning msg="launched it"'),
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


def test_what_is_logged_while_something_is_done_names_the_run(tmp_path: Path) -> None:
    path = tmp_path / "orch.log"
    log = logging.getLogger("orch.test")
    with keep_journal(path, plain=False):
        perform(Verify(RunKey("t-3", 2)), lambda: log.warning("odd"))
        log.warning("after it")
    inside, after = path.read_text().splitlines()
    assert f"task=t-3 run=t-3/2 worker={RunKey('t-3', 2).worker} msg=odd" in inside
    assert "task=" not in after


def test_journald_gets_the_level_as_it_wants_it_and_no_time(tmp_path: Path) -> None:
    record = logging.LogRecord("orch.x", logging.WARNING, "x.py", 1, "odd", (), None)
    assert Logfmt(journald=True).format(record) == "<4>msg=odd"
    record.levelno = logging.DEBUG
    assert Logfmt(journald=True).format(record) == "<7>msg=odd"


@pytest.mark.parametrize(("level", "lines"), [("debug", 3), ("info", 2), ("error", 0)])
def test_the_level_decides_what_is_logged(tmp_path: Path, level: str, lines: int) -> None:
    path = tmp_path / "orch.log"
    with keep_journal(path, plain=False, level=level):
        perform(Verify(RunKey("t-3", 2)), lambda: None)
        logging.getLogger("orch.test").info("one")
        logging.getLogger("orch.test").warning("two")
    assert len(path.read_text().splitlines()) == lines


def test_secrets_are_taken_out_of_messages_and_tracebacks(tmp_path: Path) -> None:
    path = tmp_path / "orch.log"
    with keep_journal(path, plain=False, clean=lambda text: text.replace("hunter2", "***")):
        error = ZeroDivisionError("hunter2")
        logging.getLogger("orch.test").error("it was %s", "hunter2", exc_info=error)
    assert "hunter2" not in path.read_text()
    assert path.read_text().count("***") == 2
