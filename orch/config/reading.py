"""Reads config.toml and the environment. Finds every problem, not only the first."""

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import tomli

from orch.config import environment
from orch.config.config import Config, command_agent
from orch.config.problems import Problem, meant, tell
from orch.config.project import CONFIG_NAME, DIRECTORY_NAME, Project
from orch.config.settings import AGENT_NAME, AgentKind, AgentSettings, WorktreeSettings
from orch.config.tables import AGENTS, TABLES, read_table, unknown_at_top
from orch.errors import ConfigError

LARGEST_FILE = 1024 * 1024
"""Bytes. A configuration is a page or two; anything far larger is a mistake."""


def load(
    root: Path, environ: Mapping[str, str] | None = None, *, warn: Callable[[str], None] | None = None
) -> Config:
    """The settings of the project at `root`; without a config.toml, the defaults.

    `environ` is orch's own environment unless another one is given. Raises ConfigError with the first
    problem; with `warn` it is told there instead, and a default stands in each place that is wrong: to
    look at a fleet, or to stop it, must not depend on the file.
    """
    try:
        text = _read(root)
    except ConfigError as error:
        if warn is None:
            raise
        warn(str(error))
        text = ""
    config, problems = _interpret(text, CONFIG_NAME, root, environ)
    if problems:
        more = len(problems) - 1
        hint = f"{more} more: `orch config check` lists them all" if more else "correct it and try again"
        if warn is None:
            raise ConfigError(problems[0], hint=hint)
        warn(f"{problems[0]} ({hint})")
    return config


