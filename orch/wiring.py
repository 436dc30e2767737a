"""Puts a project together. The only place that names concrete adapters."""

import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from orch import config
from orch.adapters import git, git_locks, redaction
from orch.adapters.agents.command import CommandAgent
from orch.adapters.agents.program import Program
from orch.adapters.announcer import HookAnnouncer
from orch.adapters.announcer import Hooks as EventHooks
from orch.adapters.executors.local import LocalExecutor, WorkerLimits
from orch.adapters.executors.verify import VerifyCommand
from orch.adapters.forge.local import LocalForge
from orch.adapters.forge.local_tracker import LocalReviews, LocalTracker
from orch.adapters.machine import SystemClock, SystemMachine, tame_allocator
from orch.adapters.prompts import CONTINUE_TEMPLATE, TemplatePrompts, packaged_template
from orch.adapters.repository import GitRepository, check_repository, exclude
from orch.adapters.store import atomic, layout
from orch.adapters.store.costs import CostFile
from orch.adapters.store.events_file import EventsFile
from orch.adapters.store.ledger import LedgerFile
from orch.adapters.store.metrics_file import MetricsFile
from orch.adapters.store.presence import Presence
from orch.adapters.store.requests import RequestFiles
from orch.adapters.store.runs import RunDirectories
from orch.adapters.store.task_file import TaskFile
from orch.adapters.supervisor import NobodySupervisor, SystemdSupervisor
from orch.adapters.worktrees import GitWorktrees, Hooks, repair
from orch.config import AgentKind, AgentSettings, Config, environment
from orch.coordinator.act import make_brief
from orch.coordinator.loop import Coordinator, Setup, recover
from orch.coordinator.mailbox import Mailbox
from orch.coordinator.observe import observe
from orch.coordinator.record import make_snapshot
from orch.core.announce import Occasion
from orch.core.costs import Expense
from orch.core.decide import decide
from orch.core.draft import Draft
from orch.core.forge import Issue, Sight, Wanted
from orch.core.metrics import assess
from orch.core.model import Activity, Drain, RetryRequest, RunKey, Status
from orch.core.names import issue_number
from orch.core.rules import admit, parking
from orch.core.rules.trust import is_trusted
from orch.core.state import Look, Snapshot
from orch.core.values import dataclass
from orch.errors import ConfigError, OrchError, PermanentError, TransientError
from orch.ports import Agent, Finding, Ports, Step, Supervisor, Transcript

if TYPE_CHECKING:
    from orch.adapters.forge.github.parts import GitHub
    from orch.adapters.service import Service
    from orch.adapters.worktrees.restoring import Restored
    from orch.adapters.worktrees.saved import Orphan, SavedWork

log = logging.getLogger(__name__)

redact = redaction.redact
"""Takes out of a text what is a secret, or was given to a worker as one."""

EXCLUDED = ("/.orch/", "/STOP", "/BLOCKED.md")
"""What git must not see, besides the folder of the worktrees."""

END_SECONDS = 60.0
"""What orch may need to end, besides the time of its workers: git, the forge and hooks are waited for."""

SILENT_SECONDS = 30.0
"""A coordinator that has written nothing for this long, over two polls, hangs or cannot write."""


def _nobody(_: str) -> None:
    """Wakes nobody: a command that only looks does not wait."""


