"""Plays `claude -p` from what the real one printed once: a program for tests of everything around it.

What it does in each attempt at a task stands in the file $SIGNS/plan-TASK, a line for each attempt:

    work               commits, and says that it is done
    limit [SECONDS]    has hit its usage limit, which ends in so many seconds; without them nobody knows when
    login              is not logged in
    spend USD          has cost so much, and goes on until it is ended
    wait               begins, and goes on until it is ended

After the last line it works. Conversations are files in $SIGNS; one that is not there cannot be gone on with.
"""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parents[1] / "data" / "claude"


def main() -> int:
    if "--version" in sys.argv:
        put("2.1.329 (Claude Code)")
        return 0
    signs, task = Path(os.environ["SIGNS"]), os.environ["ORCH_TASK_ID"]
    session = option("--resume") or option("--session-id")
    conversation = signs / f"conversation-{session}"
    if option("--resume") and not conversation.exists():
        sys.stderr.write(f"No conversation found with session ID: {session}\n")
        return 1
    prompt = sys.stdin.read()
    with conversation.open("a") as file:
        file.write(
            json.dumps(
                {"task": task, "attempt": os.environ["ORCH_ATTEMPT"], "prompt": prompt, "argv": sys.argv[1:]}
            )
        )
        file.write("\n")
    plan = signs / f"plan-{task}"
    steps = plan.read_text().splitlines() if plan.exists() else []
    place = int(os.environ["ORCH_ATTEMPT"]) - 1
    word, *more = (steps[place] if place < len(steps) else "work").split()
    match word:
        case "limit":
            ends_at = time.time() + float(more[0]) if more else 0
            replay("usage_limit_5h", session, resetsAt=ends_at)
            return 1
        case "login":
            replay("error_401", session)
            return 1
        case "spend":
            replay("success", session, until="result", total_cost_usd=float(more[0]), costUSD=float(more[0]))
            say(session, "Going on.")
            return wait(signs / task)
        case "wait":
            replay("success", session, until="assistant")
            return wait(signs / task)
        case _:
            Path(f"{task}.txt").write_text("done\n")
            subprocess.run(["git", "add", "--all"], check=True)
            subprocess.run(["git", "commit", "--quiet", "--message", f"Do {task}"], check=True)
            replay("success", session)
            return 0


def option(name: str) -> str:
    """The word after an option, '' where it is not given."""
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else ""


def replay(name: str, session: str, *, until: str = "", **values: Any) -> None:
    """Print a recorded run, as far as the first line of the type `until`, with other values for some keys."""
    for line in (RECORDED / f"{name}.jsonl").read_text().splitlines():
        found = change(json.loads(line), {"session_id": session, **values})
        put(json.dumps(found))
        if found["type"] == until:
            return


def say(session: str, text: str) -> None:
    message = {"id": f"msg_{uuid.uuid4().hex}", "content": [{"type": "text", "text": text}]}
    put(json.dumps({"type": "assistant", "session_id": session, "message": message}))


def put(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def change(value: Any, values: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: values.get(key, change(item, values)) for key, item in value.items()}
    return [change(item, values) for item in value] if isinstance(value, list) else value


def wait(sign: Path) -> int:
    """Go on until somebody ends it."""
    sign.write_text("working\n")
    signal.pause()
    return 1


if __name__ == "__main__":
    sys.exit(main())
