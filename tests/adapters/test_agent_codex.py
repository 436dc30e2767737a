"""Codex: how it is started, and what its documented stream comes to."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from orch.adapters import git
from orch.adapters.agents import causes
from orch.adapters.agents.codex import CodexAgent, CodexProgress
from orch.config import AgentKind, AgentSettings
from orch.core.model import Cause, Claim, EndReason, Exit, Run, RunKey

SESSION = "0199a213-81c0-7800-8aa1-bbab2a035a53"
OK = Exit(EndReason.EXITED, code=0)
FAILED = Exit(EndReason.EXITED, code=1, ended_at=1000.0)

STREAM: list[dict[str, Any]] = [
    {"type": "thread.started", "thread_id": SESSION},
    {"type": "turn.started"},
    {"type": "item.completed", "item": {"id": "item_0", "type": "reasoning", "text": "**Searching**"}},
    {
        "type": "item.started",
        "item": {
            "id": "item_1",
            "type": "command_execution",
            "command": "bash -lc ls",
            "status": "in_progress",
        },
    },
    {
        "type": "item.completed",
        "item": {"id": "item_2", "type": "file_change", "changes": [{"path": "a.py"}]},
    },
    {"type": "item.completed", "item": {"id": "item_3", "type": "agent_message", "text": "I am done."}},
    {
        "type": "turn.completed",
        "usage": {"input_tokens": 24763, "cached_input_tokens": 24448, "output_tokens": 122},
    },
]
"""As OpenAI's docs/exec.md shows it."""


def play(*events: dict[str, Any], directory: Path = Path()) -> CodexProgress:
    progress = CodexProgress(directory)
    for event in events:
        progress.take(json.dumps(event).encode())
    return progress


def agent_of(root: Path, **more: Any) -> CodexAgent:
    settings = AgentSettings(kind=AgentKind.CODEX, **more)
    return CodexAgent("codex", settings, {"PATH": os.defpath}, root=root)


