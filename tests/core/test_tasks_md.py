"""What a line of tasks.md means."""

from pathlib import Path

import pytest

from orch.core.model import FIELDS, PENDING, Mark, Problem, Status, Task
from orch.core.tasks_md import parse, render_mark, task_line
from orch.core.tasks_md.grammar import match_task, section_name
from orch.core.tasks_md.written import read_task

DATA = Path(__file__).parents[1] / "data" / "tasks-md"


def only(text: str) -> Task:
    document = parse(text)
    (task,) = (*document.tasks.values(), *document.unnamed)
    return task


def load(name: str) -> str:
    return (DATA / name).read_bytes().decode("utf-8", "surrogateescape")


MARKS = [
    ("[]", PENDING),
    ("[ ]", PENDING),
    ("[\t ]", PENDING),
    ("[\u00a0]", PENDING),
    ("[x]", Mark(Status.COMPLETED)),
    ("[ X ]", Mark(Status.COMPLETED)),
    ("[-]", Mark(Status.SKIPPED)),
    ("[🟡 w-1a2b3c]", Mark(Status.ACTIVE, "w-1a2b3c")),
    ("[🟡]", Mark(Status.ACTIVE)),
    ("[🟡\ufe0f w-1a2b3c]", Mark(Status.ACTIVE, "w-1a2b3c")),
    ("[ 🟡   w-1a2b3c ]", Mark(Status.ACTIVE, "w-1a2b3c")),
    ("[🟡w-1a2b3c]", Mark(Status.ACTIVE, "w-1a2b3c")),
    ("[🟡, w-1a2b3c ]", Mark(Status.ACTIVE, "w-1a2b3c")),
    ("[🟡 w-899e35, /abs/path/trees/gh-504]", Mark(Status.ACTIVE, "w-899e35")),
    ("[🟡 w-154660, None]", Mark(Status.ACTIVE, "w-154660")),
    ("[🟡 cbffe52, w-154660]", Mark(Status.ACTIVE, "w-154660")),
    ("[✅ cbffe52, w-1a2b3c]", Mark(Status.COMPLETED, "w-1a2b3c", "cbffe52")),
    ("[✅ w-1a2b3c]", Mark(Status.COMPLETED, "w-1a2b3c")),
    ("[✅]", Mark(Status.COMPLETED)),
    ("[❌ w-1a2b3c]", Mark(Status.FAILED, "w-1a2b3c")),
    ("[❌\ufe0e]", Mark(Status.FAILED)),
    ("[⏰ w-1a2b3c]", Mark(Status.BLOCKED, "w-1a2b3c")),
]


@pytest.mark.parametrize("bullet", ["", "- ", "* ", "+\t"])
@pytest.mark.parametrize(("bracket", "mark"), MARKS)
def test_marks_are_read(bullet: str, bracket: str, mark: Mark) -> None:
    task = only(f"{bullet}{bracket} gh-1: title\n")
    assert (task.id, task.title, task.mark) == ("gh-1", "title", mark)


@pytest.mark.parametrize("mark", [mark for _, mark in MARKS])
def test_a_written_mark_is_read_as_the_same(mark: Mark) -> None:
    assert only(f"{render_mark(mark)} t-1: x").mark == mark


@pytest.mark.parametrize(
    ("mark", "bracket"),
    [
        (Mark(), "[]"),
        (Mark(Status.SKIPPED), "[-]"),
        (Mark(Status.ACTIVE, "w-1a2b3c"), "[🟡 w-1a2b3c]"),
        (Mark(Status.COMPLETED, "w-1a2b3c", "cbffe52"), "[✅ cbffe52, w-1a2b3c]"),
        (Mark(Status.COMPLETED), "[✅]"),
        (Mark(Status.FAILED, "w-1a2b3c", "cbffe52"), "[❌ w-1a2b3c]"),
    ],
)
def test_marks_are_written(mark: Mark, bracket: str) -> None:
    assert render_mark(mark) == bracket


