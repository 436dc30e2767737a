"""Every table of config.toml: the type, the limits and the default of each key, and what it is for."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from enum import StrEnum
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Annotated

from msgspec import Meta

from orch.config import environment
from orch.config.places import KeyPath
from orch.config.project import DIRECTORY_NAME
from orch.core.announce import Occasion
from orch.core.costs import Allowance, Budget
from orch.core.model import MODEL, Drain
from orch.core.values import dataclass

Complaint = tuple[KeyPath, str]
"""A key of a table, and what is wrong with its value."""

# Every number has an upper limit, because `inf` and a slip of the zero key are numbers in TOML too.
DAY = 86_400
WEEK_MINUTES = 7 * 24 * 60
TERABYTE_MB = 1024 * 1024

AGENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
"""An agent's name is written in tasks.md (`{agent:NAME}`), so it is one plain word."""


# The rules of git-check-ref-format(1), as far as they matter for a branch that a person names; a
# leading dash would be read as an option.
BAD_BRANCH = re.compile(r"^[-/.]|[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|@\{|[/.]$|\.lock$")

_ACCOUNT = r"[A-Za-z0-9][A-Za-z0-9-]{0,60}(?:_[A-Za-z0-9]{1,20})?"
REPOSITORY = re.compile(rf"{_ACCOUNT}/(?!\.\.?$)[A-Za-z0-9._-]{{1,100}}")
LOGIN = re.compile(rf"{_ACCOUNT}(?:\[bot\])?")
API_URL = re.compile(
    r"(?:https://[^/@\s]+|http://(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]+)?)(?:/[^\s@]*)?"
)
"""Plain http would send the token in the clear, so only this machine may be reached by it."""
ASSOCIATIONS = (
    "OWNER",
    "MEMBER",
    "COLLABORATOR",
    "CONTRIBUTOR",
    "FIRST_TIME_CONTRIBUTOR",
    "FIRST_TIMER",
    "MANNEQUIN",
    "NONE",
)
"""What GitHub says somebody is to a repository."""
LABEL_LENGTH = 50
LOWEST_PRIORITY = 9


class Settings:
    """One table. What the types and limits of its keys cannot say, `complaints` does."""

    __slots__ = ()

    def complaints(self) -> Iterable[Complaint]:
        """What is wrong with values that have the right type. Never shows what may be a secret."""
        return ()


class ForgeKind(StrEnum):
    """Where branches are pushed and pull requests live."""

    LOCAL = "local"
    GITHUB = "github"


class UnblockOn(StrEnum):
    """What frees the tasks that wait for another one."""

    COMPLETED = "completed"
    MERGED = "merged"