@dataclass(frozen=True)
class Project:
    """A project root with its settings and, made when first needed, its adapters."""

    root: Path
    config: Config
    warn: Callable[[str], None]
    wake: Callable[[str], None] = field(default=_nobody)

    @cached_property
    def tasks(self) -> TaskFile:
        """tasks.md."""
        return TaskFile(self.config.project.tasks_file, lock=self.config.project.directory / "tasks.lock")

    @cached_property
    def runs(self) -> RunDirectories:
        """The run directories."""
        return RunDirectories(self.config.project.runs, warn=self.warn)

    @cached_property
    def costs(self) -> CostFile:
        """What the runs have cost."""
        return CostFile(self.config.project.costs_file)

    @cached_property
    def requests(self) -> RequestFiles:
        """What the command line asks a coordinator for."""
        return RequestFiles(self.config.project.directory, warn=self.warn)

    @cached_property
    def presence(self) -> Presence:
        """Who coordinates."""
        return Presence(self.config.project.lock_file, self.config.project.pid_file)

    @cached_property
    def ports(self) -> Ports:
        """Everything. Raises ConfigError for a repository that cannot be worked in."""
        return _make_ports(self, _make_lasting(self), base_branch(self))


def open_project(
    root: Path,
    *,
    warn: Callable[[str], None] = log.warning,
    lenient: bool = False,
    newer: bool = False,
) -> Project:
    """Read the settings of the project at `root`.

    Raises ConfigError for a broken config.toml, and for what a newer orch has written. `lenient` is for
    commands that only look or stop: `warn` is told of a broken config.toml, and defaults stand in. `newer`
    is for those that read nothing of `.orch`.
    """
    project = Project(root, config.load(root, warn=warn if lenient else None), warn)
    if not newer:
        layout.check(project.config.project.version_file)
    return project


def coordinator_pid(project: Project) -> int | None:
    """Who coordinates the project now, None if nobody does."""
    return project.presence.holder()


def look(project: Project) -> Snapshot:
    """What the files say now. Reads only, and works with or without a coordinator."""
    pid = coordinator_pid(project) or 0
    # Whether the base branch is there does not matter for looking.
    ports = _make_ports(project, _make_lasting(project), project.config.forge.base_branch)
    policy = project.config.policy()
    state = recover(ports, policy)
    # What a coordinator would conclude if it could launch nothing. What it would do is not done, and
    # what it would count and announce has not happened.
    concluded = decide(state, observe(ports, state, ()), policy.evolve(max_concurrent_workers=0)).state
    began = _started_at(project) if pid else 0.0
    told = MetricsFile(project.config.project.metrics_file, warn=project.warn).forge()
    # What waits for an approval, the coordinator has seen; here nobody asks the forge.
    held = dict.fromkeys(told.awaiting.keys() & concluded.forge.held.keys(), "waits for approval")
    state = concluded.evolve(
        metrics=state.metrics,
        paused=state.paused,
        health=assess(state.metrics),
        notices={**_ask_coordinator(project, pid, began), **concluded.notices},
        forge=concluded.forge.evolve(
            held=held, awaiting=told.awaiting, reviews=told.reviews, sight=Sight(usage=told.usage)
        ),
    )
    return make_snapshot(ports, state, policy, pid=pid, started_at=began)


def _ask_coordinator(project: Project, pid: int, began: float) -> dict[str, str]:
    """What only a coordinator can know (what cannot be written), and whether it still writes at all."""
    if not pid:
        return {}
    file = project.config.project.metrics_file
    told = dict(MetricsFile(file, warn=project.warn).notices(pid))
    try:
        written = file.stat().st_mtime
    except OSError:
        written = 0.0
    silent = time.time() - max(written, began)
    if silent > SILENT_SECONDS + 2 * project.config.coordinator.poll_interval_seconds:
        log_file = project.config.project.log_file
        told["silence"] = f"the coordinator has not written for {silent:.0f} s: see {log_file}"
    return told


