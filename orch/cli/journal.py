"""The log of a coordinator: one line for each event, as key=value pairs (logfmt)."""

import json
import logging
import logging.handlers
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orch.cli.failure import warn
from orch.dashboard.plain import printable

LOG_BYTES = 5_000_000
"""The log starts a new file after this much: a coordinator runs for months."""
LOG_FILES = 3
"""Older files that are kept."""
_BARE = re.compile(r"[^\s\"=]+")


class Logfmt(logging.Formatter):
    """`time=... level=info task=t-3 attempt=1 msg="..."`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line; a traceback is put into it, escaped."""
        pairs = [
            ("time", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))),
            ("level", record.levelname.lower()),
            ("task", str(getattr(record, "task", "") or "")),
            ("attempt", str(getattr(record, "run", "") or "")),
            ("msg", record.getMessage()),
        ]
        if record.exc_info:
            pairs.append(("trace", self.formatException(record.exc_info)))
        return " ".join(f"{key}={_quote(value)}" for key, value in pairs if value)


def _quote(value: str) -> str:
    if _BARE.fullmatch(value) and value.isprintable():
        return value
    lines = [printable(line) for line in value.splitlines()]
    return json.dumps("\n".join(lines), ensure_ascii=False)


@contextmanager
def keep_journal(path: Path, *, plain: bool) -> Iterator[None]:
    """Write what orch logs into the file `path`, and with `plain` onto stdout too.

    A file that cannot be written is told once; the work goes on without it.
    """
    handlers: list[logging.Handler] = []
    if plain:
        handlers.append(_Stdout())
    try:
        path.parent.mkdir(exist_ok=True)
        handlers.append(
            logging.handlers.RotatingFileHandler(
                path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", errors="replace"
            )
        )
    except OSError as error:
        warn(f"{path} cannot be written, there is no log: {error.strerror}")
    log = logging.getLogger("orch")
    before = (logging.raiseExceptions, log.level, log.propagate)
    # A disk that fills up later must not put tracebacks over the dashboard.
    logging.raiseExceptions = False
    log.setLevel(logging.INFO)
    log.propagate = False
    for handler in handlers:
        handler.setFormatter(Logfmt())
        log.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()
        logging.raiseExceptions, level, log.propagate = before
        log.setLevel(level)


class _Stdout(logging.Handler):
    """Lines on stdout. A reader that has gone away ends nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), flush=True)
        except OSError:
            self.handleError(record)
