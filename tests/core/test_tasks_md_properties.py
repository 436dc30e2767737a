"""What holds for any file and any change."""

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orch.core.actions import AddTask, Archive, Change, SetId, SetMark
from orch.core.model import FIELDS, Mark, Status, Task
from orch.core.tasks_md import Document, apply, merge, parse
from orch.core.tasks_md.grammar import FIELD, LINE, section_name

ROOT = Path(__file__).parents[2]
OURS = sorted((ROOT / "tests" / "data" / "tasks-md").glob("*.md"))
CORPUS = sorted((ROOT.parent / "shared" / "corpus" / "tasks-md").glob("*.md"))

MARKS = st.sampled_from(
    [
        Mark(),
        Mark(Status.ACTIVE, "w-1a2b3c"),
        Mark(Status.COMPLETED, "w-1a2b3c", "cbffe52"),
        Mark(Status.COMPLETED),
        Mark(Status.FAILED, "w-0a0b0c"),
        Mark(Status.BLOCKED, "w-0a0b0c"),
        Mark(Status.SKIPPED),
    ]
)
BRACKETS = [
    "[]",
    "[ ]",
    "[x]",
    "[-]",
    "[🟡 w-1a2b3c, None]",
    "[✅ cbffe52]",
    "[❌️]",
    "[⏰ w-1a2b3c]",
    "[?]",
    "[1]",
]
TASK_LINES = st.builds(
    "{}{} {}{}".format,
    st.sampled_from(["", "", "- ", "* "]),
    st.sampled_from(BRACKETS),
    st.sampled_from(["", "t-1: ", "t-2: ", "t-3: ", "t-4: "]),
    st.sampled_from(["x", "y {p1}", "z {prio:1}", "a --> b", "c <!-- d", "{}", ""]),
)
OTHER_LINES = st.sampled_from(
    [
        *(
            "",
            "",
            "  ",
            "\t",
            "# Pending",
            "## Active (max 3)",
            "## Completed Today",
            "### Failed",
            "## Ideas",
        ),
        *("---", "* * *", "```", "```python", "~~~", "  ```", "<!-- c -->", "<!--", "-->", "  <!--", "  -->"),
        *(
            "prose",
            "more <!-- prose",
            "  indented",
            "- bullet",
            "  - nested",
            "\x0c",
            "a\u2028b",
            "lone\rreturn",
        ),
        *(
            "- Started: now",
            "  - PID: 7",
            "- Reason: r",
            "* Attempt : 2",
            "- Commits: 1",
            "\udcff\udcfe",
            "\x00",
        ),
    ]
)
ENDINGS = st.sampled_from(["\n", "\n", "\n", "\r\n"])
LINES = st.tuples(st.one_of(TASK_LINES, OTHER_LINES, OTHER_LINES), ENDINGS).map("".join)
FILES = st.builds(
    lambda bom, lines, last: bom + "".join(lines) + last,
    st.sampled_from(["", "", "\ufeff"]),
    st.lists(LINES, max_size=25),
    st.one_of(st.just(""), TASK_LINES, OTHER_LINES),
)
VALUES = st.one_of(st.none(), st.sampled_from(["v", "now", "a\nb", "[] t-9: forged", "```", "--> <!--", ""]))
FIELD_CHANGES = st.lists(
    st.tuples(st.sampled_from(FIELDS), VALUES), max_size=4, unique_by=lambda pair: pair[0]
)
NAMES = st.sampled_from(["t-1", "t-2", "t-3", "t-4", "t-5"])
NOTES = st.sampled_from(
    ["", "a note", "two\n\n  lines", "- PID: 9", "```\n[] t-9: x", "<!-- hint -->\n---\n# h"]
)


@st.composite
def changes_to(draw: st.DrawFn, document: Document) -> Change:
    """A change that mostly holds."""
    kind = draw(st.sampled_from(["mark", "mark", "mark", "id", "add", "archive"]))
    if kind == "mark" and document.tasks:
        task = draw(st.sampled_from(list(document.tasks.values())))
        was = draw(st.one_of(st.just(task.mark), MARKS))
        return SetMark(task.id, was, draw(MARKS), tuple(draw(FIELD_CHANGES)))
    if kind == "id" and document.unnamed:
        task = draw(st.sampled_from(document.unnamed))
        return SetId(task.text, document.lines_of([task])[0] + draw(st.integers(-2, 2)), draw(NAMES))
    if kind == "archive":
        return Archive(draw(NAMES))
    title = draw(st.sampled_from(["new", "new {p1}", "new --> arrow", "new {x:"]))
    return AddTask(Task(draw(NAMES), title, priority=draw(st.integers(0, 9)), notes=draw(NOTES)))


def human_lines(text: str) -> Counter[str]:
    """Every line that orch may not touch, without its ending."""
    kept: Counter[str] = Counter()
    for line in text.removeprefix("\ufeff").split("\n"):
        bare = line.removesuffix("\r")
        match = LINE.match(bare)
        kind = match.lastgroup if match else "prose"
        if kind not in ("blank", "task") and not FIELD.match(bare) and not section_name(bare.strip("#")):
            kept[bare] += 1
    return kept


def task_titles(text: str) -> Counter[str]:
    """The rest of every task line, wherever it stands and whatever its mark and id are."""
    found = (
        re.match(r"(?:[-*+][ \t]+)?\[[^\]\n]*\](.*)", line)
        for line in text.removeprefix("\ufeff").split("\n")
    )
    return Counter(re.sub(r"^\s*(t-\d+:\s*)?", "", match[1].rstrip()) for match in found if match)


