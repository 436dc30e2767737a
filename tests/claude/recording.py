"""Records what the real claude prints, as test data; `tools/claude record` starts it.

Each scene is one run of the binary against a loopback API. Lists of `init` are cut, and what differs from
machine to machine (folders, process ids) is replaced.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.claude.binary import BINARY, PACKAGE, missing
from tests.claude.messages_api import Ask, Refuse, Reply, Say, bash, messages_api, usage_limit
from tests.claude.world import KEY, TOKEN, commit

FOLDER = Path(__file__).resolve().parents[1] / "data" / "claude"
SESSION = "4af9af99-d13c-5946-a35d-b18dcc39faf5"
UNKNOWN = "00000000-0000-5000-8000-000000000000"
SECONDS = 300
LIST_ITEMS = 3
"""Of a list in `init` that are kept."""


def _commits(ask: Ask) -> Reply:
    return bash(commit("hello")) if ask.turn == 0 else Say("done")


def _refuses(status: int, kind: str, message: str) -> Callable[[Ask], Reply]:
    return lambda _: Refuse(status, kind, message)


@dataclass(frozen=True)
class Scene:
    """One run."""

    script: Callable[[Ask], Reply]
    words: tuple[str, ...] = ("--session-id", SESSION)
    env: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[Ask], Reply] | None = None
    """What an earlier run of the same conversation is told."""
    mode: str = "bypassPermissions"


RESUMED = ("--resume", SESSION)
QUICK = {"CLAUDE_CODE_MAX_RETRIES": "2"}
SUBSCRIPTION = {"ANTHROPIC_API_KEY": "", "CLAUDE_CODE_OAUTH_TOKEN": TOKEN}
NO_CREDIT = "Your credit balance is too low to access the Anthropic API."
TOO_LONG = "prompt is too long: 250000 tokens > 200000 maximum"

SCENES: Mapping[str, Scene] = {
    "commit": Scene(_commits),
    "resumed": Scene(lambda _: Say("more"), RESUMED, before=_commits),
    "resumed_unknown": Scene(_commits, ("--resume", UNKNOWN)),
    "session_used": Scene(_commits, before=_commits),
    "max_budget": Scene(
        lambda ask: bash(f"echo {ask.turn}"), ("--session-id", SESSION, "--max-budget-usd", "0.01")
    ),
    "max_turns_2": Scene(lambda ask: bash(f"echo {ask.turn}"), ("--session-id", SESSION, "--max-turns", "2")),
    "model_unknown": Scene(
        _refuses(404, "not_found_error", "model: nothing-such"),
        ("--session-id", SESSION, "--model", "nothing-such"),
    ),
    "no_credit": Scene(_refuses(400, "invalid_request_error", NO_CREDIT)),
    "payment": Scene(_refuses(402, "billing_error", "Payment required")),
    "not_logged_in": Scene(_commits, env={"ANTHROPIC_API_KEY": ""}),
    "forbidden": Scene(_refuses(403, "permission_error", "OAuth token revoked")),
    "bad_key": Scene(_refuses(401, "authentication_error", "invalid x-api-key"), env=QUICK),
    "prompt_too_long": Scene(_refuses(400, "invalid_request_error", TOO_LONG)),
    "too_large": Scene(_refuses(413, "request_too_large", "Request exceeds the maximum size")),
    "bad_request": Scene(_refuses(400, "invalid_request_error", "tools.3: bad")),
    "refusal": Scene(lambda _: Say("no", "refusal")),
    "overloaded": Scene(_refuses(529, "overloaded_error", "Overloaded"), env=QUICK),
    "server_error": Scene(_refuses(500, "api_error", "Internal server error"), env=QUICK),
    "no_server": Scene(_commits, env={**QUICK, "ANTHROPIC_BASE_URL": "http://127.0.0.1:1"}),
    "rate_limit_of_a_key": Scene(_refuses(429, "rate_limit_error", "slow down"), env=QUICK),
    "weekly_limit": Scene(lambda _: usage_limit(time.time() + 86_400, window="seven_day"), env=SUBSCRIPTION),
    "too_many_tokens_out": Scene(lambda _: Say("and so on", "max_tokens")),
    "denied": Scene(lambda ask: bash("touch x.txt") if ask.turn == 0 else Say("I may not."), mode="dontAsk"),
    "unknown_option": Scene(_commits, ("--nonsense",)),
}


def record(name: str, scene: Scene) -> dict[str, Any]:
    """Play a scene; gives {stdout, stderr, exit_code} with everything local replaced."""
    with tempfile.TemporaryDirectory() as folder, messages_api(scene.script) as api:
        home, tree = Path(folder) / "home", Path(folder) / "work"
        for path in (home, tree):
            path.mkdir()
        identity = ["-c", "user.name=Dev", "-c", "user.email=dev@example.com"]
        for words in (["init", "-qb", "main"], [*identity, "commit", "-qm", "Start", "--allow-empty"]):
            subprocess.run(["git", *words], cwd=tree, check=True)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "IS_SANDBOX": "1",
            "ANTHROPIC_BASE_URL": api.url,
            "ANTHROPIC_API_KEY": KEY,
            "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in WHO},
            **scene.env,
        }
        if scene.before is not None:
            api.script = scene.before
            _run(("--session-id", SESSION), "bypassPermissions", tree, env)
            api.script = scene.script
        done = _run(scene.words, scene.mode, tree, env)
        replaced = {str(home): "/home/dev", str(tree): "/home/dev/work", api.url: "http://127.0.0.1:8080"}
        replaced |= {text.replace("/", "-"): new.replace("/", "-") for text, new in replaced.items()}
        replaced[api.url.rpartition("/")[2]] = "127.0.0.1:8080"

    def clean(text: str) -> str:
        for old, new in replaced.items():
            text = text.replace(old, new)
        return re.sub(r"cc-socks/\d+", "cc-socks/4711", text)

    lines = [json.dumps(_trim(json.loads(line)), separators=(",", ":")) for line in done.stdout.splitlines()]
    sys.stderr.write(f"claude: recorded {name}, {len(lines)} lines, exit code {done.returncode}\n")
    return {
        "stdout": "".join(clean(line) + "\n" for line in lines),
        "stderr": clean(done.stderr),
        "exit_code": done.returncode,
    }


WHO = (("NAME", "Dev"), ("EMAIL", "dev@example.com"))


def _run(
    words: tuple[str, ...], mode: str, tree: Path, env: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [
            *(str(BINARY), "-p", "--output-format", "stream-json", "--verbose"),
            *("--permission-mode", mode, "--setting-sources", "", *words),
        ],
        cwd=tree,
        env=env,
        input="Say hello.",
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def _trim(event: dict[str, Any]) -> dict[str, Any]:
    if event.get("subtype") != "init":
        return event
    return {
        name: value[:LIST_ITEMS] if isinstance(value, list) else value
        for name, value in event.items()
        if name != "terminal_slash_commands"
    }


def main() -> int:
    """Record every scene; exit code 1 where the binary is not there."""
    if reason := missing():
        sys.stderr.write(f"claude: {reason}\n")
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, scene in SCENES.items():
        found = record(name, scene)
        (FOLDER / f"{name}.jsonl").write_text(found.pop("stdout"))
        meta = {"run": name, **found, "version": PACKAGE.version, "trimmed": f"init lists to {LIST_ITEMS}"}
        (FOLDER / f"{name}.meta.json").write_text(json.dumps(meta, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
