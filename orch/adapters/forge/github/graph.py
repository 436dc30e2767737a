"""What is asked by GraphQL about issues: many at once, each under a name of its own."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from orch.adapters.forge.github import shapes
from orch.adapters.forge.github.failures import PERSON_SECONDS
from orch.adapters.forge.github.hub import Hub
from orch.core.forge import Deed, Person
from orch.core.values import dataclass
from orch.errors import TransientError

ASK = "/orch run"
"""The comment by which somebody trusted has an issue run."""


class Actor(msgspec.Struct):
    """A person or a bot."""

    login: str
    kind: str = msgspec.field(default="User", name="__typename")

    @property
    def name(self) -> str:
        """The login as REST writes it."""
        return f"{self.login}[bot]" if self.kind == "Bot" and not self.login.endswith("[bot]") else self.login


class Names(msgspec.Struct):
    """A page of labels."""

    nodes: list[shapes.Label]


class _Issue(msgspec.Struct, rename="camel"):
    number: int
    url: str
    title: str
    body: str
    state: str
    updated_at: datetime
    author_association: str
    labels: Names
    author: Actor | None = None


class _Event(msgspec.Struct, rename="camel"):
    kind: str = msgspec.field(name="__typename")
    created_at: datetime | None = None
    actor: Actor | None = None
    label: shapes.Label | None = None
    author: Actor | None = None
    author_association: str = "NONE"
    body: str = ""


class _Events(msgspec.Struct):
    nodes: list[_Event]


class _Story(msgspec.Struct, rename="camel"):
    number: int
    timeline_items: _Events
    last_edited_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class History:
    """Who did what to an issue."""

    labelled: tuple[tuple[str, Deed], ...]
    """Labels that were set, and by whom; oldest first, associations unknown."""
    asked: tuple[Deed, ...]
    """Who asked for it to be run."""
    edited_at: float
    """When the title or the body last changed, seconds since the epoch; 0: never."""


_ISSUE = """
    number url title body state updatedAt authorAssociation
    author { __typename login }
    labels(first: 100) { nodes { name } }
"""

_STORY = """
    number lastEditedAt
    timelineItems(last: 100, itemTypes: [LABELED_EVENT, RENAMED_TITLE_EVENT, ISSUE_COMMENT]) {
        nodes {
            __typename
            ... on LabeledEvent { createdAt actor { __typename login } label { name } }
            ... on RenamedTitleEvent { createdAt }
            ... on IssueComment { createdAt author { __typename login } authorAssociation body }
        }
    }
"""


def about(numbers: Sequence[int], field: str, what: str, name: str) -> str:
    """A query for the same about each of several issues or pull requests."""
    each = "\n".join(f"n{number}: {field}(number: {number}) {{ ...what }}" for number in numbers)
    kind = "PullRequest" if field == "pullRequest" else "Issue"
    return (
        f"query {name}($owner: String!, $name: String!) {{\n"
        f"repository(owner: $owner, name: $name) {{\n{each}\n}}\n}}\n"
        f"fragment what on {kind} {{{what}}}"
    )


def ask_each(
    hub: Hub, numbers: Sequence[int], field: str, what: str, name: str, kind: type[Any]
) -> Mapping[int, Any]:
    """The answer for each number; None for one that does not exist."""
    if not numbers:
        return {}
    hub.repository()  # Its present name.
    query = about(numbers, field, what, name)
    shape = dict[str, dict[str, kind | None] | None]  # type: ignore[valid-type]
    data: Any = hub.connection.ask(query, hub.variables, shape, partial=True)
    found = data.get("repository")
    if found is None:
        # Not one of them is missing then: nothing can be seen at all.
        hint = "was the repository deleted or renamed, or the token changed? orch forge check"
        raise TransientError(f"GitHub does not show {hub.name}", hint=hint, retry_after=PERSON_SECONDS)
    return {number: found.get(f"n{number}") for number in numbers}


def issues(hub: Hub, numbers: Sequence[int]) -> Mapping[int, shapes.Issue | None]:
    """Issues as the lists show them; None for a number that is no issue."""
    found: Mapping[int, _Issue | None] = ask_each(hub, numbers, "issue", _ISSUE, "issues", _Issue)
    return {number: None if issue is None else _shape(hub, issue) for number, issue in found.items()}


def histories(hub: Hub, numbers: Sequence[int]) -> Mapping[int, History]:
    """Who labelled, renamed and commented on each issue. One that is gone is missing."""
    found: Mapping[int, _Story | None] = ask_each(hub, numbers, "issue", _STORY, "histories", _Story)
    return {number: _history(story) for number, story in found.items() if story is not None}


def person(actor: Actor | None, association: str = "NONE") -> Person:
    """Somebody; GitHub's word for one who has left."""
    return Person(actor.name if actor else "ghost", association)


def _shape(hub: Hub, issue: _Issue) -> shapes.Issue:
    return shapes.Issue(
        issue.number,
        issue.url,
        f"/repos/{hub.name}",
        issue.title,
        issue.state.lower(),
        issue.updated_at,
        shapes.Account(issue.author.name) if issue.author else None,
        issue.author_association,
        issue.body,
        [*issue.labels.nodes],
    )


def _history(story: _Story) -> History:
    labelled, asked = [], []
    edits = [story.last_edited_at.timestamp()] if story.last_edited_at else []
    for event in story.timeline_items.nodes:
        at = event.created_at.timestamp() if event.created_at else 0.0
        match event.kind:
            case "LabeledEvent" if event.label is not None:
                labelled.append((event.label.name, Deed(person(event.actor), at)))
            case "RenamedTitleEvent":
                edits.append(at)
            case "IssueComment" if event.body.lstrip().lower().startswith(ASK):
                asked.append(Deed(person(event.author, event.author_association), at))
            case _:
                pass
    return History(tuple(labelled), tuple(asked), max(edits, default=0.0))
