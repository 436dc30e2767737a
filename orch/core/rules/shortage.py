"""What the machine lacks. Nothing is launched meanwhile, nobody is blamed, and it goes on by itself. Pure."""

from orch.core.actions import Failure
from orch.core.draft import Draft

LOOK_SECONDS = 2.0
"""So often it is looked whether there is enough again: nobody tells. A look costs microseconds."""
RETRY_SECONDS = 5.0
"""A step that failed for a shortage is tried again after this at most. It asks nothing of anyone else."""
STEP = "shortage"
"""What the notice about a failed step is kept under."""


def tell_shortage(draft: Draft) -> None:
    """Show what is lacking, if anything, and look again soon. What waits goes on as soon as it can."""
    lacks = list_shortages(draft)
    draft.notice("resources", "nothing is launched: " + "; ".join(lacks) if lacks else None)
    if lacks:
        draft.wake(draft.now + LOOK_SECONDS)
    if draft.before.resources.problem and not draft.seen.resources.problem:
        for name in sorted(draft.live):
            run = draft.runs[name]
            if run.failures and run.retry_at is not None:
                draft.put(run.evolve(retry_at=draft.now))
    if not any(draft.runs[name].failures for name in draft.live):
        draft.notice(STEP, None)


def list_shortages(draft: Draft) -> list[str]:
    """What keeps orch from launching anything, for a person."""
    policy, resources = draft.policy, draft.seen.resources
    lacks = [resources.problem] if resources.problem else []
    disk, memory = resources.free_disk_mb, resources.free_memory_mb
    if disk is not None and disk < policy.min_free_disk_mb:
        lacks.append(f"{disk:.0f} MB of disk free, min_free_disk_mb is {policy.min_free_disk_mb:.0f}")
    if memory is not None and memory < policy.min_free_memory_mb:
        lacks.append(f"{memory:.0f} MB of memory free, min_free_memory_mb is {policy.min_free_memory_mb:.0f}")
    if resources.load is not None and 0 < policy.max_load < resources.load:
        lacks.append(f"the load is {resources.load:.1f}, max_load is {policy.max_load:.1f}")
    return lacks


def tell_step(draft: Draft, failure: Failure) -> None:
    """Show a step that failed for a shortage, until no step fails any more."""
    draft.notice(STEP, f"tried again until it works: {failure.message}")


def is_shortage(draft: Draft, failure: Failure) -> bool:
    """Whether a step failed because the machine lacks something.

    Programs have their own words for that, or none. So whatever fails while orch itself cannot work is
    put down to it.
    """
    return failure.shortage or bool(draft.seen.resources.problem)
