"""Codex as an agent: `codex exec --json`, as OpenAI's docs/exec.md describes it (tried with 0.171.0).

A line is a `thread.started`, a `turn.started`, `turn.completed` (with the usage) or `turn.failed`, an
`item.started`, `item.updated` or `item.completed`, or an `error`, after which it may well go on. It tells no
price, names its conversation itself, and takes no limit of money. The usage adds up over a conversation, also
over its earlier runs.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from orch.adapters import git
from orch.adapters.agents import fields
from orch.adapters.agents.fields import Fields
from orch.adapters.agents.lines import edges
from orch.adapters.agents.streaming import StreamingAgent
from orch.adapters.agents.told import ToldProgress
from orch.config import AgentSettings
from orch.core.model import Run
from orch.errors import OrchError
from orch.ports import Command

SANDBOX = "workspace-write"
"""Codex asks nothing under `exec`: what its sandbox forbids fails. The network is off in this one."""
LAST_WORDS = frozenset({"turn.completed", "turn.failed"})
EDGE_BYTES = 64 * 1024
"""Of an earlier log: its thread is named at the beginning, what it used at the end."""
_TELLING = ("command", "query", "tool", "text", "message")
"""The part of an item that tells what is done, in this order."""


class CodexAgent(StreamingAgent["CodexProgress"]):
    """`[agents.NAME] kind = "codex"`."""

    def __init__(
        self, name: str, settings: AgentSettings, environment: Mapping[str, str], *, root: Path
    ) -> None:
        """`environment` is the worker's, from the allow-list; `root` is the project."""
        super().__init__(name, "codex", settings, environment, root, CodexProgress)
        self._sandbox = settings.permission_mode or SANDBOX

    def command(self, run: Run, directory: Path, worktree: Path) -> Command:
        """See `Agent`."""
        resumed = self._resumed(run)
        argv = [*self._start_of_argv(), "exec", "--json", f"--cd={worktree.absolute()}"]
        argv.append(f"--sandbox={self._sandbox}")
        if self._sandbox == SANDBOX:
            argv += [f"--add-dir={folder}" for folder in _find_git_folders(self._root, worktree)]
        if model := self._model(run):
            argv.append(f"--model={model}")
        argv += self._settings.extra_args
        argv += ["resume", resumed, "-"] if resumed else ["-"]
        env = self._worker_environment(run, directory, {})
        return Command(argv=tuple(argv), env=env, session_id=resumed, last_words=LAST_WORDS)


def _find_git_folders(root: Path, worktree: Path) -> Sequence[Path]:
    """Where a commit in the worktree writes: in the repository, and in its part for just this worktree.

    Codex keeps the second from being written, even inside the first, unless it is named too.
    """
    try:
        common = git.common_directory(root)
    except OrchError:
        return ()
    try:
        told = (worktree / ".git").read_text().removeprefix("gitdir:").strip()
    except (OSError, ValueError):
        return (common,)
    folder = Path(os.path.realpath(worktree / told))
    # The file lies in the worktree: what an earlier attempt may have put there is not believed.
    inside = folder.is_relative_to(os.path.realpath(common / "worktrees"))
    return (common, folder) if inside else (common,)


class CodexProgress(ToldProgress):
    """See `Progress`."""

    _before = 0
    """What the conversation had used before this run."""

    def _take(self, kind: str, line: Fields) -> None:
        match kind:
            case "thread.started":
                self._session_id = fields.text(line, "thread_id")
                self._before = _find_usage(self._directory, self._session_id)
            case "turn.started":
                self._ended = None
                self._turns += 1
            case "turn.completed":
                self._ended, self._error = True, ""
                self._tokens = max(0, _count(line) - self._before)
            case "turn.failed":
                self._ended = False
                self._error = fields.text(fields.below(line, "error"), "message") or self._error
            case "error":
                self._error = self._doing = fields.text(line, "message")
            case "item.started" | "item.updated" | "item.completed":
                self._take_item(fields.below(line, "item"))
            case _:
                pass

    def _take_item(self, item: Fields) -> None:
        kind = fields.text(item, "type")
        if kind == "agent_message":
            self._say(fields.text(item, "text"))
            return
        paths = (fields.text(change, "path") for change in fields.objects(item, "changes"))
        told = next((value for name in _TELLING if (value := fields.text(item, name))), "")
        self._use(kind.replace("_", " "), told or ", ".join(filter(None, paths)))


def _count(completed: Fields) -> int:
    """The tokens of a `turn.completed`. What was read from the cache is part of what was read."""
    usage = fields.below(completed, "usage")
    return fields.count(usage, "input_tokens") + fields.count(usage, "output_tokens")


def _find_usage(directory: Path, thread: str) -> int:
    """What a conversation had used before the attempt of `directory`, 0 for nothing."""
    for attempt in range(int(directory.name) - 1 if directory.name.isdecimal() else 0, 0, -1):
        first, last = edges(directory.parent / str(attempt) / "stdout.jsonl", EDGE_BYTES)
        if thread not in (fields.text(fields.parse(line), "thread_id") for line in first):
            continue
        for line in map(fields.parse, reversed(last)):
            if fields.text(line, "type") == "turn.completed":
                return _count(line)
    return 0
