"""`orch merge` and `orch clean`: what is left to do with finished work."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from orch.cli import help as texts
from orch.cli.place import Place
from orch.cli.reference import TaskName, choose, known_ids
from orch.dashboard.plain import printable
from orch.errors import ConfigError

if TYPE_CHECKING:
    from orch.core.model import PullRequest, Task
    from orch.wiring import Project

app = typer.Typer()


@app.command(rich_help_panel=texts.WORK, epilog=texts.examples("orch diff 471", "orch merge 471"))
def merge(context: typer.Context, task: TaskName) -> None:
    """Merge the pull request of a task into its base branch.

    On a conflict nothing is changed, and the exit code is 1. Doing it twice is doing it once.
    """
    from orch.core.model import Status
    from orch.core.rules.complete import ABBREVIATION

    place: Place = context.obj
    project = place.open()
    name = choose(task, known_ids(project))
    reading = project.tasks.read()
    line = reading.document.tasks.get(name) if reading else None
    run = project.runs.load().get(name)
    if run is None:
        raise ConfigError(f"{name} was not started yet", hint="orch status shows the queue")
    if run.live or (line is not None and line.mark.status is Status.ACTIVE):
        raise ConfigError(f"{name} is being worked on", hint=f"wait for it, or orch stop {name}")
    pull = project.ports.forge.find(run.claim.branch)
    if pull is None:
        raise ConfigError(f"{name} has no pull request", hint=f"orch show {name} says why")
    was_merged = pull.state == "merged"
    if not was_merged:
        pull = project.ports.forge.merge(pull.number)
    _record(project, line, pull)
    done = "was merged already" if was_merged else "is merged"
    into = f" into {pull.base}" if pull.base else ""
    typer.echo(printable(f"#{pull.number} {done}{into} as {pull.merged_commit[:ABBREVIATION]}."))


def _record(project: "Project", line: "Task | None", pull: "PullRequest") -> None:
    """Write `- Merged:` under the task, unless it stands there."""
    from orch.core.actions import SetMark
    from orch.core.model import Status
    from orch.core.rules.edits import merged_text

    if line is None or line.mark.status is not Status.COMPLETED or "Merged" in line.fields:
        return
    text = merged_text(time.strftime("%Y-%m-%d %H:%M:%S"), pull.merged_commit)
    project.tasks.apply([SetMark(line.id, line.mark, line.mark, (("Merged", text),))])


@app.command(rich_help_panel=texts.PROJECT, epilog=texts.examples("orch clean --dry-run", "orch clean"))
def clean(
    context: typer.Context,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
) -> None:
    """Remove worktrees that nobody works in, and old run directories.

    What is uncommitted in a worktree is saved under refs/orch/saved first; `orch show` says where.
    """
    from orch import wiring

    place: Place = context.obj
    lines = wiring.clean(place.open(), dry_run=dry_run)
    for line in lines:
        typer.echo(printable(line))
    if not lines:
        typer.echo("There is nothing to clean.")
