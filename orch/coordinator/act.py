"""Does what was decided. Every action is safe to repeat; each gives one Result."""

import logging
from collections.abc import Callable, Sequence

from orch.coordinator.background import Background, perform
from orch.core.actions import (
    Action,
    Ask,
    AutoMerge,
    CloseIssue,
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
    Rerun,
    Result,
    Retire,
    SaveLedger,
    SavePause,
    Start,
    Sweep,
    Tell,
    Tend,
    Verify,
    Warm,
    WriteTasks,
)
from orch.core.brief import Brief, describe_issue, describe_logs
from orch.core.forge import Issue, Trust
from orch.core.model import Evidence, PullRequest, Run
from orch.core.names import folder_name
from orch.errors import PermanentError
from orch.ports import Ports, PullDraft

log = logging.getLogger(__name__)

FORGE = "the forge"
"""What the writes to the forge that belong to no run are queued under. No task is called so."""

INLINE = (WriteTasks, Dismiss, SavePause, SaveLedger, Ask, End)
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
    """What an action is queued under: those of one task never overlap.

    All that is told to the forge is one queue: it keeps no more than one thread from git.
    """
    match action:
        case Tell() | CloseIssue() | Rerun() | AutoMerge():
            return FORGE
        case Start(run) | Inspect(run):
            return run.key.task
        case Remove(task) | Retire(task):
            return task
        case (
            MakeRun(run=key)
            | Ensure(run=key)
            | Sweep(run=key)
            | Verify(run=key)
            | Publish(run=key)
            | Finish(run=key)
        ):
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
            check = ports.executor.check(key, ports.trees / folder_name(key.task))
            return check.ok, check.tail
        case Publish():
            return _publish(ports, action)
        case Retire(_, pull):
            return ports.reviews.retire(pull)
        case Remove(task):
            return ports.worktrees.remove(task)
        case Poll(wanted):
            return ports.tracker.look(wanted)
        case Prune() | Warm():
            return _keep_house(ports, action)
        case _:
            _perform_silently(ports, action)
            return None


def _keep_house(ports: Ports, action: Prune | Warm) -> object:
    match action:
        case Prune(keep_days, now):
            return tuple(ports.runs.prune(keep_days, now))
        case Warm():
            return ports.repository.warm()


def _perform_silently(ports: Ports, action: Action) -> None:
    """The actions that have nothing to tell but that they worked."""
    match action:
        case MakeRun(key, claim):
            ports.runs.claim(key, claim)
        case Start(run, task):
            directory, worktree = ports.runs.directory(run.key), ports.trees / folder_name(run.key.task)
            command = ports.agents[run.claim.agent].command(run, directory, worktree)
            brief = make_brief(ports, run, action.issue, action.trust)
            prompt = ports.prompts.render(task, run, brief)
            ports.executor.start(run.key, command, worktree, prompt)
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
        case SaveLedger(ledger):
            ports.ledger.write(ledger)
        case Tell(issue, telling):
            ports.tracker.tell(issue, telling)
        case CloseIssue(issue):
            ports.tracker.close(issue)
        case Rerun(_, pull, jobs):
            ports.reviews.rerun(pull, jobs)
        case AutoMerge(_, pull):
            ports.reviews.auto_merge(pull)
        case Tend():
            ports.repository.tend()
        case _:
            raise AssertionError(action)


def _publish(ports: Ports, action: Publish) -> PullRequest:
    """Push and open the pull request, then answer what was settled. All of it may be done again."""
    pull = ports.forge.publish(PullDraft(action.branch, action.title, action.body))
    for reply in action.replies:
        try:
            ports.reviews.reply(pull.number, reply)
        except PermanentError as error:
            # The work is published: that an answer cannot be given does not undo it.
            log.warning("%s: %s", action.run, error)
    return pull


def make_brief(ports: Ports, run: Run, issue: Issue | None, trust: Trust) -> Brief:
    """What the forge has to say to the worker of a run.

    Raises TransientError where it cannot be asked: without it the work is not begun.
    """
    told, follow = "", run.claim.follow
    if issue is not None:
        told = describe_issue(issue, ports.tracker.comments(issue.number), trust)
    tails = ports.reviews.tails(follow.jobs) if follow and follow.jobs else {}
    return Brief(told, describe_logs(tails))


def _inspect(ports: Ports, action: Inspect) -> tuple[Evidence, PullRequest | None]:
    run = action.run
    evidence = ports.worktrees.inspect(run.key, run.claim.branch)
    agent = ports.agents.get(run.claim.agent)
    if agent is not None and run.exit is not None:
        verdict = agent.verdict(ports.runs.directory(run.key), run.exit)
        evidence = evidence.evolve(verdict=verdict)
    if run.stopping is not None:
        # It ends as it was asked to, whatever is there: the forge may hang, and a person waits.
        return evidence, _known_pull(run)
    return evidence, ports.forge.find(run.claim.branch)


def _known_pull(run: Run) -> PullRequest | None:
    """The pull request that there was before an attempt, as far as its claim tells."""
    claim = run.claim
    return (
        PullRequest(claim.pull, claim.follow.url if claim.follow else "", claim.branch)
        if claim.pull
        else None
    )
