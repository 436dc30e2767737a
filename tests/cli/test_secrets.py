"""No secret ever: tokens are planted wherever one can come from, and all that was written is searched."""

import subprocess
from pathlib import Path

from tests.cli.command import DEADLINE, ENVIRONMENT, argv, git, wait_until


def token(letter: str) -> str:
    """What has the form of a GitHub token."""
    return "ghp_" + letter * 36


IN_TITLE, IN_NOTES, IN_REMOTE, PRINTED, BLOCKED = (token(letter) for letter in "ABCDE")
VERIFY, HOOK = token("F"), token("G")
PLAIN = {
    "GH_TOKEN": "correct-horse-battery",
    "ANTHROPIC_API_KEY": "staple-of-the-api",
    "SERVICE_PASSWORD": "swordfish-of-the-env",
}
"""Of no form that could be known: only the names say what they are."""
IN_CONFIG = "tr0ub4dor-of-the-config"

AGENT = f"""\
echo "stdout {PRINTED} $ANTHROPIC_API_KEY $CONFIG_TOKEN"
echo "stderr {PRINTED} $ANTHROPIC_API_KEY $CONFIG_TOKEN" >&2
case $ORCH_TASK_ID in
t-1) exit 3 ;;
t-2) echo "may I use {BLOCKED} or $CONFIG_TOKEN?" > BLOCKED.md ;;
*) echo $ORCH_TASK_ID/$ORCH_ATTEMPT > x.txt; git add .; git commit -qm "with {PRINTED}" ;;
esac
"""
VERIFY_SCRIPT = f"echo verify {VERIFY}; ! grep t-3 x.txt\n"
HOOK_SCRIPT = f"echo 'hook {HOOK}' $ORCH_MESSAGE; env; exit 1\n"

CONFIG = f"""\
[agent]
default = "leaky"

[agents.leaky]
kind = "command"
command = ["sh", "../../../agent"]
env_pass = ["ANTHROPIC_API_KEY"]
env = {{ CONFIG_TOKEN = "{IN_CONFIG}" }}

[verify]
command = "sh ../../../verify"

[hooks]
on_failed = "sh ../hook"
on_blocked = "env; exit 1"

[limits]
min_free_memory_mb = 0
min_free_disk_mb = 0

[retry]
max_attempts = 2
initial_seconds = 0.1
max_seconds = 0.1
"""


TASKS = f"""\
## Pending

[] t-1: Use {IN_TITLE} to log in
   The key is {IN_NOTES}
[] t-2: Ask
[] t-3: Fail to verify
[] t-4: Fail to push {{agent:leaky}}
"""

OVER = (
    *("failed exit code 3", "blocked ", "127.0.0.1"),
    *("the hook on_failed failed", "the hook on_blocked failed"),
    "verify",
)
"""What the log says when everything has happened; the last task can never be pushed."""

OWN = {
    "tasks.md": {IN_TITLE, IN_NOTES},  # the person's own words, which orch does not change
    "config.toml": {IN_CONFIG},
    "prompt.md": {IN_TITLE, IN_NOTES},  # what the agent is told is what the person wrote
    "claim.json": {IN_TITLE},
    # What a program itself has printed lies in its own file, unchanged; see the README.
    "stdout.jsonl": {PRINTED, IN_CONFIG, PLAIN["ANTHROPIC_API_KEY"]},
    "stderr.log": {PRINTED, IN_CONFIG, PLAIN["ANTHROPIC_API_KEY"]},
    "verify.log": {VERIFY},
    "BLOCKED.md": {BLOCKED, IN_CONFIG},
    "on_failed.log": {HOOK},
}
"""By file name: what may stand in there, because a person or a program has put it there itself."""


def test_no_secret_gets_into_anything_that_orch_writes(repository: Path) -> None:
    (repository / "config.toml").write_text(CONFIG)
    for name, text in (("agent", AGENT), ("verify", VERIFY_SCRIPT), ("hook", HOOK_SCRIPT)):
        (repository.parent / name).write_text(text)
    (repository / "tasks.md").write_text(TASKS)
    push = f"https://me:{IN_REMOTE}@127.0.0.1:9/shop.git"
    git(repository, "remote", "set-url", "--push", "origin", push)
    everything = {IN_TITLE, IN_NOTES, IN_REMOTE, PRINTED, BLOCKED, VERIFY, HOOK, IN_CONFIG, *PLAIN.values()}
    log = repository / ".orch" / "orch.log"
    command = argv("run", "--plain")
    with subprocess.Popen(
        command,
        cwd=repository,
        env={**ENVIRONMENT, **PLAIN},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            wait_until(lambda: log.exists() and all(text in log.read_text() for text in OVER), f"{OVER}")
        finally:
            process.terminate()
            said = {"run": process.communicate(timeout=DEADLINE)[0]}
    for command in (["status"], ["status", "--json"], ["doctor"], ["config", "check"], ["show", "t-4"]):
        told = subprocess.run(
            argv(*command), cwd=repository, env={**ENVIRONMENT, **PLAIN}, capture_output=True, check=False
        )
        said[" ".join(command)] = (told.stdout + told.stderr).decode()
    files = [path for path in repository.rglob("*") if path.is_file() and ".git" not in path.parts]
    found = {
        (path.name, secret)
        for path in files
        # Versions of tasks.md that a late edit may still bring back lie beside it for some seconds.
        for secret in everything - OWN.get("tasks.md" if path.parent.name == "replaced" else path.name, set())
        if secret.encode() in path.read_bytes()
    }
    assert not found
    shown = {
        (name, secret) for name, text in said.items() for secret in everything - {IN_TITLE} if secret in text
    }
    assert not shown
    names = {path.name for path in files}
    assert {
        "events.jsonl",
        "orch.log",
        "metrics.json",
        "outcome.json",
        "on_failed.log",
        "on_blocked.log",
    } <= names