def next_prompt(project: Project, name: str, *, fresh: bool = False) -> str:
    """What the next attempt at a task would be told if it began now, as with `orch retry`.

    Raises ConfigError for a task that is not in tasks.md, and as `Prompts.render`.
    """
    policy = project.config.policy()
    ports = _make_ports(project, _make_lasting(project), project.config.forge.base_branch)
    state = recover(ports, policy)
    seen = observe(ports, state, ())
    state = decide(state, seen, policy.evolve(max_concurrent_workers=0)).state
    draft = Draft(state, seen, policy)
    task = draft.task(name)
    if task is None:
        raise ConfigError(f"{name} is not in tasks.md", hint="only what is there has a next attempt")
    wish = admit.collect_wishes(draft).get(name, admit.Wish())
    if fresh:
        wish = wish.evolve(retry=RetryRequest(name, fresh=True))
    last = ports.runs.load([name]).get(name)
    choice = parking.choose(draft, task, asked=True) or parking.wanted(draft, task)
    run = admit.draft_run(draft, task, last, wish, choice)
    return ports.prompts.render(
        task, run, make_brief(ports, run, _shown_issue(project, name), policy.forge.trust)
    )


def _shown_issue(project: Project, name: str) -> Issue | None:
    """The issue of a task, where there is one whose text an agent may be shown."""
    number, policy = issue_number(name), project.config.forge_policy()
    if not (number and policy.intake):
        return None
    try:
        issue = find_issue(project, number)
    except OrchError as error:
        project.warn(f"the issue is left out: {error}")
        return None
    approved = (
        LedgerFile(project.config.project.ledger_file, warn=project.warn).read().approved.get(number, "")
    )
    return issue if is_trusted(issue, policy.trust, approved) else None


def find_transcript(project: Project, agent: str) -> Transcript | None:
    """What reads the output of an agent for a person; None where it is plain text, or nobody knows."""
    from orch.adapters.agents import passages

    transcripts: Mapping[AgentKind, Transcript] = {
        AgentKind.CLAUDE: passages.read_claude,
        AgentKind.CODEX: passages.read_codex,
        AgentKind.GEMINI: passages.read_gemini,
    }
    settings = project.config.agents.get(agent)
    return transcripts.get(settings.kind) if settings else None


def expenses(project: Project) -> Sequence[Expense]:
    """What each run has cost, oldest first; the live ones, with what they have used so far, come last.

    Raises TransientError where the file cannot be read.
    """
    snapshot = look(project)
    live = [snapshot.runs[name] for name in sorted(snapshot.live)]
    keys = {run.key for run in live}
    over = [each for each in project.costs.expenses() if RunKey(each.task, each.attempt) not in keys]
    for run in live:
        activity = snapshot.activity.get(run.key.task, Activity())
        over.append(
            Expense(
                task=run.key.task,
                attempt=run.key.attempt,
                claimed_at=run.claim.claimed_at,
                ended_at=snapshot.at,
                agent=run.claim.agent,
                model=run.claim.model,
                usd=activity.cost_usd,
                tokens=activity.tokens,
                turns=activity.turns,
            )
        )
    return over


def build(
    project: Project,
    *,
    on_snapshot: Callable[[Snapshot], None] | None = None,
    refresh: float = math.inf,
    lenient: bool = False,
) -> Coordinator:
    """A coordinator for the project. Raises ConfigError for anything that it could not work with.

    One that only stops is `lenient`: it works with a broken config.toml and without the base branch.
    For `on_snapshot` and `refresh` (seconds) see Coordinator.
    """
    import psutil  # type: ignore[import-untyped]  # noqa: F401 - needed later, when there may be no handles left

    tame_allocator()
    mailbox = Mailbox()

    def wake(reason: str) -> None:
        mailbox.post(Look(reason))

    opened = Project(project.root, project.config, project.warn, wake)
    lasting = replace(_make_lasting(opened), supervisor=_make_supervisor())

    def reload() -> Setup:
        again = replace(opened, config=config.load(project.root))
        setup = _make_setup(again, lasting, lenient=lenient)
        logging.getLogger("orch").setLevel(again.config.coordinator.log_level.upper())
        return setup

    def renew() -> bool:
        if not opened.presence.renew():
            return False
        for folder in (opened.config.project.runs, opened.config.project.requests):
            atomic.make_folder(folder)
        layout.migrate(opened.config.project.version_file)
        return True

    setup = _make_setup(opened, lasting, lenient=lenient)
    return Coordinator(
        setup,
        presence=_take_over(opened),
        reload=reload,
        mailbox=mailbox,
        on_snapshot=on_snapshot,
        refresh=refresh,
        renew=renew,
    )


