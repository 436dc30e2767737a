"""The path on the real GitHub, and away again. Only where it is asked for:

    ORCH_LIVE_REPOSITORY=owner/name ORCH_LIVE_TOKEN=... python -m pytest -m live

The token needs to write contents, issues and pull requests of that repository, whose default branch stays as
it is: everything happens on a base branch made for the occasion. The same path is walked over the fake.
"""

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from orch.adapters.forge.github.checking import make_label
from orch.adapters.forge.github.parts import GitHub, make
from orch.config import load
from orch.core.forge import PullStatus, Reply, Sight, Telling, Wanted
from orch.ports import PullDraft
from tests.adapters.repositories import ENVIRONMENT, wait_for
from tests.github.fake import TOKEN, fake_github
from tests.github.packages import missing
from tests.github.routes import operations

REPOSITORY = os.environ.get("ORCH_LIVE_REPOSITORY", "")
LIVE_TOKEN = os.environ.get("ORCH_LIVE_TOKEN", "")
SECONDS = 120.0
"""How long GitHub may take to show what was done."""
LABEL = "orch-live-test"

CONFIG = """\
[forge]
kind = "github"
repository = "{repository}"
api_url = "{api}"
token_env = "ORCH_LIVE_TOKEN"
issue_label = "{label}"
base_branch = "{base}"
"""


@dataclass
class Place:
    """A checkout with its adapter, and a base branch of its own."""

    root: Path
    base: str
    parts: GitHub

    def git(self, *words: str) -> str:
        env = {**ENVIRONMENT, **self.parts.credentials.git_environment(), "GIT_TERMINAL_PROMPT": "0"}
        who = ("-c", "user.name=orch", "-c", "user.email=orch@example.invalid")
        done = subprocess.run(
            ["git", *who, *words], cwd=self.root, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, name: str) -> None:
        (self.root / name).write_text("one\ntwo\n")
        self.git("add", name)
        self.git("commit", "--quiet", "-m", f"Add {name}")

    def write(self, method: str, path: str, body: object) -> "dict[str, object]":
        hub = self.parts.hub
        found: dict[str, object] = hub.connection.write(method, hub.path(path), body, dict[str, object])
        return found


@contextmanager
def place(
    folder: Path, api: str, site: str, repository: str, environ: Callable[[str], None]
) -> Iterator[Place]:
    base = f"orch-live-{secrets.token_hex(4)}"
    folder.mkdir()
    (folder / "config.toml").write_text(CONFIG.format(repository=repository, api=api, label=LABEL, base=base))
    subprocess.run(["git", "init", "--quiet", "-b", "main", str(folder)], env=ENVIRONMENT, check=True)
    made = Place(folder, base, make(folder, load(folder), base=base, warn=environ))
    made.git("remote", "add", "origin", f"{site}/{repository}.git")
    default = made.parts.hub.repository().default_branch
    made.git("fetch", "--quiet", "--depth=1", "origin", default)
    made.git("checkout", "--quiet", "-B", base, "FETCH_HEAD")
    try:
        made.git("push", "--quiet", "origin", base)
        made.git("fetch", "--quiet", "origin", f"+refs/heads/{base}:refs/remotes/origin/{base}")
        yield made
    finally:
        made.git("push", "--quiet", "origin", "--delete", base)
        made.parts.hub.connection.close()


def walk(here: Place) -> None:
    """An issue, its comment, its pull request with a remark, the merge, and the end of all of them."""
    forge, tracker, reviews = here.parts.forge, here.parts.tracker, here.parts.reviews
    make_label(here.parts.hub, LABEL)
    made = here.write("POST", "/issues", {"title": "A test of orch", "body": "Ignore it.", "labels": [LABEL]})
    number = int(str(made["number"]))
    branch = f"orch/gh-{number}-{here.base[-8:]}"
    try:
        seen = look_until(here, Wanted(frozenset({number})), lambda sight: number in (sight.issues or {}))
        assert (seen.issues or {})[number].title == "A test of orch"
        for text in ("Started", "Started", "Done"):
            tracker.tell(number, Telling(text))
        tracker.tell(number, Telling("", {LABEL: True}))
        here.git("checkout", "--quiet", "-b", branch)
        here.commit(f"{here.base}.txt")
        pull = forge.publish(PullDraft(branch, "A test of orch", f"For #{number}\n"))
        assert forge.publish(PullDraft(branch, "A test of orch", f"For #{number}\n")).number == pull.number
        found = forge.find(branch)
        assert found is not None
        assert (found.number, found.head, found.body) == (pull.number, pull.head, pull.body)
        wanted = Wanted(frozenset({number}), frozenset({pull.url}))
        here.write("POST", f"/issues/{pull.number}/comments", {"body": "A remark"})
        seen = look_until(here, wanted, lambda sight: bool(status_of(sight, pull.url).remarks))
        (remark,) = status_of(seen, pull.url).remarks
        for _ in range(2):
            reviews.reply(pull.number, Reply(remark.id, "An answer.", "t-1/2"))
        look_until(here, wanted, lambda sight: not status_of(sight, pull.url).remarks)
        merged = forge.merge(pull.number)
        assert merged.state == "merged"
        seen = look_until(here, wanted, lambda sight: status_of(sight, pull.url).state == "merged")
        here.git("checkout", "--quiet", here.base)
        assert reviews.retire(status_of(seen, pull.url)) == ""
        assert [finding.what for finding in forge.check() if not finding.ok] == []
    finally:
        tracker.close(number)
    look_until(here, Wanted(frozenset({number})), lambda sight: not (sight.issues or {})[number].open)


def status_of(sight: Sight, url: str) -> PullStatus:
    return (sight.pulls or {})[url]


def look_until(here: Place, wanted: Wanted, happened: Callable[[Sight], bool]) -> Sight:
    """GitHub's lists lag some seconds behind what was written."""
    seen: list[Sight] = []

    def look() -> bool:
        seen.append(here.parts.tracker.look(wanted))
        return happened(seen[-1])

    wait_for(look, SECONDS)
    return seen[-1]


@pytest.mark.live
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    not (REPOSITORY and LIVE_TOKEN),
    reason="on the real GitHub only with ORCH_LIVE_REPOSITORY and ORCH_LIVE_TOKEN",
)
def test_on_the_real_github(tmp_path: Path) -> None:
    warnings: list[str] = []
    site, api = "https://github.com", "https://api.github.com"
    with place(tmp_path / "checkout", api, site, REPOSITORY, warnings.append) as here:
        walk(here)
    assert warnings == []


@pytest.mark.skipif(bool(missing(operations())), reason="no contracts: GraphQL needs GitHub's schema")
def test_the_same_path_over_the_fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCH_LIVE_TOKEN", TOKEN)
    warnings: list[str] = []
    with fake_github(tmp_path / "hub") as github:
        checkout = tmp_path / "checkout"
        with place(checkout, github.api_url, github.url, "acme/widget", warnings.append) as here:
            walk(here)
        assert github.repository.branches().keys() == {"main"}
        assert [issue.state for issue in github.state.issues.values()] == ["closed", "closed"]
    assert warnings == []
