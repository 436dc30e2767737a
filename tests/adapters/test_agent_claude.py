"""How claude is started, and when it is not."""

import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from orch.adapters.agents import claude, claude_login, conversations, versions
from orch.adapters.agents.claude import ClaudeAgent
from orch.adapters.executors import processes
from orch.config import AgentKind, AgentSettings
from orch.core.model import Claim, Run, RunKey
from orch.errors import TransientError

SESSION = "4af9af99-d13c-5946-a35d-b18dcc39faf5"
KEY = {"ANTHROPIC_API_KEY": "k", "IS_SANDBOX": "1"}


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    """A claude that tells its version and counts how often it is asked."""
    path = tmp_path / "bin" / "claude"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\necho asked >> "{tmp_path}/asked"\necho "2.1.400 (Claude Code)"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "runs" / "t-1" / "1"
    path.mkdir(parents=True)
    return path


def agent_of(binary: Path, environment: dict[str, str] | None = None, **more: Any) -> ClaudeAgent:
    env = {"PATH": f"{binary.parent}:{os.defpath}", **(KEY if environment is None else environment)}
    settings = AgentSettings(kind=AgentKind.CLAUDE, **more)
    return ClaudeAgent("claude", settings, env, root=binary.parents[1])


def run_of(**claim: Any) -> Run:
    return Run(RunKey("t-1", 1), Claim("orch/t-1-fix", "claude", "Fix", 1.0, **claim))


class TestCommand:
    def test_it_is_started_for_nobody_to_answer(self, binary: Path, directory: Path, tmp_path: Path) -> None:
        command = agent_of(binary).command(run_of(), directory, tmp_path / "tree")
        assert command.argv == (
            str(binary),
            *("-p", "--output-format", "stream-json", "--verbose"),
            *("--session-id", command.session_id, "--permission-mode", "bypassPermissions"),
            *("--settings", str(directory / "claude-settings.json")),
            *("--setting-sources", "", "--strict-mcp-config", f"--add-dir={tmp_path / 'tree'}"),
        )
        assert command.last_words == {"result"}
        settings = json.loads((directory / "claude-settings.json").read_text())
        assert settings["disableAllHooks"] is True
        assert settings["attribution"] == {"commit": "", "pr": ""}
        assert command.env["CLAUDE_CODE_DISABLE_BACKGROUND_TASKS"] == "1"
        assert command.env["CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD"] == "1"
        assert command.env["ORCH_PROMPT_FILE"] == str(directory / "prompt.md")

    def test_what_a_person_sets_counts_more(self, binary: Path, directory: Path, tmp_path: Path) -> None:
        agent = agent_of(
            binary,
            {**KEY, "CLAUDE_CODE_MAX_RETRIES": "1"},
            model="opus",
            permission_mode="acceptEdits",
            mcp_config="mcp.json",
            extra_args=("--max-turns", "9"),
        )
        command = agent.command(run_of(), directory, tmp_path)
        assert command.env["CLAUDE_CODE_MAX_RETRIES"] == "1"
        assert f"--mcp-config={tmp_path / 'mcp.json'}" in command.argv
        assert "--model=opus" in command.argv
        assert command.argv[command.argv.index("--permission-mode") + 1] == "acceptEdits"
        assert command.argv[-2:] == ("--max-turns", "9")

    def test_hooks_that_are_trusted_are_left_on(self, binary: Path, directory: Path, tmp_path: Path) -> None:
        command = agent_of(binary, trust_hooks=True).command(run_of(), directory, tmp_path)
        assert not {"--setting-sources", "--strict-mcp-config"} & set(command.argv)
        assert json.loads((directory / "claude-settings.json").read_text())["disableAllHooks"] is False

    def test_the_claim_tells_model_and_budget(self, binary: Path, directory: Path, tmp_path: Path) -> None:
        run = run_of(model="--evil", budget_usd=2.5)
        argv = agent_of(binary, model="opus").command(run, directory, tmp_path).argv
        assert [word for word in argv if word.startswith("--model")] == ["--model=--evil"], (
            "one word, so no option"
        )
        assert argv[argv.index("--max-budget-usd") + 1] == "2.5000"

    def test_a_new_conversation_has_a_name_that_the_same_claim_gives_again(
        self, binary: Path, directory: Path, tmp_path: Path
    ) -> None:
        agent = agent_of(binary)
        first, again = (agent.command(run_of(), directory, tmp_path).session_id for _ in "ab")
        assert first == again == str(uuid.UUID(first))
        other = Run(RunKey("t-1", 1), Claim("orch/t-1-fix", "claude", "Fix", 2.0))
        assert agent.command(other, directory, tmp_path).session_id != first
        assert agent.command(run_of(), tmp_path, tmp_path).session_id != first

    def test_a_conversation_goes_on(self, binary: Path, directory: Path, tmp_path: Path) -> None:
        command = agent_of(binary).command(run_of(resume=SESSION), directory, tmp_path)
        assert command.argv[command.argv.index("--resume") + 1] == command.session_id == SESSION
        assert "--session-id" not in command.argv

    @pytest.mark.parametrize("words", [("--resume", "{}"), ("--session-id={}",)])
    def test_a_conversation_that_somebody_has_is_waited_for(
        self, binary: Path, directory: Path, tmp_path: Path, words: tuple[str, ...]
    ) -> None:
        code, session = "import sys; print(flush=True); sys.stdin.read()", str(uuid.uuid4())
        argv = [sys.executable, "-c", code, *(word.format(session) for word in words)]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout
            child.stdout.readline()
            with pytest.raises(TransientError, match=f"in use by process {child.pid}") as raised:
                agent_of(binary).command(run_of(resume=session), directory, tmp_path)
            assert raised.value.retry_after
            assert "orch retry t-1 --fresh" in raised.value.hint
            child.send_signal(signal.SIGKILL)
        assert agent_of(binary).command(run_of(resume=session), directory, tmp_path).session_id == session

    def test_a_person_may_read_its_file(self, binary: Path, directory: Path, tmp_path: Path) -> None:
        code, session = "import sys; print(flush=True); sys.stdin.read()", str(uuid.uuid4())
        argv = [sys.executable, "-c", code, f"{tmp_path}/{session}.jsonl"]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout
            child.stdout.readline()
            command = agent_of(binary).command(run_of(resume=session), directory, tmp_path)
            child.send_signal(signal.SIGKILL)
        assert command.session_id == session


