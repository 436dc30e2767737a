"""Branches are pushed to GitHub, and pull requests live there.

Every write is looked up before it is made: killed anywhere, or answered with nonsense, it is found the next
time. A pull request that somebody else opened for the branch is taken as it is.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orch.adapters import git
from orch.adapters.forge.github import markers, shapes
from orch.adapters.forge.github.checking import check
from orch.adapters.forge.github.credentials import Credentials
from orch.adapters.forge.github.failures import MissingError, RefusedError
from orch.adapters.forge.github.hub import Hub
from orch.adapters.forge.merging import find_conflicts, name_files
from orch.adapters.forge.pushing import has_commit, push
from orch.adapters.origin import Origin
from orch.core.model import PullRequest
from orch.errors import OrchError, PermanentError, TransientError
from orch.ports import Finding, PullDraft

PREFIX = "orch/"
"""What the branches of orch begin with."""
TITLE_LENGTH = 256
"""Characters that GitHub takes for a title."""
LAGS, LAG_SECONDS = 3, 5.0
"""So often GitHub may say that it does not see what was just pushed, and how long it is given each time."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How pull requests are opened."""

    draft: bool = False
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()


class GitHubForge:
    """The pull requests of one repository."""

    def __init__(
        self,
        hub: Hub,
        repository: Path,
        *,
        base: str,
        credentials: Credentials,
        opening: Opening = Opening(),
        issue_label: str = "",
        warn: Callable[[str], None],
    ) -> None:
        """`repository` is the checkout whose `origin` is pushed to; `base` what is merged into.

        `issue_label` is only checked.
        """
        self._hub = hub
        self._repository = repository
        self._base = base
        self._credentials = credentials
        self._opening = opening
        self._issue_label = issue_label
        self._warn = warn
        self._refusals: Counter[str] = Counter()
        self._origin = Origin(repository, base, retries=(), access=credentials.git_environment)

    def find(self, branch: str) -> PullRequest | None:
        """See `ports.Forge`. A merged one counts only while the branch has nothing newer."""
        there = self._latest(branch)
        if there is None or _state(there) == "closed":
            return None
        if _state(there) == "merged" and self._has_more(branch, there):
            return None
        return read(there)

    def publish(self, draft: PullDraft) -> PullRequest:
        """See `ports.Forge`. Safe to repeat; of one branch there is never a second open one.

        Raises PermanentError where the branch is missing, has nothing that the base has not, or origin
        has other commits on it.
        """
        there = self._latest(draft.branch)
        if there is not None and _state(there) == "merged" and not self._has_more(draft.branch, there):
            return read(there)
        head = self._sha(f"refs/heads/{draft.branch}")
        if not head:
            raise PermanentError(f"there is no branch {draft.branch} in {self._repository}")
        if git.is_ancestor(self._repository, head, self._origin.tip()):
            raise PermanentError(f"{draft.branch} has nothing that {self._base} has not")
        self._push(draft.branch, head)
        # As GitHub writes it: what differs from that would be taken for a person's edit.
        draft = replace(draft, title=" ".join(draft.title.split())[:TITLE_LENGTH])
        if there is None or there.state != "open":
            there = self._open(draft)
        return read(self._bring_up_to_date(there, draft), head=head)

    def pulls(self, urls: Collection[str] | None = None) -> Iterator[PullRequest]:
        """See `ports.Forge`."""
        asked = {"state": "all", "sort": "created", "direction": "asc"}
        for page in self._hub.connection.pages(self._hub.path("/pulls"), list[shapes.Pull], asked):
            for pull in page:
                wanted = urls is None or pull.html_url in urls
                if wanted and self._is_here(pull) and pull.head.ref.startswith(PREFIX):
                    yield read(pull)

    def merge(self, number: int) -> PullRequest:
        """See `ports.Forge`. Safe to repeat."""
        pull = self._get(number)
        state = _state(pull)
        if state == "closed":
            raise PermanentError(f"pull request {number} is closed")
        if state == "open":
            merge(self._hub, number, pull.head.sha, explain=lambda: self._explain(pull))
            pull = self._get(number)
        return read(pull)

    def check(self) -> Sequence[Finding]:
        """See `ports.Forge`."""
        return check(
            self._hub,
            self._credentials,
            self._repository,
            base=self._base,
            issue_label=self._issue_label,
            labels=self._opening.labels,
        )

    # --- looking ----------------------------------------------------------------------------------

    def _latest(self, branch: str) -> shapes.Pull | None:
        """The open pull request of a branch, else the latest one."""
        path = self._hub.path("/pulls")
        asked = {"state": "all", "head": f"{self._hub.owner}:{branch}", "sort": "created"}
        pages = self._hub.connection.pages(path, list[shapes.Pull], {**asked, "direction": "desc"}, limit=3)
        found = [pull for page in pages for pull in page if self._is_here(pull) and pull.head.ref == branch]
        return max(found, key=lambda pull: (pull.state == "open", pull.number), default=None)

    def _is_here(self, pull: shapes.Pull) -> bool:
        """Whether its branch is one of this repository: a fork may have one of the same name."""
        return pull.head.repo is not None and pull.head.repo.full_name.lower() == self._hub.name.lower()

    def _get(self, number: int) -> shapes.Pull:
        try:
            return self._hub.connection.read(self._hub.path(f"/pulls/{number}"), shapes.Pull)
        except MissingError as error:
            raise PermanentError(f"there is no pull request {number}", hint=error.hint) from error

    def _sha(self, ref: str) -> str:
        return git.references(self._repository, ref).get(ref, "")

    def _has_more(self, branch: str, pull: shapes.Pull) -> bool:
        """Whether the branch here has commits that a merged pull request had not."""
        head = self._sha(f"refs/heads/{branch}")
        if not head or head == pull.head.sha:
            return False
        if not has_commit(self._repository, pull.head.sha):
            # Somebody pushed to it at GitHub. Where that cannot be had, the merge is taken for the end.
            command = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "origin", pull.head.sha)
            env = self._credentials.git_environment()
            git.run(self._repository, *command, accept=(0, 1, 128), env=env, timeout=git.NETWORK_SECONDS)
            if not has_commit(self._repository, pull.head.sha):
                return False
        known = (pull.head.sha, self._origin.tip())
        return not any(git.is_ancestor(self._repository, head, sha) for sha in known)

    # --- publishing -------------------------------------------------------------------------------

    def _push(self, branch: str, head: str) -> None:
        """Push the branch. What orch pushed is kept in a ref: only that may be pushed over."""
        pushed = pushed_ref(branch)
        env = self._credentials.git_environment()
        push(self._repository, branch, head, before=self._sha(pushed), env=env)
        git.run(self._repository, "update-ref", pushed, head)

    def _open(self, draft: PullDraft) -> shapes.Pull:
        body: dict[str, Any] = {
            "title": draft.title,
            "head": draft.branch,
            "base": self._base,
            "body": markers.pull(draft.title, draft.body, done=not self._dressing()),
        }
        if self._opening.draft:
            body["draft"] = True
        # Somebody, perhaps orch itself, may have opened it since the look before the push.
        there = self._latest(draft.branch)
        if there is not None and there.state == "open":
            return there
        try:
            return self._hub.connection.write("POST", self._hub.path("/pulls"), body, shapes.Pull)
        except RefusedError as error:
            there = self._latest(draft.branch) if "already exists" in error.said else None
            if there is not None:
                return there
            self._check_refusal(draft.branch, error)
            raise

    def _check_refusal(self, branch: str, error: RefusedError) -> None:
        """Raise TransientError where GitHub only lags behind the push that it has just taken."""
        if "No commits between" in error.said:
            self._origin.fetch()
            head = self._sha(f"refs/heads/{branch}")
            if git.is_ancestor(self._repository, head, self._origin.tip()):
                raise PermanentError(f"{branch} has nothing that {self._base} has not") from error
        elif "head" not in error.said:
            return
        self._refusals[branch] += 1
        if self._refusals[branch] <= LAGS:
            raise TransientError(error.message, hint=error.hint, retry_after=LAG_SECONDS) from error

    def _dressing(self) -> bool:
        return bool(self._opening.labels or self._opening.reviewers)

    def _bring_up_to_date(self, pull: shapes.Pull, draft: PullDraft) -> shapes.Pull:
        """Labels, reviewers, title and body of one that orch opened; what a person edited stays."""
        body = pull.body or ""
        if not (markers.is_pull(body) and self._hub.is_me(pull.user.login if pull.user else "")):
            return pull
        if not markers.is_done(body):
            self._dress(pull)
        title = draft.title
        if markers.is_untouched(pull.title, body):
            wanted = markers.pull(title, draft.body, done=True)
        else:
            title = pull.title
            wanted = body if markers.is_done(body) else markers.finish(body)
        if (title, wanted) == (pull.title, body.replace("\r\n", "\n")):
            return pull
        change = {"title": title, "body": wanted}
        path = self._hub.path(f"/pulls/{pull.number}")
        return self._hub.connection.write("PATCH", path, change, shapes.Pull)

    def _dress(self, pull: shapes.Pull) -> None:
        """Set labels and reviewers, once. What GitHub refuses is told and left."""
        wishes: list[tuple[str, Mapping[str, Any]]] = []
        if self._opening.labels:
            wishes.append((f"/issues/{pull.number}/labels", {"labels": list(self._opening.labels)}))
        # One by one: a single name that GitHub refuses would take the others with it.
        wishes += [
            (f"/pulls/{pull.number}/requested_reviewers", {"reviewers": [login]})
            for login in self._opening.reviewers
            if pull.user is None or login.lower() != pull.user.login.lower()
        ]
        for path, wish in wishes:
            try:
                self._hub.connection.write("POST", self._hub.path(path), wish, object)
            except PermanentError as error:
                self._warn(f"pull request {pull.number}: {error}")

    # --- merging ----------------------------------------------------------------------------------

    def _explain(self, pull: shapes.Pull) -> str:
        """Which files conflict, as git finds it out here; '' where none do, or it cannot be known."""
        access = self._credentials.git_environment
        base = Origin(self._repository, pull.base.ref, retries=(), access=access)
        try:
            base.fetch(pull.head.ref)
            files = find_conflicts(self._repository, base.tip(), pull.head.sha)
        except OrchError:
            return ""
        return f"conflicts with {pull.base.ref} in {name_files(files)}" if files else ""


