"""How a command ends, and how a failure is told.

0 done, 1 an expected failure, 2 wrong usage, 3 a bug, 130 ^C, 141 nobody reads the output any more.
"""

import errno
import os
import sys
import time
from pathlib import Path

from orch.cli.root import find_root
from orch.dashboard.plain import printable
from orch.errors import OrchError

FAILED = 1
BUG = 3
INTERRUPTED = 130
"""128 + SIGINT, as a shell says it."""
CLOSED_PIPE = 141
"""128 + SIGPIPE: what `git log | head -1` ends with."""
NO_READER = frozenset({errno.EPIPE, errno.EIO})
"""The other end of the pipe is closed (EPIPE), or the terminal is gone (EIO): nobody is left to be told."""
OUTPUT_LOST = NO_READER | {errno.ENOSPC, errno.EDQUOT}
"""What writing to stdout fails with. A full disk behind `> file` is told: that file is not whole."""


def report(error: OrchError) -> int:
    """Tell an expected failure on stderr. Gives the exit code."""
    print(f"orch: {printable(error.message)}", file=sys.stderr)
    if error.hint:
        print(f"hint: {printable(error.hint)}", file=sys.stderr)
    return FAILED


def report_lost_output(error: OSError) -> int:
    """Tell that the output could not be written, if anybody may be there to read it. Gives the exit code."""
    if error.errno in NO_READER:
        return CLOSED_PIPE
    return report(OrchError(f"the output cannot be written: {error.strerror}"))


def warn(message: str) -> None:
    """Tell something that a person should know, and go on."""
    print(f"orch: warning: {printable(message)}", file=sys.stderr)


def report_bug(error: BaseException, start: Path) -> int:
    """Write the traceback of a bug into a file and tell its path on stderr. Gives the exit code.

    The file lies in `.orch/crashes` of the project around `start`, or in the temporary folder where
    there is no project, or none that can be written.
    """
    import tempfile
    import traceback

    text = _without_secrets("".join(traceback.format_exception(error)))
    told = f"orch: this is a bug in orch ({type(error).__name__})"
    try:
        path = _write(_crash_folder(start), text)
    except OSError:
        try:
            path = _write(Path(tempfile.gettempdir()), text)
        except OSError:
            print(f"{told}, and its traceback cannot be written:\n{text}", file=sys.stderr)
            return BUG
    print(f"{told}; the traceback is in {path}", file=sys.stderr)
    return BUG


def _without_secrets(text: str) -> str:
    try:
        from orch.wiring import redact
    except Exception:  # noqa: BLE001 - the bug may be one of the modules that this needs
        return text
    return redact(text)


def _crash_folder(start: Path) -> Path:
    # No settings: they may be what is broken.
    root = find_root(start)
    if root is None or not (root / ".orch").is_dir():
        raise FileNotFoundError(start)
    folder = root / ".orch" / "crashes"
    folder.mkdir(exist_ok=True)
    return folder


def _write(folder: Path, text: str) -> Path:
    """A new file that only its owner can read: a traceback may quote what it should not."""
    import tempfile

    prefix = time.strftime("orch-crash-%Y%m%d-%H%M%S-")
    descriptor, name = tempfile.mkstemp(".txt", prefix, folder)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return Path(name)
