"""What a change does to tasks.md."""

from pathlib import Path

import pytest

from orch.core.actions import AddTask, Archive, Change, SetId, SetMark
from orch.core.model import PENDING, Mark, Status, Task
from orch.core.tasks_md import Document, apply, parse

DATA = Path(__file__).parents[1] / "data" / "tasks-md"
ACTIVE = Mark(Status.ACTIVE, "w-1a2b3c")
COMPLETED = Mark(Status.COMPLETED, "w-1a2b3c", "cbffe52")
FAILED = Mark(Status.FAILED, "w-1a2b3c")


def changed(text: str, *changes: Change) -> str:
    """The text after the changes, which must be in place after them: a second time does nothing."""
    after = apply(parse(text), changes)
    assert after == parse(after.text)
    assert apply(after, changes) is after
    return after.text


def start(name: str = "t-1", *fields: tuple[str, str | None]) -> SetMark:
    return SetMark(name, PENDING, ACTIVE, fields)


SECTIONS = "## Pending\n\n[] t-1: x\n[] t-2: y\n\n## Active\n\n## Failed\n\n[❌] t-3: z\n"


def test_a_started_task_moves_under_its_heading() -> None:
    assert changed(SECTIONS, start("t-1", ("Branch", "orch/t-1"), ("Started", "now"))) == (
        "## Pending\n\n[] t-2: y\n\n## Active\n\n"
        "[🟡 w-1a2b3c] t-1: x\n- Started: now\n- Branch: orch/t-1\n\n## Failed\n\n[❌] t-3: z\n"
    )


def test_to_and_fro_is_the_identity() -> None:
    document = parse(SECTIONS)
    for _ in range(5):
        document = apply(document, [start("t-2", ("Started", "now"))])
        document = apply(document, [SetMark("t-2", ACTIVE, PENDING, (("Started", None),))])
    assert document.text == SECTIONS


@pytest.mark.parametrize(
    "name", ["queue.md", "crlf.md", "bom-mixed.md", "bytes.md", "bare.md", "unclosed.md"]
)
def test_moving_about_reaches_a_fixed_point(name: str) -> None:
    document = parse((DATA / name).read_bytes().decode("utf-8", "surrogateescape"))
    texts = []
    for _ in range(4):
        for task in tuple(document.tasks.values()):
            document = apply(document, [SetMark(task.id, task.mark, ACTIVE, (("Started", "now"),))])
        for task in tuple(document.tasks.values()):
            document = apply(document, [SetMark(task.id, task.mark, COMPLETED, (("Started", None),))])
        texts.append(document.text)
    assert texts[1] == texts[2] == texts[3]


def test_completed_and_archived() -> None:
    text = "# Q\n\n## Pending\n\n[] t-1: x\n\n---\n"
    text = changed(text, SetMark("t-1", PENDING, COMPLETED, (("Completed", "2026-01-01"),)))
    assert text == (
        "# Q\n\n## Pending\n\n---\n\n## Completed Today\n\n"
        "[✅ cbffe52, w-1a2b3c] t-1: x\n- Completed: 2026-01-01\n"
    )
    assert parse(text).stale("2026-01-02") == ("t-1",)
    text = changed(text, Archive("t-1"))
    assert text == (
        "# Q\n\n## Pending\n\n---\n\n## Completed Today\n\n## Completed\n\n"
        "[✅ cbffe52, w-1a2b3c] t-1: x\n- Completed: 2026-01-01\n"
    )
    merged = changed(text, SetMark("t-1", COMPLETED, COMPLETED, (("Merged", "yes"),)))
    assert merged == text + "- Merged: yes\n"


@pytest.mark.parametrize(
    "text",
    [
        "## Completed\n[✅] t-1: x\n",
        "## Pending\n[✅] t-1: x\n",
        "## Completed Today\n[] t-1: x\n",
        "## Completed Today\n[✅] t-2: x\n",
    ],
)
def test_only_what_is_completed_today_is_archived(text: str) -> None:
    assert changed(text, Archive("t-1")) == text


