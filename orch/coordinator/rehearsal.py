"""What orch would write to the forge now. Nothing is written, neither there nor here."""

from collections.abc import Sequence
from dataclasses import replace

from orch.coordinator.background import perform
from orch.coordinator.loop import recover
from orch.coordinator.observe import observe
from orch.core.actions import (
    Action,
    AutoMerge,
    CloseIssue,
    Inspect,
    Poll,
    Rerun,
    Result,
    Retire,
    SaveLedger,
    Tell,
    WriteTasks,
)
from orch.core.decide import decide
from orch.core.model import Policy
from orch.core.tasks_md import Document, apply
from orch.errors import TransientError
from orch.ports import Ports

LOOKS = 2
"""What is closed or tried again only at the next look is shown too."""
TURNS = 100
"""Of each look. What follows from one look settles in a few."""
WAIT_SHARE = 2.0
"""So many poll intervals lie between the looks, for the rules; nobody really waits."""


def rehearse(ports: Ports, policy: Policy) -> Sequence[str]:
    """A line for each write to the forge that would be made.

    Nothing is launched. Looks at the forge as a coordinator does: raises TransientError where that fails.
    """
    return _Rehearsal(ports, policy.evolve(max_concurrent_workers=0)).run()


class _Rehearsal:
    """Turns whose actions are only told, or carried out in memory."""

    def __init__(self, ports: Ports, policy: Policy) -> None:
        self._ports = ports
        self._policy = policy
        self._state = recover(ports, policy)
        self._document: Document | None = None
        self._lines: dict[str, None] = {}

    def run(self) -> Sequence[str]:
        for number in range(LOOKS):
            later = number * WAIT_SHARE * self._policy.forge.poll_interval
            results = self._turn((), later)
            for _ in range(TURNS):
                if not results and not self._state.recall:
                    break
                results = self._turn(results, later)
        return tuple(self._lines)

    def _turn(self, results: tuple[Result, ...], later: float) -> tuple[Result, ...]:
        seen = observe(self._ports, self._state, results)
        if self._document is None:
            self._document = seen.document
        seen = replace(seen, now=seen.now + later, document=self._document)
        decision = decide(self._state, seen, self._policy)
        self._state = decision.state
        done = (self._carry_out(action) for action in decision.actions)
        return tuple(result for result in done if result is not None)

    def _carry_out(self, action: Action) -> Result | None:
        """The result of what goes on in memory, of looks and of what is told; None for all else."""
        match action:
            case WriteTasks(changes):
                self._document = apply(self._document or Document(), changes)
                return Result(action, self._document)
            case Poll(wanted):
                result = perform(action, lambda: self._ports.tracker.look(wanted))
                if result.failure is not None:
                    raise TransientError(result.failure.message)
                return result
            case SaveLedger():
                return Result(action)
            case Inspect(run):
                # Looking at it would save what is uncommitted: a write, if only here.
                self._lines[
                    f"{run.claim.branch} would be pushed and get its pull request, if it has work"
                ] = None
                return None
            case Tell() | CloseIssue() | Rerun() | AutoMerge() | Retire():
                self._lines[_describe(action)] = None
                return Result(action)
            case _:
                return None


def _describe(action: Tell | CloseIssue | Rerun | AutoMerge | Retire) -> str:
    match action:
        case Tell(issue, telling):
            words = [f"its comment would say: {telling.text.splitlines()[0]}"] if telling.text else []
            words += [
                f"label {name} would be {'set' if on else 'off'}" for name, on in telling.labels.items()
            ]
            return f"issue #{issue}: {'; '.join(words)}"
        case CloseIssue(issue):
            return f"issue #{issue} would be closed"
        case Rerun(_, pull, jobs):
            return f"pull request #{pull.number}: {', '.join(job.name for job in jobs)} would run again"
        case AutoMerge(_, pull):
            return f"pull request #{pull.number} would be merged as soon as the forge allows it"
        case Retire(_, pull):
            return f"the branch {pull.branch} would be deleted, here and at the forge"