@pytest.mark.parametrize(
    ("line", "name", "title"),
    [
        ("[] gh-471: x", "gh-471", "x"),
        ("[] gh-471:x", "gh-471", "x"),
        ("[]gh-471 : x", "gh-471", "x"),
        ("[] Bug: crash", "", "Bug: crash"),
        ("[] #471: x", "", "#471: x"),
        ("[] gh-471", "", "gh-471"),
        ("[] 2-1: x", "", "2-1: x"),
        ("[] gh-471: t-3: x", "gh-471", "t-3: x"),
        ("[] a/b-1: x", "", "a/b-1: x"),
        ("[] gh-471: \u2028 x \x0c", "gh-471", "x"),
        ("[] fix the <!-- parser", "", "fix the <!-- parser"),
        ("[] [bug] crash", "", "[bug] crash"),
    ],
)
def test_ids_and_titles(line: str, name: str, title: str) -> None:
    task = only(line)
    assert (task.id, task.title, task.text) == (name, title, line)


@pytest.mark.parametrize(
    "line",
    [
        "[text](url)",
        "[x](url)",
        "[x]: url",
        "[](url)",
        "[][x]",
        "[1] footnote",
        "- [link](url)",
        "[^1]: note",
        " [] indented",
        "\t[] indented",
        "> [] quoted",
        "1. [ ] numbered",
        "-[ ] no space",
        "[",
        "[x",
    ],
)
def test_what_is_no_task(line: str) -> None:
    document = parse(f"{line}\n")
    assert (dict(document.tasks), document.unnamed, document.problems) == ({}, (), ())


TAGS = [
    ("t {p1}", {"priority": 1}),
    ("t {P0}", {"priority": 0}),
    ("t{p1}", {"priority": 1}),
    ("t {p1, after:gh-470, after:t-1}", {"priority": 1, "after": ("gh-470", "t-1")}),
    ("t {after:gh-1 gh-2, p3}", {"priority": 3, "after": ("gh-1", "gh-2")}),
    ("t {after: gh-1, gh-2}", {"after": ("gh-1", "gh-2")}),
    ("t {after:gh-1, after:gh-1}", {"after": ("gh-1",)}),
    ("t {after:471, after:#472}", {"after": ("471", "472")}),
    ("t {agent:codex, model:a/b:c, budget:2.50}", {"agent": "codex", "model": "a/b:c", "budget": 2.5}),
    ("t {agent: codex} {budget:$3}", {"agent": "codex", "budget": 3.0}),
    ("t {p1} {p4}", {"priority": 4}),
    ("t {p1}   ", {"priority": 1}),
]


@pytest.mark.parametrize(("text", "fields"), TAGS)
def test_tags_are_read(text: str, fields: dict[str, object]) -> None:
    document = parse(f"[] gh-1: {text}\n")
    expected = Task("gh-1", "t", text=f"[] gh-1: {text}")
    assert document.tasks["gh-1"] == expected.evolve(**fields)
    assert document.problems == ()


@pytest.mark.parametrize(
    "title",
    [
        "fix {foo} rendering",
        "fix {}",
        "fix {foo}",
        "fix {foo, bar}",
        "print ${p1}",
        "see `{p1}`",
        "a }",
        "a {b} c}",
        "{a{p1",
        "a {see: this}",
        "a {https://x.invalid}",
        "a {b {p}",
    ],
)
def test_braces_that_are_no_tags_stay_title(title: str) -> None:
    document = parse(f"[] gh-1: {title}")
    assert (document.tasks["gh-1"].title, document.problems) == (title, ())


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ("{p99}", "priority {p99} is not one of p0 to p9"),
        ("{p1, budget:abc}", "{budget:abc} is not an amount of US dollars such as 2.50"),
        ("{prio:1}", "unknown tag {prio:1}"),
        ("{p1, urgent}", "unknown tag {urgent}"),
        ("{agent:}", "tag {agent:} has no value"),
        ("{after:}", "tag {after:} has no value"),
        ("{after:, p1}", "tag {after:} has no value"),
        ("{agent:a b}", "unknown tag {b}"),
    ],
)
def test_bad_tags_are_reported_and_kept(tags: str, message: str) -> None:
    text = f"\n[] gh-1: t {tags}\n"
    document = parse(text)
    assert document.problems == (Problem(2, message),)
    assert document.text == text
    assert document.tasks["gh-1"].title == "t"


