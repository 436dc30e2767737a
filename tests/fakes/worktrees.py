"""Worktrees without git: real folders, and branches that are lists of messages."""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orch.core.model import Evidence, RunKey
from orch.core.names import is_task_id
from orch.errors import OrchError, PermanentError, TransientError
from orch.ports import Worktree

BASE = "b" * 40
SIGNS = ("STOP", "BLOCKED.md")


@dataclass
class Branch:
    """What a branch has that the base has not."""

    messages: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    @property
    def head(self) -> str:
        if not self.messages:
            return BASE
        text = repr((self.messages, sorted(self.files.items())))
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class FakeWorktrees:
    """The Worktrees of a test.

    The test lets an agent work with `edit`, `commit` and `block`, or says with `leave` what `inspect`
    finds whatever is there, and lets the next calls of a method fail with `fail`.
    """

    def __init__(self, trees: Path, runs: Path) -> None:
        self.branches: dict[str, Branch] = {}
        self.saved: dict[str, dict[str, str]] = {}
        """The files that each saved ref holds."""
        self.ensured: list[RunKey] = []
        self.removed: list[str] = []
        """Tasks whose worktree was really removed, in order."""
        self.asked: list[tuple[str, str]] = []
        self._trees = trees
        self._runs = runs
        self._checked_out: dict[str, tuple[RunKey, str]] = {}
        self._evidence: dict[RunKey, Evidence] = {}
        self._errors: dict[str, list[OrchError]] = {}

    # --- what a test says ------------------------------------------------------------------------

    def edit(self, task: str, name: str, text: str) -> None:
        """Change a file and do not commit it."""
        path = self._trees / task / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self, task: str, message: str) -> None:
        """Commit whatever is in the worktree."""
        branch = self.branches[self._checked_out[task][1]]
        branch.files = self._files(self._trees / task)
        branch.messages.append(message)

    def block(self, task: str, text: str) -> None:
        """Leave BLOCKED.md."""
        self.edit(task, "BLOCKED.md", text)

    def leave(self, run: RunKey, evidence: Evidence) -> None:
        """Let `inspect` find this after a run."""
        self._evidence[run] = evidence

    def fail(self, method: str, *errors: OrchError) -> None:
        """Let the next calls of `ensure`, `inspect`, `remove` or `ask` raise these, in order."""
        self._errors.setdefault(method, []).extend(errors or [TransientError(f"{method} failed")])

    # --- the protocol ----------------------------------------------------------------------------

    def ensure(self, run: RunKey, branch: str, fresh: bool = False) -> Worktree:
        tree = self._enter("ensure", run.task)
        self._archive(run, tree)
        if fresh:
            old = self.branches.get(branch, Branch())
            content = self._files(tree)
            if old.messages or content != old.files:
                self._save(run, {**old.files, **content})
            shutil.rmtree(tree, ignore_errors=True)
            self.branches[branch] = Branch()
        there = self.branches.setdefault(branch, Branch())
        if not tree.is_dir():
            tree.mkdir(parents=True)
            self._checked_out[run.task] = (run, branch)
            for name, text in there.files.items():
                self.edit(run.task, name, text)
        self._checked_out[run.task] = (run, branch)
        self.ensured.append(run)
        return Worktree(tree, branch, BASE)

    def inspect(self, run: RunKey, branch: str) -> Evidence:
        tree = self._enter("inspect", run.task)
        if run in self._evidence:
            return self._evidence[run]
        there = self.branches.get(branch)
        changed = self._changed(tree, there or Branch())
        blocked = tree / "BLOCKED.md"
        return Evidence(
            head=there.head if there else "",
            commits=tuple(there.messages) if there else (),
            uncommitted=len(changed),
            saved=self._save(run, self._files(tree)) if changed else "",
            blocked=blocked.read_text(errors="replace") if blocked.is_file() else None,
        )

    def remove(self, task: str) -> str:
        tree = self._enter("remove", task)
        if not tree.is_dir():
            return ""
        run, branch = self._checked_out[task]
        ref = self._save(run, self._files(tree)) if self._changed(tree, self.branches[branch]) else ""
        shutil.rmtree(tree)
        self.removed.append(task)
        return ref

    def ask(self, task: str, reason: str) -> None:
        tree = self._enter("ask", task)
        if tree.is_dir():
            (tree / "STOP").write_text(reason + "\n")
            self.asked.append((task, reason))

    def list(self) -> Mapping[str, Path]:
        found = sorted(self._trees.iterdir()) if self._trees.is_dir() else []
        return {path.name: path for path in found if is_task_id(path.name) and path.is_dir()}

    # --- inside ------------------------------------------------------------------------------------

    def _enter(self, method: str, task: str) -> Path:
        if not is_task_id(task):
            raise PermanentError(f"{task!r} is not a task id")
        if self._errors.get(method):
            raise self._errors[method].pop(0)
        tree = self._trees / task
        if tree.is_symlink():
            raise PermanentError(f"{tree} is a symbolic link")
        return tree

    def _archive(self, run: RunKey, tree: Path) -> None:
        before = self._runs / run.task / str(run.attempt - 1)
        into = before if before.is_dir() else self._runs / run.task / str(run.attempt)
        for name in SIGNS:
            if (tree / name).is_file() and into.is_dir():
                shutil.move(tree / name, into / name)

    def _files(self, tree: Path) -> dict[str, str]:
        paths = sorted(path for path in tree.rglob("*") if path.is_file()) if tree.is_dir() else []
        return {
            path.relative_to(tree).as_posix(): path.read_text() for path in paths if path.name not in SIGNS
        }

    def _changed(self, tree: Path, branch: Branch) -> set[str]:
        if not tree.is_dir():
            return set()
        return {name for name, _ in self._files(tree).items() ^ branch.files.items()}

    def _save(self, run: RunKey, files: dict[str, str]) -> str:
        number = 1
        while True:
            ref = f"refs/orch/saved/{run.task}/{run.attempt}" + (f"-{number}" if number > 1 else "")
            if self.saved.setdefault(ref, files) == files:
                return ref
            number += 1
