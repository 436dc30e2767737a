"""[forge] kind = "github": what can be set, and what comes of it."""

from pathlib import Path

import pytest

from orch.config import check_text, load
from orch.core.forge import Issue, Person, Trust
from orch.core.model import ForgePolicy
from orch.core.rules.intake import read_wish

GITHUB = '[forge]\nkind = "github"\n'


def policy(folder: Path, text: str = "") -> ForgePolicy:
    (folder / "config.toml").write_text(GITHUB + text)
    return load(folder, {}).policy().forge


def test_the_local_forge_has_no_issues(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[coordinator]\npoll_interval_seconds = 7\n")
    assert load(tmp_path, {}).policy().forge == ForgePolicy(poll_interval=7)


def test_github_has_everything_that_is_not_switched_off(tmp_path: Path) -> None:
    found = policy(tmp_path)
    assert (found.intake, found.follow, found.retire, found.comment) == (True, True, True, True)
    assert (found.max_rounds, found.auto_merge, found.issue_label) == (3, "never", "orch")
    assert found.trust == Trust(frozenset({"OWNER", "MEMBER", "COLLABORATOR"}))
    assert not found.status_labels
    assert load(tmp_path, {}).policy().unblock_on == "merged"


def test_all_of_it_can_be_set(tmp_path: Path) -> None:
    found = policy(
        tmp_path,
        """
        issue_label = ""
        poll_interval_seconds = 5
        trusted_associations = ["OWNER"]
        trusted_logins = ["Ann", "dependabot[bot]"]
        follow_up = false
        delete_branches = false
        status_comments = false
        status_labels = true
        max_rounds = 0
        auto_merge = "when_green"
        """,
    )
    assert (found.intake, found.follow, found.retire, found.comment) == (False, False, False, False)
    assert (found.max_rounds, found.auto_merge, found.poll_interval) == (0, "when_green", 5)
    assert found.trust == Trust(frozenset({"OWNER"}), frozenset({"ann", "dependabot[bot]"}))
    assert found.status_labels == {
        "active": "orch:active",
        "blocked": "orch:blocked",
        "failed": "orch:failed",
        "completed": "orch:completed",
    }


@pytest.mark.parametrize(
    ("label", "priority"), [("sev: critical", 0), ("SEV: HIGH!", 1), ("a+b", 2), ("aab", 3), ("sev", 3)]
)
def test_patterns_of_labels_are_no_regular_expressions(tmp_path: Path, label: str, priority: int) -> None:
    found = policy(tmp_path, 'priority_labels = ["sev: critical", "sev: h*", "a+b", "*"]\n')
    issue = Issue(7, "", "x", Person("mia"), labels=frozenset({label}))
    assert read_wish(issue, found).priority == priority


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('repository = "widget"', "is not OWNER/NAME"),
        ('repository = "acme/.."', "is not OWNER/NAME"),
        ('api_url = "http://github.example.com"', "must be an https:// address"),
        ('api_url = "https://me:sesame@github.example.com"', "must be an https:// address"),
        ('token_env = "MY TOKEN"', "is not the name of an environment variable"),
        ('trusted_associations = ["FRIEND"]', "'FRIEND' is none of OWNER, MEMBER"),
        ('trusted_logins = ["@ann"]', "is not the name of an account"),
        ('reviewers = ["a b"]', "is not the name of an account"),
        ('pull_labels = [""]', "a label has 1 to 50 characters"),
        (f"priority_labels = {['x'] * 11}", "has more than 10 entries"),
        ('auto_merge = "always"', 'must be one of "never", "when_green", "when_approved"'),
        ("poll_interval_seconds = 0", "must be a number from 1"),
    ],
)
def test_a_wrong_value_is_told(tmp_path: Path, line: str, told: str) -> None:
    (problem,) = check_text(GITHUB + line, tmp_path, environ={"AGENT_COMMAND": "true"})
    assert problem.startswith("config.toml:3: [forge] ")
    assert told in problem
    assert "sesame" not in problem


@pytest.mark.parametrize(
    "line",
    [
        'repository = "acme/wid.get"',
        'repository = "mia_corp/widget"',
        'api_url = "https://github.example.com/api/v3"',
        'api_url = "http://127.0.0.1:8123/api/v3"',
        'token_env = "BOT_PASS"',
    ],
)
def test_a_right_value_is_taken(tmp_path: Path, line: str) -> None:
    assert check_text(GITHUB + line, tmp_path, environ={"AGENT_COMMAND": "true"}) == ()


def test_no_worker_is_handed_the_token_under_another_name(tmp_path: Path) -> None:
    text = GITHUB + 'token_env = "LC_MINE"\n[agents.claude]\nenv_pass = ["LC_MINE"]\n'
    (problem,) = check_text(text, tmp_path, environ={"AGENT_COMMAND": "true"})
    assert "no worker gets that" in problem
    (tmp_path / "config.toml").write_text(GITHUB + 'token_env = "LC_MINE"\n[agents.claude]\n')
    config = load(tmp_path, {"LC_MINE": "sesame", "LC_ALL": "C", "AGENT_COMMAND": "true"})
    assert "LC_ALL" in config.worker_environment("claude")
    assert "LC_MINE" not in config.worker_environment("claude")
    assert "sesame" not in str(config.hook_environment())
