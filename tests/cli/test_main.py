import os
import subprocess
import sys
from pathlib import Path

import pytest

import orch as package
from orch.cli.failure import report, report_bug, warn
from orch.errors import ConfigError
from tests.cli.command import ENVIRONMENT, argv, git, ok, orch, spawn

COMMANDS = (
    *("init", "doctor", "config", "run", "status", "add", "stop", "pause", "resume", "retry"),
    *("logs", "show", "diff", "merge", "clean", "pr", "demo"),
)


def test_help_lists_every_command_under_a_heading(tmp_path: Path) -> None:
    text = ok(tmp_path, "--help")
    for name in COMMANDS:
        assert f"\n  {name} " in text, name
    for head in ("The fleet:", "The queue:", "The work of a task:", "The project:", "Examples:"):
        assert head in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(tmp_path: Path, name: str) -> None:
    text = ok(tmp_path, name, "-h")
    assert "Usage: orch" in text
    assert "Examples:" in text or name in ("config", "pr")


def test_version(tmp_path: Path) -> None:
    assert ok(tmp_path, "--version") == f"orch {package.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("status", "--nonsense"),
        ("add",),
        ("add", "x", "-p", "10"),
        ("stop",),
        ("status", "--watch", "--json"),
        ("-C", "nowhere", "status"),
        (),
    ],
)
def test_wrong_usage_is_2(shop: Path, arguments: tuple[str, ...]) -> None:
    done = orch(shop, *arguments)
    assert done.code == 2, done
    assert "Traceback" not in done.err


def test_a_mistyped_command_is_guessed(tmp_path: Path) -> None:
    assert "status" in orch(tmp_path, "statsu").err


def test_outside_of_a_repository_the_way_out_is_said(tmp_path: Path) -> None:
    done = orch(tmp_path, "status")
    assert done.code == 1
    assert done.err == f"orch: {tmp_path} is not in a git repository\nhint: git init, then orch init\n"


def test_without_a_project_the_way_out_is_said(repository: Path) -> None:
    done = orch(repository, "status")
    assert done.code == 1
    assert "orch init" in done.err
    assert len(done.err.splitlines()) == 2


def test_each_directory_counts_from_the_one_before(shop: Path) -> None:
    (shop / "deep" / "er").mkdir(parents=True)
    text = ok(shop.parent, "-C", "shop", "-C", "deep/er", "-C", ".", "config", "check")
    assert text == "ok\n"
    (shop / "config.toml").write_text("[nonsense]\n")
    assert orch(shop.parent, "-C", "shop", "-C", "deep/er", "config", "check").code == 1


def test_the_project_is_found_from_below_but_not_above_the_repository(shop: Path) -> None:
    (shop / "src").mkdir()
    git(shop, "init", "--quiet", "vendor")
    assert orch(shop / "src", "config", "check").code == 0
    assert "no orch project" in orch(shop / "vendor", "config", "check").err


def test_in_a_worktree_of_the_project_the_project_is_meant(shop: Path) -> None:
    (shop / ".orch").mkdir()
    git(shop, "worktree", "add", "--quiet", "trees/t-1")
    (shop / "trees/t-1/tasks.md").write_text("# a copy that was committed by mistake\n")
    (shop / "trees/t-1/config.toml").write_text("[nonsense]\n")
    assert ok(shop / "trees/t-1", "config", "check") == "ok\n"


def test_a_strange_git_file_is_no_crash(shop: Path) -> None:
    (shop / "odd").mkdir()
    (shop / "odd" / ".git").write_bytes(b"gitdir: \xff")
    assert orch(shop / "odd", "config", "check").code == 1


def test_a_broken_configuration_names_its_key(shop: Path) -> None:
    (shop / "config.toml").write_text("[coordinator]\nmax_concurrent_workerz = 3\n")
    # To look does not depend on it; to work does.
    looked = orch(shop, "status")
    assert looked.code == 0
    assert "max_concurrent_workerz" in looked.err
    done = orch(shop, "run")
    assert done.code == 1
    assert "max_concurrent_workerz" in done.err
    assert "Traceback" not in done.err


