"""config.toml and the environment, read into frozen, checked settings. The only reader of os.environ."""

from orch.config.config import Config
from orch.config.environment import clean_environment
from orch.config.project import CONFIG_NAME, Project
from orch.config.reading import check, check_text, load
from orch.config.settings import (
    AgentChoice,
    AgentKind,
    AgentSettings,
    BudgetSettings,
    CoordinatorSettings,
    ForgeKind,
    ForgeSettings,
    HookSettings,
    LimitSettings,
    RetrySettings,
    UnblockOn,
    VerifySettings,
    WorktreeSettings,
)
from orch.config.templates import CLAUDE_CONFIG, DEFAULT_CONFIG, DEFAULT_TASKS

__all__ = [
    "CLAUDE_CONFIG",
    "CONFIG_NAME",
    "DEFAULT_CONFIG",
    "DEFAULT_TASKS",
    "AgentChoice",
    "AgentKind",
    "AgentSettings",
    "BudgetSettings",
    "Config",
    "CoordinatorSettings",
    "ForgeKind",
    "ForgeSettings",
    "HookSettings",
    "LimitSettings",
    "Project",
    "RetrySettings",
    "UnblockOn",
    "VerifySettings",
    "WorktreeSettings",
    "check",
    "check_text",
    "clean_environment",
    "load",
]
