"""Brings two versions of tasks.md together that were made from the same one. Pure."""

import re
from collections import Counter, deque
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from orch.core.actions import Change, SetId, SetMark
from orch.core.model import FIELDS, Task
from orch.core.tasks_md.document import BOM, Document, parse
from orch.core.tasks_md.edit import apply
from orch.core.tasks_md.grammar import LINES, is_blank
from orch.core.tasks_md.layout import Layout
from orch.core.tasks_md.written import decode, encode


def merge(base: str, ours: str, theirs: str) -> str:
    """`ours` with what was changed from `base` to `theirs`.

    The marks, ids and bullets that orch changed from `base` to `ours` are made in `theirs` too, so
    that a line which orch changed and a person edited keeps both; and each task is merged by itself,
    wherever it was moved to. A line that both sides only typed on has the words of both. What still
    collides is kept from both sides, ours first: nothing that was typed is lost, at worst a line is there
    twice.
    """
    if theirs == base:
        return ours
    return merge_documents(parse(base), parse(ours), parse(theirs))


def merge_documents(base: Document, ours: Document, theirs: Document) -> str:
    """As `merge`, of versions that were read already."""
    changes = _changes(base, ours)
    return _merge_lines(*_merge_tasks(apply(base, changes), ours, apply(theirs, changes)))


def _changes(before: Document, now: Document) -> list[Change]:
    """What orch changed between two versions, as far as it concerns tasks that are in both."""
    changes: list[Change] = []
    lines = dict(zip(map(id, before.unnamed), before.lines_of(before.unnamed), strict=True))
    gone = list(before.unnamed)
    for task in now.unnamed:
        same = next((old for old in gone if old.text == task.text), None)
        if same is not None:
            gone.remove(same)
    for name, task in now.tasks.items():
        old = before.tasks.get(name)
        if old is None:
            old = next((unnamed for unnamed in gone if unnamed.title == task.title), None)
            if old is None:
                continue
            gone.remove(old)
            changes.append(SetId(old.text, lines[id(old)], name))
        if old == task:
            continue
        fields = _field_changes(old, task)
        if fields or task.mark != old.mark:
            changes.append(SetMark(name, old.mark, task.mark, fields))
    return changes


def _field_changes(old: Task, new: Task) -> tuple[tuple[str, str | None], ...]:
    now = ((name, new.fields.get(name)) for name in FIELDS)
    return tuple((name, value) for name, value in now if old.fields.get(name) != value)


# --- by tasks ---------------------------------------------------------------------------------------


def _merge_tasks(base: Document, ours: Document, theirs: Document) -> tuple[str, str, str]:
    """The three versions, in which the tasks that all of them have are the same, but where they stand."""
    layouts = Layout(base), Layout(ours), Layout(theirs)
    for name, task in base.by_name.items():
        our_task, their_task = ours.by_name.get(name), theirs.by_name.get(name)
        if our_task is None or (their_task is not None and task.raw == our_task.raw == their_task.raw):
            continue
        block, our_block = layouts[0].find(task), layouts[1].find(our_task)
        if their_task is not None:
            their_block = layouts[2].find(their_task)
            texts = (decode(each.raw) for each in (block, our_block, their_block))
            block.raw = our_block.raw = their_block.raw = encode(_merge_lines(*texts))
        elif _lines(decode(our_block.raw)) == _lines(decode(block.raw)):
            # Deleted, and nobody has typed anything into it meanwhile. Orch may have moved it.
            layouts[0].take_out(block)
            layouts[1].take_out(our_block)
    return layouts[0].text(), layouts[1].text(), layouts[2].text()


# --- by lines --------------------------------------------------------------------------------------


_WORD = re.compile(r"\s*\S+")
"""A word with the space before it."""


class _Hunk(NamedTuple):
    """Lines (or words) `start` to `end` of the base became `lines`."""

    start: int
    end: int
    lines: Sequence[str]


def _merge_lines(base_text: str, our_text: str, their_text: str) -> str:
    base, ours, theirs = (_lines(text.removeprefix(BOM)) for text in (base_text, our_text, their_text))
    bom = BOM if our_text.startswith(BOM) else ""
    return bom + "".join(_merge_sequences(base, ours, theirs))


