"""How tasks are stopped: by the coordinator, or right here where none runs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from orch import wiring
from orch.cli.reference import choose, known_ids
from orch.core.model import Status, StopRequest, Task
from orch.dashboard.plain import printable
from orch.errors import ConfigError

if TYPE_CHECKING:
    from orch.wiring import Project


def stop_tasks(project: "Project", names: Sequence[str], *, everything: bool, now: bool, reason: str) -> None:
    """Ask for the stop. Where no coordinator runs, be one until the tasks are stopped and saved.

    `names` are what `everything` comes to at this moment, or what the person named.
    """
    told = _announce(project, names, now=now)
    for name in ("",) if everything else names:
        project.requests.post(StopRequest(name, reason, now))
    typer.echo(told)
    if wiring.coordinator_pid(project) is not None:
        return
    typer.echo("No coordinator runs, so this command sees to it; ^C leaves it to the next orch run.")
    try:
        wiring.build(project, lenient=True).finish_stops(names)
    except ConfigError:
        if wiring.coordinator_pid(project) is None:
            raise
        return  # One has started meanwhile: it finds what was asked for.
    _tell_end(project, names)


def _announce(project: "Project", names: Sequence[str], *, now: bool) -> str:
    active = find_active(project)
    queued = [name for name in names if name not in active]
    stopped = [name for name in names if name in active]
    lines = [f"Taking {', '.join(queued)} out of the queue."] if queued else []
    limits = project.config.limits
    kill = f"SIGKILL {limits.grace_seconds:g} s later"
    when = f"SIGTERM now, {kill}" if now else f"SIGTERM in {limits.stop_seconds:g} s, {kill}"
    if stopped:
        lines.append(f"Stopping {', '.join(stopped)}: {when}, unless it is over before.")
    return "\n".join(lines)


def find_active(project: "Project") -> list[str]:
    """The ids of the tasks that are marked active or have a live run."""
    tasks = read_lines(project)
    marked = [name for name, task in tasks.items() if task.mark.status is Status.ACTIVE]
    live = [name for name, run in project.runs.load().items() if run.live]
    return list(dict.fromkeys((*marked, *live)))


def find_stoppable(project: "Project", references: Sequence[str]) -> list[str]:
    """The ids that are meant. Raises ConfigError, before anything is done, if one cannot be stopped."""
    known, tasks, active = known_ids(project), read_lines(project), find_active(project)
    names = list(dict.fromkeys(choose(reference, known) for reference in references))
    for name in names:
        task = tasks.get(name)
        status = task.mark.status if task else None
        if name not in active and status is not Status.PENDING:
            told = f"it is {status}" if status else "it is not in tasks.md any more"
            raise ConfigError(f"{name} is not active and not pending: {told}", hint="nothing was stopped")
    return names


def read_lines(project: "Project") -> Mapping[str, Task]:
    """The tasks of tasks.md by id; none where it cannot be read."""
    reading = project.tasks.read()
    return reading.document.tasks if reading else {}


def _tell_end(project: "Project", names: Sequence[str]) -> None:
    tasks = read_lines(project)
    for name in names:
        task = tasks.get(name)
        if task is None:
            typer.echo(f"{name}: stopped")
            continue
        reason = task.fields.get("Reason", "")
        saved = task.fields.get("Saved", "")
        told = f"{name}: {task.mark.status}" + (f", {reason}" if reason else "")
        typer.echo(printable(told + (f" (uncommitted work is in {saved})" if saved else "")))
