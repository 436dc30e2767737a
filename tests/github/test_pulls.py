"""Pull requests, merges and reviews, through PyGithub."""

import pytest
from github import GithubException

from tests.github.clients import connect
from tests.github.errors import ApiError
from tests.github.fake import BOT, MEMBER, STRANGER, FakeGitHub

NAME = "acme/widget"


def errors(refused: "pytest.ExceptionInfo[GithubException]") -> list[dict[str, str]]:
    assert refused.value.status == 422
    found: list[dict[str, str]] = refused.value.data["errors"]
    return found


def test_a_pull_request_shows_what_git_says(github: FakeGitHub) -> None:
    github.push("fix", {"a.txt": "one\ntwo\n", "README.md": "# Other\n"}, "Fix it")
    github.push("fix", {"b.txt": "three\n"}, "And more")
    with connect(github) as client:
        repo = client.get_repo(NAME)
        pull = repo.create_pull("main", "fix", title="Fix", body="Fixes #1", draft=False)
        assert (pull.number, pull.state, pull.draft, pull.merged) == (1, "open", False, False)
        assert (pull.head.ref, pull.head.sha) == ("fix", github.head("fix"))
        assert (pull.commits, pull.additions, pull.deletions, pull.changed_files) == (2, 4, 1, 3)
        assert (pull.mergeable, pull.mergeable_state) == (True, "clean")
        assert pull.user.login == BOT
        assert [entry.commit.message for entry in pull.get_commits()] == ["Fix it", "And more"]
        files = {file.filename: (file.status, file.patch) for file in pull.get_files()}
        assert files["b.txt"] == ("added", "@@ -0,0 +1 @@\n+three")
        assert files["README.md"][0] == "modified"
        pull.edit(title="Better", body="Text")
        assert [found.title for found in repo.get_pulls(head="acme:fix", state="all")] == ["Better"]
        assert not list(repo.get_pulls(head="acme:other"))
        assert repo.get_issue(1).pull_request is not None


def test_github_refuses_a_pull_request_that_cannot_be(github: FakeGitHub) -> None:
    github.push("fix", {"a.txt": "one\n"})
    github.repository.move("empty", str(github.head("main")))
    with connect(github) as client:
        repo = client.get_repo(NAME)
        with pytest.raises(GithubException) as refused:
            repo.create_pull("main", "empty", title="Nothing")
        assert errors(refused)[0]["message"] == "No commits between main and empty"
        for base, head, field in (("nowhere", "fix", "base"), ("main", "nowhere", "head")):
            with pytest.raises(GithubException) as refused:
                repo.create_pull(base, head, title="Nothing")
            assert errors(refused)[0] == {"resource": "PullRequest", "code": "invalid", "field": field}
        repo.create_pull("main", "fix", title="Fix")
        with pytest.raises(GithubException) as refused:
            repo.create_pull("main", "fix", title="Fix again")
        assert errors(refused)[0]["message"] == "A pull request already exists for acme:fix."


def test_a_merge_is_gits_own_and_closes_what_it_fixes(github: FakeGitHub) -> None:
    github.open_issue("Bug")
    github.push("fix", {"a.txt": "one\n"})
    pull = github.open_pull("fix", "Fix", "Fixes #1")
    with connect(github) as client:
        done = client.get_repo(NAME).get_pull(pull.number).merge()
        assert done.merged
        assert done.sha == github.head("main")
        merged = client.get_repo(NAME).get_pull(pull.number)
        assert (merged.state, merged.merged, merged.merge_commit_sha) == ("closed", True, done.sha)
        assert merged.merged_by.login == BOT
    assert len(github.repository.commit_of(done.sha).parents) == 2
    issue = github.issue(1)
    assert (issue.state, issue.state_reason) == ("closed", "completed")
    assert issue.events[-1].commit == done.sha


def test_a_squash_has_one_parent_and_the_branch_goes_where_asked(github: FakeGitHub) -> None:
    github.state.delete_branch_on_merge = True
    github.push("fix", {"a.txt": "one\n"})
    sha = github.merge(github.open_pull("fix").number, method="squash")
    commit = github.repository.commit_of(sha)
    assert (len(commit.parents), commit.message) == (1, "A change (#1)")
    assert github.head("fix") is None


def test_conflicts_and_stale_heads_are_refused(github: FakeGitHub) -> None:
    github.push("fix", {"README.md": "mine\n"})
    github.push("main", {"README.md": "theirs\n"})
    number = github.open_pull("fix").number
    with connect(github) as client:
        pull = client.get_repo(NAME).get_pull(number)
        assert (pull.mergeable, pull.mergeable_state) == (False, "dirty")
        with pytest.raises(GithubException) as refused:
            pull.merge()
        assert (refused.value.status, refused.value.data["message"]) == (405, "Pull Request is not mergeable")
        with pytest.raises(GithubException) as refused:
            pull.merge(sha="0" * 40)
        assert refused.value.status == 409
        with pytest.raises(GithubException) as refused:
            pull.merge(merge_method="rebase")
        assert refused.value.status == 405


