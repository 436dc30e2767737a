"""`orch diff`: what a task changed."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from orch.cli import help as texts
from orch.cli.place import Place
from orch.cli.reference import TaskName, choose, known_ids
from orch.dashboard.plain import printable
from orch.errors import ConfigError, TransientError

if TYPE_CHECKING:
    from orch.core.model import PullRequest
    from orch.wiring import Project

app = typer.Typer()
SHOWN = 10
"""Files that are named in the note."""


@app.command(
    rich_help_panel=texts.WORK,
    epilog=texts.examples("orch diff 471", "orch diff 471 > 471.patch"),
)
def diff(context: typer.Context, task: TaskName) -> None:
    """Show what a task has changed since its branch left the base branch, as `git diff` does.

    While its worktree has uncommitted changes they are shown too, and a note says so.
    """
    place: Place = context.obj
    project = place.open()
    name = choose(task, known_ids(project))
    run = project.runs.load().get(name)
    if run is None:
        raise ConfigError(f"{name} was not started yet", hint="orch status shows the queue")
    pull = project.ports.forge.find(run.claim.branch)
    tip = _first_commit(project.root, f"refs/heads/{run.claim.branch}", pull.head if pull else "")
    if not tip:
        raise ConfigError(f"the branch {run.claim.branch} is not there", hint=f"orch show {name} says more")
    start = _find_start(project, tip, pull)
    tree = project.config.project.trees / name
    if tree.is_dir() and _warn_uncommitted(tree):
        _become_git(tree, "diff", start, "--")
    _become_git(project.root, "diff", start, tip, "--")


def _find_start(project: "Project", tip: str, pull: "PullRequest | None") -> str:
    """The commit where the branch left the base branch, here or at origin, before it was merged."""
    from orch import wiring
    from orch.core.rules.complete import ABBREVIATION

    merged = _first_commit(project.root, f"{pull.merged_commit}^1" if pull and pull.merged_commit else "")
    base = wiring.base_branch(project)
    known = (
        _first_commit(project.root, ref) for ref in (f"refs/heads/{base}", f"refs/remotes/origin/{base}")
    )
    others = [merged] if merged else [commit for commit in known if commit]
    # With several others git looks for the best ancestor that the branch shares with any of them.
    start = _ask_git(project.root, "merge-base", tip, *others).strip()
    if not start:
        raise ConfigError(
            f"the branch has nothing in common with {base}", hint=f"git log {tip[:ABBREVIATION]}"
        )
    return start


def _warn_uncommitted(tree: Path) -> bool:
    """Say on stderr what no commit of a worktree has yet. Gives whether there is anything."""
    names = _ask_git(tree, "status", "--porcelain", "-z", "--no-renames").split("\0")
    new = [printable(name[3:]) for name in names if name.startswith("??")]
    changed = [name for name in names if name and not name.startswith("??")]
    if changed:
        print(
            f"orch: {len(changed)} files in {tree} are not committed; they are in the diff", file=sys.stderr
        )
    if new:
        more = f" and {len(new) - SHOWN} more" if len(new) > SHOWN else ""
        print(f"orch: new and not in the diff: {', '.join(new[:SHOWN])}{more}", file=sys.stderr)
    return bool(changed)


def _first_commit(root: Path, *names: str) -> str:
    """The full sha of the first of the names that there is, '' if there is none."""
    for name in filter(None, names):
        sha = _ask_git(
            root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
        ).strip()
        if sha:
            return sha
    return ""


def _ask_git(where: Path, *arguments: str) -> str:
    try:
        asked = subprocess.run(
            ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", os.fspath(where), *arguments],
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
            timeout=60,
        )
    except FileNotFoundError:
        raise ConfigError("git is not installed", hint="orch doctor") from None
    except subprocess.TimeoutExpired:
        raise TransientError(f"git {arguments[0]} took more than 60 s in {where}") from None
    return asked.stdout


def _become_git(where: Path, *arguments: str) -> NoReturn:
    """Become git, which knows about pagers, colours and a reader that leaves."""
    sys.stdout.flush()
    os.execvp("git", ["git", "-C", os.fspath(where), *arguments])  # noqa: S606 - that is what is meant
