"""The version of .orch: older is migrated, newer is refused, killed is done again."""

import itertools
import shutil
from pathlib import Path

import pytest

from orch.adapters.store import layout
from orch.errors import ConfigError, TransientError
from tests.adapters.crash import STEPS as SYSTEM_CALLS
from tests.adapters.crash import killed_at, watching


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / ".orch").mkdir()
    return tmp_path / ".orch" / "version"


def rename(number: int) -> layout.Step:
    """A step that renames a file, and can be repeated."""

    def step(folder: Path) -> None:
        if (folder / str(number)).exists():
            (folder / str(number)).rename(folder / str(number + 1))

    return step


STEPS = {0: rename(0), 1: rename(1), 2: rename(2)}


@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_an_older_one_goes_through_every_step_from_its_own_on(file: Path, start: int) -> None:
    if start:
        file.write_text(f"{start}\n")
    (file.parent / str(start)).touch()
    layout.migrate(file, STEPS)
    layout.migrate(file, STEPS)
    assert (file.parent / "3").exists()
    assert file.read_text() == "3\n"


def test_a_newer_one_is_refused_and_nothing_is_touched(file: Path) -> None:
    file.write_text("4\n")
    for call in (layout.check, layout.migrate):
        with pytest.raises(ConfigError, match=r"newer orch \(version 4, this one knows 3\)"):
            call(file, STEPS)
    assert [entry.name for entry in file.parent.iterdir()] == ["version"]


@pytest.mark.parametrize("text", ["", "one\n", "-1\n", "1.5\n", "²\n"])
def test_what_is_no_version_is_refused(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match="does not hold a version"):
        layout.check(file)


def test_killed_anywhere_it_goes_on(tmp_path: Path) -> None:
    for place in itertools.count():
        file = tmp_path / str(place) / "version"
        file.parent.mkdir()
        (file.parent / "0").touch()
        killed = killed_at(place, lambda file=file: layout.migrate(file, STEPS))  # type: ignore[misc]
        layout.migrate(file, STEPS)
        assert (file.parent / "3").exists()
        assert file.read_text() == "3\n"
        if not killed:
            assert place > 6
            return


def test_a_folder_that_is_removed_meanwhile_is_made_again(tmp_path: Path) -> None:
    for place in itertools.count():
        file = tmp_path / str(place) / "version"
        left = place

        def remove(event: str, folder: Path = file.parent) -> None:
            nonlocal left
            if event in SYSTEM_CALLS:
                if left == 0:
                    shutil.rmtree(folder, ignore_errors=True)
                left -= 1

        with watching(remove):
            layout.migrate(file, {0: rename(0)})
        if left >= 0:
            assert place > 3
            assert file.read_text() == "1\n"
            return
        # Removed after it was written, it is written by the next look.
        layout.migrate(file, {0: rename(0)})
        assert file.read_text() == "1\n"


def test_a_folder_that_is_removed_again_and_again_is_told_of(file: Path) -> None:
    def remove(event: str) -> None:
        if event == "os.rename":
            shutil.rmtree(file.parent)

    with pytest.raises(TransientError, match=r"cannot write .*version"), watching(remove):
        layout.migrate(file, {0: rename(9)})
