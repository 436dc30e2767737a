"""Requests to GitHub, and what each failure becomes."""

import threading
import time
from typing import Any

import msgspec
import pytest

from orch.adapters.forge.github.connection import Connection
from orch.adapters.forge.github.failures import DeniedError, MissingError, RefusedError
from orch.adapters.forge.github.usage import Meter
from orch.errors import ConfigError, OrchError, PermanentError, TransientError
from tests.adapters.hub import Says, connect, credentials_of
from tests.github.fake import STRANGER, FakeGitHub
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
from tests.github.traffic import Reply

HERE = "/repos/acme/widget"
COMMENTS = f"{HERE}/issues/1/comments"
VIEWER = "query viewer { viewer { login } }"


class Numbered(msgspec.Struct):
    number: int


class Labelled(msgspec.Struct):
    name: str


class Made(msgspec.Struct):
    id: int


def comment(connection: Connection, body: str = "Hello") -> Made:
    return connection.write("POST", COMMENTS, {"body": body}, Made)


def test_reading_a_page_and_its_next(github: FakeGitHub) -> None:
    for number in range(1, 8):
        github.open_issue(f"Issue {number}")
    with connect(github) as connection:
        pages = list(connection.pages(f"{HERE}/issues", list[Numbered], {"per_page": 3}))
        assert [[issue.number for issue in page] for page in pages] == [[7, 6, 5], [4, 3, 2], [1]]
        first = list(connection.pages(f"{HERE}/issues", list[Numbered], {"per_page": 3}, limit=1))
        assert len(first) == 1
    assert github.traffic.count() == 4


def test_what_is_unchanged_costs_nothing(github: FakeGitHub) -> None:
    github.open_issue("One")
    with connect(github) as connection:
        asked: dict[str, str | int] = {"state": "all", "per_page": 100}
        found = connection.read_changed(f"{HERE}/issues", list[Numbered], asked, "")
        assert found is not None
        assert [issue.number for issue in found[0]] == [1]
        charged = github.traffic.charged()
        assert connection.read_changed(f"{HERE}/issues", list[Numbered], asked, found[1].etag) is None
        assert github.traffic.charged() == charged
        github.comment(1, "News")
        assert connection.read_changed(f"{HERE}/issues", list[Numbered], asked, found[1].etag) is not None
        usage = connection.meter.usage()
    assert (usage.requests, usage.unchanged, usage.failures) == (3, 1, 0)
    assert usage.limits["core"].left == 5000 - 2
    assert usage.limits["core"].reset_at > time.time()


@pytest.mark.parametrize("enterprise", [False, True])
@pytest.mark.usefixtures("contracts")
def test_graphql(github: FakeGitHub, enterprise: bool) -> None:
    with connect(github, api_url=github.enterprise_url if enterprise else "") as connection:
        assert connection.ask(VIEWER, {}, dict[str, dict[str, str]]) == {"viewer": {"login": "orch-bot"}}
        assert connection.read("/user", dict[str, Any])["login"] == "orch-bot"
        assert "graphql" in connection.meter.usage().limits


@pytest.mark.usefixtures("contracts")
def test_what_graphql_does_not_find(github: FakeGitHub) -> None:
    query = """query two($owner: String!, $name: String!) {
        repository(owner: $owner, name: $name) {
            issue(number: 1) { number }
            other: issue(number: 9) { number }
        }
    }"""
    github.open_issue("One")
    with connect(github) as connection:
        asked = {"owner": "acme", "name": "widget"}
        with pytest.raises(MissingError, match="number of 9"):
            connection.ask(query, asked, dict[str, Any])
        found = connection.ask(query, asked, dict[str, Any], partial=True)
        assert found == {"repository": {"issue": {"number": 1}, "other": None}}
        with pytest.raises(MissingError):
            connection.ask(query, {"owner": "acme", "name": "other"}, dict[str, Any])


STUMBLES = [
    BadGateway(),
    BadGateway(after_write=False),
    ServerError(),
    ServerError(after_write=True),
    Dropped(after_write=True),
    Dropped(after_write=False),
    Cut(),
    Truncated(),
    Nonsense(),
    Nonsense(html=False),
]
LIMITS = [
    RateLimited(),
    RateLimited(429),
    RateLimited(403, retry_after=7),
    RateLimited(429, retry_after=7),
    SecondaryLimited(),
    SecondaryLimited(429),
    SecondaryLimited(retry_after=None),
    SecondaryLimited(429, retry_after=None),
]