@pytest.mark.parametrize(
    ("heading", "section"),
    [
        ("Pending", "Pending"),
        ("ACTIVE (max 3)", "Active"),
        ("🟡 Active", "Active"),
        ("✅ completed   today (2)", "Completed Today"),
        ("Completed:", "Completed"),
        ("**Failed**", "Failed"),
        ("Blocked ##", "Blocked"),
        ("Completed Yesterday", ""),
        ("Pending ideas", ""),
        ("(Pending)", ""),
        ("", ""),
    ],
)
def test_headings(heading: str, section: str) -> None:
    assert section_name(heading) == section


def test_notes_and_fields() -> None:
    text = (
        "[🟡 w-1a2b3c] t-1: x\n"
        "directly under it\n"
        "- Started: now \n"
        "- a bullet\n"
        "\n"
        "  - Branch: orch/t-1-x\n"
        "  - Branch: a second one\n"
        "  indented  \n"
        "\n"
        "- Retry at : later\n"
        "* Commits: 1, 2\n"
        "\n"
        "prose\n"
    )
    task = only(text)
    assert task.fields == {"Started": "now", "Branch": "orch/t-1-x", "Retry at": "later"}
    assert task.notes == "directly under it\n- a bullet\n\n  indented\n\n* Commits: 1, 2"


@pytest.mark.parametrize(
    ("below", "notes"),
    [
        ("  a\n    b\n\n  c\n", "a\n  b\n\nc"),
        ("\n\n  a\n", "a"),
        ("\ta\n", "a"),
        ("```\n[] t-2: code\n\n# no heading\n```\nmore\n", "```\n[] t-2: code\n\n# no heading\n```\nmore"),
        ("  ```\n  code\n\n- b\n", "  ```\n  code\n\n- b"),
        ("- [link](x)\n- [?] odd\n", "- [link](x)\n- [?] odd"),
        ("\n[1] a footnote\n", ""),
        ("[1] a footnote\n", "[1] a footnote"),
        ("\n```\ncode\n```\n  indented\n", ""),
        ("<!-- a comment -->\n  indented\n", ""),
        ("---\n  indented\n", ""),
        ("# Other\n  indented\n", ""),
        ("#hash\n", "#hash"),
        ("\x0c\n", "\x0c"),
        ("see <!-- this\n[] t-2: hidden\n--> end\nmore\n", "see <!-- this\n[] t-2: hidden\n--> end\nmore"),
    ],
)
def test_where_notes_end(below: str, notes: str) -> None:
    document = parse(f"[] t-1: x\n{below}")
    assert document.tasks["t-1"].notes == notes
    assert list(document.tasks) == ["t-1"]


def test_an_indented_fence_hides_no_other_task() -> None:
    document = parse("[] t-1: x\n  ```\n  <!--\n[] t-2: y\n  ```\n[] t-3: z\n  -->\n")
    assert list(document.tasks) == ["t-1", "t-2", "t-3"]
    assert document.problems == ()


@pytest.mark.parametrize(
    "hidden",
    [
        "```\n[] t-2: x\n```\n",
        "```python\n[] t-2: x\n````\n",
        "~~~ a `b`\n[] t-2: x\n```\n~~~\n",
        "````\n[] t-2: x\n```\n[] t-2: y\n````  \n",
        "  ```\n[] t-2: x\n    ```\n[] t-2: x\n   ```\r\n",
        "<!-- [] t-2: x -->\n",
        "<!--\n[] t-2: x\n-->\n",
        "<!--\n[] t-2: x\n--> <!-- and\n[] t-2: x\n-->\n",
        "prose <!-- that\n[] t-2: x\ngoes on -->\n",
    ],
)
def test_code_and_comments_are_never_tasks(hidden: str) -> None:
    document = parse(f"{hidden}[] t-1: after\n")
    assert list(document.tasks) == ["t-1"]
    assert document.problems == ()


@pytest.mark.parametrize(
    ("opener", "message"),
    [
        (
            "```",
            "the code block opened by ``` is never closed, so the lines below it are read as usual: add ```",
        ),
        (
            "~~~~ x",
            (
                "the code block opened by ~~~~ is never closed, "
                "so the lines below it are read as usual: add ~~~~"
            ),
        ),
        (
            "<!-- x",
            "the comment opened by <!-- is never closed, so the lines below it are read as usual: add -->",
        ),
    ],
)
def test_what_is_never_closed_hides_nothing(opener: str, message: str) -> None:
    document = parse(f"{opener}\n[] t-1: x\n{opener}\n[] t-2: x\n")
    assert list(document.tasks) == ["t-1", "t-2"] if "```" not in opener else ["t-2"]
    single = parse(f"{opener}\n[] t-1: x\n")
    assert list(single.tasks) == ["t-1"]
    assert single.problems == (Problem(1, message),)


