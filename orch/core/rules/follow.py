"""A pull request is orch's until it is merged or closed: checks, reviews, conflicts. Pure.

What was handled already, and how often, travels in the claims and outcomes of a task's runs, so that a
restart repeats nothing.
"""

from collections.abc import Mapping, Sequence

from orch.core.actions import AutoMerge, Failure, Rerun, Retire, SetMark
from orch.core.draft import Draft
from orch.core.forge import Checks, Follow, Job, PullStatus, Remark, Trust
from orch.core.model import ForgePolicy, Mark, Outcome, OutcomeKind, Run, Status, Stopping, Task
from orch.core.rules import edits, ledger, progress
from orch.core.values import dataclass

CHECKS, CONFLICTS, REMARKS = "checks", "conflicts", "remarks"
WORDS = {CHECKS: "failing checks", CONFLICTS: "conflicts", REMARKS: "review remarks"}
TEXT_LENGTH = 20_000
"""Characters of what is to be done that an attempt is told, without the logs."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What another attempt would have to settle."""

    jobs: tuple[Job, ...] | None = None
    """The failed checks, None where nothing failed. Without a job it is only known that something did."""
    conflicts: bool = False
    remarks: tuple[Remark, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of trouble there are."""
        found = ((CHECKS, self.jobs is not None), (CONFLICTS, self.conflicts), (REMARKS, bool(self.remarks)))
        return tuple(kind for kind, there in found if there)


def find_needs(status: PullStatus, trust: Trust, handled: tuple[str, ...] = ()) -> Needs:
    """What keeps an open pull request from being merged and an agent may mend, without what was `handled`."""
    jobs = None
    if status.checks is Checks.RED and f"{CHECKS}:{status.head}" not in handled:
        own = tuple(job for job in status.jobs if not job.trouble)
        # Where every failure is none of the code's, an agent can do nothing about it.
        jobs = own if own or not status.jobs else None
    return Needs(
        jobs,
        status.conflicts is True and f"{CONFLICTS}:{status.head}" not in handled,
        tuple(
            remark
            for remark in status.remarks
            if trust.covers(remark.author) and f"remark:{remark.id}" not in handled
        ),
    )


def is_approved(status: PullStatus, trust: Trust) -> bool:
    """Whether somebody trusted approves and nobody trusted objects."""
    return any(map(trust.covers, status.approvers)) and not any(map(trust.covers, status.objectors))


def plan_attempt(status: PullStatus, needs: Needs, before: Follow | None, commit: str) -> Follow:
    """What the next attempt is told and what counts as handled from then on.

    `commit` is where the branch stood when the task was last completed.
    """
    before = before or Follow()
    keys = [f"{kind}:{status.head}" for kind in needs.kinds if kind != REMARKS]
    keys += [f"remark:{remark.id}" for remark in needs.remarks]
    rounds = {**before.rounds, **{kind: before.rounds.get(kind, 0) + 1 for kind in needs.kinds}}
    return Follow(
        handled=tuple(dict.fromkeys((*before.handled, *keys))),
        rounds=rounds,
        pull=status.number,
        url=status.url,
        heads=tuple(dict.fromkeys(filter(None, (commit, status.head)))),
        text=_cut(_describe(status, needs)),
        jobs=needs.jobs or (),
        remarks=tuple(remark.id for remark in needs.remarks),
    )


def describe_kinds(kinds: Sequence[str]) -> str:
    """Kinds of trouble, for a person."""
    return " and ".join(WORDS[kind] for kind in kinds)


def carry_on(draft: Draft, outcome: Outcome | None, *, goes_on: bool) -> Follow | None:
    """What an attempt that a task is queued for takes over from the one before.

    One that `goes_on` has the same to settle. One that a person asked for begins to count anew, and has
    all to settle that is wrong with the pull request now.
    """
    before = outcome.follow if outcome else None
    if goes_on or outcome is None:
        return before
    pulls = draft.state.forge.sight.pulls or {}
    status = pulls.get(outcome.pull.url) if outcome.pull else None
    known = Follow(before.handled) if before else None
    if status is None or status.state != "open" or not draft.policy.forge.follow:
        return known
    needs = find_needs(status, draft.policy.forge.trust)
    return plan_attempt(status, needs, known, outcome.commit) if needs.kinds else known


def follow_up(draft: Draft) -> None:
    """Act on how it stands with the pull requests, where that has changed."""
    forge, document, plan = draft.state.forge, draft.seen.document, draft.state.plan
    if document is None or forge.sight.pulls is None:
        return
    if document is draft.before.document and not forge.unfollowed:
        return
    pulls = forge.sight.pulls
    _stop_pointless(draft, pulls)
    followed = (*plan.unmerged, *plan.halted)
    judged = {name: forge.judged[name] for name in followed if name in forge.judged}
    todo = {name: forge.todo[name] for name in plan.unmerged if name in forge.todo}
    draft.change(forge=draft.state.forge.evolve(judged=judged, todo=todo, unfollowed=False))
    # A forge that tells of none (the local one, until one is merged) may have thousands that are open.
    for name in followed if pulls else ():
        task = document.tasks[name]
        status = pulls.get(task.fields["PR"])
        if status is None or name in draft.live or status in (judged.get(name), todo.get(name)):
            continue
        if name in todo:
            left = {other: known for other, known in draft.state.forge.todo.items() if other != name}
            draft.change(forge=draft.state.forge.evolve(todo=left))
        _judge(draft, task, status)


def retire_branches(draft: Draft) -> None:
    """Have the branches of merged pull requests deleted, once the worktree is gone."""
    forge = draft.state.forge
    for name, status in forge.saved.retire.items():
        if name in forge.ledger.retire and name not in forge.retiring and name not in draft.state.trees:
            forge = forge.evolve(retiring=forge.retiring | {name})
            draft.change(forge=forge)
            draft.act(Retire(name, status))


def take_retired(draft: Draft, action: Retire, stayed: str, failure: Failure | None) -> None:
    """The branch of a merged pull request is gone, or stays.

    What failed is tried again after the next start: nothing waits for it.
    """
    if failure is not None:
        ledger.count_error(draft)
        draft.note("error", failure.message, task=action.task)
        if not failure.permanent:
            return
    elif stayed:
        draft.note("kept", stayed, task=action.task)
    known = draft.state.forge.ledger
    left = {name: status for name, status in known.retire.items() if name != action.task}
    ledger.remember(draft, known.evolve(retire=left))
    forge = draft.state.forge
    draft.change(forge=forge.evolve(retiring=forge.retiring - {action.task}))


def take_done(draft: Draft, action: Rerun | AutoMerge, failure: Failure | None) -> None:
    """Jobs run again, or a pull request is being merged; or not: then once more, unless that is pointless."""
    if failure is None:
        return
    forge, key = draft.state.forge, (action.pull.url, action.pull.head)
    ledger.count_error(draft)
    draft.note("error", failure.message, task=action.task)
    if failure.permanent:
        task = draft.task(action.task)
        if isinstance(action, Rerun) and task is not None and task.status is Status.COMPLETED:
            _block(draft, task, f"the checks cannot run again: {failure.message}")
        return
    # The next look at the forge brings it up again.
    judged = {name: status for name, status in forge.judged.items() if status.url != action.pull.url}
    draft.change(
        forge=draft.state.forge.evolve(
            judged=judged, reruns=forge.reruns - {key}, merging=forge.merging - {key}
        )
    )


def _stop_pointless(draft: Draft, pulls: Mapping[str, PullStatus]) -> None:
    """A worker has nothing to mend any more where the pull request is merged or closed."""
    for name in sorted(draft.live):
        run = draft.runs[name]
        status = pulls.get(run.claim.follow.url) if run.claim.follow else None
        if status is not None and status.state != "open":
            reason = f"pull request #{status.number} is {status.state}"
            progress.stop(draft, run, Stopping(reason, draft.now, now=True))


def _judge(draft: Draft, task: Task, status: PullStatus) -> None:
    """What follows from the state of one pull request."""
    if task.status is Status.PENDING and "Retry at" not in task.bullets:
        return  # A person has queued it again.
    if status.state == "merged":
        _merged(draft, task, status)
    elif status.state == "closed" and task.status in (Status.COMPLETED, Status.PENDING):
        _block(draft, task, f"pull request #{status.number} was closed without being merged")
    elif task.status is Status.COMPLETED and draft.policy.forge.follow:
        _mend(draft, task, status)


def _merged(draft: Draft, task: Task, status: PullStatus) -> None:
    forge = draft.state.forge
    if draft.policy.forge.retire and status.branch and forge.saved.retire.get(task.id) != status:
        # Remembered first: once the task is merged, nothing else leads here again.
        if forge.ledger.retire.get(task.id) != status:
            ledger.remember(draft, forge.ledger.evolve(retire={**forge.ledger.retire, task.id: status}))
            # An attempt that was interrupted may have left its worktree, and the branch is checked out there.
            draft.change(trees={**draft.state.trees, task.id: draft.now})
        _come_back(draft)
        return
    text = edits.merged_text(draft.stamp(draft.now), status.merged_commit)
    fields: list[tuple[str, str | None]] = [("Merged", text)]
    mark = task.mark
    if task.status is not Status.COMPLETED:
        mark = Mark(Status.COMPLETED, task.mark.worker, status.head[:7])
        fields += [
            ("Completed", draft.stamp(draft.now)),
            *_cleared("Blocked", "Failed", "Reason", "Retry at"),
        ]
        draft.change(trees={**draft.state.trees, task.id: draft.now})
    draft.write(SetMark(task.id, task.mark, mark, tuple(fields)))
    _come_back(draft)
    draft.note("merged", f"pull request {status.url}", task=task.id)


def _mend(draft: Draft, task: Task, status: PullStatus) -> None:
    """Have an open pull request mended, checked again, or merged."""
    policy = draft.policy.forge
    if find_needs(status, policy.trust).kinds and not _is_handled(draft, task, status):
        return
    if status.checks is Checks.RED:
        _rerun(draft, task, status)
        return
    if _may_merge(status, policy):
        key = (status.url, status.head)
        if key not in draft.state.forge.merging:
            draft.change(forge=draft.state.forge.evolve(merging=draft.state.forge.merging | {key}))
            draft.act(AutoMerge(task.id, status))
    _settle(draft, task.id, status)


def _is_handled(draft: Draft, task: Task, status: PullStatus) -> bool:
    """Whether an attempt was made for all that needs one. If not, one is to be made, or a person asked."""
    if not draft.recall(task.id):
        _come_back(draft)
        return False
    last, policy = draft.runs.get(task.id), draft.policy.forge
    if last is None or last.outcome is None or not _is_last(task, last):
        _settle(draft, task.id, status)  # A person has completed it: it is theirs.
        return False
    before = last.outcome.follow or Follow()
    needs = find_needs(status, policy.trust, before.handled)
    over = [kind for kind in needs.kinds if before.rounds.get(kind, 0) >= policy.max_rounds]
    if over:
        tries = f"{policy.max_rounds} attempts" if policy.max_rounds != 1 else "1 attempt"
        done = f"{tries} did not settle the " if policy.max_rounds else "a person has to settle the "
        _block(draft, task, f"{done}{describe_kinds(over)} of pull request #{status.number}")
    elif needs.kinds:
        todo = {**draft.state.forge.todo, task.id: status}
        draft.change(forge=draft.state.forge.evolve(todo=todo))
    return not needs.kinds


def _rerun(draft: Draft, task: Task, status: PullStatus) -> None:
    """Have checks that failed by no fault of the code run again, once."""
    key = (status.url, status.head)
    first = tuple(job for job in status.jobs if job.attempt <= 1)
    if any(not job.trouble for job in status.jobs) or not status.jobs:
        _settle(draft, task.id, status)  # An attempt was made for this head.
    elif first and key in draft.state.forge.reruns:
        _settle(draft, task.id, status)  # The forge does not show yet that they run again.
    elif first:
        draft.note("re-run", f"{_name(first)} of {status.url}: {first[0].trouble}", task=task.id)
        draft.change(forge=draft.state.forge.evolve(reruns=draft.state.forge.reruns | {key}))
        draft.act(Rerun(task.id, status, first))
        _settle(draft, task.id, status)
    else:
        _block(draft, task, f"the checks cannot run: {_name(status.jobs)}: {status.jobs[0].trouble}")


def _may_merge(status: PullStatus, policy: ForgePolicy) -> bool:
    """Whether a pull request is to be handed to the forge to be merged."""
    if policy.auto_merge == "never" or status.auto_merge or status.draft or status.conflicts is not False:
        return False
    if any(map(policy.trust.covers, status.objectors)):
        return False
    if policy.auto_merge == "when_green":
        return status.checks is Checks.GREEN
    # A repository without checks has only the approval to go by.
    return status.checks in (Checks.GREEN, Checks.NONE) and is_approved(status, policy.trust)


def _block(draft: Draft, task: Task, reason: str) -> None:
    fields = (("Blocked", draft.stamp(draft.now)), ("Reason", reason), *_cleared("Completed"))
    draft.write(SetMark(task.id, task.mark, Mark(Status.BLOCKED, task.mark.worker), fields))
    _come_back(draft)
    draft.note("blocked", reason, task=task.id)


def _settle(draft: Draft, name: str, status: PullStatus) -> None:
    """Nothing (more) follows from this status."""
    draft.change(forge=draft.state.forge.evolve(judged={**draft.state.forge.judged, name: status}))


def _come_back(draft: Draft) -> None:
    """Judge again in the next turn, by what is there then."""
    draft.change(forge=draft.state.forge.evolve(unfollowed=True))


def _is_last(task: Task, last: Run) -> bool:
    """Whether a task is completed by its latest run, and not by a person."""
    done = last.outcome is not None and last.outcome.kind is OutcomeKind.COMPLETED
    return done and task.mark.worker == last.key.worker


def _cleared(*names: str) -> tuple[tuple[str, str | None], ...]:
    return tuple((name, None) for name in names)


def _name(jobs: tuple[Job, ...]) -> str:
    return ", ".join(job.name for job in jobs)


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_LENGTH else f"{text[:TEXT_LENGTH]}\n\n(the rest is left out)"


def _describe(status: PullStatus, needs: Needs) -> str:
    """What is to be done, for the prompt. The words of others are in it: the template fences it."""
    parts = []
    if needs.jobs is not None:
        failed = [f"- {job.name}: {job.conclusion}" for job in needs.jobs]
        parts.append("\n".join(["Checks failed:", *failed]))
    if needs.conflicts:
        base = status.base or "the base branch"
        parts.append(f"It conflicts with {base}: merge origin/{base} into it and resolve the conflicts.")
    for remark in needs.remarks:
        where = f" on {remark.path}" + (f", line {remark.line}" if remark.line else "") if remark.path else ""
        parts.append(f"{remark.author.login} remarks{where}:\n\n{remark.text}")
    return "\n\n".join(parts)
