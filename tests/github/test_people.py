"""What people do by hand, and what GitHub makes of it."""

import pytest
from github import GithubException, UnknownObjectException

from tests.github.clients import connect
from tests.github.errors import ApiError
from tests.github.fake import BOT, MEMBER, OWNER, STRANGER, FakeGitHub

NAME = "acme/widget"


def events(github: FakeGitHub, number: int) -> list[tuple[str, str]]:
    return [(event.kind, event.actor) for event in github.issue(number).events]


def test_every_change_is_an_event_of_who_made_it(github: FakeGitHub) -> None:
    github.open_issue("One", by=STRANGER)
    github.label(1, "orch", by=MEMBER)
    github.label(1, "Orch", by=MEMBER)  # It is there, whatever its case.
    github.unlabel(1, "ORCH", by=OWNER)
    github.edit(1, title="Two", by=STRANGER)
    github.close(1, reason="not_planned")
    github.reopen(1, by=OWNER)
    github.reopen(1, by=OWNER)
    assert events(github, 1) == [
        ("labeled", MEMBER),
        ("unlabeled", OWNER),
        ("renamed", STRANGER),
        ("closed", MEMBER),
        ("reopened", OWNER),
    ]
    assert github.issue(1).state_reason == "reopened"


def test_somebody_new_comes(github: FakeGitHub) -> None:
    github.add_user("eve", "CONTRIBUTOR", "triage")
    github.add_token("ghp_of_eve", "eve")
    github.open_issue("One", by="eve")
    with connect(github, token="ghp_of_eve") as client:
        issue = client.get_repo(NAME).get_issue(1)
        assert issue.raw_data["author_association"] == "CONTRIBUTOR"
        issue.edit(labels=["a", "b"])
        issue.edit(labels=["b", "c"], assignees=["eve"])
        assert [user.login for user in issue.assignees] == ["eve"]
    with connect(github) as client:
        permission = client.get_repo(NAME).get_collaborator_role_name("eve")
        assert (permission, client.get_repo(NAME).get_collaborator_permission("eve")) == ("triage", "read")
        with pytest.raises(UnknownObjectException):
            client.get_repo(NAME).get_collaborator_permission("nobody")
    assert sorted(github.issue(1).labels) == ["b", "c"]


def test_a_pull_request_is_changed_closed_and_opened_again(github: FakeGitHub) -> None:
    github.push("fix", {"a.txt": "one\n"})
    github.repository.move("next", str(github.head("main")))
    number = github.open_pull("fix", "Fix", "Text", by=STRANGER).number
    with connect(github) as client:
        pull = client.get_repo(NAME).get_pull(number)
        pull.edit(base="next", body="")
        assert pull.base.ref == "next"
        with pytest.raises(GithubException) as refused:
            pull.edit(base="nowhere")
        assert refused.value.data["errors"][0]["field"] == "base"
        pull.edit(state="closed")
        assert (pull.state, pull.merged) == ("closed", False)
        with pytest.raises(GithubException) as refused:
            pull.merge()
        assert refused.value.status == 405
        pull.edit(state="open")
    assert github.issue(number).body == ""
    github.close(number, by=STRANGER)
    github.reopen(number, by=STRANGER)
    assert github.issue(number).is_open
    assert [kind for kind, _ in events(github, number)] == ["closed", "reopened", "closed", "reopened"]


def test_a_merged_pull_request_stays_so(github: FakeGitHub) -> None:
    github.push("fix", {"a.txt": "one\n"})
    number = github.open_pull("fix").number
    github.merge(number)
    with pytest.raises(ApiError, match="has been merged"):
        github.reopen(number)


def test_a_draft_is_not_merged(github: FakeGitHub) -> None:
    github.push("fix", {"a.txt": "one\n"})
    number = github.open_pull("fix", draft=True).number
    with pytest.raises(ApiError, match="still a draft"):
        github.merge(number)
    with connect(github) as client:
        assert client.get_repo(NAME).get_pull(number).mergeable_state == "draft"


def test_branches_go_and_the_default_branch_stays(github: FakeGitHub) -> None:
    github.push("fix", {"a.txt": "one\n"})
    number = github.open_pull("fix").number
    github.delete_branch("fix")
    assert github.issue(number).state == "closed"
    with connect(github) as client:
        repo = client.get_repo(NAME)
        with pytest.raises(GithubException) as refused:
            repo.get_git_ref("heads/main").complete().delete()
        assert "default branch" in refused.value.data["message"]
        for ask in (lambda: repo.get_branch("fix"), lambda: repo.get_git_ref("heads/fix").complete()):
            with pytest.raises(GithubException) as refused:
                ask().raw_data  # noqa: B018  lazy: this asks
            assert refused.value.status == 404


def test_several_things_at_once_are_seen_at_once(github: FakeGitHub) -> None:
    github.push("fix", {"a.txt": "one\n"})
    github.protect("build")
    number = github.open_pull("fix", by=BOT).number
    pull = github.pull(number)
    with github.at_once():
        github.begin_check(github.start_checks(number, "build")[0])
        github.review(number, "COMMENTED", comments=[("a.txt", 1, "Why?")])
        github.reply(number, pull.threads[0].comments[0].id, "Because.", by=BOT)
        github.edit(number, body="Other")
    with connect(github) as client:
        (check,) = client.get_repo(NAME).get_commit(pull.head_sha).get_check_runs()
        assert check.status == "in_progress"


def test_a_merge_has_the_words_that_were_given(github: FakeGitHub) -> None:
    github.push("fix", {"a.txt": "one\n"})
    github.open_pull("fix", "Fix")
    with connect(github) as client:
        done = client.get_repo(NAME).get_pull(1).merge("A text", "A title", merge_method="squash")
    assert github.repository.commit_of(done.sha).message == "A title\n\nA text"
