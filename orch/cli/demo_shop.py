"""The sample project of the demo: a bakery's web site, its origin, its queue, and an agent to play."""

import json
import os
from pathlib import Path

TASKS = """\
# Tasks of the bakery

## Pending

[] t-1: Fix the crash when nothing is left to sell {p0}
[] t-2: Write the price list {p1}
[] t-3: Translate the price list {p1, after:t-2}
   It must be there in French before the season starts.
[] t-4: Add the opening hours {p2}
[] t-5: Choose a payment provider {p2}
[] t-6: Tidy up the old notes {p3}
[] t-7: Tell the story of the sourdough {p3}
[] t-8: Draw a map of the way to the shop {p4}

## Active

## Completed Today

## Failed

## Blocked
"""
"""One dependency (t-3), one that fails once (t-4), one that blocks itself (t-5), one without work (t-6)."""

CONFIG = """\
[coordinator]
max_concurrent_workers = 3
drain = "stop"

[forge]
kind = "local"
base_branch = "main"

[agent]
default = "demo"

[agents.demo]
kind = "command"
command = ["sh", AGENT]

[limits]
min_free_memory_mb = 0
min_free_disk_mb = 0

[retry]
max_attempts = 2
initial_seconds = 1
"""

AGENT = r"""# Plays a coding agent for `orch demo`. A real one reads the prompt (on stdin, or in
# $ORCH_PROMPT_FILE), works in the folder that it is started in, and commits; so does this one.
set -eu

say() {
    echo "$1"
    sleep 0.6
}

deliver() {
    say "writing pages/$1.md"
    mkdir -p pages
    printf '# %s\n\nMade by %s, attempt %s.\n' "$2" "$ORCH_TASK_ID" "$ORCH_ATTEMPT" > "pages/$1.md"
    say "checking the links"
    git add pages
    git commit --quiet --message "$2"
    say "committed: $2"
}

say "reading $(wc -l < "$ORCH_PROMPT_FILE" | tr -d ' ') lines of prompt"
case $ORCH_TASK_ID in
    t-1) deliver sold-out "Say that everything is sold" ;;
    t-2) deliver prices "Prices of bread and cake" ;;
    t-3) deliver prix "Prix du pain et des gateaux" ;;
    t-4)
        if [ "$ORCH_ATTEMPT" = 1 ]; then
            say "asking the oven for its timetable"
            echo "the oven does not answer" >&2
            exit 1
        fi
        deliver hours "Opening hours"
        ;;
    t-5)
        say "comparing the providers"
        echo "Two providers fit: one is cheaper, one is faster. Which one shall it be?" > BLOCKED.md
        ;;
    t-6) say "the notes are tidy already" ;;
    t-7) deliver sourdough "The story of our sourdough" ;;
    t-8) deliver map "The way to the shop" ;;
    *) deliver "$ORCH_TASK_ID" "Work on $ORCH_TASK_ID" ;;
esac
"""


def make_shop(folder: Path) -> Path:
    """Make the project `shop`, its bare `origin.git` and the `agent.sh` in `folder`; gives the project.

    The committer is set in the repository itself, so it works where git does not know any.
    """
    from git import Repo

    shop = folder / "shop"
    with Repo.init(folder / "origin.git", bare=True, initial_branch="main"):
        pass
    with Repo.init(shop, initial_branch="main") as repo:
        with repo.config_writer() as config:
            config.set_value("user", "name", "Demo")
            config.set_value("user", "email", "demo@example.invalid")
            config.set_value("commit", "gpgsign", "false")
            # Hooks that a person's git template brings along are not meant for a toy.
            config.set_value("core", "hooksPath", os.devnull)
        (shop / "README.md").write_text("# The bakery\n\nA web site with a page for everything.\n")
        repo.git.add("README.md")
        repo.git.commit("--quiet", "--message", "Open the bakery")
        repo.create_remote("origin", str(folder / "origin.git"))
        repo.git.push("--quiet", "--set-upstream", "origin", "main")
    (folder / "agent.sh").write_text(AGENT)
    (shop / "config.toml").write_text(CONFIG.replace("AGENT", json.dumps(str(folder / "agent.sh"))))
    (shop / "tasks.md").write_text(TASKS)
    return shop
