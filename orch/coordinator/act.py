"""Does what was decided. Every action is safe to repeat; each gives one Result."""

from collections.abc import Callable, Sequence

from orch.coordinator.background import Background, perform
from orch.core.actions import (
    Action,
    Ask,
    Dismiss,
    End,
    Ensure,
    Finish,
    Inspect,
    MakeRun,
    Poll,
    Prune,
    Publish,
    Remove,
    Result,
    SavePause,
    Start,
    Sweep,
    Tend,
    Verify,
    WriteTasks,
)
from orch.core.model import Evidence, PullRequest
from orch.ports import Ports, PullDraft

INLINE = (WriteTasks, MakeRun, Finish, Dismiss, SavePause, Ask, End)
"""Quick, local and better done in order: the main thread does them itself."""


def act(
    ports: Ports, actions: Sequence[Action], background: Background, post: Callable[[Result], None]
) -> None:
    """Do the quick actions, hand the slow ones to the background. Results are posted."""
    for action in actions:
        work = _work(ports, action)
        if isinstance(action, INLINE):
            post(perform(action, work))
        else:
            background.submit(_task(action), action, work)


def _task(action: Action) -> str:
    """What an action is queued under: those of one task never overlap."""
    match action:
        case Start(run) | Inspect(run):
            return run.key.task
        case Remove(task):
            return task
        case Ensure(run=key) | Sweep(run=key) | Verify(run=key) | Publish(run=key):
            return key.task
        case _:
            return ""


def _work(ports: Ports, action: Action) -> Callable[[], object]:
    return lambda: _perform(ports, action)


def _perform(ports: Ports, action: Action) -> object:
    match action:
        case WriteTasks(changes):
            return ports.tasks.apply(changes)
        case Ensure(key, branch, fresh):
            return ports.worktrees.ensure(key, branch, fresh)
        case Inspect():
            return _inspect(ports, action)
        case Verify(key):
            check = ports.executor.check(key, ports.trees / key.task)
            return check.ok, check.tail
        case Publish(_, branch, title, body):
            return ports.forge.publish(PullDraft(branch, title, body))
        case Remove(task):
            return ports.worktrees.remove(task)
        case Poll():
            return tuple(pull for pull in ports.forge.pulls() if pull.state != "open")
        case Prune(keep_days, now):
            return tuple(ports.runs.prune(keep_days, now))
        case _:
            _perform_silently(ports, action)
            return None


def _perform_silently(ports: Ports, action: Action) -> None:
    """The actions that have nothing to tell but that they worked."""
    match action:
        case MakeRun(key, claim):
            ports.runs.claim(key, claim)
        case Start(run, task):
            directory, worktree = ports.runs.directory(run.key), ports.trees / run.key.task
            command = ports.agents[run.claim.agent].command(run, directory, worktree)
            ports.executor.start(run.key, command, worktree, ports.prompts.render(task, run))
        case Ask(key, reason):
            ports.worktrees.ask(key.task, reason)
        case End(key):
            ports.executor.end(key)
        case Sweep(key):
            ports.executor.sweep(key)
        case Finish(key, outcome):
            # In this order: what was spent is known wherever orch is killed.
            ports.costs.record(key, outcome)
            ports.runs.finish(key, outcome)
        case Dismiss(request):
            ports.requests.dismiss(request)
        case SavePause(reason):
            ports.requests.set_paused(reason)
        case Tend():
            ports.repository.tend()
        case _:
            raise AssertionError(action)


def _inspect(ports: Ports, action: Inspect) -> tuple[Evidence, PullRequest | None]:
    run = action.run
    evidence = ports.worktrees.inspect(run.key, run.claim.branch)
    agent = ports.agents.get(run.claim.agent)
    if agent is not None and run.exit is not None:
        verdict = agent.verdict(ports.runs.directory(run.key), run.exit)
        evidence = evidence.evolve(verdict=verdict)
    return evidence, ports.forge.find(run.claim.branch)