def test_openers_without_end_are_each_reported() -> None:
    document = parse("<!-- a\n\n<!-- b\n\n~~~ x\n\n~~~~ y\n\n~~~ z\n[] t-1: x\n")
    assert [problem.line for problem in document.problems] == [1, 3, 5, 7, 9]
    assert list(document.tasks) == ["t-1"]


def test_a_comment_that_ends_early_is_reported() -> None:
    document = parse("<!--\n[] t-1: x\n<!-- No tasks -->\n[] t-2: y\n")
    assert list(document.tasks) == ["t-2"]
    assert document.problems == (Problem(1, "this comment holds another one: nothing up to line 3 is read"),)


def test_backticks_in_prose_open_no_comment() -> None:
    document = parse("write `<!--` to comment\n[] t-1: x\n")
    assert list(document.tasks) == ["t-1"]
    assert document.problems == ()


def test_the_first_line_of_an_id_counts() -> None:
    document = parse("[] t-1: first\n\n[❌] t-1: second\n[] t-1: third\n")
    assert [task.title for task in document.tasks.values()] == ["first"]
    assert document.problems == (
        Problem(3, "t-1 is on line 1 already: the one on line 3 is ignored"),
        Problem(4, "t-1 is on line 1 already: the one on line 4 is ignored"),
    )


def test_a_task_needs_a_title() -> None:
    document = parse("[]\n[ ] {p1}\n[🟡] t-1:\n")
    assert document.unnamed == ()
    assert document.tasks["t-1"].title == ""
    assert document.problems == tuple(Problem(line, "this task has no title") for line in (1, 2, 3))


@pytest.mark.parametrize("line", ["[?] x", "- [!] x", "[🔵 w-1a2b3c] x", "[☎️] x"])
def test_a_mark_that_nobody_knows_is_reported(line: str) -> None:
    document = parse(f"\n{line}\n")
    assert document.problems == (
        Problem(2, f"the mark {line[: line.index(']') + 1]} is not one that orch knows"),
    )
    assert document.unnamed == ()


@pytest.mark.parametrize(
    ("text", "terminated"),
    [("[] t-1: x", False), ("[] t-1: x\r", False), ("[] t-1: x\n", True), ("[] t-1: x\n  typing", False)],
)
def test_a_last_line_without_an_ending(text: str, terminated: bool) -> None:
    assert only(text).terminated is terminated


def test_lines_end_at_line_feeds_only() -> None:
    document = parse("\ufeff[] t-1: a\u2028[] t-2: b\x85[] t-3: c\x0b\r[] t-4: d\r\n[] t-5: e\n")
    assert document.lines_of([document.tasks["t-1"], document.tasks["t-5"]]) == [1, 2]
    assert document.tasks["t-1"].text.endswith("t-4: d")


def test_stale() -> None:
    text = (
        "## Completed Today\n"
        "[✅] t-1: old\n- Completed: 2026-01-01 23:59\n"
        "[✅] t-2: new\n- Completed: 2026-01-02 00:00\n"
        "[✅] t-3: no day\n- Completed: yesterday\n"
        "[✅] t-4: none\n"
        "[] t-5: not done\n- Completed: 2026-01-01\n"
        "[✅] no id\n- Completed: 2026-01-01\n"
        "[✅] t-1: second\n- Completed: 2026-01-01\n"
        "## Completed\n"
        "[✅] t-6: there already\n- Completed: 2026-01-01\n"
    )
    assert parse(text).stale("2026-01-02") == ("t-1",)


