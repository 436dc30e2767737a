"""What the agents that print JSON lines have in common: a program, its log, and who may go on with what."""

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Generic

from orch.adapters.agents import conversations
from orch.adapters.agents.program import Program, describe_run
from orch.adapters.agents.progress import Kind, Logs, Maker
from orch.config import AgentSettings
from orch.core.model import Activity, Exit, Run, Verdict
from orch.errors import TransientError

BUSY_SECONDS = 30.0
"""A conversation that another process has is tried again after this."""


class StreamingAgent(Generic[Kind]):
    """An agent whose output is read by a `Progress`."""

    def __init__(
        self,
        name: str,
        program: str,
        settings: AgentSettings,
        environment: Mapping[str, str],
        root: Path,
        make: Maker[Kind],
    ) -> None:
        """`program` is the command where the settings name none; the PATH of `environment` finds it."""
        self._name = name
        self._words = settings.command or (program,)
        self._settings = settings
        self._root = root
        self._environment = dict(environment)
        self._program = Program(name, self._words[0], environment.get("PATH", os.defpath), root)
        self._logs = Logs(make)

    @property
    def name(self) -> str:
        """The NAME of `[agents.NAME]`."""
        return self._name

    def problem(self) -> str:
        """Why it cannot be started now and what to do about it, or ''."""
        return self._program.problem()

    def verdict(self, directory: Path, exit: Exit) -> Verdict:
        """What the run's own output says."""
        return self._logs.verdict(directory, exit)

    def activity(self, directory: Path) -> Activity:
        """What the worker is doing now, and what it has used."""
        return self._logs.activity(directory)

    def _start_of_argv(self) -> tuple[str, ...]:
        """The command as it is configured. A program that is not found stays as it is: that ends in SPAWN."""
        return (self._program.find() or self._words[0], *self._words[1:])

    def _worker_environment(self, run: Run, directory: Path, defaults: Mapping[str, str]) -> dict[str, str]:
        """`defaults`, then what a person configured, then what the run is about."""
        return {**defaults, **self._environment, **describe_run(run, directory)}

    def _model(self, run: Run) -> str:
        """The model to ask for, '' for the agent's own default."""
        return run.claim.model or self._settings.model

    def _resumed(self, run: Run) -> str:
        """The conversation that the run goes on with, '' for none or what cannot be the name of one.

        Raises TransientError while another process has it.
        """
        try:
            session = str(uuid.UUID(run.claim.resume))
        except ValueError:
            return ""
        if holder := self._find_holder(session):
            raise TransientError(
                f"the conversation {session} of {run.key.task} is in use by process {holder}",
                retry_after=BUSY_SECONDS,
                hint=f"end that process, or orch retry {run.key.task} --fresh",
            )
        return session

    def _find_holder(self, session: str) -> int:
        """The pid of another process that has the conversation, 0 for none."""
        return conversations.find_holder(session)


def new_session_id(run: Run, directory: Path) -> str:
    """The name of a new conversation: the same for the same claim, so that a second start is noticed.

    Another claim of the same attempt (the run directories were removed) gives another one.
    """
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"orch:{directory.absolute()}@{run.claim.claimed_at!r}"))
