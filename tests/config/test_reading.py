"""config.toml -> settings, and what is said of a broken one."""

import os
import re
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.config import (
    AgentKind,
    AgentSettings,
    Config,
    ForgeKind,
    LimitSettings,
    UnblockOn,
    check,
    check_text,
    load,
)
from orch.config.tables import TABLES
from orch.core.costs import Allowance, Budget
from orch.core.model import Drain, ForgePolicy, Policy
from orch.errors import ConfigError

COMMAND_AGENT = '[agent]\ndefault = "mine"\n[agents.mine]\ncommand = ["my-agent", "--yes"]\n'


def read(root: Path, text: str, environ: dict[str, str] | None = None) -> Config:
    (root / "config.toml").write_text(text, encoding="utf-8")
    return load(root, environ or {})


def problem(root: Path, text: str) -> str:
    """The one problem of a text."""
    (found,) = check_text(text, root, environ={"AGENT_COMMAND": "true"})
    return found


# --- good ones ------------------------------------------------------------------------------------------


def test_without_a_file_everything_is_at_its_default(tmp_path: Path) -> None:
    config = load(tmp_path, {})
    assert {name: getattr(config, name) for name in TABLES} == {name: kind() for name, kind in TABLES.items()}
    assert config.agents == {"claude": AgentSettings(kind=AgentKind.CLAUDE)}
    assert config.project.root == tmp_path.resolve()
    assert config.project.trees == tmp_path.resolve() / "trees"
    assert config.forge.kind is ForgeKind.LOCAL
    assert config.unblock_on is UnblockOn.COMPLETED


def test_an_empty_file_is_as_good_as_none(tmp_path: Path) -> None:
    assert read(tmp_path, "") == load(tmp_path / "elsewhere" / "..", {})


def test_every_table_is_read(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """
        [coordinator]
        max_concurrent_workers = 8
        poll_interval_seconds = 0.5
        drain = "finish"
        [forge]
        base_branch = "develop"
        unblock_on = "merged"
        [agent]
        default = "mine"
        prompt = "prompts/worker.md"
        [agents.mine]
        kind = "command"
        command = ["my-agent", "--yes"]
        env = { DEPTH = "3" }
        env_pass = ["MY_API_KEY"]
        extra_args = ["--fast"]
        model = "small"
        fallback = "model:smaller"
        [budget]
        per_task_usd = 2.5
        per_day_tokens = 1_000_000
        [limits]
        stop_seconds = 0
        min_free_disk_mb = 1024
        [retry]
        max_attempts = 1
        initial_seconds = 0.25
        factor = 1
        max_seconds = 60
        [verify]
        command = "make test"
        timeout_seconds = 30
        [worktree]
        base_dir = "../elsewhere"
        setup = "make deps"
        copy = [".env"]
        link = ["node_modules"]
        keep_failed_minutes = 0
        """,
    )
    assert config.agents == {
        "mine": AgentSettings(
            kind=AgentKind.COMMAND,
            command=("my-agent", "--yes"),
            env={"DEPTH": "3"},
            env_pass=("MY_API_KEY",),
            extra_args=("--fast",),
            model="small",
            fallback="model:smaller",
        )
    }
    assert config.project.prompt == tmp_path.resolve() / "prompts" / "worker.md"
    assert config.project.trees == tmp_path.resolve().parent / "elsewhere"
    assert config.worktree.copy == (".env",)
    assert config.worktree.link == ("node_modules",)
    assert config.worktree.setup == "make deps"
    assert config.verify.timeout_seconds == 30
    assert config.policy() == Policy(
        max_concurrent_workers=8,
        poll_interval=0.5,
        drain=Drain.FINISH,
        unblock_on="merged",
        default_agent="mine",
        agents=("mine",),
        stop_seconds=0,
        grace_seconds=5,
        max_attempts=1,
        retry_initial=0.25,
        retry_factor=1,
        retry_max=60,
        verify=True,
        min_free_memory_mb=256,
        min_free_disk_mb=1024,
        keep_failed_seconds=0,
        forge=ForgePolicy(poll_interval=0.5),
        budget=Budget(task=Allowance(usd=2.5), day=Allowance(tokens=1_000_000)),
        fallbacks={"mine": "model:smaller"},
    )


