"""The files that `orch init` writes."""

_HEAD = """\
# The settings of orch for this repository. Everything that is not here has its default;
# the README of orch lists every key, and `orch config check` finds mistakes.

[coordinator]
max_concurrent_workers = 3

"""

_CLAUDE = """\
[agent]
default = "claude"

# Claude Code, with the login of the user who runs orch. Nobody is there to answer, so it asks nobody: it may
# do everything that this user may on this machine, unless permission_mode says less. What it is then not
# allowed fails.
[agents.claude]
kind = "claude"
# permission_mode = "acceptEdits"
# model = "sonnet"
# fallback = "model:haiku"
# env_pass = ["ANTHROPIC_API_KEY"]
"""

_EXAMPLE = '''\
[agent]
default = "example"

# An agent is any program that reads its task on standard input (it is in the file $ORCH_PROMPT_FILE
# too), works in the folder it is started in, and commits. This one is no intelligence at all: it
# writes its task into a file and commits that, so that you can see a task go all the way.
[agents.example]
kind = "command"
command = ["sh", "-c", """
cat "$ORCH_PROMPT_FILE" > "$ORCH_TASK_ID.md" &&
git add -- "$ORCH_TASK_ID.md" &&
git commit --quiet -m "$ORCH_TASK_ID: written down by the example agent"
"""]

# Then name your own agent above as the default. claude, codex and gemini are known; each is started so that
# it asks nobody, and may do what you may (permission_mode says less). Any other program: kind = "command".
#
# [agents.claude]
# kind = "claude"
'''

_TAIL = """\
#
# To try another command once, without changing this file:
#     AGENT_COMMAND='my-agent --yes' orch run

# What may be spent. At a task's limit it is blocked, at the day's all wait for midnight. `orch cost` sums up.
# [budget]
# per_task_usd = 5
# per_day_usd = 50

# The project's own proof that the work is good: it runs in the worktree after the agent, and the
# attempt fails unless it exits with 0.
# [verify]
# command = "make test"
"""

DEFAULT_CONFIG = _HEAD + _EXAMPLE + _TAIL
CLAUDE_CONFIG = _HEAD + _CLAUDE + _TAIL
"""Where claude is installed."""

DEFAULT_TASKS = """\
# Tasks

<!--
Each task is one line. orch takes the most urgent one that is ready, gives it a worktree, a branch
and an agent, and writes the result back here. Edit this file whenever you like, also while orch
runs: add, reorder, delete (that stops a worker; its work is saved), or change a mark by hand.

    [] Fix the crash on an empty file             a task; orch gives it an id, such as t-1
    [] t-2: Describe the options {p0}             p0 is the most urgent, p9 the least, p2 the default
    [] t-3: Release {after:t-1, after:t-2}        waits until both are completed
    [] t-4: Port the parser {agent:example}       done by the agent of that name in config.toml
       Indented lines under a task are notes. They are given to the agent.
    [-] t-5: Not now                              skipped until the mark is [] again

The marks that orch sets: [🟡 worker] active, [✅ commit, worker] completed, [❌ worker] failed,
[⏰ worker] blocked. Change a failed or blocked one back to [] and it is tried again.
-->

## Pending

## Active

## Completed Today

## Failed

## Blocked
"""
