"""The issues that matter, kept up to date by one conditional request.

The list is asked for what changed since a moment that stays the same while nothing changes: GitHub answers
304 then, which costs nothing. It is never filtered by label: an issue that loses the label would not be
seen. The newest changes stand first, so a page that is unchanged means that nothing changed.
"""

import math
import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from orch.adapters.forge.github import graph, shapes
from orch.adapters.forge.github.connection import PER_PAGE, Parameters, next_page
from orch.adapters.forge.github.failures import MissingError
from orch.adapters.forge.github.hub import Hub
from orch.adapters.forge.github.people import People
from orch.core.forge import Issue, Person, Trust

MARGIN_SECONDS = 60
"""GitHub's lists lag behind each other: what changed shortly before the newest is asked for again."""
MANY = 30
"""Changes on the page after which the moment moves on."""
PAGES, LIST_PAGES = 10, 15
"""Of a list of changes, and of the whole list, in one look: it must end. The next one goes on from there."""
HISTORIES = 500
"""Issues of which it is asked in one look who labelled them."""
PARENTS = 100
"""Issues of which it is asked in one look what blocks them: each takes a request of its own."""
GRAPH_PAGE = 25
AGAIN_SECONDS, SOON_SECONDS = 3600.0, 600.0
"""The whole list is read so often: whatever was missed is seen then. Sooner, where it has several pages."""
ABSENT_SECONDS = 600.0
"""Somebody may say that an issue depends on one that does not exist yet."""


@dataclass
class _Listing:
    """The list of the open issues with the label, as far as it was read."""

    page: int = 1
    seen: set[int] = field(default_factory=set)


@dataclass
class _Backlog:
    """The changes since `since`, of which some are not read yet."""

    since: datetime
    page: int = 1


@dataclass
class _Known:
    """An issue as the list shows it, and what was looked up besides."""

    shape: shapes.Issue
    issue: Issue | None = None
    """As it was when everything about it was last looked up."""
    complete: bool = False
    """Whether that is how the list shows it."""


