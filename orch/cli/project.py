"""`orch init`, `orch doctor`, `orch config check`: a project and what it needs."""

from typing import TYPE_CHECKING, Annotated

import typer

from orch.cli import help as texts
from orch.cli.failure import FAILED
from orch.cli.place import Place
from orch.dashboard.plain import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orch.ports import Finding

app = typer.Typer()
config = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Look at config.toml.")
app.add_typer(config, name="config", rich_help_panel=texts.PROJECT)
forge = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Look at the forge.")
app.add_typer(forge, name="forge", rich_help_panel=texts.PROJECT)


@app.command(
    rich_help_panel=texts.PROJECT,
    epilog=texts.examples("orch init", "orch init --prompts", "orch -C ~/src/shop init"),
)
def init(
    context: typer.Context,
    *,
    prompts: Annotated[
        bool, typer.Option("--prompts", help="Write the prompt templates too, for you to change.")
    ] = False,
) -> None:
    """Make config.toml and tasks.md where they are missing.

    Nothing that is there is overwritten, and nothing is committed: orch's own files are kept out of git
    through .git/info/exclude. Do it again whenever you like.
    """
    from orch import wiring

    place: Place = context.obj
    root = place.new_root
    for line in wiring.init(root, prompts=prompts):
        typer.echo(printable(line))
    typer.echo(f"\n{root} is ready. What to do next:")
    typer.echo("  edit config.toml          choose the agent: [agent] default and [agents.NAME]")
    typer.echo("  orch doctor               see whether everything is there")
    typer.echo('  orch add "Fix the login"  put a task into tasks.md, or write it there yourself')
    typer.echo("  orch run                  work on the queue")


@app.command(rich_help_panel=texts.PROJECT, epilog=texts.examples("orch doctor"))
def doctor(context: typer.Context) -> None:
    """Check git, the agents, the forge, the disk and permissions.

    Each line says that it is fine or what to do. Exit code 1 if anything is wrong.
    """
    from orch import wiring

    place: Place = context.obj
    _show_findings(wiring.doctor(place.new_root))


@forge.command("check", epilog=texts.examples("orch forge check", "orch forge check --create-label"))
def check_forge(
    context: typer.Context,
    *,
    create_label: Annotated[
        bool,
        typer.Option("--create-label", help="Make the label that brings issues to orch, if it is missing."),
    ] = False,
) -> None:
    """Check that the forge can be used: the token and what it may do, the label, the limits.

    Each line says that it is fine or what to do. Exit code 1 if anything is wrong.
    """
    from orch import wiring

    place: Place = context.obj
    _show_findings(wiring.check_forge(place.open(), create_label=create_label))


def _show_findings(findings: "Sequence[Finding]") -> None:
    """A line for each; raises typer.Exit where one is not fine."""
    for finding in findings:
        mark = typer.style("ok", "green") if finding.ok else typer.style("!!", "red", bold=True)
        typer.echo(f"{mark}  {printable(finding.what)}")
        if finding.do and not finding.ok:
            typer.echo(f"    {printable(finding.do)}")
    wrong = sum(not finding.ok for finding in findings)
    if wrong:
        typer.echo(f"\n{wrong} of {len(findings)} need you.")
        raise typer.Exit(FAILED)
    typer.echo("\nEverything is fine.")


@config.command(epilog=texts.examples("orch config check"))
def check(context: typer.Context) -> None:
    """Say everything that is wrong with config.toml, a line each, or that nothing is.

    Each line names the file, the line and the key. Exit code 1 if there is any.
    """
    from orch.config import CONFIG_NAME
    from orch.config import check as find_problems

    place: Place = context.obj
    file = place.root / CONFIG_NAME
    problems = find_problems(place.root)
    if not file.exists():
        typer.echo(printable(f"there is no {file}: every setting has its default"))
    for problem in problems:
        typer.echo(printable(problem))
    if problems:
        raise typer.Exit(FAILED)
    typer.echo("ok")
