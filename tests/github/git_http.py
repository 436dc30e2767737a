"""git's smart HTTP, by git itself: `git http-backend` as a CGI program."""

import re
import subprocess
from pathlib import Path

from tests.github.repository import environment
from tests.github.traffic import Arrival, Reply

SECONDS = 60
"""How long one request of a git client may take."""
SETTINGS = {
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "http.receivepack",
    "GIT_CONFIG_VALUE_0": "true",
    "GIT_CONFIG_KEY_1": "receive.autogc",
    "GIT_CONFIG_VALUE_1": "false",
}
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}


ADDRESS = re.compile(r"/([^/]+/[^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)")
"""What git asks for, with or without `.git` in the address of the repository."""


def parse(path: str) -> tuple[str, str] | None:
    """`owner/name` and what git wants of it, None for a path that is not git's."""
    found = ADDRESS.fullmatch(path)
    return (found[1], found[2]) if found else None


def pushes(arrival: Arrival) -> bool:
    """Whether a request wants to push, and not only to fetch."""
    return arrival.path.endswith("/git-receive-pack") or arrival.query.get("service") == "git-receive-pack"


def unauthorized() -> Reply:
    """What makes git ask for a name and a password."""
    return Reply(401, {**PLAIN, "WWW-Authenticate": 'Basic realm="GitHub"'}, b"Invalid username or token.\n")


def refused(status: int, message: str) -> Reply:
    """An error whose text git shows as `remote: ...`."""
    return Reply(status, dict(PLAIN), f"{message}\n".encode())


def serve(repository: Path, rest: str, arrival: Arrival, login: str) -> Reply:
    """Let git answer; `rest` is what stands after the repository in the path."""
    done = subprocess.run(
        ["git", "http-backend"],
        env={
            **environment(),
            **SETTINGS,
            "GIT_PROJECT_ROOT": str(repository.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{repository.name}/{rest}",
            "REQUEST_METHOD": arrival.method,
            "QUERY_STRING": arrival.query_string,
            "CONTENT_TYPE": arrival.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(arrival.body)),
            "HTTP_CONTENT_ENCODING": arrival.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": arrival.headers.get("git-protocol", ""),
            "REMOTE_USER": login,
            "REMOTE_ADDR": "127.0.0.1",
        },
        input=arrival.body,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    headers = {}
    for line in head.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers[name] = value.strip()
    status = int(headers.pop("Status", "200").split(" ")[0])
    return Reply(status, headers, body)
