"""An agent that is any command: the prompt on stdin, the verdict from the exit code."""

import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from orch.adapters import tails
from orch.adapters.agents import output
from orch.core.model import Activity, EndReason, Exit, Run, Verdict
from orch.ports import Command

UNCHARGED = frozenset({EndReason.SPAWN, EndReason.STOPPED, EndReason.INTERRUPTED})
"""Ends that say nothing about the task: they cost no attempt (issue 2, number 8)."""

_REASONS = {
    EndReason.TIMEOUT: "timed out",
    EndReason.MEMORY: "over its memory limit",
    EndReason.STALLED: "stalled, no output and no CPU",
    EndReason.OUTPUT: "printed too much",
    EndReason.STOPPED: "stopped",
    EndReason.LINGERED: "did not leave after its last word",
    EndReason.SPAWN: "the command could not be started",
    EndReason.LOST: "the launcher vanished",
    EndReason.INTERRUPTED: "the machine restarted",
}


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
        self._root = root
        self._model = model

    @property
    def name(self) -> str:
        """The NAME of `[agents.NAME]`."""
        return self._name

    def problem(self) -> str:
        """Why the command cannot be started now and what to do about it, or ''."""
        program = self._command[0] if self._command else ""
        if not program:
            return f"[agents.{self._name}] command is empty: name a program in config.toml"
        if self._find(program):
            return ""
        if "/" in program:
            path = self._root / program
            wrong = "is not executable" if path.is_file() else "is not there"
            return f"{path} {wrong}: mend it, or change [agents.{self._name}] command in config.toml"
        return (
            f"{program} is not on the PATH of the workers: "
            f"install it, or change [agents.{self._name}] command in config.toml"
        )

    def command(self, run: Run, directory: Path, worktree: Path) -> Command:  # noqa: ARG002
        """The command for a run whose files lie in `directory`.

        A program that is not found stays as it is: starting it then fails with the reason SPAWN.
        """
        program, *rest = self._command or ("",)
        env = self._environment | {
            "ORCH_TASK_ID": run.key.task,
            "ORCH_ATTEMPT": str(run.key.attempt),
            "ORCH_BRANCH": run.claim.branch,
            "ORCH_PROMPT_FILE": str((directory / "prompt.md").absolute()),
        }
        if model := run.claim.model or self._model:
            env["ORCH_MODEL"] = model
        return Command(argv=(self._find(program) or program, *rest), env=env)

    def verdict(self, directory: Path, exit: Exit) -> Verdict:
        """Ok if the command left with 0; else why not, with the end of what it printed."""
        if exit.ok:
            return Verdict(ok=True)
        return Verdict(
            ok=False,
            reason=describe(exit),
            charged=exit.reason not in UNCHARGED,
            tail=output.tail(directory),
        )

    def activity(self, directory: Path) -> Activity:
        """The last line that the command printed, at most 200 characters."""
        return Activity(output.last_line(directory))

    def _find(self, program: str) -> str:
        """The absolute path of an executable, '' where there is none."""
        if "/" in program:
            path = self._root.absolute() / program
            return str(path) if path.is_file() and os.access(path, os.X_OK) else ""
        # A relative entry of PATH would mean a folder in the worktree, whose content is untrusted.
        folders = self._environment.get("PATH", os.defpath).split(os.pathsep)
        search = os.pathsep.join(folder for folder in folders if folder.startswith("/"))
        return (shutil.which(program, path=search) if program and search else None) or ""


def describe(exit: Exit) -> str:
    """One line for a person: how a worker's process ended."""
    if exit.reason is not EndReason.EXITED:
        what = _REASONS[exit.reason]
    elif exit.signal is not None:
        what = f"killed by {_signal_name(exit.signal)}"
    else:
        what = "ended without an exit code" if exit.code is None else f"exit code {exit.code}"
    message = tails.clean(exit.message).replace("\n", " ").strip()
    return f"{what}: {message}" if message and message != what else what


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
