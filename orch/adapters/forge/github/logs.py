"""The ends of the logs of failed jobs. They lie elsewhere, and may be huge."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orch.adapters import tails
from orch.adapters.forge.github.connection import TIMEOUT_SECONDS
from orch.adapters.forge.github.failures import DeniedError, one_line
from orch.adapters.forge.github.hub import Hub
from orch.core.forge import Job
from orch.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from requests import PreparedRequest

KEPT_BYTES = 256 * 1024
"""Of the end of a log: what comes after the failure, cleaning up, may be long."""
LARGEST_BYTES = 64 * 1024 * 1024
"""More is not read."""
SECONDS = 60.0
"""For one log, whole."""
SHOWN_LINES = 100
SHOWN_CHARACTERS = 12_000

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_TIME = re.compile(r"^\ufeff?\d{4}-\d\d-\d\dT[\d:.]+Z ?", re.MULTILINE)
"""What GitHub puts before each line."""
_ERROR = "##[error]"
_NOISE = re.compile(r"^##\[(?:group|endgroup|debug|section|command)\]", re.MULTILINE)


def fetch(hub: Hub, jobs: Sequence[Job]) -> Mapping[str, str]:
    """See `ports.Reviews.tails`."""
    found = {}
    for job in jobs:
        if job.id and (text := _fetch(hub, job.id)):
            found[job.name] = text
    return found


def tail(text: str) -> str:
    """The last lines of a log up to its last error, clean."""
    lines = [line.rstrip() for line in tails.clean(_TIME.sub("", text)).split("\n")]
    errors = [number for number, line in enumerate(lines) if line.startswith(_ERROR)]
    if errors:
        lines = lines[: errors[-1] + 1]
    lines = [_NOISE.sub("", line) for line in lines if not line.startswith("##[endgroup]")]
    return "\n".join(lines[-SHOWN_LINES:]).strip()[-SHOWN_CHARACTERS:]


def _fetch(hub: Hub, job: int) -> str:
    try:
        answer = hub.connection.read_answer(hub.path(f"/actions/jobs/{job}/logs"))
    except (PermanentError, DeniedError):
        return ""  # It is too old, of another app than Actions, or the token may not read it.
    if answer.status != 302:
        return tail(answer.text)
    return tail(_download(answer.headers.get("location", "")).decode("utf-8", "replace"))


def _download(url: str) -> bytes:
    """The end of what lies at an address for which no token is needed, and none is sent.

    The address itself lets its holder read the log, so it is in no message.
    """
    import requests

    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise TransientError("GitHub's address of a log makes no sense")
    deadline = time.monotonic() + SECONDS
    end = bytearray()
    with requests.Session() as session:
        # Without this, a password of ~/.netrc would be sent.
        session.auth = _nobody
        try:
            with session.get(url, stream=True, timeout=TIMEOUT_SECONDS, allow_redirects=False) as answer:
                if answer.status_code != 200:
                    return b""
                size = 0
                for piece in answer.iter_content(64 * 1024):
                    size += len(piece)
                    end += piece
                    del end[:-KEPT_BYTES]
                    if size > LARGEST_BYTES or time.monotonic() > deadline:
                        break
        except (requests.RequestException, OSError) as error:
            reason = one_line(str(error)).replace(parts.query, "...") if parts.query else type(error).__name__
            raise TransientError(f"a log cannot be read from {host}: {reason}") from None
    return bytes(end)


def _nobody(request: "PreparedRequest") -> "PreparedRequest":
    return request
