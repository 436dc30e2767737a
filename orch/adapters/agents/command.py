"""An agent that is any command: the prompt on stdin, the verdict from the exit code."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from orch.adapters.agents import exits, output
from orch.adapters.agents.program import Program, describe_run
from orch.core.model import Activity, Exit, Run, Verdict
from orch.ports import Command


class CommandAgent:
    """`[agents.NAME] kind = "command"`."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        root: Path,
        extra_args: Sequence[str] = (),
        model: str = "",
    ) -> None:
        """`environment` is the worker's, from the allow-list; its PATH finds the command.

        A command with a slash in it lies relative to `root`, the project. `extra_args` come after
        the command's own; `model` reaches the command as $ORCH_MODEL.
        """
        self._name = name
        self._command = (*command, *extra_args)
        self._environment = dict(environment)
        self._program = Program(
            name, command[0] if command else "", environment.get("PATH", os.defpath), root
        )
        self._model = model

    @property
    def name(self) -> str:
        """The NAME of `[agents.NAME]`."""
        return self._name

    def problem(self) -> str:
        """Why the command cannot be started now and what to do about it, or ''."""
        return self._program.problem()

    def command(self, run: Run, directory: Path, worktree: Path) -> Command:  # noqa: ARG002
        """The command for a run whose files lie in `directory`.

        A program that is not found stays as it is: starting it then fails with the reason SPAWN.
        """
        program, *rest = self._command or ("",)
        env = {**self._environment, **describe_run(run, directory)}
        if model := run.claim.model or self._model:
            env["ORCH_MODEL"] = model
        return Command(argv=(self._program.find() or program, *rest), env=env)

    def verdict(self, directory: Path, exit: Exit) -> Verdict:
        """Ok if the command left with 0; else why not, with the end of what it printed."""
        if exit.ok:
            return Verdict(ok=True)
        return Verdict(
            ok=False,
            reason=exits.describe(exit),
            charged=not exits.is_free(exit),
            tail=output.tail(directory),
        )

    def activity(self, directory: Path) -> Activity:
        """The last line that the command printed, at most 200 characters."""
        return Activity(output.last_line(directory))
