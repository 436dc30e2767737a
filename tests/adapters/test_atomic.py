"""The one way to write a small file."""

import os
import resource
from functools import partial
from pathlib import Path

import pytest

from orch.adapters.store import atomic
from orch.errors import TransientError
from tests.adapters.crash import full_disk, killed_at


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


OLD, NEW = b"the old one\n" * 500, b"the new one\n" * 500


@pytest.mark.parametrize("durable", [False, True])
def test_write_replaces_the_content_and_leaves_nothing_else(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    atomic.write(path, OLD, durable=durable)
    atomic.write(path, NEW, durable=durable)
    assert path.read_bytes() == NEW
    assert names(tmp_path) == ["file"]


def test_create_makes_a_file_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert atomic.create(path, OLD, durable=True)
    assert not atomic.create(path, NEW, durable=True)
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("room", [0, 100])
def test_a_full_disk_leaves_the_old_file_whole_and_no_leftover(tmp_path: Path, room: int) -> None:
    path = tmp_path / "file"
    atomic.write(path, OLD)
    with full_disk(room):
        with pytest.raises(TransientError, match=r"cannot write .*/file: File too large"):
            atomic.write(path, NEW)
        with pytest.raises(TransientError):
            atomic.create(tmp_path / "other", NEW)
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["file"]


def test_a_kill_at_any_step_leaves_the_old_or_the_new_file(tmp_path: Path) -> None:
    seen = set()
    step, killed = 0, True
    while killed:
        path = tmp_path / str(step) / "file"
        atomic.make_folder(path.parent)
        atomic.write(path, OLD)
        killed = killed_at(step, partial(atomic.write, path, NEW, durable=True))
        seen.add(path.read_bytes())
        step += 1
    assert seen == {OLD, NEW}


def test_too_many_open_files_is_told_with_the_way_out(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(TransientError) as caught:
            atomic.write(tmp_path / "file", NEW)
        with pytest.raises(TransientError):
            atomic.read(tmp_path / "file", 100)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "ulimit" in caught.value.hint


def test_a_folder_in_the_way_fails_without_harm(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(TransientError):
        atomic.write(tmp_path / "file", NEW)
    with pytest.raises(TransientError):
        atomic.remove(tmp_path / "file")
    assert names(tmp_path) == ["file"]


def test_remove_is_repeatable(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic.write(path, OLD)
    atomic.remove(path, durable=True)
    atomic.remove(path, durable=True)
    atomic.remove(tmp_path / "no" / "file", durable=True)
    assert names(tmp_path) == []


def test_make_folder_makes_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c"
    atomic.make_folder(path, durable=True)
    atomic.make_folder(path, durable=True)
    assert path.is_dir()
    (path / "file").write_bytes(OLD)
    with pytest.raises(TransientError, match="cannot make"):
        atomic.make_folder(path / "file")


def test_read_gives_plain_files_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(NEW)
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    assert atomic.read(tmp_path / "file", len(NEW)) == NEW
    assert atomic.read(tmp_path / "file", 5) == NEW[:5]
    assert atomic.read(tmp_path / "none", 5) is None
    assert [atomic.read(tmp_path / name, 5) for name in ("link", "pipe", ".")] == [b"", b"", b""]
    with pytest.raises(TransientError, match="Not a directory"):
        atomic.read(tmp_path / "file" / "below", 5)


def test_leftovers_of_killed_writers_are_discarded_when_they_are_old(tmp_path: Path) -> None:
    for name in (".old.1.tmp", ".young.1.tmp", "mine.tmp", ".hidden"):
        (tmp_path / name).write_bytes(OLD)
        if name != ".young.1.tmp":
            os.utime(tmp_path / name, (0, 0))
    assert atomic.discard_leftovers(tmp_path) == 1
    assert atomic.discard_leftovers(tmp_path) == 0
    assert names(tmp_path) == [".hidden", ".young.1.tmp", "mine.tmp"]
    assert atomic.discard_leftovers(tmp_path / "none") == 0
