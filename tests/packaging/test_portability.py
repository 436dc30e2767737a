"""docs/portability.md names every call that only Linux has, and where it stands."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "portability.md"
ONLY_LINUX = ("inotify", "renameat2", "/proc", "pidfd", "prctl", "mallopt", "sigwaitinfo", "NOTIFY_SOCKET")
ROW = re.compile(
    r"^\| `(?P<what>[^`]+)` \| (?P<where>[^|]+) \| (?P<instead>[^|]+) \| (?P<tried>[^|]+) \|$", re.MULTILINE
)


def rows() -> Iterator[tuple[str, str, str, str]]:
    """What, in which file, what is done without it, and what tries that."""
    for row in ROW.finditer(TABLE.read_text()):
        for where in re.findall(r"`([^`]+)`", row["where"]):
            yield row["what"], where, row["instead"].strip(), row["tried"].strip("` ")


def used() -> set[tuple[str, str]]:
    """What only Linux has, as the code (not its comments and docstrings) names it, and in which file."""
    found = set()
    for path in sorted((ROOT / "orch").rglob("*.py")):
        tree = ast.parse(path.read_text())
        prose = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(attr=name) | ast.Name(id=name) | ast.ImportFrom(module=str(name)):
                    words = name
                case ast.Constant(value=str(name)) if id(node) not in prose:
                    words = name
                case _:
                    continue
            found |= {(what, path.relative_to(ROOT).as_posix()) for what in ONLY_LINUX if what in words}
    return found


def test_every_call_that_only_linux_has_is_listed_with_its_fallback() -> None:
    listed = {(what, where) for what, where, *_ in rows()}
    missing = {pair for pair in used() if pair not in listed}
    assert not missing, f"add them to {TABLE.name}"


def test_the_table_lists_nothing_that_is_gone() -> None:
    names = used()
    for what, where, instead, tried in rows():
        assert instead
        assert (what, where) in names or what == "/proc", (what, where)
        assert (ROOT / where).is_file(), where
        assert tried == "not tried here" or (ROOT / tried).is_file(), tried
