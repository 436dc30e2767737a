"""What a forge shows, and what orch remembers of it. Pure data.

Facts come from an adapter; who is trusted and what follows is judged by the rules in `core/rules`.
"""

from collections.abc import Collection, Mapping
from dataclasses import field
from enum import StrEnum

from orch.core.evolving import Evolving
from orch.core.values import dataclass

# --- people and issues -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at the forge."""

    login: str
    association: str = "NONE"
    """What they are to the repository, in GitHub's words: OWNER, MEMBER, COLLABORATOR, ... NONE."""


@dataclass(frozen=True, slots=True)
class Deed:
    """Who did something, and when."""

    by: Person
    at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Issue(Evolving):
    """An issue."""

    number: int
    url: str
    title: str
    author: Person
    body: str = ""
    open: bool = True
    labels: frozenset[str] = frozenset()
    labelled: Deed | None = None
    """Who set the label that brings it to orch, the last time. None where it was not looked up, because
    the author is trusted anyway."""
    asked: tuple[Deed, ...] = ()
    """Who wrote a comment that begins with `/orch run`; looked up where `labelled` is."""
    edited_at: float = 0.0
    """When the title or the body was last changed after it was opened, seconds since the epoch; 0: never.
    Looked up where `labelled` is."""
    parents: tuple[int, ...] = ()
    """The open or closed issues that block this one by the forge's own dependencies."""
    updated_at: float = 0.0
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on an issue, without those of orch itself."""

    author: Person
    text: str
    at: float = 0.0
    """Seconds since the epoch."""


# --- pull requests -----------------------------------------------------------------------------------


class Checks(StrEnum):
    """What all the checks of a head say together."""

    NONE = "none"
    """There is none (yet)."""
    PENDING = "pending"
    GREEN = "green"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Job:
    """A failed check of a head."""

    id: int
    name: str
    conclusion: str
    """In the forge's words: failure, cancelled, timed_out, ..."""
    attempt: int = 1
    """The how manieth run of the same commit this was; more than 1: it was re-run."""
    trouble: str = ""
    """Why the failure is none of the code's (cancelled, no runner, billing), one line; '' where it may be."""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something said about a pull request that nobody has settled yet, without what orch itself said.

    Comments in threads that are not resolved; the texts of reviews that do not approve; plain comments.
    """

    id: str
    """Names it among all remarks of the repository, the same for ever."""
    author: Person
    text: str
    path: str = ""
    """The file that it is about, '' where it is about all."""
    line: int = 0
    """1-based, 0 where no line is meant (any more)."""
    url: str = ""
    at: float = 0.0
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class PullStatus(Evolving):
    """How it stands with a pull request."""

    number: int
    url: str
    """As `PullRequest.url`, and as `- PR:` says it in tasks.md."""
    branch: str
    head: str = ""
    """Full sha. The checks, the jobs and `conflicts` are of this head."""
    base: str = ""
    """The branch that it is to be merged into."""
    state: str = "open"
    """open, merged or closed."""
    merged_commit: str = ""
    draft: bool = False
    conflicts: bool | None = None
    """Whether it cannot be merged because of conflicts; None while the forge does not know."""
    checks: Checks = Checks.NONE
    jobs: tuple[Job, ...] = ()
    """The failed ones, where the checks are red."""
    remarks: tuple[Remark, ...] = ()
    """Oldest first."""
    approvers: tuple[Person, ...] = ()
    """Whose last review approves."""
    objectors: tuple[Person, ...] = ()
    """Whose last review requests changes."""
    auto_merge: bool = False
    """Whether the forge merges it by itself as soon as it may."""


# --- a look at the forge -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a look is to tell of, besides the open issues that bear the label."""

    issues: frozenset[int] = frozenset()
    """Numbers of the issues of tasks that are not over, whether they are open and labelled or not."""
    pulls: Collection[str] = ()
    """The urls of the pull requests that orch follows; one that two tasks share may be there twice."""


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of what the forge allows is used up."""

    used: int
    """Requests that were charged since the count last began anew."""
    left: int
    resets_at: float
    """Seconds since the epoch."""
    sent: int = 0
    """Requests that were sent since orch started, charged or not."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look at the forge found: all of it, not what has changed. None: could not look.

    The same mapping comes back while nothing in it has changed.
    """

    issues: Mapping[int, Issue] | None = None
    """Every open issue with the label, and those of `Wanted.issues` that exist."""
    pulls: Mapping[str, PullStatus] | None = None
    """Those of `Wanted.pulls` that exist, by url. Open ones from which nothing follows may be left out."""
    usage: Usage | None = None


# --- what is asked of it -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Telling:
    """What an issue is to show of its task: one comment, which is edited, and status labels."""

    text: str
    """Markdown. '' : no comment is written, and one that is there stays as it is."""
    labels: Mapping[str, bool] = field(default_factory=dict)
    """Labels that must be there (True) and that must not (False); others are left alone."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a remark."""

    remark: str
    """The id of the remark."""
    text: str
    key: str
    """Names this answer: given twice with the same key it is one answer."""


