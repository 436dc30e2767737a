"""The log of a coordinator: one line for each event, as key=value pairs (logfmt)."""

import json
import logging
import logging.handlers
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orch.cli.failure import warn
from orch.coordinator.background import at_work_on
from orch.core.model import RunKey
from orch.dashboard.plain import printable

LOG_BYTES = 5_000_000
"""The log starts a new file after this much: a coordinator runs for months."""
LOG_FILES = 3
"""Older files that are kept."""
_BARE = re.compile(r"[^\s\"=]+")
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""Levels as syslog counts them: what journald takes from `<N>` at the start of a line (sd-daemon(3))."""


class Logfmt(logging.Formatter):
    """`time=... level=info task=t-3 run=t-3/2 worker=w-1a2b3c msg="..."`."""

    def __init__(self, *, clean: Callable[[str], str] = str, journald: bool = False) -> None:
        """`clean` takes secrets out of a text. journald keeps time and level itself."""
        super().__init__()
        self._clean = clean
        self._journald = journald

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line; a traceback is put into it, escaped."""
        run = getattr(record, "run", None)
        task = getattr(record, "task", "")
        if not task and not run:
            task, run = at_work_on()
        pairs = [
            ("time", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))),
            ("level", record.levelname.lower()),
            ("task", task),
            ("run", str(run or "")),
            ("worker", run.worker if isinstance(run, RunKey) else ""),
            ("msg", record.getMessage()),
        ]
        if record.exc_info:
            pairs.append(("trace", self.formatException(record.exc_info)))
        prefix = ""
        if self._journald:
            prefix, pairs = f"<{_PRIORITIES.get(record.levelno, 6)}>", pairs[2:]
        return prefix + " ".join(f"{key}={_quote(self._clean(value))}" for key, value in pairs if value)


def _quote(value: str) -> str:
    if _BARE.fullmatch(value) and value.isprintable():
        return value
    lines = [printable(line) for line in value.splitlines()]
    return json.dumps("\n".join(lines), ensure_ascii=False)


@contextmanager
def keep_journal(
    path: Path,
    *,
    plain: bool,
    level: str = "info",
    journald: bool = False,
    clean: Callable[[str], str] = str,
) -> Iterator[None]:
    """Write what orch logs into the file `path`, and with `plain` onto stdout too.

    `journald` says that stdout is read by it; `clean` takes secrets out of a text. A file that cannot be
    written is told once; the work goes on without it.
    """
    handlers: list[logging.Handler] = []
    if plain:
        handlers.append(_Stdout())
        handlers[0].setFormatter(Logfmt(clean=clean, journald=journald))
    try:
        path.parent.mkdir(exist_ok=True)
        file = logging.handlers.RotatingFileHandler(
            path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", errors="replace"
        )
        file.setFormatter(Logfmt(clean=clean))
        handlers.append(file)
    except OSError as error:
        warn(f"{path} cannot be written, there is no log: {error.strerror}")
    log = logging.getLogger("orch")
    before = (logging.raiseExceptions, log.level, log.propagate)
    # A disk that fills up later must not put tracebacks over the dashboard.
    logging.raiseExceptions = False
    log.setLevel(level.upper())
    log.propagate = False
    for handler in handlers:
        log.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()
        logging.raiseExceptions, level_before, log.propagate = before
        log.setLevel(level_before)


class _Stdout(logging.Handler):
    """Lines on stdout. A reader that has gone away ends nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), flush=True)
        except OSError:
            self.handleError(record)
