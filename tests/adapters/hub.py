"""The GitHub adapter's parts, over the fake GitHub."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from orch.adapters.forge.github.address import Address
from orch.adapters.forge.github.connection import Connection
from orch.adapters.forge.github.credentials import Credentials
from orch.adapters.forge.github.usage import Meter
from tests.github.fake import FakeGitHub

NAME = "acme/widget"
SECONDS = 30
"""How long the fake may take on a machine that is busy."""


def address_of(github: FakeGitHub) -> Address:
    return Address(github.api_url, github.url, NAME)


def credentials_of(github: FakeGitHub, environ: Mapping[str, str] | None = None) -> Credentials:
    return Credentials(address_of(github), {"GITHUB_TOKEN": github.token} if environ is None else environ)


@contextmanager
def connect(
    github: FakeGitHub,
    *,
    api_url: str = "",
    token: str = "",
    meter: Meter | None = None,
    timeout: int = SECONDS,
    pauses: tuple[float, ...] = (),
) -> Iterator[Connection]:
    """A connection that waits for nothing and repeats nothing, unless asked."""
    connection = Connection(
        api_url or github.api_url,
        credentials_of(github, {"GITHUB_TOKEN": token or github.token}),
        meter=meter,
        timeout=timeout,
        pauses=pauses,
        write_seconds=0,
    )
    try:
        yield connection
    finally:
        connection.close()
