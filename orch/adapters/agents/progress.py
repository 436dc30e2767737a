"""How far a worker has come, by the JSON lines that it prints: one file for each agent's dialect.

What is read last stays; every line is read once. Texts are untrusted and go to a terminal and into prompts,
so they are cleaned when somebody asks for them.
"""

from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Generic, Protocol, TypeVar

from orch.adapters import tails
from orch.adapters.agents.lines import Lines
from orch.core.model import Activity, Exit, Verdict

KEPT = 300
"""So many logs are remembered: more than workers may run at once."""
TEXT_LENGTH = 4_000
"""Characters of a text that are kept."""
SUMMARY_LENGTH = 2_000
"""Characters of what an agent said last."""
REASON_LENGTH = 300
"""Characters of a reason. The rules cut it further where it has to fit into a line."""


class Progress(Protocol):
    """What the lines so far say."""

    def take(self, line: bytes) -> None:
        """Take in one line. Whatever it is, nothing is raised."""

    def activity(self) -> Activity:
        """What the worker is doing."""

    def verdict(self, exit: Exit, directory: Path) -> Verdict:
        """How it ended; `directory` has its stderr.log."""


Kind = TypeVar("Kind", bound=Progress)


class _Log(Generic[Kind]):
    def __init__(self, path: Path, progress: Kind) -> None:
        self.lines = Lines(path)
        self.progress = progress
        self.activity: Activity | None = None
        """What was told last, while nothing new was printed."""
        self.lock = Lock()


class Logs(Generic[Kind]):
    """The progress of many runs. Any thread may ask."""

    def __init__(self, make: "Maker[Kind]") -> None:
        """`make` gives the progress of a run that has printed nothing yet."""
        self._make = make
        self._logs: OrderedDict[Path, _Log[Kind]] = OrderedDict()
        self._lock = Lock()

    def activity(self, directory: Path) -> Activity:
        """What a worker is doing. Costs one `stat` where it has printed nothing new."""
        log = self._find(directory)
        with log.lock:
            if log.activity is None or log.lines.is_new():
                self._catch_up(log, directory)
                log.activity = log.progress.activity()
            return log.activity

    def verdict(self, directory: Path, exit: Exit) -> Verdict:
        """How a run ended."""
        log = self._find(directory)
        with log.lock:
            self._catch_up(log, directory)
            if rest := log.lines.take_rest():
                # The last line of one that was killed may be whole all the same.
                log.progress.take(rest)
            return log.progress.verdict(exit, directory)

    def _find(self, directory: Path) -> _Log[Kind]:
        with self._lock:
            log = self._logs.get(directory)
            if log is None:
                log = self._logs[directory] = _Log(directory / "stdout.jsonl", self._make(directory))
            self._logs.move_to_end(directory)
            while len(self._logs) > KEPT:
                self._logs.popitem(last=False)
            return log

    def _catch_up(self, log: _Log[Kind], directory: Path) -> None:
        log.activity = None
        for line in log.lines.read():
            self._begin_anew(log, directory)
            log.progress.take(line)
        self._begin_anew(log, directory)

    def _begin_anew(self, log: _Log[Kind], directory: Path) -> None:
        """Forget what was read, if it was of another file."""
        if log.lines.replaced:
            log.progress = self._make(directory)
            log.lines.replaced = False


class Maker(Protocol[Kind]):  # type: ignore[misc]
    """Makes the progress of a run."""

    def __call__(self, directory: Path, /) -> Kind:
        """One that has seen nothing, of the run whose files lie in `directory`."""


def one_line(text: str, length: int = tails.LINE_LENGTH) -> str:
    """The beginning of a text as one clean line."""
    line = " ".join(tails.clean(text[:TEXT_LENGTH]).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def summary(text: str) -> str:
    """The end of a text, clean: an agent says at the end what came of it."""
    cleaned = tails.clean(text[-TEXT_LENGTH:]).strip()
    return cleaned if len(cleaned) <= SUMMARY_LENGTH else "…" + cleaned[1 - SUMMARY_LENGTH :]
