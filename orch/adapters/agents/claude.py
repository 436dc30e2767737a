"""Claude Code as an agent: `claude -p` with its stream of JSON lines (measured: 2.1.329).

The prompt comes on standard input: an argument of 200 KB cannot be started. What the repository could have
run is off unless it is trusted: hooks, helpers for keys, its MCP servers; its CLAUDE.md is read all the same.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from orch.adapters.agents import claude_login, conversations, versions
from orch.adapters.agents.claude_prices import Prices
from orch.adapters.agents.claude_stream import ClaudeProgress
from orch.adapters.agents.streaming import StreamingAgent, new_session_id
from orch.adapters.store import atomic
from orch.config import AgentSettings
from orch.core.model import Run
from orch.ports import Command

OLDEST = (2, 1, 0)
"""The stream of earlier versions is another one."""
PACKAGE = "@anthropic-ai/claude-code"
UNATTENDED = "bypassPermissions"
"""The one permission mode in which nobody has to answer: everything is allowed."""
MAX_RETRIES = 6
"""Of a call that the API does not answer: about 35 seconds. The ten of claude's own are three minutes, also
for a wrong key, in which nothing is known of it."""
LEAST_USD = 0.0001
"""A budget of nothing is refused as an argument."""
LAST_WORDS = frozenset({"result"})

DEFAULTS: Mapping[str, str] = {
    # A background task keeps the process for ten minutes after its result.
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    # What one task learned must not steer another one.
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    # No updates in the middle of the work, no telemetry.
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_MAX_RETRIES": str(MAX_RETRIES),
}
"""The environment of every worker; `env` in config.toml overrides it."""
READS_INSTRUCTIONS = {"CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD": "1"}
"""CLAUDE.md and .claude/rules of the worktree are read although no settings of it are."""


class ClaudeAgent(StreamingAgent[ClaudeProgress]):
    """`[agents.NAME] kind = "claude"`."""

    def __init__(
        self, name: str, settings: AgentSettings, environment: Mapping[str, str], *, root: Path
    ) -> None:
        """`environment` is the worker's, from the allow-list; `root` is the project."""
        prices = Prices()

        def make(directory: Path) -> ClaudeProgress:
            return ClaudeProgress(prices.recall(directory.parents[1]))

        super().__init__(name, "claude", settings, environment, root, make)
        self._permission_mode = settings.permission_mode or UNATTENDED

    def problem(self) -> str:
        """Why claude cannot be started now and what to do about it, or ''."""
        return (
            super().problem()
            or versions.problem(self._program.find(), PACKAGE, OLDEST, "claude update")
            or self._refusal()
            or self._login_problem()
        )

    def command(self, run: Run, directory: Path, worktree: Path) -> Command:
        """See `Agent`. Writes claude-settings.json into `directory`."""
        resumed = self._resumed(run)
        session = resumed or new_session_id(run, directory)
        settings = directory / "claude-settings.json"
        atomic.write(settings, json.dumps(self._settings_file(), indent=2).encode())
        argv = [*self._start_of_argv(), "-p", "--output-format", "stream-json", "--verbose"]
        argv += ["--resume" if resumed else "--session-id", session]
        argv += ["--permission-mode", self._permission_mode]
        argv += ["--settings", str(settings.absolute())]
        env = dict(DEFAULTS)
        if not self._settings.trust_hooks:
            argv += ["--setting-sources", "", "--strict-mcp-config", f"--add-dir={worktree.absolute()}"]
            env.update(READS_INSTRUCTIONS)
        if self._settings.mcp_config:
            argv += [f"--mcp-config={self._root.absolute() / self._settings.mcp_config}"]
        if model := self._model(run):
            argv += [f"--model={model}"]  # one word: what a task's line says is never an option
        if (budget := run.claim.budget_usd) is not None:
            argv += ["--max-budget-usd", f"{max(budget, LEAST_USD):.4f}"]
        return Command(
            argv=(*argv, *self._settings.extra_args),
            env=self._worker_environment(run, directory, env),
            session_id=session,
            last_words=LAST_WORDS,
        )

    def _find_holder(self, session: str) -> int:
        """See StreamingAgent; claude notes who has which conversation, also one that a person picked."""
        folder = claude_login.config_folder(self._environment) / "sessions"
        return super()._find_holder(session) or conversations.find_noted(folder, session)

    def _settings_file(self) -> Mapping[str, object]:
        return {
            "disableAllHooks": not self._settings.trust_hooks,
            # A commit is its author's: nothing is added to its message. The second is an older name.
            "attribution": {"commit": "", "pr": ""},
            "includeCoAuthoredBy": False,
        }

    def _refusal(self) -> str:
        """What claude itself refuses to do."""
        if self._permission_mode != UNATTENDED or os.geteuid() or self._environment.get("IS_SANDBOX"):
            return ""
        return (
            f"claude refuses permission_mode = {UNATTENDED!r} to root: run orch as another user, or, in a "
            f'container that may be spoilt, set env = {{ IS_SANDBOX = "1" }} in [agents.{self._name}]'
        )

    def _login_problem(self) -> str:
        """What is known to be wrong with the login, and what to do."""
        # With settings that may name a helper for the key, nothing can be known from here.
        if self._settings.trust_hooks or any(
            word.startswith("--setting") for word in self._settings.extra_args
        ):
            return ""
        wrong = claude_login.problem(self._environment, time.time())
        return wrong and (
            f"{wrong}: start claude as this user and type /login, or set ANTHROPIC_API_KEY and name it in "
            f"[agents.{self._name}] env_pass"
        )