def test_the_default_policy_is_that_of_the_core_with_the_agent_and_the_floors(tmp_path: Path) -> None:
    assert load(tmp_path, {}).policy() == Policy(
        agents=("claude",), min_free_memory_mb=256, min_free_disk_mb=512
    )


def test_kept_minutes_become_seconds(tmp_path: Path) -> None:
    config = read(tmp_path, "[worktree]\nkeep_failed_minutes = 1.5")
    assert config.policy().keep_failed_seconds == 90


def test_windows_line_ends_and_a_byte_order_mark_are_fine(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes("\ufeff[retry]\r\nmax_attempts = 7\r\n".encode())
    assert load(tmp_path, {}).retry.max_attempts == 7


def test_a_kind_may_be_left_out(tmp_path: Path) -> None:
    config = read(tmp_path, '[agents.codex]\nmodel = "o"\n[agents.mine]\ncommand = ["x"]')
    kinds = {name: agent.kind for name, agent in config.agents.items()}
    assert kinds == {"codex": AgentKind.CODEX, "mine": AgentKind.COMMAND, "claude": AgentKind.CLAUDE}


def test_a_known_name_may_be_a_command(tmp_path: Path) -> None:
    read(tmp_path, '[agents.claude]\nkind = "command"\ncommand = ["claude", "-p"]')
    assert check(tmp_path, {}) == ()


# --- the agent ------------------------------------------------------------------------------------------


def test_an_agent_that_is_not_configured(tmp_path: Path) -> None:
    config = read(tmp_path, COMMAND_AGENT)
    with pytest.raises(ConfigError, match="there is no agent 'other'") as raised:
        config.agent_settings("other")
    assert "mine" in raised.value.hint


def test_agent_command_replaces_the_default_agent(tmp_path: Path) -> None:
    text = COMMAND_AGENT + 'env = { A = "1" }\nextra_args = ["--never"]\n'
    config = read(tmp_path, text, {"AGENT_COMMAND": "'my agent' --try \"a b\""})
    assert config.agents["mine"] == AgentSettings(
        kind=AgentKind.COMMAND, command=("my agent", "--try", "a b"), env={"A": "1"}
    )


@pytest.mark.parametrize("text", ["", '[agent]\ndefault = "nowhere"', '[agents.claude]\nkind = "claude"'])
def test_agent_command_is_enough(tmp_path: Path, text: str) -> None:
    environ = {"AGENT_COMMAND": "my-agent"}
    config = read(tmp_path, text, environ)
    assert config.agents[config.agent.default].command == ("my-agent",)
    assert check(tmp_path, environ) == ()


def test_an_empty_agent_command_counts_as_none(tmp_path: Path) -> None:
    assert load(tmp_path, {"AGENT_COMMAND": "  "}) == load(tmp_path, {"AGENT_COMMAND": "  "})
    assert load(tmp_path, {"AGENT_COMMAND": "  "}).agents["claude"].kind is AgentKind.CLAUDE


def test_an_agent_command_with_an_open_quote(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^\$AGENT_COMMAND cannot be split into words"):
        load(tmp_path, {"AGENT_COMMAND": "run 'this"})


@pytest.mark.parametrize("command", ["''", '" " x'])
def test_an_agent_command_without_a_program(tmp_path: Path, command: str) -> None:
    with pytest.raises(ConfigError, match=r"^\$AGENT_COMMAND names no program"):
        load(tmp_path, {"AGENT_COMMAND": command})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[agents.claude]\npermission_mode = "yolo"', "permission_mode: is one of: default, acceptEdits, "),
        ('[agents.codex]\npermission_mode = "bypassPermissions"', "is one of: read-only, workspace-write"),
        (COMMAND_AGENT + 'permission_mode = "yolo"', "means nothing to an agent of kind command"),
        ("[agents.codex]\ntrust_hooks = true", "trust_hooks: is for agents of kind claude only"),
        ('[agents.gemini]\nmcp_config = "x.json"', "mcp_config: is for agents of kind claude only"),
        ('[agents.claude]\nmcp_config = "\\u0000"', "mcp_config: contains a NUL character"),
    ],
)
def test_what_a_kind_of_agent_does_not_know_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (found,) = check_text(text, tmp_path, environ={})
    assert told in found


