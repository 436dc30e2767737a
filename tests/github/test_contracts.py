"""Requests and answers are held against GitHub's description; and where that comes from."""

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.github import packages
from tests.github.clients import connect, plain
from tests.github.contract import BARE_ARRAYS, load
from tests.github.fake import FakeGitHub, fake_github
from tests.github.faults import ServerError
from tests.github.fetching import FetchError, download, extract, fetch, registry
from tests.github.packages import FOLDER, GRAPH, PACKAGES, REST, TRIMMED, WEBHOOKS, Package, digest, missing
from tests.github.routes import operations
from tests.github.server import Listener
from tests.github.traffic import Arrival, Reply
from tests.github.trimming import convert, trim

ISSUES = "GET /repos/{owner}/{repo}/issues"
PLACE = {"owner": "acme", "repo": "widget"}


@pytest.mark.usefixtures("contracts")
@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"state": "all", "per_page": "100", "since": "2024-01-01T00:00:00Z"}, ""),
        ({"page_size": "100"}, "no query parameter page_size"),
        ({"per_page": "many"}, 'is not of type "integer"'),
        ({"state": "merged"}, "is not one of"),
        ({"since": "yesterday"}, 'is not a "date-time"'),
    ],
)
def test_a_query_is_known_and_typed(query: dict[str, str], word: str) -> None:
    found = load().check_parameters(ISSUES, PLACE, query)
    assert bool(found) == bool(word)
    assert word in "".join(found)


@pytest.mark.usefixtures("contracts")
@pytest.mark.parametrize(
    ("operation", "body", "word"),
    [
        ("POST /repos/{owner}/{repo}/pulls", {"title": "A", "head": "b", "base": "main"}, ""),
        ("POST /repos/{owner}/{repo}/pulls", {"title": "A", "base": "main"}, '"head" is a required property'),
        ("POST /repos/{owner}/{repo}/pulls", None, "the body is missing"),
        ("POST /repos/{owner}/{repo}/labels", {"name": 3}, 'is not of type "string"'),
        ("GET /user", {}, "a body was sent where none is known"),
    ],
)
def test_a_body_is_held_against_its_schema(operation: str, body: Any, word: str) -> None:
    found = load().check_body(operation, body)
    assert bool(found) == bool(word)
    assert word in "".join(found)


@pytest.mark.usefixtures("contracts")
@pytest.mark.parametrize(
    ("operation", "status", "body", "word"),
    [
        (ISSUES, 304, None, ""),
        (ISSUES, 304, [], "304 with a body"),
        (ISSUES, 418, {}, "418 is not known"),
        (ISSUES, 200, [{"number": 1}], "is a required property"),
        (ISSUES, 403, {"message": "No"}, ""),
        (ISSUES, 403, {"message": 3}, 'is not of type "string"'),
        ("DELETE /repos/{owner}/{repo}/git/refs/{ref}", 204, {}, "a body where none is known"),
    ],
)
def test_an_answer_is_held_against_its_schema(operation: str, status: int, body: Any, word: str) -> None:
    found = load().check_answer(operation, status, body)
    assert bool(found) == bool(word)
    assert word in "".join(found)


@pytest.mark.usefixtures("contracts")
@pytest.mark.parametrize("labels", [["a"], {"labels": ["a"]}])
def test_labels_may_come_as_a_bare_array(labels: Any) -> None:
    (operation,) = BARE_ARRAYS
    assert not load().check_body(operation, labels)
    assert load().check_body(operation, [3])


@pytest.mark.usefixtures("contracts")
def test_a_body_that_github_does_not_know_is_refused(github: FakeGitHub) -> None:
    github.open_issue("One")
    with plain(github) as session:
        url = f"{github.url}/repos/acme/widget/issues/1/comments"
        assert session.post(url, json={"text": "Hello"}).status_code == 422
    assert "body" in github.violations.pop()
    assert not github.violations


@pytest.mark.usefixtures("contracts")
def test_a_request_that_fails_on_demand_is_looked_at_all_the_same(github: FakeGitHub) -> None:
    github.faults.add("*", "*", ServerError(), times=2)
    with plain(github) as session:
        session.get(f"{github.url}/repos/acme/widget/labels", params={"colour": "red"})
        session.post(f"{github.url}/graphql", json={"query": "{ nonsense }"})
    assert "no query parameter colour" in github.violations[0]
    assert "Cannot query field 'nonsense'" in github.violations[1]
    github.violations.clear()


@pytest.mark.usefixtures("contracts")
def test_a_violation_on_the_wire_fails_the_test(tmp_path: Path) -> None:
    def ask() -> None:
        with fake_github(tmp_path) as github, plain(github) as session:
            session.get(f"{github.url}/repos/acme/widget/labels", params={"colour": "red"})

    with pytest.raises(AssertionError, match="no query parameter colour"):
        ask()


@pytest.mark.usefixtures("contracts")
def test_the_webhook_examples_are_there() -> None:
    events = {event["name"]: event["examples"] for event in packages.read_webhooks()}
    assert {"issues", "pull_request", "check_run", "issue_comment"} <= set(events)
    assert all(events.values())
    assert WEBHOOKS.version in WEBHOOKS.kept


