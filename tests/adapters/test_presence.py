"""Who coordinates: a real lock, held by real processes."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orch.adapters.store.presence import Presence
from orch.errors import ConfigError, TransientError

HOLD = """
import sys
from pathlib import Path
from orch.adapters.store.presence import Presence
with Presence(Path(sys.argv[1]), Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


def presence(folder: Path) -> Presence:
    return Presence(folder / ".orch" / "coordinator.lock", folder / ".orch" / "coordinator.pid")


def hold(folder: Path) -> "subprocess.Popen[str]":
    words = [
        sys.executable,
        "-c",
        HOLD,
        str(folder / ".orch/coordinator.lock"),
        str(folder / ".orch/coordinator.pid"),
    ]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def test_nobody_is_there(tmp_path: Path) -> None:
    assert presence(tmp_path).holder() is None


def test_the_pid_is_published_and_taken_back(tmp_path: Path) -> None:
    mine = presence(tmp_path)
    with mine:
        assert (tmp_path / ".orch" / "coordinator.pid").read_text() == f"{os.getpid()}\n"
        assert presence(tmp_path).holder() == os.getpid()
    assert not (tmp_path / ".orch" / "coordinator.pid").exists()
    assert presence(tmp_path).holder() is None
    with mine:
        assert presence(tmp_path).holder() == os.getpid()


def test_a_second_one_is_told_who_holds_it(tmp_path: Path) -> None:
    with hold(tmp_path) as child:
        with pytest.raises(ConfigError, match=f"pid {child.pid}"), presence(tmp_path):
            pass
        assert presence(tmp_path).holder() == child.pid
        assert (tmp_path / ".orch" / "coordinator.pid").read_text() == f"{child.pid}\n"
        child.communicate()


def test_kill_9_leaves_nothing_that_is_believed(tmp_path: Path) -> None:
    with hold(tmp_path) as child:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert (tmp_path / ".orch" / "coordinator.pid").exists()
    assert presence(tmp_path).holder() is None
    with presence(tmp_path):
        assert (tmp_path / ".orch" / "coordinator.pid").read_text() == f"{os.getpid()}\n"


def test_a_pid_that_cannot_be_published_frees_the_lock(tmp_path: Path) -> None:
    (tmp_path / ".orch" / "coordinator.pid").mkdir(parents=True)
    with pytest.raises(Exception, match=r"coordinator\.pid"), presence(tmp_path):
        pass
    assert presence(tmp_path).holder() is None


def test_a_folder_in_place_of_the_lock_is_told(tmp_path: Path) -> None:
    (tmp_path / ".orch" / "coordinator.lock").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"cannot lock .*coordinator\.lock: Is a directory") as caught:
        presence(tmp_path).__enter__()
    assert caught.value.hint == "move it away"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else_is_told(tmp_path: Path) -> None:
    (tmp_path / ".orch").mkdir(mode=0o555)
    with pytest.raises(ConfigError, match=r"coordinator\.lock: Permission denied") as caught:
        presence(tmp_path).__enter__()
    assert caught.value.hint == "check the owner and the permissions"


def test_a_lock_file_with_nonsense_in_it_does_no_harm(tmp_path: Path) -> None:
    with hold(tmp_path) as child:
        (tmp_path / ".orch" / "coordinator.lock").write_text("nonsense\n")
        assert presence(tmp_path).holder() == 0
        child.communicate()


def remove_all(folder: Path) -> None:
    """What `git clean -fdx` does."""
    shutil.rmtree(folder / ".orch")


def test_a_lock_whose_file_was_removed_is_taken_again(tmp_path: Path) -> None:
    mine = presence(tmp_path)
    with mine:
        assert not mine.renew()
        remove_all(tmp_path)
        assert mine.renew()
        assert not mine.renew()
        assert presence(tmp_path).holder() == os.getpid()
        assert (tmp_path / ".orch" / "coordinator.pid").read_text() == f"{os.getpid()}\n"
    assert not (tmp_path / ".orch" / "coordinator.pid").exists()


def test_a_pid_that_was_removed_is_published_again(tmp_path: Path) -> None:
    mine = presence(tmp_path)
    with mine:
        (tmp_path / ".orch" / "coordinator.pid").unlink()
        assert mine.renew()
        assert not mine.renew()
        assert (tmp_path / ".orch" / "coordinator.pid").read_text() == f"{os.getpid()}\n"


def test_who_was_quicker_keeps_it(tmp_path: Path) -> None:
    mine = presence(tmp_path)
    with mine:
        remove_all(tmp_path)
        with hold(tmp_path) as child:
            with pytest.raises(ConfigError, match=f"pid {child.pid}"):
                mine.renew()
            mine.__exit__(None, None, None)
            assert (tmp_path / ".orch" / "coordinator.pid").read_text() == f"{child.pid}\n"
            assert presence(tmp_path).holder() == child.pid
            child.communicate()
        mine.__enter__()


def test_a_lock_that_cannot_be_taken_again_now_is_told(tmp_path: Path) -> None:
    mine = presence(tmp_path)
    with mine:
        remove_all(tmp_path)
        (tmp_path / ".orch").touch()
        assert not mine.renew(), "it cannot be looked at"
        (tmp_path / ".orch").unlink()
        (tmp_path / ".orch" / "coordinator.lock").mkdir(parents=True)
        with pytest.raises(TransientError, match=r"cannot lock .*coordinator\.lock"):
            mine.renew()
        (tmp_path / ".orch" / "coordinator.lock").rmdir()
        assert mine.renew()
