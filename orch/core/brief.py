"""What the forge has to say to the worker of an attempt: the issue, and what is wrong with its work. Pure.

All of it was written by others. The prompt template fences it.
"""

from collections.abc import Mapping, Sequence

from orch.core.forge import Comment, Issue, Trust
from orch.core.values import dataclass

ISSUE_LENGTH = 20_000
"""Characters of an issue's own text."""
COMMENTS_LENGTH = 20_000
"""Characters of its comments: the newest are kept."""
LOG_LENGTH = 8_000
"""Characters of the log of one job: its end is kept."""
LOGS_LENGTH = 30_000


@dataclass(frozen=True, slots=True)
class Brief:
    """Texts for a prompt; '' where there is nothing."""

    issue: str = ""
    """Title, text and trusted comments of the issue."""
    logs: str = ""
    """The ends of the logs of the failed checks."""


NOTHING = Brief()


def describe_issue(issue: Issue, comments: Sequence[Comment], trust: Trust) -> str:
    """An issue with what trusted people said about it, oldest first."""
    said: list[str] = []
    room = COMMENTS_LENGTH
    for comment in reversed(comments):
        text = comment.text.strip()
        if not text or not trust.covers(comment.author):
            continue
        room -= len(text)
        if room < 0:
            said.append("(older comments are left out)")
            break
        said.append(f"{comment.author.login} comments:\n\n{text}")
    return "\n\n".join([f"#{issue.number}: {issue.title}", *_body(issue), *reversed(said)])


def describe_logs(tails: Mapping[str, str]) -> str:
    """The ends of the logs, each under the name of its job."""
    parts: list[str] = []
    room = LOGS_LENGTH
    for name, tail in tails.items():
        text = tail.strip()[-min(LOG_LENGTH, room) :]
        room -= len(text)
        if text:
            parts.append(f"=== {name} ===\n{text}")
        if room <= 0:
            break
    return "\n\n".join(parts)


def _body(issue: Issue) -> list[str]:
    text = issue.body.strip()
    if len(text) > ISSUE_LENGTH:
        text = f"{text[:ISSUE_LENGTH]}\n\n(the rest is left out)"
    return [text] if text else []