@pytest.mark.parametrize("trouble", [*STUMBLES, *LIMITS], ids=str)
def test_a_write_is_sent_once_whatever_becomes_of_it(github: FakeGitHub, trouble: Trouble) -> None:
    github.open_issue("One")
    github.faults.add("POST", "/repos/*/comments", trouble)
    with connect(github, pauses=(0.0, 0.0)) as connection:
        with pytest.raises(TransientError) as caught:
            comment(connection)
        assert caught.value.retry_after is not None
        assert 1 <= caught.value.retry_after <= 100
        assert github.traffic.count("POST", COMMENTS) == 1
        assert connection.meter.usage().failures == 1
    assert github.token not in str(caught.value)


@pytest.mark.parametrize("trouble", STUMBLES, ids=str)
def test_a_read_is_tried_again_where_github_stumbles(github: FakeGitHub, trouble: Trouble) -> None:
    github.make_label("orch")
    github.faults.add("GET", "*/labels", trouble, times=2)
    pauses: list[float] = []
    with connect(github) as plain, pytest.raises(TransientError):
        plain.read(f"{HERE}/labels", list[Labelled])
    connection = Connection(
        github.api_url, credentials_of(github), timeout=30, pauses=(1.0, 2.0), sleep=pauses.append
    )
    assert [label.name for label in connection.read(f"{HERE}/labels", list[Labelled])] == ["orch"]
    connection.close()
    assert pauses == [1.0]
    assert github.traffic.count("GET", "*/labels") == 3


@pytest.mark.parametrize("trouble", LIMITS, ids=str)
def test_after_a_limit_nothing_is_sent_until_it_ends(github: FakeGitHub, trouble: Trouble) -> None:
    github.faults.add("GET", "*/labels", trouble)
    now = [time.time()]
    meter = Meter(now=lambda: now[0], spread=lambda: 0.0)
    with connect(github, meter=meter, pauses=(0.0, 0.0)) as connection:
        with pytest.raises(TransientError, match="refused GET") as caught:
            connection.read(f"{HERE}/labels", list[Labelled])
        assert caught.value.retry_after is not None
        assert meter.usage().quiet_until > now[0]
        with pytest.raises(TransientError, match="limit is used up") as waiting:
            connection.read(f"{HERE}/labels", list[Labelled])
        assert waiting.value.retry_after == pytest.approx(caught.value.retry_after, abs=1)
        assert github.traffic.count() == 1
        now[0] += caught.value.retry_after
        assert connection.read(f"{HERE}/labels", list[Labelled]) == []


def test_the_second_limit_grows_until_all_is_well_again(github: FakeGitHub) -> None:
    github.faults.add("GET", "*/labels", SecondaryLimited(retry_after=None), times=3)
    now = [0.0]
    waits = []
    with connect(github, meter=Meter(now=lambda: now[0], spread=lambda: 0.0)) as connection:
        for _ in range(3):
            with pytest.raises(TransientError) as caught:
                connection.read(f"{HERE}/labels", list[Labelled])
            waits.append(caught.value.retry_after)
            now[0] += caught.value.retry_after or 0
        connection.read(f"{HERE}/labels", list[Labelled])
        assert waits == [60, 120, 240]
        github.faults.add("GET", "*/labels", SecondaryLimited(retry_after=None))
        with pytest.raises(TransientError) as caught:
            connection.read(f"{HERE}/labels", list[Labelled])
    assert caught.value.retry_after == 60


def test_failures_in_a_row_wait_ever_longer(github: FakeGitHub) -> None:
    github.faults.add("GET", "*/labels", ServerError(), times=7)
    waits = []
    with connect(github, meter=Meter(spread=lambda: 1.0)) as connection:
        for _ in range(7):
            with pytest.raises(TransientError) as caught:
                connection.read(f"{HERE}/labels", list[Labelled])
            waits.append(caught.value.retry_after)
    assert waits == [2, 4, 8, 16, 32, 60, 60]


