"""The live dashboard: draws the newest Snapshot from a thread of its own, never from the loop."""

import contextlib
import logging
import threading
import time
from dataclasses import replace
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live

from orch.core.state import Snapshot
from orch.dashboard.digest import Digest, make_digest
from orch.dashboard.view import View

REDRAW_SECONDS = 1.0
"""Ages tick this often though nothing happens."""
REST_SECONDS = 0.15
"""Between two drawings, so that a busy queue does not keep a small machine busy with drawing."""
CLOSE_SECONDS = 5.0
"""How long leaving waits for a terminal that takes no output (^S)."""

log = logging.getLogger(__name__)


class Screen:
    """A context in which `show` draws onto the terminal's second screen.

    The second screen survives a resize and leaves the person's scrollback alone for the days that
    it may stay open. Leaving it draws the last state once more onto the first one. A terminal that
    goes away, or a bug in the drawing, ends the drawing and nothing else.
    """

    def __init__(self, console: Console, name: str, hint: str = "") -> None:
        """`name` is what the project is called, `hint` a line on what a person can do."""
        self._console = console
        self._name = name
        self._hint = hint
        self._snapshot: Snapshot | None = None
        self._known: Digest | None = None
        """What was drawn last: most of the next drawing follows from it."""
        self._news = threading.Event()
        self._closing = threading.Event()
        self._fine = True
        self._thread = threading.Thread(target=self._draw, name="dashboard", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._news.set()
        self._thread.join(CLOSE_SECONDS)
        if self._snapshot is not None and self._fine and not self._thread.is_alive():
            with contextlib.suppress(OSError):
                last = replace(self._snapshot, draining=False)  # it is over: there is no second ^C
                self._console.print(self._view(last, None, ""))

    def show(self, snapshot: Snapshot) -> None:
        """Have a newer state drawn soon. Returns at once; any thread may call it."""
        self._snapshot = snapshot
        self._news.set()

    def _view(self, snapshot: Snapshot, height: int | None, hint: str) -> View:
        self._known = make_digest(snapshot, self._known)
        return View(self._known, time.time(), self._name, height, hint)

    def _draw(self) -> None:
        try:
            self._news.wait()
            if self._closing.is_set() and self._snapshot is None:
                return
            with Live(console=self._console, screen=True, auto_refresh=False) as live:
                while not self._closing.is_set():
                    self._news.clear()
                    if self._snapshot is not None:
                        view = self._view(self._snapshot, self._console.size.height, self._hint)
                        live.update(view, refresh=True)
                    self._closing.wait(REST_SECONDS)
                    self._news.wait(REDRAW_SECONDS - REST_SECONDS)
        except OSError as error:
            self._fine = False
            log.warning("the terminal is gone, nothing is drawn any more: %s", error)
        except Exception:
            self._fine = False
            log.exception("the dashboard cannot be drawn; everything else goes on")
