"""A pure world for `decide`: it carries out actions at once, in memory, and checks what must hold."""

from collections.abc import Callable
from dataclasses import dataclass, field

from orch.core.actions import (
    Action,
    AddTask,
    Ask,
    AutoMerge,
    Change,
    CloseIssue,
    Dismiss,
    Drop,
    End,
    Ensure,
    Failure,
    Finish,
    Inspect,
    MakeRun,
    Poll,
    Publish,
    Remove,
    Rerun,
    Result,
    Retire,
    Reword,
    SaveLedger,
    SavePause,
    SetId,
    SetMark,
    Start,
    Sweep,
    Tell,
    Verify,
    WriteTasks,
)
from orch.core.costs import Cost, Spending
from orch.core.decide import decide
from orch.core.draft import Draft
from orch.core.forge import ForgeState, Issue, Ledger, PullStatus, Sight, Wanted
from orch.core.metrics import Metrics
from orch.core.model import (
    Activity,
    Claim,
    EndReason,
    Evidence,
    Exit,
    Mark,
    Outcome,
    Phase,
    Policy,
    Process,
    PullRequest,
    Request,
    Resources,
    Run,
    RunKey,
    Stall,
    Status,
    Task,
)
from orch.core.names import number_of
from orch.core.rules import parking
from orch.core.state import Absent, Alive, Ended, Gone, Probe, Seen, State
from orch.core.tasks_md import Document, parse, task_line

TODAY = "1970-01-12"
"""The date of the world's clock: the run directories have been pruned today."""


@dataclass
class Worker:
    """What lies in a run directory, and the process."""

    claim: Claim
    process: Process | None = None
    alive: bool = False
    stall: Stall | None = None
    exit: Exit | None = None
    outcome: Outcome | None = None
    stop_file: str = ""
    ended: bool = False
    swept: bool = False