class TestProblem:
    def test_all_is_well(self, binary: Path) -> None:
        assert agent_of(binary).problem() == ""

    def test_it_is_not_there(self, tmp_path: Path) -> None:
        problem = agent_of(tmp_path / "bin" / "claude", {"PATH": "/nowhere"}).problem()
        assert problem.startswith("claude is not on the PATH of the workers: install it")

    def test_it_is_too_old(self, binary: Path) -> None:
        binary.write_text("#!/bin/sh\necho 2.0.99\n")
        problem = agent_of(binary).problem()
        assert problem == f"{binary} is version 2.0.99, and orch needs 2.1.0 or later: claude update"

    def test_its_version_is_asked_once(self, binary: Path, tmp_path: Path) -> None:
        for _ in range(3):
            assert agent_of(binary).problem() == ""
        assert (tmp_path / "asked").read_text() == "asked\n"
        binary.write_text("#!/bin/sh\necho 1.0.0\n")
        assert "version 1.0.0" in agent_of(binary).problem(), "another file is asked anew"

    def test_root_may_not_do_everything(self, binary: Path) -> None:
        problem = agent_of(binary, {"ANTHROPIC_API_KEY": "k"}).problem()
        assert bool(problem) is (os.geteuid() == 0)
        assert "IS_SANDBOX" in problem or not problem
        assert agent_of(binary, {"ANTHROPIC_API_KEY": "k"}, permission_mode="acceptEdits").problem() == ""

    @pytest.mark.skipif(sys.platform == "darwin", reason="the key ring has the login there")
    def test_nobody_is_logged_in(self, binary: Path, tmp_path: Path) -> None:
        environment = {"HOME": str(tmp_path), "IS_SANDBOX": "1"}
        problem = agent_of(binary, environment).problem()
        assert problem.startswith("claude is not logged in: start claude as this user and type /login, or")
        assert "[agents.claude] env_pass" in problem
        for more in ({"trust_hooks": True}, {"extra_args": ("--setting-sources=user",)}):
            assert agent_of(binary, environment, **more).problem() == "", "a helper may give the key"


