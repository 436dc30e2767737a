"""Pull requests and reviews as the REST API shows them."""

from tests.github.links import Links, stamp, stamp_or_none
from tests.github.shapes_issues import association, labels_of, person
from tests.github.shapes_repository import Json, node, repository, user
from tests.github.state import Issue, Pull, Review, ReviewComment, State, Thread
from tests.github.world import World

EMPTY_HUNK = "@@ -0,0 +1 @@"
"""GitHub shows some lines around a comment; nothing here reads them."""


def pull(links: Links, state: State, issue: Issue, pull: Pull) -> Json:
    """A pull request as a list shows it."""
    url, html = links.pull(issue.number), links.html(f"/pull/{issue.number}")
    people = [person(links, state, login) for login in issue.assignees]
    addresses = {
        "comments": links.issue(issue.number, "/comments"),
        "commits": f"{url}/commits",
        "review_comment": links.repo("/pulls/comments{/number}"),
        "review_comments": f"{url}/comments",
        "statuses": links.repo(f"/statuses/{pull.head_sha}"),
    }
    here = {"self": url, "html": html, "issue": links.issue(issue.number)}
    return {
        "id": issue.id,
        "node_id": node("PR", issue.id),
        "url": url,
        "html_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "issue_url": here["issue"],
        **{f"{name}_url": address for name, address in addresses.items()},
        "_links": {name: {"href": address} for name, address in {**here, **addresses}.items()},
        "number": issue.number,
        "state": issue.state,
        "locked": False,
        "active_lock_reason": None,
        "title": issue.title,
        "body": issue.body or None,
        "user": person(links, state, issue.user),
        "author_association": association(state, issue.user),
        "labels": labels_of(links, state, issue),
        "assignee": people[0] if people else None,
        "assignees": people,
        "requested_reviewers": [person(links, state, login) for login in pull.requested],
        "requested_teams": [],
        "milestone": None,
        "created_at": stamp(issue.created_at),
        "updated_at": stamp(issue.updated_at),
        "closed_at": stamp_or_none(issue.closed_at),
        "merged_at": stamp_or_none(pull.merged_at),
        "merge_commit_sha": pull.merge_sha or None,
        "draft": pull.draft,
        "head": _end(links, state, pull.head, pull.head_sha),
        "base": _end(links, state, pull.base, pull.base_sha),
        "auto_merge": _auto_merge(links, state, pull),
    }


def _end(links: Links, state: State, branch: str, sha: str) -> Json:
    return {
        "label": f"{state.owner}:{branch}",
        "ref": branch,
        "sha": sha,
        "user": user(links, state.users[state.owner]),
        "repo": repository(links, state),
    }


def _auto_merge(links: Links, state: State, pull: Pull) -> Json | None:
    if pull.auto_merge is None:
        return None
    return {
        "enabled_by": person(links, state, pull.auto_merge.by),
        "merge_method": pull.auto_merge.method,
        "commit_title": "",
        "commit_message": "",
    }


def full_pull(links: Links, world: World, issue: Issue, found: Pull) -> Json:
    """A pull request on its own, with what git says about it."""
    state, git = world.state, world.repository
    base = found.base_sha
    changes = git.files(base, found.head_sha)
    mergeable = world.pulls.mergeable(issue, found)
    merge_state = "unknown" if not issue.is_open else world.pulls.merge_state(issue, found).lower()
    return {
        **pull(links, state, issue, found),
        "merged": found.merged_at is not None,
        "merged_by": person(links, state, found.merged_by),
        "mergeable": mergeable,
        "rebaseable": mergeable,
        "mergeable_state": merge_state,
        "comments": len(issue.comments),
        "review_comments": sum(len(thread.comments) for thread in found.threads),
        "maintainer_can_modify": False,
        "commits": git.count(base, found.head_sha),
        "additions": sum(change.additions for change in changes),
        "deletions": sum(change.deletions for change in changes),
        "changed_files": len(changes),
    }


def review(links: Links, state: State, number: int, found: Review) -> Json:
    html, url = links.html(f"/pull/{number}#pullrequestreview-{found.id}"), links.pull(number)
    return {
        "id": found.id,
        "node_id": node("PRR", found.id),
        "user": person(links, state, found.user),
        "author_association": association(state, found.user),
        "body": found.body,
        "state": found.state,
        "html_url": html,
        "pull_request_url": url,
        "_links": {"html": {"href": html}, "pull_request": {"href": url}},
        "commit_id": found.commit,
        "submitted_at": stamp(found.submitted_at),
    }


def review_comment(links: Links, state: State, number: int, thread: Thread, found: ReviewComment) -> Json:
    url = links.repo(f"/pulls/comments/{found.id}")
    html, pull_url = links.html(f"/pull/{number}#discussion_r{found.id}"), links.pull(number)
    shape: Json = {
        "id": found.id,
        "node_id": node("PRRC", found.id),
        "pull_request_review_id": found.review,
        "url": url,
        "html_url": html,
        "pull_request_url": pull_url,
        "_links": {
            "self": {"href": url},
            "html": {"href": html},
            "pull_request": {"href": pull_url},
        },
        "diff_hunk": EMPTY_HUNK,
        "path": thread.path,
        "line": thread.line,
        "original_line": thread.line,
        "side": "RIGHT",
        "commit_id": thread.commit,
        "original_commit_id": thread.commit,
        "user": person(links, state, found.user),
        "author_association": association(state, found.user),
        "body": found.body,
        "created_at": stamp(found.created_at),
        "updated_at": stamp(found.updated_at),
    }
    if found.reply_to:
        shape["in_reply_to_id"] = found.reply_to
    return shape
