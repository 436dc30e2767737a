from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orch.core.tasks_md import parse
from tests.cli.command import ok, orch, spawn, status, task


def read(shop: Path) -> str:
    return (shop / "tasks.md").read_text()


def test_a_task_gets_the_next_id_and_the_rest_of_the_file_stays(shop: Path) -> None:
    (shop / "tasks.md").write_text("# Mine\n\n## Pending\n\n[] t-7: Old\n\n## Notes\nkeep me\n")
    assert ok(shop, "add", "Fix the login") == "t-8\n"
    assert "[] t-8: Fix the login\n" in read(shop)
    assert read(shop).startswith("# Mine\n\n## Pending\n\n[] t-7: Old\n")
    assert read(shop).endswith("## Notes\nkeep me\n")


def test_everything_that_can_be_said_is_written(shop: Path) -> None:
    ok(shop, "add", "First")
    ok(shop, "add", "Second", "-p", "0", "--after", "#1", "--agent", "slow", "--notes", "more\nof it")
    found = parse(read(shop)).tasks["t-2"]
    assert (found.title, found.priority, found.after, found.agent) == ("Second", 0, ("t-1",), "slow")
    assert found.notes == "more\nof it"
    assert task(shop, "t-2")["priority"] == 0


def test_a_model_and_a_budget_are_written(shop: Path) -> None:
    ok(shop, "add", "Cheap", "--model", "haiku", "--budget", "0.505")
    ok(shop, "add", "Dear", "--budget", "0")
    tasks = parse(read(shop)).tasks
    assert (tasks["t-1"].model, tasks["t-1"].budget) == ("haiku", 0.51)
    assert tasks["t-2"].budget == 0
    assert orch(shop, "add", "Odd", "--model", "a b").code == 1
    assert orch(shop, "add", "Odd", "--budget", "-1").code == 2


def test_the_first_line_is_the_title_and_the_rest_are_notes(shop: Path) -> None:
    ok(shop, "add", "  Fix   it\n\nIt happens on\tMondays\n")
    found = parse(read(shop)).tasks["t-1"]
    assert found.title == "Fix it"
    assert "It happens on" in found.notes


@pytest.mark.parametrize(
    "text",
    [
        *("Fix it {p1}", "Fix it {after:t-1}", "Fix it\x1b[2J", "Fix\x07it"),
        *(
            "## Failed",
            "[✅ abc] done",
            "- [ ] a box",
            "gh-4: named",
            "Ünïcode 日本語 ✅",
            "a {brace} inside",
        ),
    ],
)
def test_a_title_comes_back_as_it_was_given_or_is_refused(shop: Path, text: str) -> None:
    before = read(shop)
    done = orch(shop, "add", "--", text)
    if done.code == 0:
        assert parse(read(shop)).tasks["t-1"].title == text
    else:
        assert done.code == 1
        assert "cannot be a task" in done.err
        assert read(shop) == before


@pytest.mark.parametrize("text", ["", "  \n "])
def test_an_empty_title_is_refused(shop: Path, text: str) -> None:
    assert orch(shop, "add", text).code == 2


def test_an_unknown_parent_is_refused_with_the_nearest(shop: Path) -> None:
    ok(shop, "add", "First")
    done = orch(shop, "add", "Second", "--after", "t-11")
    assert done.code == 1
    assert "t-1" in done.err.splitlines()[1]
    assert "Second" not in read(shop)


def test_a_number_that_means_two_tasks_is_refused(shop: Path) -> None:
    (shop / "tasks.md").write_text("[] t-4: One\n[] gh-4: Other\n")
    done = orch(shop, "add", "Second", "--after", "4")
    assert done.code == 1
    assert "t-4" in done.err
    assert "gh-4" in done.err


def test_an_unknown_agent_is_refused_with_the_nearest(shop: Path) -> None:
    done = orch(shop, "add", "Second", "--agent", "slw")
    assert done.code == 1
    assert "slow" in done.err
    assert "Second" not in read(shop)


def test_many_at_once_lose_nothing(shop: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(lambda _: spawn(shop, "add", "The same").out.strip(), range(8)))
    assert sorted(names) == [f"t-{number}" for number in range(1, 9)]
    assert set(parse(read(shop)).tasks) == set(names)


def test_an_editor_that_had_read_the_file_before_does_not_take_the_task_back(shop: Path) -> None:
    """It saves a while after `orch add` has ended, and nobody coordinates."""
    before = read(shop)
    assert ok(shop, "add", "Fix the login", "--notes", "It happens on Mondays") == "t-1\n"
    (shop / "tasks.md").write_text(before + "[] typed\n")
    assert ok(shop, "add", "Another") == "t-2\n"
    found = parse(read(shop))
    assert [found.tasks[name].title for name in ("t-1", "t-2")] == ["Fix the login", "Another"]
    assert found.tasks["t-1"].notes == "It happens on Mondays"
    assert [task.title for task in found.unnamed] == ["typed"]


def test_what_a_person_deletes_is_not_added_again(shop: Path) -> None:
    before = read(shop)
    ok(shop, "add", "Fix the login")
    (shop / "tasks.md").write_text(before)
    assert status(shop)["tasks"] == []
    ok(shop, "add", "Another")
    assert [task.title for task in parse(read(shop)).tasks.values()] == ["Another"]


def test_a_folder_that_cannot_be_written_is_said(shop: Path) -> None:
    (shop / ".orch").write_text("not a folder")
    done = orch(shop, "add", "Anything")
    assert done.code == 1
    assert "Traceback" not in done.err
