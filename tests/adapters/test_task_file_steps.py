"""tasks.md read and saved by people, and orch killed, before any step of a change: nothing is lost.

The steps are what Python audits (opening, renaming, removing a file and so on) and the swaps. Which of them
a case is about follows from its seed, so a failure tells all that is needed to repeat it.
"""

import contextlib
import itertools
import random
import sys
from pathlib import Path
from typing import TextIO

import pytest

from orch.adapters.store.exchange import exchange
from orch.adapters.store.replaced import QUIET_SECONDS, WATCH_SECONDS
from orch.core.actions import SetMark
from orch.core.model import PENDING
from orch.core.tasks_md import parse
from orch.errors import TransientError
from tests.adapters.crash import STEPS, watching
from tests.adapters.test_task_file import ACTIVE, START, Desk, Killed, save_by_rename
from tests.adapters.test_task_file_unaware import shift

WATCHED = {*STEPS, "os.utime", "swap"} - {"fcntl.flock"}
"""A lock is let go of also by who is killed."""

LINES = {"one": "t-1: x", "two": "t-2: y"}
"""Which task's line each of them types on."""

MARKS = {"t-1": ACTIVE, "t-2": ACTIVE}


class Person:
    """Reads the file before one step, and saves it before another one, with one more word."""

    def __init__(self, word: str, reads: int, saves: int, style: str, pause: int = 1) -> None:
        """`pause` is how many steps a slow save takes."""
        self.word = word
        self.reads = reads
        self.saves = saves
        self.style = style
        self.pause = pause
        self.text = ""
        self.file: TextIO | None = None
        self.done = False

    def act(self, step: int, path: Path) -> None:
        if not self.text and step >= self.reads and path.read_text().strip():
            self.text = self._edit(path.read_text())
        if self.text and step >= self.saves and not self.done:
            self._save(path)

    def _edit(self, text: str) -> str:
        if self.style.endswith("line"):
            line = LINES[self.word]
            return text.replace(line, f"{line} {self.word}", 1)
        return f"{text}{self.word}\n"

    def _save(self, path: Path) -> None:
        """Save it; in place slowly it is half-written or empty for a while."""
        if self.style.startswith("renamed"):
            save_by_rename(path, self.text)
        elif self.style.startswith("in place"):
            path.write_text(self.text)
        elif self.file is None:
            self.file = path.open("w")
            written = len(self.text) * 2 // 3 if self.style.startswith("half") else 0
            self.file.write(self.text[:written])
            self.file.flush()
            self.text = self.text[written:]
            self.saves += self.pause
            return
        else:
            self.file.write(self.text)
            self.file.close()
        self.done = True


class Story:
    """Two changes to the file, while one person after the other saves it, and orch is killed."""

    def __init__(self, desk: Desk, people: list[Person], kills: list[int]) -> None:
        self._desk = desk
        self._people = people
        self._kills = kills
        self._changes = [START, SetMark("t-2", PENDING, ACTIVE)]
        self._step = 0
        self._dead = False
        self.swaps: list[int] = []
        """Before which steps there was a swap."""

    def tell(self) -> None:
        while True:
            self._dead = False
            try:
                with watching(self._go_on):
                    self._change()
                break
            except Killed:
                continue  # and is started again
        while any(not person.done for person in self._people):
            self._step += 1000
            self._let_people_act()
        self._desk.ahead += QUIET_SECONDS
        self._desk.store().settle()
        self._desk.put_away()

    def _change(self) -> None:
        store = self._desk.store(self._swap)
        store.read()
        while self._changes:
            # What is made is not made again.
            store.apply(self._changes[:1])
            del self._changes[0]

    def _swap(self, one: Path, other: Path) -> None:
        sys.audit("swap")
        self.swaps.append(self._step)
        exchange(one, other)

    def _go_on(self, event: str) -> None:
        if event not in WATCHED:
            return
        if self._dead:
            raise Killed  # neither can it clean up
        self._step += 1
        self._let_people_act()
        if self._kills and self._step >= self._kills[0]:
            del self._kills[0]
            self._dead = True
            raise Killed

    def _let_people_act(self) -> None:
        for person in self._people:
            person.act(self._step, self._desk.path)
            if not person.done:
                break


def new_desk(folder: Path) -> Desk:
    folder.mkdir()
    return Desk(folder)


STYLES = ["renamed", "in place", "in place slowly", "half-written"]


@pytest.mark.parametrize("ways", [("", " line"), (" line", "")], ids=["a line of one's own", "a task's line"])
def test_nothing_is_lost_whatever_happens_before_any_step(tmp_path: Path, ways: tuple[str, str]) -> None:
    undisturbed = Story(new_desk(tmp_path / "undisturbed"), [], [])
    undisturbed.tell()
    for seed in range(150):
        chance = random.Random(seed)  # noqa: S311 - the same stories each time
        # Most happens to who saves just before a swap.
        first = chance.choice([*undisturbed.swaps, chance.randrange(1, 60)])
        reads = first + chance.choice([0, 1, 2, 3, 4, chance.randrange(40)])
        saves = reads + chance.choice([0, 1, 2, 3, 6, chance.randrange(30)])
        kills = sorted(chance.sample(range(1, 120), chance.randrange(3)))
        one, two = (chance.choice(STYLES) + way for way in ways)
        read = max(0, first - chance.choice([0, 0, 1, chance.randrange(40)]))
        people = [
            Person("one", read, first, one, chance.randrange(1, 8)),
            Person("two", reads, saves, two, chance.randrange(1, 8)),
        ]
        desk = new_desk(tmp_path / str(seed))
        Story(desk, people, list(kills)).tell()
        case = f"{seed}: {one} at {first}, {two} at {reads} and {saves}, killed at {kills}\n{desk.text}"
        assert [desk.text.count(word) for word in LINES] == [1, 1], case
        document = parse(desk.text)
        assert {name: task.mark for name, task in document.tasks.items()} == MARKS, case
        assert document.problems == (), case


def test_nothing_is_lost_where_the_file_is_away_at_any_step_of_a_start(tmp_path: Path) -> None:
    """orch was killed when it had swapped out what somebody saved, and starts when that is long ago."""
    for place in itertools.count():
        desk = new_desk(tmp_path / str(place))

        def swapping(one: Path, other: Path, desk: Desk = desk) -> None:
            save_by_rename(desk.path, f"{desk.text}typed\n")
            exchange(one, other)
            raise Killed

        with pytest.raises(Killed):
            desk.store(swapping).apply([START])
        desk.ahead += WATCH_SECONDS + 1
        shift(desk, -WATCH_SECONDS - 1)
        away = desk.path.with_name("tasks.md~")
        steps = 0

        def move(_event: str, desk: Desk = desk, away: Path = away, place: int = place) -> None:
            nonlocal steps
            if steps == place:
                desk.path.rename(away)
            elif away.exists():
                away.rename(desk.path)
            steps += 1

        store = desk.store()
        with watching(move), contextlib.suppress(TransientError):
            store.settle()
        if away.exists():
            away.rename(desk.path)
        desk.store().settle()
        desk.put_away()
        assert desk.text.count("typed") == 1, place
        if steps <= place:
            break
    assert place > 20
