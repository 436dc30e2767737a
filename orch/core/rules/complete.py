"""What a run came to: evidence, not exit codes (design section 8). Pure."""

from orch.core.actions import Publish
from orch.core.forge import Follow, Reply
from orch.core.model import (
    Cause,
    EndReason,
    Evidence,
    Exit,
    Mark,
    Outcome,
    OutcomeKind,
    Policy,
    Run,
    Status,
    Task,
)
from orch.core.rules import retry

ANEW = frozenset({Cause.SESSION, Cause.PROMPT_TOO_LONG})
"""The conversation cannot go on; a new one can."""
REASON_LENGTH = 200
"""Characters of a reason in tasks.md: one line that a person can read; the rest is in outcome.json."""
DETAIL_LENGTH = 8_000
"""Characters of detail that are kept for the next attempt's prompt."""
TITLE_LENGTH = 120
"""Characters of a pull request's title."""
ABBREVIATION = 7
"""Hex digits of a commit in a mark."""


def judge(run: Run, policy: Policy, now: float) -> Outcome | None:
    """What the evidence says: an outcome, or None where the run has earned its pull request.

    `run.exit` and `run.evidence` are set; `now` is in seconds since the epoch.
    """
    exit, evidence = _finished(run)
    verdict = evidence.verdict
    if run.stopping is not None:
        return conclude(run, run.stopping.then, now, reason=run.stopping.reason)
    if evidence.blocked is not None:
        text = evidence.blocked.strip()
        return conclude(run, OutcomeKind.BLOCKED, now, reason=text or "BLOCKED.md is empty", detail=text)
    if run.pull is not None and run.pull.number != run.claim.pull:
        return None
    if exit.reason is EndReason.INTERRUPTED:
        return conclude(run, OutcomeKind.INTERRUPTED, now, reason="the machine restarted")
    if exit.reason is EndReason.STOPPED:
        # Nobody asked orch: the system shuts down, or a person signalled the launcher.
        return fail(run, policy, now, "ended from outside", charged=False)
    if not (exit.ok and verdict.ok):
        reason = verdict.reason or exit.message or f"ended: {exit.reason}"
        return fail(run, policy, now, reason, detail=verdict.tail, charged=verdict.charged)
    heads = (run.claim.head, *(run.claim.follow.heads if run.claim.follow else ()))
    if not evidence.commits or evidence.head in heads:
        return fail(run, policy, now, _no_work(evidence), detail=verdict.tail)
    return None


def fail(
    run: Run, policy: Policy, now: float, reason: str, *, detail: str = "", charged: bool = True
) -> Outcome:
    """A failed attempt; with `retry_at` while attempts are left. One that is not charged always has."""
    spent = run.claim.spent + charged
    outcome = conclude(run, OutcomeKind.FAILED, now, reason=reason, detail=detail, spent=spent)
    if not charged:
        return _until(outcome, now + retry.attempt_delay(policy, run.key, run.key.attempt))
    if spent < policy.max_attempts:
        return _until(outcome, now + retry.attempt_delay(policy, run.key, spent))
    return outcome


def conclude(
    run: Run,
    kind: OutcomeKind,
    now: float,
    *,
    reason: str = "",
    detail: str = "",
    spent: int | None = None,
) -> Outcome:
    """An outcome of `kind` with everything that is known of the run."""
    evidence = run.evidence or Evidence()
    verdict = evidence.verdict
    waits = kind in (OutcomeKind.INTERRUPTED, OutcomeKind.LIMITED)
    until = run.stopping.until if run.stopping else None
    return Outcome(
        kind=kind,
        branch=run.claim.branch,
        agent=run.claim.agent,
        ended_at=run.exit.ended_at if run.exit and run.exit.ended_at else now,
        reason=_one_line(reason),
        detail=detail[-DETAIL_LENGTH:],
        spent=run.claim.spent if spent is None else spent,
        retry_at=(now if until is None else until) if waits else None,
        commit=evidence.head if evidence.commits else "",
        pull=run.pull,
        saved=evidence.saved,
        cost_usd=verdict.cost_usd,
        tokens=verdict.tokens,
        turns=verdict.turns,
        started_at=run.process.started_at if run.process else 0.0,
        claimed_at=run.claim.claimed_at,
        queued_at=run.claim.queued_at,
        session_id=_conversation(run),
        model=run.claim.model,
        lane=run.claim.lane,
        parked=run.claim.parked,
        message="" if _is_heard(run, kind) else run.claim.message,
        taken=run.claim.taken,
        follow=run.claim.follow,
    )


