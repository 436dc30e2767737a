"""`orch run`: the coordinator, in the foreground."""

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from orch.cli import help as texts
from orch.cli.place import Place
from orch.dashboard.plain import span

if TYPE_CHECKING:
    from orch.core.state import Snapshot
    from orch.wiring import Project

app = typer.Typer()
HINT = "^C ends orch, workers go on   orch pause   orch stop TASK"


@app.command(
    rich_help_panel=texts.FLEET,
    epilog=texts.examples(
        "orch run                        with a live dashboard",
        "orch run --plain                log lines, for systemd and the like",
        "orch run --until-idle --plain   end once there is nothing left to do",
    ),
)
def run(
    context: typer.Context,
    *,
    plain: Annotated[bool, typer.Option("--plain", help="Log lines, also on a terminal.")] = False,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End once nothing is active and nothing pending can start.")
    ] = False,
) -> None:
    """Work on the queue.

    ^C (or SIGTERM) launches nothing more and ends orch; what becomes of live workers is [coordinator]
    drain, and by default they go on and the next `orch run` takes them up again. A second ^C stops
    the workers. SIGUSR1 pauses and resumes, SIGHUP reads config.toml again.
    """
    place: Place = context.obj
    project = place.open()
    work(project, plain=plain or not sys.stdout.isatty(), until_idle=until_idle)


def work(project: "Project", *, plain: bool, until_idle: bool) -> None:
    """Run a coordinator to its end, with a live dashboard or with log lines; then sum up.

    Raises ConfigError where another coordinator holds the project.
    """
    from orch import wiring
    from orch.cli.journal import keep_journal

    began = time.time()
    if plain:
        last = _Last()
        with keep_journal(project.config.project.log_file, plain=True):
            wiring.build(project, on_snapshot=last.show).run(until_idle=until_idle)
        if until_idle and last.snapshot is not None:
            typer.echo(_sum_up(last.snapshot, time.time() - began))
        return
    from rich.console import Console

    from orch.dashboard.screen import Screen

    screen = Screen(Console(), project.root.name, HINT)
    with keep_journal(project.config.project.log_file, plain=False), screen:
        wiring.build(project, on_snapshot=screen.show).run(until_idle=until_idle)


class _Last:
    """Keeps the newest snapshot."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None

    def show(self, snapshot: "Snapshot") -> None:
        self.snapshot = snapshot


def _sum_up(snapshot: "Snapshot", seconds: float) -> str:
    from orch.core.counts import count_statuses

    counts = count_statuses(snapshot.document)
    words = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    return f"idle after {span(seconds)}: {words or 'the queue is empty'}"
