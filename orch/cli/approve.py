"""`orch approve`: run an issue that somebody wrote who is not trusted."""

from typing import Annotated

import typer

from orch.cli import help as texts
from orch.cli.control import FROM_NEXT_START
from orch.cli.place import Place
from orch.core import names
from orch.dashboard.plain import printable
from orch.errors import ConfigError

app = typer.Typer()
SHOWN = 40
"""Lines of an issue that are shown; all of it is approved."""


@app.command(rich_help_panel=texts.QUEUE, epilog=texts.examples("orch approve 471"))
def approve(
    context: typer.Context,
    issue: Annotated[str, typer.Argument(metavar="ISSUE", help="471, #471 or gh-471.")],
) -> None:
    """Let an issue be run that somebody wrote who is not trusted.

    It is shown, and approved as it is shown: where its title or text is changed afterwards it waits again.
    """
    from orch import wiring
    from orch.core.model import ApproveRequest
    from orch.core.rules import trust

    place: Place = context.obj
    project = place.open()
    number = _read_number(issue)
    found = wiring.find_issue(project, number)
    author = f"{found.author.login} ({found.author.association.lower()})"
    typer.echo(typer.style(printable(f"#{number}  {found.title}"), bold=True))
    typer.echo(printable(f"by {author}  {found.url}\n"))
    lines = found.body.splitlines()
    for line in lines[:SHOWN]:
        typer.echo(f"    {printable(line)}")
    if len(lines) > SHOWN:
        typer.echo(f"    … and {len(lines) - SHOWN} more lines")
    policy = project.config.forge_policy()
    if not found.open:
        raise ConfigError(f"issue #{number} is closed", hint="open it again first")
    name = names.issue_id(number)
    project.requests.post(ApproveRequest(name, trust.digest(found)))
    running = wiring.coordinator_pid(project) is not None
    done = f"{name} is approved as it reads above."
    if policy.issue_label not in found.labels:
        done += f" It still needs the label {policy.issue_label!r}."
    typer.echo()
    typer.echo(printable(done if running else f"{done} {FROM_NEXT_START}"))


def _read_number(text: str) -> int:
    """The number in 471, #471 or gh-471. Raises ConfigError for anything else."""
    bare = text.strip().lstrip("#")
    number = names.issue_number(f"gh-{bare.lower().removeprefix('gh-')}")
    if not number:
        raise ConfigError(f"{text!r} is not the number of an issue", hint="for example 471, #471 or gh-471")
    return number