@contextmanager
def _take_over(project: Project) -> Iterator[None]:
    """Be the one coordinator of a project, with everything in `.orch` brought up to date."""
    with project.presence:
        layout.migrate(project.config.project.version_file)
        yield


def make_service(project: Project, orch: Sequence[str], account: str = "") -> "Service":
    """The service of a project: of the person who asks, or with an account one of the machine.

    `orch` is how orch is started.
    """
    from orch.adapters.service import SYSTEM_UNITS, Service, Unit

    settings = project.config
    limits = settings.limits
    ending = {
        Drain.LEAVE: 0.0,
        Drain.STOP: limits.stop_seconds + limits.grace_seconds,
        Drain.FINISH: limits.timeout_minutes * 60,
    }
    folder, path = environment.config_home(), settings.environ.get("PATH", os.defpath)
    if account:
        # Root's PATH, as sudo has it, lacks what the account has installed for itself.
        folder, path = Path("/etc"), f"{Path(f'~{account}').expanduser()}/.local/bin:{path}"
    unit = Unit(
        root=project.root,
        orch=orch,
        path=path,
        keys=folder / "orch" / "environment",
        stop_seconds=ending[settings.coordinator.drain] + END_SECONDS,
        account=account,
    )
    units = SYSTEM_UNITS if account else folder / "systemd" / "user"
    return Service(unit, units=units)


def linger(account: str) -> Step:
    """Have the services of a person run without a session of theirs."""
    from orch.adapters.service import enable_linger

    return enable_linger(account)


def rehearse(project: Project) -> Sequence[str]:
    """A line for each write to the forge that a coordinator would make now. Changes nothing.

    Raises ConfigError as `build`, TransientError where the forge cannot be looked at.
    """
    from orch.coordinator import rehearsal

    return rehearsal.rehearse(project.ports, project.config.policy())


def base_branch(project: Project) -> str:
    """The branch that work starts from and is merged into."""
    return check_repository(project.root, project.config.forge.base_branch)


def init(root: Path, *, prompts: bool = False) -> Sequence[str]:
    """Make a project of the repository at `root`; gives a line for each thing done.

    Nothing that is there is overwritten. Raises ConfigError where there is no usable repository.
    """
    path = config.load(root).project
    check_repository(root, config.load(root).forge.base_branch)
    done = []
    claude = Program("claude", "claude", config.load(root).environ.get("PATH", ""), root).find()
    text = config.CLAUDE_CONFIG if claude else config.DEFAULT_CONFIG
    files = {path.config_file: text, path.tasks_file: config.DEFAULT_TASKS}
    if prompts:
        files[path.prompt] = packaged_template()
        files[path.continue_prompt] = packaged_template(CONTINUE_TEMPLATE)
    for file, text in files.items():
        made = atomic.create(file, text.encode())
        done.append(f"wrote {file.name}" if made else f"{file.name} is there already")
    added = exclude(root, _excluded(config.load(root)))
    done.extend(f"git ignores {pattern} (.git/info/exclude)" for pattern in added)
    return done


def doctor(root: Path) -> Sequence[Finding]:
    """What is fine and what is not, a line each. What depends on something broken is left out."""
    from orch.adapters import doctor as checks

    findings = [checks.check_git()]
    try:
        settings = config.load(root)
        findings.append(Finding(ok=True, what=f"{settings.project.config_file.name} can be used"))
    except OrchError as error:
        return [*findings, Finding(ok=False, what=error.message, do=error.hint)]
    findings += checks.check_machine(settings)
    try:
        layout.check(settings.project.version_file)
        ports = Project(root, settings, log.warning).ports
    except OrchError as error:
        return [*findings, Finding(ok=False, what=error.message, do=error.hint)]
    findings += checks.check_agents(ports.agents, settings.agent.default)
    findings.append(checks.check_prompt(settings))
    findings += git_locks.check_locks(git.common_directory(root))
    return [*findings, checks.check_queue(ports.tasks, settings), *ports.forge.check()]


