"""Holds tasks.md against the runs: writes what happened, and obeys what a person changed. Pure.

Which marks are orch's own follows from the run directories: a mark that orch wrote carries the
worker id of the task's latest run, or is the `[]` of a task that waits for its next attempt. Any
other mark is a person's edit, and wins.
"""

from orch.core import names
from orch.core.actions import Archive, SetMark
from orch.core.draft import Draft
from orch.core.model import (
    PENDING,
    Mark,
    OutcomeKind,
    Phase,
    Run,
    Status,
    Stopping,
    Task,
)
from orch.core.rules import complete, progress, shortage, trust
from orch.core.tasks_md import Document, bullet_text

VANISHED_SECONDS = 2.0
"""A line that vanished counts once the file was not changed for this long (design section 6)."""

Fields = tuple[tuple[str, str | None], ...]


def reconcile(draft: Draft) -> None:
    """Bring the marks and the runs together. Nothing is concluded from a file that is not there."""
    document = draft.seen.document
    if document is None:
        return
    for name in sorted(draft.live):
        _reconcile_live(draft, draft.runs[name], document.tasks.get(name))
    for name in draft.state.plan.active:
        task = document.tasks[name]
        if name in draft.live or not draft.recall(name):
            continue
        run = draft.runs.get(name)
        if run is not None and run.key.worker == task.mark.worker:
            draft.write(SetMark(name, task.mark, complete.mark_of(run), _fields_over(draft, run)))
        else:
            # Nobody works on it: a mark of another machine, or typed by hand.
            draft.write(SetMark(name, task.mark, PENDING, (("PID", None), ("Started", None))))
    today = draft.today
    if document is not draft.before.document or today != draft.state.today:
        draft.change(today=today)
        for name in document.stale(today):
            draft.write(Archive(name))
    if document is not draft.before.document:
        _move_misplaced(draft, document)
        _tell_problems(draft)


def _move_misplaced(draft: Draft, document: Document) -> None:
    """The mark decides; the heading is where orch moves the line to (design section 6)."""
    for name in document.misplaced():
        task = document.tasks[name]
        if name in draft.live or name in draft.state.plan.active:
            continue  # Its mark is orch's own business.
        fields: list[tuple[str, str | None]] = [("PID", None)]
        if task.mark.status is Status.COMPLETED and "Completed" not in task.bullets:
            fields.append(("Completed", draft.stamp(draft.now)))
        draft.write(SetMark(name, task.mark, task.mark, tuple(fields)))


def _tell_problems(draft: Draft) -> None:
    """Say what is wrong with the file when it begins, not at every save."""
    before = draft.before.document
    known = {
        problem.message for problem in (*draft.before.plan.problems, *(before.problems if before else ()))
    }
    document = draft.state.document
    for problem in (*(document.problems if document else ()), *draft.state.plan.problems):
        if problem.message not in known:
            draft.note("problem", f"tasks.md:{problem.line}: {problem.message}")


def merged_text(stamp: str, commit: str) -> str:
    """What `- Merged:` says: when, and the abbreviated commit where there is one."""
    return f"{stamp} {commit[: complete.ABBREVIATION]}".strip()


def take_back(draft: Draft, task: Task) -> None:
    """Queue a task again."""
    cleared = ("Failed", "Blocked", "Completed", "PR", "Merged", "Reason", "Retry at", "Saved", "PID")
    draft.write(SetMark(task.id, task.mark, PENDING, tuple((name, None) for name in cleared)))