@pytest.mark.parametrize(
    "change",
    [
        SetMark("t-9", PENDING, ACTIVE),
        SetMark("t-1", FAILED, ACTIVE),
        SetMark("t-1", PENDING, PENDING),
        SetMark("t-1", PENDING, PENDING, (("Started", None),)),
        SetMark("t-3", Mark(Status.FAILED), Mark(Status.FAILED)),
        SetId("[] no such line", 3, "t-7"),
        SetId("[] t-1: x", 3, "t-7"),
        AddTask(Task("t-1", "other")),
        Archive("t-1"),
    ],
)
def test_what_does_not_hold_or_is_in_place_changes_nothing(change: Change) -> None:
    document = parse(SECTIONS)
    assert apply(document, [change]) is document


def test_a_mark_that_reads_the_same_is_not_rewritten() -> None:
    text = "## Active\n[🟡 w-1a2b3c, /old/path] t-1: x\n- Started :  now \n"
    assert changed(text, SetMark("t-1", ACTIVE, ACTIVE, (("Started", "now"),))) == text


def test_a_skipped_mark_and_one_by_hand() -> None:
    text = "## Failed\n- [-] t-1: x\n"
    assert changed(text, SetMark("t-1", Mark(Status.SKIPPED), Mark(Status.COMPLETED))) == (
        "## Completed Today\n\n- [✅] t-1: x\n\n## Failed\n"
    )
    assert changed(
        "## Failed\n[x] t-1: x\n", SetMark("t-1", Mark(Status.COMPLETED), Mark(Status.SKIPPED))
    ) == ("## Failed\n[-] t-1: x\n")


def test_a_checkbox_stays_a_checkbox() -> None:
    text = "- [ ] t-1: x\n"
    active = changed(text, start())
    assert active == "- [🟡 w-1a2b3c] t-1: x\n"
    assert changed(active, SetMark("t-1", ACTIVE, PENDING)) == text


# --- orch's own bullets ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "fields", "expected"),
    [
        ("", [("PID", "1"), ("Started", "a")], "- Started: a\n- PID: 1\n"),
        ("- Attempt: 2\n", [("Branch", "b"), ("Reason", "r")], "- Branch: b\n- Attempt: 2\n- Reason: r\n"),
        ("  note\n", [("PID", "1")], "- PID: 1\n  note\n"),
        ("  * note\n", [("PID", "1")], "  * PID: 1\n  * note\n"),
        ("\n  note\n", [("PID", "1")], "- PID: 1\n\n  note\n"),
        ("- a\n- PID: 1\n- b\n", [("PID", "2")], "- a\n- PID: 2\n- b\n"),
        ("\t+ PID:1  \n", [("PID", "2")], "\t+ PID: 2\n"),
        ("- PID: 1\n- PID: 2\n", [("PID", "3")], "- PID: 3\n- PID: 2\n"),
        ("- PID: 1\n- a\n- PID: 2\n", [("PID", None)], "- a\n"),
        ("- Started: a\n- PID: 1\n", [("Started", None), ("PID", None)], ""),
        ("  a\n\n- PID: 1\n", [("PID", None)], "  a\n"),
        ("  a\n\n- PID: 1\nb\n", [("PID", None)], "  a\nb\n"),
        ("  a\n\n- PID: 1\n\n  b\n", [("PID", None)], "  a\n\n\n  b\n"),
        ("\n- PID: 1\n", [("PID", None)], ""),
        ("", [("Reason", "a\nb\r\x00\u2028- PID: 7\x1b[2J")], "- Reason: a b   - PID: 7 [2J\n"),
        ("", [("Reason", "\n[] t-9: forged")], "- Reason: [] t-9: forged\n"),
        ("", [("Reason", "\ud800\udcff")], "- Reason: \ufffd\ufffd\n"),
        ("- Reason: x\n", [("Reason", " ")], "- Reason:\n"),
    ],
)
def test_bullets(body: str, fields: list[tuple[str, str | None]], expected: str) -> None:
    text = changed(f"[] t-1: x\n{body}", SetMark("t-1", PENDING, PENDING, tuple(fields)))
    assert text == f"[] t-1: x\n{expected}"
    assert list(parse(text).tasks) == ["t-1"]


def test_bullets_end_like_their_task() -> None:
    text = changed("[] t-0: y\n[] t-1: x\r\n  note\n", start("t-1", ("PID", "1"), ("Started", "a")))
    assert text == "[] t-0: y\n[🟡 w-1a2b3c] t-1: x\r\n- Started: a\r\n- PID: 1\r\n  note\n"


