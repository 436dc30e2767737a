"""What happens to issues. Pull requests are issues too, so this serves both."""

import re
from collections.abc import Iterable, Sequence

from tests.github.errors import gone, invalid, not_found, refused
from tests.github.state import Comment, Event, Issue, Label, Pull, State

# https://docs.github.com/en/issues/tracking-your-work-with-issues/linking-a-pull-request-to-an-issue
CLOSING = re.compile(r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+#(\d+)\b", re.IGNORECASE)
MENTION = re.compile(r"(?<![\w/#])#(\d+)\b")
MAX_BODY = 65536
"""The longest body that GitHub takes, in characters."""


class Issues:
    """Changes issues, each with its events and its new `updated_at`."""

    def __init__(self, state: State) -> None:
        self._state = state

    # --- looking --------------------------------------------------------------------------------------

    def get(self, number: int) -> Issue:
        """An issue or a pull request; raises 404, or 410 for one that was deleted."""
        issue = self._state.issues.get(number)
        if issue is None:
            raise not_found()
        if issue.deleted:
            raise gone()
        return issue

    def listed(self) -> list[Issue]:
        """Every issue and pull request that was not deleted, oldest first."""
        return [issue for issue in self._state.issues.values() if not issue.deleted]

    def comments(self) -> list[Comment]:
        """Every comment, oldest first."""
        found = [comment for issue in self.listed() for comment in issue.comments]
        return sorted(found, key=lambda comment: comment.id)

    def find_comment(self, key: int) -> Comment:
        for comment in self.comments():
            if comment.id == key:
                return comment
        raise not_found()

    # --- changing -------------------------------------------------------------------------------------

    def open(
        self, title: str, body: str, labels: Iterable[str] = (), *, by: str, pull: Pull | None = None
    ) -> Issue:
        self._check(title, body)
        now = self._state.now()
        number = len(self._state.issues) + 1
        issue = Issue(self._state.new_id(), number, by, title, body, now, now, pull=pull)
        self._state.issues[number] = issue
        self.label(issue, labels, by=by)
        self._mention(issue, body, by)
        return issue

    def edit(self, issue: Issue, *, by: str, title: str | None = None, body: str | None = None) -> None:
        self._check(issue.title if title is None else title, body or "")
        if title is not None and title != issue.title:
            self.record(issue, "renamed", by, title=(issue.title, title))
            issue.title = title
        if body is not None:
            if body != issue.body:
                issue.body, issue.body_edited_at = body, self._state.now()
            self._mention(issue, body, by)
        self.touch(issue)

    def close(self, issue: Issue, *, by: str, reason: str | None = None, commit: str = "") -> None:
        """Close an open one; a closed one may get another reason."""
        if issue.pull is None:
            issue.state_reason = reason or "completed"
        if issue.is_open:
            issue.state, issue.closed_at, issue.closed_by = "closed", self._state.now(), by
            self.record(issue, "closed", by, commit=commit)

    def reopen(self, issue: Issue, *, by: str) -> None:
        if not issue.is_open:
            issue.state, issue.closed_at, issue.closed_by = "open", None, ""
            issue.state_reason = "reopened" if issue.pull is None else None
            self.record(issue, "reopened", by)

    def delete(self, issue: Issue) -> None:
        issue.deleted = True

    def comment(self, issue: Issue, body: str, *, by: str) -> Comment:
        if not body.strip():
            raise refused("IssueComment", "Body cannot be blank")
        self._check("a title", body)
        now = self._state.now()
        comment = Comment(self._state.new_id(), issue.number, by, body, now, now)
        issue.comments.append(comment)
        self._mention(issue, body, by)
        self.touch(issue)
        return comment

    def edit_comment(self, comment: Comment, body: str) -> None:
        if not body.strip():
            raise refused("IssueComment", "Body cannot be blank")
        comment.body, comment.updated_at = body, self._state.now()
        self.touch(self._state.issues[comment.number])

    # --- labels and dependencies ----------------------------------------------------------------------

    def make_label(self, name: str, color: str = "ededed", description: str | None = None) -> Label:
        if not name.strip():
            raise invalid("Label", "name", "missing_field")
        if self._state.find_label(name):
            raise invalid("Label", "name", "already_exists")
        label = Label(self._state.new_id(), name, color, description)
        self._state.labels[name.lower()] = label
        return label

    def label(self, issue: Issue, names: Iterable[str], *, by: str) -> None:
        """Add labels; GitHub makes those that the repository has not."""
        for name in names:
            label = self._state.find_label(name) or self.make_label(name)
            if label.name not in issue.labels:
                issue.labels.append(label.name)
                self.record(issue, "labeled", by, label=label.name)

    def unlabel(self, issue: Issue, name: str, *, by: str) -> None:
        label = self._state.find_label(name)
        if label is None or label.name not in issue.labels:
            raise not_found()
        issue.labels.remove(label.name)
        self.record(issue, "unlabeled", by, label=label.name)

    def set_labels(self, issue: Issue, names: Sequence[str], *, by: str) -> None:
        """Give an issue exactly these labels."""
        wanted = {name.lower() for name in names}
        for name in [name for name in issue.labels if name.lower() not in wanted]:
            self.unlabel(issue, name, by=by)
        self.label(issue, names, by=by)

    def block(self, issue: Issue, blocker: int, *, by: str) -> None:
        """An issue depends on another one from now on."""
        self.get(blocker)
        issue.blocked_by.append(blocker)
        self.record(issue, "blocked_by_added", by, source=blocker)

    # --- what every change does -----------------------------------------------------------------------

    def record(
        self,
        issue: Issue,
        kind: str,
        actor: str,
        *,
        label: str = "",
        commit: str = "",
        reviewer: str = "",
        title: tuple[str, str] = ("", ""),
        source: int = 0,
    ) -> None:
        """Add an event; every event is a change of the issue."""
        key, now = self._state.new_id(), self._state.now()
        issue.events.append(Event(key, kind, actor, now, label, commit, reviewer, title, source))
        self.touch(issue)

    def touch(self, issue: Issue) -> None:
        """Say that an issue changed. It never goes back, whatever the clock does."""
        issue.updated_at = max(issue.updated_at, self._state.now())

    def close_mentioned(self, text: str, *, by: str, commit: str) -> None:
        """Close the issues that a merged text says it fixes."""
        for number in dict.fromkeys(int(number) for number in CLOSING.findall(text)):
            issue = self._state.issues.get(number)
            if issue is not None and issue.pull is None and issue.is_open and not issue.deleted:
                self.close(issue, by=by, commit=commit)

    def _mention(self, issue: Issue, text: str, by: str) -> None:
        for number in {int(number) for number in MENTION.findall(text)} - {issue.number}:
            other = self._state.issues.get(number)
            if other is not None and all(event.source != issue.number for event in other.events):
                self.record(other, "cross-referenced", by, source=issue.number)

    def _check(self, title: str, body: str) -> None:
        if not title.strip():
            raise invalid("Issue", "title", "missing_field")
        if len(body) > MAX_BODY:
            raise refused("Issue", f"body is too long (maximum is {MAX_BODY} characters)")
