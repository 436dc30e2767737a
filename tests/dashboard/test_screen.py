import io
import logging
import threading
from dataclasses import replace
from typing import Any, cast

import pytest
from rich.console import Console

from orch.core.state import Snapshot
from orch.dashboard.screen import Screen
from tests.dashboard.snapshots import busy, make_snapshot

DEADLINE = 30.0


class Paper(io.StringIO):
    """A terminal that tells when something was written to it."""

    def __init__(self, wanted: str) -> None:
        super().__init__()
        self._wanted = wanted
        self.seen = threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        if self._wanted in self.getvalue():
            self.seen.set()
        return written


class Gone(io.StringIO):
    """A terminal whose window was closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.event = threading.Event()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.event.set()


@pytest.fixture
def heard() -> Any:
    handler = Heard()
    logger = logging.getLogger("orch.dashboard.screen")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def console(file: io.StringIO) -> Console:
    return Console(file=file, force_terminal=True, width=80, height=24, legacy_windows=False)


def test_the_newest_state_is_drawn_on_the_second_screen_and_left_on_the_first() -> None:
    paper = Paper("gh-471")
    with Screen(console(paper), "shop", "^C ends it") as screen:
        screen.show(make_snapshot())
        screen.show(busy())
        assert paper.seen.wait(DEADLINE)
    text = paper.getvalue()
    assert text.startswith("\x1b[?1049h")
    live, _, left = text.partition("\x1b[?1049l")
    assert "^C ends it" in live
    assert "gh-471" in left
    assert "^C ends it" not in left


def test_the_last_picture_offers_no_second_interrupt() -> None:
    paper = Paper("Draining")
    with Screen(console(paper), "shop") as screen:
        screen.show(replace(busy(), draining=True))
        assert paper.seen.wait(DEADLINE)
    assert "Draining" not in paper.getvalue().partition("\x1b[?1049l")[2]


def test_a_state_that_changes_is_drawn_again() -> None:
    paper = Paper("Paused: by hand")
    with Screen(console(paper), "shop") as screen:
        screen.show(busy())
        screen.show(replace(busy(), paused="by hand"))
        assert paper.seen.wait(DEADLINE)


def test_without_a_state_nothing_is_drawn() -> None:
    paper = Paper("")
    with Screen(console(paper), "shop"):
        pass
    assert paper.getvalue() == ""


def test_a_terminal_that_is_gone_ends_only_the_drawing(heard: Heard) -> None:
    with Screen(console(Gone()), "shop") as screen:
        screen.show(busy())
        assert heard.event.wait(DEADLINE)
        screen.show(busy())
    assert "the terminal is gone" in heard.records[0].getMessage()


def test_a_bug_in_the_drawing_ends_only_the_drawing(heard: Heard) -> None:
    paper = Paper("gh-471")
    with Screen(console(paper), "shop") as screen:
        screen.show(cast("Snapshot", "no snapshot at all"))
        assert heard.event.wait(DEADLINE)
    assert "cannot be drawn" in heard.records[0].getMessage()
    assert heard.records[0].exc_info
    assert paper.getvalue().count("\x1b[?1049l") == 1
