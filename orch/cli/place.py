"""Where a command works: the folder that it was started in, and the project around it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from orch.errors import ConfigError

if TYPE_CHECKING:
    from orch.wiring import Project

SIGNS = (".orch", "tasks.md")
"""What a project has."""


@dataclass(slots=True)
class Place:
    """The folder that a command works in, the current one at first."""

    start: Path = field(default_factory=Path.cwd)
    """Absolute."""

    def enter(self, directory: str) -> None:
        """Go to a folder, seen from the one before, as every `-C` does."""
        self.start = (self.start / directory).resolve()

    @property
    def root(self) -> Path:
        """The project's root. Raises ConfigError where there is no project, and says the way out."""
        root = find_root(self.start)
        if root is not None:
            return root
        if find_repository(self.start) is None:
            raise ConfigError(f"{self.start} is not in a git repository", hint="git init, then orch init")
        raise ConfigError(
            f"there is no orch project in {self.start}: neither tasks.md nor .orch, here or above",
            hint="orch init makes one; orch -C DIR works in another folder",
        )

    @property
    def new_root(self) -> Path:
        """The root of the project that is here or that `orch init` would make."""
        return find_root(self.start) or find_repository(self.start) or self.start

    def open(self, warn: Callable[[str], None] | None = None) -> "Project":
        """The project, with its settings read. Raises ConfigError where there is none.

        `warn` is told of oddities that stop nothing; without it they go to stderr.
        """
        from orch.cli import failure
        from orch.wiring import open_project

        return open_project(self.root, warn=warn or failure.warn)


def find_root(start: Path) -> Path | None:
    """The project around `start`: the nearest folder that looks like one, up to the repository's top.

    Inside a worktree of orch's it is the project that the worktree was made for.
    """
    main = _main_checkout(find_repository(start))
    if main is not None and (main / ".orch").is_dir():
        return main
    for folder in (start, *start.parents):
        if any((folder / sign).exists() for sign in SIGNS):
            return folder
        if (folder / ".git").exists():
            return None
    return None


def find_repository(start: Path) -> Path | None:
    """The top folder of the git checkout around `start`, None outside of any."""
    return next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), None)


def _main_checkout(checkout: Path | None) -> Path | None:
    """The main checkout that a linked worktree belongs to, None where it is not a linked one.

    A linked worktree's .git is a file: `gitdir: MAIN/.git/worktrees/NAME` (gitrepository-layout(5)).
    """
    if checkout is None or not (checkout / ".git").is_file():
        return None
    try:
        text = (checkout / ".git").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    git = Path(checkout / text.removeprefix("gitdir:").strip())
    if git.parent.name == "worktrees" and git.parent.parent.name == ".git":
        return git.parent.parent.parent
    return None
