"""Takes each live run one step further: results of actions, probes, deadlines. Pure."""

from collections.abc import Callable
from typing import cast

from orch.core.actions import (
    Action,
    Ask,
    End,
    Ensure,
    Failure,
    Finish,
    Inspect,
    MakeRun,
    Publish,
    Result,
    Start,
    Sweep,
    Verify,
)
from orch.core.draft import Draft
from orch.core.model import (
    BEFORE_LAUNCH,
    EndReason,
    Evidence,
    Exit,
    Outcome,
    OutcomeKind,
    Phase,
    PullRequest,
    Run,
    Stopping,
)
from orch.core.names import issue_number
from orch.core.rules import budgets, causes, complete, ledger, limits, parking, retry, shortage, trust
from orch.core.state import Absent, Alive, Ended, Gone

LOOK_AGAIN_SECONDS = 0.25
"""A launcher that is gone without exit.json is believed to be lost on the second look (design 5)."""
AFTERWARDS = frozenset({Phase.SWEEPING, Phase.INSPECTING, Phase.VERIFYING, Phase.PUBLISHING})
"""The worker is over; what it did is being looked at and published."""
LAUNCH_TRIES = 3
"""So often a worktree or a launch is tried before the task gives its place to another one."""
SWEEP_MARGIN_SECONDS = 15.0
"""A launcher that has not ended its tree this long after the grace is swept by the coordinator."""


def take_result(draft: Draft, result: Result) -> None:
    """Fold the result of an action on a run into that run."""
    action = result.action
    key = action.run.key if isinstance(action, Start | Inspect) else getattr(action, "run", None)
    run = draft.run(key) if key is not None else None
    if run is None or _PHASES.get(type(action)) is not run.phase:
        if run is not None and isinstance(action, Ask | End) and result.failure:
            draft.note("error", f"could not stop: {result.failure.message}", run.key)
        return
    if result.failure is not None:
        _take_failure(draft, run, action, result.failure)
        return
    run = run.evolve(failures=0, retry_at=None)
    match action:
        case MakeRun():
            step(draft, run, Phase.PREPARING)
        case Ensure():
            draft.put(run.evolve(phase=Phase.READY))
        case Start():
            draft.count(workers_launched=1)
            wait = max(0.0, draft.now - run.claim.queued_at)
            metrics = draft.state.metrics
            draft.change(metrics=metrics.sample(queue_wait=wait))
            draft.note("launched", f"{run.claim.agent} started as {run.key.worker}", run.key)
            draft.put(run.evolve(phase=Phase.RUNNING))
            draft.wake(draft.now)  # Its process can be seen now, and is written into tasks.md.
        case Sweep():
            step(draft, run, Phase.INSPECTING)
        case Inspect():
            evidence, pull = cast("tuple[Evidence, PullRequest | None]", result.value)
            _judge(draft, run.evolve(evidence=evidence, pull=pull))
        case Verify():
            ok, tail = cast("tuple[bool, str]", result.value)
            if run.stopping is not None:
                _give_up(draft, run, run.stopping)
            elif ok:
                step(draft, run, Phase.PUBLISHING)
            else:
                reason = "verify failed: " + (tail.strip().splitlines() or ["no output"])[-1]
                _finish(draft, run, complete.fail(run, draft.policy, draft.now, reason, detail=tail))
        case Publish():
            if run.pull is None:
                draft.count(prs_created=1)
            run = run.evolve(pull=cast("PullRequest", result.value))
            _finish(draft, run, complete.conclude(run, OutcomeKind.COMPLETED, draft.now))
        case Finish():
            _close(draft, run)
        case _:
            raise AssertionError(action)


def take_probe(draft: Draft, run: Run) -> None:
    """Fold what a probe said of a started run into it. A run that could not be probed stays."""
    match draft.seen.probes.get(run.key):
        case Alive(process, stall):
            if stall is not None and run.stall is None:
                draft.note("stalled", stall.describe(draft.now), run.key)
            if (process, stall) != (run.process, run.stall) or run.missing_since is not None:
                draft.put(run.evolve(process=process, stall=stall, missing_since=None))
        case Ended(exit, process):
            step(draft, run.evolve(exit=exit, process=process or run.process), Phase.INSPECTING)
        case Gone(process):
            since = draft.now if run.missing_since is None else run.missing_since
            if draft.now - since < LOOK_AGAIN_SECONDS:
                draft.put(run.evolve(process=process, missing_since=since))
                draft.wake(since + LOOK_AGAIN_SECONDS)
                return
            lost = Exit(EndReason.LOST, ended_at=draft.now, message="launcher lost")
            draft.note("error", "the launcher vanished without writing exit.json", run.key)
            step(draft, run.evolve(exit=lost, process=process), Phase.SWEEPING)
        case Absent():
            # A start is over only once run.json is there: somebody took it away. It is the fence, so a
            # second start can do no harm.
            draft.put(run.evolve(phase=Phase.READY, process=None, missing_since=None))
            draft.wake(draft.now)
        case _:
            pass


