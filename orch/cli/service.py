"""`orch service`: orch as a service of systemd, for this project."""

import getpass
import pwd
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orch.cli import help as texts
from orch.cli.failure import warn
from orch.cli.place import Place
from orch.dashboard.plain import printable
from orch.errors import ConfigError, OrchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orch.ports import Step
    from orch.wiring import Project

app = typer.Typer()
service = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Run orch as a service of systemd, for this project."
)
app.add_typer(service, name="service", rich_help_panel=texts.PROJECT)

System = Annotated[
    bool, typer.Option("--system", help="A service of the machine, by root; else one of your own.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


@service.command(
    epilog=texts.examples(
        "orch service install                       for you; needs no root",
        "sudo orch service install --system         as the owner of the project",
        "orch service install --dry-run             shows the unit, and what would be done",
    )
)
def install(
    context: typer.Context,
    *,
    system: System = False,
    user: Annotated[
        str,
        typer.Option("--user", metavar="NAME", help="Who it runs as, with --system: else the owner."),
    ] = "",
    start: Annotated[bool, typer.Option(help="Start it now.")] = True,
    dry_run: DryRun = False,
) -> None:
    """Write the unit of this project, enable it, and start it.

    Do it again after a change of your PATH, of [coordinator] drain or of orch itself: what is the same stays
    as it is. Workers go on while orch is started anew.
    """
    from orch import wiring

    place: Place = context.obj
    project = place.open()
    wiring.base_branch(project)
    account = _account(project, user) if system else ""
    found = wiring.make_service(project, _own_command(), account)
    steps = list(found.install(start=start))
    if not system:
        steps.append(wiring.linger(getpass.getuser()))
    if dry_run:
        typer.echo(f"# {found.file}\n{found.text}")
    elif not found.file.is_file():
        _check_nobody_works(project)
    _take(steps, dry_run=dry_run)
    if not dry_run:
        typer.echo(f"\n{found.name} is installed. To look at it:")
        typer.echo(f"  orch service status{' --system' if system else ''}")
        typer.echo(f"  journalctl {'' if system else '--user '}-u {found.name} -f")


@service.command(epilog=texts.examples("orch service uninstall", "orch service uninstall --dry-run"))
def uninstall(context: typer.Context, *, system: System = False, dry_run: DryRun = False) -> None:
    """Stop the service of this project and remove its unit. Nothing else is removed.

    What becomes of workers is [coordinator] drain, as whenever orch ends.
    """
    from orch import wiring

    place: Place = context.obj
    project = place.open(lenient=True, newer=True)
    found = wiring.make_service(project, _own_command(), "root" if system else "")
    steps = found.uninstall()
    if not steps:
        typer.echo(f"{found.name} is not installed")
        return
    _take(steps, dry_run=dry_run)


@service.command(epilog=texts.examples("orch service status"))
def status(context: typer.Context, *, system: System = False) -> None:
    """Show how the service does. Exit code 0: it runs; 3: it does not; 4: there is none."""
    from orch import wiring

    place: Place = context.obj
    project = place.open(lenient=True, newer=True)
    code = wiring.make_service(project, _own_command(), "root" if system else "").status()
    if code:
        raise typer.Exit(code)


def _take(steps: "Sequence[Step]", *, dry_run: bool) -> None:
    """Say each step and do it. Raises OrchError where one fails that the others need."""
    for step in steps:
        typer.echo(f"{'would ' if dry_run else ''}{printable(step.says)}")
        if dry_run:
            continue
        try:
            step.do()
        except OrchError as error:
            if not step.optional:
                raise
            warn(str(error))


def _account(project: "Project", user: str) -> str:
    """Who a service of the machine runs as. Raises ConfigError for root that nobody asked for."""
    if user:
        try:
            return pwd.getpwnam(user).pw_name
        except KeyError:
            raise ConfigError(f"there is no user {user!r} here") from None
    number = project.root.stat().st_uid
    try:
        owner = pwd.getpwuid(number).pw_name
    except KeyError:
        raise ConfigError(f"the project belongs to user {number}, who is not known here") from None
    if number == 0:
        raise ConfigError(
            "the project belongs to root, and agents should not run as root",
            hint="give it to a user of its own, or say --user root",
        )
    return owner


def _check_nobody_works(project: "Project") -> None:
    """Raises ConfigError where an orch that is no service works on the project."""
    from orch import wiring

    pid = wiring.coordinator_pid(project)
    if pid:
        raise ConfigError(
            f"orch run (pid {pid}) works on this project already",
            hint=f"end it first: kill {pid}. Its workers go on, and the service takes them over",
        )


def _own_command() -> list[str]:
    """How this very orch is started, wherever the service is."""
    beside = Path(sys.executable).with_name("orch")
    return [str(beside)] if beside.is_file() else [sys.executable, "-m", "orch"]
