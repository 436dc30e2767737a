"""All settings of a project, and what follows from them."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from types import MappingProxyType

from orch.config import environment
from orch.config.project import Project
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
from orch.core.forge import Trust
from orch.core.model import ForgePolicy, Policy
from orch.core.values import dataclass
from orch.errors import ConfigError

STATUS_LABELS = ("active", "blocked", "failed", "completed")
"""Statuses of a task that its issue may bear as a label, `orch:STATUS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings of a project, checked."""

    project: Project
    coordinator: CoordinatorSettings = CoordinatorSettings()
    forge: ForgeSettings = ForgeSettings()
    agent: AgentChoice = AgentChoice()
    agents: Mapping[str, AgentSettings] = field(default_factory=lambda: MappingProxyType({}))
    """By name: the configured agents, and the default one even where no table describes it."""
    limits: LimitSettings = LimitSettings()
    retry: RetrySettings = RetrySettings()
    budget: BudgetSettings = BudgetSettings()
    verify: VerifySettings = VerifySettings()
    worktree: WorktreeSettings = WorktreeSettings()
    hooks: HookSettings = HookSettings()
    environ: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """orch's own environment when the settings were read."""

    @property
    def unblock_on(self) -> UnblockOn:
        """`[forge] unblock_on`, or the default of the forge's kind."""
        if self.forge.unblock_on is not None:
            return self.forge.unblock_on
        return UnblockOn.COMPLETED if self.forge.kind is ForgeKind.LOCAL else UnblockOn.MERGED

    @property
    def prompt_template(self) -> Path | None:
        """The project's own prompt template, None where orch's own is meant.

        A template that was named, and is missing, is given too: using it says so.
        """
        prompt = self.project.prompt
        return prompt if self.agent.prompt != AgentChoice().prompt or prompt.exists() else None

    @property
    def continue_template(self) -> Path | None:
        """The same for an attempt that goes on with a conversation."""
        prompt = self.project.continue_prompt
        named = self.agent.continue_prompt != AgentChoice().continue_prompt
        return prompt if named or prompt.exists() else None

    def policy(self) -> Policy:
        """The settings that decisions depend on, in seconds."""
        keep = self.worktree.keep_failed_minutes
        return Policy(
            max_concurrent_workers=self.coordinator.max_concurrent_workers,
            poll_interval=self.coordinator.poll_interval_seconds,
            drain=self.coordinator.drain,
            unblock_on=self.unblock_on.value,
            default_agent=self.agent.default,
            agents=tuple(self.agents),
            stop_seconds=self.limits.stop_seconds,
            grace_seconds=self.limits.grace_seconds,
            max_attempts=self.retry.max_attempts,
            retry_initial=self.retry.initial_seconds,
            retry_factor=self.retry.factor,
            retry_max=self.retry.max_seconds,
            verify=bool(self.verify.command.strip()),
            min_free_memory_mb=self.limits.min_free_memory_mb,
            min_free_disk_mb=self.limits.min_free_disk_mb,
            max_load=self.limits.max_load,
            keep_days=self.coordinator.keep_days,
            keep_failed_seconds=None if keep is None else keep * 60,
            forge=self.forge_policy(),
            budget=self.budget.budget(),
            fallbacks={name: agent.fallback for name, agent in self.agents.items() if agent.fallback},
            warm=self.worktree.warm,
        )

    def forge_policy(self) -> ForgePolicy:
        """The part of the policy that is about issues and pull requests."""
        forge = self.forge
        if forge.kind is ForgeKind.LOCAL:
            return ForgePolicy(poll_interval=self.coordinator.poll_interval_seconds)
        return ForgePolicy(
            intake=bool(forge.issue_label),
            follow=forge.follow_up,
            issue_label=forge.issue_label,
            poll_interval=forge.poll_interval_seconds,
            priorities=tuple((_pattern(label), place) for place, label in enumerate(forge.priority_labels)),
            trust=Trust(
                frozenset(forge.trusted_associations),
                frozenset(login.lower() for login in forge.trusted_logins),
            ),
            max_rounds=forge.max_rounds,
            auto_merge=forge.auto_merge.value,
            retire=forge.delete_branches,
            comment=forge.status_comments,
            status_labels={status: f"orch:{status}" for status in STATUS_LABELS}
            if forge.status_labels
            else {},
        )

    def agent_settings(self, name: str) -> AgentSettings:
        """The settings of one agent. Raises ConfigError where there is no such agent."""
        if name not in self.agents:
            raise ConfigError(
                f"{self.project.config_file}: there is no agent {name!r}",
                hint=f"add a table [agents.{name}], or choose among: {', '.join(self.agents)}",
            )
        return self.agents[name]

    def worker_environment(self, name: str) -> dict[str, str]:
        """The environment of an agent's workers: the allow-list, what its kind needs, `env_pass`, `env`.

        No token of a forge is ever in it. Raises ConfigError where there is no such agent.
        """
        agent = self.agent_settings(name)
        more = (*environment.OF_AGENTS.get(agent.kind, ()), *agent.env_pass)
        given = environment.allowed(self.environ, more, token=self.forge.token_env) | dict(agent.env)
        return environment.without_maintenance(given)

    def secrets(self) -> frozenset[str]:
        """What orch or its workers have under a name that says that it is a secret: orch never repeats it."""
        found = set(environment.secrets_in(self.environ, token=self.forge.token_env))
        for agent in self.agents.values():
            given = {**{name: self.environ.get(name, "") for name in agent.env_pass}, **agent.env}
            found.update(value for name, value in given.items() if environment.is_secret(name, value))
        return frozenset(found)

    def hook_environment(self) -> dict[str, str]:
        """The environment of the verify, setup and teardown commands: the allow-list alone.

        They run code that an agent wrote, so they get no more than a worker does.
        """
        return environment.without_maintenance(environment.allowed(self.environ, token=self.forge.token_env))

    def announcer_environment(self) -> dict[str, str]:
        """The environment of the [hooks]: the allow-list and `env_pass`, never a token of a forge."""
        return environment.allowed(self.environ, self.hooks.env_pass, token=self.forge.token_env)


def _pattern(label: str) -> str:
    """The regular expression for a label in which `*` stands for any text."""
    return ".*".join(map(re.escape, label.split("*")))


def command_agent(command: str) -> AgentSettings:
    """The agent that $AGENT_COMMAND describes. Raises ConfigError where it is none."""
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise ConfigError(
            f"${environment.AGENT_COMMAND} cannot be split into words: {str(error).lower()}",
            hint="quote it as for a shell",
        ) from None
    if not words or not words[0].strip():
        raise ConfigError(f"${environment.AGENT_COMMAND} names no program", hint="set it to one, or unset it")
    return AgentSettings(kind=AgentKind.COMMAND, command=words)
