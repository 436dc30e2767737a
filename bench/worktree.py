"""A worktree of a large repository."""

import subprocess
from collections.abc import Iterator, Sequence

from bench import program
from bench.rows import Reach, Row
from bench.world import World, make_world
from orch.adapters.worktrees import GitWorktrees
from orch.core.model import RunKey

FLOOR = "git worktree add"


def measure(files: int = 50_000, repeats: int = 5) -> Sequence[Row]:
    """`ensure` of orch's worktrees beside `git worktree add`, both from a cold start of git."""
    floor, cold = [], []
    with program.scratch() as folder:
        world = make_world(folder, "exit 0\n")
        _fill(world, files)
        trees = _open(world)
        for number in range(1, repeats + 1):
            place = folder / f"hand-{number}"
            add = ("worktree", "add", "-q", "-b", f"hand-{number}", str(place), "origin/main")
            floor.append(program.timed(world.git, *add))
            world.git("worktree", "remove", "--force", str(place))
            run = RunKey("t-1", number)
            cold.append(program.timed(trees.ensure, run, f"orch/t-1-task-{run.attempt}"))
            trees.remove("t-1")
    name = f"worktree of {files} files"
    return [Row(f"{name}: checked out", "ms", cold, Reach(0.85, "times"), floor, FLOOR)]


def _open(world: World) -> GitWorktrees:
    return GitWorktrees(
        world.root, world.root / "trees", world.root / ".orch" / "runs", base="main", warn=print
    )


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
