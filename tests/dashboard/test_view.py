import io
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from orch.core.metrics import Event, Health, Metrics
from orch.core.model import Activity, Mark, OutcomeKind, Phase, Problem, PullRequest, Status, Task
from orch.core.state import Snapshot
from orch.core.tasks_md import Document
from orch.dashboard.digest import make_digest
from orch.dashboard.sections import Section
from orch.dashboard.view import View, share_out
from tests.dashboard.snapshots import NOW, busy, crowded, end, make_run, make_snapshot


def draw(snapshot: Snapshot, width: int = 80, height: int | None = None, *, colour: bool = False) -> str:
    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        height=height,
        force_terminal=colour,
        color_system="truecolor" if colour else None,
        legacy_windows=False,
    )
    console.print(View(make_digest(snapshot), NOW, "shop", height))
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 120, 200])
def test_everything_that_matters_is_drawn(width: int) -> None:
    text = draw(busy(), width)
    for word in (
        *("shop", "ok", "pid 4242", "3h 12m", "1 of 8 done", "2 active", "3 pending", "1 failed"),
        *("Workers 2 of 3", "gh-471", "claude", "running", "12m 34s", "editing login.ts", "verifying"),
        *("Queue 3, 1 of them waiting", "p0", "Export invoices", "waits for gh-480"),
        *("Pull requests 1 of 1 open", "#41", "Add a map"),
        *("Failed and blocked 2", "verify failed: 3 tests", "which one?"),
        *("Recent", "completed", "pull request #41"),
        *("Needs a look 2", "agent codex is not installed", "tasks.md:14: unknown tag {colour:red}"),
        *("75% of the last 4 done", "p50 3m 20s", "p95 13m 20s"),
    ):
        assert word in text, word


@pytest.mark.parametrize("width", [80, 140])
def test_what_workers_and_the_day_have_cost_is_drawn(width: int) -> None:
    text = draw(busy(), width)
    assert "$1.25 123k" in text
    assert "today $4.75 2.1M" in text


def test_on_a_wide_screen_the_lists_stand_side_by_side() -> None:
    lines = draw(busy(), 200).splitlines()
    assert any("Workers" in line and "Failed and blocked" in line for line in lines)
    assert not any(
        "Workers" in line and "Failed and blocked" in line for line in draw(busy(), 80).splitlines()
    )


@pytest.mark.parametrize("width", [20, 40, 80, 119, 120, 200])
@pytest.mark.parametrize("make", [busy, crowded, make_snapshot])
def test_no_line_is_wider_than_the_terminal(make: Callable[[], Snapshot], width: int) -> None:
    for height in (None, 24, 50):
        assert all(cell_len(line) <= width for line in draw(make(), width, height).splitlines())


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("height", [16, 24, 50])
@pytest.mark.parametrize("make", [busy, crowded, make_snapshot])
def test_it_fits_the_screen(make: Callable[[], Snapshot], width: int, height: int) -> None:
    assert len(draw(make(), width, height).splitlines()) <= height


def test_without_a_screen_it_is_bounded_too() -> None:
    assert len(draw(crowded()).splitlines()) < 100


def test_long_lists_say_how_much_is_missing() -> None:
    text = draw(crowded(), 80, 24)
    assert re.search(r"… and 9\d\d more", text)
    assert re.search(r"… and 5\d more", text)


def test_the_events_that_are_not_shown_are_all_counted() -> None:
    recent = draw(crowded(), 80, 60).partition("Recent")[2]
    shown = len(re.findall(r"event \d+", recent))
    assert shown
    assert f"… and {100 - shown} more" in recent


def test_every_list_shows_something_in_24_rows() -> None:
    text = draw(busy(), 80, 24)
    for head in ("Needs a look", "Workers", "Queue", "Failed and blocked", "Pull requests", "Recent"):
        assert head in text


def test_a_tiny_screen_shows_the_workers() -> None:
    text = draw(busy(), 80, 10)
    assert "Workers" in text
    assert len(text.splitlines()) <= 12


def test_an_empty_queue_says_what_to_do() -> None:
    text = draw(make_snapshot())
    assert "The queue is empty" in text
    assert "orch add" in text
    assert "no coordinator runs" in text


def test_a_file_that_cannot_be_read_is_no_crash() -> None:
    assert "orch" in draw(make_snapshot(document=None))


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"paused": "release day"}, "Paused: release day  (orch resume goes on)"),
        ({"paused": "paused by SIGUSR1"}, "Paused: by SIGUSR1  ("),
        ({"paused": ""}, "Paused  (orch resume goes on)"),
        ({"draining": True, "paused": "x"}, "Draining: nothing new is started.  ^C once more stops"),
        ({"health": Health.CRITICAL}, "critical"),
    ],
)
def test_what_holds_the_fleet_is_said_at_the_top(fields: dict[str, Any], shown: str) -> None:
    assert shown in draw(make_snapshot(**fields))


