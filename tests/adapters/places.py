"""A repository, its worktrees, and what a test of them looks at."""

from dataclasses import dataclass, field
from pathlib import Path

from orch.adapters.worktrees import GitWorktrees, Hooks
from orch.core.model import RunKey
from tests.adapters.repositories import Sample

RUN = RunKey("t-1", 1)
NEXT = RunKey("t-1", 2)
BRANCH = "orch/t-1-fix"
HEAD = f"refs/heads/{BRANCH}"


@dataclass
class Place:
    sample: Sample
    trees: Path
    runs: Path
    hooks: Hooks = field(default_factory=Hooks)
    warnings: list[str] = field(default_factory=list)
    warm: int = 0

    @property
    def tree(self) -> Path:
        return self.trees / "t-1"

    @property
    def admin(self) -> Path:
        return self.sample.root / ".git" / "worktrees" / "t-1"

    @property
    def worktrees(self) -> GitWorktrees:
        """As after a restart: nothing is remembered."""
        return GitWorktrees(
            self.sample.root,
            self.trees,
            self.runs,
            base="main",
            hooks=self.hooks,
            warn=self.warnings.append,
            retries=(0.01, 0.01),
            warm=self.warm,
        )

    def git(self, *arguments: str, fails: bool = False) -> str:
        return self.sample.git(*arguments, where=self.tree, fails=fails)

    def commit(self, name: str, text: str = "x") -> str:
        return self.sample.commit(name, text, where=self.tree)

    def refs(self, under: str = "refs/orch/saved/") -> list[str]:
        return self.sample.git("for-each-ref", "--format=%(refname)", under).splitlines()

    def check(self) -> None:
        """The worktree is whole, and git thinks so too."""
        assert self.git("symbolic-ref", "HEAD") == HEAD
        assert self.git("status", "--porcelain") == ""
        assert self.git("rev-parse", "--show-toplevel") == str(self.tree)
        listing = self.sample.git("worktree", "list", "--porcelain")
        assert listing.count(f"worktree {self.tree}\n") == 1
        assert "prunable" not in listing

    def aside(self) -> list[Path]:
        folder = self.trees / ".orphans"
        return sorted(folder.iterdir()) if folder.is_dir() else []
