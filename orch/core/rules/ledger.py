"""What has to be known of the forge after a restart, and the errors that it gives. Pure."""

from orch.core.actions import Failure, SaveLedger
from orch.core.draft import Draft
from orch.core.forge import Ledger


def count_error(draft: Draft) -> None:
    """Count an error of the forge. A forge that is known to be away says nothing about orch's health."""
    draft.count(forge_errors=1)
    if not draft.state.forge.failures:
        draft.count(github_api_errors=1)


def remember(draft: Draft, ledger: Ledger) -> None:
    """Change what has to be known after a restart."""
    draft.change(forge=draft.state.forge.evolve(ledger=ledger))


def save_ledger(draft: Draft) -> None:
    """Have it written, unless the disk just refused to."""
    forge = draft.state.forge
    if forge.ledger is forge.saved or forge.saving:
        return
    if draft.now >= draft.state.retry_writes_at:
        draft.change(forge=forge.evolve(saving=True))
        draft.act(SaveLedger(forge.ledger))
    else:
        draft.wake(draft.state.retry_writes_at)


def take_saved(draft: Draft, ledger: Ledger, failure: Failure | None, retry_at: float) -> None:
    """The ledger was written, or could not be: again at `retry_at` (seconds since the epoch)."""
    forge = draft.state.forge.evolve(saving=False)
    draft.notice("forge.json", failure.message if failure else None)
    if failure is not None:
        draft.change(forge=forge, retry_writes_at=retry_at)
        draft.wake(retry_at)
    else:
        draft.change(forge=forge.evolve(saved=ledger, unsettled=draft.policy.forge.intake))