def merge(hub: Hub, number: int, head: str, *, explain: Callable[[], str] = str) -> None:
    """Merge a pull request if its head is still `head`, in the way that the repository allows.

    Raises TransientError where the head or the base moved meanwhile, PermanentError where it cannot be
    merged; `explain` may know better than GitHub why.
    """
    body = {"sha": head, "merge_method": hub.repository().method}
    try:
        hub.connection.write("PUT", hub.path(f"/pulls/{number}/merge"), body, shapes.Merged)
    except RefusedError as error:
        if "was modified" in error.said:
            raise TransientError(f"pull request {number} is moving: {error.said}") from error
        reason = explain() or f"pull request {number} cannot be merged: {error.said}"
        hint = "look at it on GitHub, or give the task to an agent again"
        raise PermanentError(reason, hint=hint) from error


def read(pull: shapes.Pull, *, head: str = "") -> PullRequest:
    """A pull request in the words of the house. `head` is what was just pushed: GitHub may lag behind."""
    state = _state(pull)
    return PullRequest(
        number=pull.number,
        url=pull.html_url,
        branch=pull.head.ref,
        head=head or pull.head.sha,
        title=pull.title,
        body=markers.without(pull.body or ""),
        state=state,
        base=pull.base.ref,
        merged_commit=(pull.merge_commit_sha or "") if state == "merged" else "",
        created_at=pull.created_at.timestamp(),
    )


def pushed_ref(branch: str) -> str:
    """Where it is kept what orch last pushed of a branch."""
    return f"refs/orch/pushed/{branch}"


def _state(pull: shapes.Pull) -> str:
    return "merged" if pull.merged_at is not None else pull.state
