"""Whose issues are run. Pure."""

import hashlib

from orch.core.forge import ForgeState, Issue, Trust


def digest(issue: Issue) -> str:
    """The hash of what an issue says: an approval holds for that text alone."""
    return hashlib.sha256(f"{issue.title}\0{issue.body}".encode(errors="surrogatepass")).hexdigest()


def is_trusted(issue: Issue, trust: Trust, approved: str) -> bool:
    """Whether the text of an issue may be given to an agent. `approved` is the hash that a person approved.

    Who labels an issue, or writes `/orch run`, vouches for what it said then: it counts only if nothing
    was changed since.
    """
    if trust.covers(issue.author) or (approved and approved == digest(issue)):
        return True
    deeds = (*(() if issue.labelled is None else (issue.labelled,)), *issue.asked)
    return any(trust.covers(deed.by) and deed.at > issue.edited_at for deed in deeds)


def is_shown(forge: ForgeState, trust: Trust, number: int) -> bool:
    """Whether an agent may be shown what an issue says."""
    issue = (forge.sight.issues or {}).get(number)
    if issue is None:
        return False
    return is_trusted(issue, trust, forge.ledger.approved.get(number, ""))
