"""What an issue shows of its task: one comment, which is edited, and labels. Pure.

What was told stands in the ledger as a hash of everything that the comment follows from, so that neither
a restart nor an edit elsewhere in tasks.md tells it again.
"""

import hashlib
import re

from orch.core.actions import CloseIssue, Failure, Tell
from orch.core.draft import Draft
from orch.core.forge import Entry, Telling
from orch.core.model import ForgePolicy, Run, Status, Task
from orch.core.names import issue_id
from orch.core.rules import budgets, ledger

AGAIN_SECONDS = 10.0
"""An issue that could not be told or closed is tried again after this, once the forge answers at all."""
QUESTION_LENGTH = 4_000
"""Characters of a question or reason that are shown."""

_TOLD = ("Attempt", "Reason", "PR", "Merged", "Retry at")


def is_followed(task: Task) -> bool:
    """Whether a task has a pull request that is still to be merged."""
    return task.status is not Status.SKIPPED and "PR" in task.bullets and "Merged" not in task.bullets


def is_told(draft: Draft, entry: Entry, task: Task) -> bool:
    """Whether the issue of a task shows how it stands now, as far as that is told at all."""
    return sign(task, draft.policy.forge) in ("", entry.told)


def sign(task: Task, policy: ForgePolicy) -> str:
    """The hash of what is told of a task; '' where nothing is."""
    if not (policy.comment or policy.status_labels) or not _is_worth_telling(task):
        return ""
    fields = [task.fields.get(name, "") for name in _TOLD]
    words = (task.mark.status, task.mark.worker, task.mark.commit, *fields, policy.comment)
    labels = sorted(policy.status_labels.items())
    return hashlib.sha256(repr((words, labels)).encode()).hexdigest()[:16]


def describe(task: Task, run: Run | None, policy: ForgePolicy, cost: float = 0.0) -> Telling:
    """What the issue of a task is to show.

    `run` is the task's latest one, as far as it is known; `cost` what all of them cost, in US dollars.
    """
    labels = {label: status == task.status for status, label in policy.status_labels.items()}
    if not policy.comment:
        return Telling("", labels)
    parts = [_headline(task, run)]
    reason = _reason(task, run)
    if reason and task.status is not Status.COMPLETED:
        parts.append(_fenced(reason[:QUESTION_LENGTH]))
    if task.status is Status.BLOCKED:
        parts.append(f"`orch retry {task.id}` queues it again.")
    if cost and task.status is not Status.ACTIVE:
        parts.append(f"It has cost ${cost:.2f} so far.")
    return Telling("\n\n".join(parts), labels)


def tell_issues(draft: Draft) -> None:
    """Bring the issues up to date of the tasks that orch brought in, and close those that are merged."""
    forge, document = draft.state.forge, draft.state.document
    if not draft.policy.forge.intake or document is None or not forge.ledger.issues:
        return
    before, known = draft.before.forge, draft.before.document.tasks if draft.before.document else {}
    looked, back = forge.looks != before.looks, before.failures > 0 and not forge.failures
    freed = before.telling.keys() - forge.telling.keys()
    due = {number for number, at in forge.tell_at.items() if at <= draft.now}
    if document is draft.before.document and forge.ledger is before.ledger and not (looked or freed or due):
        return
    for number, entry in forge.ledger.issues.items():
        task = document.tasks.get(issue_id(number))
        if task is None or number not in forge.saved.issues:
            continue
        changed = task is not known.get(task.id) or entry is not before.ledger.issues.get(number)
        again = changed or back or number in freed or number in due
        if again:
            _tell(draft, number, entry, task)
        if again or looked:
            _close(draft, number, entry, task)


