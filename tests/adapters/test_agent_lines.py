"""Reading a log that grows: each line once, whatever is in it."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.adapters.agents.lines import Lines, edges


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stdout.jsonl"


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_each_line_is_given_once(path: Path) -> None:
    log = Lines(path)
    assert list(log.read()) == []
    append(path, b"one\ntwo\nthr")
    assert list(log.read()) == [b"one", b"two"]
    assert not log.is_new()
    assert list(log.read()) == []
    append(path, b"ee\n\n\nfour\n")
    assert list(log.read()) == [b"three", b"four"]
    assert log.take_rest() == b""


def test_the_rest_of_one_that_was_cut_off_is_given_once(path: Path) -> None:
    append(path, b"one\ntwo")
    log = Lines(path)
    assert list(log.read()) == [b"one"]
    assert log.take_rest() == b"two"
    assert log.take_rest() == b""


@given(content=st.binary(max_size=400), cuts=st.lists(st.integers(0, 400), max_size=6))
def test_it_does_not_matter_when_it_is_read(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, cuts: list[int]
) -> None:
    path = tmp_path_factory.mktemp("log") / "stdout.jsonl"
    log, found, before = Lines(path), [], 0
    for cut in [*sorted(cuts), len(content)]:
        append(path, content[before : max(before, cut)])
        before = max(before, cut)
        found += list(log.read())
    found.append(log.take_rest())
    assert [line for line in found if line] == [line for line in content.split(b"\n") if line]


def test_a_line_that_is_too_long_is_left_out(path: Path) -> None:
    log = Lines(path, longest=100, piece=10)
    append(path, b"a\n" + b"x" * 500)
    assert list(log.read()) == [b"a"]
    assert log.take_rest() == b""
    append(path, b"x" * 500 + b"\nb\nc")
    assert list(log.read()) == [b"b"]
    assert log.skipped == 1
    assert log.take_rest() == b"c"


@pytest.mark.parametrize("shorter", [True, False])
def test_another_file_is_read_from_its_beginning(path: Path, shorter: bool) -> None:
    append(path, b"one\ntwo\n")
    log = Lines(path)
    assert len(list(log.read())) == 2
    if shorter:
        os.truncate(path, 4)
    else:
        path.with_name("new").write_bytes(b"one\n" * 9)
        path.with_name("new").rename(path)
    again = log.read()
    assert next(again) == b"one"
    assert log.replaced


def test_a_pipe_a_link_and_what_cannot_be_read_are_empty(path: Path, tmp_path: Path) -> None:
    os.mkfifo(path)
    assert list(Lines(path).read()) == []
    path.unlink()
    (tmp_path / "secret").write_text("secret\n")
    path.symlink_to(tmp_path / "secret")
    assert list(Lines(path).read()) == []
    path.unlink()
    path.mkdir()
    assert list(Lines(path).read()) == []
    assert edges(path, 10) == ([], [])


def test_the_edges_of_a_file(path: Path, tmp_path: Path) -> None:
    assert edges(path, 10) == ([], [])
    append(path, b"one\ntwo\n" + b"x" * 100 + b"\nlast\n")
    assert edges(path, 6) == ([b"one", b"tw"], [b"", b"last", b""])
    (tmp_path / "link").symlink_to(path)
    assert edges(tmp_path / "link", 6) == ([], [])