class Issues:
    """The open issues with the label, and those that are asked for. Used by one thread at a time."""

    def __init__(
        self, hub: Hub, label: str, trust: Trust, people: People, now: Callable[[], float] = time.time
    ) -> None:
        """`trust` tells whose issues need no second look, `now` when to look again for what was missing."""
        self._hub = hub
        self._label = label
        self._trust = trust
        self._people = people
        self._now = now
        self._known: dict[int, _Known] = {}
        self._absent: dict[int, float] = {}
        """Until when a number that does not exist is not asked for again."""
        self._since: datetime | None = None
        self._listing: _Listing | None = None
        self._listed = False
        """Whether the whole list was ever read."""
        self._again_at = 0.0
        self._etag = ""
        self._backlog: _Backlog | None = None
        self._answer: Mapping[int, Issue] = {}

    def look(self, wanted: AbstractSet[int]) -> Mapping[int, Issue] | None:
        """The open issues with the label and the `wanted` ones that exist, as they are now.

        The same mapping while nothing in it has changed. None while there is more to be looked up than
        one look may take: an issue that is missing would be taken for one that does not exist.
        """
        if not self._label and not wanted:
            return self._answer
        if self._now() >= self._again_at and self._backlog is None and self._listing is None:
            self._listing = _Listing()
        if self._listing is not None:
            self._list(self._listing)
        self._poll(wanted)
        asked_all = self._ask_for(wanted)
        for number in [number for number in self._known if number not in wanted]:
            if not self._matters(self._known[number].shape):
                del self._known[number]
        self._complete()
        found = {number: known.issue for number, known in sorted(self._known.items()) if known.issue}
        if not (self._listed and asked_all) or len(found) < len(self._known):
            return None
        if found != self._answer:
            self._answer = found
        return self._answer

    def forget(self, number: int) -> None:
        """An issue is gone: GitHub said so when something was to be written to it."""
        self._known.pop(number, None)
        self._absent[number] = math.inf

    # --- the lists --------------------------------------------------------------------------------

    def _list(self, listing: _Listing) -> None:
        """Read every open issue with the label, a few pages at a time; then the polls tell what changes.

        Now and then it is done again: an issue that was deleted or moved elsewhere is in no list of changes,
        and one may have slipped to another page while the pages were read.
        """
        if self._since is None:
            newest: Parameters = {"state": "all", "sort": "updated", "direction": "desc", "per_page": 1}
            found = self._hub.connection.read(self._hub.path("/issues"), list[shapes.Issue], newest)
            self._since = found[0].updated_at if found else datetime.fromtimestamp(0, UTC)
        if self._label and not self._read_on(listing):
            return  # The next look goes on from there.
        for number in self._known.keys() - listing.seen:
            if self._matters(self._known[number].shape):
                del self._known[number]  # Where it is wanted, it is asked for.
        self._listing, self._listed = None, True
        self._again_at = self._now() + (AGAIN_SECONDS if listing.page == 1 else SOON_SECONDS)

    def _read_on(self, listing: _Listing) -> bool:
        """Read some more pages of the list; says whether that was its end."""
        path = self._hub.path("/issues")
        # By creation: what changes meanwhile keeps its place.
        asked = {"state": "open", "labels": self._label, "sort": "created", "direction": "asc"}
        for _ in range(LIST_PAGES):
            here: Parameters = {**asked, "per_page": PER_PAGE, "page": listing.page}
            page = self._hub.connection.read(path, list[shapes.Issue], here)
            for shape in page:
                self._take(shape, frozenset())
            if len(page) < PER_PAGE:
                return True
            listing.page += 1
        return False

    def _poll(self, wanted: AbstractSet[int]) -> None:
        if self._since is None:
            raise AssertionError("begun before")
        asked = {"state": "all", "sort": "updated", "direction": "desc", "since": _stamp(self._since)}
        path = self._hub.path("/issues")
        changed = self._hub.connection.read_changed(
            path, list[shapes.Issue], {**asked, "per_page": PER_PAGE}, self._etag
        )
        if changed is not None:
            page, answer = changed
            for shape in page:
                self._take(shape, wanted)
            self._etag = answer.etag
            if next_page(answer) and self._backlog is None:
                self._backlog = _Backlog(self._since)
            elif len(page) > MANY:
                self._move_on(page[0].updated_at)
        if self._backlog is not None:
            self._catch_up(self._backlog, wanted)

    def _catch_up(self, backlog: _Backlog, wanted: AbstractSet[int]) -> None:
        """Read what did not fit on the page, oldest first: what changes meanwhile goes to the end.

        Where one moment has more changes than a page, its pages are counted.
        """
        path = self._hub.path("/issues")
        for _ in range(PAGES):
            asked = {"state": "all", "sort": "updated", "direction": "asc", "since": _stamp(backlog.since)}
            asked |= {"per_page": str(PER_PAGE), "page": str(backlog.page)}
            page = self._hub.connection.read(path, list[shapes.Issue], asked)
            for shape in page:
                self._take(shape, wanted)
            if len(page) < PER_PAGE:
                self._backlog = None
                self._move_on(page[-1].updated_at if page else backlog.since)
                return
            if page[-1].updated_at > backlog.since:
                backlog.since, backlog.page = page[-1].updated_at, 1
            else:
                backlog.page += 1

    def _move_on(self, newest: datetime) -> None:
        since = datetime.fromtimestamp(newest.timestamp() - MARGIN_SECONDS, UTC)
        if self._since is None or since > self._since:
            self._since, self._etag = since, ""

    def _take(self, shape: shapes.Issue, wanted: AbstractSet[int]) -> None:
        """Take over an issue as it is now, if it matters."""
        self._hub.check_name(shape.repository_url)
        if shape.pull_request is not None:
            return
        self._absent.pop(shape.number, None)
        if self._listing is not None:
            self._listing.seen.add(shape.number)  # By whatever list: it is there.
        known = self._known.get(shape.number)
        if known is not None and known.shape == shape:
            return
        if known is not None and known.shape.updated_at > shape.updated_at:
            return  # A list that lags behind.
        if known is not None or shape.number in wanted or self._matters(shape):
            self._known[shape.number] = _Known(shape, known.issue if known is not None else None)

    def _matters(self, shape: shapes.Issue) -> bool:
        return shape.state == "open" and self._has_label(shape)

    def _has_label(self, shape: shapes.Issue) -> bool:
        """Labels are the same whatever their case, as on GitHub."""
        return any(name.casefold() == self._label.casefold() for name in shape.names)

    # --- what the lists do not tell ---------------------------------------------------------------

    def _ask_for(self, wanted: AbstractSet[int]) -> bool:
        """Look up the wanted issues that no list has shown: closed or unlabelled before orch started.

        Says whether that was all of them.
        """
        now = self._now()
        unknown = sorted(
            number for number in wanted - self._known.keys() if self._absent.get(number, 0.0) <= now
        )
        for start in range(0, min(len(unknown), PAGES * PER_PAGE), PER_PAGE):
            numbers = unknown[start : start + PER_PAGE]
            for number, found in graph.issues(self._hub, numbers).items():
                if found is None:
                    self._absent[number] = now + ABSENT_SECONDS
                else:
                    self._known[number] = _Known(found)
        return len(unknown) <= PAGES * PER_PAGE

    def _complete(self) -> None:
        """Look up what the lists do not tell, of as many issues as one look may take."""
        waiting = [known for known in self._known.values() if not known.complete]
        doubtful = [known for known in waiting if self._is_doubtful(known.shape)]
        histories: dict[int, graph.History] = {}
        for start in range(0, min(len(doubtful), HISTORIES), GRAPH_PAGE):
            numbers = [known.shape.number for known in doubtful[start : start + GRAPH_PAGE]]
            histories |= graph.histories(self._hub, numbers)
        left = PARENTS
        for known in waiting:
            shape = known.shape
            if self._is_doubtful(shape) and shape.number not in histories:
                continue
            blocked = shape.issue_dependencies_summary
            parents: tuple[int, ...] = ()
            if blocked is not None and blocked.total_blocked_by:
                if not left:
                    continue
                left -= 1
                parents = self._parents(shape.number)
            issue = self._read(shape, parents)
            if shape.number in histories:
                issue = self._with_history(issue, histories[shape.number])
            known.issue, known.complete = issue, True

    def _is_doubtful(self, shape: shapes.Issue) -> bool:
        """Whether it matters who labelled it: its author is not trusted."""
        return self._matters(shape) and not self._trust.covers(_author(shape))

    def _read(self, shape: shapes.Issue, parents: tuple[int, ...]) -> Issue:
        labels = shape.names
        if self._has_label(shape):
            labels |= {self._label}
        return Issue(
            shape.number,
            shape.html_url,
            shape.title,
            _author(shape),
            shape.body or "",
            open=shape.state == "open",
            labels=labels,
            parents=parents,
            updated_at=shape.updated_at.timestamp(),
        )

    def _with_history(self, issue: Issue, history: graph.History) -> Issue:
        label = self._label.casefold()
        deeds = [deed for name, deed in history.labelled if name.casefold() == label]
        labelled = deeds[-1] if deeds else None
        if labelled is not None:
            labelled = replace(labelled, by=self._people.find(labelled.by.login))
        return issue.evolve(labelled=labelled, asked=history.asked, edited_at=history.edited_at)

    def _parents(self, number: int) -> tuple[int, ...]:
        """The issues of this repository that block one."""
        path = self._hub.path(f"/issues/{number}/dependencies/blocked_by")
        try:
            pages = list(self._hub.connection.pages(path, list[shapes.Issue], limit=2))
        except MissingError:
            return ()  # An older GitHub Enterprise.
        here = f"/repos/{self._hub.name}".lower()
        found = [shape for page in pages for shape in page if shape.repository_url.lower().endswith(here)]
        return tuple(sorted(shape.number for shape in found))


def _author(shape: shapes.Issue) -> Person:
    return Person(shape.user.login if shape.user else "ghost", shape.author_association)


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