def test_our_queue() -> None:
    document = parse(load("queue.md"))
    assert list(document.tasks) == [
        *("gh-10", "gh-11", "gh-12", "gh-13", "gh-14", "gh-15", "gh-16", "gh-17", "gh-18", "gh-19"),
        *("gh-20", "gh-21", "gh-22", "gh-30", "gh-40", "gh-41", "gh-42", "gh-43", "gh-44"),
        *("gh-50", "gh-51", "gh-52", "gh-53", "gh-54", "gh-60", "gh-61", "gh-70", "gh-90"),
    ]
    assert [task.title for task in document.unnamed] == [
        "Without an id",
        "Bug: crash on start",
        "#471: a number is no id",
    ]
    lines = load("queue.md").split("\n")
    assert [(lines[problem.line - 1], problem.message[:24]) for problem in document.problems] == [
        ("[] gh-19: Misspelt {prio:1}", "unknown tag {prio:1}"),
        ("[] gh-20: Out of range {p99, budget:abc}", "priority {p99} is not on"),
        ("[] gh-20: Out of range {p99, budget:abc}", "{budget:abc} is not an a"),
        ("[⏰ w-154664] gh-10: Already pending above", "gh-10 is on line 13 alre"),
        ("[?] a mark nobody knows", "the mark [?] is not one "),
    ]
    assert document.tasks["gh-30"].notes == "with a note\n\nand another after a blank line"
    assert document.tasks["gh-50"].notes == "- Commits: 609bec9, 17f295b\n- Status: Ready for review"
    assert document.tasks["gh-90"].notes == "[] gh-91: indented, so it is a note"
    assert document.tasks["gh-40"].mark == Mark(Status.ACTIVE, "w-899e35")


def test_our_queue_reads_the_same_with_other_line_endings() -> None:
    plain, windows = parse(load("queue.md")), parse(load("crlf.md"))
    assert windows.tasks == plain.tasks
    assert windows.problems == plain.problems


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("bom-mixed.md", ["t-1", "t-2", "t-3", "t-4"]),
        ("bytes.md", ["t-1", "t-2", "t-3", "t-4"]),
        ("bare.md", ["t-1", "t-2"]),
        ("empty.md", []),
        ("unclosed.md", ["t-1", "t-2"]),
    ],
)
def test_our_odd_files(name: str, ids: list[str]) -> None:
    document = parse(load(name))
    assert list(document.tasks) == ids
    assert document.text.encode("utf-8", "surrogateescape") == (DATA / name).read_bytes()


@pytest.mark.parametrize(
    ("task", "line"),
    [
        (Task("t-1", "x"), "[] t-1: x"),
        (Task("", "x", priority=0), "[] x {p0}"),
        (
            Task("t-1", "x", priority=1, after=("gh-1", "t-2"), agent="codex", model="opus", budget=2.5),
            "[] t-1: x {p1, after:gh-1, after:t-2, agent:codex, model:opus, budget:2.50}",
        ),
        (Task("t-1", " a\nb\r\u2028c\x00\ud800 "), "[] t-1: a b  c \ufffd"),
        (Task("t-1", "x {p0} {agent:evil}"), "[] t-1: x {p0} (agent:evil)"),
        (Task("t-1", "x {}", agent="a, p0}"), "[] t-1: x {} {agent:ap0}"),
    ],
)
def test_lines_are_written(task: Task, line: str) -> None:
    assert task_line(task) == line
    assert "\n" not in line


def test_a_written_line_reads_back() -> None:
    task = Task("t-1", "x (y)", priority=7, after=("a-1",), agent="b", model="c", budget=1.25)
    line = task_line(task)
    assert only(line) == task.evolve(text=line, terminated=False)


def test_only_task_lines_are_taken_apart() -> None:
    with pytest.raises(ValueError, match="not a task line"):
        match_task("prose")
    with pytest.raises(ValueError, match="not a task line"):
        read_task([" [] indented\n"], b" [] indented\n")


def test_fields_are_all_read() -> None:
    text = "[] t-1: x\n" + "".join(f"- {name}: v\n" for name in FIELDS)
    assert only(text).fields == dict.fromkeys(FIELDS, "v")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[] t-1: a\r[] t-2: b\r", 1, "CR alone"),
        ("[] t-1: a\n\udcff\udcfe\n", 2, "not text in UTF-8"),
        ("[] t-1: a\n\n\0\n", 3, "not text in UTF-8"),
    ],
)
def test_what_is_no_text_is_said(text: str, line: int, message: str) -> None:
    document = parse(text)
    assert document.text == text
    (problem,) = (each for each in document.problems if message in each.message)
    assert problem.line == line