def test_a_bug_leaves_its_traceback_in_a_file(shop: Path) -> None:
    (shop / ".orch").mkdir()
    code = (
        "from orch.cli import main\n"
        "@main.app.command()\n"
        "def explode() -> None:\n"
        "    raise ZeroDivisionError('by a test', 'ghp_' + 'a' * 36)\n"
        "main.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "-C", "shop", "explode"],
        cwd=shop.parent,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    path = Path(line.rpartition(" ")[2])
    assert path.is_relative_to(shop / ".orch")
    assert "ZeroDivisionError: ('by a test', '***')" in path.read_text()
    assert path.stat().st_mode & 0o077 == 0


def test_without_a_project_the_traceback_goes_to_the_temporary_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report_bug(ValueError("secret"), tmp_path) == 3
    line = capsys.readouterr().err
    assert "secret" not in line
    path = Path(line.strip().rpartition(" ")[2])
    assert "secret" in path.read_text()
    path.unlink()


def test_failures_and_warnings_are_one_harmless_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(ConfigError("bad \x1b[2J thing\nhere", hint="do\x07 this")) == 1
    warn("odd\x1b]0;x\x07 file")
    assert capsys.readouterr().err == "orch: bad  thing here\nhint: do this\norch: warning: odd file\n"


@pytest.mark.parametrize("arguments", [("--help",), ("status", "--json")])
def test_a_reader_that_leaves_is_no_error(shop: Path, arguments: tuple[str, ...]) -> None:
    (shop / "tasks.md").write_text("".join(f"[] t-{n}: {'x' * 900}\n" for n in range(1, 200)))
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        argv(*arguments), cwd=shop, env=ENVIRONMENT, stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode in (1, 141)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [("status", "--json"), ("--help",), ("status",)])
def test_an_output_that_cannot_be_written_is_an_expected_failure(
    shop: Path, arguments: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            argv(*arguments),
            cwd=shop,
            env=ENVIRONMENT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "orch: the output cannot be written: No space left on device\n"


def test_without_any_output_there_is_no_crash(shop: Path) -> None:
    script = f"exec '{sys.executable}' -m orch status >&-"
    done = subprocess.run(
        ["sh", "-c", script], cwd=shop, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 0, done
    assert done.stderr == ""


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"cd '{gone}' && rmdir '{gone}' && exec '{sys.executable}' -P -m orch status"
    done = subprocess.run(["sh", "-c", script], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done
    assert "the current folder is gone" in done.stderr


def test_an_encoding_without_our_marks_is_no_crash(shop: Path) -> None:
    (shop / "tasks.md").write_text("[] t-1: Füße\n")
    done = spawn(shop, "status", PYTHONIOENCODING="ascii")
    assert done.code == 0, done
    assert "t-1" in done.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_offers_commands_and_task_names(shop: Path, shell: str) -> None:
    (shop / "tasks.md").write_text("[] t-1: One\n[] t-2: Two\n[] gh-7: Seven\n")
    words = "orch -C shop show t"
    ask = {
        "bash": {"_ORCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "4"},
        "zsh": {"_ORCH_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": words},
        "fish": {
            "_ORCH_COMPLETE": "complete_fish",
            "_TYPER_COMPLETE_ARGS": words,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        },
    }
    out = spawn(shop.parent, **ask[shell]).out
    assert "t-1" in out
    assert "t-2" in out
    assert "gh-7" not in out


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_a_title_in_the_completion_is_nothing_but_text(shop: Path, shell: str) -> None:
    title = r"Fix \$(touch owned) [/b] [red]it" + "\x1b]0;owned\x07\u202e" + " long" * 90
    (shop / "tasks.md").write_text(f"[] t-1: {title}\n")
    done = spawn(
        shop,
        _ORCH_COMPLETE=f"complete_{shell}",
        _TYPER_COMPLETE_ARGS="orch show t",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
    )
    assert done.code == 0, done
    (line,) = done.out.splitlines()
    assert "Fix /" in line
    assert "(/b) (red)it long" in line
    assert "\\\\$" not in line  # zsh reads it as a backslash and then runs $(...)
    assert "\x1b" not in line
    assert "\x07" not in line
    assert "\u202e" not in line


def test_completion_outside_of_a_project_is_silent(tmp_path: Path) -> None:
    done = spawn(tmp_path, _ORCH_COMPLETE="complete_bash", COMP_WORDS="orch show t", COMP_CWORD="2")
    assert "Traceback" not in done.err
    assert done.out.strip() == ""


def test_help_and_status_stay_light(shop: Path) -> None:
    code = (
        "import sys\n"
        "from orch.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted(sys.modules), file=sys.stderr)\n"
    )
    for arguments, heavy in {
        ("--help",): ("rich", "git", "github", "jinja2", "pydantic", "msgspec", "psutil", "orch.wiring"),
        # Typer loads pydantic by itself for every command that has parameters.
        ("add", "Fix it"): ("rich.console", "git", "github", "jinja2"),
        ("pause",): ("rich.console", "git", "github", "jinja2"),
    }.items():
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=shop,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=True,
        )
        loaded = done.stderr.splitlines()[-1]
        assert [name for name in heavy if f"'{name}'" in loaded] == [], arguments


def test_a_bare_repository_is_called_one(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare")
    done = spawn(tmp_path, "status")
    assert done.code == 1
    assert done.err == f"orch: {tmp_path} is a bare repository\nhint: clone it, and work in the clone\n"
