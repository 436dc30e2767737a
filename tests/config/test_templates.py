"""The files that are written for people say what is true."""

import ast
import itertools
import re
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import tomli

import orch.config.settings
from orch.config import (
    CLAUDE_CONFIG,
    DEFAULT_CONFIG,
    DEFAULT_TASKS,
    AgentKind,
    AgentSettings,
    BudgetSettings,
    check_text,
    load,
)
from orch.config.tables import TABLES
from orch.core import tasks_md

ROOT = Path(__file__).parents[2]
EXPLAINED = (ROOT / "config.toml").read_text(encoding="utf-8")


def plain(value: object) -> object:
    """A default as TOML has it."""
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def defaults() -> dict[tuple[str, str], object]:
    settings: dict[str, Any] = {name: kind() for name, kind in TABLES.items()}
    settings["agents.claude"] = AgentSettings(kind=AgentKind.CLAUDE)
    return {
        (name, spec.name): plain(getattr(table, spec.name))
        for name, table in settings.items()
        for spec in fields(table)
    }


def test_the_explained_config_has_every_key_at_its_default() -> None:
    document = tomli.loads(EXPLAINED)
    document["agents.claude"] = document.pop("agents")["claude"]
    active = {(table, key): value for table, keys in document.items() for key, value in keys.items()}
    assert active == {place: value for place, value in defaults().items() if value is not None}


def test_keys_without_a_default_stand_in_their_table_behind_a_hash() -> None:
    """Uncommented, they are good: the example is a value that the key can have."""
    uncommented = re.sub(r"^#(?=\w)", "", EXPLAINED, flags=re.MULTILINE)
    document = tomli.loads(uncommented)
    document["agents.claude"] = document.pop("agents")["claude"]
    assert {(table, key) for table, keys in document.items() for key in keys} == set(defaults())
    assert check_text(uncommented, ROOT, environ={"AGENT_COMMAND": "true"}) == ()


def test_every_key_of_the_explained_config_is_explained() -> None:
    lines = EXPLAINED.splitlines()
    explained_together = {"teardown", "link", "min_free_disk_mb", "factor", "max_seconds", "per_day_tokens"}
    explained_together |= {"pull_labels", "reviewers"}
    for before, line in itertools.pairwise(lines):
        if (key := re.match(r"#?(\w+) = ", line)) and key[1] not in explained_together:
            assert before.startswith("# "), line


def test_the_explained_config_says_what_the_settings_are_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(EXPLAINED, encoding="utf-8")
    written, without = load(tmp_path, {}), load(tmp_path / "nothing-here" / "..", {})
    assert written == without


def test_every_setting_has_a_docstring() -> None:
    module = ast.parse(Path(orch.config.settings.__file__).read_text(encoding="utf-8"))
    seen = 0
    for kind in [node for node in module.body if isinstance(node, ast.ClassDef)]:
        if not is_dataclass(getattr(orch.config.settings, kind.name)):
            continue
        for node, after in zip(kind.body, [*kind.body[1:], None], strict=True):
            if isinstance(node, ast.AnnAssign):
                seen += 1
                assert isinstance(after, ast.Expr), ast.unparse(node)
                assert isinstance(after.value, ast.Constant), ast.unparse(node)
    assert seen == len(defaults())


# --- what `orch init` writes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"), [(DEFAULT_CONFIG, AgentKind.COMMAND), (CLAUDE_CONFIG, AgentKind.CLAUDE)]
)
def test_the_written_config_is_good_without_a_change(tmp_path: Path, text: str, kind: AgentKind) -> None:
    assert check_text(text, tmp_path, environ={}) == ()
    (tmp_path / "config.toml").write_text(text)
    config = load(tmp_path, {})
    assert config.agents[config.agent.default].kind is kind
    assert config.budget == BudgetSettings(), "nobody's budget is guessed"


@pytest.mark.parametrize(
    ("written", "agents"), [(DEFAULT_CONFIG, {"claude", "example"}), (CLAUDE_CONFIG, {"claude"})]
)
def test_the_suggestions_in_the_written_config_are_good_too(
    tmp_path: Path, written: str, agents: set[str]
) -> None:
    text = re.sub(r"^# (?=[\[]|[a-z_]+ = [\"\[0-9])", "", written, flags=re.MULTILINE)
    assert set(tomli.loads(text)["agents"]) == agents
    assert check_text(text, tmp_path, environ={}) == ()


@pytest.mark.parametrize("text", [DEFAULT_TASKS, (ROOT / "tasks.md").read_text(encoding="utf-8")])
def test_the_examples_in_tasks_files_are_no_live_tasks(text: str) -> None:
    document = tasks_md.parse(text)
    assert document.problems == ()
    assert not any(task.title in text.partition("-->")[0] for task in document.tasks.values())
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Pending",
        "## Active",
        "## Completed Today",
        "## Failed",
        "## Blocked",
    ]


def test_the_written_queue_is_empty() -> None:
    document = tasks_md.parse(DEFAULT_TASKS)
    assert dict(document.tasks) == {}
    assert document.unnamed == ()
