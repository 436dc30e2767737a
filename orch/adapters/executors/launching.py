"""How the coordinator's side gets a launcher going."""

import contextlib
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path

from orch.adapters.executors import launcher

LOG = "launcher.log"
"""What a launcher complains about, in the run directory."""

_PROGRAM = """
import os, sys
sys.path.append(sys.argv[1].removesuffix("/orch/adapters/executors/launcher.py"))
from orch.adapters.executors.launcher import main
os._exit(main())
"""
"""As a script the launcher would be compiled for each worker; and nothing of it needs Python's own end. Both
together are a third of what it costs."""

START_SECONDS = 30.0
"""A launcher gets this long to publish run.json before `start` stops waiting. It takes 20 ms."""


def launch(
    orders: bytes, environment: dict[str, str], directory: Path
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a launcher; gives it and a file handle that says how it went (see `has_started`).

    The agent's environment is all that the launcher gets. Raises OSError.
    """
    ready, announce = os.pipe()
    try:
        # A file without a name: no limit as arguments have it, nothing left over, and the launcher
        # does not depend on us to go on writing.
        with tempfile.TemporaryFile(dir=directory) as source, (directory / LOG).open("ab") as log:
            source.write(orders)
            source.seek(0)
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, launcher.__file__],
                stdin=source,
                stdout=announce,
                stderr=log,
                env=environment,
                cwd="/",
                # ^C on the coordinator's terminal goes to its process group, not to this one.
                start_new_session=True,
            )
    except BaseException:
        os.close(ready)
        raise
    finally:
        os.close(announce)
    return child, ready


def has_started(ready: int) -> bool:
    """Wait until the launcher has published run.json; False where it ended without.

    True also after START_SECONDS: it is still on its way, on a very busy machine. Closes `ready`.
    """
    try:
        poll = select.poll()
        poll.register(ready, select.POLLIN)
        return not poll.poll(START_SECONDS * 1000) or os.read(ready, 1) != b""
    finally:
        os.close(ready)


def last_words(directory: Path) -> str:
    """What the launcher of a run said before it ended, one line."""
    with contextlib.suppress(OSError):
        if lines := (directory / LOG).read_text(errors="replace").splitlines():
            return lines[-1]
    return "it said nothing"
