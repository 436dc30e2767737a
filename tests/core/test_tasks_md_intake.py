"""How the line of an issue follows it, and leaves."""

import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orch.core.actions import AddTask, Drop, Reword, SetMark
from orch.core.model import PENDING, Mark, Status, Task
from orch.core.tasks_md import apply, parse, plain_title
from tests.core.test_tasks_md_edit import changed
from tests.core.test_tasks_md_properties import FILES, essence, human_lines

LINE = "[] gh-7: Fix it"
WORDS = Reword("gh-7", LINE, "Mend it", 1, ("gh-3", "gh-4"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[] gh-7: Fix it\n", "[] gh-7: Mend it {p1, after:gh-3, after:gh-4}\n"),
        ("[] gh-7: Fix it", "[] gh-7: Mend it {p1, after:gh-3, after:gh-4}"),
        (
            "[] gh-7: Fix it\r\n- Attempt: 1\r\n",
            "[] gh-7: Mend it {p1, after:gh-3, after:gh-4}\r\n- Attempt: 1\r\n",
        ),
        ("[] gh-7: Fix it\n  my note\n", "[] gh-7: Mend it {p1, after:gh-3, after:gh-4}\n  my note\n"),
    ],
)
def test_a_line_gets_other_words(text: str, expected: str) -> None:
    assert apply(parse(text), [WORDS]).text == expected


def test_what_a_person_chose_stays() -> None:
    line = "- [ ] gh-7: Fix it {p0, after:gh-1, agent:codex, model:x, budget:2.50}"
    reword = Reword("gh-7", line, "Mend <!-- it {p9}", 2, ())
    assert apply(parse(line + "\n"), [reword]).text == (
        "- [ ] gh-7: Mend &lt;!-- it (p9) {agent:codex, model:x, budget:2.50}\n"
    )


@pytest.mark.parametrize(
    "text",
    ["[] gh-7: fix it\n", "[🟡 w-1a2b3c] gh-7: Fix it\n", "- [] gh-7: Fix it\n", "[] gh-8: Fix it\n", ""],
)
def test_a_line_that_says_something_else_is_left(text: str) -> None:
    document = parse(text)
    for change in (WORDS, Drop("gh-7", LINE)):
        assert apply(document, [change]) is document


def test_a_line_leaves_with_the_bullets_of_orch() -> None:
    drop = Drop("gh-7", LINE)
    assert changed("[] gh-7: Fix it\n", drop) == ""
    text = "## Pending\n\n[] t-1: x\n\n[] gh-7: Fix it\n- Attempt: 1\n- Retry at: 12:00\n\n[] t-2: y\n"
    assert changed(text, drop) == "## Pending\n\n[] t-1: x\n\n[] t-2: y\n"
    assert changed("## Pending\n\n[] gh-7: Fix it\n\n## Active\n", drop) == "## Pending\n\n## Active\n"
    assert changed("[] gh-7: Fix it", drop) == ""


@pytest.mark.parametrize("below", ["  my note\n", "- mine\n", "- Attempt: 1\n  - mine\n"])
def test_a_line_with_notes_stays(below: str) -> None:
    document = parse(f"{LINE}\n{below}")
    assert apply(document, [Drop("gh-7", LINE)]) is document


def test_a_second_line_of_an_id_does_not_become_the_first() -> None:
    document = parse(f"{LINE}\n[✅] gh-7: Fix it\n")
    assert apply(document, [Drop("gh-7", LINE)]) is document


def test_what_is_dropped_is_gone_for_the_other_changes() -> None:
    drop = Drop("gh-7", LINE)
    mark = SetMark("gh-7", PENDING, Mark(Status.BLOCKED))
    assert apply(parse(f"{LINE}\n[] t-1: x\n"), [drop, mark, drop, WORDS]).text == "[] t-1: x\n"


@pytest.mark.parametrize("opened", ["```\nopen\n", "<!-- open\n", "\0\n"])
def test_a_line_leaves_a_file_in_which_something_is_never_closed(opened: str) -> None:
    before = parse(f"{LINE}\n[] t-1: x\n{opened}")
    assert apply(before, [Drop("gh-7", LINE)]).text == f"[] t-1: x\n{opened}"


@settings(deadline=None)
@given(st.data(), FILES, st.sampled_from(["new", "new {p1}", "a --> b", "c <!-- d", "{}", "x\ny"]))
def test_other_words_touch_nothing_else(data: st.DataObject, text: str, title: str) -> None:
    before = parse(text)
    if not before.tasks:
        return
    name = data.draw(st.sampled_from(list(before.tasks)))
    old = before.tasks[name]
    after = apply(before, [Reword(name, old.text, title, 3, ("gh-3",))])
    assert parse(after.text) == after
    assert human_lines(text) == human_lines(after.text)
    for other, task in before.tasks.items():
        if other != name:
            assert essence(after.tasks[other]) == essence(task)
    new = after.tasks[name]
    if after is not before:
        assert (new.title, new.priority, new.after) == (plain_title(title), 3, ("gh-3",))
        assert (new.agent, new.model, new.budget) == (old.agent, old.model, old.budget)
        assert (new.mark, new.fields, new.notes) == (old.mark, old.fields, old.notes)


@settings(deadline=None)
@given(st.data(), FILES)
def test_a_drop_touches_nothing_else(data: st.DataObject, text: str) -> None:
    before = parse(text)
    if not before.tasks:
        return
    name = data.draw(st.sampled_from(list(before.tasks)))
    after = apply(before, [Drop(name, before.tasks[name].text)])
    assert parse(after.text) == after
    assert human_lines(text) == human_lines(after.text)
    assert [essence(task) for task in after.unnamed] == [essence(task) for task in before.unnamed]
    left = {other: essence(task) for other, task in before.tasks.items() if other != name}
    kept = {other: essence(task) for other, task in after.tasks.items() if other != name}
    assert left == kept


@given(st.text())
def test_a_plain_title_is_read_back(title: str) -> None:
    plain = plain_title(title)
    assert plain_title(plain) == plain
    if not plain:
        return
    for text in ("", "<!--\n", "```\n"):
        found = apply(parse(text), [AddTask(Task("gh-7", plain))]).tasks.get("gh-7")
        if found is not None:
            assert found.title == plain
            assert replace(found.mark) == PENDING
            assert Counter(re.findall("gh-7", found.text))["gh-7"] >= 1
