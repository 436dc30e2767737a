"""The person's own commands for a new worktree, and for one that goes."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from orch.adapters import tails
from orch.adapters.store import atomic
from orch.core.model import RunKey
from orch.errors import PermanentError

GRACE_SECONDS = 2.0
"""Between SIGTERM and SIGKILL for a hook that is over its time."""

MARK = "ORCH_HOOK_TREE"
"""In a hook's environment: by it the hooks of an orch that was killed are found."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What [worktree] in config.toml says about making a worktree usable."""

    setup: str = ""
    """A shell command, run once in each new worktree before its first worker. Empty: none."""
    teardown: str = ""
    """A shell command, run before a worktree is removed. Its failure is only told."""
    copy: tuple[str, ...] = ()
    """Glob patterns relative to the repository: copied into a worktree where they are missing."""
    link: tuple[str, ...] = ()
    """Paths relative to the repository: linked to where they are missing."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The whole environment of the commands; ORCH_TASK_ID, ORCH_BRANCH and ORCH_ATTEMPT are added."""
    setup_seconds: float = 600.0
    """Dependencies may have to be fetched."""
    teardown_seconds: float = 60.0

    def run(self, name: str, run: RunKey, branch: str, tree: Path, runs: Path) -> None:
        """Run `setup` or `teardown` in a worktree, if there is such a command.

        What it prints goes to NAME.log in the run directory, which lies in `runs`. Raises as `execute`.
        """
        command, seconds = {
            "setup": (self.setup, self.setup_seconds),
            "teardown": (self.teardown, self.teardown_seconds),
        }[name]
        if not command:
            return
        env = {"ORCH_TASK_ID": run.task, "ORCH_ATTEMPT": str(run.attempt), "ORCH_BRANCH": branch}
        # An orch that was killed may have left this hook at work here, or the other one.
        end_leftovers(tree)
        folder = runs / run.task / str(run.attempt)
        log = (folder if folder.is_dir() else runs) / f"{name}.log"
        execute(name, command, tree, env={**self.env, **env}, log=log, seconds=seconds)


def execute(
    name: str, command: str, tree: Path, *, env: Mapping[str, str], log: Path, seconds: float
) -> None:
    """Run a hook in the worktree. What it prints goes to the file `log`.

    Raises PermanentError where it fails or takes longer than `seconds`, TransientError where it cannot
    be started.
    """
    env = {**env, MARK: str(tree)}
    atomic.make_folder(log.parent)
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                cwd=tree,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise atomic.failure("start the hook in", tree, error) from error
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        raise PermanentError(f"the {name} command took more than {seconds:g} s", hint=f"see {log}") from None
    except BaseException:
        _end(process)
        raise
    if code != 0:
        said = tails.last_line(log)
        message = f"the {name} command failed with exit code {code}" + (f": {said}" if said else "")
        raise PermanentError(message, hint=f"see {log}")


def end_leftovers(tree: Path) -> None:
    """End what an orch that was killed left running of the hooks of this worktree."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == str(tree):
                process.kill()
                found.append(process)
    psutil.wait_procs(found, timeout=GRACE_SECONDS)


def _end(process: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
