"""What the fake GitHub remembers: plain records, changed only by `issues`, `pulls` and `checks`.

Times are seconds since the epoch. People, labels and issues point to each other by name or number, as
GitHub's own answers do.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

RANKS = ("none", "read", "triage", "write", "maintain", "admin")
"""GitHub's permissions on a repository, each one with all that stand before it."""


@dataclass(frozen=True)
class User:
    login: str
    id: int
    association: str = "NONE"
    """OWNER, MEMBER, COLLABORATOR, CONTRIBUTOR, NONE ..."""
    permission: str = "read"
    kind: str = "User"

    def may(self, permission: str) -> bool:
        return RANKS.index(self.permission) >= RANKS.index(permission)


@dataclass(frozen=True)
class Token:
    login: str
    scopes: tuple[str, ...] = ("repo", "workflow")


@dataclass
class Label:
    id: int
    name: str
    color: str = "ededed"
    description: str | None = None


@dataclass
class Comment:
    id: int
    number: int
    user: str
    body: str
    created_at: float
    updated_at: float


@dataclass(frozen=True)
class Event:
    """Something that happened to an issue: labeled, unlabeled, closed, reopened, merged, renamed ..."""

    id: int
    kind: str
    actor: str
    created_at: float
    label: str = ""
    commit: str = ""
    reviewer: str = ""
    title: tuple[str, str] = ("", "")
    """The old and the new title."""
    source: int = 0
    """The issue or pull request that mentions this one."""


@dataclass
class Review:
    id: int
    user: str
    body: str
    state: str
    """APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED or PENDING."""
    commit: str
    submitted_at: float


@dataclass
class ReviewComment:
    id: int
    review: int
    user: str
    body: str
    created_at: float
    updated_at: float
    reply_to: int = 0


@dataclass
class Thread:
    """Review comments on one line. The first one opened it."""

    id: int
    path: str
    line: int
    commit: str
    comments: list[ReviewComment] = field(default_factory=list)
    resolved_by: str = ""


@dataclass(frozen=True)
class AutoMerge:
    by: str
    method: str
    at: float


@dataclass
class Pull:
    """What makes an issue a pull request."""

    head: str
    base: str
    head_sha: str
    base_sha: str
    draft: bool = False
    merged_at: float | None = None
    merged_by: str = ""
    merge_sha: str = ""
    reviews: list[Review] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)
    auto_merge: AutoMerge | None = None
    unknown_reads: int = 0
    """How often GitHub will still say that it does not know whether this merges."""


@dataclass
class Issue:
    id: int
    number: int
    user: str
    title: str
    body: str
    created_at: float
    updated_at: float
    state: str = "open"
    state_reason: str | None = None
    closed_at: float | None = None
    closed_by: str = ""
    labels: list[str] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    blocked_by: list[int] = field(default_factory=list)
    body_edited_at: float | None = None
    """When somebody last changed the body, which is no event."""
    pull: Pull | None = None
    deleted: bool = False

    @property
    def is_open(self) -> bool:
        return self.state == "open"


@dataclass
class Annotation:
    path: str
    line: int
    message: str
    level: str = "failure"


@dataclass
class Check:
    """A check run. One of GitHub Actions is a job of a workflow run as well, with the same id."""

    id: int
    name: str
    sha: str
    suite: int
    run: int = 0
    """The workflow run, 0 for a check of another app."""
    attempt: int = 1
    status: str = "queued"
    conclusion: str | None = None
    created_at: float = 0.0
    started_at: float | None = None
    completed_at: float | None = None
    title: str | None = None
    summary: str | None = None
    annotations: list[Annotation] = field(default_factory=list)
    log: str = ""
    runner: str | None = "runner-1"
    latest: bool = True
    """Whether no later attempt has taken its place."""


@dataclass
class WorkflowRun:
    id: int
    name: str
    sha: str
    branch: str
    suite: int
    created_at: float
    updated_at: float
    attempt: int = 1


@dataclass
class Status:
    id: int
    sha: str
    context: str
    state: str
    description: str | None
    created_at: float


@dataclass
class Protection:
    """What the default branch asks for before it takes a pull request. Nothing by default."""

    checks: list[str] = field(default_factory=list)
    """Names of checks that must have succeeded."""
    approvals: int = 0
    decides_always: bool = False
    """Whether `reviewDecision` is answered although no approval is asked for. GitHub is reported to do
    both; null is the documented case."""


@dataclass
class State:
    """Everything. `now` tells the time, so that a test can let it pass."""

    owner: str
    name: str
    now: Callable[[], float]
    id: int = 4711
    default_branch: str = "main"
    users: dict[str, User] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)
    checks: dict[int, Check] = field(default_factory=dict)
    runs: dict[int, WorkflowRun] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    protection: Protection = field(default_factory=Protection)
    allow_auto_merge: bool = True
    delete_branch_on_merge: bool = False
    unknown_reads: int = 0
    """How often, after each push, GitHub says that it does not know yet whether a pull request merges."""
    former_names: set[str] = field(default_factory=set)
    """`owner/name` that this repository once had: GitHub redirects from there."""
    created_at: float = 0.0
    pushed_at: float = 0.0
    ids: Iterator[int] = field(default_factory=lambda: count(1001))

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    def new_id(self) -> int:
        return next(self.ids)

    def pulls(self) -> list[tuple[Issue, Pull]]:
        """Every pull request, oldest first."""
        return [(issue, issue.pull) for issue in self.issues.values() if issue.pull is not None]

    def find_label(self, name: str) -> Label | None:
        """Labels are found whatever their case, as on GitHub."""
        return self.labels.get(name.lower())
