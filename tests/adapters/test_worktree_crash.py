"""Killed at any moment, and many at once: worktrees converge and no work is lost."""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from orch.adapters import git
from orch.core.model import RunKey
from orch.errors import PermanentError, TransientError
from tests.adapters.crash import killed_at
from tests.adapters.places import BRANCH, HEAD, NEXT, RUN, Place
from tests.adapters.repositories import Sample, Samples, at_once

STRIDE = 12
"""Every system call that changes the disk is a moment to be killed at: there are about 100. Of so many in
a row one is tried, another one each time."""


def saved_texts(sample: Sample, name: str) -> set[str]:
    """Every version of a file that some saved ref holds."""
    refs = sample.git("for-each-ref", "--format=%(refname)", "refs/orch/saved/").splitlines()
    return {files[name] for files in map(sample.files, refs) if name in files}


def work(place: Place) -> str:
    """What an agent leaves: a commit, and a file that is not committed. Gives the sha."""
    place.worktrees.ensure(RUN, BRANCH)
    sha = place.commit("committed.txt", "committed")
    (place.tree / "uncommitted.txt").write_text("uncommitted")
    (place.tree / "BLOCKED.md").write_text("why")
    return sha


ACTIONS: dict[str, Callable[[Place], object]] = {
    "ensure": lambda place: place.worktrees.ensure(RUN, BRANCH),
    "ensure again": lambda place: place.worktrees.ensure(NEXT, BRANCH),
    "ensure fresh": lambda place: place.worktrees.ensure(NEXT, BRANCH, fresh=True),
    "inspect": lambda place: place.worktrees.inspect(RUN, BRANCH),
    "remove": lambda place: place.worktrees.remove("t-1"),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_killed_at_any_step(tmp_path: Path, samples: Samples, name: str) -> None:
    step = random.randrange(STRIDE)  # noqa: S311 - no secret
    while True:
        folder = tmp_path / str(step)
        for attempt in ("1", "2"):
            (folder / "runs" / "t-1" / attempt).mkdir(parents=True)
        place = Place(samples.make(folder, origin=False), folder / "trees", folder / "runs")
        sha = "" if name == "ensure" else work(place)
        killed = killed_at(step, lambda place=place: ACTIONS[name](place))  # type: ignore[misc]
        # The same again, as the next orch does it, and then what may follow.
        ACTIONS[name](place)
        check_whole(place, sha, f"step {step}")
        if not killed:
            break
        step += STRIDE
    assert step >= STRIDE


def check_whole(place: Place, sha: str, when: str) -> None:
    """The worktree can be gone on with, nothing is lost, and all of it can be taken away."""
    place.worktrees.ensure(NEXT, BRANCH)
    assert place.git("symbolic-ref", "HEAD") == HEAD
    assert place.sample.git("worktree", "list", "--porcelain").count("worktree ") == 2
    assert place.git("status", "--porcelain") in {"", "?? uncommitted.txt"}
    if sha:
        texts = saved_texts(place.sample, "uncommitted.txt")
        if (place.tree / "uncommitted.txt").exists():
            texts.add((place.tree / "uncommitted.txt").read_text())
        assert texts == {"uncommitted"}, when
        assert sha in place.sample.git("rev-list", "--branches", "--glob=refs/orch/saved"), when
        assert (place.runs / "t-1" / "1" / "BLOCKED.md").read_text() == "why", when
        assert not (place.tree / "BLOCKED.md").exists()
    place.worktrees.remove("t-1")
    assert not place.tree.exists()
    assert not (place.trees / ".removed").exists()
    assert not (place.trees / ".orphans").exists(), when


GIT = """#!/bin/sh
left=$(cat {counter})
echo $((left - 1)) > {counter}
[ "$left" -ne 0 ] || {{ [ {done} = False ] || {git} "$@"; kill -9 $$; }}
exec {git} "$@"
"""
"""Kills one git command, with its work undone or done."""

GIT_STRIDE = 3
"""Of so many git commands in a row one is killed."""


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("name", ["ensure", "ensure fresh", "inspect", "remove"])
def test_any_git_command_may_be_killed(
    tmp_path: Path, samples: Samples, monkeypatch: pytest.MonkeyPatch, name: str, done: bool
) -> None:
    counter, program = tmp_path / "left", tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(GIT.format(counter=counter, done=done, git=shutil.which("git")))
    program.chmod(0o755)
    git.check_version(tmp_path)  # Whoever asks first loads GitPython, which asks git for its version.
    number, killed = random.randrange(GIT_STRIDE), True  # noqa: S311 - no secret
    while killed:
        folder = tmp_path / str(number)
        for attempt in ("1", "2"):
            (folder / "runs" / "t-1" / attempt).mkdir(parents=True)
        place = Place(samples.make(folder), folder / "trees", folder / "runs")
        sha = "" if name == "ensure" else work(place)
        counter.write_text(str(number))
        with monkeypatch.context() as patch, suppress(TransientError):
            patch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
            ACTIONS[name](place)
        killed = int(counter.read_text()) < 0
        ACTIONS[name](place)
        check_whole(place, sha, f"git {number}")
        number += GIT_STRIDE
    assert number > GIT_STRIDE


LOOP = """
import sys
from pathlib import Path
from orch.adapters.worktrees import GitWorktrees
from orch.core.model import RunKey
root, trees, runs = map(Path, sys.argv[1:4])
worktrees = GitWorktrees(root, trees, runs, base="main", warn=print)
print("ready", flush=True)
sys.stdin.readline()
while True:
    for number in map(int, sys.argv[4:]):
        run, branch = RunKey(f"t-{number}", 1), f"orch/t-{number}"
        worktrees.ensure(run, branch)
        worktrees.inspect(run, branch)
        worktrees.remove(run.task)
"""


@contextmanager
def looping(place: Place, *tasks: str) -> "Iterator[subprocess.Popen[bytes]]":
    """A process that makes and removes the worktrees of tasks until it is killed."""
    arguments = [str(path) for path in (place.sample.root, place.trees, place.runs)]
    with subprocess.Popen(
        [sys.executable, "-c", LOOP, *arguments, *tasks],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as orch:
        assert orch.stdin is not None
        assert orch.stdout is not None
        orch.stdout.readline()
        orch.stdin.write(b"\n")
        orch.stdin.flush()
        yield orch


def test_killed_from_outside_at_random_moments(place: Place) -> None:
    """Git itself is killed too here, with the whole process group."""
    for _ in range(5):
        with looping(place, "1", "2") as orch:
            try:
                orch.wait(random.uniform(0.02, 0.25))  # noqa: S311 - no secret
            except subprocess.TimeoutExpired:
                orch.kill()
            assert orch.wait() == -9
        for number in (1, 2):
            run = RunKey(f"t-{number}", 1)
            made = place.worktrees.ensure(run, f"orch/t-{number}")
            assert place.sample.git("status", "--porcelain", where=made.path) == ""
            assert place.worktrees.inspect(run, f"orch/t-{number}").saved == ""
    assert place.refs() == []
    assert not place.aside()


def test_a_git_that_goes_on_after_orch_was_killed_is_waited_for(place: Place) -> None:
    with looping(place, "1") as orch:
        git = stop_adding(orch)
        orch.kill()
    with ThreadPoolExecutor() as threads:
        making = threads.submit(place.worktrees.ensure, RUN, BRANCH)
        try:
            with pytest.raises(TimeoutError):
                making.result(0.5)
        finally:
            os.kill(git, signal.SIGCONT)
        assert making.result().path == place.tree
    assert place.git("symbolic-ref", "HEAD") == HEAD
    assert place.git("status", "--porcelain") == ""


def stop_adding(orch: "subprocess.Popen[bytes]") -> int:
    """Stop the next `git worktree add` of a process while it runs; gives its pid."""
    children = Path(f"/proc/{orch.pid}/task/{orch.pid}/children")
    while orch.poll() is None:
        for child in children.read_text().split():
            with suppress(FileNotFoundError, ProcessLookupError):
                command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
                if b"worktree" in command and b"add" in command:
                    os.kill(int(child), signal.SIGSTOP)
                    state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
                    if state not in "ZX":
                        return int(child)
    raise AssertionError(f"it ended with {orch.returncode}")


def test_forty_tasks_by_eight_at_once(place: Place) -> None:
    """In two processes' worth of objects: nothing but the files is shared."""
    several = [place.worktrees, place.worktrees]

    def some(number: int) -> None:
        worktrees = several[number % 2]
        for task in range(5):
            run = RunKey(f"t-{number * 5 + task}", 1)
            tree = worktrees.ensure(run, f"orch/{run.task}").path
            place.sample.commit(f"{run.task}.txt", "x", where=tree)
            (tree / "rest.txt").write_text(run.task)
            assert worktrees.inspect(run, f"orch/{run.task}").uncommitted == 1
            assert worktrees.remove(run.task)

    assert at_once(*[lambda n=n: some(n) for n in range(8)]) == [None] * 8
    assert place.worktrees.list() == {}
    assert place.sample.git("worktree", "list").count("\n") == 0
    assert len(place.refs("refs/heads/orch/")) == 40
    assert len(place.refs()) == 40
    assert list((place.sample.root / ".git").rglob("*.lock")) == []
    assert list((place.sample.root / ".git" / "orch").glob("t-*")) == []


def test_two_processes_on_the_same_tasks(place: Place) -> None:
    arguments = [str(path) for path in (place.sample.root, place.trees, place.runs)]
    code = LOOP.replace("while True:", "for _ in range(4):")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments, *tasks],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        for tasks in (["1", "2", "3"], ["3", "2", "1"])
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in processes:
        assert process.communicate()[1].decode() == ""
        assert process.returncode == 0
    assert place.worktrees.list() == {}


def test_an_error_in_the_middle_is_done_again(place: Place) -> None:
    """A checkout that fails (a filter that does not work) leaves nothing that is taken for work."""
    place.sample.commit(".gitattributes", "*.py filter=broken\n")
    place.sample.git("push", "--quiet", "origin", "main")
    place.sample.git("config", "filter.broken.smudge", "false")
    place.sample.git("config", "filter.broken.required", "true")
    with pytest.raises((PermanentError, TransientError)):
        place.worktrees.ensure(RUN, BRANCH)
    assert place.worktrees.inspect(RUN, BRANCH).uncommitted == 0
    place.sample.git("config", "filter.broken.smudge", "cat")
    place.sample.git("config", "filter.broken.clean", "cat")
    place.worktrees.ensure(RUN, BRANCH)
    place.check()
    assert not (place.trees / ".removed").exists()


def test_what_a_killed_removal_left_is_still_listed(tmp_path: Path, samples: Samples) -> None:
    step, listed, killed = random.randrange(STRIDE), 0, True  # noqa: S311 - no secret
    while killed:
        folder = tmp_path / str(step)
        (folder / "runs" / "t-1" / "1").mkdir(parents=True)
        place = Place(samples.make(folder, origin=False), folder / "trees", folder / "runs")
        work(place)
        killed = killed_at(step, lambda place=place: place.worktrees.remove("t-1"))  # type: ignore[misc]
        if place.worktrees.list():
            # As the next start does it, which knows only what is listed.
            listed += 1
            place.worktrees.remove("t-1")
        assert place.worktrees.list() == {}
        assert not place.tree.exists()
        assert not list(place.trees.glob(".removed/*")), f"step {step}"
        assert "prunable" not in place.sample.git("worktree", "list", "--porcelain"), f"step {step}"
        step += STRIDE
    assert listed > 1