def test_protection_is_asked_before_a_merge(github: FakeGitHub) -> None:
    github.protect("build", approvals=1)
    github.push("fix", {"a.txt": "one\n"})
    number = github.open_pull("fix", by=BOT).number
    with pytest.raises(ApiError, match=r"build.* is expected"):
        github.merge(number)
    github.finish_check(number, "build")
    with pytest.raises(ApiError, match="At least 1 approving review"):
        github.merge(number)
    github.review(number, "APPROVED", by=STRANGER)
    assert github.pull(number).merged_at is None
    github.review(number, "CHANGES_REQUESTED", by=MEMBER)
    with pytest.raises(ApiError, match="Changes have been requested"):
        github.merge(number)
    github.review(number, "APPROVED", by=MEMBER)
    github.merge(number)
    with connect(github) as client:
        assert client.get_repo(NAME).get_branch("main").protected


def test_a_push_moves_the_head_and_a_lost_branch_closes(github: FakeGitHub) -> None:
    github.push("fix", {"a.txt": "one\n"})
    number = github.open_pull("fix").number
    before = github.issue(number).updated_at
    sha = github.push("fix", {"a.txt": "two\n"})
    assert github.pull(number).head_sha == sha
    assert github.issue(number).updated_at >= before
    with connect(github) as client:
        repo = client.get_repo(NAME)
        branch = repo.get_git_ref("heads/fix")
        branch.complete()  # Before that, a lazy one deletes /git/ref/, which GitHub does not know.
        branch.delete()
        assert repo.get_pull(number).state == "closed"
        with pytest.raises(GithubException) as refused:
            repo.get_pull(number).edit(state="open")
        assert "has been deleted" in errors(refused)[0]["message"]
        with pytest.raises(GithubException) as refused:
            branch.delete()
        assert refused.value.status == 422


def test_what_is_pushed_to_the_base_is_merged_and_what_is_moved_back_is_closed(github: FakeGitHub) -> None:
    github.open_issue("Bug")
    github.push("fix", {"a.txt": "one\n"}, "Fixes #1")
    github.push("gone", {"b.txt": "one\n"})
    direct, back = github.open_pull("fix").number, github.open_pull("gone").number
    github.repository.move("main", str(github.head("fix")))
    assert github.pull(direct).merged_at is not None
    assert not github.issue(1).is_open
    github.repository.move("gone", str(github.head("main")))
    assert (github.issue(back).state, github.pull(back).merged_at) == ("closed", None)


def test_reviews_open_threads_that_are_answered(github: FakeGitHub) -> None:
    github.push("fix", {"a.txt": "one\n"})
    number = github.open_pull("fix", by=BOT).number
    review = github.review(number, "CHANGES_REQUESTED", "Not yet.", comments=[("a.txt", 1, "Why?")])
    with connect(github) as client:
        pull = client.get_repo(NAME).get_pull(number)
        assert [(found.id, found.state, found.user.login) for found in pull.get_reviews()] == [
            (review.id, "CHANGES_REQUESTED", MEMBER)
        ]
        assert pull.get_review(review.id).body == "Not yet."
        with pytest.raises(GithubException) as missing:
            pull.get_review(99)
        assert missing.value.status == 404
        comment = next(iter(pull.get_review_comments()))
        assert (comment.path, comment.body, comment.commit_id) == ("a.txt", "Why?", github.head("fix"))
        answer = pull.create_review_comment_reply(comment.id, "Because.")
        assert answer.in_reply_to_id == comment.id
        assert len(list(pull.get_review_comments(sort="updated", direction="desc"))) == 2
        with pytest.raises(GithubException) as refused:
            pull.create_review(body="Fine", event="APPROVE")
        assert refused.value.status == 422
        pull.create_review(body="A note", event="COMMENT")
        pull.create_review_request(reviewers=[MEMBER])
        with pytest.raises(GithubException) as refused:
            pull.create_review_request(reviewers=[STRANGER])
        assert refused.value.status == 422
        assert [user.login for user in client.get_repo(NAME).get_pull(number).requested_reviewers] == [MEMBER]


def test_github_may_not_know_yet_whether_it_merges(github: FakeGitHub) -> None:
    github.state.unknown_reads = 1
    github.push("fix", {"a.txt": "one\n"})
    number = github.open_pull("fix").number
    with connect(github) as client:
        repo = client.get_repo(NAME)
        assert repo.get_pull(number).mergeable is None
        assert repo.get_pull(number).mergeable is True
