"""The local forge has no issues and no reviews: only which pull requests are merged."""

from collections.abc import Mapping, Sequence

from orch.core.forge import Comment, Job, PullStatus, Reply, Sight, Telling, Wanted
from orch.core.model import PullRequest
from orch.ports import Forge


class LocalTracker:
    """The Tracker of a forge that has nothing but pull requests."""

    def __init__(self, forge: Forge) -> None:
        """Look at the pull requests of `forge`."""
        self._forge = forge
        self._last: Mapping[str, PullStatus] = {}

    def look(self, wanted: Wanted) -> Sight:
        """See `ports.Tracker`. Open pull requests are left out.

        There may be thousands, for good, and as nobody checks or reviews them nothing follows from any.
        """
        found = self._forge.pulls(wanted.pulls)
        pulls = {pull.url: _status(pull) for pull in found if pull.state != "open"}
        if pulls != self._last:
            self._last = pulls
        return Sight(issues={}, pulls=self._last)

    def comments(self, issue: int) -> Sequence[Comment]:
        """See `ports.Tracker`."""
        del issue
        return ()

    def tell(self, issue: int, telling: Telling) -> None:
        """See `ports.Tracker`."""

    def close(self, issue: int) -> None:
        """See `ports.Tracker`."""


class LocalReviews:
    """The Reviews of a forge on which nobody reviews."""

    def tails(self, jobs: Sequence[Job]) -> Mapping[str, str]:
        """See `ports.Reviews`."""
        del jobs
        return {}

    def rerun(self, pull: PullStatus, jobs: Sequence[Job]) -> None:
        """See `ports.Reviews`."""

    def reply(self, pull: int, reply: Reply) -> None:
        """See `ports.Reviews`."""

    def auto_merge(self, pull: PullStatus) -> None:
        """See `ports.Reviews`. `orch merge` does it here, and a person asks for it."""

    def retire(self, pull: PullStatus) -> str:
        """See `ports.Reviews`. The branches stay: they are the only place where the work can be read."""
        del pull
        return ""


def _status(pull: PullRequest) -> PullStatus:
    return PullStatus(
        pull.number,
        pull.url,
        pull.branch,
        pull.head,
        pull.base,
        state=pull.state,
        merged_commit=pull.merged_commit,
    )
