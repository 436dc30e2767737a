"""What the stories that are told to `decide` have in common."""

from orch.core.actions import Action
from orch.core.model import Activity, Cause, EndReason, Evidence, Exit, Phase, Verdict
from tests.core.world import World

FAILED = Exit(EndReason.EXITED, 1)


def kinds(actions: list[Action]) -> list[type]:
    """The kinds of the actions."""
    return [type(action) for action in actions]


def running(*names: str, **policy: object) -> World:
    """A world in which these tasks are being worked on."""
    world = World()
    world.policy = world.policy.evolve(**policy)
    for name in names:
        world.add(name)
    world.settle()
    world.wait()
    for name in names:
        assert world.run(name).phase is Phase.RUNNING
    return world


def events(world: World) -> list[str]:
    """The kinds of what happened, oldest first."""
    return [event.kind for event in world.state.metrics.history]


def fail(world: World, name: str, verdict: Verdict) -> None:
    """The worker of a task ends, and says why."""
    world.end(name, FAILED, Evidence(verdict=verdict))
    world.settle()


def limit(world: World, name: str, *, after: float | None = None, tokens: int = 0) -> None:
    """The worker of a task runs into a usage limit that ends `after` seconds, None for nobody knows when."""
    until = None if after is None else world.now + after
    verdict = Verdict(
        ok=False,
        reason="You've hit your limit",
        cause=Cause.USAGE_LIMIT,
        agent_wide=True,
        limit="5-hour limit",
        retry_at=until,
        charged=False,
        tokens=tokens,
        session_id=f"session-{name}",
    )
    fail(world, name, verdict)


def use(world: World, name: str, *, usd: float = 0.0, tokens: int = 0) -> None:
    """The worker of a task has used so much until now."""
    world.activities[name] = Activity("Edit main.py", cost_usd=usd, tokens=tokens)
