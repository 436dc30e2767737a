"""Which tasks start now. Pure."""

from collections.abc import Iterator, Mapping

from orch.core import names
from orch.core.actions import MakeRun, SetId
from orch.core.draft import Draft
from orch.core.evolving import Evolving
from orch.core.forge import Follow
from orch.core.graph import make_plan
from orch.core.model import (
    Claim,
    OutcomeKind,
    Policy,
    RetryRequest,
    Run,
    RunKey,
    SendRequest,
    StopRequest,
    Task,
)
from orch.core.rules import budgets, follow, limits, parking, shortage
from orch.core.rules.parking import Choice
from orch.core.values import dataclass

AGENT = "agent: "
"""What the notices about agents are kept under."""
SETTLE_SECONDS = 1.0
"""An unterminated last line may still be being typed: it starts after this (design section 6)."""


@dataclass(frozen=True, slots=True)
class Wish(Evolving):
    """What people asked for a task that is to be worked on."""

    retry: RetryRequest | None = None
    messages: tuple[SendRequest, ...] = ()
    """All that wait, also those that an attempt has taken already."""

    def is_now(self, last: Run | None) -> bool:
        """Whether the next attempt, after `last`, is to start without waiting for its time."""
        return self.retry is not None or any(message.restart for message in self._untold(last))

    def texts(self, last: Run | None) -> tuple[str, ...]:
        """What the attempts up to `last` were not told."""
        return tuple(message.text for message in self._untold(last))

    def _untold(self, last: Run | None) -> Iterator[SendRequest]:
        taken = last.outcome.taken if last and last.outcome else ()
        return (message for message in self.messages if message.id not in taken)


def read_queue(draft: Draft) -> None:
    """Take in the document if it is another than the last one, and name what has no id."""
    document = draft.seen.document
    if document is None:
        return
    problems = draft.seen.agent_problems
    if document is not draft.before.document:
        plan = make_plan(document, draft.policy.unblock_on)
        queued = {name: draft.before.queued.get(name, draft.now) for name in plan.ready}
        wanted = {document.tasks[name].agent or draft.policy.default_agent for name in plan.ready}
        draft.change(document=document, plan=plan, queued=queued, wanted=frozenset(wanted))
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
    wishes = collect_wishes(draft)
    room = _start_follow_ups(draft, room, wishes)
    if room <= 0:
        return
    if not any(wish.is_now(None) for wish in wishes.values()) and parking.is_all_parked(draft):
        return
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
        wish = wishes.get(name, Wish())
        asked = wish.is_now(last)
        if (not asked and _waits(draft, last)) or budgets.block_spent(draft, task):
            continue
        choice = parking.choose(draft, task, asked=asked)
        if choice is None:
            continue
        if known:
            _claim(draft, task, last, wish, choice)
        room -= 1
        if room == 0:
            return


def _start_follow_ups(draft: Draft, room: int, wishes: Mapping[str, Wish]) -> int:
    """Claim a run for each pull request that needs one: what was begun is ended first.

    Gives the room that is left.
    """
    held = {request.task for request in draft.state.requests if isinstance(request, StopRequest)}
    for name, status in draft.state.forge.todo.items():
        task = draft.task(name)
        if room == 0 or task is None or name in draft.live or name in held:
            continue
        if _agent_problem(task, draft.policy, draft.state.agent_problems) or budgets.block_spent(draft, task):
            continue
        choice = parking.choose(draft, task, asked=False)
        if choice is None:
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
        _claim(draft, task, last, wishes.get(name, Wish()), choice, plan)
    return room


def collect_wishes(draft: Draft) -> dict[str, Wish]:
    """What people asked for, by task."""
    wishes: dict[str, Wish] = {}
    for request in draft.state.requests:
        if isinstance(request, RetryRequest):
            wishes[request.task] = wishes.get(request.task, Wish()).evolve(retry=request)
        elif isinstance(request, SendRequest):
            known = wishes.get(request.task, Wish())
            wishes[request.task] = known.evolve(messages=(*known.messages, request))
    return wishes


def _waits(draft: Draft, last: Run | None) -> bool:
    """Whether it is too early for the next attempt."""
    outcome = last.outcome if last else None
    if outcome is None or outcome.retry_at is None or outcome.retry_at <= draft.now:
        return False
    if outcome.kind is OutcomeKind.LIMITED and outcome.parked:
        return False  # The limit may end sooner, and others may take over: see `parking`.
    draft.wake(outcome.retry_at)
    return True


def _may_launch(draft: Draft) -> bool:
    """Whether anything at all may be launched now."""
    state = draft.state
    if draft.now < state.retry_writes_at:
        draft.wake(state.retry_writes_at)
        return False
    if state.draining or state.paused is not None or shortage.list_shortages(draft):
        return False
    if budgets.day_excess(draft):
        return False
    return not any(isinstance(r, StopRequest) and not r.task for r in state.requests)


def _agent_problem(task: Task, policy: Policy, problems: Mapping[str, str]) -> str:
    """Why the task's agent cannot be started, '' if it can. `problems` is by agent name."""
    agent = task.agent or policy.default_agent
    if agent not in policy.agents:
        return f"there is no [agents.{agent}] in config.toml"
    return problems.get(agent, "")


def draft_run(
    draft: Draft, task: Task, last: Run | None, wish: Wish, choice: Choice, plan: Follow | None = None
) -> Run:
    """The next attempt at a task, as it would be claimed now. `last` is the one before.

    `plan` is what it is to settle about the task's pull request, if it is about that.
    """
    outcome = last.outcome if last else None
    goes_on = outcome is not None and outcome.retry_at is not None and wish.retry is None
    due = outcome.retry_at if outcome and goes_on and outcome.retry_at is not None else 0.0
    fresh = wish.retry is not None and wish.retry.fresh
    usd, is_of_day = budgets.usd_for(draft, task)
    claim = Claim(
        # The name stays as it was at the first run, whatever the title becomes.
        branch=last.claim.branch if last else names.branch_name(task.id, task.title),
        agent=choice.agent,
        title=task.title,
        claimed_at=draft.now,
        spent=outcome.spent if outcome and goes_on else 0,
        before="\n".join(filter(None, (outcome.reason, outcome.detail))) if outcome else "",
        fresh=fresh,
        queued_at=max(draft.state.queued.get(task.id, draft.now), due),
        pull=outcome.pull.number if outcome and outcome.pull else 0,
        head=outcome.commit if outcome and outcome.kind is OutcomeKind.COMPLETED else "",
        resume=outcome.session_id if outcome and outcome.agent == choice.agent and not fresh else "",
        model=choice.model,
        budget_usd=usd,
        budget_of_day=is_of_day,
        lane=choice.lane,
        parked=choice.parked,
        message="\n\n".join(filter(None, (outcome.message if outcome else "", *wish.texts(last)))),
        taken=tuple(message.id for message in wish.messages),
        follow=plan or follow.carry_on(draft, outcome, goes_on=goes_on),
    )
    # What tasks.md tells counts, too: the run directories may have been lost.
    return Run(RunKey(task.id, max(last.key.attempt if last else 0, task.attempt) + 1), claim)


def _claim(
    draft: Draft, task: Task, last: Run | None, wish: Wish, choice: Choice, plan: Follow | None = None
) -> None:
    run = draft_run(draft, task, last, wish, choice, plan)
    trees = {name: at for name, at in draft.state.trees.items() if name != task.id}
    highest = max(draft.state.highest_id, names.number_of(task.id))
    draft.change(trees=trees, highest_id=highest)
    draft.put(run)
    draft.act(MakeRun(run.key, run.claim))