def take_told(draft: Draft, action: Tell | CloseIssue, failure: Failure | None) -> None:
    """An issue was told or closed, or it was not: then again later, unless that is pointless."""
    forge, number = draft.state.forge, action.issue
    telling = {key: text for key, text in forge.telling.items() if key != number}
    tell_at = {key: at for key, at in forge.tell_at.items() if key != number}
    if failure is not None:
        ledger.count_error(draft)
        draft.note("error", failure.message, task=issue_id(number))
    if failure is not None and not failure.permanent:
        tell_at[number] = draft.now + max(AGAIN_SECONDS, failure.retry_after or 0.0)
        draft.wake(tell_at[number])
    else:
        entry = forge.ledger.issues.get(number)
        if entry is not None:
            done = entry.evolve(told=action.hash) if isinstance(action, Tell) else entry.evolve(closed=True)
            ledger.remember(draft, forge.ledger.evolve(issues={**forge.ledger.issues, number: done}))
    draft.change(
        forge=draft.state.forge.evolve(telling=telling, tell_at=tell_at, unsettled=draft.policy.forge.intake)
    )


def _tell(draft: Draft, number: int, entry: Entry, task: Task) -> None:
    forge, policy = draft.state.forge, draft.policy.forge
    if is_told(draft, entry, task) or number in forge.telling or _is_put_off(draft, number):
        return
    sign_now = sign(task, policy)
    draft.change(forge=forge.evolve(telling={**forge.telling, number: sign_now}))
    cost = budgets.task_cost(draft, task.id).usd
    draft.act(Tell(number, describe(task, draft.runs.get(task.id), policy, cost), sign_now))


def _close(draft: Draft, number: int, entry: Entry, task: Task) -> None:
    """Close the issue of a merged task that is still open a look later: the forge closes most by itself."""
    forge = draft.state.forge
    if entry.closed or task.status is not Status.COMPLETED or "Merged" not in task.bullets:
        return
    issue = (forge.sight.issues or {}).get(number)
    if issue is None or not issue.open or number in forge.telling or _is_put_off(draft, number):
        return
    since = forge.closing.get(number)
    if since is None:
        draft.change(forge=forge.evolve(closing={**forge.closing, number: forge.looks}))
    elif forge.looks > since:
        draft.change(forge=forge.evolve(telling={**forge.telling, number: "close"}))
        draft.act(CloseIssue(number))


def _is_put_off(draft: Draft, number: int) -> bool:
    at = draft.state.forge.tell_at.get(number, 0.0)
    if at > draft.now:
        draft.wake(at)
    return at > draft.now or draft.state.forge.failures > 0


def _is_worth_telling(task: Task) -> bool:
    """A task that only waits in the queue is not told of, nor one that a person set aside."""
    if task.status is Status.PENDING:
        return "Retry at" in task.bullets
    return task.status is not Status.SKIPPED


def _headline(task: Task, run: Run | None) -> str:
    worker = f" (attempt {task.attempt}, `{task.mark.worker}`)" if task.attempt and task.mark.worker else ""
    pull = task.fields.get("PR", "")
    match task.status:
        case Status.ACTIVE:
            agent = f" by {run.claim.agent}" if run else ""
            about = f"; it follows up on {pull}" if pull else ""
            return f"🟡 **orch** is at work{agent}{worker}{about}."
        case Status.COMPLETED if "Merged" in task.bullets:
            return f"✅ **orch** is done: {pull} is merged."
        case Status.COMPLETED:
            commit = f" at {task.mark.commit}" if task.mark.commit else ""
            return f"✅ **orch** is done{worker}: {pull or 'no pull request'}{commit}, not merged yet."
        case Status.BLOCKED:
            return f"⏰ **orch** is blocked{worker}:"
        case Status.FAILED:
            return f"❌ **orch** failed{worker}:"
        case _:
            when = task.fields.get("Retry at", "")
            return f"🔁 **orch** tries again at {when} (attempt {task.attempt} did not succeed):"


def _reason(task: Task, run: Run | None) -> str:
    told = task.fields.get("Reason", "")
    outcome = run.outcome if run else None
    # The line in tasks.md is short; a question may need more.
    return outcome.detail if outcome and task.status is Status.BLOCKED and outcome.detail else told


def _fenced(text: str) -> str:
    """A text that others wrote, so that nobody is mentioned by it and nothing is linked or closed."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    line = "`" * max(3, longest + 1)
    return f"{line}\n{text.strip()}\n{line}"