class TestLogin:
    @pytest.mark.parametrize(
        ("login", "problem"),
        [
            ({"expiresAt": 1_000_000, "refreshToken": "r"}, ""),
            ({"expiresAt": 1_000_000, "refreshToken": "r", "refreshTokenExpiresAt": 3_000_000}, ""),
            ({"expiresAt": 1, "refreshToken": "r", "refreshTokenExpiresAt": 1_900_000}, "has expired"),
            ({"expiresAt": 1_900_000}, "has expired"),
            ({"expiresAt": 2_100_000}, ""),
            ({}, ""),
            ("odd", ""),
        ],
    )
    def test_a_login_may_be_over(self, tmp_path: Path, login: object, problem: str) -> None:
        (tmp_path / ".credentials.json").write_text(json.dumps({"claudeAiOauth": login}))
        found = claude_login.problem({"CLAUDE_CONFIG_DIR": str(tmp_path)}, 2000.0, platform="linux")
        assert problem in found
        assert bool(problem) is bool(found)

    def test_what_cannot_be_known_is_no_problem(self, tmp_path: Path) -> None:
        nobody = {"HOME": str(tmp_path)}
        assert claude_login.problem(nobody, 0.0, platform="linux") == "claude is not logged in"
        assert claude_login.problem(nobody, 0.0, platform="darwin") == ""
        for name in claude_login.VARIABLES:
            assert claude_login.problem({**nobody, name: "x"}, 0.0, platform="linux") == ""
        folder = tmp_path / ".claude"
        folder.mkdir()
        (folder / ".credentials.json").symlink_to(tmp_path / "elsewhere")
        assert claude_login.problem(nobody, 0.0, platform="linux") == ""
        (folder / ".credentials.json").unlink()
        (folder / ".credentials.json").write_text("{broken")
        no_folder = {"CLAUDE_CONFIG_DIR": str(folder / ".credentials.json")}
        assert claude_login.problem(no_folder, 0.0, platform="linux") == ""
        assert claude_login.problem(nobody, 0.0, platform="linux") == ""


class TestVersion:
    @pytest.mark.parametrize(
        ("program", "package", "version"),
        [
            ("share/claude/versions/2.1.329", None, (2, 1, 329)),
            ("lib/claude-code/cli.js", "lib/claude-code", (2, 2, 0)),
            ("lib/claude-code/bin/claude.exe", "lib/claude-code", (2, 2, 0)),
        ],
    )
    def test_how_it_is_installed_tells_it(
        self, tmp_path: Path, program: str, package: str | None, version: tuple[int, int, int]
    ) -> None:
        real = tmp_path / program
        real.parent.mkdir(parents=True)
        real.write_text("#!/bin/sh\nexit 1\n")
        real.chmod(0o755)
        (tmp_path / "claude").symlink_to(real)
        if package:
            described = {"name": "@anthropic-ai/claude-code-linux-x64", "version": "2.2.0"}
            (tmp_path / package / "package.json").write_text(json.dumps(described))
        assert versions.find_version(str(tmp_path / "claude"), claude.PACKAGE) == version

    def test_another_package_around_it_says_nothing(self, binary: Path) -> None:
        (binary.parents[1] / "package.json").write_text('{"name": "shop", "version": "0.1.0"}')
        assert agent_of(binary).problem() == ""

    @pytest.mark.parametrize("text", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho hello\n", "no program"])
    def test_one_that_does_not_tell_is_let_be(self, tmp_path: Path, text: str) -> None:
        program = tmp_path / "claude"
        program.write_text(text)
        program.chmod(0o755)
        (tmp_path / "package.json").write_text("[]")
        assert versions.find_version(str(program), claude.PACKAGE) is None
        assert versions.problem(str(program), claude.PACKAGE, claude.OLDEST, "claude update") == ""

    def test_one_that_is_gone_has_none(self, tmp_path: Path) -> None:
        assert versions.find_version(str(tmp_path / "claude"), claude.PACKAGE) is None


class TestNotes:
    """Claude's own notes of who has which conversation."""

    @pytest.mark.parametrize(
        ("note", "held"),
        [
            ({"pid": os.getpid(), "sessionId": SESSION, "procStart": "{ticks}"}, True),
            ({"pid": os.getpid(), "sessionId": SESSION}, True),
            ({"pid": os.getpid(), "sessionId": SESSION, "procStart": "1"}, False),
            ({"pid": os.getpid(), "sessionId": "other", "procStart": "{ticks}"}, False),
            ({"pid": 0, "sessionId": SESSION}, False),
            (["odd"], False),
        ],
    )
    def test_a_live_one_has_it(
        self, binary: Path, directory: Path, tmp_path: Path, note: Any, held: bool
    ) -> None:
        me = processes.look(os.getpid())
        assert me
        folder = tmp_path / ".claude" / "sessions"
        folder.mkdir(parents=True)
        (folder / "1.json").write_text(json.dumps(note).replace("{ticks}", str(me.start_ticks)))
        (folder / "1.key").write_text("")
        agent = agent_of(binary, {**KEY, "HOME": str(tmp_path)})
        if held:
            with pytest.raises(TransientError, match=f"in use by process {os.getpid()}"):
                agent.command(run_of(resume=SESSION), directory, tmp_path)
        else:
            assert agent.command(run_of(resume=SESSION), directory, tmp_path).session_id == SESSION

    def test_notes_that_cannot_be_read_are_let_pass(self, tmp_path: Path) -> None:
        (tmp_path / "1.json").mkdir()
        (tmp_path / "2.json").symlink_to(tmp_path)
        assert conversations.find_noted(tmp_path, SESSION) == 0
        assert conversations.find_noted(tmp_path / "none", SESSION) == 0
