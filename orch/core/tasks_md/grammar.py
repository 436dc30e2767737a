"""What one line of tasks.md can be: a task with its mark, id and tags, a heading, a bullet. Pure.

The rules are section 6 of the design. Lines are always handled with their line ending, and only a line
feed ends a line: a person's file may hold lone carriage returns, form feeds or U+2028.
"""

import re
from typing import NamedTuple

from orch.core import names
from orch.core.model import FIELDS, PENDING, Mark, Status, Task

LINES = re.compile(r"[^\n]*\n|[^\n]+")
"""Cuts a text into lines with their endings."""

SECTIONS = ("Pending", "Active", "Completed Today", "Completed", "Failed", "Blocked")
"""The headings that orch moves tasks to, in the order in which missing ones are made."""

HOMES = {
    Status.PENDING: "Pending",
    Status.ACTIVE: "Active",
    Status.COMPLETED: "Completed Today",
    Status.FAILED: "Failed",
    Status.BLOCKED: "Blocked",
}
"""Where a task with this status is moved to. A skipped task stays where the person put it."""

ICONS = {Status.ACTIVE: "🟡", Status.COMPLETED: "✅", Status.FAILED: "❌", Status.BLOCKED: "⏰"}

_SPACE = r"[^\S\n]*"
_MARK = rf"\[{_SPACE}(?:[xX-]{_SPACE}|[{''.join(ICONS.values())}][^\[\]\n]*)?\](?![(\[:])"
"""A bracket that is a mark; `[text](url)`, `[1]` and `[x]: url` are prose."""

LINE = re.compile(
    rf"""
    (?P<blank>[ \t\r]*$)
    | (?P<task>(?:[-*+][ \t]+)?{_MARK})
    | (?P<rule>(?:-[ \t]*){{3,}}\r?$ | (?:\*[ \t]*){{3,}}\r?$ | (?:_[ \t]*){{3,}}\r?$)
    | (?P<heading>\#{{1,6}}(?=[ \t\r\n]|$))
    | (?P<fence>[ ]{{0,3}}(?:`{{3,}}[^`\n]*$|~{{3,}}))
    | (?P<comment>[ ]{{0,3}}<!--)
    | (?P<indented>[ \t])
    | (?P<odd>(?:[-*+][ \t]+)?\[(?:[^\w\s\[\]]\ufe0f?|[^\[\]\n]*\bw-[0-9a-f]{{6}}\b[^\[\]\n]*)\][ \t])
    | (?P<bullet>[-*+][ \t])
    """,
    re.VERBOSE,
)
"""What a line is, by the name of the group that matched; no match at all is prose.

`odd` is a bracket that looks like a mark and is none. Fences and comments may be indented by up to
three spaces (CommonMark 4.5 and 4.6)."""

_TASK = re.compile(
    rf"(?P<bullet>[-*+][ \t]+)?(?P<mark>{_MARK})(?P<gap>{_SPACE})"
    rf"(?:(?P<id>{names.TASK_ID.pattern})[ \t]*:)?(?P<title>[^\n]*)"
)
BULLET = re.compile(r"[ \t]*[-*+][ \t]+")
FIELD = re.compile(rf"([ \t]*[-*+][ \t]+)({'|'.join(FIELDS)})[ \t]*:([^\n]*)")
"""One of orch's own bullets: what is before its name, the name, the value."""

_WORKER = re.compile(r"w-[0-9A-Za-z]+")
_COMMIT = re.compile(r"[0-9a-fA-F]{4,40}")
_STATUS_OF_ICON = {icon: status for status, icon in ICONS.items()}
_PLAIN_MARKS = {
    "": PENDING,
    "x": Mark(Status.COMPLETED),
    "X": Mark(Status.COMPLETED),
    "-": Mark(Status.SKIPPED),
}


def is_blank(line: str) -> bool:
    """Whether a line has nothing but spaces, tabs and its ending."""
    return not line.strip(" \t\r\n")


def match_task(line: str) -> re.Match[str]:
    """The parts of a task line: `bullet`, `mark`, `gap`, `id` and `title` (with its tags).

    Raises ValueError for any other line.
    """
    match = _TASK.match(line)
    if match is None:
        raise ValueError(f"not a task line: {line!r}")
    return match


def read_mark(bracket: str) -> Mark:
    """The mark that a bracket of a task line means, for example `[✅ cbffe52, w-1a2b3c]`.

    Anything else inside it (an absolute path, `None`) is passed over.
    """
    inner = bracket[1:-1].strip()
    plain = _PLAIN_MARKS.get(inner)
    if plain is not None:
        return plain
    status = _STATUS_OF_ICON[inner[0]]
    words = re.split(r"[,\s\ufe0e\ufe0f]+", inner[1:])
    worker = next((word for word in words if _WORKER.fullmatch(word)), "")
    commit = ""
    if status is Status.COMPLETED:
        commit = next((word for word in words if _COMMIT.fullmatch(word)), "")
    return Mark(status, worker, commit)


def read_status(bracket: str) -> Status:
    """The status of the mark that a bracket means."""
    inner = bracket[1:-1].strip()
    plain = _PLAIN_MARKS.get(inner)
    return plain.status if plain is not None else _STATUS_OF_ICON[inner[0]]


def render_mark(mark: Mark) -> str:
    """The bracket for a mark: `[]`, `[-]`, `[🟡 w-1a2b3c]`, `[✅ cbffe52, w-1a2b3c]`."""
    if mark.status is Status.PENDING:
        return "[]"
    if mark.status is Status.SKIPPED:
        return "[-]"
    commit = mark.commit if mark.status is Status.COMPLETED else ""
    words = ", ".join(word for word in (commit, mark.worker) if word)
    return f"[{ICONS[mark.status]} {words}]" if words else f"[{ICONS[mark.status]}]"


