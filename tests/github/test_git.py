"""git as a client: smart HTTP with a token, and what a push does to pull requests."""

import math
from pathlib import Path

import pytest

from tests.github.clients import connect, git
from tests.github.fake import STRANGER, FakeGitHub
from tests.github.faults import BadGateway, Dropped

BIG = 3_000_000
"""Bytes that do not compress to less than what git sends in one piece."""


@pytest.fixture
def work(github: FakeGitHub, tmp_path: Path) -> Path:
    """A clone with a new branch `fix` that has one commit."""
    clone = tmp_path / "work"
    git("clone", "-q", github.clone_url, str(clone), cwd=tmp_path, token=github.token)
    git("checkout", "-q", "-b", "fix", cwd=clone)
    commit(clone, "a.txt", "one\n")
    return clone


def commit(clone: Path, name: str, text: str) -> str:
    (clone / name).write_text(text)
    git("add", "-A", cwd=clone)
    git("commit", "-qm", f"Change {name}", cwd=clone)
    return git("rev-parse", "HEAD", cwd=clone)


def push(clone: Path, token: str, *words: str, fails: bool = False) -> str:
    return git("push", "-q", *words, "origin", "fix", cwd=clone, token=token, fails=fails)


def test_a_push_moves_a_pull_request(github: FakeGitHub, work: Path) -> None:
    push(work, github.token)
    with connect(github) as client:
        repo = client.get_repo("acme/widget")
        pull = repo.create_pull("main", "fix", title="Fix")
        assert pull.head.sha == git("rev-parse", "HEAD", cwd=work)
        newer = commit(work, "b.txt", "two\n")
        push(work, github.token)
        assert repo.get_pull(pull.number).head.sha == newer
        git("commit", "-q", "--amend", "-m", "Other", cwd=work)
        assert "rejected" in push(work, github.token, fails=True)
        push(work, github.token, "--force-with-lease")
        assert repo.get_pull(pull.number).head.sha == git("rev-parse", "HEAD", cwd=work)
        assert repo.get_git_ref("heads/fix").object.sha == github.head("fix")


def test_a_push_past_http_is_seen_as_well(github: FakeGitHub, work: Path) -> None:
    git("push", "-q", str(github.path), "fix", cwd=work)
    number = github.open_pull("fix").number
    newer = commit(work, "b.txt", "two\n")
    git("push", "-q", str(github.path), "fix", cwd=work)
    assert github.pull(number).head_sha == newer


def test_a_big_push_comes_in_pieces(github: FakeGitHub, work: Path) -> None:
    noise = "".join(chr(33 + (number * number * 7919) % 9973 % 90) for number in range(BIG))
    sha = commit(work, "big.txt", noise)
    git("config", "http.postBuffer", "65536", cwd=work)
    push(work, github.token)
    assert github.head("fix") == sha
    chunked = [
        exchange
        for exchange in github.traffic.of("POST", "*git-receive-pack")
        if "transfer-encoding" in exchange.headers
    ]
    assert chunked


def test_the_token_is_in_no_request_but_where_it_belongs(github: FakeGitHub, work: Path) -> None:
    push(work, github.token)
    assert github.token not in repr(github.traffic.exchanges)
    assert any(exchange.headers.get("authorization") == "Basic ***" for exchange in github.traffic.exchanges)


@pytest.mark.parametrize(
    ("token", "word"),
    [("", "could not read Username"), ("ghp_wrong", "Authentication failed"), ("ghp_sam", "403")],
)
def test_who_may_not_push_cannot(github: FakeGitHub, work: Path, token: str, word: str) -> None:
    github.add_token("ghp_sam", STRANGER)
    assert word in push(work, token, fails=True)
    assert github.head("fix") is None


def test_the_address_may_lack_its_ending(github: FakeGitHub, work: Path) -> None:
    heads = git("ls-remote", github.clone_url.removesuffix(".git"), cwd=work, token=github.token)
    assert str(github.head("main")) in heads


def test_another_repository_is_not_there(github: FakeGitHub, work: Path) -> None:
    url = github.clone_url.replace("widget", "other")
    assert "not found" in git("ls-remote", url, cwd=work, token=github.token, fails=True)


def test_pushes_fail_on_demand(github: FakeGitHub, work: Path) -> None:
    github.faults.add("POST", "/acme/widget.git/git-receive-pack", BadGateway())
    push(work, github.token, fails=True)
    assert github.head("fix") == git("rev-parse", "HEAD", cwd=work)
    commit(work, "b.txt", "two\n")
    # git's own HTTP tries once more where a connection that was used before is dropped.
    github.faults.add("POST", "/acme/widget.git/git-receive-pack", Dropped(after_write=False), times=math.inf)
    push(work, github.token, fails=True)
    assert github.head("fix") != git("rev-parse", "HEAD", cwd=work)


def test_a_merged_commit_that_says_so_closes_an_issue(github: FakeGitHub, work: Path) -> None:
    github.open_issue("Bug")
    git("checkout", "-q", "main", cwd=work)
    (work / "c.txt").write_text("three\n")
    git("add", "-A", cwd=work)
    git("commit", "-qm", "Mend it\n\nResolves: #1", cwd=work)
    git("push", "-q", "origin", "main", cwd=work, token=github.token)
    assert github.issue(1).state == "closed"
