"""The parts of GitHub's answers that are read. A value of another type than GitHub's is nonsense."""

from datetime import datetime

import msgspec


class Account(msgspec.Struct):
    """A person, an organisation or a bot."""

    login: str


class Viewer(msgspec.Struct):
    """Who asks, in GraphQL's words."""

    viewer: Account


class RepositoryName(msgspec.Struct):
    """A repository that something belongs to."""

    full_name: str


class Rights(msgspec.Struct):
    """What the holder of the token may do."""

    push: bool = False
    triage: bool = False


class Repository(msgspec.Struct):
    """The repository itself."""

    full_name: str
    html_url: str
    default_branch: str
    archived: bool = False
    has_issues: bool = True
    allow_merge_commit: bool = True
    allow_squash_merge: bool = True
    allow_rebase_merge: bool = True
    allow_auto_merge: bool | None = None
    permissions: Rights | None = None

    @property
    def method(self) -> str:
        """How pull requests are merged here, the first of what is allowed: merge, squash, rebase."""
        if self.allow_merge_commit:
            return "merge"
        return "squash" if self.allow_squash_merge else "rebase"


class Label(msgspec.Struct):
    """A label."""

    name: str


class Dependencies(msgspec.Struct):
    """How many issues block one, and are blocked by it."""

    total_blocked_by: int = 0


class Issue(msgspec.Struct):
    """An issue, or a pull request as an issue."""

    number: int
    html_url: str
    repository_url: str
    title: str
    state: str
    updated_at: datetime
    user: Account | None = None
    author_association: str = "NONE"
    body: str | None = None
    labels: list[Label | str] = []
    comments: int = 0
    pull_request: dict[str, object] | None = None
    issue_dependencies_summary: Dependencies | None = None

    @property
    def names(self) -> frozenset[str]:
        """The names of its labels."""
        return frozenset(label if isinstance(label, str) else label.name for label in self.labels)


class Comment(msgspec.Struct):
    """A comment on an issue or a pull request, or in a thread of a review."""

    id: int
    body: str | None = None
    user: Account | None = None
    author_association: str = "NONE"
    created_at: datetime | None = None
    in_reply_to_id: int | None = None

    @property
    def text(self) -> str:
        """What it says."""
        return self.body or ""

    @property
    def login(self) -> str:
        """Who wrote it; GitHub's word for somebody who has left."""
        return self.user.login if self.user else "ghost"


class End(msgspec.Struct):
    """The head or the base of a pull request."""

    ref: str
    sha: str
    repo: RepositoryName | None = None


class Pull(msgspec.Struct):
    """A pull request."""

    number: int
    html_url: str
    title: str
    state: str
    created_at: datetime
    updated_at: datetime
    head: End
    base: End
    body: str | None = None
    user: Account | None = None
    merged_at: datetime | None = None
    merge_commit_sha: str | None = None
    mergeable: bool | None = None


class Job(msgspec.Struct):
    """A job of a workflow run. Its id is that of its check run."""

    id: int
    run_id: int
    name: str
    run_attempt: int = 1
    conclusion: str | None = None
    runner_id: int | None = None
    runner_name: str | None = None


class Jobs(msgspec.Struct):
    """A page of jobs."""

    jobs: list[Job]


class WorkflowRun(msgspec.Struct):
    """A workflow run, its latest attempt."""

    id: int
    status: str | None = None
    run_attempt: int = 1


class Annotation(msgspec.Struct):
    """Something that GitHub or a tool says about a check run."""

    message: str | None = None


class Permission(msgspec.Struct):
    """What somebody may do in a repository."""

    permission: str
    role_name: str = ""


class Merged(msgspec.Struct):
    """The answer to a merge."""

    sha: str
    merged: bool = True
