"""GraphQL on GitHub's schema."""

from typing import Any

import pytest
from github import GithubException

from tests.github.clients import connect, plain
from tests.github.fake import BOT, MEMBER, FakeGitHub

pytestmark = pytest.mark.usefixtures("contracts")

STATES = """
query($ids: [ID!]!) {
  rateLimit { cost remaining limit resetAt }
  nodes(ids: $ids) {
    __typename
    ... on PullRequest {
      number state isDraft mergeable mergeStateStatus reviewDecision headRefOid
      autoMergeRequest { mergeMethod enabledBy { login } }
      statusCheckRollup {
        state
        contexts(first: 50) {
          totalCount
          nodes {
            __typename
            ... on CheckRun { name conclusion databaseId isRequired(pullRequestNumber: 1)
              checkSuite { workflowRun { databaseId workflow { name } } } }
            ... on StatusContext { context state }
          }
        }
      }
    }
  }
}
"""
ENABLE = """
mutation($input: EnablePullRequestAutoMergeInput!) {
  enablePullRequestAutoMerge(input: $input) {
    actor { login }
    pullRequest { autoMergeRequest { mergeMethod } }
  }
}
"""


def ask(github: FakeGitHub, query: str, **variables: Any) -> dict[str, Any]:
    with plain(github) as session:
        answer = session.post(f"{github.url}/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
def pull(github: FakeGitHub) -> str:
    """The global id of the pull request 1."""
    github.push("fix", {"a.txt": "one\n"})
    return f"PR_{github.open_pull('fix', by=BOT).id}"


def test_check_states_come_in_bulk(github: FakeGitHub, pull: str) -> None:
    github.protect("build", approvals=1)
    github.start_checks(1, "build", "lint")
    github.set_status(1, "ci/old", "success")
    failed = github.finish_check(1, "lint", "failure")
    with connect(github) as client:
        _, answer = client.requester.graphql_query(STATES, {"ids": [pull]})
    found = answer["data"]["nodes"][0]
    assert found["statusCheckRollup"]["state"] == "FAILURE"
    contexts = {
        node.get("name", node.get("context")): node
        for node in found["statusCheckRollup"]["contexts"]["nodes"]
    }
    assert contexts["lint"]["databaseId"] == failed.id
    assert (contexts["build"]["conclusion"], contexts["build"]["isRequired"]) == (None, True)
    assert contexts["build"]["checkSuite"]["workflowRun"]["workflow"]["name"] == "CI"
    assert contexts["ci/old"]["state"] == "SUCCESS"
    assert (found["mergeStateStatus"], found["reviewDecision"]) == ("BLOCKED", "REVIEW_REQUIRED")
    assert found["headRefOid"] == github.head("fix")
    assert answer["data"]["rateLimit"]["remaining"] == 5000
    assert github.graph_rate.remaining == 4999
    assert github.rate.used == 0


def test_review_decisions_are_githubs(github: FakeGitHub, pull: str) -> None:
    query = "query($id: ID!) { node(id: $id) { ... on PullRequest { reviewDecision mergeStateStatus } } }"

    def seen() -> tuple[str | None, str]:
        node = ask(github, query, id=pull)["data"]["node"]
        return node["reviewDecision"], node["mergeStateStatus"]

    github.review(1, "APPROVED")
    assert seen() == (None, "CLEAN")
    github.protect(decides_always=True)
    assert seen() == ("APPROVED", "CLEAN")
    github.protect(approvals=1)
    github.review(1, "CHANGES_REQUESTED")
    assert seen() == ("CHANGES_REQUESTED", "BLOCKED")
    github.review(1, "COMMENTED", "A word")
    assert seen() == ("CHANGES_REQUESTED", "BLOCKED")


def test_auto_merge_waits_for_what_is_asked_and_no_longer(github: FakeGitHub, pull: str) -> None:
    refused = ask(github, ENABLE, input={"pullRequestId": pull})
    assert refused["data"]["enablePullRequestAutoMerge"] is None
    assert refused["errors"][0]["message"] == "Pull request Pull request is in clean status"
    assert refused["errors"][0]["type"] == "UNPROCESSABLE"
    github.protect("build")
    enabled = ask(github, ENABLE, input={"pullRequestId": pull, "mergeMethod": "SQUASH"})
    made = enabled["data"]["enablePullRequestAutoMerge"]
    assert (made["actor"]["login"], made["pullRequest"]["autoMergeRequest"]["mergeMethod"]) == (BOT, "SQUASH")
    assert github.pull(1).merged_at is None
    with connect(github) as client:
        assert client.get_repo("acme/widget").get_pull(1).raw_data["auto_merge"]["merge_method"] == "squash"
    github.finish_check(1, "build")
    assert github.pull(1).merged_by == BOT


def test_auto_merge_is_taken_back(github: FakeGitHub, pull: str) -> None:
    github.protect("build")
    ask(github, ENABLE, input={"pullRequestId": pull})
    query = """mutation($id: ID!) {
      disablePullRequestAutoMerge(input: {pullRequestId: $id, clientMutationId: "x"}) {
      clientMutationId pullRequest { autoMergeRequest { mergeMethod } } } }"""
    payload = ask(github, query, id=pull)["data"]["disablePullRequestAutoMerge"]
    assert payload == {"clientMutationId": "x", "pullRequest": {"autoMergeRequest": None}}
    assert "errors" in ask(github, query, id=pull)
    github.state.allow_auto_merge = False
    refused = ask(github, ENABLE, input={"pullRequestId": pull})
    assert "not allowed for this repository" in refused["errors"][0]["message"]


def test_a_draft_is_made_ready(github: FakeGitHub) -> None:
    github.push("fix", {"a.txt": "one\n"})
    key = f"PR_{github.open_pull('fix', draft=True, by=BOT).id}"
    query = """mutation($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id}) {
      pullRequest { isDraft mergeStateStatus } } }"""
    made = ask(github, query, id=key)["data"]["markPullRequestReadyForReview"]
    assert made["pullRequest"] == {"isDraft": False, "mergeStateStatus": "CLEAN"}
    assert not github.pull(1).draft


def test_threads_are_read_and_resolved(github: FakeGitHub, pull: str) -> None:
    github.review(1, "COMMENTED", comments=[("a.txt", 1, "Why?"), ("a.txt", 2, "And this?")])
    first = github.pull(1).threads[0].comments[0]
    github.reply(1, first.id, "Because.", by=BOT)
    query = """query { repository(owner: "acme", name: "widget") { pullRequest(number: 1) {
      reviewThreads(first: 100) { nodes { id isResolved path line resolvedBy { login }
        comments(first: 100) { nodes {
          databaseId body author { login } authorAssociation replyTo { databaseId } } } } }
      reviews(last: 10) { totalCount } commits(last: 1) { nodes { commit { oid } } } } } }"""

    def threads() -> list[dict[str, Any]]:
        found = ask(github, query)["data"]["repository"]["pullRequest"]
        assert found["commits"]["nodes"][0]["commit"]["oid"] == github.head("fix")
        nodes: list[dict[str, Any]] = found["reviewThreads"]["nodes"]
        return nodes

    before = threads()
    assert [node["isResolved"] for node in before] == [False, False]
    question, reply = before[0]["comments"]["nodes"]
    assert (question["databaseId"], question["author"]["login"]) == (first.id, MEMBER)
    assert (question["authorAssociation"], reply["replyTo"]) == ("MEMBER", {"databaseId": first.id})
    resolve = "mutation($id: ID!) { resolveReviewThread(input: {threadId: $id}) { thread { isResolved } } }"
    assert "errors" not in ask(github, resolve, id=before[0]["id"])
    github.resolve_thread(1, 1, by=MEMBER)
    assert [node["resolvedBy"]["login"] for node in threads()] == [BOT, MEMBER]


def test_pull_requests_are_listed_in_pages(github: FakeGitHub) -> None:
    for branch in ("a", "b", "c"):
        github.push(branch, {branch: "one\n"})
        github.open_pull(branch)
    github.close(2)
    query = """query($after: String) { repository(owner: "acme", name: "widget") {
      pullRequests(first: 1, after: $after, states: [OPEN],
                   orderBy: {field: UPDATED_AT, direction: DESC}) {
        totalCount pageInfo { hasNextPage endCursor }
        nodes { number labels(first: 5) { nodes { name } } } } } }"""
    first = ask(github, query)["data"]["repository"]["pullRequests"]
    second = ask(github, query, after=first["pageInfo"]["endCursor"])["data"]["repository"]["pullRequests"]
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"]) == (2, True)
    assert not second["pageInfo"]["hasNextPage"]
    assert {first["nodes"][0]["number"], second["nodes"][0]["number"]} == {1, 3}


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ('{ repository(owner: "acme", name: "other") { id } }', "NOT_FOUND"),
        ('{ repository(owner: "acme", name: "widget") { pullRequest(number: 9) { id } } }', "NOT_FOUND"),
        ('{ repository(owner: "acme", name: "widget") { issue(number: 9) { id } } }', "NOT_FOUND"),
        ('{ node(id: "PR_9") { id } }', "NOT_FOUND"),
        (
            '{ repository(owner: "acme", name: "widget") { pullRequests { totalCount } } }',
            "MISSING_PAGINATION_BOUNDARIES",
        ),
        (
            '{ repository(owner: "acme", name: "widget") { pullRequests(first: 101) { totalCount } } }',
            "EXCESSIVE_PAGINATION",
        ),
    ],
)
def test_githubs_own_errors(github: FakeGitHub, query: str, kind: str) -> None:
    assert ask(github, query)["errors"][0]["type"] == kind


