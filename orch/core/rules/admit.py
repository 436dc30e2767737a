"""Which tasks start now. Pure."""

from collections.abc import Mapping

from orch.core import names
from orch.core.actions import MakeRun, SetId
from orch.core.draft import Draft
from orch.core.forge import Follow
from orch.core.graph import make_plan
from orch.core.model import Claim, OutcomeKind, Policy, RetryRequest, Run, RunKey, StopRequest, Task
from orch.core.rules import follow, limits, shortage

AGENT = "agent: "
"""What the notices about agents are kept under."""
SETTLE_SECONDS = 1.0
"""An unterminated last line may still be being typed: it starts after this (design section 6)."""


def read_queue(draft: Draft) -> None:
    """Take in the document if it is another than the last one, and name what has no id."""
    document = draft.seen.document
    if document is None:
        return
    problems = draft.seen.agent_problems
    if document is not draft.before.document:
        plan = make_plan(document, draft.policy.unblock_on)
        queued = {name: draft.before.queued.get(name, draft.now) for name in plan.ready}
        draft.change(document=document, plan=plan, queued=queued)
    if document is not draft.before.document or problems != draft.before.agent_problems:
        found = {
            name: problem
            for name in draft.state.plan.ready
            if (problem := _agent_problem(document.tasks[name], draft.policy, problems))
        }
        waiting = {**draft.state.plan.waiting, **found}
        draft.change(unstartable=found, waiting=waiting, agent_problems=problems)
        _tell_unstartable(draft)
    used: list[str] = []
    for task, line in zip(document.unnamed, document.lines_of(document.unnamed), strict=True):
        if not task.terminated and draft.seen.document_age < SETTLE_SECONDS:
            draft.wake(draft.now + SETTLE_SECONDS - draft.seen.document_age)
            continue
        # The ids of a whole paste are counted up from one search for the highest.
        used = [names.next_id(used or document.tasks, least=draft.state.highest_id)]
        draft.write(SetId(task.text, line, used[0]))


def _tell_unstartable(draft: Draft) -> None:
    """Show each agent that cannot be started, with a task that needs it; say it once."""
    found: dict[str, list[str]] = {}
    for name, problem in draft.state.unstartable.items():
        found.setdefault(problem, []).append(name)
    known = {about for about in draft.state.notices if about.startswith(AGENT)}
    for problem, tasks in found.items():
        more = f" and {len(tasks) - 1} more" if len(tasks) > 1 else ""
        draft.notice(AGENT + problem, f"{tasks[0]}{more} cannot be started: {problem}")
        if AGENT + problem not in known:
            draft.note("problem", problem, task=tasks[0])
    for about in known - {AGENT + problem for problem in found}:
        draft.notice(about, None)


def start_tasks(draft: Draft) -> None:
    """Claim a run for each task that may start, while there is room."""
    limit = limits.count_allowed(draft)
    room = limit - len(draft.live)
    if room <= 0 or not _may_launch(draft):
        return
    room = _start_follow_ups(draft, room)
    if room <= 0:
        return
    retries = {r.task: r for r in draft.state.requests if isinstance(r, RetryRequest)}
    held = {r.task for r in draft.state.requests if isinstance(r, StopRequest)}
    for name in draft.state.plan.ready:
        task = draft.task(name)
        if task is None or name in held or name in draft.live:
            continue
        if not task.terminated and draft.seen.document_age < SETTLE_SECONDS:
            draft.wake(draft.now + SETTLE_SECONDS - draft.seen.document_age)
            continue
        if name in draft.state.unstartable or name in draft.state.forge.held:
            continue
        known = draft.recall(name)
        last = draft.runs.get(name)
        outcome = last.outcome if last else None
        if name not in retries and outcome and outcome.retry_at is not None and outcome.retry_at > draft.now:
            draft.wake(outcome.retry_at)
            continue
        if known:
            _claim(draft, task, last, retries.get(name))
        room -= 1
        if room == 0:
            return


def _start_follow_ups(draft: Draft, room: int) -> int:
    """Claim a run for each pull request that needs one: what was begun is ended first.

    Gives the room that is left.
    """
    held = {request.task for request in draft.state.requests if isinstance(request, StopRequest)}
    for name, status in draft.state.forge.todo.items():
        task = draft.task(name)
        if room == 0 or task is None or name in draft.live or name in held:
            continue
        if _agent_problem(task, draft.policy, draft.state.agent_problems):
            continue
        room -= 1
        last = draft.runs.get(name) if draft.recall(name) else None
        if last is None or last.outcome is None:
            continue
        before = last.outcome.follow
        needs = follow.find_needs(status, draft.policy.forge.trust, before.handled if before else ())
        plan = follow.plan_attempt(status, needs, before, last.outcome.commit)
        todo = {other: known for other, known in draft.state.forge.todo.items() if other != name}
        draft.change(forge=draft.state.forge.evolve(todo=todo))
        draft.note("follow-up", f"{follow.describe_kinds(needs.kinds)} of {status.url}", task=name)
        _claim(draft, task, last, None, plan)
    return room


def _may_launch(draft: Draft) -> bool:
    """Whether anything at all may be launched now."""
    state = draft.state
    if draft.now < state.retry_writes_at:
        draft.wake(state.retry_writes_at)
        return False
    if state.draining or state.paused is not None or shortage.list_shortages(draft):
        return False
    return not any(isinstance(r, StopRequest) and not r.task for r in state.requests)


def _agent_problem(task: Task, policy: Policy, problems: Mapping[str, str]) -> str:
    """Why the task's agent cannot be started, '' if it can. `problems` is by agent name."""
    agent = task.agent or policy.default_agent
    if agent not in policy.agents:
        return f"there is no [agents.{agent}] in config.toml"
    return problems.get(agent, "")


def _claim(
    draft: Draft, task: Task, last: Run | None, request: RetryRequest | None, plan: Follow | None = None
) -> None:
    """Make a run of a task. `plan` is what it is to settle about its pull request, if it is about that."""
    outcome = last.outcome if last else None
    goes_on = outcome is not None and outcome.retry_at is not None and request is None
    # What tasks.md tells counts, too: the run directories may have been lost.
    key = RunKey(task.id, max(last.key.attempt if last else 0, task.attempt) + 1)
    due = outcome.retry_at if outcome and goes_on and outcome.retry_at is not None else 0.0
    claim = Claim(
        # The name stays as it was at the first run, whatever the title becomes.
        branch=last.claim.branch if last else names.branch_name(task.id, task.title),
        agent=task.agent or draft.policy.default_agent,
        title=task.title,
        claimed_at=draft.now,
        spent=outcome.spent if outcome and goes_on else 0,
        before="\n".join(filter(None, (outcome.reason, outcome.detail))) if outcome else "",
        fresh=request is not None and request.fresh,
        queued_at=max(draft.state.queued.get(task.id, draft.now), due),
        pull=outcome.pull.number if outcome and outcome.pull else 0,
        head=outcome.commit if outcome and outcome.kind is OutcomeKind.COMPLETED else "",
        follow=plan or follow.carry_on(draft, outcome, goes_on=goes_on),
    )
    trees = {name: at for name, at in draft.state.trees.items() if name != task.id}
    highest = max(draft.state.highest_id, names.number_of(task.id))
    draft.change(trees=trees, highest_id=highest)
    draft.put(Run(key, claim))
    draft.act(MakeRun(key, claim))
