"""What `orch show` says about a task."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import typer

from orch.cli.reference import shorten
from orch.core.model import Run
from orch.core.tasks_md import Document
from orch.dashboard.digest import describe_follow, find_pull
from orch.dashboard.plain import printable, span
from orch.errors import OrchError

if TYPE_CHECKING:
    from orch.wiring import Project

LABEL = 10
"""Columns of the words on the left."""


def describe(
    project: "Project", name: str, document: Document | None, history: Sequence[Run]
) -> Iterator[str]:
    """The lines that say everything about a task; `document` is None where tasks.md cannot be read."""
    line = document.tasks.get(name) if document else None
    last = history[-1] if history else None
    title = line.title if line else (last.claim.title if last else "")
    yield typer.style(f"{name}  {printable(title)}", bold=True)
    if document is None or line is None:
        yield _pair("Status", "its line is not in tasks.md any more")
    else:
        yield _pair("Status", str(line.mark.status) + (" (live)" if last and last.live else ""))
        yield _pair("Priority", f"p{line.priority}")
        yield from _pairs("After", ", ".join(line.after))
        yield from _pairs("Agent", line.agent)
        yield from _pairs("Reason", line.fields.get("Reason", ""))
        yield from _pairs("Retry at", line.fields.get("Retry at", ""))
        yield from _pairs("Merged", line.fields.get("Merged", ""))
        yield _pair(
            "Line",
            f"{shorten(project.config.project.tasks_file, project.root)}:{document.lines_of([line])[0]}",
        )
        for number, note in enumerate(line.notes.splitlines()):
            yield _pair("" if number else "Notes", note)
    if last is None:
        yield _pair("Attempts", "none yet")
        return
    yield _pair("Branch", last.claim.branch)
    tree = project.config.project.trees / name
    if tree.is_dir():
        yield _pair("Worktree", shorten(tree, project.root))
    pull = next((found for run in reversed(history) if (found := find_pull(run))), None)
    # A run keeps what it saw at its end; a merge after that is written under the task's line.
    state = "merged" if line and "Merged" in line.fields else (pull.state if pull else "")
    if pull:
        yield _pair("Pull", f"#{pull.number} {state} {pull.url}")
    for run in history:
        yield from _describe_run(project, run)
    yield from _advise(project, name, history)
    if state == "open" and not last.live:
        yield f"orch merge {name}    take it"


def _describe_run(project: "Project", run: Run) -> Iterator[str]:
    outcome = run.outcome
    ended = str(outcome.kind) if outcome else str(run.phase)
    yield ""
    yield typer.style(f"Attempt {run.key.attempt}  {ended}", bold=True)
    yield _pair("Worker", f"{run.key.worker}, agent {run.claim.agent or 'unknown'}")
    yield from _pairs("Settles", describe_follow(run.claim.follow))
    started = run.process.started_at if run.process else (outcome.started_at if outcome else 0.0)
    if started:
        until = outcome.ended_at if outcome else time.time()
        yield _pair(
            "Started", f"{_moment(started)}, {'took' if outcome else 'since'} {span(until - started)}"
        )
    if run.process and not outcome:
        yield _pair("PID", str(run.process.pid))
    if run.exit:
        yield _pair("Exit", _describe_exit(run))
    if outcome:
        for number, text in enumerate(outcome.reason.splitlines()):
            yield _pair("" if number else "Reason", text)
        for number, text in enumerate(outcome.detail.strip().splitlines()):
            yield _pair("" if number else "Detail", text)
        yield from _pairs("Commit", outcome.commit)
        yield from _pairs("Saved", outcome.saved)
        if outcome.cost_usd or outcome.tokens:
            yield _pair("Cost", f"${outcome.cost_usd:.2f}, {outcome.tokens} tokens, {outcome.turns} turns")
        if outcome.retry_at is not None:
            yield _pair("Again at", _moment(outcome.retry_at))
    yield _pair("Files", shorten(project.runs.directory(run.key), project.root) + "/")


def _describe_exit(run: Run) -> str:
    if run.exit is None:
        return ""
    words = [str(run.exit.reason)]
    if run.exit.code is not None:
        words.append(f"code {run.exit.code}")
    if run.exit.signal is not None:
        words.append(f"signal {run.exit.signal}")
    if run.exit.peak_rss_bytes:
        words.append(f"{run.exit.peak_rss_bytes / 1024 / 1024:.0f} MB")
    if run.exit.message:
        words.append(run.exit.message)
    return ", ".join(words)


def _advise(project: "Project", name: str, history: Sequence[Run]) -> Iterator[str]:
    from orch import wiring

    yield ""
    yield f"orch logs {name}    what it printed"
    yield f"orch diff {name}    what it changed"
    try:
        works, orphans = wiring.saved_work(project, name)
    except OrchError:  # To look also works without git: what the attempts say is as good, if not all.
        saved = [run.outcome.saved for run in reversed(history) if run.outcome and run.outcome.saved]
    else:
        saved = [work.ref for work in works]
        for orphan in orphans:
            yield f"{shorten(orphan.path, project.root)}    put aside from where its worktree belongs"
    if saved:
        yield f"git show {saved[0]}    its uncommitted work, saved"
        yield f"orch restore {name}    bring it back (--list shows all that was saved)"


def _pairs(label: str, value: str) -> Iterator[str]:
    if value:
        yield _pair(label, value)


def _pair(label: str, value: str) -> str:
    return f"  {label:<{LABEL}}{printable(value)}"


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