def keep_deadlines(draft: Draft, run: Run) -> None:
    """Repeat a failed step, and drive a wish to stop, when it is time."""
    if run.stopping is not None and run.phase in BEFORE_LAUNCH:
        # An action that is under way may still make the directory or the tree: both are harmless.
        _give_up(draft, run, run.stopping)
    elif run.stopping is not None and run.phase is Phase.RUNNING and run.process is not None:
        _drive_stop(draft, run, run.stopping)
    elif run.stopping is not None and run.phase is Phase.VERIFYING and run.stopping.ended_at is None:
        draft.put(run.evolve(stopping=run.stopping.evolve(ended_at=draft.now)))
        draft.act(End(run.key))
    elif run.stopping is not None and run.phase in AFTERWARDS and run.retry_at is not None:
        # What comes after the work does not work out, and a person does not want to wait for it.
        _give_up(draft, run, run.stopping)
    elif run.retry_at is not None and draft.now < run.retry_at:
        draft.wake(run.retry_at)
    elif run.retry_at is not None and run.phase is not Phase.READY:
        step(draft, run, run.phase)


def stop(draft: Draft, run: Run, stopping: Stopping) -> None:
    """Wish to end a run. The first reason stays; a later wish can only make it quicker."""
    if run.stopping is not None:
        if stopping.now and not run.stopping.now:
            draft.put(run.evolve(stopping=run.stopping.evolve(now=True)))
        return
    if run.phase in (Phase.FINISHING, Phase.OVER) or (run.phase is Phase.PUBLISHING and run.retry_at is None):
        return  # The work is done and judged; what is left is to write it down.
    draft.note("stopping", stopping.reason, run.key)
    draft.put(run.evolve(stopping=stopping))


def step(draft: Draft, run: Run, phase: Phase) -> None:
    """Enter a phase (or enter it again after a failure) and ask for the action that leaves it."""
    run = draft.put(run.evolve(phase=phase, retry_at=None))
    draft.act(_ACTIONS[phase](draft, run))


def _judge(draft: Draft, run: Run) -> None:
    outcome = causes.judge(draft, run) or complete.judge(run, draft.policy, draft.now)
    if outcome is not None:
        _finish(draft, run, outcome)
    else:
        step(draft, run, Phase.VERIFYING if draft.policy.verify else Phase.PUBLISHING)


def _give_up(draft: Draft, run: Run, stopping: Stopping) -> None:
    _finish(draft, run, complete.conclude(run, stopping.then, draft.now, reason=stopping.reason))


def _finish(draft: Draft, run: Run, outcome: Outcome) -> None:
    step(draft, run.evolve(outcome=outcome), Phase.FINISHING)


def _close(draft: Draft, run: Run) -> None:
    """The outcome is on disk: the run is history, and is counted."""
    outcome = run.outcome
    if outcome is None:
        raise AssertionError(run)
    # What lies on disk is not kept in memory for weeks.
    exit, claim = run.exit, run.claim.evolve(before="", follow=None)
    draft.put(Run(run.key, claim, Phase.OVER, outcome=outcome, pull=outcome.pull))
    metrics = draft.state.metrics
    if outcome.started_at:
        metrics = metrics.sample(duration=max(0.0, outcome.ended_at - outcome.started_at))
    draft.change(metrics=metrics)
    draft.count(attempts=1)
    message = outcome.reason
    match outcome.kind:
        case OutcomeKind.COMPLETED:
            draft.count(workers_completed=1)
            draft.change(
                metrics=draft.state.metrics.finished(completed=True),
                trees={**draft.state.trees, run.key.task: draft.now},
            )
            message = f"pull request {outcome.pull.url}" if outcome.pull else ""
        case OutcomeKind.FAILED:
            draft.count(workers_failed=1)
            if outcome.retry_at is None:
                draft.change(metrics=draft.state.metrics.finished(completed=False))
        case OutcomeKind.BLOCKED | OutcomeKind.STOPPED:
            draft.count(workers_blocked=1)
        case _:
            pass
    keep = draft.policy.keep_failed_seconds
    if keep is not None and outcome.retry_at is None and outcome.kind is not OutcomeKind.COMPLETED:
        draft.change(trees={**draft.state.trees, run.key.task: draft.now + keep})
    if outcome.retry_at is not None:
        message += f"; again at {draft.stamp(outcome.retry_at)}"
    draft.note(str(outcome.kind), message, run.key)
    limits.learn(draft, run.key, outcome, exit)
    parking.learn(draft, run, outcome)
    budgets.charge(draft, run, outcome)


