"""Takes the commands out of a Markdown file, by the heading that they stand under."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]

_HEADING = re.compile(r"^##+ (.+)$")
_FENCE = re.compile(r"^ *```(\w*)$")


def read_fences(file: Path, language: str = "sh") -> Mapping[str, tuple[str, ...]]:
    """The fenced blocks of a language, by the heading above them, in order."""
    found: dict[str, list[str]] = {}
    heading, wanted = "", False
    block: list[str] | None = None
    for line in file.read_text(encoding="utf-8").splitlines():
        if fence := _FENCE.match(line):
            if block is None:
                block, wanted = [], fence[1] == language
            else:
                if wanted:
                    found.setdefault(heading, []).append("\n".join(block))
                block = None
        elif block is not None:
            block.append(line.strip() if language == "sh" else line)
        elif title := _HEADING.match(line):
            heading = title[1]
    return {heading: tuple(blocks) for heading, blocks in found.items()}


def read_inline(file: Path, program: str) -> tuple[str, ...]:
    """Every command of a program that stands in the text itself: `orch stop TASK`."""
    text = re.sub(r"^ *```.*?^ *```$", "", file.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return tuple(re.findall(rf"`({program} [^`]+)`", text))


def run_block(script: str, where: Path, environment: Mapping[str, str], seconds: float) -> str:
    """Run a block as a person would type it: every line has to succeed. Gives its output."""
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=where,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n--- exit code {done.returncode}\n{done.stdout}"
    return done.stdout
