"""What is around an answer: who asks, ETags, rate limits, redirects, the log, both addresses."""

import http.client
import socket
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from github import BadCredentialsException, RateLimitExceededException, UnknownObjectException

from tests.github.clients import connect, plain
from tests.github.fake import BOT, STRANGER, FakeGitHub

NAME = "acme/widget"
ISSUES = f"/repos/{NAME}/issues"
PULLS = f"/repos/{NAME}/pulls"
POLL = {"state": "all", "sort": "updated", "direction": "desc", "per_page": "100"}


def test_an_unchanged_list_is_304_and_costs_nothing(github: FakeGitHub) -> None:
    github.open_issue("One")
    with connect(github) as client:
        for path in (ISSUES, PULLS):
            _, headers, _ = client.requester.requestJson("GET", path, parameters=dict(POLL))
            used = github.rate.used
            conditional = {"If-None-Match": headers["etag"]}
            for _ in range(3):
                again = client.requester.requestJson(
                    "GET", path, parameters=dict(POLL), headers=dict(conditional)
                )
                assert (again[0], again[2]) == (304, "")
            assert github.rate.used == used
            github.push(f"fix-{used}", {f"{used}.txt": "one\n"})
            github.open_pull(f"fix-{used}")
            changed = client.requester.requestJson("GET", path, parameters=dict(POLL), headers=conditional)
            assert changed[0] == 200
            assert changed[1]["etag"] != headers["etag"]
    assert github.traffic.count("GET") == 10
    assert github.traffic.charged() == 4


def test_the_finish_of_a_check_changes_no_list(github: FakeGitHub) -> None:
    github.push("fix", {"a.txt": "one\n"})
    number = github.open_pull("fix").number
    before = github.issue(number).updated_at
    github.finish_check(number, "build", "failure")
    assert github.issue(number).updated_at == before


def test_rate_limits_are_told_and_kept(github: FakeGitHub) -> None:
    github.rate.limit = 3
    with connect(github) as client:
        repo = client.get_repo(NAME)
        for _ in range(3):
            list(repo.get_labels())
        assert client.get_rate_limit().resources.core.remaining == 0
        with pytest.raises(RateLimitExceededException) as refused:
            list(repo.get_labels())
        assert refused.value.status == 403
        headers = refused.value.headers or {}
        assert (headers["x-ratelimit-remaining"], headers["x-ratelimit-resource"]) == ("0", "core")
        assert "retry-after" not in headers


def test_a_window_ends(github: FakeGitHub) -> None:
    github.rate.limit, github.rate.window = 1, 0.0
    with connect(github) as client:
        for _ in range(3):
            list(client.get_repo(NAME).get_labels())


def test_a_wrong_token_is_401_and_scopes_are_told(github: FakeGitHub) -> None:
    with connect(github, token="ghp_wrong") as client, pytest.raises(BadCredentialsException) as refused:
        client.get_user().login  # noqa: B018  lazy: this asks
    assert refused.value.data["message"] == "Bad credentials"
    with connect(github) as client:
        user = client.get_user()
        assert user.login == BOT
        assert client.oauth_scopes == ["repo", "workflow"]
        permissions = client.get_repo(NAME).permissions
        assert (permissions.push, permissions.admin) == (True, False)
        assert client.get_repo(NAME).get_collaborator_permission(STRANGER) == "read"
    with plain(github, token="") as session:
        assert session.get(f"{github.url}/user").json()["message"] == "Requires authentication"


def test_enterprise_has_another_address(github: FakeGitHub) -> None:
    github.open_issue("One")
    with connect(github, url=github.enterprise_url) as client:
        issue = client.get_repo(NAME).get_issue(1)
        issue.create_comment("Hello")
        assert issue.complete().url == f"{github.enterprise_url}/repos/{NAME}/issues/1"
    assert github.traffic.count("POST", f"{ISSUES}/1/comments") == 1


@pytest.mark.usefixtures("contracts")
def test_enterprise_has_another_graphql(github: FakeGitHub) -> None:
    with connect(github, url=github.enterprise_url) as client:
        _, answer = client.requester.graphql_query("{ viewer { login } }", {})
    assert answer["data"]["viewer"]["login"] == BOT


