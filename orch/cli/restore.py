"""`orch restore`: uncommitted work that was saved comes back."""

import shlex
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from orch.cli import help as texts
from orch.cli.place import Place
from orch.cli.reference import choose, complete, known_ids, shorten
from orch.dashboard.plain import printable

if TYPE_CHECKING:
    from orch.wiring import Project

app = typer.Typer()


@app.command(
    rich_help_panel=texts.WORK,
    epilog=texts.examples("orch restore --list", "orch restore 471", "orch restore 471 --ref 2 --branch"),
)
def restore(
    context: typer.Context,
    task: Annotated[
        str, typer.Argument(metavar="[TASK]", help="Whose work.", autocompletion=complete, show_default=False)
    ] = "",
    *,
    ref: Annotated[
        str, typer.Option("--ref", metavar="REF", help="One that --list shows; else the latest is meant.")
    ] = "",
    branch: Annotated[
        bool, typer.Option("--branch", help="As a branch, whatever is in the worktree.")
    ] = False,
    listing: Annotated[bool, typer.Option("--list", help="Only show what was saved and put aside.")] = False,
) -> None:
    """Bring back work of a task that was saved before something was removed.

    The files go back into its worktree, uncommitted as they were. Where that has moved on since, the work
    becomes a branch restored/TASK-N. Nothing that is there is changed, and the saved ref stays.
    """
    if not task and not listing:
        raise typer.BadParameter("name the task, or say --list", param_hint="TASK")
    place: Place = context.obj
    project = place.open(lenient=listing)
    name = choose(task, _known(project)) if task else ""
    for line in _list(project, name) if listing else _restore(project, name, ref, as_branch=branch):
        typer.echo(printable(line))


def _known(project: "Project") -> list[str]:
    """Also the tasks of which nothing but saved work is left."""
    from orch import wiring

    works, orphans = wiring.saved_work(project)
    saved = [work.task for work in works]
    aside = [orphan.task for orphan in orphans if orphan.task]
    return list(dict.fromkeys((*known_ids(project), *saved, *aside)))


def _list(project: "Project", name: str) -> Iterator[str]:
    from orch import wiring

    works, orphans = wiring.saved_work(project, name)
    for work in works:
        yield f"{_moment(work.saved_at)}  {_size(work.files):>12}  {work.ref}"
    for orphan in orphans:
        yield f"{_moment(orphan.changed_at)}  {'put aside':>12}  {shorten(orphan.path, project.root)}"
    if not works and not orphans:
        yield f"Nothing was saved of {name}." if name else "Nothing was saved."


def _restore(project: "Project", name: str, ref: str, *, as_branch: bool) -> Iterator[str]:
    """Do it; says what was done, and what to do next."""
    from orch import wiring

    restored = wiring.restore(project, name, ref, as_branch=as_branch)
    work = restored.work
    what = f"{work.ref} ({_size(work.files)}, {_moment(work.saved_at)})"
    if restored.tree is not None:
        where = shorten(restored.tree, project.root)
        yield f"{what} is in {where} {'again' if restored.new else 'already'}."
        yield f"git -C {shlex.quote(where)} status    look at it"
        yield f"orch retry {name}    let an agent go on there"
        return
    branches = " and ".join(restored.branches)
    if not restored.new:
        yield f"{what} is on {branches} already."
    elif restored.why:
        yield f"{what} is on {branches} now, because {restored.why}."
    else:
        yield f"{what} is on {branches} now."
    for branch in restored.branches:
        yield f"git log --stat -1 {branch}    look at it"
        yield f"git merge {branch}    take it into the branch that you are on"


def _size(files: int) -> str:
    if not files:
        return "commits only"
    return f"{files} file{'' if files == 1 else 's'}"


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
