"""Agents: one contract for the fake and the real ones, then what commands and their output can be."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from orch.adapters import tails
from orch.adapters.agents import output
from orch.adapters.agents.claude import ClaudeAgent
from orch.adapters.agents.codex import CodexAgent
from orch.adapters.agents.command import CommandAgent
from orch.adapters.agents.exits import describe
from orch.adapters.agents.gemini import GeminiAgent
from orch.config import AgentKind, AgentSettings
from orch.core.model import Activity, Claim, EndReason, Exit, Run, RunKey, Verdict
from orch.ports import Agent
from tests.fakes.agent import FakeAgent

RUN = Run(RunKey("gh-471", 2), Claim("orch/gh-471-fix", "sh", "Fix", 1.0))
OK = Exit(EndReason.EXITED, code=0)
FAILED = Exit(EndReason.EXITED, code=3)
PATH = os.environ.get("PATH", os.defpath)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The directory of RUN."""
    path = tmp_path / "runs" / "gh-471" / "2"
    path.mkdir(parents=True)
    return path


def agent_of(root: Path, *command: str, model: str = "", **environment: str) -> CommandAgent:
    return CommandAgent("mine", command, {"PATH": PATH, **environment}, root=root, model=model)


def make_program(path: Path, text: str = "#!/bin/sh\n", mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


ENVIRONMENT = {"PATH": PATH, "ANTHROPIC_API_KEY": "k", "IS_SANDBOX": "1"}
AGENTS: Mapping[str, Callable[[Path], Agent]] = {
    "fake": lambda _: FakeAgent("mine"),
    "command": lambda root: agent_of(root, "sh"),
    "claude": lambda root: ClaudeAgent("mine", of_kind("claude"), ENVIRONMENT, root=root),
    "codex": lambda root: CodexAgent("mine", of_kind("codex"), ENVIRONMENT, root=root),
    "gemini": lambda root: GeminiAgent("mine", of_kind("gemini"), ENVIRONMENT, root=root),
}
RESULTS = {
    "claude": {"type": "result", "is_error": False},
    "codex": {"type": "turn.completed"},
    "gemini": {"type": "result", "status": "success"},
}
"""The last word of a run in which all went well."""


def of_kind(kind: str) -> AgentSettings:
    return AgentSettings(kind=AgentKind(kind), command=("sh",))


@pytest.fixture(params=[*AGENTS])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def agent(kind: str, tmp_path: Path) -> Agent:
    return AGENTS[kind](tmp_path)


def say_result(directory: Path, kind: str) -> None:
    if kind in RESULTS:
        (directory / "stdout.jsonl").write_text(json.dumps(RESULTS[kind]) + "\n")


class TestContract:
    def test_it_has_its_name_and_no_problem(self, agent: Agent) -> None:
        assert agent.name == "mine"
        assert agent.problem() == ""

    def test_the_command_says_what_it_is_about(self, agent: Agent, directory: Path, tmp_path: Path) -> None:
        command = agent.command(RUN, directory, tmp_path)
        assert Path(command.argv[0]).is_absolute()
        assert {name: value for name, value in command.env.items() if name.startswith("ORCH_")} == {
            "ORCH_TASK_ID": "gh-471",
            "ORCH_ATTEMPT": "2",
            "ORCH_BRANCH": "orch/gh-471-fix",
            "ORCH_PROMPT_FILE": str(directory / "prompt.md"),
        }

    def test_exit_0_and_a_good_result_are_a_good_verdict(
        self, agent: Agent, kind: str, directory: Path
    ) -> None:
        say_result(directory, kind)
        assert agent.verdict(directory, OK) == Verdict(ok=True)

    def test_one_that_had_to_be_ended_after_its_last_word_is_judged_by_its_words(
        self, agent: Agent, kind: str, directory: Path
    ) -> None:
        say_result(directory, kind)
        assert agent.verdict(directory, Exit(EndReason.LINGERED, signal=15)).ok

    @pytest.mark.parametrize("reason", [reason for reason in EndReason if not Exit(reason, code=0).ok])
    def test_every_other_end_is_none(self, agent: Agent, directory: Path, reason: EndReason) -> None:
        verdict = agent.verdict(directory, Exit(reason))
        assert not verdict.ok
        assert verdict.reason
        free = reason in {EndReason.SPAWN, EndReason.STOPPED, EndReason.INTERRUPTED}
        assert verdict.charged is not free

    def test_a_failing_exit_code_is_charged(self, agent: Agent, directory: Path) -> None:
        assert not agent.verdict(directory, FAILED).ok
        assert agent.verdict(directory, FAILED).charged

    def test_a_conversation_that_is_no_uuid_is_no_argument(
        self, agent: Agent, kind: str, directory: Path, tmp_path: Path
    ) -> None:
        run = RUN.evolve(claim=RUN.claim.evolve(resume="--dangerous"))
        assert kind == "fake" or "--dangerous" not in " ".join(agent.command(run, directory, tmp_path).argv)

    def test_a_worker_that_says_nothing_does_nothing_visible(self, agent: Agent, directory: Path) -> None:
        assert agent.activity(directory) == Activity()


class TestProgram:
    def test_it_is_found_on_the_path_of_the_worker(self, tmp_path: Path) -> None:
        program = make_program(tmp_path / "bin" / "tool")
        agent = agent_of(tmp_path, "tool", "-x", PATH=str(program.parent))
        assert agent.problem() == ""
        assert agent.command(RUN, tmp_path, tmp_path).argv == (str(program), "-x")

    def test_extra_arguments_come_last_and_the_model_is_told(self, tmp_path: Path) -> None:
        agent = CommandAgent(
            "mine", ["sh", "-c"], {"PATH": PATH}, root=tmp_path, extra_args=["exit 3"], model="big"
        )
        command = agent.command(RUN, tmp_path, tmp_path)
        assert subprocess.run(command.argv, env=dict(command.env), check=False).returncode == 3
        assert command.env["ORCH_MODEL"] == "big"

    def test_a_path_with_a_slash_lies_in_the_project(self, tmp_path: Path) -> None:
        program = make_program(tmp_path / "tools" / "agent")
        agent = agent_of(tmp_path, "tools/agent")
        assert agent.problem() == ""
        assert agent.command(RUN, tmp_path, tmp_path / "elsewhere").argv == (str(program),)

    def test_an_absolute_path_is_taken_as_it_is(self, tmp_path: Path) -> None:
        assert agent_of(tmp_path, sys.executable).problem() == ""

    def test_a_missing_program_is_told_with_its_setting(self, tmp_path: Path) -> None:
        problem = agent_of(tmp_path, "no-such-tool").problem()
        assert problem.startswith("no-such-tool is not on the PATH of the workers")
        assert "[agents.mine] command" in problem

    @pytest.mark.parametrize("path", ["", ".", "bin::."])
    def test_a_relative_path_entry_is_not_searched(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
    ) -> None:
        make_program(tmp_path / "tool")
        make_program(tmp_path / "bin" / "tool")
        monkeypatch.chdir(tmp_path)
        assert agent_of(tmp_path, "tool", PATH=path).problem()

    def test_a_missing_file_is_told(self, tmp_path: Path) -> None:
        problem = agent_of(tmp_path, "./agent").problem()
        assert f"{tmp_path}/agent is not there" in problem
        assert "[agents.mine] command" in problem

    def test_a_file_that_is_no_program_is_told(self, tmp_path: Path) -> None:
        make_program(tmp_path / "agent", mode=0o644)
        assert "agent is not executable" in agent_of(tmp_path, "./agent").problem()

    @pytest.mark.parametrize("command", [(), ("",)])
    def test_an_empty_command_is_told(self, tmp_path: Path, command: tuple[str, ...]) -> None:
        agent = agent_of(tmp_path, *command)
        assert agent.problem() == "[agents.mine] command is empty: name a program in config.toml"
        assert agent.command(RUN, tmp_path, tmp_path).argv == ("",)

    def test_a_program_that_vanished_stays_as_it_is_written(self, tmp_path: Path) -> None:
        assert agent_of(tmp_path, "no-such-tool", "-x").command(RUN, tmp_path, tmp_path).argv == (
            "no-such-tool",
            "-x",
        )

    def test_the_prompt_file_is_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        command = agent_of(tmp_path, "sh").command(RUN, Path("runs/gh-471/2"), tmp_path)
        assert command.env["ORCH_PROMPT_FILE"] == str(tmp_path / "runs/gh-471/2/prompt.md")

    def test_the_environment_of_orch_is_not_passed_on(self, tmp_path: Path) -> None:
        env = agent_of(tmp_path, "sh", HOME="/home/x").command(RUN, tmp_path, tmp_path).env
        assert set(env) == {
            "PATH",
            "HOME",
            "ORCH_TASK_ID",
            "ORCH_ATTEMPT",
            "ORCH_BRANCH",
            "ORCH_PROMPT_FILE",
        }


class TestVerdict:
    @pytest.mark.parametrize(
        ("exit_", "reason"),
        [
            (FAILED, "exit code 3"),
            (Exit(EndReason.EXITED, signal=signal.SIGKILL), "killed by SIGKILL"),
            (Exit(EndReason.EXITED, signal=250), "killed by signal 250"),
            (Exit(EndReason.EXITED), "ended without an exit code"),
            (Exit(EndReason.TIMEOUT), "timed out"),
            (Exit(EndReason.INTERRUPTED, message="the machine restarted"), "the machine restarted"),
            (Exit(EndReason.MEMORY, message="900 of 800 MB"), "over its memory limit: 900 of 800 MB"),
            (
                Exit(EndReason.SPAWN, message="no\nsuch \x1b[31mfile"),
                "the command could not be started: no such file",
            ),
        ],
    )
    def test_the_reason_is_one_plain_line(self, exit_: Exit, reason: str) -> None:
        assert describe(exit_) == reason

    def test_every_end_has_a_reason(self) -> None:
        reasons = {describe(Exit(reason)) for reason in EndReason}
        assert len(reasons) == len(EndReason)

    def test_the_tail_is_the_end_of_stderr(self, tmp_path: Path, directory: Path) -> None:
        (directory / "stdout.jsonl").write_text("out\n")
        (directory / "stderr.log").write_text("\n".join(f"line {number}" for number in range(100)) + "\n\n")
        tail = agent_of(tmp_path, "sh").verdict(directory, FAILED).tail
        assert tail.splitlines() == [f"line {number}" for number in range(60, 100)]

    def test_the_tail_is_the_end_of_stdout_where_stderr_is_silent(
        self, tmp_path: Path, directory: Path
    ) -> None:
        (directory / "stdout.jsonl").write_text("out\n")
        (directory / "stderr.log").write_text(" \n\x1b[0m\n")
        assert agent_of(tmp_path, "sh").verdict(directory, FAILED).tail == "out"


class TestOutput:
    def test_a_huge_file_is_read_from_its_end(self, directory: Path) -> None:
        with (directory / "stderr.log").open("wb") as file:
            file.truncate(2**40)
            file.seek(0, os.SEEK_END)
            file.write(b"\nthe end\n")
        assert output.tail(directory) == "the end"
        assert output.last_line(directory) == "the end"

    def test_a_secret_is_not_told(self, directory: Path) -> None:
        (directory / "stderr.log").write_text("cannot push to https://ada:hunter2@host/x.git\n")
        assert (
            output.tail(directory) == output.last_line(directory) == "cannot push to https://***@host/x.git"
        )

    def test_the_last_line_says_something_and_is_short(self, directory: Path) -> None:
        (directory / "stdout.jsonl").write_text("first\n  sec\tond " + "x" * 500 + "\n\n \n")
        line = output.last_line(directory)
        assert line.startswith("sec ond xxx")
        assert len(line) == tails.LINE_LENGTH

    def test_the_file_that_was_written_last_counts(self, directory: Path) -> None:
        (directory / "stdout.jsonl").write_text("out\n")
        (directory / "stderr.log").write_text("err\n")
        os.utime(directory / "stderr.log", (1, 1))
        assert output.last_line(directory) == "out"
        os.utime(directory / "stdout.jsonl", (0, 0))
        assert output.last_line(directory) == "err"
        (directory / "stderr.log").write_text("\n\n")
        assert output.last_line(directory) == "out"

    def test_a_new_line_is_seen(self, directory: Path) -> None:
        path = directory / "stdout.jsonl"
        path.write_text("one\n")
        assert output.last_line(directory) == "one"
        path.write_text("one\ntwo\n")
        assert output.last_line(directory) == "two"

    def test_a_pipe_or_link_in_place_of_a_file_is_not_opened(self, directory: Path, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("secret\n")
        (directory / "stdout.jsonl").symlink_to(tmp_path / "secret")
        os.mkfifo(directory / "stderr.log")
        assert output.tail(directory) == ""
        assert output.last_line(directory) == ""