def test_a_renamed_repository_redirects(github: FakeGitHub) -> None:
    github.rename_from("acme/gadget")
    github.open_issue("One")
    with connect(github) as client:
        old = client.get_repo("acme/gadget")
        assert old.complete().full_name == NAME
        assert [issue.number for issue in old.get_issues()] == [1]
    with plain(github) as session:
        url = f"{github.url}/repos/acme/gadget/issues/1/comments?x=1"
        answer = session.post(url, json={"body": "Hello"}, allow_redirects=False)
        assert answer.status_code == 307
        assert answer.headers["Location"].endswith("/issues/1/comments?x=1")
        assert session.get(f"{github.url}/repos/acme/unknown").status_code == 404


def test_the_log_tells_requests_apart_and_hides_the_token(github: FakeGitHub) -> None:
    github.open_issue("One")
    with connect(github) as client:
        repo = client.get_repo(NAME)
        repo.get_issue(1).create_comment("Hello")
        list(repo.get_issues(state="all"))
    (write,) = github.traffic.writes()
    assert (write.method, write.path, write.body) == ("POST", f"{ISSUES}/1/comments", {"body": "Hello"})
    assert write.status == 201
    assert write.headers["authorization"] == "token ***"
    assert github.token not in repr(github.traffic.exchanges)
    github.traffic.clear()
    assert github.traffic.count() == 0


def test_a_token_where_it_must_not_be_fails_the_test(github: FakeGitHub) -> None:
    github.open_issue("One")
    with connect(github) as client:
        client.get_repo(NAME).get_issue(1).create_comment(f"My token is {github.token}.")
    assert github.violations == [f"POST {ISSUES}/1/comments: a token in body"]
    assert github.token not in repr(github.traffic.exchanges)
    github.violations.clear()


def test_what_the_fake_does_not_know_fails_the_test(github: FakeGitHub) -> None:
    with plain(github) as session:
        assert session.get(f"{github.url}/repos/{NAME}/hooks").status_code == 404
        assert session.get(f"{github.url}{ISSUES}", params={"creator": "mia"}).status_code == 200
    assert len(github.violations) == 2
    assert github.violations[0].startswith("the fake GitHub does not know GET")
    assert github.violations[1].endswith("the fake GitHub ignores creator")
    github.violations.clear()


def test_a_body_that_is_no_json_is_400(github: FakeGitHub) -> None:
    with plain(github) as session:
        answer = session.post(f"{github.url}{ISSUES}/1/comments", data=b"{")
    assert (answer.status_code, answer.json()["message"]) == (400, "Problems parsing JSON")
    assert github.violations.pop().endswith("the body is no JSON")


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 30\r\n\r\n",
        b'Content-Length: 30\r\n\r\n{"body": "it',
        b"Transfer-Encoding: chunked\r\n\r\n",
        b'Transfer-Encoding: chunked\r\n\r\n1f\r\n{"body": "it',
        b'Transfer-Encoding: chunked\r\n\r\ne\r\n{"body": "it"}\r\n',
    ],
    ids=["no body", "half a body", "no piece", "half a piece", "no last piece"],
)
def test_a_client_that_dies_while_it_sends_has_asked_for_nothing(github: FakeGitHub, rest: bytes) -> None:
    """Killed there, it leaves the rest unsent: that is no fault of what it asked for."""
    issue = github.open_issue("One").number
    address = urlsplit(github.url)
    head = f"POST {ISSUES}/{issue}/comments HTTP/1.1\r\nHost: {address.netloc}\r\n".encode()
    head += f"User-Agent: orch\r\nAuthorization: Bearer {github.token}\r\n".encode()
    with socket.create_connection((address.hostname, address.port), timeout=30) as client:
        client.sendall(head + rest)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b"", "there is no answer"
    assert not github.traffic.exchanges
    assert not github.issue(issue).comments


def test_who_does_not_say_what_it_is_is_refused(github: FakeGitHub) -> None:
    connection = http.client.HTTPConnection(github.url.removeprefix("http://"), timeout=30)
    with closing(connection):
        connection.request("GET", "/user", headers={"Authorization": f"Bearer {github.token}"})
        assert connection.getresponse().status == 403


def test_another_repository_is_not_found(github: FakeGitHub) -> None:
    with connect(github) as client, pytest.raises(UnknownObjectException):
        client.get_repo("acme/other").id  # noqa: B018
