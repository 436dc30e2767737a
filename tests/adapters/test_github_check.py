"""Where the repository is, and what `orch forge check` tells."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.adapters.forge.github.address import Address, locate, origin_name, site_of
from orch.adapters.forge.github.checking import make_label
from orch.adapters.forge.github.forge import Opening
from orch.config import load
from orch.errors import ConfigError, OrchError
from orch.ports import Finding
from tests.adapters.hub import Desk, desk
from tests.adapters.repositories import Sample, Samples
from tests.github.fake import BOT, STRANGER, FakeGitHub
from tests.github.faults import ServerError

API = "https://api.github.com"


@pytest.fixture
def here(github: FakeGitHub, tmp_path: Path) -> Iterator[Desk]:
    with desk(github, tmp_path) as made:
        yield made


@pytest.fixture
def sample(tmp_path: Path, samples: Samples) -> Sample:
    return samples.make(tmp_path / "plain")


# --- the address -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "api", "site", "name"),
    [
        ("https://github.com/acme/widget.git", API, "https://github.com", "acme/widget"),
        ("https://github.com/acme/widget", API, "https://github.com", "acme/widget"),
        ("https://ada:secret@github.com/acme/widget.git/", API, "https://github.com", "acme/widget"),
        ("git@github.com:acme/widget.git", API, "https://github.com", "acme/widget"),
        ("github.com:acme/wid.get", API, "https://github.com", "acme/wid.get"),
        ("ssh://git@github.com:22/acme/widget.git", API, "https://github.com", "acme/widget"),
        ("ssh://git@ssh.github.com:443/acme/widget.git", API, "https://github.com", "acme/widget"),
        ("https://GitHub.com/acme_corp/widget", API, "https://github.com", "acme_corp/widget"),
        (
            "git@ghe.example.com:acme/widget.git",
            "https://ghe.example.com/api/v3/",
            "https://ghe.example.com",
            "acme/widget",
        ),
        (
            "https://ghe.example.com:8443/acme/widget.git",
            "https://ghe.example.com:8443/api/v3",
            "https://ghe.example.com:8443",
            "acme/widget",
        ),
        (
            "https://acme.ghe.com/acme/widget",
            "https://api.acme.ghe.com",
            "https://acme.ghe.com",
            "acme/widget",
        ),
    ],
)
def test_the_repository_is_that_of_origin(sample: Sample, url: str, api: str, site: str, name: str) -> None:
    sample.git("remote", "set-url", "origin", url)
    found = locate(sample.root, api_url=api)
    assert found == Address(site, name)
    assert origin_name(sample.root, found) == name


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("/srv/git/widget.git", "is no repository of GitHub"),
        ("https://gitlab.com/acme/widget.git", r"origin is at gitlab\.com"),
        ("https://github.com/acme", "is no repository of GitHub"),
        ("https://github.com/a/b/c.git", "is no repository of GitHub"),
        ("https://[bad/acme/widget.git", "is no repository of GitHub"),
        ("work:acme/widget.git", "origin is at work"),
    ],
)
def test_an_origin_elsewhere_names_the_setting(sample: Sample, url: str, message: str) -> None:
    sample.git("remote", "set-url", "origin", url)
    with pytest.raises(ConfigError, match=message) as caught:
        locate(sample.root)
    assert "[forge] repository" in caught.value.hint
    assert locate(sample.root, repository="acme/widget").name == "acme/widget"


@pytest.mark.parametrize("name", ["acme", "acme/../x", "acme/wid get", "https://github.com/acme/widget"])
def test_a_repository_that_is_none(sample: Sample, name: str) -> None:
    with pytest.raises(ConfigError, match="is not owner/name"):
        locate(sample.root, repository=name)


@pytest.mark.parametrize(
    "api",
    ["api.github.com", "ftp://x", "https://u:p@x/api", "https://x/?a=b", "https://[bad", "https://x:y/"],
)
def test_an_api_that_is_none(api: str) -> None:
    with pytest.raises(ConfigError, match="is not the address"):
        site_of(api)


def test_a_token_is_not_sent_in_the_clear() -> None:
    with pytest.raises(ConfigError, match="without https"):
        site_of("http://ghe.example.com/api/v3")


# --- the check ---------------------------------------------------------------------------------------------


def wrong(findings: "list[Finding] | tuple[Finding, ...]") -> list[str]:
    found = [finding for finding in findings if not finding.ok]
    assert all(finding.do for finding in found), found
    return [finding.what for finding in found]


def test_all_is_well(github: FakeGitHub, here: Desk) -> None:
    github.make_label("orch")
    github.make_label("by-orch")
    findings = here.forge(issue_label="orch", opening=Opening(labels=("by-orch",))).check()
    assert wrong(list(findings)) == []
    text = "\n".join(finding.what for finding in findings)
    for word in (
        "the token of $GITHUB_TOKEN as orch-bot",
        "the scopes repo, workflow",
        "may push to acme/widget",
        "origin is acme/widget",
        "git can push to origin",
        "there is a label 'orch'",
        "there is a label 'by-orch'",
        "may open pull requests",
        "may write issues",
        "requests are left until",
    ):
        assert word in text
    assert not github.state.pulls(), "nothing was written"
    assert len(github.state.labels) == 2
    assert github.repository.branches().keys() == {"main"}


def test_a_label_that_is_missing_is_offered_and_made(github: FakeGitHub, here: Desk) -> None:
    forge = here.forge(issue_label="orch", opening=Opening(labels=("by-orch",)))
    assert wrong(list(forge.check())) == ["there is no label 'orch'", "there is no label 'by-orch'"]
    for _ in range(2):
        make_label(here.hub, "orch")
    assert github.state.labels.keys() == {"orch"}
    with pytest.raises(OrchError):
        make_label(here.hub, "")


def test_a_token_that_may_little(github: FakeGitHub, tmp_path: Path) -> None:
    github.make_label("orch")
    github.add_token("ghp_of_a_stranger", STRANGER, scopes=["gist"])
    with desk(github, tmp_path, token="ghp_of_a_stranger") as here:
        found = wrong(list(here.forge(issue_label="orch").check()))
    assert found[0] == "the token has the scopes gist"
    assert found[1] == "this account may not push to acme/widget"
    assert "git push" in found[2]
    assert [line.partition(":")[0] for line in found[3:]] == [
        "the token may not open pull requests",
        "the token may not write issues",
    ]


def test_a_fine_grained_token_has_no_scopes(github: FakeGitHub, tmp_path: Path) -> None:
    github.add_token("github_pat_fine_grained", BOT, scopes=[])
    with desk(github, tmp_path, token="github_pat_fine_grained") as here:
        findings = here.forge().check()
    assert wrong(list(findings)) == []
    assert "scopes" not in str(findings)


def test_a_token_without_workflow_is_told_what_that_means(github: FakeGitHub, tmp_path: Path) -> None:
    github.add_token("ghp_without_workflow", BOT, scopes=["public_repo"])
    with desk(github, tmp_path, token="ghp_without_workflow") as here:
        findings = here.forge().check()
    assert wrong(list(findings)) == []
    assert "without the scope workflow" in str(findings)


def test_what_is_broken_at_the_bottom_is_told_alone(github: FakeGitHub, tmp_path: Path) -> None:
    with desk(github, tmp_path, token="ghp_nobody_knows_this_one") as here:
        (finding,) = here.forge().check()
    assert "401 Bad credentials" in finding.what
    assert "expired" in finding.do


def test_the_repository_has_another_name_today(github: FakeGitHub, here: Desk) -> None:
    github.rename_from("acme/widget")
    github.state.name = "gadget"
    found = wrong(list(here.forge().check()))
    assert found[0] == "acme/widget is called acme/gadget now"


def test_an_origin_of_another_repository_is_told(github: FakeGitHub, here: Desk) -> None:
    here.sample.git("remote", "set-url", "origin", f"{github.url}/acme/other.git")
    found = wrong(list(here.forge().check()))
    assert found[0].startswith("origin is not seen to be acme/widget")
    assert "git push failed" in found[1]


def test_an_archived_repository_and_a_limit_that_is_nearly_used_up(github: FakeGitHub, here: Desk) -> None:
    repository = here.hub.repository()
    github.rate.used = 4900

    class Archived:
        after_write = True

        def spoil(self, reply: object) -> object:
            reply.body = reply.body.replace(b'"archived": false', b'"archived": true')  # type: ignore[attr-defined]
            return reply

    github.faults.add("GET", "/repos/acme/widget", Archived())  # type: ignore[arg-type]
    found = wrong(list(here.forge().check()))
    assert repository.archived is False
    assert found[0] == "acme/widget is archived: nothing can be written"
    assert "of 5000 requests are left" in found[-1]


def test_a_stumble_is_a_finding_too(github: FakeGitHub, here: Desk) -> None:
    github.faults.add("GET", "*/labels/orch", ServerError(), times=2)
    assert "not well" in wrong(list(here.forge(issue_label="orch").check()))[0]


def test_the_adapter_is_made_of_the_settings_without_asking_anybody(
    github: FakeGitHub, here: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orch.adapters.forge.github import parts

    monkeypatch.setenv("MY_TOKEN", github.token)
    text = f'[forge]\nkind = "github"\napi_url = "{github.api_url}"\ntoken_env = "MY_TOKEN"\n'
    (here.sample.root / "config.toml").write_text(text)
    made = parts.make(here.sample.root, load(here.sample.root), base="main", warn=here.warnings.append)
    assert github.traffic.count() == 0
    assert made.hub.login() == BOT
    assert made.credentials.source == "$MY_TOKEN"
    made.hub.connection.close()
