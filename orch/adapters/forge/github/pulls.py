"""How it stands with the pull requests that orch follows.

One conditional request tells which of all pull requests changed; only those are looked at closely. What
changes without the list telling, checks and conflicts, is asked in bulk, of those that wait for it.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from orch.adapters.forge.github import checks, graph, shapes, talk
from orch.adapters.forge.github.connection import PER_PAGE, Parameters, next_page
from orch.adapters.forge.github.graph_pulls import BRIEF, FULL, Brief, Full
from orch.adapters.forge.github.hub import Hub
from orch.core.forge import Checks, PullStatus

MARGIN = timedelta(seconds=60)
PAGES = 10
"""Of the list, in one look."""
FULL_PAGE = 10
"""Pull requests in one close look: each has its threads."""
FULL_LOOKS = 30
"""Close looks in one look. The rest comes with the next one."""
REFRESH_SECONDS = 600.0
"""Each open one is asked in brief this often at least: somebody may have pushed to its base."""
CLOSE_SECONDS = 3600.0
"""Each open one is looked at closely this often at least: whatever was missed is seen then."""
RECENT_SECONDS = 60.0
"""GitHub tells a change by the second: what changed so shortly before a look is looked at again."""
ABSENT_SECONDS = 120.0
QUIET_SECONDS = 300.0
"""A head without any check is waited with for so long: afterwards there are none to come."""

NEWEST_FIRST = {"state": "all", "sort": "updated", "direction": "desc"}

_CONFLICTS = {"MERGEABLE": False, "CONFLICTING": True}


@dataclass
class _Known:
    """A pull request, as far as it is known."""

    url: str
    status: PullStatus | None = None
    updated_at: datetime | None = None
    changed: bool = True
    """It is to be looked at closely."""
    brief: tuple[str, ...] = ()
    """What the last brief look, or the last close one, said."""
    asked_at: float = 0.0
    looked_at: float = 0.0
    """When it was last looked at closely."""
    head_since: float = 0.0

    def is_old(self, late: float) -> bool:
        """Whether it is open and was not looked at closely since `late`."""
        return self.status is not None and self.status.state == "open" and self.looked_at < late


class Pulls:
    """Those of the pull requests that are asked for. Used by one thread at a time."""

    def __init__(self, hub: Hub, now: Callable[[], float] = time.time) -> None:
        """`now` tells when to ask again: seconds since the epoch."""
        self._hub = hub
        self._now = now
        self._known: dict[int, _Known] = {}
        self._absent: dict[int, float] = {}
        """Until when a number that does not exist is not asked for again: what is new may not be seen yet."""
        self._etag = ""
        self._newest: datetime | None = None
        self._answer: Mapping[str, PullStatus] = {}

    def look(self, wanted: Collection[str]) -> Mapping[str, PullStatus] | None:
        """How it stands with each of these, by url; without those that do not exist.

        The same mapping while nothing in it has changed. None while there is more to be looked up than
        one look may take.
        """
        numbers = {number: url for url in wanted if (number := self._hub.number_of(url))}
        self._known = {number: known for number, known in self._known.items() if number in numbers}
        now = self._now()
        for number, url in numbers.items():
            if self._absent.get(number, 0.0) <= now:
                self._known.setdefault(number, _Known(url)).url = url
        if self._known:
            self._poll()
            self._ask_briefly()
            self._ask_closely()
        found = {
            known.url: known.status for _, known in sorted(self._known.items()) if known.status is not None
        }
        if len(found) < len(self._known):
            return None
        if found != self._answer:
            self._answer = found
        return self._answer

    def expect(self, number: int) -> None:
        """Something was done to a pull request that changes its checks: look at it closely."""
        if number in self._known:
            self._known[number].changed = True

    # --- what changed -----------------------------------------------------------------------------

    def _poll(self) -> None:
        """Read the list as far as it is new."""
        asked: Parameters = {**NEWEST_FIRST, "per_page": PER_PAGE}
        path = self._hub.path("/pulls")
        changed = self._hub.connection.read_changed(path, list[shapes.Pull], asked, self._etag)
        if changed is None:
            return
        page, answer = changed
        newest = page[0].updated_at if page else self._newest
        self._notice(page)
        for number in range(2, PAGES + 1):
            # One that is asked for the first time is looked at closely anyway.
            if self._newest is None or not next_page(answer) or page[-1].updated_at < self._newest - MARGIN:
                break
            more = self._hub.connection.read_changed(path, list[shapes.Pull], {**asked, "page": number}, "")
            if more is None:
                raise AssertionError("without an ETag there is no 304")
            page, answer = more
            self._notice(page)
        else:
            # So much has changed that not all of it was read: everything is looked at.
            for known in self._known.values():
                known.changed = True
        self._newest, self._etag = newest, changed[1].etag

    def _notice(self, page: Iterable[shapes.Pull]) -> None:
        """Mark what changed, and what may conflict now because its base moved."""
        moved: set[str] = set()
        for pull in page:
            known = self._known.get(pull.number)
            if pull.merged_at is not None and (self._newest is None or pull.updated_at >= self._newest):
                moved.add(pull.base.ref)
            if known is not None and known.updated_at != pull.updated_at:
                known.changed = True
        for known in self._known.values():
            if known.status is not None and known.status.state == "open" and known.status.base in moved:
                known.changed = True

    # --- in brief ---------------------------------------------------------------------------------

    def _ask_briefly(self) -> None:
        now = self._now()
        asked = [
            number for number, known in self._known.items() if not known.changed and self._waits(known, now)
        ]
        for start in range(0, len(asked), PER_PAGE):
            numbers = asked[start : start + PER_PAGE]
            found: Mapping[int, Brief | None] = graph.ask_each(
                self._hub, numbers, "pullRequest", BRIEF, "states", Brief
            )
            for number, brief in found.items():
                known = self._known[number]
                known.asked_at = now
                if brief is None or brief.words != known.brief:
                    known.changed = True

    def _waits(self, known: _Known, now: float) -> bool:
        """Whether something may have changed that the list does not tell."""
        status = known.status
        if status is None or status.state != "open":
            return False
        if status.checks is Checks.PENDING or status.conflicts is None:
            return True
        if status.checks is Checks.NONE and now < known.head_since + QUIET_SECONDS:
            return True
        return now >= known.asked_at + REFRESH_SECONDS

    # --- closely ----------------------------------------------------------------------------------

    def _ask_closely(self) -> None:
        late = self._now() - CLOSE_SECONDS
        numbers = [number for number, known in self._known.items() if known.changed or known.is_old(late)]
        for start in range(0, min(len(numbers), FULL_PAGE * FULL_LOOKS), FULL_PAGE):
            asked = numbers[start : start + FULL_PAGE]
            found: Mapping[int, Full | None] = graph.ask_each(
                self._hub, asked, "pullRequest", FULL, "pulls", Full
            )
            for number, full in found.items():
                if full is None:
                    del self._known[number]
                    self._absent[number] = self._now() + ABSENT_SECONDS
                else:
                    self._take(self._known[number], full)

    def _take(self, known: _Known, full: Full) -> None:
        now = self._now()
        if known.status is None or known.status.head != full.head_ref_oid:
            known.head_since = now
        known.status = self._read(known.url, full)
        known.updated_at, known.brief = full.updated_at, full.words
        known.asked_at = known.looked_at = now
        known.changed = full.updated_at.timestamp() > now - RECENT_SECONDS

    def _read(self, url: str, full: Full) -> PullStatus:
        state = full.state.lower()
        result = checks.result(full) if state == "open" else Checks.NONE
        approvers, objectors = talk.opinions(full)
        return PullStatus(
            full.number,
            url,
            full.head_ref_name,
            full.head_ref_oid,
            full.base_ref_name,
            state=state,
            merged_commit=full.merge_commit.oid if full.merge_commit and state == "merged" else "",
            draft=full.is_draft,
            conflicts=_CONFLICTS.get(full.mergeable) if state == "open" else None,
            checks=result,
            jobs=checks.failed(self._hub, full) if result is Checks.RED else (),
            remarks=talk.remarks(full, url, self._hub.is_me),
            approvers=approvers,
            objectors=objectors,
            auto_merge=full.auto_merge_request is not None,
        )
