"""What must be true once everything has settled. Each rule gives a line for each thing that it finds."""

import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from orch.adapters.store.runs import RunDirectories
from orch.core.model import OutcomeKind, Run, RunKey, Status
from orch.core.rules.complete import mark_of
from orch.core.tasks_md import parse
from tests.chaos.world import Processes
from tests.e2e.projects import Project

WARM = 2
"""So many worktrees are kept ready in a storm."""

END_SECONDS = 1.0
"""A launcher that has written exit.json may need this long to leave."""


def find_faults(project: Project) -> list[str]:
    """Everything that is wrong with a project whose coordinator is idle."""
    rules: tuple[Callable[[Project], Iterator[str]], ...] = (
        _processes,
        _launches,
        _work,
        _pulls,
        _queue,
        _trees,
        _repository,
        _leftovers,
    )
    return [f"{rule.__name__[1:]}: {line}" for rule in rules for line in rule(project)]


def count_twice(project: Project) -> int:
    """How many attempts were started more than once."""
    return sum(count > 1 for count in Counter(project.launches()).values())


def _processes(project: Project) -> Iterator[str]:
    processes, deadline = Processes(project), time.monotonic() + END_SECONDS
    while left := list(processes.living()):
        if time.monotonic() > deadline:
            yield from (f"{pid} is left: {words}" for pid, words in left)
            return
        time.sleep(0.02)


def _launches(project: Project) -> Iterator[str]:
    for name, count in Counter(project.launches()).items():
        if count > 1:
            yield f"{name} was started {count} times"
        if not (project.root / ".orch" / "runs" / name / "outcome.json").exists():
            yield f"{name} has no outcome"


def _work(project: Project) -> Iterator[str]:
    """Every commit and every file of an agent is reached from a ref, or lies in a kept worktree."""
    log = project.signs / "work"
    if not log.exists():
        return
    reached = {line.split()[0] for line in project.git("rev-list", "--all", "--objects").splitlines()}
    for line in log.read_text().splitlines():
        sha, run, name = line.split()
        if sha not in reached and not (project.root / "trees" / run.split("/")[0] / name).exists():
            yield f"{name} {sha} of {run} is on no branch and in no saved ref"


def _pulls(project: Project) -> Iterator[str]:
    branches: Counter[str] = Counter()
    for pull in json.loads(project.orch("pr", "list", "--json")):
        if pull["state"] == "merged":
            branches.setdefault(pull["branch"], 0)  # what came after it may have another one
            continue
        branches[pull["branch"]] += 1
        there = project.git("rev-parse", "--verify", "-q", f"refs/heads/{pull['branch']}", cwd=project.origin)
        if there != pull["head"]:
            yield f"#{pull['number']} is of {pull['head']}, origin has {there}"
    yield from (f"{branch} has {count}" for branch, count in branches.items() if count > 1)
    for name, run in _runs(project).items():
        outcome = run.outcome
        if outcome is None or outcome.kind is not OutcomeKind.COMPLETED:
            continue
        if outcome.pull is None or outcome.pull.branch not in branches:
            yield f"{name} is completed without a pull request"


def _queue(project: Project) -> Iterator[str]:
    document = parse(project.tasks)
    yield from (f"line {problem.line}: {problem.message}" for problem in document.problems)
    yield from (f"{task.title!r} has no id" for task in document.unnamed)
    runs = _runs(project)
    for name, task in document.tasks.items():
        run = runs.get(name)
        if task.mark.status in (Status.PENDING, Status.ACTIVE):
            yield f"{name} is still {task.mark.status}"
        elif task.mark.worker and run is None:
            yield f"{name} bears {task.mark.worker} and has no run"
        elif run is not None and task.mark.worker == run.key.worker and task.mark != mark_of(run):
            yield f"{name} bears {task.mark}, its run came to {mark_of(run)}"
        elif run is not None and task.mark.worker and task.mark.worker not in _workers(run):
            yield f"{name} bears {task.mark}, which no run of it has"
    for name, run in runs.items():
        if run.live:
            yield f"the run {name}/{run.key.attempt} is not over ({run.phase})"


def _trees(project: Project) -> Iterator[str]:
    runs = _runs(project)
    for path in (project.root / "trees").iterdir() if (project.root / "trees").exists() else ():
        if path.name == ".warm":
            yield from _warm(project, path)
        elif path.name.startswith("."):
            yield from (f"{inner} is left" for inner in path.iterdir())
        elif path.name not in runs:
            yield f"{path.name} has no run"
        else:
            outcome = runs[path.name].outcome
            if outcome is not None and outcome.kind is OutcomeKind.COMPLETED:
                yield f"{path.name} is completed and still there"
    for line in project.git("worktree", "list", "--porcelain").splitlines():
        if line.startswith("prunable"):
            yield line


def _warm(project: Project, folder: Path) -> Iterator[str]:
    """Ready worktrees: no more than there may be, and nobody's work in them."""
    found = [path for path in folder.iterdir() if path.name.isdecimal()]
    if len(found) > WARM:
        yield f"{len(found)} worktrees are ready"
    for path in found:
        # What was merged since stands in the base, and so in here.
        changed = project.git("status", "--porcelain", "--untracked-files=all", cwd=path)
        yield from (f"{path.name} has {line}" for line in changed.splitlines())


def _repository(project: Project) -> Iterator[str]:
    for folder in (project.root, project.origin):
        done = subprocess.run(
            ["git", "fsck", "--no-dangling"], cwd=folder, check=False, capture_output=True, text=True
        )
        if done.returncode:
            yield f"git fsck in {folder.name}: {done.stdout}{done.stderr}"
    # What lies in .git/orch is locked with flock(2): its being there says nothing. A lock in a worktree is
    # removed when somebody goes on there.
    yield from (
        f"{path} is left"
        for path in (project.root / ".git").rglob("*.lock")
        if path.parent.name != "orch" and path.parents[1].name != "worktrees"
    )
    if changed := project.git("status", "--porcelain", "--untracked-files=no"):
        yield f"the checkout has changes: {changed}"
    if (branch := project.git("symbolic-ref", "HEAD")) != "refs/heads/main":
        yield f"the checkout is on {branch}"


def _leftovers(project: Project) -> Iterator[str]:
    folder = project.root / ".orch"
    yield from (f"the request {path.name} waits" for path in (folder / "requests").glob("*.json"))
    bad = folder / "requests" / "bad"
    yield from (f"{path} was not understood" for path in (bad.iterdir() if bad.exists() else ()))
    yield from (f"{path.name} is left" for path in project.root.glob(".tasks.md.orch-*"))
    # A run may end in a launcher that a signal killed in the middle of a write, so temporary files of run
    # directories are not looked for.
    if (text := project.log()).count("Traceback"):
        yield f"a traceback in the log: {text[text.index('Traceback') :][:3000]}"


def _runs(project: Project) -> Mapping[str, Run]:
    return RunDirectories(project.root / ".orch" / "runs", warn=lambda _: None).load()


def _workers(last: Run) -> set[str]:
    return {RunKey(last.key.task, number).worker for number in range(1, last.key.attempt + 1)}
