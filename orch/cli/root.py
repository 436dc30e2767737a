"""Finds the project around a folder, without reading its settings."""

from pathlib import Path

SIGNS = (".orch", "tasks.md")
"""What a project has."""


def find_root(start: Path) -> Path | None:
    """The project around `start`: the nearest folder that looks like one, up to the repository's top.

    Inside a worktree of orch's it is the project that the worktree was made for.
    """
    main = _main_checkout(find_repository(start))
    if main is not None and (main / ".orch").is_dir():
        return main
    for folder in (start, *start.parents):
        if any((folder / sign).exists() for sign in SIGNS):
            return folder
        if (folder / ".git").exists():
            return None
    return None


def find_repository(start: Path) -> Path | None:
    """The top folder of the git checkout around `start`, None outside of any."""
    return next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), None)


def is_bare(folder: Path) -> bool:
    """Whether a folder is a bare repository, by what git itself looks for (gitrepository-layout(5))."""
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()


def _main_checkout(checkout: Path | None) -> Path | None:
    """The main checkout that a linked worktree belongs to, None where it is not a linked one.

    A linked worktree's .git is a file: `gitdir: MAIN/.git/worktrees/NAME` (gitrepository-layout(5)).
    """
    if checkout is None or not (checkout / ".git").is_file():
        return None
    try:
        text = (checkout / ".git").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    git = Path(checkout / text.removeprefix("gitdir:").strip())
    if git.parent.name == "worktrees" and git.parent.parent.name == ".git":
        return git.parent.parent.parent
    return None
