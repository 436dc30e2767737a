"""A whole world of fakes that know of each other as the real things do."""

from collections.abc import Callable, Sequence
from pathlib import Path

from orch.ports import Ports
from tests.fakes.agent import FakeAgent
from tests.fakes.announcer import FakeAnnouncer
from tests.fakes.clock import FakeClock
from tests.fakes.costs import FakeCostStore
from tests.fakes.events import FakeEventLog
from tests.fakes.executor import FakeExecutor
from tests.fakes.forge import FakeForge
from tests.fakes.ledger import FakeLedgerStore
from tests.fakes.machine import FakeMachine
from tests.fakes.metrics import FakeMetricsStore
from tests.fakes.prompts import FakePrompts
from tests.fakes.repository import FakeRepository
from tests.fakes.requests import FakeRequestStore
from tests.fakes.reviews import FakeReviews
from tests.fakes.runs import FakeRunStore
from tests.fakes.supervisor import FakeSupervisor
from tests.fakes.tasks import MemoryTaskStore
from tests.fakes.tracker import FakeTracker
from tests.fakes.worktrees import Branch, FakeWorktrees


class FakeWorld:
    """Every fake by its own type, so that a test can play the world; `ports` is what orch sees of it.

    A coordinator that is killed and started again gets the same `ports`: the fakes are the disk.
    """

    def __init__(
        self,
        root: Path,
        text: str | None = "",
        *,
        agents: Sequence[str] = ("claude",),
        wake: Callable[[str], None] | None = None,
    ) -> None:
        """`root` is a folder for the worktrees, `text` what tasks.md holds.

        `wake` is called as the real executor calls it when a worker ends.
        """
        self.clock = FakeClock()
        self.machine = FakeMachine()
        self.tasks = MemoryTaskStore(text, now=self.clock.now)
        self.runs = FakeRunStore(root / "runs")
        self.requests = FakeRequestStore()
        self.metrics = FakeMetricsStore()
        self.costs = FakeCostStore()
        self.executor = FakeExecutor(self.runs.processes, wake=wake)
        self.agents = {name: FakeAgent(name) for name in agents}
        self.worktrees = FakeWorktrees(root / "trees", root / "runs")
        self.repository = FakeRepository()
        self.forge = FakeForge(head=self._head, now=self.clock.now)
        self.tracker = FakeTracker(pulls=self.forge.known)
        self.reviews = FakeReviews()
        self.ledger = FakeLedgerStore()
        self.prompts = FakePrompts()
        self.events = FakeEventLog()
        self.announcer = FakeAnnouncer(wake=wake)
        self.supervisor = FakeSupervisor()
        self.ports = Ports(
            clock=self.clock,
            machine=self.machine,
            tasks=self.tasks,
            runs=self.runs,
            requests=self.requests,
            metrics=self.metrics,
            costs=self.costs,
            executor=self.executor,
            agents=self.agents,
            worktrees=self.worktrees,
            repository=self.repository,
            forge=self.forge,
            tracker=self.tracker,
            reviews=self.reviews,
            ledger=self.ledger,
            prompts=self.prompts,
            events=self.events,
            announcer=self.announcer,
            supervisor=self.supervisor,
            trees=root / "trees",
        )

    def _head(self, branch: str) -> str:
        """The full sha of a branch of the worktrees, '' where there is none."""
        found: Branch | None = self.worktrees.branches.get(branch)
        return found.head if found else ""
