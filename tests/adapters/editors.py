"""People who save tasks.md, each in the way of some editor. Run as a program, one types many edits.

    python -m tests.adapters.editors FILE FIRST COUNT STYLE...

types the edits FIRST to FIRST+COUNT-1, each by the next of the STYLEs, and prints each one's number
when it is saved. Every edit puts a word `typed-N` into the file.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

Edit = Callable[[str], str]
PATIENCE_SECONDS = 30.0
UNAWARE_SECONDS = 0.015
"""orch writes several times meanwhile."""


def in_place(path: Path, edit: Edit) -> None:
    """Empty the file and write it again, as nano does."""
    text = _read(path)
    path.write_text(edit(text), newline="")


def in_place_slowly(path: Path, edit: Edit) -> None:
    """As in_place, with a moment between emptying and writing, on a loaded machine."""
    text = _read(path)
    with path.open("w", newline="") as file:
        time.sleep(0.004)
        file.write(edit(text))


def overwrite(path: Path, edit: Edit) -> None:
    """Write over what is there without emptying it first; the text only grows."""
    text = edit(_read(path))
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
        os.ftruncate(descriptor, len(text.encode()))
    finally:
        os.close(descriptor)


def rename(path: Path, edit: Edit) -> None:
    """Write another file and rename it over this one, as most graphical editors do."""
    fresh = path.with_name("fresh.tmp")
    fresh.write_text(edit(_read(path)), newline="")
    fresh.replace(path)


def backup(path: Path, edit: Edit) -> None:
    """Rename the file away, write a new one, remove the old one, as vim does."""
    text = edit(_read(path))
    old = path.with_name(path.name + "~")
    path.rename(old)
    path.write_text(text, newline="")
    old.unlink()


def sed(path: Path, edit: Edit) -> None:
    """`sed -i`, which edits by lines: here it adds one at the end."""
    word = edit("").strip().splitlines()[-1]
    subprocess.run(["sed", "-i", f"$a {word}", path.name], cwd=path.parent, check=True)


def unaware(path: Path, edit: Edit) -> None:
    """As rename, by a person who had the file open for a while and saw nothing of what came after."""
    fresh = path.with_name("fresh.tmp")
    text = edit(_read(path))
    time.sleep(UNAWARE_SECONDS)
    fresh.write_text(text, newline="")
    fresh.replace(path)


def unaware_in_place(path: Path, edit: Edit) -> None:
    """As unaware, into the file that is there by then."""
    text = edit(_read(path))
    time.sleep(UNAWARE_SECONDS)
    path.write_text(text, newline="")


STYLES = {
    style.__name__: style
    for style in (in_place, in_place_slowly, overwrite, rename, backup, sed, unaware, unaware_in_place)
}


def typing(number: int) -> Edit:
    """One of several kinds of edits, which types the word `typed-number`."""

    def edit(text: str) -> str:
        lines = text.splitlines(keepends=True)
        tasks = [index for index, line in enumerate(lines) if line.startswith("[") and ": " in line]
        if number % 3 == 0 and tasks:
            index = tasks[number % len(tasks)]
            lines[index] = f"{lines[index].rstrip()} typed-{number}\n"
        elif number % 3 == 1 and tasks:
            lines.insert(tasks[number % len(tasks)] + 1, f"  typed-{number}\n")
        else:
            lines.append(f"typed-{number}\n")
        return "".join(lines)

    return edit


def _read(path: Path) -> str:
    """The file as an editor opens it: one that is away or empty is being saved by somebody."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            text = path.read_bytes().decode()
        except FileNotFoundError:
            text = ""
        if text:
            return text
        if time.monotonic() > deadline:
            raise TimeoutError(path)
        time.sleep(0.001)


def main(path: Path, first: int, count: int, styles: list[str]) -> None:
    for number in range(first, first + count):
        STYLES[styles[number % len(styles)]](path, typing(number))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        # Some saves come close upon each other, some leave orch the time to work.
        time.sleep(0.001 * (number * 7 % 10))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
