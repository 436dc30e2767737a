"""The worktrees of a repository: made, looked at, saved and taken away."""

from orch.adapters.worktrees.hooks import Hooks
from orch.adapters.worktrees.trees import GitWorktrees, repair

__all__ = ["GitWorktrees", "Hooks", "repair"]
