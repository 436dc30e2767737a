"""`orch status`: how it goes, from the files, with or without a coordinator."""

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from orch.cli import help as texts
from orch.cli.place import Place
from orch.errors import ConfigError

if TYPE_CHECKING:
    from orch.wiring import Project

app = typer.Typer()
LOOK_SECONDS = 1.0
"""How often `--watch` looks."""
REST_SHARE = 9
"""It rests so many times longer than a look took: thousands of runs are no load for a small machine."""


@app.command(
    rich_help_panel=texts.FLEET,
    epilog=texts.examples(
        "orch status",
        "orch status --watch",
        "orch status --json | jq -r '.tasks[] | select(.status == \"failed\") | .id'",
    ),
)
def status(
    context: typer.Context,
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay, and show what changes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show the workers, the queue, and what happened.

    Reads the files, so it works whether or not a coordinator runs, and changes nothing.
    """
    if watch and as_json:
        raise typer.BadParameter("--watch and --json do not go together")
    place: Place = context.obj
    project = place.open(lenient=True)
    if as_json:
        _print_json(project)
    elif watch:
        _watch(project)
    else:
        _draw(project)


def _print_json(project: "Project") -> None:
    from orch import wiring
    from orch.dashboard.report import make_report

    # ASCII, so that neither an encoding nor a terminal can misread a title.
    typer.echo(json.dumps(make_report(wiring.look(project), time.time()), indent=2, ensure_ascii=True))


def _draw(project: "Project") -> None:
    from rich.console import Console

    from orch import wiring
    from orch.dashboard.digest import make_digest
    from orch.dashboard.view import View

    console = Console()
    # One row is left for the prompt that follows.
    height = console.size.height - 1 if console.is_terminal else None
    console.print(View(make_digest(wiring.look(project)), time.time(), project.root.name, height))


def _watch(project: "Project") -> None:
    from rich.console import Console

    from orch import wiring
    from orch.dashboard.screen import Screen

    if not sys.stdout.isatty():
        raise ConfigError("--watch needs a terminal", hint="orch status, or orch status --json")
    with Screen(Console(), project.root.name, hint="^C leaves") as screen:
        while True:
            began = time.monotonic()
            screen.show(wiring.look(project))
            time.sleep(rest_after(time.monotonic() - began))


def rest_after(took: float) -> float:
    """Seconds until `--watch` looks again, after a look that took `took` seconds."""
    return max(LOOK_SECONDS, REST_SHARE * took)