# --- trust ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose word counts."""

    associations: frozenset[str] = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
    logins: frozenset[str] = frozenset()
    """Lower case."""

    def covers(self, person: Person | None) -> bool:
        """Whether somebody is trusted. Nobody is not."""
        if person is None:
            return False
        return person.association in self.associations or person.login.lower() in self.logins


# --- what orch remembers --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry(Evolving):
    """An issue that was brought into tasks.md: what orch wrote, and what it told."""

    title: str
    priority: int = 2
    after: tuple[str, ...] = ()
    seen: bool = False
    """Its line was seen in tasks.md: if it is gone, a person deleted it."""
    told: str = ""
    """What the comment on the issue was last told, as a hash."""
    closed: bool = False
    """orch closed the issue, or saw it closed, after the merge: not again if it is opened again."""


@dataclass(frozen=True, slots=True)
class Ledger(Evolving):
    """.orch/forge.json: what must be known after a restart and stands nowhere else."""

    issues: Mapping[int, Entry] = field(default_factory=dict)
    """By number: the issues that were brought into tasks.md and still bear the label."""
    approved: Mapping[int, str] = field(default_factory=dict)
    """By number: the hash of the title and body that a person approved with `orch approve`."""
    retire: Mapping[str, PullStatus] = field(default_factory=dict)
    """By task: merged pull requests whose branch is still to be deleted."""


EMPTY = Ledger()


@dataclass(frozen=True, slots=True)
class Follow(Evolving):
    """What was done so far about the pull request of a task. Travels from run to run."""

    handled: tuple[str, ...] = ()
    """Keys of what an attempt was made for already: `checks:SHA`, `conflicts:SHA`, `remark:ID`."""
    rounds: Mapping[str, int] = field(default_factory=dict)
    """Attempts so far, by kind: checks, conflicts, remarks."""
    pull: int = 0
    """Number of the pull request that this attempt is about; 0: no attempt of this kind."""
    url: str = ""
    heads: tuple[str, ...] = ()
    """Where the branch and the pull request stood before: the same head is no new work."""
    text: str = ""
    """What is to be done, for the prompt. Texts of other people in it are fenced."""
    jobs: tuple[Job, ...] = ()
    """Failed jobs whose logs the attempt gets to see."""
    remarks: tuple[str, ...] = ()
    """Ids of the remarks that are to be answered once the work is published."""


# --- what the coordinator knows of the forge --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wish:
    """What an issue says about its task."""

    title: str
    priority: int = 2
    parents: tuple[int, ...] = ()
    """Numbers of the issues that it waits for."""


@dataclass(frozen=True, slots=True)
class ForgeState(Evolving):
    """What the coordinator knows of the forge. All but the ledger is looked up anew after a restart."""

    sight: Sight = Sight()
    """The last look; what it could not see is from an earlier one."""
    asked: frozenset[int] = frozenset()
    """The issues that it was asked for."""
    looks: int = 0
    """How often something was seen since orch started."""
    looking: bool = False
    """A look is under way."""
    failures: int = 0
    """Looks in a row that failed."""
    look_at: float = 0.0
    """Not again before this, seconds since the epoch."""
    ledger: Ledger = EMPTY
    saved: Ledger = EMPTY
    """What is on disk: the same object once all is."""
    saving: bool = False
    unsettled: bool = False
    """The last turn asked for something whose effect is not yet seen, or has not looked yet."""
    wishes: Mapping[int, Wish] = field(default_factory=dict)
    """Of the issues in `wished`."""
    wished: Mapping[int, Issue] = field(default_factory=dict)
    """The issues as they were when the wishes were read."""
    held: Mapping[str, str] = field(default_factory=dict)
    """Pending tasks that may not start, and why."""
    awaiting: Mapping[str, str] = field(default_factory=dict)
    """Issues that wait for somebody trusted, by the id of their task: title and author."""
    reviews: Mapping[str, str] = field(default_factory=dict)
    """By url: how it stands with the open pull requests, in a few words."""
    judged: Mapping[str, PullStatus] = field(default_factory=dict)
    """By task: the status of its pull request from which nothing (more) follows."""
    todo: Mapping[str, PullStatus] = field(default_factory=dict)
    """Completed tasks whose pull request needs another attempt, and the status that says so."""
    unfollowed: bool = False
    """Something about a pull request is not in tasks.md yet, or could not be judged yet."""
    reruns: frozenset[tuple[str, str]] = frozenset()
    """Url and head of the pull requests whose failed jobs were run again."""
    merging: frozenset[tuple[str, str]] = frozenset()
    """Url and head of the pull requests that were handed to the forge to be merged."""
    retiring: frozenset[str] = frozenset()
    """Tasks whose merged branch is being deleted."""
    telling: Mapping[int, str] = field(default_factory=dict)
    """Issues that are being told, and the hash of what."""
    tell_at: Mapping[int, float] = field(default_factory=dict)
    """Issues that could not be told or closed: not again before this, seconds since the epoch."""
    closing: Mapping[int, int] = field(default_factory=dict)
    """Open issues of merged tasks: how many looks there had been when that was first seen."""

    @property
    def idle(self) -> bool:
        """Whether nothing of it is under way. What people may do later does not count."""
        return self.ledger is self.saved and not (
            self.unsettled or self.unfollowed or self.todo or self.telling
        )
