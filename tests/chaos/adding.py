"""Runs `orch add` again and again, each as a person does. Prints a line for each: the id, the word.

    python -m tests.chaos.adding PROJECT WHO

The word is in the title of that task and nowhere else. Ends when its standard input does.
"""

import select
import sys
from pathlib import Path

from tests.cli.command import orch


def main(project: Path, who: str) -> None:
    number = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        word = f"{who}-added-{number}"
        # Some have notes: they must stay with their task.
        done = orch(
            project, "add", f"Do {word}", *(("--notes", f"{who}-noted-{number}") if number % 2 else ())
        )
        sys.stdout.write(f"{done.out.strip() or 'refused'} {word} {done.err}".strip() + "\n")
        sys.stdout.flush()
        number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
