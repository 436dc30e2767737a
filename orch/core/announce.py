"""What is worth telling somebody who does not look: which events have a hook, and with which facts. Pure."""

from enum import StrEnum

from orch.core.metrics import Event
from orch.core.model import Phase, RunKey
from orch.core.state import State
from orch.core.values import dataclass


class Occasion(StrEnum):
    """When a hook runs. The value is the name in `[hooks] on_...`."""

    BLOCKED = "blocked"
    """A worker needs an answer."""
    FAILED = "failed"
    """A task has used up its attempts."""
    PAUSED = "paused"
    """Nothing new is launched any more, whoever wanted it."""
    LIMITED = "limited"
    """An agent has reached its usage limit."""
    PR_READY = "pr_ready"
    """A task is completed, and there is a pull request to look at."""
    MERGED = "merged"
    """A pull request was merged."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One occasion with its facts. What does not apply is empty."""

    occasion: Occasion
    at: float
    """Seconds since the epoch."""
    message: str
    task: str = ""
    title: str = ""
    attempt: int = 0
    branch: str = ""
    agent: str = ""
    pull: str = ""
    """The address of the pull request."""

    @property
    def run(self) -> RunKey | None:
        """The run that it is about, None where it is about none."""
        return RunKey(self.task, self.attempt) if self.attempt else None


def announcements(before: State, state: State) -> tuple[Announcement, ...]:
    """What of `state.events` is to be announced, in order. `before` is the state of the turn before."""
    found = ((occasion, event) for event in state.events if (occasion := _occasion(before, state, event)))
    return tuple(_describe(before, state, occasion, event) for occasion, event in found)


def _occasion(before: State, state: State, event: Event) -> Occasion | None:
    """Which occasion an event is, None for most."""
    run = state.runs.get(event.task) or before.runs.get(event.task)
    outcome = run.outcome if run else None
    match event.kind:
        case "failed":
            # An attempt that is followed by another one is no news.
            return None if outcome is not None and outcome.retry_at is not None else Occasion.FAILED
        case "completed":
            return Occasion.PR_READY if _pull(before, state, event) else None
        case "limited":
            # The limit of an agent was told when it began; every attempt that ends for it says so again.
            again = run is not None and run.phase is Phase.OVER and outcome is not None and outcome.parked
            return None if again else Occasion.LIMITED
        case "blocked" | "paused" | "merged":
            return Occasion(event.kind)
        case _:
            return None


def _pull(before: State, state: State, event: Event) -> str:
    """The address of the pull request that an event is about, '' where there is none."""
    run = state.runs.get(event.task) or before.runs.get(event.task)
    if run is not None and run.key.attempt == event.attempt and run.outcome and run.outcome.pull:
        return run.outcome.pull.url
    task = state.document.tasks.get(event.task) if state.document and event.task else None
    return task.fields.get("PR", "") if task is not None and not event.attempt else ""


def _describe(before: State, state: State, occasion: Occasion, event: Event) -> Announcement:
    run = state.runs.get(event.task) or before.runs.get(event.task)
    task = state.document.tasks.get(event.task) if state.document and event.task else None
    claim = run.claim if run is not None and run.key.attempt == event.attempt else None
    fields = task.fields if task is not None else {}
    return Announcement(
        occasion=occasion,
        at=event.at,
        message=event.message,
        task=event.task,
        title=claim.title if claim else task.title if task else "",
        attempt=event.attempt,
        branch=claim.branch if claim else fields.get("Branch", ""),
        agent=claim.agent if claim else "",
        pull=_pull(before, state, event),
    )
