"""The real claude binary: which one, where it lies, and whether it is there.

`tools/claude` fetches it into `.cache/claude/`, which git ignores.
"""

import os
import platform
import sys
from pathlib import Path

from tests.github.packages import Package

FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "claude"
PACKAGE = Package(
    "@anthropic-ai/claude-code-linux-x64",
    "2.1.329",
    "+n4lu1ubYAp02Y0X/MAUnxw9yY6SHHZ77F+IoW+V0wVoFuiI9opdH6gofjf14gXJCEYMTNpks7Gn1i8XZTKAWA==",
    "package/claude",
)
BINARY = FOLDER / f"claude-{PACKAGE.version}"


def missing() -> str:
    """Why the binary cannot be used, or ''."""
    if not is_for_this_machine():
        return f"{PACKAGE.name} is not for {sys.platform} on {platform.machine()}"
    return "" if os.access(BINARY, os.X_OK) else f"claude {PACKAGE.version} is not there: run tools/claude"


def is_for_this_machine() -> bool:
    """Whether the binary could run here."""
    return sys.platform == "linux" and platform.machine() == "x86_64"
