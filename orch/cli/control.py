"""`orch stop`, `pause`, `resume`, `retry`: what is asked of a coordinator, now or at its next start."""

from typing import TYPE_CHECKING, Annotated

import typer

from orch.cli import help as texts
from orch.cli.place import Place
from orch.cli.reference import TaskName, choose, complete, known_ids
from orch.errors import ConfigError

if TYPE_CHECKING:
    from orch.wiring import Project

app = typer.Typer()
FROM_NEXT_START = "No coordinator runs: it holds from the next `orch run` on."


@app.command(
    rich_help_panel=texts.FLEET,
    epilog=texts.examples("orch stop 471", "orch stop 471 472 --now", "orch stop --all"),
)
def stop(
    context: typer.Context,
    tasks: Annotated[
        list[str] | None, typer.Argument(metavar="[TASK]...", help="Which.", autocompletion=complete)
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every active task.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Do not give the agent time to stop by itself.")] = False,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="For the agent, and for tasks.md.")
    ] = "stopped by orch stop",
) -> None:
    """Stop the worker of a task, or take a pending task out of the queue.

    The agent finds the file STOP in its worktree; [limits] stop_seconds later it gets SIGTERM, and
    grace_seconds after that SIGKILL. Its work is saved, the task is blocked until `orch retry`.
    Without a coordinator this command does all that itself, and waits for it.
    """
    if bool(tasks) == everything:
        raise typer.BadParameter("name the tasks, or say --all", param_hint="TASK")
    from orch.cli.stopping import find_active, find_stoppable, stop_tasks

    place: Place = context.obj
    project = place.open(lenient=True)
    names = find_active(project) if everything else find_stoppable(project, tasks or ())
    if names:
        stop_tasks(project, names, everything=everything, now=now, reason=reason)
    else:
        typer.echo("Nothing is active.")


@app.command(rich_help_panel=texts.FLEET, epilog=texts.examples('orch pause --reason "release day"'))
def pause(
    context: typer.Context,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Shown in orch status.")] = "",
) -> None:
    """Launch nothing new. Workers go on; it holds over a restart, until `orch resume`."""
    place: Place = context.obj
    _ask_pause(place.open(lenient=True), reason, "Paused.", paused=True)


@app.command(rich_help_panel=texts.FLEET, epilog=texts.examples("orch resume"))
def resume(context: typer.Context) -> None:
    """Launch again after `orch pause`."""
    place: Place = context.obj
    _ask_pause(place.open(lenient=True), "", "Resumed.", paused=False)


def _ask_pause(project: "Project", reason: str, done: str, *, paused: bool) -> None:
    from orch import wiring
    from orch.core.model import PauseRequest

    project.requests.post(PauseRequest(paused, reason))
    running = wiring.coordinator_pid(project) is not None
    typer.echo(done if running else f"{done} {FROM_NEXT_START}")


@app.command(rich_help_panel=texts.QUEUE, epilog=texts.examples("orch retry 471", "orch retry 471 --fresh"))
def retry(
    context: typer.Context,
    task: TaskName,
    *,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start from the base branch again; the old work is saved.")
    ] = False,
) -> None:
    """Queue a task again, with all its attempts before it.

    It goes on in its worktree, where the last attempt left off, and the agent is told what went wrong.
    """
    from orch import wiring
    from orch.cli.stopping import find_active, read_lines
    from orch.core.model import RetryRequest, Status

    place: Place = context.obj
    project = place.open(lenient=True)
    name = choose(task, known_ids(project))
    line = read_lines(project).get(name)
    if line is None:
        raise ConfigError(f"{name} is not in tasks.md any more", hint="write its line again to do it again")
    if name in find_active(project):
        raise ConfigError(f"{name} is active", hint=f"orch stop {name} first")
    if line.mark.status is Status.PENDING and name not in project.runs.load():
        typer.echo(f"{name} is in the queue already.")
        return
    project.requests.post(RetryRequest(name, fresh))
    running = wiring.coordinator_pid(project) is not None
    typer.echo(f"{name} is queued again." if running else f"{name} is queued again. {FROM_NEXT_START}")
