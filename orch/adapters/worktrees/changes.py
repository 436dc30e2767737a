"""What in a worktree is in no commit, as git-status(1) tells it."""

import re

from orch.adapters import git
from orch.adapters.repository import BLOCKED, STOP
from orch.core.values import dataclass

STATUS = (
    *("status", "--porcelain=v2", "-z", "--untracked-files=all", "--no-renames"),
    *("--ignore-submodules=none", "--branch", "--no-ahead-behind"),
)
"""The command that `read_status` reads."""

_CLOSED = re.compile(r"could not open directory '([^']*)'")

_SUBMODULE_FLAGS = slice(2, 4)
"""Of the field `S<c><m><u>` in git-status(1): changed and untracked content in the submodule."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What in a worktree is in no commit."""

    head: str = ""
    """The full sha of the commit that is checked out, '' where there is none."""
    paths: tuple[str, ...] = ()
    """Changed, removed and untracked files, relative to the worktree; odd bytes as `os.fsdecode`."""
    removed: frozenset[str] = frozenset()
    """Those that git says are removed. Where a link took the place of a folder, they may seem there."""
    nested: tuple[str, ...] = ()
    """Folders that are repositories of their own: git cannot save what is in them."""
    submodules: tuple[str, ...] = ()
    """Submodules with changed content: that cannot be saved here either."""
    staged: bool = False
    """Whether the index holds a version of some file that is neither committed nor in the worktree."""
    closed: tuple[str, ...] = ()
    """Folders that git could not open."""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.paths) + len(self.nested) + len(set(self.submodules) - set(self.paths))

    @property
    def unsaveable(self) -> tuple[str, ...]:
        """What saving has to leave out."""
        return (*self.nested, *self.submodules, *self.closed)


def read_status(output: git.Output) -> Changes:
    """What the command `STATUS` said. STOP and BLOCKED.md are no work."""
    paths: dict[str, bool] = {}
    nested, submodules = [], []
    staged, head = False, ""
    for entry in output.fields:
        kind, _, rest = entry.partition(" ")
        if kind == "?":
            path, removed = rest, False
            if path.endswith("/"):
                nested.append(path)
                continue
        elif kind in {"1", "u"}:
            fields = rest.split(" ", 7 if kind == "1" else 9)
            path = fields[-1]
            removed = kind == "1" and "D" in fields[0]
            staged = staged or (kind == "1" and "." not in fields[0])
            if fields[1].startswith("S") and "." in fields[1]:
                if fields[1][_SUBMODULE_FLAGS] != "..":
                    submodules.append(path)
                if fields[0] == ".M" and fields[1][1] == ".":
                    continue  # Nothing that the project's own commit would record.
        else:
            if rest.startswith("branch.oid ") and not rest.endswith(" (initial)"):
                head = rest.removeprefix("branch.oid ")
            continue
        if path not in {STOP, BLOCKED}:
            paths[path] = removed
    closed = tuple(_CLOSED.findall(output.said))
    gone = frozenset(path for path, removed in paths.items() if removed)
    return Changes(head, tuple(paths), gone, tuple(nested), tuple(submodules), staged, closed)
