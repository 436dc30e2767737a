"""`orch add`: a task for the queue."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orch.cli import help as texts
from orch.cli.place import Place
from orch.cli.reference import choose, nearest
from orch.core import names
from orch.errors import ConfigError, TransientError

if TYPE_CHECKING:
    from orch.core.model import Task
    from orch.wiring import Project

app = typer.Typer()
DEFAULT_PRIORITY = 2
TRIES = 20
"""How often another id is taken because somebody else has just taken the one before."""


@app.command(
    rich_help_panel=texts.QUEUE,
    epilog=texts.examples(
        'orch add "Fix the crash when the cart is empty"',
        'orch add "Translate the menu" -p 4 --after 12 --agent codex',
        'orch add "$(cat idea.txt)"      the first line is the title, the rest becomes notes',
    ),
)
def add(
    context: typer.Context,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="What is to be done; its first line is the title.")
    ],
    *,
    priority: Annotated[
        int,
        typer.Option(
            "-p", "--priority", min=0, max=9, metavar="0..9", help="0 is the most urgent, 9 the least."
        ),
    ] = DEFAULT_PRIORITY,
    after: Annotated[
        list[str] | None,
        typer.Option("--after", metavar="ID", help="Start only after this task. Repeatable."),
    ] = None,
    agent: Annotated[
        str, typer.Option("--agent", metavar="NAME", help="An [agents.NAME] of config.toml.")
    ] = "",
    notes: Annotated[str, typer.Option("--notes", metavar="TEXT", help="More about it, for the agent.")] = "",
) -> None:
    """Put a task into tasks.md. Prints its id."""
    from orch.core.model import Task

    place: Place = context.obj
    project = place.open()
    title, _, rest = text.strip().partition("\n")
    wish = Task(
        id="",
        title=" ".join(title.split()),
        priority=priority,
        agent=_known_agent(project, agent),
        notes="\n".join(filter(None, (_tidy(rest), _tidy(notes)))),
    )
    if not wish.title:
        raise typer.BadParameter("a task needs a title", param_hint="TEXT")
    with _one_at_a_time(project.config.project.directory):
        typer.echo(_add(project, wish, after or ()))


def _add(project: "Project", wish: "Task", after: Sequence[str]) -> str:
    from orch.core.actions import AddTask

    reading = project.tasks.read()
    listed = reading.document.tasks if reading else {}
    known = list(dict.fromkeys((*listed, *project.runs.load())))
    parents = tuple(dict.fromkeys(choose(reference, known) for reference in after))
    for _ in range(TRIES):
        task = wish.evolve(id=names.next_id(known), after=parents)
        _refuse_unwritable(task)
        document = project.tasks.apply([AddTask(task)])
        if task.id in document.tasks and document.tasks[task.id].title == task.title:
            return task.id
        # A coordinator has given that id to a line without one at this very moment.
        known = [*known, *document.tasks, task.id]
    raise TransientError("tasks.md changes too fast to add a task", hint="try again")


def _refuse_unwritable(task: "Task") -> None:
    """Raise ConfigError where the line of this task would be read as something else."""
    from orch.core import tasks_md
    from orch.core.actions import AddTask

    document = tasks_md.apply(tasks_md.parse(""), [AddTask(task)])
    read = tasks_md.parse(document.text)
    found = read.tasks.get(task.id)
    same = found is not None and (
        (found.title, found.priority, found.after, found.agent, found.notes)
        == (task.title, task.priority, task.after, task.agent, task.notes)
    )
    if not same or len(read.tasks) + len(read.unnamed) != 1:
        raise ConfigError(
            f"{task.title!r} cannot be a task as it stands: tasks.md would read something else",
            hint="no {braces} at its end (use -p, --after, --agent), no control characters, no mark in front",
        )


def _known_agent(project: "Project", agent: str) -> str:
    if agent and agent not in project.config.agents:
        close = nearest(agent, project.config.agents) or list(project.config.agents)
        raise ConfigError(
            f"there is no agent {agent!r} in {project.config.project.config_file}",
            hint=f"add [agents.{agent}], or use {' or '.join(close)}",
        )
    return agent


def _tidy(text: str) -> str:
    """Notes without tabs, without blank lines around them and without spaces at the ends of lines."""
    return "\n".join(line.expandtabs(4).rstrip() for line in text.splitlines()).strip("\n")


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold a lock: two `orch add` at once must not choose the same id. Its holder's end frees it."""
    try:
        folder.mkdir(exist_ok=True)
        descriptor = os.open(
            folder / "add.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666
        )
    except OSError as error:
        raise TransientError(f"cannot write into {folder}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
