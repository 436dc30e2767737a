"""What `orch doctor` finds."""

import os
from pathlib import Path

import pytest

from orch import config
from orch.adapters import doctor
from orch.adapters.store.task_file import TaskFile
from orch.ports import Agent
from tests.fakes.agent import FakeAgent


def settings(root: Path, text: str = "") -> config.Config:
    (root / "config.toml").write_text(text)
    return config.load(root, {"PATH": os.environ["PATH"]})


def test_git_is_there() -> None:
    found = doctor.check_git()
    assert found.ok
    assert found.what.startswith("git version 2")


def test_room_and_rights(tmp_path: Path) -> None:
    findings = doctor.check_machine(settings(tmp_path))
    assert all(finding.ok for finding in findings)
    assert any("of disk free" in finding.what for finding in findings)
    text = "[limits]\nmin_free_disk_mb = 1000000\n"
    (short,) = [each for each in doctor.check_machine(settings(tmp_path, text)) if not each.ok]
    assert "min_free_disk_mb (1000000)" in short.do


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    read = settings(tmp_path)
    tmp_path.chmod(0o555)
    try:
        assert any("cannot be written" in finding.what for finding in doctor.check_machine(read))
    finally:
        tmp_path.chmod(0o755)


def test_agents_that_can_and_cannot_be_started() -> None:
    broken = FakeAgent("b")
    broken.trouble = "b comes later"
    agents: dict[str, Agent] = {"a": FakeAgent("a"), "b": broken}
    good, bad = doctor.check_agents(agents, "a")
    assert (good.ok, good.what) == (True, "agent a (the default) can be started")
    assert (bad.ok, bad.what, bad.do) == (False, "agent b", "b comes later")


def test_the_template_is_tried(tmp_path: Path) -> None:
    assert doctor.check_prompt(settings(tmp_path)).ok
    (tmp_path / "worker_template.md").write_text("{{ nonsense }}")
    found = doctor.check_prompt(settings(tmp_path))
    assert not found.ok
    assert "nonsense" in found.what


@pytest.mark.parametrize(
    ("text", "ok", "words"),
    [
        (None, False, "missing"),
        ("[] t-1: a\n[] b\n", True, "2 tasks"),
        ("[] t-1: a\n[] t-1: b\n", False, "tasks.md:2: "),
        ("[] t-1: a\n[] t-1: b\n[] t-1: c\n", False, "1 more"),
    ],
)
def test_the_queue_is_read(tmp_path: Path, text: str | None, ok: bool, words: str) -> None:
    if text is not None:
        (tmp_path / "tasks.md").write_text(text)
    read = settings(tmp_path)
    found = doctor.check_queue(TaskFile(tmp_path / "tasks.md", lock=tmp_path / "lock"), read)
    assert found.ok is ok
    assert words in found.what
