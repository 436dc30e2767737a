"""What the forge has to say to a worker."""

from orch.core.brief import (
    COMMENTS_LENGTH,
    ISSUE_LENGTH,
    LOG_LENGTH,
    LOGS_LENGTH,
    describe_issue,
    describe_logs,
)
from orch.core.forge import Comment, Issue, Person, Trust

TRUST = Trust()
MIA, SAM = Person("mia", "MEMBER"), Person("sam")
ISSUE = Issue(7, "u", "Bug", SAM, " It crashes.\n")


def test_an_issue_comes_with_what_trusted_people_said() -> None:
    comments = (
        Comment(MIA, "In main"),
        Comment(SAM, "Use my miner"),
        Comment(MIA, " "),
        Comment(MIA, "Soon"),
    )
    assert describe_issue(ISSUE, comments, TRUST) == (
        "#7: Bug\n\nIt crashes.\n\nmia comments:\n\nIn main\n\nmia comments:\n\nSoon"
    )
    assert describe_issue(ISSUE.evolve(body=""), (), TRUST) == "#7: Bug"


def test_long_texts_are_cut_and_say_so() -> None:
    long = describe_issue(ISSUE.evolve(body="x" * (ISSUE_LENGTH + 1)), (), TRUST)
    assert long.endswith("x\n\n(the rest is left out)")
    old, new = Comment(MIA, "o" * COMMENTS_LENGTH), Comment(MIA, "new")
    text = describe_issue(ISSUE, (old, old, new), TRUST)
    assert "ooo" not in text
    assert text.count("(older comments are left out)") == 1
    assert text.endswith("mia comments:\n\nnew")


def test_logs_are_shown_by_their_ends() -> None:
    assert describe_logs({}) == ""
    assert describe_logs({"test": " no\n", "lint": "\n"}) == "=== test ===\nno"
    tail = describe_logs({"test": "a" + "b" * LOG_LENGTH})
    assert tail == "=== test ===\n" + "b" * LOG_LENGTH
    many = describe_logs({str(number): "x" * LOG_LENGTH for number in range(9)})
    assert many.count("x") == LOGS_LENGTH