def _merge_sequences(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    queues = (deque(_hunks(base, ours)), deque(_hunks(base, theirs)))
    merged: list[str] = []
    at = 0
    while any(queues):
        first = min(queue[0][:2] for queue in queues if queue)
        start, end = first
        taken: tuple[list[_Hunk], list[_Hunk]] = ([], [])
        grown = True
        while grown:
            grown = False
            for queue, hunks in zip(queues, taken, strict=True):
                # Hunks that only touch do not collide, but two insertions at one place do.
                while queue and (queue[0].start < end or queue[0][:2] == first):
                    hunks.append(queue.popleft())
                    end = max(end, hunks[-1].end)
                    grown = True
        merged += base[at:start]
        our_side, their_side = (_side(base, start, end, hunks) for hunks in taken)
        if not taken[1] or our_side == their_side:
            merged += our_side
        elif not taken[0]:
            merged += their_side
        else:
            merged += _both(base[start:end], our_side, their_side)
        at = end
    return [*merged, *base[at:]]


def _lines(text: str) -> list[str]:
    lines: list[str] = LINES.findall(text)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    return lines


def _hunks(base: Sequence[str], other: Sequence[str]) -> list[_Hunk]:
    # Two versions share almost everything: comparing only what lies between their common ends keeps
    # the quadratic worst case of difflib away from long files.
    low, high = 0, min(len(base), len(other))
    while low < high and base[low] == other[low]:
        low += 1
    tail = 0
    while tail < high - low and base[-1 - tail] == other[-1 - tail]:
        tail += 1
    middle = base[low : len(base) - tail], other[low : len(other) - tail]
    matcher = SequenceMatcher(None, *middle, autojunk=False)
    hunks: list[_Hunk] = []
    for tag, start, end, other_start, other_end in matcher.get_opcodes():
        if tag != "equal":
            hunk = _Hunk(low + start, low + end, other[low + other_start : low + other_end])
            hunks.append(_slide(hunk, base, hunks[-1].end + 1 if hunks else 0))
    return hunks


def _slide(hunk: _Hunk, base: Sequence[str], least: int) -> _Hunk:
    """The same insertion as far up as possible: those of two versions must be at the same place."""
    start, end, lines = hunk
    while start == end > least and lines[-1] == base[start - 1]:
        start = end = start - 1
        lines = [lines[-1], *lines[:-1]]
    return _Hunk(start, end, lines)


def _side(base: Sequence[str], start: int, end: int, hunks: Sequence[_Hunk]) -> list[str]:
    """The lines that one side has instead of `base[start:end]`."""
    lines: list[str] = []
    at = start
    for hunk in hunks:
        lines += [*base[at : hunk.start], *hunk.lines]
        at = hunk.end
    return [*lines, *base[at:end]]


def _both(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> Sequence[str]:
    """What becomes of lines of the base that were changed on both sides."""
    if base and ours and theirs:
        words = [_WORD.findall(lines[0]) for lines in (base, ours, theirs)]
        # A bullet alone is not yet the line of anything.
        if len(words[0]) > 1 and all(_is_in(words[0], more) for more in words[1:]):
            # One line that both have typed on: twice it would be one task too many.
            line = "".join(_merge_sequences(*words)) + ours[0][len(ours[0].rstrip()) :]
            return [line, *_merge_sequences(base[1:], ours[1:], theirs[1:])]
    return [*ours, *_added(base, ours, theirs)]


def _is_in(words: Sequence[str], more: Sequence[str]) -> bool:
    """Whether all words are among those, in their order."""
    left = iter(more)
    return all(word in left for word in words)


def _added(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """The lines of `theirs` that are neither in the base nor added by ours as well."""
    left = Counter(theirs) - Counter(base) - (Counter(ours) - Counter(base))
    added = []
    for line in theirs:
        if not is_blank(line) and left[line]:
            left[line] -= 1
            added.append(line)
    return added
