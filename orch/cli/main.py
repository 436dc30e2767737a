"""The command line: what every command has in common. Commands lie in the files beside this one."""

import os
import sys
from typing import Annotated

import typer

import orch
from orch.cli import (
    add,
    approve,
    control,
    cost,
    demo,
    diff,
    finish,
    logs,
    project,
    prompt,
    pulls,
    restore,
    run,
    send,
    service,
    show,
    status,
)
from orch.cli.failure import INTERRUPTED, OUTPUT_LOST, report, report_bug, report_lost_output
from orch.cli.help import GroupedHelp, examples
from orch.cli.place import Place
from orch.errors import ConfigError, OrchError

app = typer.Typer(
    name="orch",
    cls=GroupedHelp,
    no_args_is_help=True,
    rich_markup_mode=None,  # rich takes 0.1 s to load, and help is read again and again
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "orch init                     make config.toml and tasks.md here",
        'orch add "Fix the login" -p1  put a task into the queue',
        "orch run                      work on the queue; ^C ends it, workers go on",
        "orch -C ~/src/shop status     another project, as in git",
    ),
)
_GROUPS = (
    *(run, status, cost, add, control, approve, show, logs, send, prompt, diff),
    *(pulls, restore, project, service, finish, demo),
)
for group in _GROUPS:
    app.add_typer(group.app)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"orch {orch.__version__}")
        raise typer.Exit


@app.callback()
def start(
    context: typer.Context,
    directory: Annotated[
        list[str] | None,
        typer.Option(
            "-C", metavar="DIR", help="Work as if started in DIR. A second -C counts from the first."
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Clears a queue of programming tasks with coding agents, unattended."""
    from orch.config import environment

    environment.clean_environment()
    place: Place = context.obj
    for name in directory or ():
        place.enter(name)
    if not place.start.is_dir():
        raise typer.BadParameter(f"there is no folder {place.start}", param_hint="-C")


def main() -> None:
    """The console command. Leaves with the exit code that the failure has: see `failure`."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        # A mark that the terminal's encoding does not have is no reason to fail.
        stream.reconfigure(errors="replace")
    try:
        place = Place()
    except OSError as error:
        gone = ConfigError(f"the current folder is gone: {error.strerror}", hint="cd to another one")
        sys.exit(report(gone))
    code: int | str | None = 0
    try:
        app(prog_name="orch", obj=place)
    except SystemExit as leaving:
        code = leaving.code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OrchError as error:
        code = report(error)
    except OSError as error:
        # Adapters tell their own failures as OrchErrors; what names no file was written by us to stdout.
        lost = error.filename is None and error.errno in OUTPUT_LOST
        code = report_lost_output(error) if lost else report_bug(error, place.start)
    except Exception as error:  # noqa: BLE001 - the last resort: it is written to a file and told
        code = report_bug(error, place.start)
    try:
        if sys.stdout:  # there is none after `orch status >&-`
            sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer must not be tried once more, with a message, when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or report_lost_output(error)
    sys.exit(code)
