"""What workers get of the environment, and what orch takes out of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orch.config import check_text, clean_environment, environment, load
from orch.config.environment import allowed, is_forge_token, is_journald, notify_socket

NO_MAINTENANCE = environment.without_maintenance({})

TOKENS = [
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
    "GITHUB_PAT",
    "GITHUB_API_TOKEN",
    "GITHUBTOKEN",
    "MY_GITHUB_TOKEN",
    "GITHUB_TOKEN_2",
    "GITHUB_APP_PRIVATE_KEY",
    "github_token",
    "GITLAB_TOKEN",
    "GITLAB_PRIVATE_TOKEN",
    "GL_TOKEN",
    "CI_JOB_TOKEN",
    "BITBUCKET_APP_PASSWORD",
    "GITEA_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "GIT_ASKPASS",
    "GIT_CONFIG_KEY_0",
    "SSH_AUTH_SOCK",
    "LC_GH_TOKEN",
]
HARMLESS = [
    "ANTHROPIC_API_KEY",
    "OPENAI_API_KEY",
    "GEMINI_API_KEY",
    "CIPHER_KEY",
    "DIGIT_KEY",
    "GLOBAL_TOKEN",
    "GITHUB_REPOSITORY",
    "GITHUB_PATH",
    "GIT_AUTHOR_NAME",
    "GIT_CONFIG_GLOBAL",
    "PATH",
]


@pytest.mark.parametrize("name", TOKENS)
def test_a_forge_token_reaches_no_worker(tmp_path: Path, name: str) -> None:
    assert is_forge_token(name)
    assert allowed({name: "sesame"}, [name]) == {}
    for line in (f'env_pass = ["{name}"]', f'env = {{ {name} = "sesame" }}'):
        (told,) = check_text(f"[agents.claude]\n{line}", tmp_path, environ={})
        assert name in told
        assert "gives access to a forge" in told
        assert "sesame" not in told


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_looks_a_little_like_one(name: str) -> None:
    assert not is_forge_token(name)
    assert allowed({name: "x"}, [name]) == {name: "x"}


def test_a_worker_gets_the_allow_list_and_what_the_agent_adds(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        """
        [agents.claude]
        env = { DEPTH = "3", LANG = "C" }
        env_pass = ["ANTHROPIC_API_KEY", "NOT_SET"]
        """
    )
    own = {
        "PATH": "/bin",
        "HOME": "/home/someone",
        "LANG": "de_DE.UTF-8",
        "LC_ALL": "C",
        "XDG_RUNTIME_DIR": "/run/user/1",
        "ANTHROPIC_API_KEY": "sesame",
        "OPENAI_API_KEY": "another",
        "GITHUB_TOKEN": "secret",
        "PYTHONPATH": "/x",
        "LD_PRELOAD": "/y",
    }
    config = load(tmp_path, own)
    inherited = {name: own[name] for name in ("PATH", "HOME", "LC_ALL", "XDG_RUNTIME_DIR")}
    assert config.worker_environment("claude") == inherited | NO_MAINTENANCE | {
        "LANG": "C",
        "DEPTH": "3",
        "ANTHROPIC_API_KEY": "sesame",
    }
    assert config.hook_environment() == inherited | NO_MAINTENANCE | {"LANG": "de_DE.UTF-8"}


def test_each_call_gives_a_dictionary_of_its_own(tmp_path: Path) -> None:
    config = load(tmp_path, {"PATH": "/bin"})
    config.worker_environment("claude")["PATH"] = "changed"
    assert config.worker_environment("claude")["PATH"] == "/bin"


@pytest.mark.parametrize(("count", "first"), [("2", 2), ("", 0), ("many", 0), (None, 0)])
def test_settings_of_git_that_were_given_stay(count: str | None, first: int) -> None:
    given = {} if count is None else {"GIT_CONFIG_COUNT": count}
    if first:
        given |= {"GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "c", "GIT_CONFIG_KEY_1": "d.e"}
    settings = environment.without_maintenance(given)
    assert settings == {
        **given,
        "GIT_CONFIG_COUNT": str(first + 2),
        f"GIT_CONFIG_KEY_{first}": "gc.auto",
        f"GIT_CONFIG_VALUE_{first}": "0",
        f"GIT_CONFIG_KEY_{first + 1}": "maintenance.auto",
        f"GIT_CONFIG_VALUE_{first + 1}": "false",
    }


@pytest.mark.parametrize("name", ["ORCH_TASK_ID", "orch_mine", "1st", "a-b", "", "A=B"])
def test_names_that_no_agent_may_set(tmp_path: Path, name: str) -> None:
    (told,) = check_text(f'[agents.claude]\nenv_pass = ["{name}"]', tmp_path, environ={})
    assert told.startswith("config.toml:2: [agents.claude] env_pass: ")


CLEANED = """
import os
from orch.config import clean_environment
clean_environment()
print("\\n".join(sorted(name for name in os.environ if name.startswith("GIT_"))))
"""


def test_what_git_hands_to_its_hooks_is_taken_out(tmp_path: Path) -> None:
    """A real hook starts a Python that cleans its environment."""
    hook = tmp_path / ".git" / "hooks" / "pre-commit"
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GIT_CONFIG_NOSYSTEM": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "GIT_AUTHOR_NAME": "Someone",
        "GIT_AUTHOR_EMAIL": "someone@example.invalid",
        "GIT_COMMITTER_NAME": "Someone",
        "GIT_COMMITTER_EMAIL": "someone@example.invalid",
        "GIT_SSH_COMMAND": "ssh -v",
    }

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", tmp_path, *arguments], env=environ, check=True, capture_output=True)

    git("init", "--quiet")
    (tmp_path / "clean.py").write_text(CLEANED)
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\nenv | grep ^GIT_ >before\n"{sys.executable}" clean.py >after\n')
    hook.chmod(0o755)
    git("commit", "--quiet", "--allow-empty", "-m", "One", "--date", "2001-01-01T00:00:00Z")

    before = {line.partition("=")[0] for line in (tmp_path / "before").read_text().splitlines()}
    after = set((tmp_path / "after").read_text().split())
    assert {"GIT_INDEX_FILE", "GIT_AUTHOR_DATE"} <= before
    assert after == {
        "GIT_AUTHOR_NAME",
        "GIT_AUTHOR_EMAIL",
        "GIT_COMMITTER_NAME",
        "GIT_COMMITTER_EMAIL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_SSH_COMMAND",
    } | (before & {"GIT_EXEC_PATH"})


def test_everything_that_git_calls_local_to_a_repository_is_taken_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed = subprocess.run(
        ["git", "rev-parse", "--local-env-vars"], check=True, capture_output=True, text=True
    ).stdout.split()
    assert "GIT_DIR" in listed
    for name in listed:
        monkeypatch.setenv(name, "x")
    clean_environment()
    # Settings given by GIT_CONFIG_COUNT are meant for all repositories: people and CI use them.
    assert [name for name in listed if name in os.environ] == ["GIT_CONFIG_COUNT"]
    clean_environment()


def test_what_is_secret_goes_by_the_name_and_the_length(tmp_path: Path) -> None:
    text = (
        '[agents.a]\ncommand = ["x"]\n'
        'env = { API_KEY = "0123456789", PIN_KEY = "123", COLOUR = "vermilion" }\n'
        'env_pass = ["MY_TOKEN", "ELSE", "MISSING_TOKEN"]\n'
    )
    (tmp_path / "config.toml").write_text(text)
    config = load(tmp_path, {"MY_TOKEN": "abcdefghij", "ELSE": "not so secret"})
    assert config.secrets() == {"0123456789", "abcdefghij"}


def test_journald_is_known_by_its_own_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "stream").open("w") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.delenv("JOURNAL_STREAM", raising=False)
        assert not is_journald(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        assert is_journald(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino + 1}")
        assert not is_journald(stream.fileno()), "redirected: nobody but journald wants its format"
        closed = stream.fileno()
    assert not is_journald(closed)


@pytest.mark.parametrize(
    ("microseconds", "pid", "seconds"),
    [
        ("30000000", "", 30.0),
        ("30000000", "own", 30.0),
        ("30000000", "1", 0.0),
        ("", "", 0.0),
        ("x", "", 0.0),
    ],
)
def test_the_notify_socket_is_for_this_process_alone(
    monkeypatch: pytest.MonkeyPatch, microseconds: str, pid: str, seconds: float
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)
    assert notify_socket() == ("/run/notify", seconds)
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & os.environ.keys()
    assert notify_socket() == ("", 0.0)


def test_secrets_of_orchs_own_environment_are_known_too(tmp_path: Path) -> None:
    environ = {
        "GH_TOKEN": "0123456789",
        "DB_PASSWORD": "correct-horse",
        "SSH_AUTH_SOCK": "/run/user/1000/agent",
        "GIT_CONFIG_KEY_0": "user.name",
        "KEYBOARD": "qwertz",
        "CI_JOB_PAT": "abcdefghij",
        "MINE": "so-it-is-called",
    }
    assert load(tmp_path, environ).secrets() == {"0123456789", "correct-horse", "abcdefghij"}
    (tmp_path / "config.toml").write_text('[forge]\ntoken_env = "MINE"\n[hooks]\nenv_pass = ["MINE"]\n')
    assert "so-it-is-called" in load(tmp_path, environ).secrets()
    assert "MINE" not in load(tmp_path, environ).announcer_environment()


def test_a_hook_gets_what_is_named_and_never_a_token_of_a_forge(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[hooks]\nenv_pass = ["CHAT_URL"]\n')
    environ = {"PATH": "/bin", "CHAT_URL": "https://chat", "GITHUB_TOKEN": "0123456789", "OTHER": "x"}
    assert load(tmp_path, environ).announcer_environment() == {"PATH": "/bin", "CHAT_URL": "https://chat"}
    text = '[hooks]\non_failed = "a\\u0000b"\nenv_pass = ["GH_TOKEN"]\ntimeout_seconds = 0\non_done = ""\n'
    problems = "\n".join(check_text(text, tmp_path, environ=environ))
    assert "on_failed: contains a NUL character" in problems
    assert "'GH_TOKEN' gives access to a forge" in problems
    assert "timeout_seconds: must be a number above 0" in problems
    assert "on_done: unknown key" in problems
