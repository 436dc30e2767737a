"""The person's own commands for a new worktree, and for one that goes."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from orch.adapters import tails
from orch.adapters.executors import portable
from orch.adapters.executors.guarding import Command, Guarded
from orch.adapters.store import atomic
from orch.core.model import EndReason, RunKey
from orch.core.values import dataclass
from orch.errors import PermanentError, TransientError

GRACE_SECONDS = 2.0
"""Between SIGTERM and SIGKILL for a hook that is over its time."""

MARK = "ORCH_HOOK_TREE"
"""In a hook's environment: by it all that it started is found."""


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

    def run(
        self, name: str, run: RunKey, branch: str, tree: Path, runs: Path, *, hold: Sequence[int] = ()
    ) -> None:
        """Run `setup` or `teardown` in a worktree, if there is such a command.

        What it prints goes to NAME.log in the run directory, which lies in `runs`; `hold` are descriptors
        of locks, see `git.run`. Raises as `execute`.
        """
        command, seconds = {
            "setup": (self.setup, self.setup_seconds),
            "teardown": (self.teardown, self.teardown_seconds),
        }[name]
        if not command:
            return
        env = {"ORCH_TASK_ID": run.task, "ORCH_ATTEMPT": str(run.attempt), "ORCH_BRANCH": branch}
        # Where a guard was killed too, its hook may still be at work here.
        end_leftovers(tree)
        folder = runs / str(run)
        log = (folder if folder.is_dir() else runs) / f"{name}.log"
        execute(name, command, tree, env={**self.env, **env}, log=log, seconds=seconds, hold=hold)


def execute(
    name: str,
    command: str,
    tree: Path,
    *,
    env: Mapping[str, str],
    log: Path,
    seconds: float,
    hold: Sequence[int] = (),
) -> None:
    """Run a hook in the worktree. What it prints goes to the file `log`.

    All that it started ends with it, and it ends with this process. Raises PermanentError where it fails
    or takes longer than `seconds`, TransientError where it cannot be started or was ended from outside.
    """
    atomic.make_folder(log.parent)
    hook = Command(
        Guarded(
            what=f"the {name} command",
            command=command,
            folder=tree,
            env={**env, MARK: str(tree)},
            mark=MARK,
            log=log,
            timeout=seconds,
            grace=GRACE_SECONDS,
            hold=hold,
        )
    )
    try:
        exit = hook.run()
    except TransientError:
        end_leftovers(tree)
        raise
    if exit.reason is EndReason.TIMEOUT:
        raise PermanentError(f"the {name} command took more than {seconds:g} s", hint=f"see {log}")
    if exit.code != 0:
        said = tails.last_line(log)
        how = f"failed with exit code {exit.code}"
        if exit.signal is not None:
            how = f"was ended by signal {exit.signal}"
        message = f"the {name} command {how}" + (f": {said}" if said else "")
        raise PermanentError(message, hint=f"see {log}")


def end_leftovers(tree: Path) -> None:
    """End what a guard that was killed left running of the hooks of this worktree.

    Raises TransientError where that cannot be done.
    """
    try:
        left = portable.sweep(str(tree), GRACE_SECONDS, name=MARK)
    except OSError as error:
        raise atomic.failure("look for hooks in", tree, error) from error
    if left:
        pids = ", ".join(map(str, left))
        raise TransientError(f"processes of a hook in {tree} cannot be ended: {pids}")
