"""`orch send`: a message for the agent that works on a task."""

import sys
import uuid
from typing import Annotated

import typer

from orch.cli import help as texts
from orch.cli.control import FROM_NEXT_START
from orch.cli.place import Place
from orch.cli.reference import TaskName, choose, known_ids
from orch.errors import ConfigError

app = typer.Typer()
LONGEST = 100_000
"""Characters of a message. What is longer belongs into a file that the message names."""


@app.command(
    rich_help_panel=texts.WORK,
    epilog=texts.examples(
        'orch send 471 "The API is v2 by now, see docs/api.md"',
        'orch send 471 "Leave the tests alone" --restart',
        "orch send 471 - < remarks.txt",
    ),
)
def send(
    context: typer.Context,
    task: TaskName,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What it is told; - reads it from stdin.")],
    *,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin that attempt now; one that runs is interrupted for it.")
    ] = False,
) -> None:
    """Tell the next attempt at a task something.

    It waits until an attempt begins, and is told once. With --restart that is at once: a worker that runs
    is stopped, its work saved, no attempt charged, and the next one goes on with the conversation.
    """
    from orch import wiring
    from orch.cli.stopping import find_active, read_lines
    from orch.core.model import SendRequest

    place: Place = context.obj
    project = place.open(lenient=True)
    name = choose(task, known_ids(project))
    message = (sys.stdin.read() if text == "-" else text).strip()
    if not message:
        raise typer.BadParameter("there is nothing to tell", param_hint="TEXT")
    if len(message) > LONGEST:
        raise ConfigError(
            f"the message has {len(message)} characters, {LONGEST} are allowed",
            hint="put it into a file, and name that",
        )
    if name not in read_lines(project):
        raise ConfigError(f"{name} is not in tasks.md any more", hint="write its line again to go on with it")
    project.requests.post(SendRequest(name, message, uuid.uuid4().hex, restart))
    running = wiring.coordinator_pid(project) is not None
    if restart:
        told = f"{name} is told at once." if running else f"{name} is told. {FROM_NEXT_START}"
    elif name in find_active(project):
        told = f"The attempt after this one is told; --restart interrupts {name} for it."
    else:
        told = f"The next attempt at {name} is told."
    typer.echo(told)