@pytest.mark.usefixtures("contracts")
@pytest.mark.parametrize("kind", ["RATE_LIMITED", "RATE_LIMIT"])
def test_graphql_is_limited_on_its_own(github: FakeGitHub, kind: str) -> None:
    github.faults.add("POST", "/graphql", GraphLimited(kind))
    with connect(github) as connection:
        with pytest.raises(TransientError, match="refused GraphQL query viewer") as caught:
            connection.ask(VIEWER, {}, dict[str, Any])
        assert (caught.value.retry_after or 0) >= 1
        with pytest.raises(TransientError, match="used up"):
            connection.ask(VIEWER, {}, dict[str, Any])
        assert connection.read(f"{HERE}/labels", list[Labelled]) == []
    assert github.traffic.count("POST", "/graphql") == 1


@pytest.mark.usefixtures("contracts")
def test_a_limit_that_is_really_used_up(github: FakeGitHub) -> None:
    github.rate.exhaust()
    github.graph_rate.exhaust()
    with connect(github) as connection:
        with pytest.raises(TransientError) as rest:
            connection.read(f"{HERE}/labels", list[Labelled])
        with pytest.raises(TransientError) as graph:
            connection.ask(VIEWER, {}, dict[str, Any])
    assert 3000 < (rest.value.retry_after or 0) <= 3600
    assert 3000 < (graph.value.retry_after or 0) <= 3600


def test_a_slow_answer_is_given_up(github: FakeGitHub) -> None:
    slow = Slow()
    github.faults.add("GET", "*/labels", slow)
    with connect(github, timeout=1, pauses=(0.0, 0.0)) as connection:
        with pytest.raises(TransientError, match="within 1 s"):
            connection.read(f"{HERE}/labels", list[Labelled])
        assert slow.reached.is_set()
        assert github.traffic.count() == 1, "who waited once waits no second time"


def refused(connection: Connection, method: str, path: str, body: Any = None) -> OrchError:
    with pytest.raises(OrchError) as caught:
        connection.write(method, path, body, Made)
    return caught.value


def test_refusals_say_what_and_the_way_out(github: FakeGitHub) -> None:
    github.open_issue("One")
    github.open_issue("Two")
    github.delete_issue(2)
    github.add_token("ghp_of_a_stranger", STRANGER, scopes=["public_repo"])
    with connect(github) as connection:
        for path, word in ((f"{HERE}/issues/9", "Not Found"), (f"{HERE}/issues/2", "deleted")):
            with pytest.raises(MissingError, match=word) as missing:
                connection.read(path, Numbered)
            assert "may not see it" in missing.value.hint
        error = refused(connection, "POST", COMMENTS, {"body": " "})
        assert isinstance(error, RefusedError)
        assert "422 Validation Failed: Body cannot be blank" in error.message
        error = refused(connection, "POST", f"{HERE}/pulls", {"title": "A", "head": "x", "base": "main"})
        assert "head invalid" in str(error)
    with connect(github, token="ghp_of_a_stranger") as connection:
        error = refused(connection, "PATCH", f"{HERE}/issues/1", {"state": "closed"})
        assert isinstance(error, TransientError)
        assert "403 Resource not accessible" in error.message
        assert error.retry_after == 300
    with connect(github, token="ghp_nobody_knows_this_one") as connection:
        with pytest.raises(TransientError, match="401 Bad credentials") as wrong:
            connection.read(f"{HERE}/labels", list[Labelled])
        assert "expired" in wrong.value.hint


def test_a_new_token_is_taken_after_the_old_one_was_refused(github: FakeGitHub) -> None:
    environ = {"GITHUB_TOKEN": "ghp_the_old_one_that_expired"}
    connection = Connection(github.api_url, credentials_of(github, environ), timeout=30, pauses=())
    with pytest.raises(TransientError, match="401"):
        connection.read(f"{HERE}/labels", list[Labelled])
    environ["GITHUB_TOKEN"] = github.token
    assert connection.read(f"{HERE}/labels", list[Labelled]) == []
    connection.close()


def test_a_repository_that_was_renamed(github: FakeGitHub) -> None:
    github.rename_from("acme/gadget")
    with connect(github) as connection:
        assert connection.read("/repos/acme/gadget", dict[str, Any])["full_name"] == "acme/widget"
        error = refused(connection, "POST", "/repos/acme/gadget/labels", {"name": "x"})
    assert isinstance(error, TransientError)
    assert "renamed" in error.hint


def test_nobody_at_home(github: FakeGitHub) -> None:
    connection = Connection("http://127.0.0.1:9", credentials_of(github), pauses=())
    with pytest.raises(TransientError, match=r"cannot be reached for GET /user: .*refused") as caught:
        connection.read("/user", Numbered)
    connection.close()
    assert caught.value.retry_after is not None


