import os
from pathlib import Path

import pytest

from tests.cli.command import git, ok, orch, status


def test_init_makes_a_project_that_works(repository: Path) -> None:
    out = ok(repository, "init")
    assert "config.toml" in out
    assert "tasks.md" in out
    assert "orch run" in out
    git(repository, "add", "config.toml", "tasks.md")
    git(repository, "commit", "--quiet", "--message", "Use orch")
    ok(repository, "add", "Write it down")
    ok(repository, "run", "--plain", "--until-idle")
    assert status(repository)["counts"]["completed"] == 1
    for name in (".orch/x", "trees/x", "STOP", "BLOCKED.md"):
        assert git(repository, "check-ignore", name) == name


def test_init_takes_claude_where_it_is_installed(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claude = repository.parent / "bin" / "claude"
    claude.parent.mkdir()
    claude.write_text("#!/bin/sh\necho 2.1.329\n")
    monkeypatch.setenv("PATH", f"{claude.parent}{os.pathsep}{os.environ['PATH']}")
    ok(repository, "init")
    text = (repository / "config.toml").read_text()
    assert 'default = "example"' in text, "what cannot be executed is not installed"
    (repository / "config.toml").unlink()
    claude.chmod(0o755)
    ok(repository, "init")
    text = (repository / "config.toml").read_text()
    assert 'default = "claude"' in text
    assert "asks nobody" in text
    assert ok(repository, "config", "check") == "ok\n"


def test_the_prompts_are_written_for_a_person_to_change(repository: Path) -> None:
    ok(repository, "init")
    assert not (repository / "worker_template.md").exists()
    ok(repository, "add", "Write it down")
    before = ok(repository, "prompt", "t-1")
    assert "wrote worker_template.md" in ok(repository, "init", "--prompts")
    assert "same variables" in (repository / "continue_template.md").read_text()
    assert ok(repository, "prompt", "t-1") == before
    (repository / "worker_template.md").write_text("Mine: {{ title }}\n")
    assert ok(repository, "prompt", "t-1") == "Mine: Write it down\n"


def test_init_overwrites_nothing(repository: Path) -> None:
    (repository / "config.toml").write_text("# mine\n")
    (repository / "tasks.md").write_text("[] t-1: Mine\n")
    first = ok(repository, "init")
    exclude = (repository / ".git/info/exclude").read_bytes()
    assert ok(repository, "init") != ""
    assert (repository / "config.toml").read_text() == "# mine\n"
    assert (repository / "tasks.md").read_text() == "[] t-1: Mine\n"
    assert (repository / ".git/info/exclude").read_bytes() == exclude
    assert "is there already" in first


def test_init_from_below_makes_the_project_at_the_top(repository: Path) -> None:
    (repository / "src").mkdir()
    ok(repository / "src", "init")
    assert (repository / "config.toml").is_file()
    assert not (repository / "src/config.toml").exists()


def test_init_outside_of_a_repository_leaves_nothing(tmp_path: Path) -> None:
    done = orch(tmp_path, "init")
    assert done.code == 1
    assert "hint:" in done.err
    assert list(tmp_path.iterdir()) == []


def test_config_check_lists_everything_that_is_wrong(shop: Path) -> None:
    config = shop / "config.toml"
    wrong = "\n[verify]\ntimeout_seconds = -1\ncomand = 'make'\n"
    config.write_text(config.read_text() + wrong)
    done = orch(shop, "config", "check")
    assert done.code == 1
    first, second = done.out.splitlines()
    number = len(config.read_text().splitlines())
    assert first.startswith(f"config.toml:{number - 1}: [verify] timeout_seconds: ")
    assert second.startswith(f"config.toml:{number}: [verify] comand: ")
    assert "did you mean command?" in second
    assert "orch config check" not in done.out + done.err
    assert "`orch config check` lists them all" in orch(shop, "status").err


def test_config_check_says_ok(shop: Path) -> None:
    assert ok(shop, "config", "check") == "ok\n"


def test_config_check_without_a_file_judges_the_defaults(shop: Path) -> None:
    (shop / "config.toml").unlink()
    done = orch(shop, "config", "check")
    assert "every setting has its default" in done.out
    assert done.code == 0


def test_doctor_says_what_is_fine_and_what_to_do(shop: Path) -> None:
    assert "git" in ok(shop, "doctor")
    config = shop / "config.toml"
    config.write_text(config.read_text().replace('default = "quick"', 'default = "none"') + NONE)
    done = orch(shop, "doctor")
    assert done.code == 1
    assert "no-such-program" in done.out
    assert "need you" in done.out


NONE = """
[agents.none]
kind = "command"
command = ["no-such-program"]
"""


def test_clean_with_nothing_to_do(shop: Path) -> None:
    assert ok(shop, "clean") == "There is nothing to clean.\n"
