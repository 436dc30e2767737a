"""Two versions of tasks.md that were made from the same one."""

import pytest

from orch.core.actions import AddTask, SetId, SetMark
from orch.core.model import PENDING, Mark, Status, Task
from orch.core.tasks_md import apply, merge, parse

ACTIVE = Mark(Status.ACTIVE, "w-1a2b3c")
BASE = "## Pending\n\n[] t-1: one\n[] t-2: two\n  a note\n\n## Active\n\n## Notes\n\nwords\n"
START = SetMark("t-1", PENDING, ACTIVE, (("Started", "now"),))


@pytest.mark.parametrize(
    ("ours", "theirs", "merged"),
    [
        ("a\nb\nc\n", "a\nb\nc\n", "a\nb\nc\n"),
        ("a\nB\nc\n", "a\nb\nc\n", "a\nB\nc\n"),
        ("a\nb\nc\n", "a\nB\nc\n", "a\nB\nc\n"),
        ("A\nb\nc\n", "a\nb\nC\n", "A\nb\nC\n"),
        ("A\nb\nc\n", "a\nB\nc\n", "A\nB\nc\n"),
        ("a\nB\nc\n", "A\nb\nC\n", "A\nB\nC\n"),
        ("x\na\nb\nc\n", "a\nb\nc\ny", "x\na\nb\nc\ny\n"),
        ("b\nc\n", "a\nb\n", "b\n"),
        # the same on both sides is made once
        ("a\nb\nc\nd\n", "a\nb\nc\nd\n", "a\nb\nc\nd\n"),
        # two insertions at one place: both, ours first; what both typed is there once
        ("a\nb\nc\nours\n", "a\nb\nc\ntheirs\n", "a\nb\nc\nours\ntheirs\n"),
        ("a\nb\nc\nboth\nours\n", "a\nb\nc\nboth\n\ntheirs\n", "a\nb\nc\nboth\nours\ntheirs\n"),
        # a collision: nothing that was typed is lost
        ("a\nours\nc\n", "a\ntheirs\nc\n", "a\nours\ntheirs\nc\n"),
        ("a\nbig b\nc\n", "a\nb two\nc\n", "a\nbig b\nb two\nc\n"),
        ("a\nc\n", "a\nb changed\nc\n", "a\nb changed\nc\n"),
        ("a\nb changed\nc\n", "a\nc\n", "a\nb changed\nc\n"),
        ("all new\n", "a\nx\nb\ny\nc\n", "all new\nx\ny\n"),
        ("a\nx\nb\ny\nc\n", "all new\n", "a\nx\nb\ny\nc\nall new\n"),
        ("", "a\nb\nc\nd\n", "d\n"),
        ("a\nb\nc\n", "", ""),
    ],
)
def test_lines(ours: str, theirs: str, merged: str) -> None:
    assert merge("a\nb\nc\n", ours, theirs) == merged


def test_what_both_typed_in_place_of_a_blank_line_stays_two_lines() -> None:
    assert merge("a\n \nc\n", "a\nours\nc\n", "a\ntheirs\nc\n") == "a\nours\ntheirs\nc\n"


@pytest.mark.parametrize(
    ("ours", "theirs", "merged"),
    [
        ("- a b one\n", "- a b  two\n", "- a b one  two\n"),
        ("- a b one\n", "- a b two one\n", "- a b one two\n"),
        ("- a one b\n  more\n", "- a b two\n", "- a one b two\n  more\n"),
        ("- a b one\n  more\n", "- a b two\n  and more\n", "- a b one two\n  more\n  and more\n"),
        ("- a\n", "- a b two\n", "- a\n- a b two\n"),
        ("a b one\n", "- a b two\n", "a b one\n- a b two\n"),
    ],
)
def test_a_line_that_both_have_typed_on(ours: str, theirs: str, merged: str) -> None:
    assert merge("- a b\n", ours, theirs) == merged


def test_a_bullet_that_both_have_typed_on_becomes_two_things() -> None:
    assert merge("-\n", "- milk\n", "- call\n") == "- milk\n- call\n"


def test_words_that_both_typed_on_a_task_are_no_second_task() -> None:
    ours, theirs = (BASE.replace("t-1: one", f"t-1: one {words}") for words in ("again", "and again {p0}"))
    merged = merge(BASE, apply(parse(ours), [START]).text, theirs)
    assert "] t-1: one again and {p0}\n" in merged
    assert parse(merged).problems == ()


def test_what_both_inserted_is_there_once_wherever_it_seems_to_begin() -> None:
    base = "a\n\nb\n\nc\n"
    both = "a\n\nb\n\nnew\nits note\n\nc\n"
    assert merge(base, f"{both}end\n", f"top\n{both}") == f"top\n{both}end\n"
    task = "## Pending\n\n[] t-1: x\n\n[] t-3: z\n  note\n\n## Active\n"
    without = "## Pending\n\n[] t-1: x\n\n## Active\n"
    assert merge(without, f"{task}end\n", f"top\n{task}") == f"top\n{task}end\n"


