"""The pause of the fleet. Pure."""

from orch.core.actions import SavePause
from orch.core.draft import Draft
from orch.core.metrics import Health


def set_paused(draft: Draft, reason: str | None) -> None:
    """Pause or resume. The action that remembers it is asked for only where something changes."""
    if (draft.state.paused is None) == (reason is None):
        return
    draft.change(paused=reason)
    if reason is None:
        # A person has looked: the next bad health is acted on again.
        draft.change(alarm=Health.OK)
    draft.note("resumed" if reason is None else "paused", reason or "")
    save(draft)


def save(draft: Draft) -> None:
    """Have it remembered, unless the disk just refused to."""
    draft.change(pause_saved=False)
    if draft.now >= draft.state.retry_writes_at:
        draft.act(SavePause(draft.state.paused))
