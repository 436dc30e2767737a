"""What a version of tasks.md lacks because whoever saved it had read an older one."""

import pytest

from orch.core.actions import AddTask, Change, SetId, SetMark
from orch.core.model import PENDING, Mark, Status, Task
from orch.core.tasks_md import apply, find_origin, is_same_task, parse, restore

ACTIVE = Mark(Status.ACTIVE, "w-1a2b3c")
BASE = "## Pending\n\n[] t-1: one\n[] t-2: two\n  a note\n[] hand-written\n\n## Notes\n\nwords\nand more\n"
START = SetMark("t-1", PENDING, ACTIVE, (("Started", "now"),))
NAME = SetId("[] hand-written", 6, "t-3")
ADD = AddTask(Task("t-4", "four", notes="its note"))


def after(*changes: Change, text: str = BASE) -> str:
    return apply(parse(text), changes).text


def change(text: str, *edits: tuple[str, str]) -> str:
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return text


UNAWARE = [
    ("words", "other words"),
    ("two", "two {p0}"),
    ("  a note", "  a longer note"),
    ("[] t-2: two\n  a note\n", ""),
    ("and more", "and more\n[] t-9: at the end"),
    ("[] t-1: one\n", "[] t-1: one, better\n"),
]


@pytest.mark.parametrize("changes", [(START,), (NAME,), (ADD,), (START, NAME, ADD)], ids=str)
@pytest.mark.parametrize("edit", UNAWARE, ids=str)
def test_who_had_not_read_what_orch_wrote_did_not_take_it_back(
    changes: tuple[Change, ...], edit: tuple[str, str]
) -> None:
    found = change(BASE, edit)
    assert (
        parse(restore(BASE, after(*changes), parse(found))).tasks == parse(after(*changes, text=found)).tasks
    )


@pytest.mark.parametrize(
    ("changes", "edits"),
    [
        # it has something that came later
        ((START,), [("words", "other words")]),
        ((START,), [("- Started: now\n", "")]),
        ((START, ADD), [("[] t-4: four\n  its note\n", "")]),
        # its mark, or its id, was known
        ((SetMark("t-1", PENDING, ACTIVE),), [("one", "one, better"), ("words", "other words")]),
        ((ADD,), [("four\n  its note", "four, better"), ("words", "other words")]),
        # deleted, or marked by hand: that says nothing
        ((START,), [("[🟡 w-1a2b3c] t-1: one\n- Started: now\n", ""), ("## Active\n", "")]),
        ((START,), [("[🟡 w-1a2b3c] t-1: one\n- Started: now\n", "[x] t-1: one\n"), ("## Active\n", "")]),
        ((NAME,), [("[] t-3: hand-written\n", ""), ("words", "other words")]),
    ],
)
def test_who_had_read_it_is_obeyed(changes: tuple[Change, ...], edits: list[tuple[str, str]]) -> None:
    # With the headings there already, nothing but the tasks tells.
    base = BASE.replace("## Notes", "## Active\n\n## Notes")
    kept = after(*changes, text=base if ("## Active\n", "") not in edits else BASE)
    found = change(kept, *edits)
    assert restore(BASE if ("## Active\n", "") in edits else base, kept, parse(found)) == found


@pytest.mark.parametrize("found", ["all new\n", "", "[] t-1: one\n"])
def test_another_file_altogether_is_left_alone(found: str) -> None:
    assert restore(BASE, after(START, ADD), parse(found)) == found


def test_an_id_that_was_typed_for_something_else_is_there_twice() -> None:
    found = BASE + "[] t-4: another thing\n"
    document = parse(restore(BASE, after(ADD), parse(found)))
    assert document.tasks["t-4"].title == "four"
    assert "another thing" in document.text
    assert [problem.message[:8] for problem in document.problems] == ["t-4 is o"]


SHOWN = after(START)
KEPT = BASE.replace("words", "words\ntyped")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        # made from what was shown: what was typed comes back
        (SHOWN, KEPT),
        (SHOWN + "more\n", KEPT + "more\n"),
        # made from what should have been shown
        (KEPT, KEPT),
        (KEPT + "more\n", KEPT + "more\n"),
        (after(START, text=KEPT), after(START, text=KEPT)),
    ],
)
def test_what_people_typed_comes_back_too(found: str, expected: str) -> None:
    assert restore(SHOWN, KEPT, parse(found)) == expected


def test_a_version_that_lacked_nothing_gives_nothing_back() -> None:
    assert restore(KEPT, BASE, parse(KEPT)) == KEPT


# --- which version it was ---------------------------------------------------------------------------------


def test_the_origin_is_what_differs_least() -> None:
    one, two, three = BASE, after(START), after(START, NAME)
    kept = after(START, NAME, ADD)
    shown = [(0.3, one), (0.2, two), (0.1, three)]
    for age, text in shown:
        found = find_origin(shown, kept, text + "typed\n")
        assert found is not None
        assert (found.differences, found.age, found.text) == (1, age, text)
    exact = find_origin(shown, kept, two)
    assert exact is not None
    assert exact.differences == 0


def test_of_two_equal_ones_it_is_the_younger() -> None:
    found = find_origin([(0.3, BASE), (0.1, BASE + "\n"), (0.2, BASE)], after(ADD), BASE)
    assert found is not None
    assert found.age == 0.1


def test_what_lacks_nothing_has_no_origin() -> None:
    assert find_origin([(0.1, BASE)], after(ADD), after(ADD) + "typed\n") is None
    assert find_origin([], after(ADD), BASE) is None
    # What it lacks is older than every version.
    assert find_origin([(0.1, BASE)], after(ADD), after(ADD).replace("words\n", "")) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Fix the login", "Fix the login", True),
        ("Fix the login", "Fix the login, at last", True),
        ("Fix the login now", "Fix the login later", True),
        ("Fix the login", "Write the manual", False),
        ("Fix it", "Fit the tiles", False),
    ],
)
def test_tasks_of_one_id_are_the_same_if_they_begin_alike(one: str, other: str, same: bool) -> None:
    assert is_same_task(Task("t-1", one), Task("t-1", other)) is same
