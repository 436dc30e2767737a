"""`orch add`: a task for the queue."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from orch.cli import help as texts
from orch.cli.place import Place
from orch.cli.reference import choose, nearest
from orch.core import names
from orch.errors import ConfigError

if TYPE_CHECKING:
    from orch.core.model import Task
    from orch.wiring import Project

app = typer.Typer()
DEFAULT_PRIORITY = 2


@app.command(
    rich_help_panel=texts.QUEUE,
    epilog=texts.examples(
        'orch add "Fix the crash when the cart is empty"',
        'orch add "Translate the menu" -p 4 --after 12 --agent codex',
        'orch add "Tidy up the tests" --model haiku --budget 0.50',
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
    model: Annotated[
        str, typer.Option("--model", metavar="NAME", help="Another model than the agent's.")
    ] = "",
    budget: Annotated[
        float | None,
        typer.Option(
            "--budget", min=0, max=999_999_999, metavar="USD", help="What it may cost; 0: no limit."
        ),
    ] = None,
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
        model=model,
        budget=None if budget is None else round(budget, 2),
        notes="\n".join(filter(None, (_tidy(rest), _tidy(notes)))),
    )
    if not wish.title:
        raise typer.BadParameter("a task needs a title", param_hint="TEXT")
    typer.echo(_add(project, wish, after or ()))


def _add(project: "Project", wish: "Task", after: Sequence[str]) -> str:
    reading = project.tasks.read()
    ran = list(project.runs.load())
    known = list(dict.fromkeys((*(reading.document.tasks if reading else ()), *ran)))
    wish = wish.evolve(after=tuple(dict.fromkeys(choose(reference, known) for reference in after)))
    _refuse_unwritable(wish.evolve(id=names.next_id(known)))
    return project.tasks.add(wish, ran)


def _refuse_unwritable(task: "Task") -> None:
    """Raise ConfigError where the line of this task would be read as something else."""
    from orch.core import tasks_md
    from orch.core.actions import AddTask

    document = tasks_md.apply(tasks_md.parse(""), [AddTask(task)])
    read = tasks_md.parse(document.text)
    found = read.tasks.get(task.id)
    same = found is not None and (
        (found.title, found.priority, found.after, found.agent, found.model, found.budget, found.notes)
        == (task.title, task.priority, task.after, task.agent, task.model, task.budget, task.notes)
    )
    if not same or len(read.tasks) + len(read.unnamed) != 1:
        raise ConfigError(
            f"{task.title!r} cannot be a task as it stands: tasks.md would read something else",
            hint="no {braces} at its end (use the options), no control characters, no mark in front",
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
