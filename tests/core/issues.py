"""A world with issues and pull requests, for the tests of the rules about them."""

from orch.core.forge import Issue, Person, PullStatus
from orch.core.model import ForgePolicy, Policy, Status
from tests.core.world import World, status_of

MIA, SAM = Person("mia", "MEMBER"), Person("sam")
FORGE = ForgePolicy(
    intake=True,
    follow=True,
    retire=True,
    poll_interval=30.0,
    priorities=(("priority:P0", 0), ("priority:P1", 1), ("priority:P2", 2), ("priority:P3", 3)),
)


def github(**changes: object) -> World:
    """A world whose forge has issues; `changes` are of its policy."""
    policy = Policy(default_agent="sh", agents=("sh",), unblock_on="merged", forge=FORGE.evolve(**changes))
    return World(policy=policy)


def open_issue(world: World, number: int, title: str = "", **changes: object) -> Issue:
    """Somebody trusted opens an issue with the label."""
    issue = Issue(number, f"issues/{number}", title or f"do {number}", MIA, labels=frozenset({"orch"}))
    world.issues[number] = issue.evolve(**changes)
    return world.issues[number]


def change_issue(world: World, number: int, **changes: object) -> None:
    """Somebody changes it."""
    world.issues[number] = world.issues[number].evolve(**changes)


def look(world: World) -> None:
    """The next look at the forge, and what follows from it."""
    world.wait(world.policy.forge.poll_interval)


def status(world: World, name: str) -> PullStatus:
    """How it stands with the pull request of a task."""
    url = world.tasks[name].fields["PR"]
    (pull,) = (pull for pull in world.pulls.values() if pull.url == url)
    return world.statuses.get(url) or status_of(pull)


def change_pull(world: World, name: str, **changes: object) -> None:
    """What people and the CI do to the pull request of a task."""
    new = status(world, name).evolve(**changes)
    world.statuses[new.url] = new


def publish(world: World, number: int = 7, head: str = "a" * 40) -> str:
    """An issue travels to its open pull request; gives the id of its task."""
    name = f"gh-{number}"
    open_issue(world, number)
    world.settle()
    world.work(name, head)
    change_pull(world, name, head=head)
    assert world.mark(name) is Status.COMPLETED
    return name
