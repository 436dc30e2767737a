"""The roots of GraphQL: what a coordinator asks for, and the few mutations that REST has not."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.github.errors import ApiError, forbidden
from tests.github.graph_lists import GraphError, Node, actor, connection
from tests.github.graph_pulls import PullNodes
from tests.github.links import Links, stamp, stamp_or_none
from tests.github.shapes_repository import node
from tests.github.state import Issue, Pull, Thread, User
from tests.github.world import World

Input = Mapping[str, Any]
EVENTS = {
    "labeled": ("LABELED_EVENT", "LabeledEvent"),
    "unlabeled": ("UNLABELED_EVENT", "UnlabeledEvent"),
    "renamed": ("RENAMED_TITLE_EVENT", "RenamedTitleEvent"),
}
"""GraphQL's names for an event: as one asks for it, and as it is called in the answer."""


class Nodes:
    """Answers one query of one person."""

    def __init__(self, world: World, user: User, links: Links) -> None:
        self._world = world
        self._user = user
        self._links = links
        self._shapes = PullNodes(world, links)

    def root(self) -> Node:
        return {
            "viewer": actor(self._links, self._user),
            "repository": self._repository,
            "node": lambda **arguments: self._node(arguments["id"]),
            "nodes": lambda ids: [self._node(key) for key in ids],
            "enablePullRequestAutoMerge": _mutation(self._enable_auto_merge),
            "disablePullRequestAutoMerge": _mutation(self._disable_auto_merge),
            "markPullRequestReadyForReview": _mutation(self._mark_ready),
            "resolveReviewThread": _mutation(self._resolve_thread),
        }

    # --- queries --------------------------------------------------------------------------------------

    def _repository(self, owner: str, name: str, followRenames: bool = True) -> Node:  # noqa: N803
        state = self._world.state
        asked = f"{owner}/{name}"
        known = {state.full_name.lower(), *(state.former_names if followRenames else ())}
        if asked.lower() not in known:
            raise GraphError("NOT_FOUND", f"Could not resolve to a Repository with the name '{asked}'.")
        return {
            "id": node("R", state.id),
            "databaseId": state.id,
            "name": state.name,
            "nameWithOwner": state.full_name,
            "url": self._links.html(),
            "autoMergeAllowed": state.allow_auto_merge,
            "deleteBranchOnMerge": state.delete_branch_on_merge,
            "viewerPermission": self._user.permission.upper(),
            "pullRequest": self._pull_by_number,
            "pullRequests": self._pulls,
            "issue": self._issue_by_number,
        }

    def _pull_by_number(self, number: int) -> Node:
        try:
            return self._shapes.pull(*self._world.pulls.get(number))
        except ApiError:
            message = f"Could not resolve to a PullRequest with the number of {number}."
            raise GraphError("NOT_FOUND", message) from None

    def _issue_by_number(self, number: int) -> Node:
        issue = self._world.state.issues.get(number)
        if issue is None or issue.deleted or issue.pull:
            raise GraphError("NOT_FOUND", f"Could not resolve to an Issue with the number of {number}.")
        return self._issue(issue)

    def _issue(self, issue: Issue) -> Node:
        reason = issue.state_reason.upper() if issue.state_reason else None

        def told(enableDuplicate: bool) -> str | None:  # noqa: N803  the schema's word
            return "NOT_PLANNED" if reason == "DUPLICATE" and not enableDuplicate else reason

        return {
            "__typename": "Issue",
            **self._shapes.basics(issue),
            "state": issue.state.upper(),
            "stateReason": told,
            "lastEditedAt": stamp_or_none(issue.body_edited_at),
            "timelineItems": lambda **asked: self._timeline(issue, **asked),
        }

    def _timeline(
        self,
        issue: Issue,
        itemTypes: Sequence[str] | None = None,  # noqa: N803
        **bounds: Any,
    ) -> Node:
        """Events and comments, oldest first. Of the kinds of events, those in `EVENTS` alone."""
        found: list[tuple[int, Node]] = []
        for event in issue.events:
            if event.kind in EVENTS and (itemTypes is None or EVENTS[event.kind][0] in itemTypes):
                shape = {
                    "__typename": EVENTS[event.kind][1],
                    "createdAt": stamp(event.created_at),
                    "actor": self._shapes.person(event.actor),
                }
                if event.label:
                    shape["label"] = self._shapes.label(event.label)
                found.append((event.id, shape))
        if itemTypes is None or "ISSUE_COMMENT" in itemTypes:
            found += [
                (comment.id, {"__typename": "IssueComment", **self._shapes.comment(comment)})
                for comment in issue.comments
            ]
        nodes = [shape for _, shape in sorted(found, key=lambda pair: pair[0])]
        return connection("timelineItems", nodes, lambda shape: shape)(**bounds)

    def _pulls(
        self,
        states: Sequence[str] | None = None,
        headRefName: str | None = None,  # noqa: N803
        baseRefName: str | None = None,  # noqa: N803
        labels: Sequence[str] | None = None,
        orderBy: Input | None = None,  # noqa: N803
        **bounds: Any,
    ) -> Node:
        def state(issue: Issue, pull: Pull) -> str:
            return "MERGED" if pull.merged_at is not None else issue.state.upper()

        found = [
            (issue, pull)
            for issue, pull in self._world.state.pulls()
            if (states is None or state(issue, pull) in states)
            and headRefName in {None, pull.head}
            and baseRefName in {None, pull.base}
            and (labels is None or set(labels) & set(issue.labels))
        ]
        order = orderBy or {"field": "CREATED_AT", "direction": "ASC"}
        keys: Mapping[str, Callable[[Issue], float]] = {
            "CREATED_AT": lambda issue: issue.number,
            "UPDATED_AT": lambda issue: issue.updated_at,
            "COMMENTS": lambda issue: len(issue.comments),
        }
        found.sort(key=lambda pair: keys[order["field"]](pair[0]), reverse=order["direction"] == "DESC")
        return connection("pullRequests", found, lambda pair: self._shapes.pull(*pair))(**bounds)

    def _node(self, key: str) -> Node:
        for issue in self._world.issues.listed():
            if key == node("PR", issue.id) and issue.pull:
                return self._shapes.pull(issue, issue.pull)
            if key == node("I", issue.id) and not issue.pull:
                return self._issue(issue)
        return self._shapes.thread(self._thread(key)[2])

    # --- mutations ------------------------------------------------------------------------------------

    def _pull(self, key: str) -> tuple[Issue, Pull]:
        for issue, pull in self._world.state.pulls():
            if key == node("PR", issue.id):
                return issue, pull
        raise _unresolved(key)

    def _thread(self, key: str) -> tuple[Issue, Pull, Thread]:
        for issue, pull in self._world.state.pulls():
            for thread in pull.threads:
                if key == node("PRRT", thread.id):
                    return issue, pull, thread
        raise _unresolved(key)

    def _payload(self, asked: Input, **more: Node) -> Node:
        by = actor(self._links, self._user)
        return {"clientMutationId": asked.get("clientMutationId"), "actor": by, **more}

    def _enable_auto_merge(self, asked: Input) -> Node:
        issue, pull = self._pull(asked["pullRequestId"])
        if asked.get("expectedHeadOid") not in {None, pull.head_sha}:
            raise GraphError("UNPROCESSABLE", "Expected head sha didn't match current head ref.")
        by, method = self._user.login, asked["mergeMethod"].lower()
        self._world.pulls.enable_auto_merge(issue, pull, by=by, method=method)
        return self._payload(asked, pullRequest=self._shapes.pull(issue, pull))

    def _disable_auto_merge(self, asked: Input) -> Node:
        issue, pull = self._pull(asked["pullRequestId"])
        self._world.pulls.disable_auto_merge(issue, pull, by=self._user.login)
        return self._payload(asked, pullRequest=self._shapes.pull(issue, pull))

    def _mark_ready(self, asked: Input) -> Node:
        issue, pull = self._pull(asked["pullRequestId"])
        if not self._user.may("write") and self._user.login != issue.user:
            raise forbidden()
        if pull.draft:
            pull.draft = False
            self._world.issues.record(issue, "ready_for_review", self._user.login)
        return self._payload(asked, pullRequest=self._shapes.pull(issue, pull))

    def _resolve_thread(self, asked: Input) -> Node:
        issue, _, thread = self._thread(asked["threadId"])
        if not self._user.may("write") and self._user.login != issue.user:
            raise forbidden()
        thread.resolved_by = self._user.login
        self._world.issues.touch(issue)
        return self._payload(asked, thread=self._shapes.thread(thread))


def _mutation(act: Callable[[Input], Node]) -> Callable[..., Node]:
    """The field of a mutation; its only argument is called `input`."""
    return lambda **arguments: act(arguments["input"])


def _unresolved(key: str) -> GraphError:
    return GraphError("NOT_FOUND", f"Could not resolve to a node with the global id of '{key}'")