def section_name(heading: str) -> str:
    """Which of SECTIONS the text of a heading names, or ''.

    Case, emoji, punctuation and parentheses such as `(max 3)` do not count.
    """
    words = re.findall(r"[^\W_]+", re.sub(r"\([^()]*\)", " ", heading))
    return _SECTION_OF_WORDS.get(" ".join(words).casefold(), "")


_SECTION_OF_WORDS = {name.casefold(): name for name in SECTIONS}


def one_line(text: str) -> str:
    """`text` as a piece of one line: what ends a line or cannot be printed becomes a space.

    Surrogates become U+FFFD, because a file can hold neither them nor what they may combine to.
    """
    printable = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text)
    return re.sub(r"[\ud800-\udfff]", "\ufffd", printable).strip()


def escape_comments(text: str) -> str:
    """`text` without anything that opens or closes a comment; Markdown shows it the same."""
    return text.replace("<!--", "&lt;!--").replace("-->", "--&gt;")


def bullet_text(value: str) -> str:
    """How the value of one of orch's bullets stands in the file, and is read back from it."""
    return escape_comments(one_line(value))


# --- tags ------------------------------------------------------------------------------------------


class Tags(NamedTuple):
    """A title without its tags, and what they say."""

    title: str
    priority: int = 2
    after: tuple[str, ...] = ()
    agent: str = ""
    model: str = ""
    budget: float | None = None
    problems: tuple[str, ...] = ()


_GROUP = re.compile(r"(?<![$\\`])\{([^{}]*)\}$")
_TAG_LIKE = re.compile(r"p[0-9]+$|[a-z][a-z_-]*:(?!//)(?=\S)|(?:after|agent|model|budget):", re.IGNORECASE)
_PRIORITY = re.compile(r"p[0-9]+", re.IGNORECASE)
_PRIORITIES = {f"{letter}{number}": number for letter in "pP" for number in range(10)}
_BUDGET = re.compile(r"\$?([0-9]{1,9}(?:\.[0-9]{1,9})?)")


def read_tags(text: str) -> Tags:
    """Take the trailing `{...}` groups off a title and read them.

    A group is tags only if something in it looks like one, so that `fix {foo} rendering` and a
    trailing `{}` stay title. What is unknown or has a bad value is listed as a problem.
    """
    title = text.strip()
    groups: list[list[str]] = []
    while title.endswith("}"):
        # From the last brace, so that a title of many braces costs no more than one of few.
        start = title.rfind("{")
        group = _GROUP.match(title, start) if start >= 0 else None
        words = group[1].replace(",", " ").split() if group else []
        if not any(map(_TAG_LIKE.match, words)):
            break
        groups.append(words)
        title = title[:start].rstrip()
    return _interpret(title, groups[::-1]) if groups else Tags(title)


def _interpret(title: str, groups: list[list[str]]) -> Tags:
    priority = 2
    after: list[str] = []
    values: dict[str, str] = {}
    problems: list[str] = []
    for words in groups:
        name = ""
        for word in words:
            if word in _PRIORITIES:
                priority = _PRIORITIES[word]
                continue
            if _PRIORITY.fullmatch(word):
                problems.append(f"priority {{{word}}} is not one of p0 to p9")
                continue
            value = word
            if ":" in word:
                name, _, value = word.partition(":")
                name = name.lower()
            if name == "after":
                # `after:gh-1 gh-2` and `after: gh-1` are read as well as `after:gh-1, after:gh-2`.
                after.append(value.lstrip("#"))
            elif name not in ("agent", "model", "budget"):
                problems.append(f"unknown tag {{{word}}}")
                name = ""
            elif value:
                values[name] = value
                name = ""
        if name and not (name == "after" and any(after)):
            problems.append(f"tag {{{name}:}} has no value")
    budget = None
    if "budget" in values:
        amount = _BUDGET.fullmatch(values["budget"])
        if amount:
            budget = float(amount[1])
        else:
            problems.append(f"{{budget:{values['budget']}}} is not an amount of US dollars such as 2.50")
    return Tags(
        title,
        priority,
        tuple(dict.fromkeys(filter(None, after))) if after else (),
        values.get("agent", ""),
        values.get("model", ""),
        budget,
        tuple(problems),
    )


def task_line(task: Task) -> str:
    """The line for a new task, without a line ending: `[] t-3: title {p1, after:gh-470}`.

    Title and tags cannot forge other tags or lines: the title may come from an issue.
    """
    title = _without_tags(task.title)
    tags = [f"p{task.priority}"] if task.priority != Tags("").priority else []
    words = [("after", parent) for parent in task.after] + [("agent", task.agent), ("model", task.model)]
    tags += [f"{name}:{_tag_value(value)}" for name, value in words if _tag_value(value)]
    if task.budget is not None:
        tags.append(f"budget:{task.budget:.2f}")
    head = f"{task.id}: {title}" if task.id else title
    line = f"{render_mark(task.mark)} {head}"
    return f"{line} {{{', '.join(tags)}}}" if tags else line


def plain_title(text: str) -> str:
    """`text` as a title that is read back from the file as it is written, wherever it stands."""
    return _without_tags(escape_comments(text))


def _without_tags(text: str) -> str:
    title = one_line(text)
    while read_tags(title).title != title:
        start = title.rfind("{")
        title = f"{title[:start]}({title[start + 1 : -1]})"
    return title


def _tag_value(value: str) -> str:
    return re.sub(r"[\s,{}]+", "", one_line(value))