def _reconcile_live(draft: Draft, run: Run, task: Task | None) -> None:
    if run.phase is Phase.FINISHING:
        return  # Its outcome is decided; once that is written the mark follows.
    if task is None:
        _vanished(draft, run)
        return
    mark = complete.mark_of(run)
    if task.mark == mark:
        if not run.marked:
            run = draft.put(run.evolve(marked=True))
        fields, told = _fields_live(draft, run), task.fields
        if any(told.get(name) != (value and bullet_text(value)) for name, value in fields):
            draft.write(SetMark(task.id, mark, mark, fields))
        if run.phase is Phase.READY and run.stopping is None:
            _launch(draft, run)
    elif task.mark.status is Status.ACTIVE or (
        # One that tells of no such attempt was saved by somebody who had not seen this run.
        _is_open(task, run) and (not run.marked or task.attempt < run.key.attempt)
    ):
        if run.phase is Phase.CLAIMING:
            return  # The file tells of no attempt that has no run directory.
        draft.write(SetMark(task.id, task.mark, mark, _fields_live(draft, run)))
    else:
        _obey(draft, run, task.mark)


def _is_open(task: Task, run: Run) -> bool:
    """Whether a task still bears the mark that its run was claimed for."""
    if task.mark.status is Status.COMPLETED and run.claim.follow and run.claim.follow.pull:
        return task.mark.worker == names.worker_id(run.key.task, run.key.attempt - 1)
    return task.mark.status is Status.PENDING


def _launch(draft: Draft, run: Run) -> None:
    """The worktree is there and tasks.md says so: now the worker may start, unless all is held."""
    held = draft.state.paused is not None or draft.state.draining or shortage.list_shortages(draft)
    if draft.policy.forge.intake and names.issue_number(run.key.task) in draft.state.forge.ledger.issues:
        if draft.state.forge.sight.issues is None:
            return  # It is not known yet whether its text may be shown.
        if not trust.is_shown(draft.state.forge, draft.policy.forge.trust, names.issue_number(run.key.task)):
            changed = Stopping("waits for approval", draft.now, then=OutcomeKind.INTERRUPTED)
            progress.stop(draft, run, changed)
            return
    if not held and (run.retry_at is None or draft.now >= run.retry_at):
        progress.step(draft, run, Phase.STARTING)


def _vanished(draft: Draft, run: Run) -> None:
    age = draft.seen.document_age
    if draft.seen.document is None or not draft.seen.document.text.strip():
        return  # An editor empties a file before it writes it.
    if age < VANISHED_SECONDS:
        draft.wake(draft.now + VANISHED_SECONDS - age)
    else:
        reason = "its line was deleted from tasks.md"
        progress.stop(draft, run, Stopping(reason, draft.now, now=True))


def _obey(draft: Draft, run: Run, mark: Mark) -> None:
    reason = f"marked {mark.status} by hand"
    progress.stop(draft, run, Stopping(reason, draft.now, now=True))


def _fields_live(draft: Draft, run: Run) -> Fields:
    started = run.process.started_at if run.process else run.claim.claimed_at
    fields: list[tuple[str, str | None]] = [
        ("Started", draft.stamp(started)),
        ("PID", str(run.process.pid) if run.process and run.process.pid else None),
        ("Branch", run.claim.branch),
        ("Attempt", str(run.key.attempt)),
    ]
    cleared = ["Retry at", "Completed", "Merged", "Failed", "Reason", "Blocked", "Saved"]
    if not (run.claim.follow and run.claim.follow.pull):
        cleared.append("PR")
    return (*fields, *((name, None) for name in cleared))


def _fields_over(draft: Draft, run: Run) -> Fields:
    outcome = run.outcome
    if outcome is None:
        raise AssertionError(run)
    ended = draft.stamp(outcome.ended_at)
    fields: dict[str, str | None] = {
        "PID": None,
        "Branch": outcome.branch,
        "Attempt": str(run.key.attempt),
        "Reason": outcome.reason or None,
        "Saved": outcome.saved or None,
    }
    if outcome.retry_at is not None:
        fields["Retry at"] = draft.stamp(outcome.retry_at)
        fields["Started"] = None
    elif outcome.kind is OutcomeKind.COMPLETED:
        fields["Completed"] = ended
        fields["PR"] = outcome.pull.url if outcome.pull else None
    elif outcome.kind is OutcomeKind.FAILED:
        fields["Failed"] = ended
    else:
        fields["Blocked"] = ended
    return tuple(fields.items())
