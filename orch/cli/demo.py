"""`orch demo`: the main job on a sample repository, in a temporary folder, without any network."""

import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from orch.cli import help as texts

app = typer.Typer()


@app.command(rich_help_panel=texts.PROJECT, epilog=texts.examples("orch demo"))
def demo(
    *,
    keep: Annotated[bool, typer.Option(help="Leave the folder to be looked at.")] = True,
    plain: Annotated[bool, typer.Option("--plain", help="Log lines, also on a terminal.")] = False,
) -> None:
    """Show orch at work: eight tasks, three workers, ten seconds.

    Makes a small repository with an origin in a temporary folder and clears its queue with a script
    that plays the agent. Uses no network and touches nothing else.
    """
    from orch.cli.demo_shop import make_shop
    from orch.cli.run import work
    from orch.wiring import open_project

    folder = Path(tempfile.mkdtemp(prefix="orch-demo-")).resolve()
    shop = make_shop(folder)
    try:
        work(open_project(shop), plain=plain or not sys.stdout.isatty(), until_idle=True)
    finally:
        if keep:
            typer.echo(_farewell(folder, shop, _own_name()))
        else:
            shutil.rmtree(folder)


def _farewell(folder: Path, shop: Path, orch: str) -> str:
    return f"""
Everything lies in {folder}:
  shop/         the repository; orch keeps its own files in shop/.orch
  origin.git/   where the branches were pushed
  agent.sh      the script that played the agent
Try next:
  cd {shlex.quote(str(shop))}
  cat tasks.md            the queue, with the results written back
  {orch} status
  {orch} show t-4         the task that failed once
  {orch} diff t-1         what a task changed
  {orch} merge t-1        take it into main
  {orch} retry t-6        give it another try at the next
  {orch} run"""


def _own_name() -> str:
    """How a person can call this very orch: words for a shell."""
    if shutil.which("orch"):
        return "orch"
    beside = Path(sys.executable).with_name("orch")
    return shlex.quote(str(beside)) if beside.is_file() else f"{shlex.quote(sys.executable)} -m orch"
