"""`orch show`: everything about one task."""

import typer

from orch.cli import help as texts
from orch.cli.place import Place
from orch.cli.reference import TaskName, choose, known_ids

app = typer.Typer()


@app.command(rich_help_panel=texts.WORK, epilog=texts.examples("orch show 471"))
def show(context: typer.Context, task: TaskName) -> None:
    """Show everything about a task: its line, its attempts, where its files and its work lie."""
    from orch.cli.describe import describe

    place: Place = context.obj
    project = place.open(lenient=True)
    name = choose(task, known_ids(project))
    reading = project.tasks.read()
    document = reading.document if reading else None
    for text in describe(project, name, document, project.runs.history(name)):
        typer.echo(text)
