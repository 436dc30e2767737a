"""The GitHub adapter's parts, over the fake GitHub."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orch.adapters.forge.github.address import Address
from orch.adapters.forge.github.connection import Connection
from orch.adapters.forge.github.credentials import Credentials
from orch.adapters.forge.github.forge import GitHubForge, Opening
from orch.adapters.forge.github.hub import Hub
from orch.adapters.forge.github.reviews import GitHubReviews
from orch.adapters.forge.github.tracker import GitHubTracker
from orch.adapters.forge.github.usage import Meter
from orch.core.forge import Trust
from tests.adapters.repositories import CONFIG, REMOTE, Sample
from tests.github.fake import FakeGitHub
from tests.github.traffic import Reply

NAME = "acme/widget"
OPENING, TRUST = Opening(), Trust()
SECONDS = 30
"""How long the fake may take on a machine that is busy."""


def address_of(github: FakeGitHub) -> Address:
    return Address(github.url, NAME)


def credentials_of(github: FakeGitHub, environ: Mapping[str, str] | None = None) -> Credentials:
    return Credentials(github.url, {"GITHUB_TOKEN": github.token} if environ is None else environ)


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


def clone(github: FakeGitHub, folder: Path) -> Sample:
    """A person's checkout of the fake's repository, whose origin is the fake's own address."""
    sample = Sample(folder / "checkout")
    sample.git("clone", "--quiet", str(github.path), str(sample.root), where=folder)
    (sample.root / ".git" / "config").write_text(CONFIG + REMOTE.format(url=github.clone_url))
    sample.git("remote", "set-head", "origin", "main")
    return sample


@dataclass(frozen=True)
class Says:
    """A trouble: GitHub answers this, and does nothing."""

    status: int
    body: str
    after_write: bool = False

    def spoil(self, reply: Reply | None) -> Reply:
        return Reply(self.status, {"Content-Type": "application/json; charset=utf-8"}, self.body.encode())


@dataclass
class Desk:
    """Everything of the adapter over one fake GitHub, and a checkout of its repository."""

    github: FakeGitHub
    sample: Sample
    hub: Hub
    credentials: Credentials
    warnings: list[str]
    hands: Path
    now: Callable[[], float] = time.time

    def forge(self, *, opening: Opening = OPENING, issue_label: str = "") -> GitHubForge:
        """As after a restart: nothing is remembered."""
        return GitHubForge(
            self.hub,
            self.sample.root,
            base="main",
            credentials=self.credentials,
            opening=opening,
            issue_label=issue_label,
            warn=self.warnings.append,
        )

    def tracker(self, *, label: str = "orch", trust: Trust = TRUST) -> GitHubTracker:
        return GitHubTracker(self.hub, label=label, trust=trust, warn=self.warnings.append, now=self.now)

    def reviews(self, tracker: GitHubTracker | None = None) -> GitHubReviews:
        expect = tracker.expect if tracker is not None else lambda _: None
        return GitHubReviews(self.hub, self.sample.root, credentials=self.credentials, expect=expect)

    def commit(self, branch: str, name: str, text: str) -> str:
        """A worker commits to its branch, which begins at main."""
        there = self.sample.sha(f"refs/heads/{branch}")
        fresh = ["--no-track", "-b", branch, str(self.hands), "origin/main"]
        create = [str(self.hands), branch] if there else fresh
        self.sample.git("worktree", "add", "--quiet", *create)
        sha = self.sample.commit(name, text, where=self.hands)
        self.sample.git("worktree", "remove", str(self.hands))
        return sha


@contextmanager
def desk(
    github: FakeGitHub,
    folder: Path,
    *,
    now: Callable[[], float] = time.time,
    token: str = "",
    meter: Meter | None = None,
) -> Iterator[Desk]:
    """The adapter over the fake, without any waiting."""
    environ = {"GITHUB_TOKEN": token or github.token}
    credentials = credentials_of(github, environ)
    connection = Connection(
        github.api_url, credentials, meter=meter, timeout=SECONDS, pauses=(), write_seconds=0
    )
    sample = clone(github, folder)
    hub = Hub(lambda: address_of(github), connection)
    try:
        yield Desk(github, sample, hub, credentials, [], folder / "hands", now)
    finally:
        connection.close()
