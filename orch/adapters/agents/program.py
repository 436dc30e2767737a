"""The program that an agent is: where it lies, and what a worker of it finds in its environment."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from orch.core.model import Run


class Program:
    """The first word of a command, as the workers will find it."""

    def __init__(self, agent: str, word: str, path: str, root: Path) -> None:
        """`agent` is the NAME of `[agents.NAME]`, `path` the PATH of its workers.

        A word with a slash in it lies relative to `root`, the project.
        """
        self._agent = agent
        self._word = word
        self._path = path
        self._root = root

    def find(self) -> str:
        """Its absolute path, '' where there is none that can be executed."""
        if "/" in self._word:
            path = self._root.absolute() / self._word
            return str(path) if path.is_file() and os.access(path, os.X_OK) else ""
        # A relative entry of PATH would mean a folder in the worktree, whose content is untrusted.
        folders = self._path.split(os.pathsep)
        search = os.pathsep.join(folder for folder in folders if folder.startswith("/"))
        return (shutil.which(self._word, path=search) if self._word and search else None) or ""

    def problem(self) -> str:
        """Why it cannot be started and what to do about it, or ''."""
        if not self._word:
            return f"[agents.{self._agent}] command is empty: name a program in config.toml"
        if self.find():
            return ""
        if "/" in self._word:
            path = self._root / self._word
            wrong = "is not executable" if path.is_file() else "is not there"
            return f"{path} {wrong}: mend it, or change [agents.{self._agent}] command in config.toml"
        return (
            f"{self._word} is not on the PATH of the workers: "
            f"install it, or change [agents.{self._agent}] command in config.toml"
        )


def describe_run(run: Run, directory: Path) -> Mapping[str, str]:
    """What every worker is told in its environment about its run, whose files lie in `directory`."""
    return {
        "ORCH_TASK_ID": run.key.task,
        "ORCH_ATTEMPT": str(run.key.attempt),
        "ORCH_BRANCH": run.claim.branch,
        "ORCH_PROMPT_FILE": str((directory / "prompt.md").absolute()),
    }
