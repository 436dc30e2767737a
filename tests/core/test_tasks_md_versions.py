"""Versions of tasks.md share what is the same in both, and read as if each were read anew."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orch.core.actions import AddTask, Archive, Change, SetId, SetMark
from orch.core.model import PENDING, Mark, Problem, Status, Task
from orch.core.tasks_md import Document, apply, parse, parse_again
from tests.core.test_tasks_md_properties import CORPUS, FILES, LINES, OURS, changes_to

ACTIVE = Mark(Status.ACTIVE, "w-1a2b3c")
COMPLETED = Mark(Status.COMPLETED, "w-1a2b3c", "cbffe52")
FILLED = "".join(f"[] u-{number}: filler\n" for number in range(200))
"""More than fits into one chunk."""
LONG_FILES = st.builds(
    lambda above, count, below: f"{above}\n{''.join(FILLED.splitlines(keepends=True)[:count])}{below}",
    FILES,
    st.sampled_from([63, 64, 140, 200]),
    FILES.map(lambda text: text.removeprefix("\ufeff")),
)
ANY_FILES = st.one_of(FILES, LONG_FILES)


def pieces(document: Document) -> list[tuple[str, bytes]]:
    return [(chunk.section, raw) for chunk in document.chunks for raw in chunk.raws]


def assert_same(one: Document, other: Document) -> None:
    """They say the same in all that can be asked, also where `==` does not look."""
    assert one == other
    assert pieces(one) == pieces(other)
    assert list(one.tasks) == list(other.tasks) == [task.id for task in one.tasks.values()]
    tasks, others = ((*each.tasks.values(), *each.unnamed) for each in (one, other))
    assert one.lines_of(tasks) == other.lines_of(others)
    assert one.misplaced() == other.misplaced()
    assert one.stale("now") == other.stale("now")
    for chunk in one.chunks:
        assert chunk.lines == sum(raw.count(b"\n") + (not raw.endswith(b"\n")) for raw in chunk.raws)


def assert_as_read_anew(document: Document, changes: Sequence[Change]) -> Document:
    """Change a document: the same comes out as when all of it is read again."""
    after = apply(document, changes)
    anew = apply(replace(document, steady=False), changes)
    assert after.text == anew.text
    assert_same(after, parse(after.text))
    return after


@settings(deadline=None)
@given(st.data(), ANY_FILES)
def test_a_changed_document_is_as_if_it_were_read_anew(data: st.DataObject, text: str) -> None:
    document = parse(text)
    for _ in range(data.draw(st.integers(1, 3))):
        changes = data.draw(st.lists(changes_to(document), min_size=1, max_size=3))
        document = assert_as_read_anew(document, changes)


@settings(deadline=None)
@given(st.data(), ANY_FILES, FILES)
def test_a_file_that_was_edited_reads_the_same_with_and_without_the_version_before(
    data: st.DataObject, text: str, other: str
) -> None:
    document = parse(text)
    lines = text.splitlines(keepends=True)
    low, high = sorted(data.draw(st.tuples(*[st.integers(0, len(lines))] * 2)))
    typed = "".join(data.draw(st.lists(LINES, max_size=3)))
    cut = data.draw(st.sampled_from(["", "", "\n"]))
    edited = "".join((*lines[:low], typed.removesuffix(cut), *lines[high:]))
    for found in (edited, other):
        assert_same(parse_again(document, found.encode("utf-8", "surrogateescape")), parse(found))


@pytest.mark.skipif(not CORPUS, reason="the corpus of real files is not here")
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_real_files_change_as_if_they_were_read_anew(path: Path) -> None:
    check_file(path)


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_our_files_change_as_if_they_were_read_anew(path: Path) -> None:
    check_file(path)


def check_file(path: Path) -> None:
    document = parse(path.read_bytes().decode("utf-8", "surrogateescape"))
    for task in tuple(document.unnamed):
        (line,) = document.lines_of([task])
        document = assert_as_read_anew(document, [SetId(task.text, line, f"n-{line}")])
    for name in tuple(document.tasks):
        for mark in (ACTIVE, COMPLETED):
            was = document.tasks[name].mark
            document = assert_as_read_anew(document, [SetMark(name, was, mark, (("Completed", "now"),))])
        document = assert_as_read_anew(document, [Archive(name)])
    for notes in ("", "two\n\nlines"):
        document = assert_as_read_anew(document, [AddTask(Task("", "new", notes=notes))])


# --- what is shared ---------------------------------------------------------------------------------


def queue(*more: str) -> Document:
    """A long queue with some lines at its end."""
    return parse("\n".join((f"# Tasks\n\n## Pending\n\n{FILLED}", "## Active", *more, "")))


def test_a_change_leaves_all_other_tasks_the_objects_that_they_were() -> None:
    before = queue()
    after = apply(before, [SetMark("u-100", PENDING, ACTIVE, (("Started", "now"),))])
    assert list(after.tasks)[-1] == "u-100"
    assert after.tasks["u-100"].mark == ACTIVE
    assert all(after.tasks[name] is before.tasks[name] for name in before.tasks if name != "u-100")
    same = [chunk for chunk in after.chunks if any(chunk is old for old in before.chunks)]
    assert len(same) >= len(before.chunks) - 3 > 1
    assert after.tasks["u-100"].id is before.tasks["u-100"].id


def test_tasks_may_be_changed_in_any_order() -> None:
    noted = SetMark("u-150", PENDING, PENDING, (("PID", "1"),))
    numbers = [SetMark("u-0", PENDING, PENDING, (("PID", value),)) for value in ("1", "2")]
    after = assert_as_read_anew(queue(), [numbers[0], noted, numbers[1], noted])
    assert after.text == queue().text.replace("u-0: filler\n", "u-0: filler\n- PID: 2\n").replace(
        "u-150: filler\n", "u-150: filler\n- PID: 1\n"
    )


def test_only_the_chunks_that_change_are_held_twice() -> None:
    document = queue()
    for name in list(document.tasks)[:150]:
        document = apply(document, [SetMark(name, PENDING, ACTIVE)])
    assert list(document.tasks)[:50] == [f"u-{number}" for number in range(150, 200)]
    assert max(len(chunk.raws) for chunk in document.chunks) <= 64
    assert len(document.chunks) <= 10


def test_what_a_person_did_not_touch_is_taken_over() -> None:
    before = queue("", "[🟡] t-1: x")
    lines = before.text.splitlines(keepends=True)
    after = parse_again(before, "".join((*lines[:150], "[] t-2: typed\n", *lines[150:])).encode())
    assert_same(after, parse(after.text))
    assert after.tasks["t-2"].title == "typed"
    assert all(after.tasks[name] is before.tasks[name] for name in before.tasks)


def test_a_document_that_is_read_again_unchanged_is_the_same() -> None:
    before = queue()
    assert parse_again(before, before.data) == before
    assert parse_again(Document(), before.data) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("#", "#x\n"),  # an unfinished last line is typed on
        ("## Ideas", "## Pending"),  # everything below it is in another section
        ("[] u-70: filler\n", "```\n"),  # a code block is opened, and closed by nothing
        ("[] u-70: filler\n", "<!--\n<!-- twice -->\n"),
        ("[] u-70: filler\n", "\0\n"),
        ("[] u-70: filler\n", "- a bullet\n"),
        ("[] u-70: filler\n[] u-71: filler\n", ""),
        ("[] u-70: filler\n", "[] u-71: twice\n"),
        (FILLED, ""),
        (FILLED, FILLED + FILLED),
        ("\n", ""),
        ("\n", "\r\n"),
    ],
)
def test_an_edit_is_read_as_if_the_version_before_were_unknown(old: str, new: str) -> None:
    text = f"[] t-1: first\n## Ideas\n{FILLED}## Active\n[🟡] t-2: x\n#"
    before = parse(text)
    edited = text.replace(old, new)
    for one, other in ((text, edited), (edited, text), (f"\ufeff{text}", edited)):
        assert_same(parse_again(parse(one), other.encode()), parse(other))
    assert before.text == text


def test_a_line_that_has_lost_its_ending_goes_on_with_the_line_below() -> None:
    before = queue()
    below = before.chunks[2].raws[0]
    edited = before.data.replace(b"\n" + below, below)
    assert len(edited) == len(before.data) - 1
    assert_same(parse_again(before, edited), parse(edited.decode()))


def test_what_is_typed_above_the_first_line_may_take_it_in() -> None:
    before = parse("- a bullet\n## Pending\n[] t-1: x\n")
    edited = "[] t-2: typed\n" + before.text
    after = parse_again(before, edited.encode())
    assert_same(after, parse(edited))
    assert after.tasks["t-2"].notes == "- a bullet"


# --- what a task of a file is -----------------------------------------------------------------------


def test_a_task_of_a_file_equals_one_that_is_made_by_hand() -> None:
    text = "[✅ cbffe52, w-1a2b3c] t-1: x {p1, model:opus, budget:2}\n- Completed: 2026-01-01 12:00\n  note\n"
    read = parse(text).tasks["t-1"]
    made = Task(
        *("t-1", "x", COMPLETED, 1, (), "", "opus", 2.0, "note"),
        fields={"Completed": "2026-01-01 12:00"},
        text=text.split("\n", maxsplit=1)[0],
    )
    assert read == made == read
    assert made == read
    assert read != made.evolve(title="y")
    unlike: object = "t-1"
    assert read != unlike
    assert (read.status, read.bullets) == (made.status, made.bullets) == (Status.COMPLETED, {"Completed"})
    assert parse(text.replace("\n", "\r\n")).tasks["t-1"] == read


def test_a_line_number_is_told_only_of_its_own_tasks() -> None:
    document = parse("\n[] t-1: x\n[] new\n")
    assert document.lines_of([*document.unnamed, document.tasks["t-1"]]) == [3, 2]
    assert document.lines_of([Task("t-1", "x")]) == [0]
    assert document.lines_of([]) == []


def test_problems_are_told_with_the_lines_that_they_come_to_stand_on() -> None:
    after = apply(queue("", "[] t-1: x {prio:1}", "[] u-1: twice"), [SetMark("u-0", PENDING, ACTIVE)])
    lines = after.text.split("\n")
    misspelt, second = lines.index("[] t-1: x {prio:1}") + 1, lines.index("[] u-1: twice") + 1
    assert after.problems == (
        Problem(misspelt, "unknown tag {prio:1}"),
        Problem(second, f"u-1 is on line 5 already: the one on line {second} is ignored"),
    )
    assert_same(after, parse(after.text))


def test_documents_differ_by_what_they_say() -> None:
    assert parse("[] t-1: x\n") != parse("[] t-1: x")
    assert parse("") == Document()
    assert parse("") != ""
    assert "t-1" in parse("[] t-1: x\n").tasks
    assert len(parse("[] t-1: x\n[] t-1: y\n[] z\n").tasks) == 1