def test_without_a_base_everything_is_kept() -> None:
    assert merge("", "a\nb\n", "b\nc\n") == "a\nb\nc\n"


def test_an_edit_of_a_line_that_orch_moved_keeps_both() -> None:
    ours = apply(parse(BASE), [START]).text
    theirs = BASE.replace("one", "one, better {p0}")
    assert merge(BASE, ours, theirs) == apply(parse(theirs), [START]).text


def test_an_edit_elsewhere_is_kept() -> None:
    ours = apply(parse(BASE), [START, AddTask(Task("t-3", "three"))]).text
    theirs = BASE.replace("a note", "a note\n  and more").replace("words", "other words") + "[] at the end"
    merged = parse(merge(BASE, ours, theirs))
    assert merged.tasks["t-1"].mark == ACTIVE
    assert merged.tasks["t-2"].notes == "a note\nand more"
    assert merged.tasks["t-3"].title == "three"
    assert [task.title for task in merged.unnamed] == ["at the end"]
    assert "other words" in merged.text
    assert merged.problems == ()


def test_a_mark_by_hand_wins() -> None:
    ours = apply(parse(BASE), [START]).text
    theirs = BASE.replace("[] t-1", "[-] t-1")
    merged = parse(merge(BASE, ours, theirs))
    assert merged.tasks["t-1"].mark == Mark(Status.SKIPPED)


def test_a_deletion_by_hand_wins() -> None:
    theirs = BASE.replace("[] t-1: one\n", "")
    merged = merge(BASE, apply(parse(BASE), [SetMark("t-2", PENDING, ACTIVE)]).text, theirs)
    assert list(parse(merged).tasks) == ["t-2"]


def test_an_id_that_orch_gave_stays_with_its_line() -> None:
    base = "[] same\n[] other\n[] same\n[] third\n"
    ours = apply(
        parse(base),
        [SetId("[] other", 2, "t-1"), SetMark("t-1", PENDING, ACTIVE), SetId("[] third", 4, "t-2")],
    ).text
    theirs = "[] new first\n[] same\n[] other\n  with a note\n[] same\n[] third\n"
    assert merge(base, ours, theirs) == (
        "[] new first\n[] same\n[🟡 w-1a2b3c] t-1: other\n  with a note\n[] same\n[] t-2: third\n"
    )


def test_a_second_time_changes_nothing() -> None:
    ours = apply(parse(BASE), [START]).text
    theirs = BASE.replace("two", "two and a half") + "[] typed\n"
    once = merge(BASE, ours, theirs)
    assert merge(BASE, once, theirs) == once


def test_long_files_that_differ_little_are_quick_to_compare() -> None:
    base = "".join(f"[] t-{number}: title\n\n" for number in range(20_000))
    merged = merge(base, base.replace("t-7: title", "t-7: ours"), base + "[] typed\n")
    assert merged.count("ours") == 1
    assert merged.endswith("[] typed\n")


# --- a task that orch has moved ---------------------------------------------------------------------------

MOVED = "## Pending\n\n[] t-1: one\n- Attempt: 1\n[] t-2: two\n[] t-3: three\n\n## Notes\n\nwords\n"
NOW_LAST = "## Pending\n\n[] t-2: two\n[] t-3: three\n\n[] t-1: one\n- Attempt: 2\n\n## Notes\n\nwords\n"


@pytest.mark.parametrize(
    ("edit", "merged"),
    [
        (("one", "one, better"), NOW_LAST.replace("one", "one, better")),
        (("- Attempt: 1\n", "- Attempt: 1\n  a note\n"), NOW_LAST.replace("2\n", "2\n  a note\n")),
        (("[] t-1: one\n- Attempt: 1\n", ""), NOW_LAST.replace("\n[] t-1: one\n- Attempt: 2\n", "")),
        (("words", "other words"), NOW_LAST.replace("words", "other words")),
    ],
)
def test_what_was_typed_into_a_task_goes_where_orch_has_moved_it(edit: tuple[str, str], merged: str) -> None:
    assert merge(MOVED, NOW_LAST, MOVED.replace(*edit)) == merged


def test_a_task_that_one_side_deleted_and_the_other_wrote_into_is_kept() -> None:
    without = MOVED.replace("[] t-2: two\n", "")
    noted = MOVED.replace("two\n", "two\n  a note\n")
    assert "a note" in merge(MOVED, noted, without)
    assert "a note" in merge(MOVED, without, noted)
    assert merge(MOVED, without, MOVED + "more\n") == without + "more\n"
