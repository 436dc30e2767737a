"""`orch prompt`: what the next attempt at a task would be told."""

import sys
from typing import Annotated

import typer

from orch.cli import help as texts
from orch.cli.harmless import show_controls
from orch.cli.place import Place
from orch.cli.reference import TaskName, choose, known_ids

app = typer.Typer()


@app.command(rich_help_panel=texts.WORK, epilog=texts.examples("orch prompt 471", "orch prompt 471 --fresh"))
def prompt(
    context: typer.Context,
    task: TaskName,
    *,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="As after `orch retry --fresh`: from the base branch, anew.")
    ] = False,
) -> None:
    """Print exactly what the next attempt would be told if it began now.

    It comes from worker_template.md, or from continue_template.md where the attempt goes on with a
    conversation. The texts of issues and the logs of checks are fetched only when it begins.
    """
    from orch import wiring

    place: Place = context.obj
    project = place.open()
    text = wiring.next_prompt(project, choose(task, known_ids(project)), fresh=fresh)
    # Titles, notes and what agents said are anybody's: no control character reaches a terminal.
    sys.stdout.write(show_controls(text) if sys.stdout.isatty() else text)
