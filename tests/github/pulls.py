"""What happens to pull requests. Git decides what is in them and whether they merge."""

from collections.abc import Sequence

from tests.github.checks import Checks
from tests.github.errors import ApiError, forbidden, invalid, not_found, refused
from tests.github.issues import Issues
from tests.github.repository import Repository
from tests.github.state import AutoMerge, Issue, Pull, Review, ReviewComment, State, Thread

MERGEABLE_STATES = frozenset({"CLEAN", "UNSTABLE", "HAS_HOOKS"})


class Pulls:
    """Changes pull requests, and follows the branches of the repository."""

    def __init__(self, state: State, repository: Repository, issues: Issues, checks: Checks) -> None:
        self._state = state
        self._repository = repository
        self._issues = issues
        self._checks = checks
        self._heads = repository.branches()
        self._merges: dict[tuple[str, str], bool] = {}

    # --- looking --------------------------------------------------------------------------------------

    def get(self, number: int) -> tuple[Issue, Pull]:
        issue = self._issues.get(number)
        if issue.pull is None:
            raise not_found()
        return issue, issue.pull

    def base_head(self, pull: Pull) -> str:
        """Where the base is now, or was when the pull request last knew."""
        return self._heads.get(pull.base, pull.base_sha)

    def mergeable(self, issue: Issue, pull: Pull) -> bool | None:
        """None while GitHub has not found out, and once it is closed."""
        if not issue.is_open or pull.unknown_reads:
            return None
        return self._merges_cleanly(pull)

    def _merges_cleanly(self, pull: Pull) -> bool:
        key = (self.base_head(pull), pull.head_sha)
        if key not in self._merges:
            self._merges[key] = self._repository.merged_tree(*key) is not None
        return self._merges[key]

    def merge_state(self, issue: Issue, pull: Pull) -> str:
        """GitHub's MergeStateStatus. BEHIND is not there: no branch has to be up to date."""
        return "UNKNOWN" if self.mergeable(issue, pull) is None else self._known_state(pull)

    def _known_state(self, pull: Pull) -> str:
        """The state of an open one, whether GitHub says already that it knows or not."""
        if not self._merges_cleanly(pull):
            return "DIRTY"
        if pull.draft:
            return "DRAFT"
        if self.unmet(pull):
            return "BLOCKED"
        return "CLEAN" if self._checks.rollup(pull.head_sha) in {None, "SUCCESS"} else "UNSTABLE"

    def unmet(self, pull: Pull) -> str:
        """What the branch's protection still asks for, in GitHub's words, or ''."""
        if pull.base != self._state.default_branch:
            return ""
        protection = self._state.protection
        for name in protection.checks:
            if not self._checks.passed(pull.head_sha, name):
                return f'Required status check "{name}" is expected.'
        opinions = self._opinions(pull)
        if protection.approvals and "CHANGES_REQUESTED" in opinions:
            return "Changes have been requested."
        if opinions.count("APPROVED") < protection.approvals:
            needed = protection.approvals
            return f"At least {needed} approving review is required by reviewers with write access."
        return ""

    def review_decision(self, pull: Pull) -> str | None:
        """GitHub's PullRequestReviewDecision."""
        opinions, needed = self._opinions(pull), self._state.protection.approvals
        if not needed and not self._state.protection.decides_always:
            return None
        if "CHANGES_REQUESTED" in opinions:
            return "CHANGES_REQUESTED"
        if opinions.count("APPROVED") >= max(needed, 1):
            return "APPROVED"
        return "REVIEW_REQUIRED" if needed else None

    def _opinions(self, pull: Pull) -> list[str]:
        """The latest opinion of each reviewer who may write."""
        latest = {
            review.user: review.state
            for review in pull.reviews
            if review.state not in {"COMMENTED", "PENDING"}
        }
        return [state for login, state in latest.items() if self._state.users[login].may("write")]

    # --- opening and merging --------------------------------------------------------------------------

    def open(
        self, title: str, body: str, *, head: str, base: str, by: str, draft: bool = False
    ) -> tuple[Issue, Pull]:
        """Raises 422 where GitHub would: no such branch, nothing in it, or one is open already."""
        owner, colon, branch = head.rpartition(":")
        if (colon and owner != self._state.owner) or branch not in self._heads:
            raise invalid("PullRequest", "head")
        if base not in self._heads:
            raise invalid("PullRequest", "base")
        for issue, pull in self._state.pulls():
            if issue.is_open and (pull.head, pull.base) == (branch, base):
                message = f"A pull request already exists for {self._state.owner}:{branch}."
                raise refused("PullRequest", message)
        base_sha, head_sha = self._heads[base], self._heads[branch]
        if not self._repository.count(base_sha, head_sha):
            raise refused("PullRequest", f"No commits between {base} and {branch}")
        made = Pull(branch, base, head_sha, base_sha, draft, unknown_reads=self._state.unknown_reads)
        return self._issues.open(title, body, by=by, pull=made), made

    def retarget(self, issue: Issue, pull: Pull, base: str) -> None:
        if base not in self._heads:
            raise invalid("PullRequest", "base")
        pull.base, pull.base_sha = base, self._heads[base]
        self._issues.touch(issue)

    def reopen(self, issue: Issue, pull: Pull, *, by: str) -> None:
        if pull.merged_at is not None:
            raise refused("PullRequest", "state cannot be changed. The pull request has been merged.")
        if pull.head not in self._heads:
            message = f"state cannot be changed. The {pull.head} branch has been deleted."
            raise refused("PullRequest", message)
        pull.head_sha = self._heads[pull.head]
        self._issues.reopen(issue, by=by)

    def merge(
        self, issue: Issue, pull: Pull, *, by: str, method: str = "merge", sha: str = "", message: str = ""
    ) -> str:
        """Merge; gives the new head of the base. Raises 405 or 409 where GitHub would."""
        if sha and sha != pull.head_sha:
            raise ApiError(409, "Head branch was modified. Review and try the merge again.")
        if method == "rebase":
            raise ApiError(405, "Rebase merges are not allowed on this repository.")
        if pull.draft:
            raise ApiError(405, "Pull Request is still a draft")
        if not issue.is_open or self.mergeable(issue, pull) is False:
            raise ApiError(405, "Pull Request is not mergeable")
        if unmet := self.unmet(pull):
            raise ApiError(405, unmet)
        squash = method == "squash"
        default = f"Merge pull request #{issue.number} from {self._state.owner}/{pull.head}\n\n{issue.title}"
        text = message or (f"{issue.title} (#{issue.number})" if squash else default)
        merged = self._repository.merge(pull.base, pull.head_sha, text, squash=squash)
        if merged is None:
            raise ApiError(405, "Pull Request is not mergeable")
        self._set_merged(issue, pull, merged, by)
        self._issues.close_mentioned(self._fixing(issue, pull), by=by, commit=merged)
        if self._state.delete_branch_on_merge:
            self._repository.delete(pull.head)
        self.refresh()
        return merged

    def _fixing(self, issue: Issue, pull: Pull) -> str:
        """The text whose "Fixes #N" counts: only what goes to the default branch closes issues."""
        return issue.body if pull.base == self._state.default_branch else ""

    def _set_merged(self, issue: Issue, pull: Pull, sha: str, by: str) -> None:
        pull.merged_at, pull.merged_by, pull.merge_sha = self._state.now(), by, sha
        pull.auto_merge = None
        self._issues.record(issue, "merged", by, commit=sha)
        self._issues.close(issue, by=by)

    # --- reviews --------------------------------------------------------------------------------------

    def review(
        self,
        issue: Issue,
        pull: Pull,
        state: str,
        body: str = "",
        *,
        by: str,
        comments: Sequence[tuple[str, int, str]] = (),
    ) -> Review:
        """Comments are (path, line, text); each one opens a thread."""
        if by == issue.user and state != "COMMENTED":
            action = "approve" if state == "APPROVED" else "request changes on"
            raise ApiError(422, "Unprocessable Entity", [f"Can not {action} your own pull request"])
        now = self._state.now()
        review = Review(self._state.new_id(), by, body, state, pull.head_sha, now)
        pull.reviews.append(review)
        for path, line, text in comments:
            thread = Thread(self._state.new_id(), path, line, pull.head_sha)
            thread.comments.append(ReviewComment(self._state.new_id(), review.id, by, text, now, now))
            pull.threads.append(thread)
        if by in pull.requested:
            pull.requested.remove(by)
        self._issues.touch(issue)
        return review

    def reply(self, issue: Issue, pull: Pull, comment_id: int, body: str, *, by: str) -> ReviewComment:
        """Answer in a thread. GitHub makes a review of its own for each answer."""
        for thread in pull.threads:
            if any(comment.id == comment_id for comment in thread.comments):
                now = self._state.now()
                review = Review(self._state.new_id(), by, "", "COMMENTED", pull.head_sha, now)
                pull.reviews.append(review)
                first, key = thread.comments[0].id, self._state.new_id()
                thread.comments.append(ReviewComment(key, review.id, by, body, now, now, reply_to=first))
                self._issues.touch(issue)
                return thread.comments[-1]
        raise not_found()

    def request(self, issue: Issue, pull: Pull, logins: Sequence[str], *, by: str) -> None:
        for login in logins:
            user = self._state.users.get(login)
            if user is None or user.association == "NONE":
                message = f"Reviews may only be requested from collaborators. {login} is not a collaborator."
                raise ApiError(422, message)
            if login == issue.user:
                raise ApiError(422, "Review cannot be requested from pull request author.")
        for login in logins:
            if login not in pull.requested:
                pull.requested.append(login)
                self._issues.record(issue, "review_requested", by, reviewer=login)

    # --- auto-merge -----------------------------------------------------------------------------------

    def enable_auto_merge(self, issue: Issue, pull: Pull, *, by: str, method: str) -> None:
        """Raises 422 with GitHub's sentence where it can be merged at once, or never."""
        if not self._state.allow_auto_merge:
            raise ApiError(422, "Pull request Auto merge is not allowed for this repository")
        if not self._state.users[by].may("write"):
            raise forbidden(
                f"{by} does not have the correct permissions to execute `EnablePullRequestAutoMerge`"
            )
        state = self.merge_state(issue, pull)
        if not issue.is_open or state in {*MERGEABLE_STATES, "DRAFT"}:
            word = state.lower() if issue.is_open else "closed"
            raise ApiError(422, f"Pull request Pull request is in {word} status")
        if method == "rebase":
            raise ApiError(422, "Pull request Merge method rebase merging is not allowed on this repository")
        pull.auto_merge = AutoMerge(by, method, self._state.now())
        self._issues.record(issue, "auto_merge_enabled", by)

    def disable_auto_merge(self, issue: Issue, pull: Pull, *, by: str) -> None:
        if pull.auto_merge is None:
            raise ApiError(422, "Pull request Can't disable auto-merge for this pull request")
        pull.auto_merge = None
        self._issues.record(issue, "auto_merge_disabled", by)

    def settle(self) -> None:
        """Merge what waits for nothing any more."""
        for issue, pull in self._state.pulls():
            if pull.auto_merge and issue.is_open and self._known_state(pull) in MERGEABLE_STATES:
                self.merge(issue, pull, by=pull.auto_merge.by, method=pull.auto_merge.method)

    # --- following the branches -----------------------------------------------------------------------

    def refresh(self) -> None:
        """See what was pushed since the last look, by whatever way."""
        heads = self._repository.branches()
        if heads == self._heads:
            return
        before, self._heads = self._heads, heads
        self._state.pushed_at = self._state.now()
        for issue, pull in self._state.pulls():
            if issue.is_open:
                self._follow(issue, pull, before)
        self._close_fixed(before.get(self._state.default_branch), heads.get(self._state.default_branch))

    def _follow(self, issue: Issue, pull: Pull, before: dict[str, str]) -> None:
        head, base, owner = self._heads.get(pull.head), self._heads.get(pull.base), self._state.owner
        if head is None or base is None:
            self._issues.close(issue, by=owner)
            return
        moved = head != pull.head_sha
        if moved:
            pull.head_sha, pull.base_sha = head, base
            self._issues.touch(issue)
        elif base == before.get(pull.base):
            return
        pull.unknown_reads = self._state.unknown_reads
        if self._repository.has(base, head):
            # The base has it all: merged by a push to the base, closed where the branch was moved back.
            if moved:
                self._issues.close(issue, by=owner)
            else:
                self._set_merged(issue, pull, base, owner)
                self._issues.close_mentioned(self._fixing(issue, pull), by=owner, commit=base)

    def _close_fixed(self, old: str | None, new: str | None) -> None:
        if old is None or new is None or old == new:
            return
        for commit in self._repository.commits(old, new):
            self._issues.close_mentioned(commit.message, by=self._state.owner, commit=commit.sha)