class LogLevel(StrEnum):
    """The least that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class AutoMerge(StrEnum):
    """When a pull request is handed to the forge to be merged."""

    NEVER = "never"
    WHEN_GREEN = "when_green"
    WHEN_APPROVED = "when_approved"


class AgentKind(StrEnum):
    """How an agent is started and how its output is read."""

    CLAUDE = "claude"
    CODEX = "codex"
    GEMINI = "gemini"
    COMMAND = "command"


"""The kinds that this version has an adapter for. The others are known, and refused by name."""

PERMISSION_MODES: Mapping[AgentKind, tuple[str, ...]] = {
    AgentKind.CLAUDE: ("default", "acceptEdits", "bypassPermissions", "plan", "dontAsk", "auto"),
    AgentKind.CODEX: ("read-only", "workspace-write", "danger-full-access"),
    AgentKind.GEMINI: ("default", "auto_edit", "yolo", "plan"),
}
"""What each kind of agent calls the things that it may do without asking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorSettings(Settings):
    """[coordinator]: the one process that watches the queue."""

    max_concurrent_workers: Annotated[int, Meta(ge=1, le=256)] = 3
    """How many workers run at the same time."""
    poll_interval_seconds: Annotated[float, Meta(gt=0, le=DAY)] = 30.0
    """How often everything is looked at when nothing happens. Changes are seen at once anyway."""
    drain: Drain = Drain.LEAVE
    """What the first SIGTERM or ^C does with live workers: leave them running for the next `orch run`
    to adopt, finish them, or stop them."""
    keep_days: Annotated[float, Meta(ge=0, le=36_500)] = 14.0
    """Run directories are kept for so many days; the last run of each task always is."""
    log_level: LogLevel = LogLevel.INFO
    """The least that is logged: debug (each action, too), info, warning or error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeSettings(Settings):
    """[forge]: where the results go."""

    kind: ForgeKind = ForgeKind.LOCAL
    """local: pull requests are kept in .orch and merged by `orch merge`. github: issues become tasks,
    and pull requests are opened and followed there."""
    base_branch: str = ""
    """The branch that work starts from and is merged into. Empty: the default branch of `origin`, or
    the branch that is checked out."""
    unblock_on: UnblockOn | None = None
    """What frees dependent tasks. Without it: completed with the local forge, merged with GitHub."""

    # What follows is for kind = "github".
    repository: str = ""
    """OWNER/NAME at GitHub. Empty: what the url of `origin` says."""
    api_url: Annotated[str, Meta(max_length=2000)] = "https://api.github.com"
    """GitHub Enterprise has one of its own, for example https://github.example.com/api/v3."""
    token_env: str = ""
    """The variable of orch's own environment that holds the token. Empty: GITHUB_TOKEN or GH_TOKEN. Where
    it is not set, `gh auth token` is asked. No worker gets it."""
    poll_interval_seconds: Annotated[float, Meta(ge=1, le=DAY)] = 30.0
    """How often GitHub is asked what is new. A poll that finds nothing costs nothing there."""
    timeout_seconds: Annotated[int, Meta(ge=1, le=300)] = 10
    """GitHub may take so long to accept a connection, and be silent for so long in an answer."""
    issue_label: Annotated[str, Meta(max_length=50)] = "orch"
    """Open issues with this label become tasks. Empty: no issues, only pull requests."""
    priority_labels: tuple[str, ...] = ("priority:P0", "priority:P1", "priority:P2", "priority:P3")
    """Labels that give a task its priority: the first is p0, the next p1, and so on. `*` stands for any
    text, and case does not count."""
    trusted_associations: tuple[str, ...] = ("OWNER", "MEMBER", "COLLABORATOR")
    """Whose issues are run and whose remarks are followed: what GitHub calls them in this repository."""
    trusted_logins: tuple[str, ...] = ()
    """Names of accounts that are trusted besides."""
    status_comments: bool = True
    """Whether each issue gets one comment that shows how its task stands. It is edited, never repeated."""
    status_labels: bool = False
    """Whether an issue bears orch:active, orch:blocked, orch:failed or orch:completed as its task does."""
    draft: bool = False
    """Whether pull requests are opened as drafts."""
    pull_labels: tuple[str, ...] = ()
    """Labels for the pull requests that orch opens."""
    reviewers: tuple[str, ...] = ()
    """Accounts that are asked to review them."""
    follow_up: bool = True
    """Whether failing checks, reviews and conflicts of a pull request lead to another attempt."""
    max_rounds: Annotated[int, Meta(ge=0, le=100)] = 3
    """After so many attempts for the same kind of trouble the task is blocked, and waits for a person."""
    auto_merge: AutoMerge = AutoMerge.NEVER
    """never, when_green (all checks passed) or when_approved (and somebody trusted approved)."""
    delete_branches: bool = True
    """Whether the branch of a merged pull request is deleted, here and at GitHub, if it has nothing more."""

    def complaints(self) -> Iterator[Complaint]:
        """See `Settings`."""
        if BAD_BRANCH.search(self.base_branch):
            yield ("base_branch",), f"{self.base_branch!r} cannot be the name of a branch"
        if self.repository and REPOSITORY.fullmatch(self.repository) is None:
            yield ("repository",), f"{self.repository!r} is not OWNER/NAME"
        if API_URL.fullmatch(self.api_url) is None:
            yield (
                ("api_url",),
                "must be an https:// address without a user name, for example https://api.github.com",
            )
        if self.token_env and environment.NAME.fullmatch(self.token_env) is None:
            yield ("token_env",), f"{self.token_env!r} is not the name of an environment variable"
        if len(self.priority_labels) > LOWEST_PRIORITY + 1:
            yield (
                ("priority_labels",),
                f"has more than {LOWEST_PRIORITY + 1} entries: the lowest priority is p9",
            )
        for name in self.trusted_associations:
            if name not in ASSOCIATIONS:
                yield ("trusted_associations",), f"{name!r} is none of {', '.join(ASSOCIATIONS)}"
        for key, logins in (("trusted_logins", self.trusted_logins), ("reviewers", self.reviewers)):
            for login in logins:
                if LOGIN.fullmatch(login) is None:
                    yield (key,), f"{login!r} is not the name of an account"
        for key, labels in (("priority_labels", self.priority_labels), ("pull_labels", self.pull_labels)):
            if any(not label.strip() or len(label) > LABEL_LENGTH for label in labels):
                yield (key,), f"a label has 1 to {LABEL_LENGTH} characters"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentChoice(Settings):
    """[agent]: which agent works on a task that names none, and what it is told."""

    default: str = "claude"
    """The NAME of an [agents.NAME] table; `{agent:NAME}` on a task's line overrides it."""
    prompt: str = "worker_template.md"
    """The project's own prompt template. Where the file is missing, orch's own is used."""
    continue_prompt: str = "continue_template.md"
    """The same for an attempt that goes on with the conversation of the one before."""

    def complaints(self) -> Iterator[Complaint]:
        """See `Settings`."""
        for key, path in (("prompt", self.prompt), ("continue_prompt", self.continue_prompt)):
            if not path or "\0" in path:
                yield (key,), "must be the path of a file"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings(Settings):
    """[agents.NAME]: one agent."""

    kind: AgentKind = AgentKind.COMMAND
    """claude, codex or gemini: that program, its stream read. command: any program that reads a prompt on
    stdin. Where it is left out and NAME is the name of a kind, it is that one."""
    command: tuple[str, ...] = ()
    """The program and its arguments, one string each; no shell is involved. Of the other kinds, where the
    program is, if it is not simply called as its kind."""
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """Environment variables to set for this agent's workers."""
    env_pass: tuple[str, ...] = ()
    """Names of variables to hand on from orch's own environment, in addition to the usual ones. Tokens
    of a forge are refused: orch pushes, the agent does not."""
    extra_args: tuple[str, ...] = ()
    """More arguments, after those of the command."""
    model: str = ""
    """The model to ask for. Empty: the agent's own default. `{model:NAME}` on a task's line overrides it."""
    fallback: str = ""
    """Who takes over while a usage limit keeps this agent from working: the NAME of another agent, or
    model:NAME for another model of the same one. Empty: nobody, its tasks wait."""
    permission_mode: str = ""
    """What claude, codex or gemini may do without asking; in the agent's own words. Empty: everything, as
    nobody is there to answer."""
    trust_hooks: bool = False
    """Let claude run the hooks, key helpers and MCP servers that the repository's and your own settings of
    claude name. Workers write in the repository, so what one wrote would be run for the next."""
    mcp_config: str = ""
    """A file of MCP servers for claude, relative to the project. Without `trust_hooks` it has no others."""

    def complaints(self) -> Iterator[Complaint]:
        """See `Settings`."""
        if self.kind is AgentKind.COMMAND and not self.command:
            yield ("command",), 'is missing; for example command = ["my-agent", "--yes"]'
        modes = PERMISSION_MODES.get(self.kind, ())
        if self.permission_mode and self.permission_mode not in modes:
            known = (
                f"is one of: {', '.join(modes)}"
                if modes
                else f"means nothing to an agent of kind {self.kind}"
            )
            yield ("permission_mode",), known
        if self.kind is not AgentKind.CLAUDE and self.trust_hooks:
            yield ("trust_hooks",), "is for agents of kind claude only"
        if self.kind is not AgentKind.CLAUDE and self.mcp_config:
            yield ("mcp_config",), "is for agents of kind claude only"
        if "\0" in self.mcp_config:
            yield ("mcp_config",), "contains a NUL character"
        if self.command and not self.command[0].strip():
            yield ("command",), "starts with an empty string, not with a program"
        for key, words in (("command", self.command), ("extra_args", self.extra_args)):
            if any("\0" in word for word in words):
                yield (key,), "contains a NUL character"
        for name, value in self.env.items():
            if reason := environment.refusal(name):
                yield ("env", name), reason
            elif "\0" in value:
                yield ("env", name), "contains a NUL character"
        for name in self.env_pass:
            if reason := environment.refusal(name):
                yield ("env_pass",), f"{name!r} {reason}"
        if self.fallback and AGENT_NAME.fullmatch(self.fallback) is None and not _is_model(self.fallback):
            yield ("fallback",), "must be the name of an agent, or model:NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings(Settings):
    """[limits]: what one worker may use, and what the machine must have left."""

    timeout_minutes: Annotated[float, Meta(gt=0, le=WEEK_MINUTES)] = 60.0
    """A worker is ended after this long."""
    stall_minutes: Annotated[float, Meta(ge=0, le=WEEK_MINUTES)] = 10.0
    """A worker without output and without CPU time for this long is ended; warned of after half of it.
    A connection counts as work for twice as long. 0: never."""
    linger_seconds: Annotated[float, Meta(ge=0, le=DAY)] = 60.0
    """A worker that has told its result and is silent, but still there, is ended after this. 0: never."""
    stop_seconds: Annotated[float, Meta(ge=0, le=DAY)] = 60.0
    """How long an agent may take to stop by itself after `orch stop`, before SIGTERM."""
    grace_seconds: Annotated[float, Meta(ge=0, le=3600)] = 5.0
    """How long after SIGTERM comes SIGKILL."""
    max_log_mb: Annotated[float, Meta(gt=0, le=TERABYTE_MB)] = 100.0
    """A worker that prints more than this is ended."""
    memory_mb: Annotated[float, Meta(ge=0, le=TERABYTE_MB)] = 0.0
    """A worker whose processes together hold more memory than this is ended. 0: no limit."""
    min_free_memory_mb: Annotated[float, Meta(ge=0, le=TERABYTE_MB)] = 256.0
    """Nothing is launched while less memory than this is free. 0: do not look."""
    min_free_disk_mb: Annotated[float, Meta(ge=0, le=TERABYTE_MB)] = 512.0
    """Nothing is launched while less disk than this is free. 0: do not look."""
    max_load: Annotated[float, Meta(ge=0, le=100_000)] = 0.0
    """Nothing is launched while the load average of one minute is higher than this. 0: do not look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings(Settings):
    """[retry]: what happens after a failed attempt."""

    max_attempts: Annotated[int, Meta(ge=1, le=1000)] = 3
    """After so many failed attempts a task is failed, and waits for a person."""
    initial_seconds: Annotated[float, Meta(ge=0, le=DAY)] = 5.0
    """The wait before the second attempt."""
    factor: Annotated[float, Meta(ge=1, le=100)] = 2.0
    """Each further wait is this many times longer."""
    max_seconds: Annotated[float, Meta(ge=0, le=DAY)] = 120.0
    """No wait is longer than this. Each is spread by up to a quarter downwards, so that tasks that failed
    together are not all tried again together."""

    def complaints(self) -> Iterator[Complaint]:
        """See `Settings`."""
        if self.max_seconds < self.initial_seconds:
            yield ("max_seconds",), f"must be at least initial_seconds ({self.initial_seconds:g})"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSettings(Settings):
    """[budget]: what may be spent, as far as the agents tell what they cost. 0: no limit."""

    per_task_usd: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0
    """US dollars for one task, all its attempts together; `{budget:2.50}` on its line counts more."""
    per_day_usd: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0
    """US dollars for all tasks together in one day of local time."""
    per_task_tokens: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """Tokens for one task, those that were read from a cache included."""
    per_day_tokens: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """Tokens for all tasks together in one day of local time."""

    def budget(self) -> Budget:
        """The same as the rules take it."""
        return Budget(
            task=Allowance(self.per_task_usd or None, self.per_task_tokens or None),
            day=Allowance(self.per_day_usd or None, self.per_day_tokens or None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySettings(Settings):
    """[verify]: the project's own proof that the work is good."""

    command: str = ""
    """A shell command, run in the worktree. The attempt fails unless it exits with 0. Empty: none."""
    timeout_seconds: Annotated[float, Meta(gt=0, le=DAY)] = 600.0
    """A verify command that takes longer has failed."""

    def complaints(self) -> Iterator[Complaint]:
        """See `Settings`."""
        if "\0" in self.command:
            yield ("command",), "contains a NUL character"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorktreeSettings(Settings):
    """[worktree]: where workers work and what they find there."""

    base_dir: str = "trees"
    """The folder of the worktrees, relative to the project root or absolute. orch removes things in
    there, so it must be a folder of its own."""
    setup: str = ""
    """A shell command, run in each new worktree before its worker starts. Empty: none."""
    teardown: str = ""
    """A shell command, run in a worktree before it is removed. Empty: none."""
    copy: tuple[str, ...] = ()
    """Files and folders, relative to the project root, that are copied into each new worktree."""
    link: tuple[str, ...] = ()
    """The same, but as symbolic links: for caches that may be shared."""
    keep_failed_minutes: Annotated[float, Meta(ge=0, le=36_500 * 24 * 60)] | None = None
    """Worktrees of failed and blocked tasks are removed after this long, their work saved first.
    Without it they stay until `orch clean`."""

    warm: Annotated[int, Meta(ge=0, le=32)] = 0
    """So many checked-out worktrees are kept ready for tasks to come, under `.warm` in `base_dir`. They are
    made while nothing is being launched; a launch then takes milliseconds, however large the repository."""

    def complaints(self) -> Iterator[Complaint]:
        """See `Settings`."""
        for key, command in (("setup", self.setup), ("teardown", self.teardown)):
            if "\0" in command:
                yield (key,), "contains a NUL character"
        for key, entries in (("copy", self.copy), ("link", self.link)):
            for entry in entries:
                if reason := _misplaced(entry):
                    yield (key,), f"{entry!r} {reason}"
        for entry in sorted(set(self.copy) & set(self.link)):
            yield ("link",), f"{entry!r} is under copy too"


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSettings(Settings):
    """[hooks]: commands of yours for what happens to the queue, once for each event.

    Each is a line for a shell, run in the project root, with the facts in its environment: ORCH_EVENT,
    ORCH_TIME, ORCH_MESSAGE, ORCH_TASK_ID, ORCH_TITLE, ORCH_ATTEMPT, ORCH_WORKER, ORCH_BRANCH, ORCH_AGENT,
    ORCH_PULL_URL and ORCH_PROJECT. Empty: none.
    """

    on_blocked: str = ""
    """A worker needs an answer."""
    on_failed: str = ""
    """A task has used up its attempts."""
    on_paused: str = ""
    """Nothing new is launched any more, whoever wanted it."""
    on_limited: str = ""
    """An agent has reached its usage limit."""
    on_pr_ready: str = ""
    """A task is completed, and there is a pull request to look at."""
    on_merged: str = ""
    """A pull request was merged."""
    timeout_seconds: Annotated[float, Meta(gt=0, le=3600)] = 30.0
    """A hook that takes longer is ended, with all that it started."""
    env_pass: tuple[str, ...] = ()
    """Names of variables to hand on from orch's own environment, in addition to the usual ones. Tokens
    of a forge are refused."""

    def complaints(self) -> Iterator[Complaint]:
        """See `Settings`."""
        for name in HOOKS:
            if "\0" in getattr(self, name):
                yield (name,), "contains a NUL character"
        for name in self.env_pass:
            if reason := environment.refusal(name):
                yield ("env_pass",), f"{name!r} {reason}"


HOOKS = tuple(f"on_{occasion}" for occasion in Occasion)
"""The keys of [hooks] that are commands."""


def _is_model(fallback: str) -> bool:
    return fallback.startswith(MODEL) and fallback.removeprefix(MODEL).split() == [fallback[len(MODEL) :]]


def _misplaced(entry: str) -> str:
    """Why a path may not be copied or linked into a worktree, or ''."""
    path = PurePosixPath(entry)
    if not entry.strip() or "\0" in entry or not path.parts:
        return "is not the path of a file or folder"
    if path.is_absolute() or ".." in path.parts:
        return "must be a path inside the project"
    if path.parts[0] == DIRECTORY_NAME or ".git" in (part.casefold() for part in path.parts):
        return "belongs to git or to orch itself"
    return ""
