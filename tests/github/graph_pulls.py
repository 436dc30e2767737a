"""A pull request as GraphQL shows it.

A node is a dict of its fields. A field that takes arguments, or that costs something, is a function.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tests.github.graph_lists import Node, actor, connection
from tests.github.links import Links, stamp, stamp_or_none
from tests.github.shapes_repository import node
from tests.github.state import Check, Comment, Issue, Pull, Review, ReviewComment, Status, Thread
from tests.github.world import World

MERGEABLE = {True: "MERGEABLE", False: "CONFLICTING", None: "UNKNOWN"}


class PullNodes:
    """Makes the nodes for one query."""

    def __init__(self, world: World, links: Links) -> None:
        self._world = world
        self._links = links

    def person(self, login: str) -> Node | None:
        return actor(self._links, self._world.state.users[login]) if login else None

    def written(self, entry: Comment | Review | ReviewComment) -> Node:
        """What every text has that a person wrote."""
        return {
            "databaseId": entry.id,
            "fullDatabaseId": str(entry.id),
            "author": self.person(entry.user),
            "authorAssociation": self._world.state.users[entry.user].association,
            "body": entry.body,
        }

    def label(self, name: str) -> Node:
        found = self._world.state.labels[name.lower()]
        return {
            "id": node("LA", found.id),
            "name": found.name,
            "color": found.color,
            "description": found.description,
        }

    def labels(self, issue: Issue) -> Callable[..., Node]:
        take = connection("labels", issue.labels, self.label)

        def ordered(orderBy: Node | None = None, **bounds: Any) -> Node:  # noqa: N803  the schema's word
            """The schema sends its default order, which is ours, whether asked or not."""
            if orderBy != {"field": "CREATED_AT", "direction": "ASC"}:
                raise NotImplementedError("the fake GitHub lists labels in one order only")
            return take(**bounds)

        return ordered

    def comments(self, issue: Issue) -> Callable[..., Node]:
        return connection("comments", issue.comments, self.comment)

    def comment(self, comment: Comment) -> Node:
        return {
            **self.written(comment),
            "id": node("IC", comment.id),
            "createdAt": stamp(comment.created_at),
            "updatedAt": stamp(comment.updated_at),
        }

    def basics(self, issue: Issue) -> Node:
        """What issues and pull requests share."""
        kind = "pull" if issue.pull else "issues"
        return {
            "id": node("PR" if issue.pull else "I", issue.id),
            "databaseId": issue.id,
            "fullDatabaseId": str(issue.id),
            "number": issue.number,
            "title": issue.title,
            "body": issue.body,
            "url": self._links.html(f"/{kind}/{issue.number}"),
            "author": self.person(issue.user),
            "authorAssociation": self._world.state.users[issue.user].association,
            "closed": not issue.is_open,
            "createdAt": stamp(issue.created_at),
            "updatedAt": stamp(issue.updated_at),
            "closedAt": stamp_or_none(issue.closed_at),
            "labels": self.labels(issue),
            "comments": self.comments(issue),
        }

    def pull(self, issue: Issue, pull: Pull) -> Node:
        world = self._world
        mergeable = world.pulls.mergeable(issue, pull)
        # GitHub answers UNKNOWN for one that is closed.
        state = world.pulls.merge_state(issue, pull)
        pull.unknown_reads = max(0, pull.unknown_reads - 1)
        merged = pull.merged_at is not None
        return {
            "__typename": "PullRequest",
            **self.basics(issue),
            "state": "MERGED" if merged else issue.state.upper(),
            "merged": merged,
            "mergedAt": stamp_or_none(pull.merged_at),
            "mergedBy": self.person(pull.merged_by),
            "mergeCommit": self.commit(pull.merge_sha) if merged else None,
            "mergeable": MERGEABLE[mergeable],
            "mergeStateStatus": state,
            "reviewDecision": world.pulls.review_decision(pull),
            "isDraft": pull.draft,
            "isCrossRepository": False,
            "headRefName": pull.head,
            "headRefOid": pull.head_sha,
            "baseRefName": pull.base,
            "baseRefOid": pull.base_sha,
            "autoMergeRequest": self._auto_merge(pull),
            "statusCheckRollup": lambda: self.rollup(pull.head_sha),
            "commits": lambda **bounds: self._commits(pull, **bounds),
            "reviews": connection("reviews", pull.reviews, self._review),
            "reviewThreads": connection("reviewThreads", pull.threads, self.thread),
        }

    def _auto_merge(self, pull: Pull) -> Node | None:
        if pull.auto_merge is None:
            return None
        return {
            "enabledAt": stamp(pull.auto_merge.at),
            "enabledBy": self.person(pull.auto_merge.by),
            "mergeMethod": pull.auto_merge.method.upper(),
        }

    def commit(self, sha: str) -> Node:
        return {
            "id": node("C", sha),
            "oid": sha,
            "abbreviatedOid": sha[:7],
            "statusCheckRollup": lambda: self.rollup(sha),
        }

    def _commits(self, pull: Pull, **bounds: Any) -> Node:
        found = self._world.repository.commits(pull.base_sha, pull.head_sha)
        return connection("commits", found, lambda entry: {"commit": self.commit(entry.sha)})(**bounds)

    # --- reviews --------------------------------------------------------------------------------------

    def _review(self, review: Review) -> Node:
        return {
            **self.written(review),
            "id": node("PRR", review.id),
            "state": review.state,
            "submittedAt": stamp(review.submitted_at),
            "commit": self.commit(review.commit),
        }

    def thread(self, thread: Thread) -> Node:
        return {
            "__typename": "PullRequestReviewThread",
            "id": node("PRRT", thread.id),
            "isResolved": bool(thread.resolved_by),
            "isOutdated": False,
            "resolvedBy": self.person(thread.resolved_by),
            "path": thread.path,
            "line": thread.line,
            "comments": connection(
                "comments", thread.comments, lambda comment: self._review_comment(thread, comment)
            ),
        }

    def _review_comment(self, thread: Thread, comment: ReviewComment) -> Node:
        return {
            **self.written(comment),
            "id": node("PRRC", comment.id),
            "path": thread.path,
            "line": thread.line,
            "createdAt": stamp(comment.created_at),
            "updatedAt": stamp(comment.updated_at),
            "commit": self.commit(thread.commit),
            "replyTo": self._review_comment(thread, thread.comments[0]) if comment.reply_to else None,
        }

    # --- checks ---------------------------------------------------------------------------------------

    def rollup(self, sha: str) -> Node | None:
        """Every check and every status of a commit, None where nothing was ever reported."""
        checks = self._world.checks
        state = checks.rollup(sha)
        if state is None:
            return None
        found: Sequence[Check | Status] = [*checks.of(sha), *checks.statuses(sha)]
        counts = {
            "checkRunCount": len(checks.of(sha)),
            "statusContextCount": len(checks.statuses(sha)),
        }
        contexts = connection("contexts", found, self._context, **counts)
        return {"id": node("SCR", sha), "state": state, "contexts": contexts}

    def _context(self, found: Check | Status) -> Node:
        return self._check(found) if isinstance(found, Check) else self._status(found)

    def _required(self, name: str) -> Callable[..., bool]:
        """Whether the protection of the default branch asks for it. Which pull request asks is the same."""
        return lambda **_: name in self._world.state.protection.checks

    def _check(self, check: Check) -> Node:
        url = self._links.html(f"/runs/{check.id}")
        return {
            "__typename": "CheckRun",
            "id": node("CR", check.id),
            "databaseId": check.id,
            "name": check.name,
            "status": check.status.upper(),
            "conclusion": check.conclusion.upper() if check.conclusion else None,
            "startedAt": stamp_or_none(check.started_at),
            "completedAt": stamp_or_none(check.completed_at),
            "title": check.title,
            "summary": check.summary,
            "detailsUrl": url,
            "url": url,
            "isRequired": self._required(check.name),
            "checkSuite": lambda: self._suite(check),
        }

    def _suite(self, check: Check) -> Node:
        shape = {"id": node("CS", check.suite), "databaseId": check.suite}
        if not check.run:
            return {**shape, "workflowRun": None}
        run = self._world.checks.run(check.run)
        workflow = {"id": node("W", run.name), "name": run.name}
        found = {"id": node("WFR", run.id), "databaseId": run.id, "workflow": workflow}
        return {**shape, "workflowRun": found}

    def _status(self, status: Status) -> Node:
        return {
            "__typename": "StatusContext",
            "id": node("SC", status.id),
            "context": status.context,
            "state": status.state.upper(),
            "description": status.description,
            "targetUrl": None,
            "createdAt": stamp(status.created_at),
            "isRequired": self._required(status.context),
        }