def _take_failure(draft: Draft, run: Run, action: Action, failure: Failure) -> None:
    """A step did not work: try it again, or give the attempt up where that is pointless."""
    short = shortage.is_shortage(draft, failure)
    failures = run.failures + 1
    run = run.evolve(failures=failures)
    if short:
        # It may last for days: the log is not filled with it, and no health is judged by it.
        if failures == 1:
            draft.note("error", failure.message, run.key)
        shortage.tell_step(draft, failure)
        _try_again(draft, run, action, min(retry.step_delay(run.key, failures, None), shortage.RETRY_SECONDS))
        return
    if isinstance(action, Ensure | Inspect):
        draft.count(worktree_errors=1)
    elif isinstance(action, Publish):
        ledger.count_error(draft)
    draft.note("error", failure.message, run.key)
    if failure.permanent and not isinstance(action, MakeRun | Finish):
        if run.stopping is not None:
            _give_up(draft, run, run.stopping)
        else:
            failed = complete.conclude(run, OutcomeKind.FAILED, draft.now, reason=failure.message)
            _finish(draft, run, failed)
        return
    if isinstance(action, Ensure | Start) and failures >= LAUNCH_TRIES:
        # It must not hold its place for ever, and it is not the task's fault. What a worker has done
        # is another matter: looking at it, pushing it and writing it down are tried until they work.
        _finish(draft, run, complete.fail(run, draft.policy, draft.now, failure.message, charged=False))
        return
    _try_again(draft, run, action, retry.step_delay(run.key, failures, failure.retry_after))


def _try_again(draft: Draft, run: Run, action: Action, delay: float) -> None:
    """Have the step of a run repeated after so many seconds."""
    # A launch is not simply repeated: its task may be gone by then, or the fleet paused.
    phase = Phase.READY if isinstance(action, Start) else run.phase
    draft.put(run.evolve(phase=phase, retry_at=draft.now + delay))
    draft.wake(draft.now + delay)


def _drive_stop(draft: Draft, run: Run, stopping: Stopping) -> None:
    policy = draft.policy
    if stopping.ended_at is not None:
        deadline = stopping.ended_at + policy.grace_seconds + SWEEP_MARGIN_SECONDS
        if draft.now < deadline:
            draft.wake(deadline)
            return
        late = Exit(EndReason.STOPPED, ended_at=draft.now, message="the launcher did not end its worker")
        step(draft, run.evolve(exit=late), Phase.SWEEPING)
        return
    deadline = stopping.since + policy.stop_seconds
    if stopping.now or draft.now >= deadline:
        draft.put(run.evolve(stopping=stopping.evolve(ended_at=draft.now)))
        draft.act(End(run.key))
        draft.wake(draft.now + policy.grace_seconds + SWEEP_MARGIN_SECONDS)
        return
    if not stopping.asked:
        draft.put(run.evolve(stopping=stopping.evolve(asked=True)))
        draft.act(Ask(run.key, stopping.reason))
    draft.wake(deadline)


def _start(draft: Draft, run: Run) -> Action:
    task = draft.task(run.key.task)
    if task is None:
        raise AssertionError(run)  # edits.reconcile enters STARTING only for a task that is there
    forge, policy, number = draft.state.forge, draft.policy.forge, issue_number(task.id)
    shown = policy.intake and trust.is_shown(forge, policy.trust, number)
    issue = (forge.sight.issues or {}).get(number) if shown else None
    return Start(run, task, issue, policy.trust)


def _publish(draft: Draft, run: Run) -> Action:
    fixes = issue_number(run.key.task) if draft.policy.forge.intake else 0
    return complete.draft_pull(run, draft.task(run.key.task), fixes=fixes)


def _finish_action(_: Draft, run: Run) -> Action:
    if run.outcome is None:
        raise AssertionError(run)
    return Finish(run.key, run.outcome)


_ACTIONS: dict[Phase, Callable[[Draft, Run], Action]] = {
    Phase.CLAIMING: lambda _, run: MakeRun(run.key, run.claim),
    Phase.PREPARING: lambda _, run: Ensure(run.key, run.claim.branch, run.claim.fresh),
    Phase.STARTING: _start,
    Phase.SWEEPING: lambda _, run: Sweep(run.key),
    Phase.INSPECTING: lambda _, run: Inspect(run),
    Phase.VERIFYING: lambda _, run: Verify(run.key),
    Phase.PUBLISHING: _publish,
    Phase.FINISHING: _finish_action,
}

_PHASES: dict[type, Phase] = {
    MakeRun: Phase.CLAIMING,
    Ensure: Phase.PREPARING,
    Start: Phase.STARTING,
    Sweep: Phase.SWEEPING,
    Inspect: Phase.INSPECTING,
    Verify: Phase.VERIFYING,
    Publish: Phase.PUBLISHING,
    Finish: Phase.FINISHING,
}