def check_forge(project: Project, *, create_label: bool = False) -> Sequence[Finding]:
    """Whether the forge can be used; with `create_label` the label for issues is made first.

    Raises ConfigError where the forge has no issues, and as the forge does.
    """
    settings = project.config
    base = _guess_base(project)
    if create_label:
        if not (_is_github(settings) and settings.forge.issue_label):
            raise ConfigError("this forge has no issues, so there is no label to create")
        from orch.adapters.forge.github.checking import make_label

        make_label(_make_hub(project, base).hub, settings.forge.issue_label)
    return _make_ports(project, _make_lasting(project), base).forge.check()


def clean(project: Project, *, dry_run: bool) -> Sequence[str]:
    """Remove what nobody needs: worktrees of tasks that are over, old run directories.

    Uncommitted work is saved first; what cannot be saved is not removed. Gives a line for each
    thing that was (with `dry_run`: would be) removed, saved or left.
    """
    lines = []
    redaction.remember(project.config.secrets())
    worktrees = _make_worktrees(project, base_branch(project))
    for task, path in sorted(worktrees.list().items()):
        try:
            if dry_run:
                _check_over(project, task)
                lines.append(f"would remove {path}")
                continue
            # A coordinator may take the task up again at any time: what counts is how it is then.
            saved = worktrees.remove(task, check=partial(_check_over, project, task))
        except OrchError as error:
            lines.append(f"kept {path}: {error}")
        else:
            lines.append(f"removed {path}" + (f"; uncommitted work is in {saved}" if saved else ""))
    days, now = project.config.coordinator.keep_days, SystemClock().now()
    removed = "would remove" if dry_run else "removed"
    spare = _make_worktrees(project, _guess_base(project)).tidy(dry_run=dry_run)
    lines += [f"{removed} {path}: it is of no use to a task" for path in spare]
    pruned = project.runs.prune(days, now, dry_run=dry_run)
    return [*lines, *(f"{removed} the files of run {key}" for key in pruned)]


def _check_over(project: Project, task: str) -> None:
    """Raise PermanentError while somebody works on a task, or will again by himself."""
    run = project.runs.load({task}).get(task)
    if run is not None and (run.outcome is None or run.outcome.retry_at is not None):
        raise PermanentError(f"{task} is not over")


def saved_work(project: Project, task: str = "") -> "tuple[Sequence[SavedWork], Sequence[Orphan]]":
    """What was saved, the latest first, and what was put aside; of one task or of all. Only looks."""
    from orch.adapters.worktrees.saved import find_orphans, find_saved

    return find_saved(project.root, task), find_orphans(project.config.project.trees, task)


def restore(project: Project, task: str, ref: str = "", *, as_branch: bool = False) -> "Restored":
    """Bring back the latest saved work of a task, or that of `ref`.

    Raises ConfigError where there is none or the task is being worked on, else as RestoringWorktrees.
    """
    from orch.adapters.worktrees.restoring import RestoringWorktrees

    path, latest = project.config.project, project.runs.load().get(task)
    redaction.remember(project.config.secrets())
    worktrees = RestoringWorktrees(
        project.root,
        path.trees,
        path.runs,
        base=_guess_base(project),
        hooks=_make_hooks(project.config),
        warn=project.warn,
    )

    def check() -> None:
        run, reading = project.runs.load().get(task), project.tasks.read()
        line = reading.document.tasks.get(task) if reading else None
        if (run is not None and run.live) or (line is not None and line.mark.status is Status.ACTIVE):
            raise ConfigError(f"{task} is being worked on", hint=f"wait for it, or orch stop {task}")

    return worktrees.restore(
        task,
        ref,
        run=latest.key if latest else None,
        branch=latest.claim.branch if latest else "",
        as_branch=as_branch,
        check=check,
    )


