"""Where a command works: the folder that it was started in, and the project around it."""

from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from orch.cli.failure import warn as warn_on_stderr
from orch.cli.root import find_repository, find_root, is_bare
from orch.core.values import dataclass
from orch.errors import ConfigError

if TYPE_CHECKING:
    from orch.wiring import Project


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
        if is_bare(self.start):
            raise ConfigError(f"{self.start} is a bare repository", hint="clone it, and work in the clone")
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

    def open(
        self, warn: Callable[[str], None] | None = None, *, lenient: bool = False, newer: bool = False
    ) -> "Project":
        """The project, with its settings read. Raises ConfigError where there is none.

        With `lenient` a broken config.toml is only told, and with `newer` it may be one of a newer orch.
        `warn` is told of oddities that stop nothing; without it they go to stderr.
        """
        from orch.wiring import open_project

        return open_project(self.root, warn=warn or warn_on_stderr, lenient=lenient, newer=newer)
