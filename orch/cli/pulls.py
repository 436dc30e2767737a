"""`orch pr`: the pull requests of the forge."""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

from orch.cli import help as texts
from orch.cli.place import Place
from orch.cli.reference import choose, known_ids
from orch.dashboard.plain import encodable, printable
from orch.errors import ConfigError

if TYPE_CHECKING:
    from orch.core.model import PullRequest

app = typer.Typer()
pulls = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="List and show pull requests.")
app.add_typer(pulls, name="pr", rich_help_panel=texts.WORK)
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]


@pulls.command("list", epilog=texts.examples("orch pr list", "orch pr list --json"))
def list_(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List every pull request of orch's branches, the oldest first."""
    place: Place = context.obj
    found = list(place.open().ports.forge.pulls())
    if as_json:
        typer.echo(json.dumps([_describe(pull) for pull in found], indent=2))
        return
    if not found:
        typer.echo("There is no pull request yet.")
    for pull in found:
        typer.echo(f"#{pull.number:<5} {pull.state:<7} {printable(pull.title)}  ({printable(pull.branch)})")


@pulls.command("show", epilog=texts.examples("orch pr show 12", "orch pr show gh-471 --json"))
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="PR", help="Its number, or the id of its task.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show one pull request with its text."""
    from orch.core.rules.complete import ABBREVIATION

    place: Place = context.obj
    project = place.open()
    found = {str(pull.number): pull for pull in project.ports.forge.pulls()}
    pull = found.get(name.lstrip("#"))
    if pull is None:
        run = project.runs.load().get(choose(name, known_ids(project)))
        pull = project.ports.forge.find(run.claim.branch) if run else None
    if pull is None:
        raise ConfigError(f"there is no pull request {name}", hint="orch pr list shows them")
    if as_json:
        typer.echo(json.dumps(_describe(pull), indent=2))
        return
    typer.echo(typer.style(f"#{pull.number}  {printable(pull.title)}", bold=True))
    base = f" into {pull.base}" if pull.base else ""
    merged = f" as {pull.merged_commit[:ABBREVIATION]}" if pull.merged_commit else ""
    typer.echo(printable(f"{pull.state}{merged}: {pull.branch} ({pull.head[:ABBREVIATION]}){base}"))
    typer.echo(f"{printable(pull.url)}\n")
    for line in pull.body.splitlines():
        typer.echo(printable(line))


def _describe(pull: "PullRequest") -> dict[str, object]:
    fields = dataclasses.asdict(pull)
    return {key: encodable(value) if isinstance(value, str) else value for key, value in fields.items()}
