"""Names that are derived, never stored: worker ids, branches, slugs, jitter. Pure."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable

TASK_ID = re.compile(r"[A-Za-z][A-Za-z0-9]{0,31}-[0-9]{1,18}")
"""A task id is a word, a dash and digits (design section 6). It names folders, so it is bounded."""

_HEAD = "t-"
"""What the ids that orch gives begin with."""

_ISSUE_HEAD = "gh-"
"""What the ids of issues begin with."""
_ISSUE_ID = re.compile(rf"{_ISSUE_HEAD}([1-9][0-9]{{0,17}})")

SLUG_LENGTH = 40
"""Characters of a title kept in a branch name: enough to recognise, short enough for a terminal."""


def is_task_id(text: str) -> bool:
    """Whether `text` is a well-formed task id, and therefore safe as a folder and branch name."""
    return TASK_ID.fullmatch(text) is not None


def folder_name(task: str) -> str:
    """The name of a folder of the task's own, to be put behind a `/` of a path.

    pathlib interns the parts of a path, before Python 3.12 the very objects that it is given. An id would
    stay in that table for as long as its task is known; thousands make it a megabyte larger.
    """
    return f"./{task}"


def worker_id(task: str, attempt: int) -> str:
    """The id of the worker of one attempt, for example `w-1a2b3c`: a hash, so nothing stores it."""
    return "w-" + _digest(task, attempt)[:6]


def jitter(task: str, attempt: int) -> float:
    """A number in [0, 1) that belongs to the attempt, so that a restart computes the same one."""
    return int(_digest(task, attempt)[:8], 16) / 0x1_0000_0000


def slug(title: str) -> str:
    """The part of a branch name that comes from a title: lower-case ASCII words joined by dashes."""
    ascii_title = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    words = "-".join(re.findall(r"[a-z0-9]+", ascii_title.lower()))
    return words[:SLUG_LENGTH].rstrip("-")


def branch_name(task: str, title: str) -> str:
    """The branch of a task, `orch/<task id>-<slug>`, fixed at the task's first run."""
    tail = slug(title)
    return f"orch/{task}-{tail}" if tail else f"orch/{task}"


def find_task(reference: str, known: Iterable[str]) -> tuple[str, ...]:
    """The ids among `known` that a person means by `471`, `#471`, `gh-471` or any id.

    A full id matches alone (case does not count); a bare number matches every id with that number.
    """
    wanted = reference.strip().lstrip("#").casefold()
    ids = list(dict.fromkeys(known))
    exact = tuple(name for name in ids if name.casefold() == wanted)
    if exact or not wanted.isdecimal():
        return exact
    return tuple(name for name in ids if name.rpartition("-")[2].lstrip("0") == wanted.lstrip("0"))


def next_id(known: Iterable[str], *, least: int = 0) -> str:
    """The next free id `t-N`: one more than the highest number in `known`, and than `least`."""
    return f"{_HEAD}{max(least, max(map(number_of, known), default=0)) + 1}"


def number_of(name: str) -> int:
    """The N of a `t-N`, 0 for any other id."""
    return int(name[len(_HEAD) :]) if name.startswith(_HEAD) else 0


def issue_id(number: int) -> str:
    """The task id of an issue."""
    return f"{_ISSUE_HEAD}{number}"


def issue_number(name: str) -> int:
    """The number of the issue that a task id means, 0 where it means none."""
    match = _ISSUE_ID.fullmatch(name)
    return int(match[1]) if match else 0


def _digest(task: str, attempt: int) -> str:
    return hashlib.sha256(f"{task}\0{attempt}".encode()).hexdigest()
