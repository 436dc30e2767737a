"""A Forge in memory."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from orch.core.model import PullRequest
from orch.errors import OrchError, PermanentError, TransientError
from orch.ports import Finding, PullDraft


class FakeForge:
    """The Forge of a test.

    `head` tells the full sha of a branch, '' where there is none; by default every branch is there. The
    test merges with `merge_by_hand`, and lets the next calls of a method fail with `fail`.
    """

    def __init__(
        self, *, head: Callable[[str], str] | None = None, now: Callable[[], float] | None = None
    ) -> None:
        self.opened: list[int] = []
        """Every pull request that was really opened, in order."""
        self.published: list[PullDraft] = []
        """Every call of `publish` that worked."""
        self.conflicts: set[str] = set()
        """Branches that cannot be merged."""
        self.findings: list[Finding] = [Finding(ok=True, what="a fake forge")]
        self._pulls: dict[int, PullRequest] = {}
        self._errors: dict[str, list[OrchError]] = {}
        self._head = head or (lambda branch: branch.encode().hex()[:40].ljust(40, "0"))
        self._now = now or (lambda: 0.0)

    # --- what a test says ------------------------------------------------------------------------

    def merge_by_hand(self, number: int) -> None:
        """A person merges a pull request."""
        self._pulls[number] = replace(self._pulls[number], state="merged", merged_commit=f"{number:040x}")

    def close(self, number: int) -> None:
        """A person closes a pull request."""
        self._pulls[number] = replace(self._pulls[number], state="closed")

    def known(self) -> Sequence[PullRequest]:
        """Every pull request, as `pulls`, for whoever plays the forge's other side."""
        return [pull for _, pull in sorted(self._pulls.items())]

    def fail(self, method: str, *errors: OrchError) -> None:
        """Let the next calls of `find`, `publish`, `pulls` or `merge` raise these, in order."""
        self._errors.setdefault(method, []).extend(errors or [TransientError(f"{method} failed")])

    # --- the protocol ----------------------------------------------------------------------------

    def find(self, branch: str) -> PullRequest | None:
        self._enter("find")
        pulls = [pull for pull in self._pulls.values() if pull.branch == branch and pull.state != "closed"]
        pull = max(pulls, key=lambda pull: pull.number, default=None)
        if pull is not None and pull.state == "merged" and self._head(branch) not in {"", pull.head}:
            return None
        return pull

    def publish(self, draft: PullDraft) -> PullRequest:
        self._enter("publish")
        head = self._head(draft.branch)
        if not head:
            raise PermanentError(f"there is no branch {draft.branch}")
        pull = self.find(draft.branch)
        if pull is None:
            number = max(self._pulls, default=0) + 1
            url = f"fake/pull/{number}"
            pull = PullRequest(number, url, draft.branch, base="main", created_at=self._now())
            self.opened.append(number)
        if pull.state == "open":
            pull = replace(pull, head=head, title=draft.title, body=draft.body)
        self._pulls[pull.number] = pull
        self.published.append(draft)
        return pull

    def pulls(self, urls: Collection[str] | None = None) -> Sequence[PullRequest]:
        self._enter("pulls")
        return [pull for pull in self.known() if urls is None or pull.url in urls]

    def merge(self, number: int) -> PullRequest:
        self._enter("merge")
        pull = self._pulls.get(number)
        if pull is None or pull.state == "closed":
            raise PermanentError(f"there is no open pull request {number}")
        if pull.branch in self.conflicts:
            raise PermanentError(f"conflicts with {pull.base} in README.md")
        if pull.state == "open":
            self.merge_by_hand(number)
        return self._pulls[number]

    def check(self) -> Sequence[Finding]:
        return list(self.findings)

    def _enter(self, method: str) -> None:
        if self._errors.get(method):
            raise self._errors[method].pop(0)