def test_the_urgent_come_first_and_those_that_wait_last() -> None:
    text = draw(busy(), 80)
    assert text.index("gh-480") < text.index("gh-500") < text.index("gh-481")


def test_open_pull_requests_come_before_merged_ones() -> None:
    tasks = []
    for number in range(1, 9):
        fields = {"PR": f"refs/pull/{number}/head"} | ({"Merged": "today"} if number > 2 else {})
        tasks.append(Task(f"t-{number}", f"Thing {number}", Mark(Status.COMPLETED), fields=fields))
    text = draw(make_snapshot(*tasks))
    assert re.findall(r"#(\d) .* (open|merged)", text) == [
        *[("2", "open"), ("1", "open")],
        *[("8", "merged"), ("7", "merged"), ("6", "merged")],
    ]


def test_an_event_of_another_day_shows_its_date() -> None:
    events = (Event(NOW - 10 * 86_400, "launched", "long ago"), Event(NOW, "failed", "just now"))
    lines = draw(make_snapshot(metrics=Metrics(history=events))).splitlines()
    (old,) = (line for line in lines if "long ago" in line)
    (new,) = (line for line in lines if "just now" in line)
    assert re.match(r"[A-Z][a-z]{2} \d\d ", old)
    assert re.match(r"\d\d:\d\d:\d\d ", new)


EVIL = "[bold red]x[/] [link=https://evil]y[/link] \x1b[2J\x1b]0;owned\x07\u202etxt\nnext\r:smile:"


def poisoned(evil: str) -> Snapshot:
    tasks = {
        "t-1": Task("t-1", evil, Mark(Status.ACTIVE), agent=evil),
        "t-2": Task("t-2", evil),
        "t-3": Task("t-3", evil, Mark(Status.BLOCKED), fields={"Reason": evil}),
        "t-4": Task("t-4", evil, Mark(Status.COMPLETED)),
    }
    pull = PullRequest(1, evil, evil, title=evil)
    runs = {"t-1": make_run("t-1"), "t-4": end(make_run("t-4"), OutcomeKind.COMPLETED, evil, pull)}
    return replace(
        make_snapshot(),
        document=Document(tasks, problems=(Problem(3, evil),)),
        runs=runs,
        live=frozenset({"t-1"}),
        metrics=Metrics(history=(Event(NOW, "failed", evil, "t-3"),)),
        paused=evil,
        waiting={"t-2": evil},
        notices={"": evil},
        activity={"t-1": Activity(evil)},
        pid=1,
    )


@pytest.mark.parametrize("width", [80, 200])
def test_foreign_text_is_shown_and_never_obeyed(width: int) -> None:
    text = draw(poisoned(EVIL), width)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "[bold red]x[/]" in text
    assert ":smile:" in draw(poisoned(EVIL), 400)


def test_with_colour_the_only_escapes_are_our_own() -> None:
    text = draw(poisoned(EVIL), 100, colour=True)
    assert "\x1b[" in text
    assert re.sub(r"\x1b\[[0-9;]*m", "", text).count("\x1b") == 0


@given(st.text(st.characters(), max_size=60))
def test_no_text_breaks_the_drawing(evil: str) -> None:
    for line in draw(poisoned(evil), 80, 24).splitlines():
        assert cell_len(line) <= 80


def test_without_colour_nothing_but_text_is_written() -> None:
    assert "\x1b" not in draw(busy())


@pytest.mark.parametrize(
    ("room", "wanted", "given_rows"),
    [
        (10, [20, 20, 20], [6, 2, 2]),
        (10, [1, 2, 3], [1, 2, 3]),
        (9, [6, 1, 1, 6], [5, 1, 1, 2]),
        (3, [6, 6, 6], [1, 1, 1]),
        (0, [6, 6], [0, 0]),
        (5, [], []),
    ],
)
def test_rows_are_shared_out(room: int, wanted: list[int], given_rows: list[int]) -> None:
    assert share_out(room, wanted) == given_rows
    assert sum(given_rows) <= room


@pytest.mark.parametrize(
    ("room", "lines"),
    [
        (0, []),
        (1, ["a"]),
        (2, ["a", "… and 2 more"]),
        (3, ["a", "b", "c"]),
        (5, ["a", "b", "c"]),
        (6, ["a", "1", "b", "2", "c", "3"]),
    ],
)
def test_a_section_gives_up_second_lines_first(room: int, lines: list[str]) -> None:
    section = Section(Text("head"), [Text(word) for word in "a1b2c3"], lines_each=2)
    assert [line.plain for line in section.cut(room)] == lines


def test_a_section_counts_what_it_was_not_even_given() -> None:
    section = Section(Text("head"), [Text("a"), Text("b")], hidden=7)
    assert [line.plain for line in section.cut(5)] == ["a", "b", "… and 7 more"]


def test_a_task_whose_worker_is_being_prepared_is_not_in_the_queue_too() -> None:
    text = draw(make_snapshot(Task("t-1", "Soon"), runs=(make_run("t-1", phase=Phase.PREPARING),)))
    assert "preparing" in text
    assert "Queue" not in text