def find_issue(project: Project, number: int) -> Issue:
    """An issue as it reads now. Raises ConfigError where there is none, or no forge that has any."""
    if not project.config.forge_policy().intake:
        raise ConfigError("there are no issues", hint='[forge] kind = "github" in config.toml brings them in')
    issues = project.ports.tracker.look(Wanted(frozenset({number}))).issues
    if issues is None:
        raise TransientError("the forge cannot be looked at")
    if number not in issues:
        raise ConfigError(f"there is no issue #{number}")
    return issues[number]


@dataclass(frozen=True, slots=True)
class _Lasting:
    """What goes on when the settings are read again: workers, hooks, events that could not be written yet."""

    executor: LocalExecutor
    announcer: HookAnnouncer
    events: EventsFile
    supervisor: Supervisor


def _make_lasting(project: Project) -> _Lasting:
    path = project.config.project
    return _Lasting(
        executor=_make_executor(project),
        announcer=HookAnnouncer(path.root, path.hook_logs, _event_hooks(project.config), wake=project.wake),
        events=EventsFile(path.events_file, warn=project.warn),
        supervisor=NobodySupervisor(),
    )


def _make_setup(project: Project, lasting: _Lasting, *, lenient: bool) -> Setup:
    path, settings = project.config.project, project.config
    base = _guess_base(project) if lenient else base_branch(project)
    ports = _make_ports(project, lasting, base)
    if not lenient:
        ports.prompts.check()
    for folder in (path.runs, path.requests):
        atomic.make_folder(folder)
    for folder in (path.directory, path.requests):
        # Each kill -9 in the middle of a write leaves one small file.
        atomic.discard_leftovers(folder)
    repair(project.root, path.trees)
    exclude(project.root, _excluded(settings))
    # Last: settings that are refused must not be half in force.
    lasting.executor.limits = _limits(settings)
    lasting.executor.verify = _verify(settings)
    lasting.announcer.hooks = _event_hooks(settings)
    return Setup(ports, settings.policy(), files=(path.tasks_file,), folders=(path.requests,))


def _guess_base(project: Project) -> str:
    """The base branch, or what the settings call it where that cannot be used."""
    try:
        return base_branch(project)
    except OrchError as error:
        project.warn(str(error))
        return project.config.forge.base_branch


def _make_ports(project: Project, lasting: _Lasting, base: str) -> Ports:
    settings, path = project.config, project.config.project
    redaction.remember(settings.secrets())
    hub = _make_hub(project, base) if _is_github(settings) else None
    local = LocalForge(project.root, path.pulls, base=base, now=SystemClock().now)
    worktrees = _make_worktrees(project, base, access=hub.credentials.git_environment if hub else dict)
    return Ports(
        clock=SystemClock(),
        machine=SystemMachine(project.root, path.directory, path.trees),
        tasks=project.tasks,
        runs=project.runs,
        requests=project.requests,
        metrics=MetricsFile(path.metrics_file, warn=project.warn),
        costs=project.costs,
        executor=lasting.executor,
        agents=_make_agents(settings),
        worktrees=worktrees,
        repository=GitRepository(project.root, warm=worktrees.warm),
        forge=hub.forge if hub else local,
        tracker=hub.tracker if hub else LocalTracker(local),
        reviews=hub.reviews if hub else LocalReviews(),
        ledger=LedgerFile(path.ledger_file, warn=project.warn),
        prompts=TemplatePrompts(
            settings.prompt_template,
            settings.continue_template,
            verify_command=settings.verify.command,
        ),
        events=lasting.events,
        announcer=lasting.announcer,
        supervisor=lasting.supervisor,
        trees=path.trees,
    )


