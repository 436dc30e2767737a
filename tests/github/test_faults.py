"""Every way to fail on demand, seen with the eyes of a client."""

import json
import math
import threading
import time
from pathlib import Path

import pytest
import requests
from github import Github, GithubException, GithubRetry, RateLimitExceededException

from tests.github.clients import connect, plain
from tests.github.fake import FakeGitHub, fake_github
from tests.github.faults import (
    BadGateway,
    Cut,
    Dropped,
    GraphLimited,
    Nonsense,
    RateLimited,
    SecondaryLimited,
    ServerError,
    Slow,
    Trouble,
    Truncated,
)

COMMENTS = "/repos/acme/widget/issues/1/comments"


def comment(client: Github) -> None:
    client.get_repo("acme/widget").get_issue(1).create_comment("Hello")


@pytest.mark.parametrize(
    ("trouble", "done"),
    [
        (BadGateway(), 1),
        (BadGateway(after_write=False), 0),
        (ServerError(), 0),
        (ServerError(after_write=True), 1),
        (Dropped(after_write=True), 1),
        (Dropped(after_write=False), 0),
        (Cut(), 1),
        (Truncated(), 1),
        (SecondaryLimited(), 0),
        (SecondaryLimited(429, retry_after=None), 0),
    ],
    ids=str,
)
def test_a_write_fails_before_or_after_it_was_done(github: FakeGitHub, trouble: Trouble, done: int) -> None:
    github.open_issue("One")
    github.faults.add("POST", "/repos/*/comments", trouble)
    with connect(github) as client:
        with pytest.raises((GithubException, requests.RequestException, json.JSONDecodeError)):
            comment(client)
        assert len(github.issue(1).comments) == done
        comment(client)
    assert len(github.issue(1).comments) == done + 1
    assert github.traffic.count("POST", COMMENTS) == 2


def test_pygithub_takes_a_page_for_people_for_an_answer(github: FakeGitHub) -> None:
    """200 with HTML raises nothing: whoever writes has to look at what came back."""
    github.open_issue("One")
    github.faults.add("POST", "/repos/*/comments", Nonsense())
    with connect(github) as client:
        made = client.get_repo("acme/widget").get_issue(1).create_comment("Hello")
    assert "id" not in made.raw_data
    assert len(github.issue(1).comments) == 1


def test_pygithub_posts_again_by_default_and_not_as_the_facts_say(github: FakeGitHub) -> None:
    """Why orch lets only GET be repeated, and looks for its marker before it writes."""
    github.open_issue("One")
    with connect(github, retry=GithubRetry(total=1, backoff_factor=0)) as careless:
        github.faults.add("POST", "/repos/*/comments", BadGateway())
        comment(careless)
    assert len(github.issue(1).comments) == 2
    with connect(github, retry=GithubRetry(total=1, allowed_methods=["GET"])) as careful:
        github.faults.add("POST", "/repos/*/comments", BadGateway())
        with pytest.raises(GithubException):
            comment(careful)
    assert len(github.issue(1).comments) == 3


def test_a_get_is_repeated(github: FakeGitHub) -> None:
    github.faults.add("GET", "/repos/*/labels", BadGateway(), times=2)
    with connect(github, retry=GithubRetry(total=3, allowed_methods=["GET"], backoff_factor=0)) as client:
        assert not list(client.get_repo("acme/widget").get_labels())
    assert github.traffic.count("GET", "/repos/*/labels") == 3


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("retry_after", [None, 7])
def test_the_limit_of_the_hour(github: FakeGitHub, status: int, retry_after: int | None) -> None:
    trouble = RateLimited(status, seconds=90, retry_after=retry_after)
    github.faults.add("*", "*", trouble)
    with connect(github) as client, pytest.raises(GithubException) as refused:
        list(client.get_repo("acme/widget").get_labels())
    headers = refused.value.headers or {}
    assert isinstance(refused.value, RateLimitExceededException) or status == 429
    assert refused.value.status == status
    assert headers["x-ratelimit-remaining"] == "0"
    assert int(headers["x-ratelimit-reset"]) > time.time()
    assert headers.get("retry-after") == (None if retry_after is None else "7")


