"""Gemini CLI as an agent: `-o stream-json`, as docs/cli/headless.md describes it (tried with 0.61.0).

A line is an `init`, a `message` (often in pieces: `delta`), a `tool_use`, a `tool_result`, an `error`, after
which it goes on, or the `result` with the tokens. It tells no price and takes no limit of money. What is
wrong before it begins stands on stderr, with exit code 41 (login), 42 (input) or 53 (turns).
"""

from collections.abc import Mapping
from pathlib import Path

from orch.adapters.agents import fields
from orch.adapters.agents.fields import Fields
from orch.adapters.agents.progress import TEXT_LENGTH
from orch.adapters.agents.streaming import StreamingAgent, new_session_id
from orch.adapters.agents.told import ToldProgress
from orch.config import AgentSettings
from orch.core.model import Cause, Exit, Run, Verdict
from orch.ports import Command

UNATTENDED = "yolo"
"""The approval mode in which nobody has to answer: everything is allowed."""
LAST_WORDS = frozenset({"result"})
EXITS = {41: Cause.AUTHENTICATION, 53: Cause.MAX_TURNS}


class GeminiAgent(StreamingAgent["GeminiProgress"]):
    """`[agents.NAME] kind = "gemini"`."""

    def __init__(
        self, name: str, settings: AgentSettings, environment: Mapping[str, str], *, root: Path
    ) -> None:
        """`environment` is the worker's, from the allow-list; `root` is the project."""
        super().__init__(name, "gemini", settings, environment, root, GeminiProgress)
        self._approval = settings.permission_mode or UNATTENDED

    def command(self, run: Run, directory: Path, worktree: Path) -> Command:  # noqa: ARG002
        """See `Agent`."""
        resumed = self._resumed(run)
        session = resumed or new_session_id(run, directory)
        argv = [*self._start_of_argv(), "--output-format=stream-json", f"--approval-mode={self._approval}"]
        # It refuses to work in a folder that nobody has called trusted, and nobody is asked here.
        argv += ["--skip-trust", f"--resume={session}" if resumed else f"--session-id={session}"]
        if model := self._model(run):
            argv.append(f"--model={model}")
        env = self._worker_environment(run, directory, {})
        return Command((*argv, *self._settings.extra_args), env, session_id=session, last_words=LAST_WORDS)


class GeminiProgress(ToldProgress):
    """See `Progress`."""

    def __init__(self, directory: Path) -> None:
        """Nothing is printed yet in the run directory."""
        super().__init__(directory)
        self._is_speaking = False

    def _take(self, kind: str, line: Fields) -> None:
        speaks = kind == "message" and fields.text(line, "role") == "assistant"
        match kind:
            case "init":
                self._session_id = fields.text(line, "session_id")
                self._ended = None
            case "message" if speaks:
                said = fields.text(line, "content")
                goes_on = self._is_speaking and line.get("delta") is True
                self._say((self._summary + said)[-TEXT_LENGTH:] if goes_on else said)
            case "tool_use":
                self._turns += 1
                self._use(fields.text(line, "tool_name"), fields.telling(fields.below(line, "parameters")))
            case "error":
                self._error = fields.text(line, "message")
            case "result":
                self._ended = fields.text(line, "status") == "success"
                self._error = fields.text(fields.below(line, "error"), "message") or self._error
                self._tokens += fields.count(fields.below(line, "stats"), "total_tokens")
            case _:
                pass
        self._is_speaking = speaks

    def verdict(self, exit: Exit, directory: Path) -> Verdict:
        """As others; where it never began, its exit code tells why."""
        found = super().verdict(exit, directory)
        cause = EXITS.get(exit.code or 0)
        return found if found.ok or cause is None else self._conclude(cause, found.reason, tail=found.tail)
