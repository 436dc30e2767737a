"""Gemini: how it is started, and what its documented stream comes to."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from orch.adapters.agents.gemini import GeminiAgent, GeminiProgress
from orch.config import AgentKind, AgentSettings
from orch.core.model import Cause, Claim, EndReason, Exit, Run, RunKey

SESSION = "0199a213-81c0-4800-8aa1-bbab2a035a53"
OK = Exit(EndReason.EXITED, code=0)

STREAM: list[dict[str, Any]] = [
    {"type": "init", "timestamp": "t", "session_id": SESSION, "model": "gemini"},
    {"type": "message", "role": "user", "content": "the prompt", "timestamp": "t"},
    {"type": "message", "role": "assistant", "content": "I will ", "delta": True, "timestamp": "t"},
    {"type": "message", "role": "assistant", "content": "look.", "delta": True, "timestamp": "t"},
    {"type": "tool_use", "tool_name": "run_shell_command", "tool_id": "1", "parameters": {"command": "ls"}},
    {"type": "tool_result", "tool_id": "1", "status": "success", "output": "a.py"},
    {"type": "message", "role": "assistant", "content": "Done.", "delta": True, "timestamp": "t"},
    {"type": "result", "status": "success", "stats": {"total_tokens": 250, "input_tokens": 200}},
]


def play(*events: dict[str, Any]) -> GeminiProgress:
    progress = GeminiProgress(Path())
    for event in events:
        progress.take(json.dumps(event).encode())
    return progress


def agent_of(root: Path, **more: Any) -> GeminiAgent:
    settings = AgentSettings(kind=AgentKind.GEMINI, **more)
    return GeminiAgent("gemini", settings, {"PATH": os.defpath}, root=root)


def run_of(**claim: Any) -> Run:
    return Run(RunKey("t-1", 1), Claim("orch/t-1-fix", "gemini", "Fix", 1.0, **claim))


def test_it_is_started_for_nobody_to_answer(tmp_path: Path) -> None:
    command = agent_of(tmp_path, model="pro", extra_args=("--debug",)).command(run_of(), tmp_path, tmp_path)
    assert command.argv == (
        *("gemini", "--output-format=stream-json", "--approval-mode=yolo", "--skip-trust"),
        *(f"--session-id={command.session_id}", "--model=pro", "--debug"),
    )
    assert command.last_words == {"result"}


def test_a_conversation_goes_on(tmp_path: Path) -> None:
    command = agent_of(tmp_path, permission_mode="auto_edit").command(
        run_of(resume=SESSION, model="flash"), tmp_path, tmp_path
    )
    assert command.argv[2:] == (
        *("--approval-mode=auto_edit", "--skip-trust", f"--resume={SESSION}", "--model=flash"),
    )
    assert command.session_id == SESSION


def test_a_good_run(tmp_path: Path) -> None:
    verdict = play(*STREAM).verdict(OK, tmp_path)
    assert (verdict.ok, verdict.tokens, verdict.turns) == (True, 250, 1)
    assert (verdict.session_id, verdict.summary) == (SESSION, "Done.")


@pytest.mark.parametrize(
    ("number", "text"),
    [(2, ""), (3, "I will"), (4, "I will look."), (5, "run_shell_command: ls"), (7, "Done.")],
)
def test_what_it_is_doing(number: int, text: str) -> None:
    activity = play(*STREAM[:number]).activity()
    assert (activity.text, activity.done) == (text, False)


def test_it_is_done_when_it_has_told_its_result() -> None:
    assert play(*STREAM).activity().done
    assert not play(*STREAM, STREAM[0]).activity().done


@pytest.mark.parametrize(
    ("code", "said", "cause"),
    [
        (41, "Please set an Auth method in your settings.json", Cause.AUTHENTICATION),
        (41, "", Cause.AUTHENTICATION),
        (53, "Reached max session turns", Cause.MAX_TURNS),
        (42, "Error resuming session: No previous sessions found for this project.", Cause.SESSION),
        (1, "Resource has been exhausted (e.g. check quota).", Cause.USAGE_LIMIT),
    ],
)
def test_one_that_never_began_says_why_on_stderr(tmp_path: Path, code: int, said: str, cause: Cause) -> None:
    (tmp_path / "stderr.log").write_text(f"YOLO mode is enabled.\n{said}\n" if said else "")
    verdict = play().verdict(Exit(EndReason.EXITED, code=code), tmp_path)
    assert (verdict.ok, verdict.cause) == (False, cause)
    assert verdict.reason == (said or f"exit code {code}")


def test_a_bad_result_tells_why(tmp_path: Path) -> None:
    error = {"type": "error", "severity": "error", "message": "loop detected"}
    bad = {
        "type": "result",
        "status": "error",
        "error": {"type": "E", "message": "[API Error: 503 overloaded]"},
    }
    verdict = play(STREAM[0], error, bad).verdict(Exit(EndReason.EXITED, code=1), tmp_path)
    assert (verdict.cause, verdict.reason) == (Cause.UNAVAILABLE, "[API Error: 503 overloaded]")
    silent = {"type": "result", "status": "error"}
    assert play(error, silent).verdict(Exit(EndReason.EXITED, code=1), tmp_path).reason == "loop detected"


def test_a_warning_on_the_way_is_not_the_end(tmp_path: Path) -> None:
    warning = {"type": "error", "severity": "warning", "message": "slow"}
    assert play(STREAM[0], warning, *STREAM[1:]).verdict(OK, tmp_path).ok


@pytest.mark.parametrize(
    "line", [b"", b"YOLO mode", b'{"type": "message", "role": "assistant", "content": 7}']
)
def test_any_line_is_let_pass(line: bytes) -> None:
    progress = GeminiProgress(Path())
    progress.take(line)
    assert progress.activity().text == ""
