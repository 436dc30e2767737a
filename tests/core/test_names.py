"""Derived names."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core import names


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("gh-471", True),
        ("t-3", True),
        ("T2x-0", True),
        ("", False),
        ("t-", False),
        ("-3", False),
        ("3-3", False),
        ("t-3/..", False),
        ("../t-3", False),
        ("t-3\n", False),
        ("t--3", False),
        ("tä-3", False),
        ("t-" + "9" * 19, False),
        ("t" * 33 + "-1", False),
    ],
)
def test_a_task_id_is_a_word_a_dash_and_digits(text: str, good: bool) -> None:
    assert names.is_task_id(text) is good


def test_worker_ids_belong_to_the_attempt() -> None:
    assert names.worker_id("t-1", 1) == names.worker_id("t-1", 1)
    assert names.worker_id("t-1", 1) != names.worker_id("t-1", 2)
    assert names.worker_id("t-1", 11) != names.worker_id("t-11", 1)
    assert names.worker_id("t-1", 1).startswith("w-")
    assert len(names.worker_id("t-1", 1)) == 8


@given(st.text(max_size=20), st.integers(1, 10**6))
def test_jitter_is_a_share(task: str, attempt: int) -> None:
    assert 0 <= names.jitter(task, attempt) < 1


@pytest.mark.parametrize(
    ("title", "branch"),
    [
        ("Fix the login!", "orch/t-1-fix-the-login"),
        ("  Über Café ", "orch/t-1-uber-cafe"),
        ("修正", "orch/t-1"),
        ("../../etc/passwd", "orch/t-1-etc-passwd"),
        ("x" * 39 + " yes", "orch/t-1-" + "x" * 39),
        ("a.lock", "orch/t-1-a-lock"),
    ],
)
def test_branch_names_are_safe(title: str, branch: str) -> None:
    assert names.branch_name("t-1", title) == branch


@given(st.text())
def test_any_title_gives_a_branch_that_git_takes(title: str) -> None:
    branch = names.branch_name("t-1", title)
    assert set(branch) <= set("abcdefghijklmnopqrstuvwxyz0123456789-/")
    assert not branch.endswith(("-1-", "/"))


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("471", ("gh-471", "t-471")),
        ("#471", ("gh-471", "t-471")),
        ("gh-471", ("gh-471",)),
        ("GH-471", ("gh-471",)),
        ("t-5", ("t-5",)),
        ("5", ("t-5",)),
        ("0005", ("t-5",)),
        ("6", ()),
        ("nonsense", ()),
        ("", ()),
    ],
)
def test_what_a_person_means(reference: str, found: tuple[str, ...]) -> None:
    assert names.find_task(reference, ["gh-471", "t-5", "t-471", "t-5"]) == found


def test_the_next_id_is_one_more_than_the_highest() -> None:
    assert names.next_id([]) == "t-1"
    assert names.next_id(["t-9", "t-10", "gh-99", "t-2"]) == "t-11"
    assert names.next_id(["t-9", "gh-99"], least=20) == "t-21"


def test_the_folder_of_a_task_is_a_string_of_its_own() -> None:
    task = names.next_id(["t-470"])  # a constant would be interned
    path = Path("trees") / names.folder_name(task)
    assert path == Path("trees/t-471")
    assert path.name == task
    assert path.name is not task