@pytest.mark.parametrize(("first", "ending"), [("# Q\r\n", "\r\n"), ("# Q\n", "\n"), ("", "\n")])
def test_an_unterminated_line_is_ended_only_where_it_must_be(first: str, ending: str) -> None:
    assert changed(f"{first}[] t-1: x", start()) == f"{first}[🟡 w-1a2b3c] t-1: x"
    assert changed(f"{first}[] t-1: x", start("t-1", ("PID", "1"))) == (
        f"{first}[🟡 w-1a2b3c] t-1: x{ending}- PID: 1{ending}"
    )


def test_a_bullet_that_is_not_orchs_is_refused() -> None:
    for value in ("x", None):
        with pytest.raises(ValueError, match="not one of orch's bullets"):
            apply(parse("[] t-1: x\n"), [SetMark("t-1", PENDING, ACTIVE, (("Status", value),))])


# --- where lines go -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # a bare list: nothing is moved, no heading is made
        ("[] t-1: x\n[] t-2: y\n", "[🟡 w-1a2b3c] t-1: x\n[] t-2: y\n"),
        ("# Mine\n[] t-1: x\n", "# Mine\n[🟡 w-1a2b3c] t-1: x\n"),
        # before a closing rule, after a placeholder
        (
            "## Pending\n[] t-1: x\n---\n## Active (max 3)\n\n<!-- No active tasks -->\n\n---\n",
            "## Pending\n---\n## Active (max 3)\n\n<!-- No active tasks -->\n\n[🟡 w-1a2b3c] t-1: x\n\n---\n",
        ),
        # never directly above a rule
        (
            "## Pending\n[] t-1: x\n## Active\n[🟡] t-2: y\n---\n",
            "## Pending\n## Active\n[🟡] t-2: y\n[🟡 w-1a2b3c] t-1: x\n\n---\n",
        ),
        # blocks with notes, and lists whose tasks stand apart, keep apart
        (
            "## Pending\n[] t-1: x\n## Active\n[🟡] t-2: y\n- PID: 1\n",
            "## Pending\n## Active\n[🟡] t-2: y\n- PID: 1\n\n[🟡 w-1a2b3c] t-1: x\n",
        ),
        (
            "## Pending\n[] t-1: x\n## Active\n[🟡] t-2: y\n\n[🟡] t-3: z\n",
            "## Pending\n## Active\n[🟡] t-2: y\n\n[🟡] t-3: z\n\n[🟡 w-1a2b3c] t-1: x\n",
        ),
        # missing headings: after the nearest one before, at the level of the file
        (
            "# Pending\n[] t-1: x\n## Own part\ntext\n# Notes\n",
            "# Pending\n## Own part\ntext\n\n# Active\n\n[🟡 w-1a2b3c] t-1: x\n\n# Notes\n",
        ),
        (
            "[] t-1: x\n\n### Failed\n",
            "### Active\n\n[🟡 w-1a2b3c] t-1: x\n\n### Failed\n",
        ),
        (
            "## Pending\r\n[] t-1: x",
            "## Pending\r\n\r\n## Active\r\n\r\n[🟡 w-1a2b3c] t-1: x",
        ),
        # under an unknown heading of the person's own
        ("## Active\n## Ideas\n[] t-1: x\n", "## Active\n\n[🟡 w-1a2b3c] t-1: x\n## Ideas\n"),
        # the first of two headings; both count
        (
            "## Active\n## Pending\n[] t-1: x\n## Active\n",
            "## Active\n\n[🟡 w-1a2b3c] t-1: x\n## Pending\n## Active\n",
        ),
        (
            "## Pending\n## Active\n## Active\n[] t-1: x\n",
            "## Pending\n## Active\n## Active\n[🟡 w-1a2b3c] t-1: x\n",
        ),
        # notes go along, a comment and prose after a blank line stay
        (
            "## Pending\n[] t-1: x\n- note\n\n  more\n\nprose\n<!-- c -->\n## Active\n",
            "## Pending\n\nprose\n<!-- c -->\n## Active\n\n[🟡 w-1a2b3c] t-1: x\n- note\n\n  more\n",
        ),
        # a byte-order mark stays first
        ("\ufeff[] t-1: x\n\n## Active\n", "\ufeff## Active\n\n[🟡 w-1a2b3c] t-1: x\n"),
        # a task with a second line stays where it is, or the second one would be the first
        (
            "## Pending\n[] t-1: x\n## Active\n[🟡] t-1: y\n",
            "## Pending\n[🟡 w-1a2b3c] t-1: x\n## Active\n[🟡] t-1: y\n",
        ),
    ],
)
def test_where_a_started_task_goes(text: str, expected: str) -> None:
    assert changed(text, start()) == expected


