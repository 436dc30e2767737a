"""Issues, labels, comments and events as the REST API shows them."""

from typing import Any
from urllib.parse import quote

from tests.github.links import Links, stamp, stamp_or_none
from tests.github.shapes_repository import Json, node, user
from tests.github.state import Comment, Event, Issue, Label, State

BASIC_LABELS = frozenset({"bug", "documentation", "duplicate", "enhancement", "question", "wontfix"})


def label(links: Links, label: Label) -> Json:
    return {
        "id": label.id,
        "node_id": node("LA", label.id),
        "url": links.repo(f"/labels/{quote(label.name)}"),
        "name": label.name,
        "color": label.color,
        "default": label.name in BASIC_LABELS,
        "description": label.description,
    }


def labels_of(links: Links, state: State, issue: Issue) -> list[Json]:
    return [label(links, state.labels[name.lower()]) for name in issue.labels]


def person(links: Links, state: State, login: str) -> Json | None:
    return user(links, state.users[login]) if login else None


def association(state: State, login: str) -> str:
    return state.users[login].association


def issue(links: Links, state: State, issue: Issue) -> Json:
    url = links.issue(issue.number)
    assignees = [person(links, state, login) for login in issue.assignees]
    shape: Json = {
        "id": issue.id,
        "node_id": node("PR" if issue.pull else "I", issue.id),
        "url": url,
        "repository_url": links.repo(),
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "timeline_url": f"{url}/timeline",
        "html_url": links.html(f"/{'pull' if issue.pull else 'issues'}/{issue.number}"),
        "number": issue.number,
        "state": issue.state,
        "state_reason": issue.state_reason,
        "title": issue.title,
        "body": issue.body or None,
        "user": person(links, state, issue.user),
        "author_association": association(state, issue.user),
        "labels": labels_of(links, state, issue),
        "assignee": assignees[0] if assignees else None,
        "assignees": assignees,
        "milestone": None,
        "locked": False,
        "active_lock_reason": None,
        "comments": len(issue.comments),
        "created_at": stamp(issue.created_at),
        "updated_at": stamp(issue.updated_at),
        "closed_at": stamp_or_none(issue.closed_at),
        "closed_by": person(links, state, issue.closed_by),
        "performed_via_github_app": None,
    }
    if issue.pull:
        html = links.html(f"/pull/{issue.number}")
        shape["draft"] = issue.pull.draft
        shape["pull_request"] = {
            "url": links.pull(issue.number),
            "html_url": html,
            "diff_url": f"{html}.diff",
            "patch_url": f"{html}.patch",
            "merged_at": stamp_or_none(issue.pull.merged_at),
        }
    else:
        shape["issue_dependencies_summary"] = dependencies(state, issue)
    return shape


def dependencies(state: State, issue: Issue) -> Json:
    blockers = [state.issues[number] for number in issue.blocked_by]
    blocked = [other for other in state.issues.values() if issue.number in other.blocked_by]
    return {
        "blocked_by": sum(other.is_open for other in blockers),
        "total_blocked_by": len(blockers),
        "blocking": sum(other.is_open for other in blocked),
        "total_blocking": len(blocked),
    }


def comment(links: Links, state: State, comment: Comment) -> Json:
    pull = state.issues[comment.number].pull
    kind = "pull" if pull else "issues"
    return {
        "id": comment.id,
        "node_id": node("IC", comment.id),
        "url": links.repo(f"/issues/comments/{comment.id}"),
        "html_url": links.html(f"/{kind}/{comment.number}#issuecomment-{comment.id}"),
        "issue_url": links.issue(comment.number),
        "user": person(links, state, comment.user),
        "author_association": association(state, comment.user),
        "body": comment.body,
        "created_at": stamp(comment.created_at),
        "updated_at": stamp(comment.updated_at),
        "performed_via_github_app": None,
    }


def event(links: Links, state: State, event: Event) -> Json:
    """An event as /events lists it."""
    shape: Json = {
        "id": event.id,
        "node_id": node("E", event.id),
        "url": links.repo(f"/issues/events/{event.id}"),
        "actor": person(links, state, event.actor),
        "event": event.kind,
        "commit_id": event.commit or None,
        "commit_url": links.repo(f"/commits/{event.commit}") if event.commit else None,
        "created_at": stamp(event.created_at),
        "performed_via_github_app": None,
    }
    if event.label:
        found = state.find_label(event.label)
        shape["label"] = {"name": event.label, "color": found.color if found else "ededed"}
    if event.kind == "renamed":
        shape["rename"] = dict(zip(("from", "to"), event.title, strict=True))
    if event.reviewer:
        shape["review_requester"] = person(links, state, event.actor)
        shape["requested_reviewer"] = person(links, state, event.reviewer)
    return shape


def timeline(links: Links, state: State, found: Issue) -> list[Json]:
    """Events and comments together, oldest first. The reviews and commits of a pull request are left out."""
    entries: list[tuple[int, Json]] = [
        (entry.id, _timeline_event(links, state, entry)) for entry in found.events
    ]
    for entry in found.comments:
        shape: dict[str, Any] = {**comment(links, state, entry), "event": "commented"}
        entries.append((entry.id, {**shape, "actor": shape["user"]}))
    return [shape for _, shape in sorted(entries, key=lambda entry: entry[0])]


def _timeline_event(links: Links, state: State, found: Event) -> Json:
    if found.kind != "cross-referenced":
        return event(links, state, found)
    moment = stamp(found.created_at)
    source = {"type": "issue", "issue": issue(links, state, state.issues[found.source])}
    return {
        "event": found.kind,
        "actor": person(links, state, found.actor),
        "created_at": moment,
        "updated_at": moment,
        "source": source,
    }
