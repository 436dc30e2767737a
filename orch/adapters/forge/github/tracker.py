"""GitHub's issues, and how it stands with the pull requests that orch follows."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote

from orch.adapters.forge.github import markers, shapes
from orch.adapters.forge.github.failures import MissingError
from orch.adapters.forge.github.hub import Hub
from orch.adapters.forge.github.issues import Issues
from orch.adapters.forge.github.people import People
from orch.adapters.forge.github.pulls import Pulls
from orch.adapters.forge.github.usage import CORE
from orch.core.forge import Comment, Person, Sight, Telling, Trust, Usage, Wanted
from orch.errors import OrchError, PermanentError, TransientError

COMMENT_PAGES = 30
"""Of an issue's comments so many pages are read: 3,000 of them."""

Found = TypeVar("Found")


class GitHubTracker:
    """The Tracker over GitHub. Safe to use from any thread."""

    def __init__(
        self,
        hub: Hub,
        *,
        label: str,
        trust: Trust,
        warn: Callable[[str], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        """`label` brings issues to orch, '' for none; `trust` tells whose issues need no second look."""
        self._hub = hub
        self._warn = warn
        self._issues = Issues(hub, label, trust, People(hub, now), now)
        self._pulls = Pulls(hub, now)
        self._lock = threading.Lock()
        self._warned = ""
        """What was last warned of: it may last for days."""
        self._comments: dict[int, int] = {}
        """By issue: the id of orch's comment."""

    def look(self, wanted: Wanted) -> Sight:
        """See `ports.Tracker`. What one half of it met is no reason not to tell the other."""
        with self._lock:
            issues, trouble = _attempt(lambda: self._issues.look(wanted.issues))
            pulls, other = _attempt(lambda: self._pulls.look(wanted.pulls))
        error = trouble or other
        if error is not None:
            # A half of which nothing is wanted has nothing to tell.
            if issues is None and not (pulls and wanted.pulls):
                if isinstance(error, TransientError):
                    raise error
                raise TransientError(error.message, hint=error.hint) from error
            if str(error) != self._warned:
                self._warn(str(error))
        self._warned = str(error or "")
        return Sight(issues, pulls, self._usage())

    def comments(self, issue: int) -> Sequence[Comment]:
        """See `ports.Tracker`."""
        return tuple(
            Comment(
                Person(comment.login, comment.author_association),
                comment.text,
                comment.created_at.timestamp() if comment.created_at else 0.0,
            )
            for comment in self._said(issue)
            if not (markers.is_ours(comment.text) and self._hub.is_me(comment.login))
        )

    def tell(self, issue: int, telling: Telling) -> None:
        """See `ports.Tracker`."""
        try:
            if telling.text:
                self._write_comment(issue, markers.status(telling.text))
            if telling.labels:
                self._set_labels(issue, telling.labels)
        except MissingError:
            self._forget(issue)
            raise

    def close(self, issue: int) -> None:
        """See `ports.Tracker`."""
        path = self._hub.path(f"/issues/{issue}")
        try:
            if self._hub.connection.read(path, shapes.Issue).state == "open":
                change = {"state": "closed", "state_reason": "completed"}
                self._hub.connection.write("PATCH", path, change, shapes.Issue)
        except MissingError:
            self._forget(issue)

    def expect(self, pull: int) -> None:
        """The checks of a pull request are about to change."""
        with self._lock:
            self._pulls.expect(pull)

    # --- inside -----------------------------------------------------------------------------------

    def _forget(self, issue: int) -> None:
        with self._lock:
            self._issues.forget(issue)

    def _said(self, issue: int) -> list[shapes.Comment]:
        path = self._hub.path(f"/issues/{issue}/comments")
        pages = self._hub.connection.pages(path, list[shapes.Comment], limit=COMMENT_PAGES)
        return [comment for page in pages for comment in page]

    def _write_comment(self, issue: int, text: str) -> None:
        """Edit the comment, or write it where it is found nowhere."""
        known = self._comments.get(issue)
        if known is not None:
            try:
                self._edit_comment(known, text)
            except MissingError:
                del self._comments[issue]  # A person deleted it.
            else:
                return
        for comment in self._said(issue):
            if markers.is_status(comment.text) and self._hub.is_me(comment.login):
                self._comments[issue] = comment.id
                if comment.text.replace("\r\n", "\n") != text:
                    self._edit_comment(comment.id, text)
                return
        path = self._hub.path(f"/issues/{issue}/comments")
        self._comments[issue] = self._hub.connection.write("POST", path, {"body": text}, shapes.Comment).id

    def _edit_comment(self, key: int, text: str) -> None:
        path = self._hub.path(f"/issues/comments/{key}")
        self._hub.connection.write("PATCH", path, {"body": text}, shapes.Comment)

    def _set_labels(self, issue: int, labels: Mapping[str, bool]) -> None:
        path = self._hub.path(f"/issues/{issue}")
        there = {name.casefold() for name in self._hub.connection.read(path, shapes.Issue).names}
        missing = [name for name, wanted in labels.items() if wanted and name.casefold() not in there]
        if missing:
            body = {"labels": missing}
            self._hub.connection.write("POST", f"{path}/labels", body, list[shapes.Label])
        for name, wanted in labels.items():
            if not wanted and name.casefold() in there:
                try:
                    self._hub.connection.write(
                        "DELETE", f"{path}/labels/{quote(name, safe='')}", None, object
                    )
                except MissingError:
                    continue  # Somebody was quicker.

    def _usage(self) -> Usage | None:
        usage = self._hub.connection.meter.usage()
        core = usage.limits.get(CORE)
        if core is None:
            return None
        return Usage(core.limit - core.left, core.left, core.reset_at, usage.requests)


def _attempt(look: Callable[[], Found]) -> tuple[Found | None, OrchError | None]:
    try:
        return look(), None
    except (TransientError, PermanentError) as error:
        return None, error