def test_an_issue_and_the_viewer(github: FakeGitHub) -> None:
    issue = github.open_issue("One", labels=["orch"])
    query = """query($id: ID!) { viewer { login } node(id: $id) { ... on Issue {
      title state stateReason labels(first: 1) { nodes { name } }
      comments(last: 1) { nodes { body } } } } }"""
    github.comment(1, "Hello")
    answer = ask(github, query, id=f"I_{issue.id}")["data"]
    assert answer["viewer"]["login"] == BOT
    assert (answer["node"]["title"], answer["node"]["state"]) == ("One", "OPEN")
    assert answer["node"]["comments"]["nodes"] == [{"body": "Hello"}]


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("{ nonsense }", "Cannot query field 'nonsense'"),
        ("{ viewer { ", "Syntax Error"),
        ("query($a: Int!) { viewer { login } }", "is never used"),
        ("{ viewer { bio } }", "the fake GitHub has no User.bio"),
        ("{ viewer { avatarUrl(size: 3) } }", "the fake GitHub has no User.avatarUrl"),
    ],
)
def test_what_github_or_the_fake_does_not_know_fails_the_test(
    github: FakeGitHub, query: str, word: str
) -> None:
    assert "errors" in ask(github, query)
    assert [text for text in github.violations if word in text]
    github.violations.clear()


