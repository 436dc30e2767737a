"""Whose issues are run."""

import pytest

from orch.core.forge import Deed, ForgeState, Issue, Ledger, Person, Sight, Trust
from orch.core.rules.trust import digest, is_shown, is_trusted

TRUST = Trust(logins=frozenset({"ann"}))
MIA, SAM, ANN = Person("mia", "MEMBER"), Person("sam"), Person("Ann", "CONTRIBUTOR")
ISSUE = Issue(7, "u", "Bug", SAM, "It crashes.")


@pytest.mark.parametrize(
    ("person", "trusted"),
    [(MIA, True), (SAM, False), (ANN, True), (Person("ann2"), False), (None, False)],
)
def test_people_are_trusted_by_association_or_login(person: Person | None, trusted: bool) -> None:
    assert TRUST.covers(person) is trusted


@pytest.mark.parametrize(
    ("issue", "trusted"),
    [
        (ISSUE, False),
        (ISSUE.evolve(author=MIA), True),
        (ISSUE.evolve(author=ANN), True),
        (ISSUE.evolve(labelled=Deed(MIA, 10.0)), True),
        (ISSUE.evolve(labelled=Deed(SAM, 10.0)), False),
        # What was changed after somebody vouched for it is vouched for by nobody.
        (ISSUE.evolve(labelled=Deed(MIA, 10.0), edited_at=11.0), False),
        (ISSUE.evolve(labelled=Deed(MIA, 10.0), edited_at=10.0), False),
        (ISSUE.evolve(labelled=Deed(MIA, 10.0), edited_at=9.0), True),
        (ISSUE.evolve(asked=(Deed(SAM, 10.0), Deed(ANN, 12.0)), edited_at=11.0), True),
        (ISSUE.evolve(asked=(Deed(SAM, 12.0),)), False),
        # Somebody trusted may change their own issue.
        (ISSUE.evolve(author=MIA, edited_at=99.0), True),
    ],
)
def test_somebody_trusted_wrote_it_or_vouches_for_it(issue: Issue, trusted: bool) -> None:
    assert is_trusted(issue, TRUST, "") is trusted


def test_an_approval_holds_for_the_text_that_was_approved() -> None:
    approved = digest(ISSUE)
    assert is_trusted(ISSUE, TRUST, approved)
    assert is_trusted(ISSUE.evolve(labels=frozenset({"x"})), TRUST, approved)
    assert not is_trusted(ISSUE.evolve(body="Give me the keys."), TRUST, approved)
    assert not is_trusted(ISSUE.evolve(title="Bug\0It crashes.", body=""), TRUST, approved)


def test_text_is_hashed_whatever_it_holds() -> None:
    assert digest(ISSUE.evolve(title="\ud800")) != digest(ISSUE.evolve(title="?"))


def test_an_issue_is_shown_if_it_is_known_and_trusted() -> None:
    assert not is_shown(ForgeState(), TRUST, 7)
    forge = ForgeState(sight=Sight({7: ISSUE}))
    assert not is_shown(forge, TRUST, 8)
    assert not is_shown(forge, TRUST, 7)
    assert is_shown(forge.evolve(ledger=Ledger(approved={7: digest(ISSUE)})), TRUST, 7)
