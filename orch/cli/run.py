"""`orch run`: the coordinator, in the foreground."""

import logging
import math
import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from orch.cli import help as texts
from orch.cli.first import run_beside_init
from orch.cli.place import Place
from orch.dashboard.plain import span

if TYPE_CHECKING:
    from orch.core.state import Snapshot
    from orch.dashboard.screen import Screen
    from orch.wiring import Project

app = typer.Typer()
log = logging.getLogger(__name__)
REFRESH_SECONDS = 1.0
"""What the workers are doing is drawn this often."""
HINTS = {
    "leave": "^C ends orch, its workers go on",
    "finish": "^C ends orch once its workers are done",
    "stop": "^C ends orch and its workers",
}
"""What the first ^C does, by [coordinator] drain."""


@app.command(
    rich_help_panel=texts.FLEET,
    epilog=texts.examples(
        "orch run                        with a live dashboard",
        "orch run --plain                log lines, for systemd and the like",
        "orch run --until-idle --plain   end once there is nothing left to do",
        "orch run --dry-run              what would be written to GitHub now",
    ),
)
def run(
    context: typer.Context,
    *,
    plain: Annotated[bool, typer.Option("--plain", help="Log lines, also on a terminal.")] = False,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End once nothing is active and nothing pending can start.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be written to the forge now; do nothing.")
    ] = False,
) -> None:
    """Work on the queue.

    ^C (or SIGTERM) launches nothing more and ends orch; what becomes of live workers is [coordinator]
    drain, and by default they go on and the next `orch run` takes them up again. Where orch waits for
    them, a second ^C stops them and a third one ends orch at once. The exit code is 130 after ^C, 0
    after SIGTERM. SIGUSR1 pauses and resumes, SIGHUP reads config.toml again.
    """
    run_beside_init()
    place: Place = context.obj
    project = place.open(log.warning)
    if dry_run:
        _rehearse(project)
        return
    work(project, plain=plain or not sys.stdout.isatty(), until_idle=until_idle)


def _rehearse(project: "Project") -> None:
    from orch import wiring
    from orch.dashboard.plain import printable

    lines = wiring.rehearse(project)
    for line in lines:
        typer.echo(printable(line))
    if not lines:
        typer.echo("Nothing would be written to the forge.")


def work(project: "Project", *, plain: bool, until_idle: bool) -> None:
    """Run a coordinator to its end, with a live dashboard or with log lines; then sum up.

    Raises typer.Exit with 130 where ^C ended it, ConfigError where another coordinator holds the project.
    """
    from orch import wiring
    from orch.cli.journal import keep_journal
    from orch.config import environment

    began = time.time()
    last: list[Snapshot] = []

    def keep(snapshot: "Snapshot") -> None:
        last[:] = [snapshot]
        if screen is not None:
            screen.show(snapshot)

    screen = None if plain else _make_screen(project)
    journal = keep_journal(
        project.config.project.log_file,
        plain=plain,
        level=project.config.coordinator.log_level,
        journald=environment.is_journald(1),
        clean=wiring.redact,
    )
    with journal, screen or nullcontext():
        refresh = math.inf if plain else REFRESH_SECONDS
        code = wiring.build(project, on_snapshot=keep, refresh=refresh).run(until_idle=until_idle)
    if until_idle and not last[0].draining:
        typer.echo(_sum_up(last[0], time.time() - began))
    if last[0].live:
        typer.echo(
            f"{', '.join(sorted(last[0].live))}: left to the next orch run, which takes up what is there"
        )
    if code:
        raise typer.Exit(code)


def _make_screen(project: "Project") -> "Screen":
    from rich.console import Console

    from orch.dashboard.screen import Screen

    return Screen(Console(), project.root.name, HINTS[project.config.coordinator.drain])


def _sum_up(snapshot: "Snapshot", seconds: float) -> str:
    from orch.core.counts import count_statuses

    counts = count_statuses(snapshot.document)
    words = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    return f"idle after {span(seconds)}: {words or 'the queue is empty'}"