@pytest.mark.parametrize(
    ("kind", "mode"), [("claude", "acceptEdits"), ("codex", "read-only"), ("gemini", "plan")]
)
def test_each_kind_has_its_own_permission_modes(tmp_path: Path, kind: str, mode: str) -> None:
    assert check_text(f'[agents.{kind}]\npermission_mode = "{mode}"', tmp_path, environ={}) == ()


# --- problems -------------------------------------------------------------------------------------------

BROKEN = [
    (
        "[limits]\nstop_secconds = 5",
        "config.toml:2: [limits] stop_secconds: unknown key (did you mean stop_seconds?)",
    ),
    ("[limit]\nstop_seconds = 5", "config.toml:1: [limit]: unknown table (did you mean limits?)"),
    ("[zebra]", "config.toml:1: [zebra]: unknown table"),
    ("max_attempts = 3", "config.toml:1: max_attempts: unknown key (it belongs under [retry])"),
    (
        "[verify]\nmax_attempts = 3",
        "config.toml:2: [verify] max_attempts: unknown key (it belongs under [retry])",
    ),
    ("[retry]\nqqq = 3", "config.toml:2: [retry] qqq: unknown key"),
    ("retry = 3", "config.toml:1: [retry]: must be a table, not a number"),
    ("verify = true", "config.toml:1: [verify]: must be a table, not true or false"),
    ("agents = 3", "config.toml:1: [agents]: must be tables: [agents.NAME]"),
    ("[agents]\nmine = 3", "config.toml:2: [agents.mine]: must be a table, not a number"),
    (
        "[coordinator]\n\nmax_concurrent_workers = 0",
        "config.toml:3: [coordinator] max_concurrent_workers: must be a whole number from 1 to 256, not 0",
    ),
    (
        "coordinator.max_concurrent_workers = 257",
        "config.toml:1: [coordinator] max_concurrent_workers: must be a whole number from 1 to 256, not 257",
    ),
    (
        "[coordinator]\nmax_concurrent_workers = 2.5",
        "config.toml:2: [coordinator] max_concurrent_workers: must be a whole number from 1 to 256, not 2.5",
    ),
    (
        "[coordinator]\nmax_concurrent_workers = true",
        "config.toml:2: [coordinator] max_concurrent_workers: must be a whole number from 1 to 256, not true",
    ),
    (
        "[coordinator]\npoll_interval_seconds = 0",
        "config.toml:2: [coordinator] poll_interval_seconds: must be a number above 0 to 86400, not 0",
    ),
    (
        "[coordinator]\npoll_interval_seconds = inf",
        "config.toml:2: [coordinator] poll_interval_seconds: must be a number above 0 to 86400, not inf",
    ),
    (
        "[limits]\nmemory_mb = nan",
        "config.toml:2: [limits] memory_mb: must be a number from 0 to 1048576, not nan",
    ),
    (
        '[limits]\nmemory_mb = "sesame"',
        "config.toml:2: [limits] memory_mb: must be a number from 0 to 1048576, not a string",
    ),
    (
        "[limits]\nmemory_mb = 0x" + "f" * 9000,
        "config.toml:2: [limits] memory_mb: must be a number from 0 to 1048576, not so large a number",
    ),
    (
        "[retry]\nmax_attempts = 0x" + "f" * 9000,
        "config.toml:2: [retry] max_attempts: must be a whole number from 1 to 1000, not so large a number",
    ),
    (
        "[limits]\nmemory_mb = 2001-01-01",
        "config.toml:2: [limits] memory_mb: must be a number from 0 to 1048576, not a date or time",
    ),
    (
        '[coordinator]\ndrain = "wait"',
        """config.toml:2: [coordinator] drain: must be one of "leave", "finish", "stop", not 'wait'""",
    ),
    (
        "[forge]\nunblock_on = []",
        'config.toml:2: [forge] unblock_on: must be one of "completed", "merged", not a list',
    ),
    (
        '[forge]\nkind = "gitlab"',
        """config.toml:2: [forge] kind: must be one of "local", "github", not 'gitlab'""",
    ),
    (
        '[forge]\nbase_branch = "-f"',
        "config.toml:2: [forge] base_branch: '-f' cannot be the name of a branch",
    ),
    ("[worktree]\ncopy = 3", "config.toml:2: [worktree] copy: must be a list of strings, not 3"),
    ("[worktree]\ncopy = [\n  1\n]", "config.toml:2: [worktree] copy: must be a list of strings"),
    ("[verify]\ncommand = ['x']", "config.toml:2: [verify] command: must be a string, not a list"),
    (
        "[agents.mine]\nenv = 'x'\ncommand = ['y']",
        "config.toml:2: [agents.mine] env: must be a table of strings, not a string",
    ),
    ("[retry]\nmax_seconds = 1", "config.toml:2: [retry] max_seconds: must be at least initial_seconds (5)"),
    ('[agent]\nprompt = ""', "config.toml:2: [agent] prompt: must be the path of a file"),
    (
        '[agents."my agent"]\ncommand = ["x"]',
        "config.toml:1: [agents.'my agent']: an agent's name is one word of letters, digits, - and _",
    ),
    ('[agents.mine]\nkind = "comand"', None),
    (
        '[agents.mine]\nkind = "command"',
        'config.toml:1: [agents.mine] command: is missing; for example command = ["my-agent", "--yes"]',
    ),
    (
        '[agents.mine]\ncommand = ["x"]\nfallback = "mien"',
        "config.toml:3: [agents.mine] fallback: there is no table [agents.mien] (did you mean mine?)",
    ),
    (
        '[agents.mine]\ncommand = ["x"]\nfallback = "mine"',
        "config.toml:3: [agents.mine] fallback: is the agent itself; model:NAME is another model of it",
    ),
    (
        '[agents.mine]\ncommand = ["x"]\nfallback = "model: a b"',
        "config.toml:3: [agents.mine] fallback: must be the name of an agent, or model:NAME",
    ),
    (
        "[budget]\nper_day_usd = -1",
        "config.toml:2: [budget] per_day_usd: must be a number from 0 to 1000000, not -1",
    ),
    (
        '[agents.mine]\ncommand = [" "]',
        "config.toml:2: [agents.mine] command: starts with an empty string, not with a program",
    ),
    (
        '[agents.mine]\ncommand = ["a\\u0000"]',
        "config.toml:2: [agents.mine] command: contains a NUL character",
    ),
    ('[verify]\ncommand = "a\\u0000"', "config.toml:2: [verify] command: contains a NUL character"),
    ('[worktree]\nsetup = "a\\u0000"', "config.toml:2: [worktree] setup: contains a NUL character"),
    ('"a\\nb" = 1', "config.toml:1: 'a\\nb': unknown key"),
]