def test_graphql_has_a_limit_of_its_own(github: FakeGitHub) -> None:
    github.graph_rate.exhaust()
    assert ask(github, "{ viewer { login } }")["errors"][0]["type"] == "RATE_LIMITED"
    with connect(github) as client, pytest.raises(GithubException):
        client.requester.graphql_query("{ viewer { login } }", {})


TIMELINE = """
query($kinds: [IssueTimelineItemsItemType!]) {
  repository(owner: "acme", name: "widget") {
    issue(number: 1) {
      lastEditedAt
      timelineItems(last: 3, itemTypes: $kinds) {
        totalCount
        nodes {
          __typename
          ... on LabeledEvent { actor { login } label { name } }
          ... on IssueComment { body author { login } }
        }
      }
    }
  }
}
"""


def test_the_timeline_of_an_issue(github: FakeGitHub) -> None:
    github.open_issue("One", labels=["orch"])
    github.comment(1, "Hello", by=BOT)
    github.edit(1, title="Two")
    github.unlabel(1, "orch")
    github.close(1)
    issue = ask(github, TIMELINE)["data"]["repository"]["issue"]
    assert issue["lastEditedAt"] is None, "a title is no body"
    assert issue["timelineItems"]["totalCount"] == 4
    kinds = [node["__typename"] for node in issue["timelineItems"]["nodes"]]
    assert kinds == ["IssueComment", "RenamedTitleEvent", "UnlabeledEvent"]
    github.edit(1, body="More")
    issue = ask(github, TIMELINE, kinds=["LABELED_EVENT", "ISSUE_COMMENT"])["data"]["repository"]["issue"]
    assert issue["lastEditedAt"].endswith("Z")
    assert issue["timelineItems"]["nodes"] == [
        {"__typename": "LabeledEvent", "actor": {"login": MEMBER}, "label": {"name": "orch"}},
        {"__typename": "IssueComment", "body": "Hello", "author": {"login": BOT}},
    ]