def test_the_second_limit_leaves_the_first(github: FakeGitHub) -> None:
    github.faults.add("POST", "*", SecondaryLimited(retry_after=7))
    with plain(github) as session:
        answer = session.post(f"{github.url}{COMMENTS}", json={"body": "Hello"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (403, "7")
    assert "secondary rate limit" in answer.json()["message"]
    assert "X-RateLimit-Remaining" not in answer.headers


@pytest.mark.parametrize("kind", ["RATE_LIMITED", "RATE_LIMIT"])
def test_graphql_is_limited_with_200(github: FakeGitHub, kind: str) -> None:
    github.faults.add("POST", "/graphql", GraphLimited(kind), containing="viewer")
    with plain(github) as session:
        answer = session.post(f"{github.url}/graphql", json={"query": "{ viewer { login } }"})
    assert (answer.status_code, answer.json()["errors"][0]["type"]) == (200, kind)


def test_only_the_word_in_the_body_is_met(github: FakeGitHub) -> None:
    github.open_issue("One")
    fault = github.faults.add("POST", COMMENTS, ServerError(), containing="second")
    with plain(github) as session:
        codes = [
            session.post(f"{github.url}{COMMENTS}", json={"body": body}).status_code
            for body in ("first", "second", "third")
        ]
    assert codes == [201, 500, 201]
    assert fault.met == 1


@pytest.mark.parametrize("after_write", [True, False])
def test_a_slow_answer_waits_until_it_is_let_go(github: FakeGitHub, after_write: bool) -> None:
    github.open_issue("One")
    slow = Slow(after_write=after_write)
    github.faults.add("POST", COMMENTS, slow)
    with plain(github) as session:

        def post() -> None:
            session.post(f"{github.url}{COMMENTS}", json={"body": "Hello"})

        thread = threading.Thread(target=post)
        thread.start()
        assert slow.reached.wait(30)
        # Others are served meanwhile.
        assert requests.get(f"{github.url}/user", timeout=30).status_code == 401
        assert len(github.issue(1).comments) == after_write
        slow.released.set()
        thread.join()
    assert len(github.issue(1).comments) == 1


def test_a_client_that_gives_up_on_a_slow_answer_does_no_harm(github: FakeGitHub) -> None:
    github.open_issue("One")
    slow = Slow(after_write=True)
    github.faults.add("POST", COMMENTS, slow)
    with plain(github) as session, pytest.raises(requests.Timeout):
        session.post(f"{github.url}{COMMENTS}", json={"body": "Hello"}, timeout=0.1)
    assert slow.reached.wait(30)
    assert len(github.issue(1).comments) == 1


def test_truncated_json_looks_complete_and_a_cut_answer_does_not(github: FakeGitHub) -> None:
    github.open_issue("One")
    url = f"{github.url}/repos/acme/widget/issues/1"
    github.faults.add("GET", "*/issues/1", Truncated())
    github.faults.add("GET", "*/issues/1", Cut())
    with plain(github) as session:
        answer = session.get(url)
        assert answer.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            json.loads(answer.text)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            session.get(url)
        assert session.get(url).json()["number"] == 1


def test_nonsense_is_a_page_or_has_wrong_types(github: FakeGitHub) -> None:
    github.open_issue("One")
    url = f"{github.url}/repos/acme/widget/issues"
    github.faults.add("GET", "*/issues", Nonsense())
    github.faults.add("GET", "*/issues", Nonsense(html=False))
    with plain(github) as session:
        assert session.get(url).text.startswith("<!DOCTYPE html>")
        answer = session.get(url).json()
    assert answer["items"][0]["number"] == "1"
    assert answer["items"][0]["title"] == len("One")


def test_a_fault_may_last(github: FakeGitHub) -> None:
    github.faults.add("GET", "*", ServerError(), times=math.inf)
    with plain(github) as session:
        assert [session.get(f"{github.url}/user").status_code for _ in range(3)] == [500] * 3
        github.faults.clear()
        assert session.get(f"{github.url}/user").status_code == 200


@pytest.mark.parametrize("times", [2, math.inf])
def test_a_fault_that_was_never_met_fails_the_test(tmp_path: Path, times: float) -> None:
    with pytest.raises(AssertionError, match="never met: ServerError"), fake_github(tmp_path) as github:
        github.faults.add("GET", "/nowhere", ServerError(), times=times)