@pytest.mark.parametrize(("text", "told"), BROKEN)
def test_a_problem_names_file_line_key_and_the_way_out(tmp_path: Path, text: str, told: str | None) -> None:
    wanted = told or (
        "config.toml:2: [agents.mine] kind: must be one of "
        '"claude", "codex", "gemini", "command", not \'comand\''
    )
    assert problem(tmp_path, text) == wanted


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[retry]\nmax attempts = 3",
            "config.toml:2: column 5: Expected '=' after a key in a key/value pair",
        ),
        ("a = 1\na = 2", "config.toml:2: column 6: Cannot overwrite a value"),
        ("a = " + "[" * 5000, "config.toml: a number is too long, or a value is nested too deeply"),
        ("a = " + "9" * 5000, "config.toml: a number is too long, or a value is nested too deeply"),
    ],
)
def test_a_syntax_error_names_line_and_column(tmp_path: Path, text: str, told: str) -> None:
    assert problem(tmp_path, text) == told


def test_every_problem_is_found_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """
[retry]
factor = "x"
oops = 1
[worktree]
base_dir = ""
[coordinator]
drain = 3
[agent]
default = "mien"
[agents.mine]
command = ["x"]
env_pass = ["GH_TOKEN", "1st"]
"""
    (tmp_path / "config.toml").write_text(text)
    found = check(tmp_path, {})
    assert [line.split(":")[1] for line in found] == ["3", "4", "6", "8", "10", "13", "13"]
    assert found[4] == (
        "config.toml:10: [agent] default: there is no table [agents.mien] (did you mean mine?)"
    )
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, {})
    assert raised.value.message == found[0]
    assert raised.value.hint == "6 more: `orch config check` lists them all"


