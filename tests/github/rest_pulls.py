"""REST: pull requests, their merge and their reviews."""

from tests.github import shapes_pulls as shapes
from tests.github.calls import Answer, Call, Table, ordered, page
from tests.github.errors import forbidden, invalid, not_found
from tests.github.rest_issues import texts
from tests.github.shapes_repository import commit, files
from tests.github.state import Issue, Pull

table = Table()
EVENTS = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}


def _pull(call: Call) -> tuple[Issue, Pull]:
    return call.world.pulls.get(call.number("pull_number"))


def _full(call: Call, issue: Issue, pull: Pull, status: int = 200) -> Answer:
    shape = shapes.full_pull(call.links, call.world, issue, pull)
    pull.unknown_reads = max(0, pull.unknown_reads - 1)
    return Answer(status, shape)


@table.route("GET ~/pulls")
def list_pulls(call: Call) -> Answer:
    state, base = call.query.get("state", "open"), call.query.get("base")
    owner, colon, branch = call.query.get("head", "").rpartition(":")
    mine = owner.lower() == call.world.state.owner.lower()
    found = [
        (issue, pull)
        for issue, pull in call.world.state.pulls()
        if state in {issue.state, "all"}
        and base in {None, pull.base}
        # GitHub ignores a head without its owner.
        and (not colon or (mine and branch == pull.head))
    ]
    keys = {
        "created": lambda pair: pair[0].number,
        "updated": lambda pair: (pair[0].updated_at, pair[0].number),
        "popularity": lambda pair: len(pair[0].comments),
        "long-running": lambda pair: pair[0].created_at,
    }
    return page(
        call,
        ordered(call, found, keys, "created"),
        lambda pair: shapes.pull(call.links, call.world.state, *pair),
    )


@table.route("POST ~/pulls", needs="write")
def open_pull(call: Call) -> Answer:
    fields = call.fields
    for name in ("title", "head", "base"):
        if not fields.get(name):
            raise invalid("PullRequest", name, "missing_field")
    fields.get("maintainer_can_modify")  # Means nothing without forks.
    issue, pull = call.world.pulls.open(
        fields["title"],
        fields.get("body") or "",
        head=fields["head"],
        base=fields["base"],
        draft=fields.get("draft", False),
        by=call.actor.login,
    )
    answer = _full(call, issue, pull, 201)
    answer.headers["Location"] = answer.body["url"]
    return answer


@table.route("GET ~/pulls/{pull_number}")
def get_pull(call: Call) -> Answer:
    return _full(call, *_pull(call))


@table.route("PATCH ~/pulls/{pull_number}")
def edit_pull(call: Call) -> Answer:
    issue, pull = _pull(call)
    fields, world, by = call.fields, call.world, call.actor.login
    if not call.actor.may("write") and by != issue.user:
        raise forbidden()
    fields.get("maintainer_can_modify")
    if {"title", "body"} & set(fields):
        world.issues.edit(issue, by=by, **texts(fields))
    if "base" in fields:
        world.pulls.retarget(issue, pull, fields["base"])
    if fields.get("state") == "closed":
        world.issues.close(issue, by=by)
    elif fields.get("state") == "open":
        world.pulls.reopen(issue, pull, by=by)
    return _full(call, issue, pull)


@table.route("GET ~/pulls/{pull_number}/commits")
def list_commits(call: Call) -> Answer:
    _, pull = _pull(call)
    found = call.world.repository.commits(pull.base_sha, pull.head_sha)
    return page(call, found, lambda entry: commit(call.links, entry))


@table.route("GET ~/pulls/{pull_number}/files")
def list_files(call: Call) -> Answer:
    _, pull = _pull(call)
    return page(
        call, files(call.links, call.world.repository, pull.base_sha, pull.head_sha), lambda entry: entry
    )


@table.route("PUT ~/pulls/{pull_number}/merge", needs="write")
def merge_pull(call: Call) -> Answer:
    issue, pull = _pull(call)
    fields = call.fields
    words = (fields.get("commit_title"), fields.get("commit_message"))
    sha = call.world.pulls.merge(
        issue,
        pull,
        by=call.actor.login,
        method=fields.get("merge_method", "merge"),
        sha=fields.get("sha") or "",
        message="\n\n".join(word for word in words if word),
    )
    return Answer(200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


# --- reviews ------------------------------------------------------------------------------------------------


@table.route("GET ~/pulls/{pull_number}/reviews")
def list_reviews(call: Call) -> Answer:
    issue, pull = _pull(call)
    return page(
        call, pull.reviews, lambda entry: shapes.review(call.links, call.world.state, issue.number, entry)
    )


@table.route("GET ~/pulls/{pull_number}/reviews/{review_id}")
def get_review(call: Call) -> Answer:
    issue, pull = _pull(call)
    key = call.number("review_id")
    for entry in pull.reviews:
        if entry.id == key:
            return Answer(200, shapes.review(call.links, call.world.state, issue.number, entry))
    raise not_found()


@table.route("POST ~/pulls/{pull_number}/reviews")
def add_review(call: Call) -> Answer:
    issue, pull = _pull(call)
    fields = call.fields
    state = EVENTS.get(fields.get("event", ""), "PENDING")
    review = call.world.pulls.review(
        issue,
        pull,
        state,
        fields.get("body") or "",
        by=call.actor.login,
        comments=[
            (entry["path"], entry.get("line", 1), entry["body"]) for entry in fields.get("comments", ())
        ],
    )
    review.commit = fields.get("commit_id") or review.commit
    return Answer(200, shapes.review(call.links, call.world.state, issue.number, review))


@table.route("GET ~/pulls/{pull_number}/comments")
def list_review_comments(call: Call) -> Answer:
    issue, pull = _pull(call)
    since, state = call.since(), call.world.state
    pairs = [
        (thread, comment)
        for thread in pull.threads
        for comment in thread.comments
        if int(comment.updated_at) >= since
    ]
    keys = {
        "created": lambda pair: pair[1].id,
        "updated": lambda pair: (pair[1].updated_at, pair[1].id),
    }
    found = (
        ordered(call, pairs, keys, "created") if "sort" in call.query else sorted(pairs, key=keys["created"])
    )
    return page(call, found, lambda pair: shapes.review_comment(call.links, state, issue.number, *pair))


@table.route("POST ~/pulls/{pull_number}/comments/{comment_id}/replies")
def reply(call: Call) -> Answer:
    issue, pull = _pull(call)
    body = call.fields.get("body", "")
    made = call.world.pulls.reply(issue, pull, call.number("comment_id"), body, by=call.actor.login)
    thread = next(thread for thread in pull.threads if made in thread.comments)
    shape = shapes.review_comment(call.links, call.world.state, issue.number, thread, made)
    return Answer(201, shape, {"Location": shape["url"]})


@table.route("POST ~/pulls/{pull_number}/requested_reviewers", needs="write")
def request_reviewers(call: Call) -> Answer:
    issue, pull = _pull(call)
    call.world.pulls.request(issue, pull, call.fields.get("reviewers", ()), by=call.actor.login)
    return Answer(201, shapes.pull(call.links, call.world.state, issue, pull))
