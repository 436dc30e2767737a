"""`orch logs`: what a worker did and said."""

import codecs
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orch.cli import help as texts
from orch.cli.failure import CLOSED_PIPE
from orch.cli.harmless import defuse
from orch.cli.place import Place
from orch.cli.reference import TaskName, choose, known_ids
from orch.cli.tailing import Lines, Tail
from orch.errors import ConfigError

if TYPE_CHECKING:
    from orch.core.model import Run
    from orch.ports import Transcript
    from orch.wiring import Project

app = typer.Typer()
FOLLOW_SECONDS = 0.2
"""How often `-f` looks for more."""
RESET = "\x1b[0m"


@app.command(
    rich_help_panel=texts.WORK,
    epilog=texts.examples(
        "orch logs 471",
        "orch logs 471 -f                         until the task is over, further attempts included",
        "orch logs 471 --attempt 1 --stderr -n 50",
        "orch logs 471 --raw | jq -c .type",
    ),
)
def logs(
    context: typer.Context,
    task: TaskName,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the task is over.")] = False,
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", min=1, help="Another than the last one.")
    ] = None,
    stderr: Annotated[bool, typer.Option("--stderr", help="Only what it wrote to stderr.")] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="As it was printed: JSON, where the agent does.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Fold nothing.")] = False,
    lines: Annotated[
        int | None, typer.Option("-n", metavar="LINES", min=0, help="Begin with the last so many lines.")
    ] = None,
) -> None:
    """Show what the worker of a task did and said, then what it wrote to stderr.

    The conversation of claude, codex and gemini is shown as a person reads it, with the output of tools
    folded; anything else as it was printed. On a terminal, control sequences other than colours are made
    visible instead of obeyed.
    """
    place: Place = context.obj
    project = place.open(lenient=True)
    run: Run | None = _find(project, choose(task, known_ids(project)), attempt)
    try:
        while run is not None:
            _show(project, run, stderr=stderr, raw=raw, full=full, lines=lines, follow=follow)
            run = _wait_for_next(project, run) if follow and attempt is None else None
            lines = None
    except BrokenPipeError:
        # Typer would call that a failure.
        raise typer.Exit(CLOSED_PIPE) from None


def _show(
    project: "Project",
    run: "Run",
    *,
    stderr: bool,
    raw: bool,
    full: bool,
    lines: int | None,
    follow: bool,
) -> None:
    """Show the output of one attempt; with `follow` until it is over."""
    from orch import wiring

    folder = project.runs.directory(run.key)
    transcript = None if raw else wiring.find_transcript(project, run.claim.agent)
    files = [folder / "stderr.log"] if stderr else [folder / "stdout.jsonl", folder / "stderr.log"]
    output = Output(titled=len(files) > 1, transcript=transcript, full=full)
    tails = [Tail(path, lines) for path in files]
    while True:
        # Looked at before the files: what is written before the end is then read after it.
        over = any((folder / name).exists() for name in ("exit.json", "outcome.json"))
        for tail in tails:
            for piece in tail.read():
                output.write(tail.path, piece)
            if over or not follow:
                output.end(tail.path)
        output.flush()
        if over or not follow:
            break
        time.sleep(FOLLOW_SECONDS)
    output.close()


def _find(project: "Project", name: str, attempt: int | None) -> "Run":
    history: Sequence[Run] = project.runs.history(name)
    if not history:
        raise ConfigError(f"{name} was not started yet", hint="orch status shows the queue")
    if attempt is None:
        return history[-1]
    for run in history:
        if run.key.attempt == attempt:
            return run
    kept = ", ".join(str(run.key.attempt) for run in history)
    raise ConfigError(f"{name} has no attempt {attempt}", hint=f"there are: {kept}")


def _wait_for_next(project: "Project", run: "Run") -> "Run | None":
    """The attempt after one that is over; None once the task is over, or nobody works on the queue."""
    from orch import wiring

    while True:
        # Looked at first: what a coordinator did before it ended is then seen.
        works = wiring.coordinator_pid(project) is not None
        last = project.runs.load([run.key.task]).get(run.key.task)
        if last is None or (
            last.outcome is not None and last.outcome.retry_at is None and last.key == run.key
        ):
            return None
        if last.key.attempt > run.key.attempt:
            typer.echo(f"\n{typer.style(f'attempt {last.key.attempt}', bold=True)}")
            return last
        if not works:
            return None
        time.sleep(FOLLOW_SECONDS)


class Output:
    """stdout: raw bytes where it is a file or a pipe, harmless text where it is a terminal.

    A conversation is harmless text in any case.
    """

    def __init__(self, *, titled: bool, transcript: "Transcript | None" = None, full: bool = False) -> None:
        """With `titled` a line says on a terminal which file the following comes from.

        `transcript` reads stdout.jsonl as a conversation, folded unless `full`.
        """
        from orch.cli.conversation import Conversation

        self._terminal = sys.stdout.isatty()
        self._titled = titled and self._terminal
        self._decoders: dict[Path, codecs.IncrementalDecoder] = {}
        self._last: Path | None = None
        self._transcript = transcript
        self._lines = Lines()
        self._conversation = Conversation(full=full)

    def write(self, source: Path, piece: bytes) -> None:
        """Write a piece of a file."""
        if self._is_conversation(source):
            for line in self._lines.split(piece):
                self._tell(line)
            self._last = source
            return
        if not self._terminal:
            sys.stdout.flush()
            sys.stdout.buffer.write(piece)
            return
        if self._titled and source != self._last:
            sys.stdout.write(f"{RESET}==> {source.name} <==\n")
        self._last = source
        decoder = self._decoders.get(source)
        if decoder is None:
            decoder = self._decoders[source] = codecs.getincrementaldecoder("utf-8")("replace")
        sys.stdout.write(defuse(decoder.decode(piece)))

    def flush(self) -> None:
        """Have it seen."""
        sys.stdout.flush()

    def end(self, source: Path) -> None:
        """Nothing more comes from a file: write what has no line end."""
        if self._is_conversation(source):
            self._tell(self._lines.take_rest())

    def close(self) -> None:
        """Leave the terminal without a colour that was not ended."""
        if self._terminal:
            sys.stdout.write(RESET)
        sys.stdout.flush()

    def _is_conversation(self, source: Path) -> bool:
        return self._transcript is not None and source.name == "stdout.jsonl"

    def _tell(self, line: bytes | int) -> None:
        """Write a line of a conversation; of one that is too long only its length is known."""
        if isinstance(line, int):
            typer.echo(typer.style(f"── a line of {line:,} bytes is not shown (--raw has it)", dim=True))
        elif line and self._transcript is not None:
            for passage in self._transcript(line):
                for text in self._conversation.tell(passage):
                    typer.echo(text)
