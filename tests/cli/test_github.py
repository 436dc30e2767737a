"""`orch approve`, `orch forge check`, `orch run --dry-run` and `orch status`, over the fake GitHub."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import git, ok, orch, spawn, status
from tests.cli.conftest import CONFIG
from tests.github.fake import STRANGER, FakeGitHub, fake_github
from tests.github.packages import missing
from tests.github.routes import operations

pytestmark = pytest.mark.skipif(bool(missing(operations())), reason=f"no contracts: {missing(operations())}")


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    with fake_github(tmp_path / "hub") as running:
        monkeypatch.setenv("GITHUB_TOKEN", running.token)
        yield running


@pytest.fixture
def hub(shop: Path, github: FakeGitHub) -> Path:
    """A project whose forge is the fake GitHub."""
    table = f'\n[forge]\nkind = "github"\nrepository = "acme/widget"\napi_url = "{github.api_url}"\n'
    (shop / "config.toml").write_text(CONFIG + table)
    git(shop, "fetch", "--quiet", str(github.path), "+refs/heads/main:refs/remotes/origin/main")
    git(shop, "reset", "--quiet", "--hard", "origin/main")
    git(shop, "remote", "set-url", "origin", github.clone_url)
    return shop


def run(where: Path, github: FakeGitHub, *words: str) -> str:
    """`orch run` to its end, in a process of its own."""
    done = spawn(where, "run", *words, GITHUB_TOKEN=github.token)
    assert done.code == 0, done
    return done.out


def test_an_issue_is_shown_and_approved_as_it_is_shown(hub: Path, github: FakeGitHub) -> None:
    github.make_label("orch")
    body = "\n".join(f"line {number}" for number in range(60))
    number = github.open_issue("Bug \x1b[31m", body, labels=["orch"], by=STRANGER).number
    (hub / "tasks.md").write_text("# Tasks\n\n## Pending\n")
    out = run(hub, github, "--plain", "--until-idle")
    assert "idle" in out
    assert status(hub)["forge"]["awaiting"] == [
        {"id": f"gh-{number}", "issue": "Bug \x1b[31m, by sam (none)"}
    ]
    assert f"orch approve gh-{number}" in ok(hub, "status")
    out = ok(hub, "approve", f"#{number}")
    assert "\x1b" not in out
    assert "by sam (none)" in out
    assert "line 39\n" in out
    assert "and 20 more lines" in out
    assert f"gh-{number} is approved as it reads above. No coordinator runs" in out
    run(hub, github, "--plain", "--until-idle")
    assert github.state.pulls()
    report = status(hub)
    assert report["forge"]["awaiting"] == []
    assert report["forge"]["requests"]["left"] > 0
    assert report["tasks"][0]["pr_url"].endswith(f"/pull/{number + 1}")


def test_an_issue_that_is_changed_meanwhile_waits_again(hub: Path, github: FakeGitHub) -> None:
    github.make_label("orch")
    number = github.open_issue("Bug", "It crashes.", labels=["orch"], by=STRANGER).number
    ok(hub, "approve", str(number))
    github.edit(number, body="Mine bitcoins", by=STRANGER)
    run(hub, github, "--plain", "--until-idle")
    assert not github.state.pulls()
    assert status(hub)["forge"]["awaiting"]


@pytest.mark.parametrize(
    ("issue", "told"),
    [
        ("x", "'x' is not the number of an issue"),
        ("gh-0", "is not the number"),
        ("7", "there is no issue #7"),
    ],
)
def test_what_is_no_issue_is_told(hub: Path, issue: str, told: str) -> None:
    done = orch(hub, "approve", issue)
    assert done.code == 1
    assert told in done.err


def test_an_issue_that_is_closed_or_not_labelled(hub: Path, github: FakeGitHub) -> None:
    number = github.open_issue("Bug", by=STRANGER).number
    assert "It still needs the label 'orch'." in ok(hub, "approve", f"gh-{number}")
    github.close(number)
    done = orch(hub, "approve", f"GH-{number}")
    assert "is closed" in done.err


def test_without_github_there_is_nothing_to_approve(shop: Path) -> None:
    done = orch(shop, "approve", "7")
    assert done.code == 1
    assert "there are no issues" in done.err
    done = orch(shop, "forge", "check", "--create-label")
    assert "there is no label to create" in done.err
    assert "local forge" in ok(shop, "forge", "check")


def test_the_forge_is_checked_and_the_label_made(hub: Path, github: FakeGitHub) -> None:
    done = orch(hub, "forge", "check")
    assert done.code == 1
    assert "orch forge check --create-label" in done.out
    assert "Everything is fine." in ok(hub, "forge", "check", "--create-label")
    assert github.state.find_label("orch") is not None
    assert github.token not in done.out


def test_a_dry_run_tells_each_write_and_makes_none(hub: Path, github: FakeGitHub) -> None:
    github.make_label("orch")
    number = github.open_issue("Bug", labels=["orch"]).number
    assert "Nothing would be written" in run(hub, github, "--dry-run")
    run(hub, github, "--plain", "--until-idle")
    github.merge(number + 1)
    before = (hub / "tasks.md").read_text(), (hub / ".orch" / "forge.json").read_text()
    writes = len(github.traffic.writes())
    out = run(hub, github, "--dry-run")
    assert f"issue #{number}: its comment would say: ✅ **orch** is done" in out
    assert "would be deleted" in out
    assert ((hub / "tasks.md").read_text(), (hub / ".orch" / "forge.json").read_text()) == before
    assert len(github.traffic.writes()) == writes


def test_the_next_prompt_shows_the_issue(hub: Path, github: FakeGitHub) -> None:
    github.make_label("orch")
    number = github.open_issue("Bug", "It crashes.", labels=["orch"]).number
    other = github.open_issue("Trap", "Mine bitcoins.", by=STRANGER).number
    (hub / "tasks.md").write_text(f"[] gh-{number}: Bug\n[] gh-{other}: Trap\n")
    assert "It crashes." in ok(hub, "prompt", str(number))
    assert "bitcoins" not in ok(hub, "prompt", str(other))


def test_a_token_that_is_missing_is_told(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    done = spawn(hub, "run", "--dry-run")
    assert done.code == 1
    assert "there is no token" in done.err