def check(root: Path, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Every problem of the configuration at `root`, one line each, in the order of the file.

    Raises ConfigError where the file cannot be read at all.
    """
    return check_text(_read(root), root, environ=environ)


def check_text(
    text: str, root: Path, *, name: str = CONFIG_NAME, environ: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """The same for a text that need not be in a file. `name` is what the problems call it."""
    return _interpret(text, name, root, environ)[1]


def _read(root: Path) -> str:
    file = root / CONFIG_NAME
    try:
        try:
            mode = file.stat().st_mode
        except FileNotFoundError:
            if not file.is_symlink():
                return ""
            raise
        if not stat.S_ISREG(mode):  # reading a named pipe would wait for ever
            raise ConfigError(f"{file} is not a file", hint="make it one, or move it away")
        with file.open("rb") as stream:
            data = stream.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise ConfigError(f"{file} is larger than 1 MB", hint="is that the right file?")
        return data.decode()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file}:{line}: this is not UTF-8", hint="save the file as UTF-8") from None
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}", hint="look at it, or move it away"
        ) from error


def _interpret(
    text: str, name: str, root: Path, environ: Mapping[str, str] | None
) -> tuple[Config, tuple[str, ...]]:
    """The settings, with a default in each place that is wrong, and what is wrong.

    With `usable`, a default agent that this version cannot start is wrong too.
    """
    environ = MappingProxyType(environment.current() if environ is None else dict(environ))
    root = Path(os.path.realpath(root))
    text = text.removeprefix("\ufeff")  # editors on Windows put a byte-order mark there
    document: Mapping[str, Any] = {}
    syntax = ""
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        syntax = f"{name}:{error.lineno}: column {error.colno}: {error.msg}"
    except (ValueError, RecursionError):  # a number of thousands of digits, hundreds of nested brackets
        syntax = f"{name}: a number is too long, or a value is nested too deeply"

    problems = [unknown_at_top(key, value) for key, value in document.items() if key not in (*TABLES, AGENTS)]
    tables: dict[str, Any] = {}
    for key, kind in TABLES.items():
        tables[key], more = read_table((key,), kind(), document.get(key, {}))
        problems += more
    default = tables["agent"].default
    agents, more = _agents(document.get(AGENTS, {}), default, environ.get(environment.AGENT_COMMAND, ""))
    problems += more
    problems += _fallbacks(agents)
    problems += _passed_tokens(agents, tables["forge"].token_env)
    trees, more = _trees(root, tables["worktree"])
    problems += more
    agent = tables["agent"]
    project = Project(
        root=root, trees=trees, prompt=root / agent.prompt, continue_prompt=root / agent.continue_prompt
    )
    config = Config(project=project, agents=MappingProxyType(agents), environ=environ, **tables)
    return config, (syntax,) if syntax else tell(problems, name=name, text=text)


def _agents(value: object, default: str, override: str) -> tuple[dict[str, AgentSettings], list[Problem]]:
    """The tables [agents.NAME] and the default agent, which $AGENT_COMMAND may replace."""
    agents: dict[str, AgentSettings] = {}
    problems: list[Problem] = []
    if not isinstance(value, Mapping):
        return agents, [Problem((AGENTS,), "must be tables: [agents.NAME]", is_table=True)]
    for name, table in value.items():
        path = (AGENTS, name)
        if AGENT_NAME.fullmatch(name) is None:
            message = "an agent's name is one word of letters, digits, - and _"
            problems.append(Problem(path, message, is_table=True))
        agents[name], more = read_table(path, AgentSettings(kind=_kind(name)), table)
        problems += more
    if override.strip():
        try:
            command = command_agent(override)
        except ConfigError as error:
            return agents, [*problems, Problem((), str(error))]
        described = agents.get(default, AgentSettings())
        agents[default] = replace(command, env=described.env, env_pass=described.env_pass)
    elif default not in agents:
        agents[default] = AgentSettings(kind=_kind(default))
        if agents[default].kind is AgentKind.COMMAND:
            message = f"there is no table [agents.{default}]{meant(default, value)}"
            problems.append(Problem(("agent", "default"), message))
    return agents, problems


def _passed_tokens(agents: Mapping[str, AgentSettings], token: str) -> list[Problem]:
    """Agents that would be handed the forge's token, by a name that does not tell what it is."""
    reason = f"{token!r} is [forge] token_env: orch pushes itself, no worker gets that"
    return [
        Problem((AGENTS, name, "env_pass"), reason)
        for name, agent in agents.items()
        if token and token in agent.env_pass
    ]


def _fallbacks(agents: Mapping[str, AgentSettings]) -> list[Problem]:
    """Agents that should be taken over by one that is not there, or by themselves."""
    problems = []
    for name, agent in agents.items():
        key = (AGENTS, name, "fallback")
        if agent.fallback == name:
            problems.append(Problem(key, "is the agent itself; model:NAME is another model of it"))
        elif AGENT_NAME.fullmatch(agent.fallback) and agent.fallback not in agents:
            message = f"there is no table [agents.{agent.fallback}]{meant(agent.fallback, agents)}"
            problems.append(Problem(key, message))
    return problems


def _kind(name: str) -> AgentKind:
    """The kind of an agent that does not say: `claude` is of kind claude, any other a command."""
    return AgentKind(name) if name in list(AgentKind) else AgentKind.COMMAND


def _trees(root: Path, worktree: WorktreeSettings) -> tuple[Path, list[Problem]]:
    """The folder of the worktrees. Things are removed in there, so some folders are refused."""
    text = worktree.base_dir
    key = ("worktree", "base_dir")
    if not text.strip() or "\0" in text or text.startswith("~"):
        return root / "trees", [
            Problem(key, "must be the path of a folder, relative to the project or in full")
        ]
    trees = Path(os.path.realpath(root / text))
    if root.is_relative_to(trees):
        return trees, [Problem(key, "holds the project itself; choose a folder of its own, like trees")]
    if trees.is_relative_to(root / DIRECTORY_NAME) or ".git" in (part.casefold() for part in trees.parts):
        return trees, [Problem(key, "belongs to git or to orch itself; choose another folder, like trees")]
    problems = []
    for name in ("copy", "link"):
        for entry in getattr(worktree, name):
            source = root / entry
            if source != root and (trees.is_relative_to(source) or source.is_relative_to(trees)):
                problems.append(
                    Problem(("worktree", name), f"{entry!r} and the folder of the worktrees overlap")
                )
    return trees, problems
