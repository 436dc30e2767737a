"""REST: issues, their comments, events and dependencies."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.github import shapes_issues as shapes
from tests.github.calls import Answer, Call, Table, ordered, page
from tests.github.errors import forbidden, invalid, not_found
from tests.github.issues import Issues
from tests.github.state import Issue

table = Table()


def _issue(call: Call) -> Issue:
    return call.world.issues.get(call.number("issue_number"))


def _answer(call: Call, issue: Issue) -> Answer:
    return Answer(200, shapes.issue(call.links, call.world.state, issue))


@table.route("GET ~/issues")
def list_issues(call: Call) -> Answer:
    state, since = call.query.get("state", "open"), call.since()
    wanted = {name.lower() for name in call.query.get("labels", "").split(",") if name}
    found = [
        issue
        for issue in call.world.issues.listed()
        if state in {issue.state, "all"}
        # Times are whole seconds on GitHub, and `since` includes its own.
        and int(issue.updated_at) >= since
        and wanted <= {name.lower() for name in issue.labels}
    ]
    keys = {
        "created": lambda issue: issue.number,
        "updated": lambda issue: (issue.updated_at, issue.number),
        "comments": lambda issue: len(issue.comments),
    }
    return page(
        call,
        ordered(call, found, keys, "created"),
        lambda issue: shapes.issue(call.links, call.world.state, issue),
    )


@table.route("POST ~/issues")
def open_issue(call: Call) -> Answer:
    fields, by = call.fields, call.actor
    # Who may not set labels is not refused: GitHub drops them.
    asked = _names(fields.get("labels") or ())
    labels = asked if by.may("triage") else []
    title, body = str(fields.get("title", "")), fields.get("body") or ""
    issue = call.world.issues.open(title, body, labels, by=by.login)
    shape = shapes.issue(call.links, call.world.state, issue)
    return Answer(201, shape, {"Location": shape["url"]})


@table.route("GET ~/issues/{issue_number}")
def get_issue(call: Call) -> Answer:
    return _answer(call, _issue(call))


@table.route("PATCH ~/issues/{issue_number}")
def edit_issue(call: Call) -> Answer:
    issue, fields, issues, by = _issue(call), call.fields, call.world.issues, call.actor.login
    if not call.actor.may("triage") and by != issue.user:
        raise forbidden()
    if {"title", "body"} & set(fields):
        issues.edit(issue, by=by, **texts(fields))
    if "labels" in fields:
        issues.set_labels(issue, _names(fields["labels"]), by=by)
    if "assignees" in fields:
        issue.assignees = list(dict.fromkeys(fields["assignees"]))
        issues.touch(issue)
    _move(issues, issue, fields.get("state"), fields.get("state_reason"), by)
    return _answer(call, issue)


def _move(issues: Issues, issue: Issue, state: str | None, reason: str | None, by: str) -> None:
    if state == "closed":
        issues.close(issue, by=by, reason=reason)
    elif state == "open":
        issues.reopen(issue, by=by)
    elif state is not None:
        raise invalid("Issue", "state")


def texts(fields: Mapping[str, Any]) -> dict[str, str]:
    """The new title and the new body, where they are to change; null empties a body."""
    found = {"title": fields["title"]} if fields.get("title") is not None else {}
    return {**found, "body": fields["body"] or ""} if "body" in fields else found


def _names(labels: Iterable[str | dict[str, str]]) -> list[str]:
    """Labels come as names or as objects."""
    return [label if isinstance(label, str) else label["name"] for label in labels]


@table.route("GET ~/issues/{issue_number}/comments")
def list_comments_of_issue(call: Call) -> Answer:
    since = call.since()
    found = [comment for comment in _issue(call).comments if int(comment.updated_at) >= since]
    return page(call, found, lambda comment: shapes.comment(call.links, call.world.state, comment))


@table.route("POST ~/issues/{issue_number}/comments")
def add_comment(call: Call) -> Answer:
    comment = call.world.issues.comment(_issue(call), call.fields.get("body", ""), by=call.actor.login)
    shape = shapes.comment(call.links, call.world.state, comment)
    return Answer(201, shape, {"Location": shape["url"]})


@table.route("GET ~/issues/comments")
def list_comments(call: Call) -> Answer:
    since = call.since()
    found = [comment for comment in call.world.issues.comments() if int(comment.updated_at) >= since]
    keys = {
        "created": lambda comment: comment.id,
        "updated": lambda comment: (comment.updated_at, comment.id),
    }
    # Without `sort` GitHub ignores the direction and lists by id.
    if "sort" in call.query:
        found = ordered(call, found, keys, "created")
    return page(call, found, lambda comment: shapes.comment(call.links, call.world.state, comment))


@table.route("GET ~/issues/comments/{comment_id}")
def get_comment(call: Call) -> Answer:
    comment = call.world.issues.find_comment(call.number("comment_id"))
    return Answer(200, shapes.comment(call.links, call.world.state, comment))


@table.route("PATCH ~/issues/comments/{comment_id}")
def edit_comment(call: Call) -> Answer:
    comment = call.world.issues.find_comment(call.number("comment_id"))
    if comment.user != call.actor.login and not call.actor.may("write"):
        raise forbidden()
    call.world.issues.edit_comment(comment, call.fields.get("body", ""))
    return Answer(200, shapes.comment(call.links, call.world.state, comment))


@table.route("GET ~/issues/{issue_number}/events")
def list_events(call: Call) -> Answer:
    found = [event for event in _issue(call).events if event.kind != "cross-referenced"]
    return page(call, found, lambda event: shapes.event(call.links, call.world.state, event))


@table.route("GET ~/issues/{issue_number}/timeline")
def list_timeline(call: Call) -> Answer:
    return page(call, shapes.timeline(call.links, call.world.state, _issue(call)), lambda entry: entry)


@table.route("GET ~/issues/{issue_number}/dependencies/blocked_by")
def list_blockers(call: Call) -> Answer:
    found = [call.world.issues.get(number) for number in _issue(call).blocked_by]
    return page(call, found, lambda issue: shapes.issue(call.links, call.world.state, issue))


# --- labels -------------------------------------------------------------------------------------------------


def _labels(call: Call, issue: Issue) -> Answer:
    return Answer(200, shapes.labels_of(call.links, call.world.state, issue))


@table.route("POST ~/issues/{issue_number}/labels", needs="triage")
def add_labels(call: Call) -> Answer:
    issue = _issue(call)
    # A bare array of names is taken as well.
    names = call.body if isinstance(call.body, list) else call.fields.get("labels", ())
    call.world.issues.label(issue, _names(names), by=call.actor.login)
    return _labels(call, issue)


@table.route("DELETE ~/issues/{issue_number}/labels/{name}", needs="triage")
def remove_label(call: Call) -> Answer:
    issue = _issue(call)
    call.world.issues.unlabel(issue, call.parameters["name"], by=call.actor.login)
    return _labels(call, issue)


@table.route("GET ~/labels")
def list_labels(call: Call) -> Answer:
    found = sorted(call.world.state.labels.values(), key=lambda label: label.name.lower())
    return page(call, found, lambda label: shapes.label(call.links, label))


@table.route("POST ~/labels", needs="write")
def make_label(call: Call) -> Answer:
    fields = call.fields
    color, description = fields.get("color", "ededed"), fields.get("description")
    label = call.world.issues.make_label(fields.get("name", ""), color, description)
    return Answer(201, shapes.label(call.links, label))


@table.route("GET ~/labels/{name}")
def get_label(call: Call) -> Answer:
    label = call.world.state.find_label(call.parameters["name"])
    if label is None:
        raise not_found()
    return Answer(200, shapes.label(call.links, label))
