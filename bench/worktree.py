"""A worktree of a large repository."""

import subprocess
from collections.abc import Iterator, Sequence

from bench import program
from bench.rows import Reach, Row
from bench.world import World, make_world
from orch.adapters.worktrees import GitWorktrees
from orch.core.model import RunKey

FLOOR = "git worktree add"


def measure(files: int = 50_000, repeats: int = 4) -> Sequence[Row]:
    """`ensure` of orch's worktrees, without and with ready ones, beside `git worktree add`."""
    floor: list[float] = []
    found: dict[str, list[float]] = {
        "checked out": [],
        "a ready one": [],
        "a ready one, the base has moved": [],
    }
    with program.scratch() as folder:
        world = make_world(folder, "exit 0\n")
        _fill(world, files)
        for number in range(1, repeats + 1):
            place = folder / f"hand-{number}"
            add = ("worktree", "add", "-q", "-b", f"hand-{number}", str(place), "origin/main")
            floor.append(program.timed(world.git, *add))
            world.git("worktree", "remove", "--force", str(place))
            for kind, (how, values) in enumerate(found.items()):
                trees = _open(world, warm=kind > 0)
                trees.warm()
                if how.endswith("moved"):
                    _advance(world, number)
                run = RunKey(f"t-{kind}", number)
                values.append(program.timed(trees.ensure, run, f"orch/{run.task}-task-{number}"))
                trees.remove(run.task)
    name = f"worktree of {files} files"
    return [
        Row(f"{name}: {how}", "ms", values, Reach(0.1 if kind else 0.85, "times"), floor, FLOOR)
        for kind, (how, values) in enumerate(found.items())
    ]


def _open(world: World, *, warm: bool) -> GitWorktrees:
    trees, runs = world.root / "trees", world.root / ".orch" / "runs"
    return GitWorktrees(world.root, trees, runs, base="main", warn=print, warm=int(warm))


def _advance(world: World, number: int) -> None:
    """Somebody pushes a commit."""
    (world.root / "src" / "new.txt").write_text(f"{number}\n")
    world.git("add", "src/new.txt")
    world.git("commit", "-qm", f"New {number}")
    world.git("push", "-q", "origin", "main")


def _fill(world: World, files: int) -> None:
    """Commit so many files, a hundred in a folder, a kilobyte each, and push them."""
    subprocess.run(
        ["git", "fast-import", "--quiet"],
        cwd=world.root,
        env=world.environment,
        input=b"".join(_stream(files)),
        check=True,
    )
    world.git("reset", "-q", "--hard", "main")
    world.git("push", "-q", "origin", "main")


def _stream(files: int) -> Iterator[bytes]:
    yield b"commit refs/heads/main\ncommitter Bench <bench@example.com> 0 +0000\n"
    yield b"data 4\nmany\nfrom refs/heads/main^0\n"
    for number in range(files):
        text = f"{number}: {'The quick brown fox jumps over the lazy dog. ' * 22}\n".encode()
        place = f"src/part{number // 10000}/module{number // 100}/file{number}.txt"
        yield b"M 100644 inline %s\ndata %d\n%s\n" % (place.encode(), len(text), text)
    yield b"done\n"


if __name__ == "__main__":
    program.run(measure)