def test_a_pending_task_stays_under_an_unknown_heading() -> None:
    text = "## Pending\n## Ideas\n[🟡 w-1a2b3c] t-1: x\n"
    assert changed(text, SetMark("t-1", ACTIVE, PENDING, (("PID", "1"),))) == (
        "## Pending\n## Ideas\n[] t-1: x\n- PID: 1\n"
    )


def test_a_pending_task_goes_back_to_pending() -> None:
    text = "## Pending\n\n[] t-2: y\n\n## Failed\n\n[❌ w-1a2b3c] t-1: x\n"
    assert changed(text, SetMark("t-1", FAILED, PENDING)) == (
        "## Pending\n\n[] t-2: y\n[] t-1: x\n\n## Failed\n"
    )


def test_a_move_that_would_change_how_other_lines_read_is_not_made() -> None:
    # The notes of t-1 hold a whole code block; below it a person opened one and never closed it.
    text = "## Pending\n[] t-1: x\n```\ncode\n```\n[] t-2: y\n## Ideas\n```\n[] t-3: z\n## Active\n"
    assert list(parse(text).tasks) == ["t-1", "t-2", "t-3"]
    assert changed(text, start()) == text.replace("[] t-1", "[🟡 w-1a2b3c] t-1")


@pytest.mark.parametrize("opener", ["<!-- not closed", "```"])
def test_an_added_task_ends_nothing_that_a_person_left_open(opener: str) -> None:
    task = Task("t-2", "arrows a --> b", notes="```\ncode\n```\n<!-- hint -->")
    document = apply(parse(f"## Pending\n{opener}\n[] t-1: x\n"), [AddTask(task)])
    assert list(document.tasks) == ["t-1", "t-2"]
    assert "## Pending\n" + opener in document.text
    plain = apply(parse("## Pending\n[] t-1: x\n"), [AddTask(task)]).tasks["t-2"]
    assert (plain.title, plain.notes) == (task.title, task.notes)


def test_a_bullet_ends_no_comment() -> None:
    text = changed("<!-- not closed\n[] t-1: x\n", start("t-1", ("Reason", "a <!-- b --> c")))
    assert text == "<!-- not closed\n[🟡 w-1a2b3c] t-1: x\n- Reason: a &lt;!-- b --&gt; c\n"


@pytest.mark.parametrize("task", [Task("", " "), Task("", "t-1: an id that is taken")])
def test_what_cannot_be_a_task_of_its_own_is_not_added(task: Task) -> None:
    document = parse("[] t-1: x\n")
    assert apply(document, [AddTask(task)]) is document


def test_blank_lines_neither_grow_nor_vanish() -> None:
    text = "\n[] t-1: x\n\n\n## Active\n\n\n\n## Pending\n"
    text = changed(text, start())
    assert text == "## Active\n\n[🟡 w-1a2b3c] t-1: x\n\n\n\n## Pending\n"
    text = changed(text, SetMark("t-1", ACTIVE, PENDING))
    assert text == "## Active\n\n\n\n## Pending\n\n[] t-1: x\n"


# --- ids and new tasks ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[] Bug: crash", "[] t-3: Bug: crash"),
        ("- [ ]  two spaces {p1}", "- [ ]  t-3: two spaces {p1}"),
        ("[]close", "[] t-3: close"),
        ("[x] done", "[x] t-3: done"),
    ],
)
def test_a_line_gets_its_id(line: str, expected: str) -> None:
    assert changed(f"## Pending\r\n{line}\r\n  note", SetId(line, 2, "t-3")) == (
        f"## Pending\r\n{expected}\r\n  note"
    )


def test_of_equal_lines_the_nearest_is_meant() -> None:
    text = "[] same\n[] t-1: x\n[] same\n[] same\n"
    assert changed(text, SetId("[] same", 3, "t-2")) == "[] same\n[] t-1: x\n[] t-2: same\n[] same\n"
    assert changed(text, SetId("[] same", 9, "t-2"), SetId("[] same", 0, "t-3")) == (
        "[] t-3: same\n[] t-1: x\n[] same\n[] t-2: same\n"
    )