def _make_supervisor() -> Supervisor:
    address, watchdog = environment.notify_socket()
    return SystemdSupervisor(address, watchdog) if address else NobodySupervisor()


def _event_hooks(settings: Config) -> EventHooks:
    hooks = settings.hooks
    return EventHooks(
        commands={occasion: getattr(hooks, f"on_{occasion}") for occasion in Occasion},
        seconds=hooks.timeout_seconds,
        env=settings.announcer_environment(),
    )


def _make_worktrees(
    project: Project, base: str, *, access: Callable[[], Mapping[str, str]] = dict
) -> GitWorktrees:
    """The worktrees. `access` gives the environment that lets git log in at origin."""
    path = project.config.project
    return GitWorktrees(
        project.root,
        path.trees,
        path.runs,
        base=base,
        hooks=_make_hooks(project.config),
        warn=project.warn,
        access=access,
        warm=project.config.worktree.warm,
    )


def _make_hub(project: Project, base: str) -> "GitHub":
    """The parts of the GitHub forge, loaded only where they are used."""
    from orch.adapters.forge.github import parts

    return parts.make(project.root, project.config, base=base, warn=project.warn)


def _is_github(settings: Config) -> bool:
    return settings.forge.kind is config.ForgeKind.GITHUB


def _make_hooks(settings: Config) -> Hooks:
    worktree = settings.worktree
    return Hooks(
        setup=worktree.setup,
        teardown=worktree.teardown,
        copy=worktree.copy,
        link=worktree.link,
        env=settings.hook_environment(),
    )


def _make_agents(settings: Config) -> dict[str, Agent]:
    return {name: _make_agent(settings, name, agent) for name, agent in settings.agents.items()}


def _make_agent(settings: Config, name: str, agent: AgentSettings) -> Agent:
    # Each is loaded only where it is configured: every command starts so much sooner.
    environment, root = settings.worker_environment(name), settings.project.root
    match agent.kind:
        case AgentKind.CLAUDE:
            from orch.adapters.agents.claude import ClaudeAgent

            return ClaudeAgent(name, agent, environment, root=root)
        case AgentKind.CODEX:
            from orch.adapters.agents.codex import CodexAgent

            return CodexAgent(name, agent, environment, root=root)
        case AgentKind.GEMINI:
            from orch.adapters.agents.gemini import GeminiAgent

            return GeminiAgent(name, agent, environment, root=root)
        case AgentKind.COMMAND:
            return CommandAgent(
                name,
                agent.command,
                environment,
                root=root,
                extra_args=agent.extra_args,
                model=agent.model,
            )


def _make_executor(project: Project) -> LocalExecutor:
    return LocalExecutor(
        project.config.project.runs,
        limits=_limits(project.config),
        verify=_verify(project.config),
        wake=project.wake,
    )


def _limits(settings: Config) -> WorkerLimits:
    limits = settings.limits
    return WorkerLimits(
        timeout_seconds=limits.timeout_minutes * 60,
        stall_seconds=limits.stall_minutes * 60,
        memory_mb=round(limits.memory_mb),
        max_log_mb=max(1, round(limits.max_log_mb)),
        linger_seconds=limits.linger_seconds,
        grace_seconds=limits.grace_seconds,
    )


def _verify(settings: Config) -> VerifyCommand | None:
    if not settings.verify.command.strip():
        return None
    return VerifyCommand(
        settings.verify.command, settings.verify.timeout_seconds, settings.hook_environment()
    )


def _excluded(settings: Config) -> tuple[str, ...]:
    trees = settings.project.trees
    if trees.is_relative_to(settings.project.root):
        return (*EXCLUDED, f"/{trees.relative_to(settings.project.root)}/")
    return EXCLUDED


def _started_at(project: Project) -> float:
    """When the coordinator that runs now published its pid: seconds since the epoch."""
    try:
        return project.config.project.pid_file.stat().st_mtime
    except OSError:
        return 0.0
