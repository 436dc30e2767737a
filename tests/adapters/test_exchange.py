import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from orch.adapters.store.exchange import KEPT, exchange, exchange_at_once, exchange_by_link

Exchange = Callable[[Path, Path], None]
WAYS = pytest.mark.parametrize("swap", [exchange, exchange_by_link])


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    other.write_text("2")
    return one, other


@WAYS
def test_two_files_change_places(swap: Exchange, pair: tuple[Path, Path]) -> None:
    one, other = pair
    inodes = one.stat().st_ino, other.stat().st_ino
    swap(one, other)
    assert (one.read_text(), other.read_text()) == ("2", "1")
    assert (other.stat().st_ino, one.stat().st_ino) == inodes
    assert sorted(path.name for path in one.parent.iterdir()) == ["one", "other"]


@WAYS
@pytest.mark.parametrize("missing", [0, 1])
def test_what_is_missing_changes_nothing(swap: Exchange, pair: tuple[Path, Path], missing: int) -> None:
    pair[missing].unlink()
    with pytest.raises(FileNotFoundError):
        swap(*pair)
    assert pair[1 - missing].read_text() == "12"[1 - missing]
    assert len(list(pair[0].parent.iterdir())) == 1


def test_a_refusal_changes_nothing(pair: tuple[Path, Path]) -> None:
    one, other = pair
    # A folder cannot be linked, nor replaced by a file.
    other.unlink()
    other.mkdir()
    with pytest.raises(OSError, match="other"):
        exchange_by_link(one, other)
    assert one.read_text() == "1"
    assert not one.with_name(one.name + KEPT).exists()


def test_what_the_system_cannot_do_at_once_is_done_in_two_steps(tmp_path: Path) -> None:
    # The kernel refuses to swap a folder with what lies in it; every other refusal reads the same.
    inner = tmp_path / "folder" / "inner"
    inner.parent.mkdir()
    inner.write_text("1")
    with pytest.raises(OSError, match="Invalid argument") as caught:
        exchange_at_once(inner.parent, inner)
    assert caught.value.errno == errno.EINVAL
    with pytest.raises(OSError, match="folder") as second:
        exchange(inner.parent, inner)
    assert second.value.errno != errno.EINVAL or second.value.filename2 is not None
