"""What `orch doctor` looks at: one function for each thing that can be wrong."""

import os
from collections.abc import Mapping
from pathlib import Path

from orch.adapters import git
from orch.adapters.machine import SystemMachine
from orch.adapters.prompts import TemplatePrompts
from orch.config import Config
from orch.errors import ConfigError, OrchError
from orch.ports import Agent, Finding, TaskStore


def check_git() -> Finding:
    """Whether git is there and new enough."""
    try:
        said = git.check_version(Path("/"))
    except OrchError as error:
        return Finding(ok=False, what=error.message, do=error.hint)
    return Finding(ok=True, what=said)


def check_machine(settings: Config) -> list[Finding]:
    """Whether orch may write where it has to, and whether there is room."""
    path, limits = settings.project, settings.limits
    findings = []
    for folder in dict.fromkeys((path.root, path.directory, path.trees)):
        nearest = _nearest(folder)
        writable = os.access(nearest, os.W_OK | os.X_OK)
        do = "" if writable else f"give this user the right to write in {nearest}"
        findings.append(Finding(writable, f"{folder} {'can' if writable else 'cannot'} be written", do))
    found = SystemMachine(path.root).resources()
    for what, free, wanted, key in (
        ("disk", found.free_disk_mb, limits.min_free_disk_mb, "min_free_disk_mb"),
        ("memory", found.free_memory_mb, limits.min_free_memory_mb, "min_free_memory_mb"),
    ):
        if free is not None:
            ok = free >= wanted
            do = "" if ok else f"free some, or lower [limits] {key} ({wanted:.0f})"
            findings.append(Finding(ok, f"{free:.0f} MB of {what} free", do))
    return findings


def check_agents(agents: Mapping[str, Agent], default: str) -> list[Finding]:
    """Whether the agents can be started."""
    findings = []
    for name, agent in sorted(agents.items()):
        problem = agent.problem()
        what = f"agent {name}{' (the default)' if name == default else ''}"
        findings.append(Finding(not problem, what if problem else f"{what} can be started", problem))
    return findings


def check_prompt(settings: Config) -> Finding:
    """Whether the prompt template can be used."""
    name = settings.prompt_template.name if settings.prompt_template else "the built-in prompt template"
    try:
        TemplatePrompts(
            settings.prompt_template, settings.continue_template, verify_command=settings.verify.command
        ).check()
    except ConfigError as error:
        return Finding(ok=False, what=error.message, do=error.hint)
    return Finding(ok=True, what=f"{name} can be used")


def check_queue(tasks: TaskStore, settings: Config) -> Finding:
    """Whether tasks.md is there and says nothing that orch does not understand."""
    name = settings.project.tasks_file.name
    reading = tasks.read()
    if reading is None:
        return Finding(ok=False, what=f"{name} is missing or cannot be read", do="orch init")
    document = reading.document
    if document.problems:
        first = document.problems[0]
        more = f", and {len(document.problems) - 1} more (orch status)" if len(document.problems) > 1 else ""
        return Finding(ok=False, what=f"{name}:{first.line}: {first.message}{more}", do=f"mend {name}")
    return Finding(ok=True, what=f"{name} has {len(document.tasks) + len(document.unnamed)} tasks")


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
