"""Issues, comments, labels and events, through PyGithub."""

from datetime import UTC, datetime

import pytest
from github import GithubException, UnknownObjectException

from tests.github.clients import connect
from tests.github.fake import BOT, MEMBER, STRANGER, FakeGitHub

NAME = "acme/widget"


def test_an_issue_has_its_author_labels_and_association(github: FakeGitHub) -> None:
    opened = github.open_issue("Crash", "It crashes.", labels=["orch", "priority:P1"], by=STRANGER)
    with connect(github) as client:
        issue = client.get_repo(NAME).get_issue(opened.number)
        assert (issue.title, issue.body, issue.state) == ("Crash", "It crashes.", "open")
        assert [label.name for label in issue.labels] == ["orch", "priority:P1"]
        assert issue.user.login == STRANGER
        assert issue.raw_data["author_association"] == "NONE"
        assert issue.pull_request is None


def test_issues_are_opened_by_the_api_as_well(github: FakeGitHub) -> None:
    github.add_token("ghp_of_a_stranger", STRANGER)
    with connect(github) as client:
        issue = client.get_repo(NAME).create_issue("One", "Text", labels=["orch"])
        assert (issue.number, issue.user.login, [label.name for label in issue.labels]) == (1, BOT, ["orch"])
        issue.edit(body="")
        with pytest.raises(GithubException) as refused:
            client.get_repo(NAME).create_issue(" ")
        assert refused.value.status == 422
    with connect(github, token="ghp_of_a_stranger") as client:
        client.get_repo(NAME).create_issue("Two", labels=["orch"])
    assert (github.issue(1).body, github.issue(2).labels) == ("", [])


def test_a_list_is_filtered_sorted_and_paged(github: FakeGitHub) -> None:
    for number in range(1, 6):
        github.open_issue(f"Issue {number}", labels=["odd"] if number % 2 else [])
    github.close(2)
    with connect(github) as client:
        repo = client.get_repo(NAME)

        def numbers(**asked: object) -> list[int]:
            return [issue.number for issue in repo.get_issues(**asked)]  # type: ignore[arg-type]

        assert numbers() == [5, 4, 3, 1]
        assert numbers(state="closed") == [2]
        assert numbers(state="all", sort="created", direction="asc") == [1, 2, 3, 4, 5]
        assert numbers(labels=["odd"]) == [5, 3, 1]
        assert numbers(state="all", sort="updated")[0] == 2


def test_since_includes_its_own_second(github: FakeGitHub) -> None:
    github.open_issue("One")
    moment = int(github.issue(1).updated_at)
    with connect(github) as client:
        repo = client.get_repo(NAME)
        assert [issue.number for issue in repo.get_issues(since=datetime.fromtimestamp(moment, UTC))] == [1]
        assert not list(repo.get_issues(since=datetime.fromtimestamp(moment + 60, UTC)))


def test_pages_are_linked(github: FakeGitHub) -> None:
    for number in range(1, 8):
        github.open_issue(f"Issue {number}")
    with connect(github) as client:
        client.per_page = 3
        assert [issue.number for issue in client.get_repo(NAME).get_issues()] == [7, 6, 5, 4, 3, 2, 1]
    pages = [exchange.query.get("page", "1") for exchange in github.traffic.of("GET", "*/issues")]
    assert pages == ["1", "2", "3"]


def test_comments_are_written_and_edited(github: FakeGitHub) -> None:
    github.open_issue("One")
    theirs = github.comment(1, "/orch run", by=STRANGER)
    with connect(github) as client:
        repo = client.get_repo(NAME)
        issue = repo.get_issue(1)
        made = issue.create_comment("Started.")
        repo.get_issue(1).get_comment(made.id).edit("Done.")
        assert [comment.body for comment in issue.get_comments()] == ["/orch run", "Done."]
        assert [comment.user.login for comment in repo.get_issues_comments()] == [STRANGER, BOT]
        newest = repo.get_issues_comments(sort="updated", direction="desc")
        assert next(iter(newest)).id == made.id != theirs.id
        with pytest.raises(GithubException) as refused:
            issue.create_comment("  ")
        assert refused.value.status == 422
    assert github.issue(1).comments[1].body == "Done."