@pytest.mark.parametrize(
    "base",
    [
        "",
        " ",
        ".",
        "..",
        "trees/..",
        "/",
        ".git",
        ".git/trees",
        "a/.GIT/b",
        ".orch",
        ".orch/trees",
        "~/t",
        "a\0b",
    ],
)
def test_worktrees_stay_away_from_the_project_and_from_git(tmp_path: Path, base: str) -> None:
    root = tmp_path / "project"
    root.mkdir()
    escaped = base.replace("\0", "\\u0000")
    assert problem(root, f'[worktree]\nbase_dir = "{escaped}"').startswith(
        "config.toml:2: [worktree] base_dir: "
    )


def test_a_symbolic_link_does_not_bring_worktrees_into_git(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "trees").symlink_to(".git")
    assert "belongs to git" in problem(tmp_path, "")


def test_the_root_is_seen_through_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert load(tmp_path / "link", {}).project.root == (tmp_path / "real").resolve()


@pytest.mark.parametrize("key", ["copy", "link"])
@pytest.mark.parametrize(
    "entry",
    [
        "",
        " ",
        ".",
        "..",
        "../x",
        "a/../../x",
        "/etc/passwd",
        ".git",
        "a/.git/config",
        ".orch/runs",
        "trees",
        "trees/t-1",
        "a\0b",
    ],
)
def test_only_what_lies_in_the_project_is_brought_into_worktrees(
    tmp_path: Path, key: str, entry: str
) -> None:
    escaped = entry.replace("\0", "\\u0000")
    assert problem(tmp_path, f'[worktree]\n{key} = ["{escaped}"]').startswith(
        f"config.toml:2: [worktree] {key}: "
    )


def test_a_folder_that_holds_the_worktrees_is_not_copied_into_them(tmp_path: Path) -> None:
    assert "overlap" in problem(tmp_path, '[worktree]\nbase_dir = "work/trees"\ncopy = ["work"]')


def test_nothing_is_both_copied_and_linked(tmp_path: Path) -> None:
    assert "is under copy too" in problem(tmp_path, '[worktree]\ncopy = ["a", "b"]\nlink = ["b"]')


@pytest.mark.parametrize("name", ["main", "release/1.2", "feature_x", "v1.0"])
def test_branches_that_git_takes(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, f'[forge]\nbase_branch = "{name}"').forge.base_branch == name


