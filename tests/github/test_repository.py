"""What git says about the bare repository."""

import subprocess
from pathlib import Path

import pytest

from tests.github.repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "widget.git")


def test_files_are_told_with_what_happened_to_them(repository: Repository) -> None:
    repository.commit("main", {"old.txt": "same\n" * 9, "gone.txt": "x\n", "binary": "\0\n"}, "Before")
    files = {
        "new.txt": "same\n" * 9,
        "old.txt": None,
        "gone.txt": None,
        "binary": "\0more\n",
        "a b.txt": "1\n",
    }
    repository.commit("fix", files, "After", start="main")
    found = {change.path: change for change in repository.files("main", "fix")}
    assert {path: change.status for path, change in found.items()} == {
        "a b.txt": "added",
        "binary": "modified",
        "gone.txt": "removed",
        "new.txt": "renamed",
    }
    assert found["new.txt"].old_path == "old.txt"
    assert (found["binary"].additions, found["gone.txt"].deletions) == (0, 1)
    assert repository.patch("main", "fix", "binary") == ""


def test_merges_are_made_without_a_checkout(repository: Repository) -> None:
    repository.commit("fix", {"a.txt": "mine\n"}, "Mine", start="main")
    repository.commit("main", {"b.txt": "theirs\n"}, "Theirs")
    sha = repository.merge("main", str(repository.resolve("fix")), "Both")
    assert repository.branches()["main"] == sha
    assert repository.has("main", "fix")
    assert repository.git("ls-tree", "--name-only", "main").split() == ["README.md", "a.txt", "b.txt"]
    repository.commit("other", {"a.txt": "another\n"}, "Other", start="fix")
    repository.commit("main", {"a.txt": "changed\n"}, "Changed")
    assert repository.merge("main", str(repository.resolve("other")), "Not both") is None


def test_commits_are_told_whole(repository: Repository) -> None:
    message = "Über\n\nWith a body.\n\nAnd more"
    sha = repository.commit("fix", {"a.txt": "ü\n"}, message, start="main")
    (commit,) = repository.commits("main", "fix")
    assert (commit.sha, commit.message, commit.parents) == (sha, message, (repository.branches()["main"],))
    assert commit.author[0] == "Fake GitHub"


def test_an_error_of_git_is_none_of_its_answers(repository: Repository) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        repository.has("main", "0" * 40)
    with pytest.raises(subprocess.CalledProcessError):
        repository.merged_tree("main", "nowhere")
    assert repository.resolve("nowhere") is None