def essence(task: Task) -> Task:
    """All of a task but where it stands."""
    return task.evolve(terminated=True)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_kept(text: str) -> None:
    document = parse(text)
    assert document.text == text
    assert apply(document, []) is document


@settings(deadline=None)
@given(FILES)
def test_any_queue_is_kept_and_every_task_is_on_its_line(text: str) -> None:
    document = parse(text)
    assert document.text == text
    lines = text.removeprefix("\ufeff").split("\n")
    tasks = (*document.tasks.values(), *document.unnamed)
    for task, line in zip(tasks, document.lines_of(tasks), strict=True):
        assert lines[line - 1].removesuffix("\r") == task.text
        assert type(task.title) is str
    assert all(1 <= problem.line <= len(lines) for problem in document.problems)


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_are_kept(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    assert parse(text).text.encode("utf-8", "surrogateescape") == data


@settings(deadline=None)
@given(st.data(), FILES)
def test_a_change_touches_only_its_own_task(data: st.DataObject, text: str) -> None:
    before = parse(text)
    change = data.draw(changes_to(before))
    after = apply(before, [change])
    assert parse(after.text) == after
    assert apply(after, [change]).text == after.text
    assert human_lines(text) - human_lines(after.text) == Counter()
    assert task_titles(text) - task_titles(after.text) == Counter()
    touched = change.task if isinstance(change, SetMark | Archive) else ""
    for name, task in before.tasks.items():
        if name != touched:
            assert essence(after.tasks[name]) == essence(task)
    match change:
        case SetMark():
            old, new = before.tasks[touched], after.tasks[touched]
            assert (new.title, new.after, new.priority) == (old.title, old.after, old.priority)
            if change.was == old.mark:
                assert new.mark == change.mark
                named = {name: value for name, value in change.fields if value is not None}
                assert set(named) <= set(new.fields)
                assert not {name for name, value in change.fields if value is None} & set(new.fields)
                others = {
                    name: value for name, value in old.fields.items() if name not in dict(change.fields)
                }
                assert others.items() <= new.fields.items()
                assert re.sub(r"\n+", "\n", new.notes) == re.sub(r"\n+", "\n", old.notes)
            else:
                assert after is before
            assert human_lines(after.text) == human_lines(text)
            assert [essence(task) for task in after.unnamed] == [essence(task) for task in before.unnamed]
        case SetId():
            if change.id in before.tasks:
                assert after is before
            else:
                assert (
                    after.tasks[change.id].text.endswith(after.tasks[change.id].title) or "{" in change.text
                )
                assert len(after.unnamed) == len(before.unnamed) - 1
        case AddTask(task):
            if task.id not in before.tasks:
                added = after.tasks[task.id]
                assert (added.mark, added.priority, added.fields) == (Mark(), task.priority, {})
            assert after.unnamed == before.unnamed or len(after.unnamed) == len(before.unnamed)
        case Archive():
            assert human_lines(after.text) == human_lines(text)


@settings(deadline=None)
@given(st.data(), FILES)
def test_many_changes_lose_no_line(data: st.DataObject, text: str) -> None:
    document = parse(text)
    for _ in range(data.draw(st.integers(1, 8))):
        document = apply(
            document, [data.draw(changes_to(document)) for _ in range(data.draw(st.integers(1, 3)))]
        )
    assert parse(document.text) == document
    assert human_lines(text) - human_lines(document.text) == Counter()
    assert task_titles(text) - task_titles(document.text) == Counter()
    assert set(parse(text).tasks) <= set(document.tasks)


@settings(deadline=None)
@given(st.data(), FILES)
def test_blank_lines_do_not_pile_up(data: st.DataObject, text: str) -> None:
    document = parse(text)
    if not document.tasks:
        return
    name = data.draw(st.sampled_from(list(document.tasks)))
    there, back = data.draw(MARKS), data.draw(MARKS)
    seen = []
    for _ in range(4):
        for mark in (there, back):
            document = apply(document, [SetMark(name, document.tasks[name].mark, mark)])
        seen.append(document.text)
    assert seen[1] == seen[2] == seen[3]


@settings(deadline=None)
@given(FILES, FILES, FILES)
def test_a_merge_loses_nothing_that_was_typed(base: str, ours: str, theirs: str) -> None:
    merged = merge(base, ours, theirs)
    typed = (human_lines(ours) - human_lines(base)) | (human_lines(theirs) - human_lines(base))
    assert typed - human_lines(merged) == Counter()


@settings(deadline=None)
@given(FILES, FILES)
def test_a_merge_with_one_side_unchanged_is_the_other_side(base: str, other: str) -> None:
    assert merge(base, other, base) == other
    assert parse(merge(base, base, other)).tasks.keys() == parse(other).tasks.keys()


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_our_files_are_kept(path: Path) -> None:
    check_file(path)


@pytest.mark.skipif(not CORPUS, reason="the corpus of real files is not here")
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_real_files_are_kept(path: Path) -> None:
    check_file(path)


def check_file(path: Path) -> None:
    data = path.read_bytes()
    document = parse(data.decode("utf-8", "surrogateescape"))
    assert document.text.encode("utf-8", "surrogateescape") == data
    titles = task_titles(document.text)
    for task in tuple(document.tasks.values()):
        active = Mark(Status.ACTIVE, "w-1a2b3c")
        document = apply(document, [SetMark(task.id, task.mark, active, (("Started", "now"),))])
        assert document.tasks[task.id].mark == active
        assert document.tasks[task.id].fields["Started"] == "now"
    assert human_lines(document.text) == human_lines(data.decode("utf-8", "surrogateescape"))
    assert task_titles(document.text) == titles
