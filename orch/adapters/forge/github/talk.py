"""What people said about a pull request, and what of it nobody has settled yet."""

from collections.abc import Callable, Iterator

from orch.adapters.forge.github import markers
from orch.adapters.forge.github.graph_pulls import Full, Said
from orch.core.forge import Person, Remark

IN_THREAD, REVIEW, PLAIN = "rc", "rv", "ic"
"""How the ids of remarks begin: comments in threads, texts of reviews, plain comments."""

_ANCHORS = {IN_THREAD: "discussion_r", REVIEW: "pullrequestreview-", PLAIN: "issuecomment-"}
_TEXTS = frozenset({"COMMENTED", "CHANGES_REQUESTED"})
_OPINIONS = frozenset({"APPROVED", "CHANGES_REQUESTED", "DISMISSED"})


def split(remark: str) -> tuple[str, int]:
    """The kind of a remark and its number at GitHub; ('', 0) for what is no id of one."""
    kind, _, number = remark.partition("-")
    known = kind in _ANCHORS and number.isascii() and number.isdecimal() and len(number) < 19
    return (kind, int(number)) if known else ("", 0)


def remarks(full: Full, url: str, is_me: Callable[[str], bool]) -> tuple[Remark, ...]:
    """See `PullStatus.remarks`. `url` of the pull request; `is_me` knows the login whose marks count."""
    found: list[Remark] = []
    answered: set[str] = set()
    for kind, said, path, line in _all(full):
        if markers.is_ours(said.body) and is_me(said.login):
            answered |= markers.answered(said.body)
            continue
        if not said.body.strip() or (kind == REVIEW and said.state not in _TEXTS):
            continue
        anchor = f"{url}#{_ANCHORS[kind]}{said.full_database_id}"
        name = f"{kind}-{said.full_database_id}"
        found.append(Remark(name, _person(said), said.body, path, line, anchor, said.at))
    return tuple(
        sorted((remark for remark in found if remark.id not in answered), key=lambda it: (it.at, it.id))
    )


def opinions(full: Full) -> tuple[tuple[Person, ...], tuple[Person, ...]]:
    """Whose last review approves, and whose requests changes."""
    latest: dict[str, Said] = {}
    for review in full.reviews.nodes:
        if review.state in _OPINIONS:
            latest[review.login] = review
    approvers = tuple(_person(review) for review in latest.values() if review.state == "APPROVED")
    objectors = tuple(_person(review) for review in latest.values() if review.state == "CHANGES_REQUESTED")
    return approvers, objectors


def _all(full: Full) -> Iterator[tuple[str, Said, str, int]]:
    """Everything that was said and is not resolved: the kind, what, the file and the line."""
    for thread in full.review_threads.nodes:
        if not thread.is_resolved:
            for comment in thread.comments.nodes:
                yield IN_THREAD, comment, thread.path, thread.line or 0
    for review in full.reviews.nodes:
        yield REVIEW, review, "", 0
    for comment in full.comments.nodes:
        yield PLAIN, comment, "", 0


def _person(said: Said) -> Person:
    return Person(said.login, said.author_association)
