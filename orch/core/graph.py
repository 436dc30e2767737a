"""What follows from tasks.md alone: which tasks could start, which wait, and for what. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from operator import attrgetter

from orch.core.model import Problem, Status, Task
from orch.core.tasks_md import Document
from orch.core.values import dataclass

NEVER_MERGED = (Status.ACTIVE, Status.SKIPPED)
"""A worker may still be at it, or a person wants to hear no more of it."""


CYCLE_SHOWN = 8
"""Members of a dependency cycle that are named: the text stands at each of them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The queue in the order in which it would be worked on."""

    ready: tuple[str, ...] = ()
    """Pending tasks whose dependencies are met: by priority, then by place in the file."""
    waiting: Mapping[str, str] = field(default_factory=dict)
    """Pending tasks whose dependencies are not met, and why."""
    active: tuple[str, ...] = ()
    """Tasks with an active mark."""
    unmerged: tuple[str, ...] = ()
    """Completed tasks with a pull request that is not yet known to be merged."""
    halted: tuple[str, ...] = ()
    """The same, but not completed (any more): another attempt failed, is blocked, or waits."""
    problems: tuple[Problem, ...] = ()
    """Dependencies that can never be met as the file stands."""


def make_plan(document: Document, unblock_on: str) -> Plan:
    """Sort the tasks of a document. `unblock_on` is `completed` or `merged`.

    Costs time in proportion to the document: call it when the document has changed.
    """
    ready: list[Task] = []
    active: list[str] = []
    unmerged: list[str] = []
    halted: list[str] = []
    waiting: dict[str, str] = {}
    parents: dict[str, tuple[str, ...]] = {}
    wrong: list[tuple[Task, str]] = []
    resolve = _Resolver(document.tasks)
    for task in document.tasks.values():
        status = task.status
        if status is Status.PENDING and not task.after:
            ready.append(task)
        elif status is Status.PENDING:
            reasons = []
            unmet = []
            for name in task.after:
                parent = resolve(name)
                reason = _unmet(name, parent, unblock_on)
                if reason:
                    reasons.append(reason)
                    unmet.append(parent.id if parent else "")
                    if parent is None:
                        wrong.append((task, f"{task.id} {reason}"))
            if reasons:
                waiting[task.id] = "; ".join(reasons)
                parents[task.id] = tuple(unmet)
            else:
                ready.append(task)
        elif status is Status.ACTIVE:
            active.append(task.id)
        if "PR" in task.bullets and "Merged" not in task.bullets and status not in NEVER_MERGED:
            (unmerged if status is Status.COMPLETED else halted).append(task.id)
    for cycle in _cycles(parents):
        shown = cycle if len(cycle) <= CYCLE_SHOWN else (*cycle[: CYCLE_SHOWN - 1], f"{len(cycle)} in all")
        text = "dependency cycle: " + " -> ".join((*shown, cycle[0]))
        waiting.update(dict.fromkeys(cycle, text))
        wrong.append((document.tasks[cycle[0]], text))
    lines = document.lines_of([task for task, _ in wrong])
    ready.sort(key=attrgetter("priority"))
    return Plan(
        ready=tuple(map(attrgetter("id"), ready)),
        waiting=waiting,
        active=tuple(active),
        unmerged=tuple(unmerged),
        halted=tuple(halted),
        problems=tuple(Problem(line, text) for line, (_, text) in zip(lines, wrong, strict=True)),
    )


def _unmet(name: str, parent: Task | None, unblock_on: str) -> str:
    """Why a parent does not free its dependents yet, '' if it does."""
    if parent is None:
        return f"waits for {name}, which is not in tasks.md"
    match parent.status:
        case Status.COMPLETED if unblock_on == "completed" or "Merged" in parent.bullets:
            return ""
        case Status.COMPLETED:
            return f"waits for {parent.id} to be merged"
        case Status.FAILED | Status.BLOCKED | Status.SKIPPED as status:
            return f"waits for {parent.id}, which is {status}"
        case _:
            return f"waits for {parent.id}"


class _Resolver:
    """Finds the task that `after:` means: a full id, or a bare number if it is unambiguous."""

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self._tasks = tasks
        self._numbers: dict[str, list[Task]] | None = None

    def __call__(self, name: str) -> Task | None:
        if name in self._tasks:
            return self._tasks[name]
        if not name.isdecimal():
            return None
        if self._numbers is None:
            self._numbers = {}
            for task in self._tasks.values():
                self._numbers.setdefault(task.id.rpartition("-")[2].lstrip("0"), []).append(task)
        found = self._numbers.get(name.lstrip("0"), [])
        return found[0] if len(found) == 1 else None


def _cycles(parents: Mapping[str, tuple[str, ...]]) -> Iterable[tuple[str, ...]]:
    """Every dependency cycle once, without recursion: a chain may be as long as the file."""
    done: set[str] = set()
    for root in parents:
        path: list[str] = []
        place: dict[str, int] = {}
        stack = [iter((root,))]
        while stack:
            name = next(stack[-1], None)
            if name is None:
                stack.pop()
                if path:
                    left = path.pop()
                    del place[left]
                    done.add(left)
            elif name in place:
                yield tuple(path[place[name] :])
            elif name in parents and name not in done:
                place[name] = len(path)
                path.append(name)
                stack.append(iter(parents[name]))