def _conversation(run: Run) -> str:
    """The conversation that a next attempt can go on with."""
    if run.evidence is None:
        return run.claim.resume  # Nothing was started, so it is as it was.
    verdict = run.evidence.verdict
    return "" if verdict.cause in ANEW else verdict.session_id or run.claim.resume


def _is_heard(run: Run, kind: OutcomeKind) -> bool:
    """Whether the agent has surely heard what it was to be told."""
    if run.evidence is None or kind in (OutcomeKind.INTERRUPTED, OutcomeKind.LIMITED):
        return False
    verdict = run.evidence.verdict
    return verdict.charged and not verdict.agent_wide


def draft_pull(run: Run, task: Task | None, *, fixes: int = 0) -> Publish:
    """The pull request of a run: the title and body come from the task and the commits.

    `fixes` is the number of the issue that its merge closes, 0 for none.
    """
    evidence = run.evidence or Evidence()
    title = task.title if task else run.claim.title
    parts = [f"Task {run.key.task}: {title}"]
    if task and task.notes:
        parts.append(task.notes)
    if evidence.commits:
        parts.append("Commits:\n\n" + "\n".join(f"- {_one_line(text)}" for text in evidence.commits))
    parts.append(f"Attempt {run.key.attempt} by {run.claim.agent} ({run.key.worker}), opened by orch.")
    if evidence.verdict.cost_usd:
        parts[-1] += f" It cost ${evidence.verdict.cost_usd:.2f}."
    if fixes:
        parts.append(f"Fixes #{fixes}")
    follow = run.claim.follow or Follow()
    settled = f"Settled in {evidence.head[:ABBREVIATION]} (attempt {run.key.attempt}, {run.key.worker})."
    replies = tuple(Reply(remark, settled, f"{run.key}:{remark}") for remark in follow.remarks)
    short = title if len(title) <= TITLE_LENGTH else title[: TITLE_LENGTH - 1] + "…"
    return Publish(run.key, run.claim.branch, short or run.key.task, "\n\n".join(parts), replies)


def mark_of(run: Run) -> Mark:
    """The mark that tasks.md should bear for a run."""
    worker = run.key.worker
    if run.outcome is None:
        return Mark(Status.ACTIVE, worker)
    if run.outcome.retry_at is not None:
        return Mark()
    match run.outcome.kind:
        case OutcomeKind.COMPLETED:
            return Mark(Status.COMPLETED, worker, run.outcome.commit[:ABBREVIATION])
        case OutcomeKind.BLOCKED | OutcomeKind.STOPPED:
            return Mark(Status.BLOCKED, worker)
        case _:
            return Mark(Status.FAILED, worker)


def _until(outcome: Outcome, at: float) -> Outcome:
    return outcome.evolve(retry_at=at)


def _no_work(evidence: Evidence) -> str:
    why = f"; {evidence.verdict.reason}" if evidence.verdict.reason else ""
    if not evidence.uncommitted:
        return f"no work: the agent ended well but committed nothing{why}"
    files = "1 file" if evidence.uncommitted == 1 else f"{evidence.uncommitted} files"
    return f"no work: the agent committed nothing ({files} left uncommitted, saved in {evidence.saved}){why}"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= REASON_LENGTH else line[: REASON_LENGTH - 1] + "…"


def _finished(run: Run) -> tuple[Exit, Evidence]:
    if run.exit is None or run.evidence is None:
        message = f"run {run.key} is judged before it was inspected"
        raise ValueError(message)
    return run.exit, run.evidence
