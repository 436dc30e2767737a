"""A RunStore in memory."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from orch.core.model import Claim, Outcome, Phase, Process, Run, RunKey
from orch.core.names import is_task_id
from orch.errors import PermanentError
from tests.fakes.failing import Failing


class FakeRunStore(Failing):
    """The RunStore of a test.

    `processes` stands for the run.json of each run: a FakeExecutor that is given the same dictionary
    starts a run only if it is not in there yet, and `finish` fences by putting a pid 0 there. `fail`
    as the other fakes.
    """

    def __init__(self, root: Path = Path("/fake/runs")) -> None:
        super().__init__()
        self._root = root
        self.claims: dict[RunKey, Claim] = {}
        self.outcomes: dict[RunKey, Outcome] = {}
        self.processes: dict[RunKey, Process] = {}

    def load(self, tasks: Collection[str] | None = None) -> Mapping[str, Run]:
        self._enter("load")
        wanted = sorted(key for key in self.claims if tasks is None or key.task in tasks)
        latest = {key.task: self._run(key) for key in wanted}
        return {task: _as_told(run, run.outcome) if run.outcome else run for task, run in latest.items()}

    def claim(self, run: RunKey, claim: Claim) -> None:
        self._enter("claim")
        self.directory(run)
        self.claims.setdefault(run, claim)

    def finish(self, run: RunKey, outcome: Outcome) -> None:
        self._enter("finish")
        self.directory(run)
        self.processes.setdefault(run, Process(0, 0, "", outcome.ended_at))
        self.outcomes.setdefault(run, outcome)
        self.claims.setdefault(run, _claim_of(outcome))

    def prune(self, keep_days: float, now: float) -> Sequence[RunKey]:
        self._enter("prune")
        latest = {key.task: key for key in sorted(self.claims)}
        old = [
            key
            for key, outcome in sorted(self.outcomes.items())
            if outcome.ended_at < now - keep_days * 86_400 and latest[key.task] != key
        ]
        for key in old:
            del self.outcomes[key], self.claims[key]
        return old

    def history(self, task: str) -> Sequence[Run]:
        self._enter("history")
        self.directory(RunKey(task, 1))
        return [self._run(key) for key in sorted(self.claims) if key.task == task]

    def directory(self, run: RunKey) -> Path:
        if not is_task_id(run.task) or run.attempt < 1:
            raise PermanentError(f"{run.task!r}/{run.attempt} is not the name of a run")
        return self._root / run.task / str(run.attempt)

    def _run(self, key: RunKey) -> Run:
        claim, process = self.claims[key], self.processes.get(key)
        outcome = self.outcomes.get(key)
        if outcome is not None:
            return Run(key, claim, Phase.OVER, process=process, outcome=outcome, pull=outcome.pull)
        return Run(key, claim, Phase.RUNNING if process else Phase.CLAIMING, process=process)


def _as_told(run: Run, outcome: Outcome) -> Run:
    """A run that is over as `load` gives it: with no more than its outcome tells."""
    return run.evolve(claim=_claim_of(outcome), process=None)


def _claim_of(outcome: Outcome) -> Claim:
    return Claim(outcome.branch, outcome.agent, "", outcome.claimed_at, queued_at=outcome.queued_at)