def run_of(**claim: Any) -> Run:
    return Run(RunKey("t-1", 1), Claim("orch/t-1-fix", "codex", "Fix", 1.0, **claim))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a linked worktree `trees/t-1`."""
    root = tmp_path / "repo"
    author = ["-c", "user.name=Dev", "-c", "user.email=dev@example.com"]
    for words in (
        ["init", "-q", str(root)],
        ["-C", str(root), *author, "commit", "-q", "--allow-empty", "-m", "Start"],
        ["-C", str(root), "worktree", "add", "-q", "-b", "work", str(root / "trees" / "t-1")],
    ):
        subprocess.run(["git", *words], check=True)
    return root


def test_it_is_started_in_its_sandbox_with_the_folders_that_a_commit_needs(
    repository: Path, tmp_path: Path
) -> None:
    agent = agent_of(repository, model="gpt", extra_args=("--skip-git-repo-check",))
    tree, common = repository / "trees" / "t-1", git.common_directory(repository)
    command = agent.command(run_of(), tmp_path, tree)
    assert command.argv == (
        *("codex", "exec", "--json", f"--cd={tree}", "--sandbox=workspace-write"),
        *(f"--add-dir={common}", f"--add-dir={common / 'worktrees' / 't-1'}"),
        *("--model=gpt", "--skip-git-repo-check", "-"),
    )
    assert command.session_id == ""
    assert command.last_words == {"turn.completed", "turn.failed"}


@pytest.mark.parametrize("pointer", ["gitdir: /", "gitdir: ../../..", "gitdir: ../../.git", "\udcff", None])
def test_a_worktree_opens_no_other_folder(repository: Path, tmp_path: Path, pointer: str | None) -> None:
    tree = repository / "trees" / "t-1"
    (tree / ".git").unlink()
    if pointer is not None:
        (tree / ".git").write_bytes(os.fsencode(pointer))
    argv = agent_of(repository).command(run_of(), tmp_path, tree).argv
    opened = [word for word in argv if word.startswith("--add-dir")]
    assert opened == [f"--add-dir={git.common_directory(repository)}"]


def test_a_conversation_goes_on_and_another_sandbox_needs_no_folder(tmp_path: Path) -> None:
    agent = agent_of(tmp_path, permission_mode="danger-full-access")
    command = agent.command(run_of(resume=SESSION, model="o5"), tmp_path, tmp_path)
    assert command.argv[3:] == (
        *(f"--cd={tmp_path}", "--sandbox=danger-full-access", "--model=o5", "resume", SESSION, "-"),
    )
    assert command.session_id == SESSION


def test_without_a_repository_it_is_started_all_the_same(tmp_path: Path) -> None:
    assert "--add-dir" not in " ".join(agent_of(tmp_path).command(run_of(), tmp_path, tmp_path).argv)


def test_a_good_run(tmp_path: Path) -> None:
    verdict = play(*STREAM).verdict(OK, tmp_path)
    assert (verdict.ok, verdict.cause, verdict.tokens, verdict.turns) == (True, Cause.NONE, 24885, 1)
    assert (verdict.session_id, verdict.summary) == (SESSION, "I am done.")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (2, ""),
        (3, "reasoning: **Searching**"),
        (4, "command execution: bash -lc ls"),
        (5, "file change: a.py"),
    ],
)
def test_what_it_is_doing(number: int, text: str) -> None:
    activity = play(*STREAM[:number]).activity()
    assert (activity.text, activity.done) == (text, False)


def test_it_is_done_when_its_turn_is() -> None:
    assert play(*STREAM).activity().done
    assert not play(*STREAM, {"type": "turn.started"}).activity().done


def test_the_usage_of_earlier_runs_of_a_conversation_is_taken_off(tmp_path: Path) -> None:
    def write(attempt: int, *events: dict[str, Any]) -> None:
        folder = tmp_path / str(attempt)
        folder.mkdir()
        (folder / "stdout.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))

    def ended(tokens: int) -> dict[str, Any]:
        return {"type": "turn.completed", "usage": {"input_tokens": tokens, "output_tokens": 1}}

    begun = {"type": "thread.started", "thread_id": SESSION}
    write(1, begun, ended(100))
    write(2, {"type": "thread.started", "thread_id": "other"}, ended(7))
    write(3, begun, {"type": "turn.started"})
    assert play(begun, ended(300), directory=tmp_path / "4").activity().tokens == 200
    assert play(begun, ended(300), directory=tmp_path / "1").activity().tokens == 301


def test_an_error_on_the_way_is_not_the_end(tmp_path: Path) -> None:
    error = {"type": "error", "message": "Reconnecting... 1/5 (stream disconnected before completion)"}
    assert play(*STREAM[:2], error).activity().text.startswith("Reconnecting... 1/5")
    assert play(*STREAM[:2], error, *STREAM[2:]).verdict(OK, tmp_path).ok


@pytest.mark.parametrize(
    ("message", "cause", "retry_at"),
    [
        ("You've hit your usage limit. Try again in 3 days 2 hours 5 minutes.", Cause.USAGE_LIMIT, 266_700),
        ("You\u2019ve hit your usage limit. Ask your admin.", Cause.USAGE_LIMIT, None),
        ("exceeded retry limit, last status: 429 Too Many Requests", Cause.USAGE_LIMIT, None),
        ("unexpected status 401 Unauthorized", Cause.AUTHENTICATION, None),
        ("Quota exceeded. Check your plan and billing details.", Cause.BILLING, None),
        ("stream disconnected before completion: connection refused", Cause.UNAVAILABLE, None),
        ("The model `x` does not exist", Cause.MODEL, None),
        ("Your input exceeds the context window of this model.", Cause.PROMPT_TOO_LONG, None),
        ("something new", Cause.OTHER, None),
    ],
)
def test_a_failure_has_the_cause_that_its_words_mean(
    tmp_path: Path, message: str, cause: Cause, retry_at: float | None
) -> None:
    failed = {"type": "turn.failed", "error": {"message": message}}
    verdict = play(*STREAM[:2], failed).verdict(FAILED, tmp_path)
    assert (verdict.ok, verdict.cause, verdict.reason) == (False, cause, message)
    assert verdict.retry_at == (retry_at and 1000.0 + retry_at)
    assert verdict.charged is (cause not in causes.FREE)


def test_what_it_says_on_stderr_counts_where_nothing_else_does(tmp_path: Path) -> None:
    (tmp_path / "stderr.log").write_text("Error: thread/resume failed: no rollout found for thread id 0199\n")
    verdict = play().verdict(FAILED, tmp_path)
    assert (verdict.cause, verdict.charged, verdict.session_id) == (Cause.SESSION, False, "")
    assert "no rollout found" in verdict.reason


def test_other_ends(tmp_path: Path) -> None:
    assert play(*STREAM[:3]).verdict(OK, tmp_path).cause is Cause.UNFINISHED
    assert play(*STREAM[:3]).verdict(FAILED, tmp_path).reason == "exit code 1"
    assert play({"type": "turn.failed"}).verdict(OK, tmp_path).reason == "it ended with an error"
    stopped = play(*STREAM[:6]).verdict(Exit(EndReason.STOPPED), tmp_path)
    assert (stopped.ok, stopped.charged, stopped.tail) == (False, False, "I am done.")


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"7", b'{"type": 7}', b'{"type": "item.started", "item": 3}']
)
def test_any_line_is_let_pass(line: bytes) -> None:
    progress = CodexProgress(Path())
    progress.take(line)
    assert progress.activity().tokens == 0


NOON = time.mktime((2026, 11, 20, 12, 0, 0, 0, 0, -1))


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("retry in 30s", 30),
        ("resets in 2h 5m", 7500),
        ("try again in 99999999 days", causes.LONGEST_SPAN),
        ("try again in a while", None),
        ("in 3 days", None),
        ("purchase more credits or try again at 3:28 PM.", 3 * 3600 + 28 * 60),
        ("try again at 12:00 PM", 24 * 3600),
        ("try again at 12:05 AM", 12 * 3600 + 5 * 60),
        ("try again at Nov 22nd, 2026 12:30 PM.", 48 * 3600 + 30 * 60),
        ("try again at Nix 22nd, 2026 12:30 PM.", None),
    ],
)
def test_when_a_message_says_to_try_again(message: str, seconds: float | None) -> None:
    assert causes.find_retry(message, NOON) == (seconds and NOON + seconds)