def test_a_new_id_can_be_used_at_once() -> None:
    text = changed("## Pending\n[] x\n## Active\n", SetId("[] x", 2, "t-1"), start())
    assert text == "## Pending\n## Active\n\n[🟡 w-1a2b3c] t-1: x\n"


@pytest.mark.parametrize("change", [SetId("[] x", 1, "x"), AddTask(Task("../x-1", "y"))])
def test_an_id_that_is_none_is_refused(change: Change) -> None:
    with pytest.raises(ValueError, match="not a task id"):
        apply(parse("[] x\n"), [change])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "## Pending\n\n[] t-5: new\n"),
        ("\ufeff", "\ufeff## Pending\n\n[] t-5: new\n"),
        ("\n\n", "\n\n## Pending\n\n[] t-5: new\n"),
        ("## Pending", "## Pending\n\n[] t-5: new\n"),
        ("## Pending\n\n[] t-1: x\n\n## Active\n", "## Pending\n\n[] t-1: x\n[] t-5: new\n\n## Active\n"),
        ("## Pending\n\n[] t-1: x\n\n[] t-2: x", "## Pending\n\n[] t-1: x\n\n[] t-2: x\n\n[] t-5: new\n"),
        ("# Q\n\n## Active\n", "# Q\n\n## Pending\n\n[] t-5: new\n\n## Active\n"),
        ("[] t-1: x\r\n\r\ntext\r\n", "[] t-1: x\r\n[] t-5: new\r\n\r\ntext\r\n"),
        ("* [ ] t-1: x", "* [ ] t-1: x\n* [ ] t-5: new\n"),
        ("# Only words\n", "# Only words\n\n[] t-5: new\n"),
    ],
)
def test_a_task_is_added(text: str, expected: str) -> None:
    assert changed(text, AddTask(Task("t-5", "new"))) == expected


def test_a_file_that_is_not_there_yet_is_begun() -> None:
    assert apply(Document(), [AddTask(Task("t-5", "new"))]).text == "## Pending\n\n[] t-5: new\n"


def test_a_task_without_an_id_is_added_each_time() -> None:
    document = apply(parse(""), [AddTask(Task("", "new")), AddTask(Task("", "new"))])
    assert [task.title for task in document.unnamed] == ["new", "new"]


def test_everything_of_a_new_task_is_written() -> None:
    task = Task("gh-5", "new", ACTIVE, 1, ("gh-1",), "codex", "opus", 2.5, "a\n\n  b\x00c\n\n", {"PID": "1"})
    text = changed("", AddTask(task))
    assert text == (
        "## Pending\n\n[] gh-5: new {p1, after:gh-1, agent:codex, model:opus, budget:2.50}\n  a\n\n    b c\n"
    )
    read = parse(text).tasks["gh-5"]
    assert read.notes == "a\n\n  b c"
    assert (read.mark, read.fields) == (PENDING, {})


def test_notes_of_a_stranger_forge_nothing() -> None:
    notes = "[] t-9: forged\n- PID: 666\n## Active\n```\n<!--\n---\n\u2028- Branch: x\r- Saved: y"
    text = changed(
        "## Pending\n\n[] t-1: x\n\n## Active\n",
        AddTask(Task("t-2", "y", notes=notes)),
        AddTask(Task("t-3", "z")),
    )
    document = parse(text)
    assert list(document.tasks) == ["t-1", "t-2", "t-3"]
    assert document.tasks["t-2"].fields == {}
    assert "\\- PID: 666" in document.tasks["t-2"].notes
    assert document.problems == ()


def test_many_changes_at_once() -> None:
    changes = [AddTask(Task(f"t-{number}", f"new {number}")) for number in range(1, 6)]
    document = apply(parse(""), [*changes, *changes, start("t-2"), start("t-4", ("PID", "1"))])
    assert document.text == (
        "## Pending\n\n[] t-1: new 1\n[🟡 w-1a2b3c] t-2: new 2\n[] t-3: new 3\n"
        "[🟡 w-1a2b3c] t-4: new 4\n- PID: 1\n[] t-5: new 5\n"
    )
