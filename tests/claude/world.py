"""A real repository, a real coordinator, the real claude; only the API is ours."""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.claude.messages_api import Ask, MessagesApi, Reply, Say, bash
from tests.e2e.projects import Project, make_project

KEY = "sk-ant-api03-a-key-of-the-tests-000000"
TOKEN = "sk-ant-oat01-a-token-of-the-tests-000000"

CONFIG = """
[agents.claude]
command = ["{binary}"]
extra_args = {extra}
[agents.claude.env]
SIGNS = "{signs}"
ANTHROPIC_BASE_URL = "{url}"
{login}
# The tests may run as root, in a container.
IS_SANDBOX = "1"
{more}
"""


@dataclass
class World:
    """A project and its API."""

    project: Project
    api: MessagesApi
    binary: Path

    def configure(
        self,
        *,
        subscription: bool = False,
        extra: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        tables: str = "",
    ) -> None:
        """Make claude the default agent; `env` is for it, `tables` for the rest of config.toml."""
        login = f'CLAUDE_CODE_OAUTH_TOKEN = "{TOKEN}"' if subscription else f'ANTHROPIC_API_KEY = "{KEY}"'
        more = "\n".join(f'{name} = "{value}"' for name, value in (env or {}).items())
        path = self.project.root / "config.toml"
        path.write_text(path.read_text().replace('default = "sh"', 'default = "claude"'))
        text = CONFIG.format(
            binary=self.binary,
            extra=json.dumps(list(extra)),
            signs=self.project.signs,
            url=self.api.url,
            login=login,
            more=more,
        )
        self.project.configure(text + tables)

    def file(self, task: str, attempt: int, name: str) -> dict[str, Any]:
        """A JSON file of a run."""
        path = self.project.root / ".orch" / "runs" / task / str(attempt) / name
        found: dict[str, Any] = json.loads(path.read_bytes())
        return found

    def attempts(self, task: str) -> int:
        """How many attempts at a task there were."""
        return len(list((self.project.root / ".orch" / "runs" / task).iterdir()))

    def wait_for_asks(self, number: int) -> None:
        """Wait until so many requests have come."""
        self.project.wait_for(lambda: len(self.api.asks) >= number, f"request {number}")

    def kill_worker(self, task: str, attempt: int) -> None:
        """The worker and its launcher, as a crash of the machine ends them."""
        process = self.file(task, attempt, "run.json")
        for pid in (process["pid"], process["agent_pid"]):
            os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """Leave nothing running."""
        for child in self.project.children:
            if child.poll() is None:  # Only a failed test leaves a coordinator.
                child.kill()
                child.wait()
        if self.project.leftovers():
            self.project.orch("stop", "--all", "--now")


def make_world(folder: Path, api: MessagesApi, binary: Path) -> World:
    """A project with an origin, and an API that is not yet told what to say."""
    return World(make_project(folder), api, binary)


def commit(name: str) -> str:
    """A command that makes a commit."""
    return f'echo {name} > {name}.txt && git add -A && git commit -qm "Add {name}"'


def commits_once(ask: Ask) -> Reply:
    """One commit, then the end of the turn: a conversation that goes on commits again."""
    if ask.turn % 2 == 0:
        return bash(commit(f"work-{ask.turn}-{ask.session[:8]}"))
    return Say("I added a file.")