def test_labels_come_and_go_with_their_events(github: FakeGitHub) -> None:
    github.open_issue("One")
    github.make_label("orch", "ff0000", "For orch")
    github.label(1, "orch", by=MEMBER)
    with connect(github) as client:
        repo = client.get_repo(NAME)
        issue = repo.get_issue(1)
        issue.add_to_labels("in doubt?", "priority:P0")
        issue.remove_from_labels("in doubt?")
        with pytest.raises(UnknownObjectException):
            issue.remove_from_labels("in doubt?")
        found = [
            (event.event, event.actor.login, event.label.name)
            for event in issue.get_events()
            if event.label is not None
        ]
        assert found == [
            ("labeled", MEMBER, "orch"),
            ("labeled", BOT, "in doubt?"),
            ("labeled", BOT, "priority:P0"),
            ("unlabeled", BOT, "in doubt?"),
        ]
        assert repo.get_label("orch").description == "For orch"
        assert repo.create_label("new", "00ff00").color == "00ff00"
        with pytest.raises(GithubException) as exists:
            repo.create_label("New", "00ff00")
        assert exists.value.data["errors"][0]["code"] == "already_exists"
        assert {label.name for label in repo.get_labels()} == {"in doubt?", "new", "orch", "priority:P0"}


def test_an_issue_is_edited_closed_and_opened_again(github: FakeGitHub) -> None:
    github.open_issue("One")
    with connect(github) as client:
        issue = client.get_repo(NAME).get_issue(1)
        issue.edit(title="Two", body="More", state="closed", state_reason="not_planned", labels=["x"])
        assert (issue.title, issue.state, issue.state_reason) == ("Two", "closed", "not_planned")
        issue.edit(state="open")
        events = [event.event for event in issue.get_events()]
        assert events == ["renamed", "labeled", "closed", "reopened"]
    assert github.issue(1).labels == ["x"]


def test_the_timeline_has_comments_and_mentions(github: FakeGitHub) -> None:
    github.open_issue("One")
    github.comment(1, "Hello")
    github.open_issue("Two", "Depends on #1")
    with connect(github) as client:
        kinds = [event.event for event in client.get_repo(NAME).get_issue(1).get_timeline()]
    assert kinds == ["commented", "cross-referenced"]


def test_dependencies_are_listed(github: FakeGitHub) -> None:
    github.open_issue("Blocker")
    github.open_issue("Waits")
    github.block(2, 1)
    with connect(github) as client:
        path = f"/repos/{NAME}/issues/2/dependencies/blocked_by"
        _, _, body = client.requester.requestJson("GET", path)
        assert '"number": 1' in body
        summary = client.get_repo(NAME).get_issue(2).raw_data["issue_dependencies_summary"]
    assert summary["blocked_by"] == 1


def test_what_is_not_there_is_404_and_what_was_deleted_is_410(github: FakeGitHub) -> None:
    github.open_issue("One")
    github.delete_issue(1)
    with connect(github) as client:
        repo = client.get_repo(NAME)
        with pytest.raises(UnknownObjectException):
            repo.get_issue(9).title  # noqa: B018  lazy: this asks
        with pytest.raises(GithubException) as gone:
            repo.get_issue(1).title  # noqa: B018
        assert gone.value.status == 410
        with pytest.raises(UnknownObjectException):
            repo.get_issue(9).create_comment("Hello")
        assert not list(repo.get_issues(state="all"))


def test_who_may_not_is_refused(github: FakeGitHub) -> None:
    github.open_issue("One")
    github.add_token("ghp_of_a_stranger", STRANGER, scopes=["public_repo"])
    with connect(github, token="ghp_of_a_stranger") as client:
        repo = client.get_repo(NAME)
        for action in (
            lambda: repo.get_issue(1).edit(state="closed"),
            lambda: repo.get_issue(1).add_to_labels("orch"),
            lambda: repo.get_collaborator_permission(BOT),
        ):
            with pytest.raises(GithubException) as refused:
                action()
            assert refused.value.status == 403
        repo.get_issue(1).create_comment("Anyone may.")
        assert client.get_user().login == STRANGER
        assert client.oauth_scopes == ["public_repo"]