@dataclass
class World:
    """Everything outside `decide`."""

    policy: Policy = field(default_factory=lambda: Policy(default_agent="sh", agents=("sh",)))
    now: float = 1_000_000.0
    age: float = 100.0
    tasks: dict[str, Task] = field(default_factory=dict)
    unnamed: list[Task] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    workers: dict[RunKey, Worker] = field(default_factory=dict)
    trees: set[str] = field(default_factory=set)
    pulls: dict[str, PullRequest] = field(default_factory=dict)
    starts: dict[RunKey, int] = field(default_factory=dict)
    """How often each run was started, also where its fence let nothing through."""
    evidence: dict[str, Evidence] = field(default_factory=dict)
    check: tuple[bool, str] = (True, "")
    paused: str | None = None
    issues: dict[int, Issue] = field(default_factory=dict)
    statuses: dict[str, PullStatus] = field(default_factory=dict)
    """By url: what people and the CI did to a pull request; the others are just open."""
    opened: int = 0
    """How many pull requests were opened."""
    ledger: Ledger = field(default_factory=Ledger)
    told: list[tuple[int, str]] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    reruns: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    merging: list[tuple[int, str]] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    blind: bool = False
    """The pull requests cannot be looked at."""
    stays: str = ""
    """Why a branch is not deleted."""
    resources: Resources = field(default_factory=Resources)
    agent_problems: dict[str, str] = field(default_factory=dict)
    activities: dict[str, Activity] = field(default_factory=dict)
    """What the worker of each task does; one that ends takes what it says with it."""
    costs: dict[RunKey, Outcome] = field(default_factory=dict)
    """What is written down of the runs that are over."""
    readable: bool = True
    faults: Callable[[Action], Failure | None] = lambda _: None
    state: State = field(default_factory=lambda: State(pruned=TODAY))
    done: list[Action] = field(default_factory=list)
    wake_at: float = 0.0
    _document: Document | None = None
    _written: tuple[object, ...] = ()

    def add(self, name: str, status: Status = Status.PENDING, **fields: object) -> None:
        """A person adds a task."""
        self.tasks[name] = Task(name, f"do {name}", Mark(status)).evolve(**fields)

    def edit(self, name: str, mark: Mark | None = None, **fields: object) -> None:
        """A person edits a task."""
        task = self.tasks[name].evolve(**fields)
        self.tasks[name] = task if mark is None else task.evolve(mark=mark)

    def document(self) -> Document | None:
        """tasks.md; the same object while it is unchanged."""
        if not self.readable:
            return None
        written = (tuple(self.tasks.items()), tuple(self.unnamed))
        if self._document is None or written != self._written:
            self._written = written
            self._document = Document(dict(self.tasks), tuple(self.unnamed), chunks=parse("x").chunks)
        return self._document

    def look(self, results: tuple[Result, ...] = (), *, toggles: int = 0, terminations: int = 0) -> Seen:
        """What `observe` would see."""
        return Seen(
            now=self.now,
            document=self.document(),
            document_age=self.age,
            requests=tuple(self.requests),
            probes={key: probe for key in self.workers if (probe := self._probe(key)) is not None},
            results=results,
            toggles=toggles,
            terminations=terminations,
            activities={name: self.activities.get(name, Activity()) for name in self.state.live},
            recalled={name: self.latest(name) for name in self.state.recall},
            resources=self.resources,
            agent_problems=dict(self.agent_problems),
        )

    def tick(
        self, results: tuple[Result, ...] = (), *, toggles: int = 0, terminations: int = 0
    ) -> list[Result]:
        """One decision, and more if it wants to know of earlier runs; the actions are carried out.

        Gives their results.
        """
        actions = self._decide(self.look(results, toggles=toggles, terminations=terminations))
        for _ in range(2):  # A run that was known may be wanted once more after it was let go.
            if self.state.recall:
                assert self.wake_at <= self.now, "a run is to be looked up, but not now"
                actions += self._decide(self.look())
        assert not self.state.recall, "it was looked up"
        return [self.perform(action) for action in actions]

    def _decide(self, seen: Seen) -> list[Action]:
        decision = decide(self.state, seen, self.policy)
        self.state, self.wake_at = decision.state, decision.wake_at
        self._check()
        self.done.extend(decision.actions)
        return list(decision.actions)

    def settle(self, *, toggles: int = 0, terminations: int = 0) -> list[Action]:
        """Ticks until nothing more follows now. Gives the actions; none may follow after that."""
        start = len(self.done)
        results = self.tick(toggles=toggles, terminations=terminations)
        for _ in range(200):
            if not results:
                break
            results = self.tick(tuple(results))
        else:
            raise AssertionError(f"it goes round: {self.done[-10:]}")
        actions = self.done[start:]
        assert self.tick() == [], "deciding again yields something new"
        return actions

    def wait(self, seconds: float = 0.0) -> list[Action]:
        """Let time pass (by default until the next look) and settle."""
        self.now = self.now + seconds if seconds else max(self.now, self.wake_at)
        return self.settle()

    def restart(self) -> None:
        """The coordinator is killed and started again: what it knew is gone."""
        runs: dict[str, Run] = {}
        for name in {key.task for key in self.workers}:
            run = self.latest(name)
            assert run is not None
            claiming = run.phase is Phase.CLAIMING
            runs[name] = run.evolve(marked=run.phase is Phase.RUNNING, retry_at=0.0 if claiming else None)
        live = frozenset(name for name, run in runs.items() if run.live)
        highest = max(map(number_of, runs), default=0)
        self.state = State(
            runs=runs,
            live=live,
            highest_id=highest,
            paused=self.paused,
            metrics=Metrics(),
            pruned=TODAY,
            forge=ForgeState(ledger=self.ledger, saved=self.ledger),
            parked=parking.recover(runs.values(), self.now),
            spending=self.spending(),
        )

    def spending(self) -> Spending:
        """What the runs that are over have cost, by what is written down."""
        today = Draft(State(), Seen(self.now), self.policy).today
        spending = Spending(today)
        for key, outcome in self.costs.items():
            if not self.workers[key].outcome:
                continue
            cost = Cost(outcome.cost_usd, outcome.tokens)
            charged = spending.charge(key.task, cost)
            ended = Draft(State(), Seen(outcome.ended_at), self.policy).today
            spending = charged if ended == today else Spending(today, spending.today, charged.tasks)
        return spending

    def latest(self, name: str) -> Run | None:
        """The latest run of a task, as it lies on disk."""
        key = max((key for key in self.workers if key.task == name), default=None)
        if key is None:
            return None
        worker = self.workers[key]
        phase = Phase.RUNNING if worker.process else Phase.CLAIMING
        return Run(key, worker.claim, Phase.OVER if worker.outcome else phase, outcome=worker.outcome)

    def end(self, name: str, exit: Exit | None = None, evidence: Evidence | None = None) -> None:
        """The worker of a task ends, by default well and with a commit."""
        worker = self.workers[self.state.runs[name].key]
        worker.alive = False
        worker.exit = exit or Exit(EndReason.EXITED, 0, ended_at=self.now)
        self.evidence[name] = evidence or Evidence(head="abcdef1234567890", commits=("work",))

    def work(self, name: str, head: str) -> None:
        """The worker of a task commits, ends well, and what follows is carried out."""
        self.end(name, evidence=Evidence(head=head, commits=("work",)))
        self.settle()

    def run(self, name: str) -> Run:
        """The latest run of a task."""
        run = self.state.runs.get(name) or self.latest(name)
        assert run is not None, f"{name} never ran"
        return run

    def mark(self, name: str) -> Status:
        """The mark of a task."""
        return self.tasks[name].mark.status

    def perform(self, action: Action) -> Result:
        """Carry out an action."""
        failure = self.faults(action)
        if failure is not None:
            return Result(action, failure=failure)
        return Result(action, self._do(action))

    def _do(self, action: Action) -> object:  # noqa: C901, PLR0915  (one case an action)
        match action:
            case WriteTasks(changes):
                for change in changes:
                    self._change(change)
                return self.document()
            case MakeRun(key, claim):
                self.workers.setdefault(key, Worker(claim))
            case Ensure(key):
                self.trees.add(key.task)
            case Start(run):
                worker = self.workers[run.key]
                assert run.key.task in self.trees, "started without a worktree"
                assert self.tasks[run.key.task].mark == Mark(Status.ACTIVE, run.key.worker), "no active mark"
                self.starts[run.key] = self.starts.get(run.key, 0) + 1
                if worker.process is None:
                    worker.process, worker.alive = Process(4711, 1, "boot", self.now), True
            case Ask(key, reason):
                self.workers[key].stop_file = reason
            case End(key):
                self.workers[key].ended = True
                if self.workers[key].alive:
                    self.workers[key].alive = False
                    self.workers[key].exit = Exit(EndReason.STOPPED, signal=15, ended_at=self.now)
            case Sweep(key):
                self.workers[key].swept = True
            case Inspect(run):
                found = self.evidence.get(run.key.task, Evidence())
                return found, self._open_pull(run.claim.branch)
            case Verify():
                return self.check
            case Publish(_, branch, title, body):
                number = self.opened + 1
                pull = self._open_pull(branch)
                if pull is None:
                    pull = PullRequest(number, f"pull/{number}", branch, title=title, body=body)
                    self.pulls[branch], self.opened = pull, number
                return pull
            case Finish(key, outcome):
                self.costs.setdefault(key, outcome)
                self.activities.pop(key.task, None)
                worker = self.workers.setdefault(key, Worker(self.state.runs[key.task].claim))
                worker.outcome = worker.outcome or outcome
            case Remove(task):
                self.trees.discard(task)
                return ""
            case Dismiss(request):
                self.requests = [each for each in self.requests if each != request]
            case SavePause(reason):
                self.paused = reason
            case Poll(wanted):
                return self._look_at_forge(wanted)
            case SaveLedger(ledger):
                self.ledger = ledger
            case Tell(issue, telling):
                self.told.append((issue, telling.text))
            case CloseIssue(issue):
                self.closed.append(issue)
                self.issues[issue] = self.issues[issue].evolve(open=False)
            case Rerun(_, pull, jobs):
                self.reruns.append((pull.head, tuple(job.id for job in jobs)))
            case AutoMerge(_, pull):
                self.merging.append((pull.number, pull.head))
            case Retire(task, pull):
                assert task not in self.trees, "the branch is checked out"
                if not self.stays:
                    self.retired.append(pull.branch)
                return self.stays
        return None

    def _look_at_forge(self, wanted: Wanted) -> Sight:
        label = self.policy.forge.issue_label
        issues = {
            number: issue
            for number, issue in self.issues.items()
            if number in wanted.issues or (issue.open and label in issue.labels)
        }
        pulls = {
            pull.url: self.statuses.get(pull.url) or status_of(pull)
            for pull in self.pulls.values()
            if pull.url in wanted.pulls
        }
        return Sight(issues, None if self.blind else pulls)

    def _open_pull(self, branch: str) -> PullRequest | None:
        pull = self.pulls.get(branch)
        status = self.statuses.get(pull.url) if pull else None
        return None if status is not None and status.state != "open" else pull

    def _says(self, name: str, line: str) -> bool:
        task = self.tasks.get(name)
        return task is not None and task.text == line and task.status is Status.PENDING

    def _change(self, change: Change) -> None:
        match change:
            case SetMark(name, was, mark, fields) if name in self.tasks and self.tasks[name].mark == was:
                merged = dict(self.tasks[name].fields)
                for key, value in fields:
                    merged.pop(key, None)
                    if value is not None:
                        merged[key] = value
                self.tasks[name] = self.tasks[name].evolve(mark=mark, fields=merged)
            case SetId(text, _, name):
                (found,) = (task for task in self.unnamed if task.text == text)
                self.unnamed.remove(found)
                self.tasks[name] = found.evolve(id=name)
            case AddTask(task) if task.id not in self.tasks:
                self.tasks[task.id] = task.evolve(text=_line(task))
            case Reword(name, was, title, priority, after) if self._says(name, was):
                task = self.tasks[name].evolve(title=title, priority=priority, after=after)
                self.tasks[name] = task.evolve(text=_line(task))
            case Drop(name, was) if self._says(name, was) and not self.tasks[name].notes:
                del self.tasks[name]
            case _:
                pass

    def _probe(self, key: RunKey) -> Probe | None:
        worker = self.workers[key]
        if worker.exit is not None:
            return Ended(worker.exit, worker.process)
        if worker.process is None:
            return Absent()
        return Alive(worker.process, worker.stall) if worker.alive else Gone(worker.process)

    def _check(self) -> None:
        live = [key for key, worker in self.workers.items() if worker.alive]
        assert len({key.task for key in live}) == len(live), "two live workers of one task"
        assert len(self.state.live) <= max(self.policy.max_concurrent_workers, len(live)), "over the limit"
        assert self.state.live == {name for name, run in self.state.runs.items() if run.live}


def status_of(pull: PullRequest) -> PullStatus:
    """How it stands with a pull request that nobody has looked at."""
    return PullStatus(
        pull.number,
        pull.url,
        pull.branch,
        pull.head,
        pull.base,
        state=pull.state,
        merged_commit=pull.merged_commit,
    )


def _line(task: Task) -> str:
    return task_line(task.evolve(mark=Mark()))