def test_without_a_token_nothing_is_sent(github: FakeGitHub) -> None:
    connection = Connection(github.api_url, credentials_of(github, {"PATH": ""}), pauses=())
    with pytest.raises(ConfigError, match=r"no token for 127\.0\.0\.1"):
        connection.read("/user", Numbered)
    assert github.traffic.count() == 0


def test_threads_have_clients_of_their_own(github: FakeGitHub) -> None:
    for number in range(8):
        github.make_label(f"label {number}")
    found: list[int] = []
    with connect(github) as connection:

        def read() -> None:
            found.extend(len(connection.read(f"{HERE}/labels", list[Labelled])) for _ in range(5))

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [8] * 20
    assert connection.meter.usage().requests == 20


def test_writes_keep_their_distance(github: FakeGitHub) -> None:
    github.open_issue("One")
    waits: list[float] = []
    connection = Connection(
        github.api_url, credentials_of(github), timeout=30, write_seconds=1000, sleep=waits.append
    )
    for body in ("one", "two", "three"):
        comment(connection, body)
    connection.read(f"{HERE}/labels", list[Labelled])
    connection.close()
    assert [round(wait, -1) for wait in waits] == [1000, 1000]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("ODD", PermanentError),
        ("FORBIDDEN", DeniedError),
        ("INSUFFICIENT_SCOPES", DeniedError),
        ("INTERNAL", TransientError),
        ("", TransientError),
        ("UNPROCESSABLE", RefusedError),
    ],
)
def test_the_words_of_graphql(github: FakeGitHub, kind: str, error: type[OrchError]) -> None:
    said = f'{{"data": null, "errors": [{{"type": "{kind}", "message": "Something went wrong"}}]}}'
    github.faults.add("POST", "/graphql", Says(200, said))
    with connect(github) as connection, pytest.raises(error, match="query viewer: Something went wrong"):
        connection.ask(VIEWER, {}, dict[str, Any])


@pytest.mark.parametrize(
    ("status", "headers", "error", "word"),
    [
        (403, {"x-github-sso": "required"}, DeniedError, "single sign-on"),
        (403, {"x-accepted-github-permissions": "issues=write"}, DeniedError, "needs issues=write"),
        (403, {}, DeniedError, "orch forge check"),
        (503, {}, TransientError, "not well"),
        (408, {}, TransientError, "not well"),
        (418, {}, RefusedError, "418 nothing to say"),
        (302, {}, TransientError, "renamed"),
    ],
)
def test_the_words_of_rest(
    github: FakeGitHub, status: int, headers: dict[str, str], error: type[OrchError], word: str
) -> None:
    class Odd:
        after_write = False

        def spoil(self, reply: object) -> Reply:
            body = b'{"message": "nothing to say", "errors": ["", {"message": 3}, {"code": "x"}, 7]}'
            return Reply(status, headers, body)

    github.faults.add("GET", "/user", Odd())
    with connect(github) as connection, pytest.raises(error) as caught:
        connection.read("/user", Made)
    assert word in str(caught.value)


@pytest.mark.parametrize("said", ["Issue is locked", "Repository was archived so is read-only."])
def test_what_no_right_changes_is_final(github: FakeGitHub, said: str) -> None:
    github.open_issue("One")
    github.faults.add("POST", COMMENTS, Says(403, f'{{"message": "{said}"}}'))
    with connect(github) as connection, pytest.raises(RefusedError, match=said):
        comment(connection)


def test_an_answer_that_is_no_object_has_nothing_to_say(github: FakeGitHub) -> None:
    github.faults.add("GET", "/user", Says(404, "[1, 2]"))
    with connect(github) as connection, pytest.raises(MissingError, match="404 "):
        connection.read("/user", Made)


def test_headers_that_are_no_numbers(github: FakeGitHub) -> None:
    class Odd:
        after_write = False

        def spoil(self, reply: object) -> Reply:
            headers = {"X-RateLimit-Remaining": "many", "X-RateLimit-Limit": "more", "Retry-After": "soon"}
            return Reply(429, headers, b"{}")

    github.faults.add("GET", "/user", Odd(), times=2)
    with connect(github) as connection:
        for _ in range(2):
            with pytest.raises(TransientError, match="makes no sense"):
                connection.read("/user", Made)