def test_missing_contracts_are_an_error_in_ci_and_named_elsewhere(
    github: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "is not in" in missing(operations(), tmp_path)
    for package in PACKAGES:
        (tmp_path / package.kept).write_text("")
    assert "cannot be read" in missing(operations(), tmp_path)
    (tmp_path / packages.TRIMMED).write_text('{"made_of": "something else"}')
    packages.read_rest.cache_clear()
    assert "of other operations" in missing(operations(), tmp_path)
    for value, required in (("true", True), ("1", True), ("", False)):
        monkeypatch.setenv("CI", value)
        assert packages.required() is required
    with connect(github) as client:
        assert client.get_user().login


def test_the_digest_follows_the_operations() -> None:
    assert digest(frozenset({"GET /user"})) != digest(operations())


# --- trimming and fetching ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "converted"),
    [
        ({"type": "string", "nullable": True, "description": "x"}, {"type": ["string", "null"]}),
        (
            {"type": "string", "nullable": True, "enum": ["a"]},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        (
            {"nullable": True, "oneOf": [{"$ref": "#/components/schemas/a"}]},
            {"anyOf": [{"oneOf": [{"$ref": "contract:#/schemas/a"}]}, {"type": "null"}]},
        ),
        ({"nullable": True}, {}),
        (
            {"type": "object", "properties": {"title": {"type": "string", "title": "x"}}},
            {"type": "object", "properties": {"title": {"type": "string"}}},
        ),
    ],
)
def test_schemas_become_json_schemas(schema: dict[str, Any], converted: dict[str, Any]) -> None:
    assert convert(schema) == converted


def test_only_what_is_asked_is_kept() -> None:
    answer = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/used"}}}}
    document = {
        "paths": {"/a": {"get": {"responses": {"200": answer, "204": {}}}, "post": {"responses": {}}}},
        "components": {
            "schemas": {
                "used": {"type": "array", "items": {"$ref": "#/components/schemas/deep"}},
                "deep": {"type": "object"},
                "unused": {"type": "object"},
            }
        },
    }
    trimmed = trim(document, ["GET /a"])
    assert list(trimmed["schemas"]) == ["deep", "used"]
    assert trimmed["operations"]["GET /a"]["responses"]["204"] is None
    with pytest.raises(KeyError):
        trim(document, ["GET /b"])


def test_an_archive_with_another_hash_is_refused() -> None:
    with pytest.raises(FetchError, match="has the hash"):
        extract(GRAPH, b"not the archive")


def test_the_kept_file_comes_out_of_the_archive() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("package/a.json")
        member.size = 2
        tar.addfile(member, io.BytesIO(b"{}"))
    archive = buffer.getvalue()
    with pytest.raises(FetchError) as refused:
        extract(Package("@x/y", "1.0.0", "wrong", "package/a.json"), archive)
    integrity = str(refused.value).split(" has the hash ")[1].partition(",")[0]
    package = Package("@x/y", "1.0.0", integrity, "package/a.json")
    assert (extract(package, archive), package.kept) == (b"{}", "y-1.0.0.json")


@pytest.mark.parametrize(
    ("npmrc", "variables", "expected"),
    [
        ("registry=https://mirror.example/npm/\n", {}, "https://mirror.example/npm"),
        (
            "//mirror.example/:_authToken=x\nalways-auth\nregistry=https://mirror.example/npm\n",
            {},
            "https://mirror.example/npm",
        ),
        (
            "registry=https://mirror.example/npm/\n",
            {"NPM_CONFIG_REGISTRY": "https://other.example/"},
            "https://other.example",
        ),
    ],
)
def test_the_registry_is_the_machines(
    tmp_path: Path, npmrc: str, variables: dict[str, str], expected: str
) -> None:
    (tmp_path / ".npmrc").write_text(npmrc)
    assert registry({"HOME": str(tmp_path), **variables}) == expected


@pytest.mark.parametrize("npmrc", ["", "//mirror.example/:_authToken=x\nalways-auth\n", "[broken", None])
def test_without_a_registry_there_is_a_way_out(tmp_path: Path, npmrc: str | None) -> None:
    if npmrc is not None:
        (tmp_path / ".npmrc").write_text(npmrc)
    with pytest.raises(FetchError, match="set NPM_CONFIG_REGISTRY"):
        registry({"HOME": str(tmp_path)})


def test_an_archive_comes_from_the_registry_over_http() -> None:
    asked = []

    def answer(arrival: Arrival) -> Reply:
        asked.append(arrival.raw_path)
        return Reply(200 if "openapi" in arrival.raw_path else 404, {}, b"archive")

    listener = Listener(answer, storage=False, failures=[])
    listener.start()
    try:
        assert download(f"{listener.url}/npm", REST) == b"archive"
        with pytest.raises(FetchError, match="cannot be fetched"):
            download(listener.url, GRAPH)
    finally:
        listener.stop()
    assert asked[0] == f"/npm/@octokit/openapi/-/openapi-{REST.version}.tgz"


@pytest.mark.usefixtures("contracts")
def test_what_is_complete_is_not_fetched_again() -> None:
    assert fetch() is False


@pytest.mark.usefixtures("contracts")
def test_what_is_there_is_trimmed_anew_and_what_is_old_goes(tmp_path: Path) -> None:
    for package in PACKAGES:
        (tmp_path / package.kept).symlink_to(FOLDER / package.kept)
    (tmp_path / "openapi-1.0.0.json").write_text("an older version")
    assert fetch(tmp_path) is True
    assert (tmp_path / TRIMMED).read_bytes() == (FOLDER / TRIMMED).read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {TRIMMED, *(package.kept for package in PACKAGES)}