@pytest.mark.parametrize(
    "name", ["a b", "a..b", "a.lock", "/a", "a/", "a~1", "a^", "a:b", "a?", "a*", "a[", "@{u}"]
)
def test_branches_that_git_does_not_take(tmp_path: Path, name: str) -> None:
    assert "cannot be the name" in problem(tmp_path, f'[forge]\nbase_branch = "{name}"')


# --- files that cannot be read --------------------------------------------------------------------------


def test_a_folder_called_config_toml(tmp_path: Path) -> None:
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(ConfigError, match="is not a file"):
        load(tmp_path, {})


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.toml")
    with pytest.raises(ConfigError, match="is not a file"):
        load(tmp_path, {})


def test_a_link_to_nothing_is_no_missing_file(tmp_path: Path) -> None:
    (tmp_path / "config.toml").symlink_to("nowhere")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        check(tmp_path, {})


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"# one\n# \xff\n")
    with pytest.raises(ConfigError, match=r"config\.toml:2: this is not UTF-8"):
        load(tmp_path, {})


def test_a_file_that_is_far_too_large(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(ConfigError, match="larger than 1 MB"):
        load(tmp_path, {})


def test_a_name_that_the_system_does_not_take(tmp_path: Path) -> None:
    # Root may read everything, so the failure that every user meets alike is a name too long.
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / ("x" * 300), {})


# --- whatever is in there -------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
NAMES = sorted({spec.name for kind in (*TABLES.values(), AgentSettings) for spec in fields(kind)})


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    for line in check_text(text, Path("/project"), environ={}):
        assert re.match(r"config\.toml(:\d+)?: ", line)
        assert "\n" not in line


@given(
    table=st.sampled_from([*TABLES, "agents.mine", "agents.claude", "agents"]),
    key=st.sampled_from(NAMES),
    value=VALUES,
)
def test_a_wrong_value_is_a_problem_and_never_a_crash(table: str, key: str, value: object) -> None:
    text = f"[{table}]\n{key} = {toml(value)}"
    for line in check_text(text, Path("/project"), environ={}):
        assert re.match(r"config\.toml(:\d+)?: ", line)
        assert "\n" not in line


def toml(value: object) -> str:
    """A value as TOML, or as something that is no TOML: both are input."""
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return ascii(value)


def test_orchs_own_environment_is_the_default(tmp_path: Path) -> None:
    assert load(tmp_path).worker_environment("claude")["PATH"] == os.environ["PATH"]


def test_the_settings_never_show_an_environment(tmp_path: Path) -> None:
    config = read(tmp_path, COMMAND_AGENT + 'env = { PASSWORD = "sesame" }\n', {"OTHER": "sesame"})
    assert "sesame" not in repr(config)


def test_a_value_of_env_is_never_told(tmp_path: Path) -> None:
    text = (
        '[agents.mine]\ncommand = ["x"]\nenv = { GH_TOKEN = "sesame", "a b" = "sesame", N = "sesame\\u0000" }'
    )
    found = check_text(text, tmp_path, environ={"AGENT_COMMAND": "x"})
    assert [line.split(": ")[1] for line in found] == [
        "[agents.mine] env.GH_TOKEN",
        "[agents.mine] env.'a b'",
        "[agents.mine] env.N",
    ]
    assert "sesame" not in "".join(found)


def test_limits_have_docstrings_and_units() -> None:
    assert all(re.search(r"_(minutes|seconds|mb|load)$", spec.name) for spec in fields(LimitSettings))


# --- the prompt -----------------------------------------------------------------------------------------


def test_the_prompt_template_is_the_projects_own_where_there_is_one(tmp_path: Path) -> None:
    config = load(tmp_path, {})
    assert config.prompt_template is None
    (tmp_path / "worker_template.md").write_text("{{ title }}")
    assert config.prompt_template == tmp_path.resolve() / "worker_template.md"


def test_a_template_that_was_named_is_missed(tmp_path: Path) -> None:
    config = read(tmp_path, '[agent]\nprompt = "mine.md"')
    assert config.prompt_template == tmp_path.resolve() / "mine.md"
