"""The fake GitHub: a real HTTP server over a real repository, and a hand for the people and the CI.

    with fake_github(tmp_path) as github:
        issue = github.open_issue("Bug", labels=["orch"], by="mia")
        client = Github(base_url=github.api_url, auth=Auth.Token(github.token))

What a person or CI does is a method here. When the block ends, it raises for each request and answer
that GitHub's description does not allow, for each token that stood where it must not, and for each fault
that was never met. What the fake does not know it says in the same way, and never ignores: forks, teams,
milestones, rebase merges, merge queues, rules other than required checks and approvals.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.github import packages
from tests.github.contract import load
from tests.github.gate import Gate
from tests.github.repository import Repository
from tests.github.routes import operations
from tests.github.server import Server
from tests.github.state import (
    Annotation,
    Check,
    Comment,
    Issue,
    Pull,
    Review,
    ReviewComment,
    State,
    Token,
    User,
)
from tests.github.world import World

OWNER, BOT, MEMBER, STRANGER = "acme", "orch-bot", "mia", "sam"
PEOPLE = (
    User(OWNER, 1001, "OWNER", "admin"),
    User(BOT, 1002, "COLLABORATOR", "write"),
    User(MEMBER, 1003, "MEMBER", "write"),
    User(STRANGER, 1004, "NONE", "read"),
)
TOKEN = "ghp_000TheTokenOfTheFakeGitHubAndNoOther"


class FakeGitHub:
    """One repository, `acme/widget`, and its people: acme owns it, orch-bot has the token, mia is a
    member, sam is a stranger."""

    def __init__(self, gate: Gate) -> None:
        self._world = gate.world
        self.state = gate.world.state
        self.repository = gate.world.repository
        self.faults = gate.faults
        self.traffic = gate.traffic
        self.violations = gate.violations
        """What was wrong so far. A test that provokes one looks at it and clears it."""
        self.rate = gate.core
        self.graph_rate = gate.graphql
        self.url = gate.site
        self.token = TOKEN

    @property
    def api_url(self) -> str:
        """For a client of api.github.com."""
        return self.url

    @property
    def enterprise_url(self) -> str:
        """For a client of GitHub Enterprise."""
        return f"{self.url}/api/v3"

    @property
    def clone_url(self) -> str:
        """For git, with `x-access-token` and the token as name and password."""
        return f"{self.url}/{self.state.full_name}.git"

    @property
    def path(self) -> Path:
        """The bare repository, for git without HTTP."""
        return self.repository.path

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Do several things between two requests, and quicker than each on its own."""
        with self._world.acting():
            yield

    # --- people ---------------------------------------------------------------------------------------

    def add_user(self, login: str, association: str = "NONE", permission: str = "read") -> User:
        user = User(login, self.state.new_id(), association, permission)
        with self._world.acting():
            self.state.users[login] = user
        return user

    def add_token(self, value: str, login: str, scopes: Iterable[str] = ("repo", "workflow")) -> None:
        with self._world.acting():
            self.state.tokens[value] = Token(login, tuple(scopes))

    # --- issues, and pull requests as issues ----------------------------------------------------------

    def issue(self, number: int) -> Issue:
        with self._world.acting():
            return self.state.issues[number]

    def open_issue(
        self, title: str, body: str = "", *, labels: Iterable[str] = (), by: str = MEMBER
    ) -> Issue:
        with self._world.acting():
            return self._world.issues.open(title, body, labels, by=by)

    def edit(
        self, number: int, *, title: str | None = None, body: str | None = None, by: str = MEMBER
    ) -> None:
        with self._world.acting():
            self._world.issues.edit(self.state.issues[number], title=title, body=body, by=by)

    def label(self, number: int, *names: str, by: str = MEMBER) -> None:
        with self._world.acting():
            self._world.issues.label(self.state.issues[number], names, by=by)

    def unlabel(self, number: int, name: str, *, by: str = MEMBER) -> None:
        with self._world.acting():
            self._world.issues.unlabel(self.state.issues[number], name, by=by)

    def make_label(self, name: str, color: str = "ededed", description: str | None = None) -> None:
        with self._world.acting():
            self._world.issues.make_label(name, color, description)

    def comment(self, number: int, body: str, *, by: str = MEMBER) -> Comment:
        with self._world.acting():
            return self._world.issues.comment(self.state.issues[number], body, by=by)

    def block(self, number: int, *blockers: int, by: str = MEMBER) -> None:
        """Say that an issue depends on others, as GitHub's own dependencies do."""
        with self._world.acting():
            for blocker in blockers:
                self._world.issues.block(self.state.issues[number], blocker, by=by)

    def close(self, number: int, *, reason: str = "completed", by: str = MEMBER) -> None:
        with self._world.acting():
            self._world.issues.close(self.state.issues[number], by=by, reason=reason)

    def reopen(self, number: int, *, by: str = MEMBER) -> None:
        with self._world.acting():
            issue = self.state.issues[number]
            if issue.pull:
                self._world.pulls.reopen(issue, issue.pull, by=by)
            else:
                self._world.issues.reopen(issue, by=by)

    def delete_issue(self, number: int) -> None:
        """The API answers 410 from now on."""
        with self._world.acting():
            self._world.issues.delete(self.state.issues[number])

    # --- commits --------------------------------------------------------------------------------------

    def push(
        self, branch: str, files: dict[str, str | None], message: str = "A change", *, start: str = "main"
    ) -> str:
        """A person commits to a branch, a new one from `start`; gives the new head."""
        with self._world.acting():
            sha = self.repository.commit(branch, files, message, start=start)
            self._world.pulls.refresh()
            return sha

    def delete_branch(self, branch: str) -> None:
        with self._world.acting():
            self.repository.delete(branch)
            self._world.pulls.refresh()

    def head(self, branch: str) -> str | None:
        with self._world.acting():
            return self.repository.branches().get(branch)

    # --- pull requests --------------------------------------------------------------------------------

    def pull(self, number: int) -> Pull:
        with self._world.acting():
            return self._world.pulls.get(number)[1]

    def open_pull(
        self,
        head: str,
        title: str = "A change",
        body: str = "",
        *,
        base: str = "main",
        draft: bool = False,
        by: str = MEMBER,
    ) -> Issue:
        with self._world.acting():
            return self._world.pulls.open(title, body, head=head, base=base, draft=draft, by=by)[0]

    def merge(self, number: int, *, method: str = "merge", by: str = OWNER) -> str:
        """Press the button; gives the new head of the base. Raises ApiError where GitHub refuses."""
        with self._world.acting():
            return self._world.pulls.merge(*self._world.pulls.get(number), by=by, method=method)

    def review(
        self,
        number: int,
        state: str,
        body: str = "",
        *,
        comments: Sequence[tuple[str, int, str]] = (),
        by: str = MEMBER,
    ) -> Review:
        """APPROVED, CHANGES_REQUESTED or COMMENTED; each comment is (path, line, text)."""
        with self._world.acting():
            return self._world.pulls.review(
                *self._world.pulls.get(number), state, body, by=by, comments=comments
            )

    def reply(self, number: int, comment: int, body: str, *, by: str = MEMBER) -> ReviewComment:
        """Answer in the thread of a review comment."""
        with self._world.acting():
            return self._world.pulls.reply(*self._world.pulls.get(number), comment, body, by=by)

    def resolve_thread(self, number: int, at: int = 0, *, by: str = MEMBER) -> None:
        with self._world.acting():
            issue, pull = self._world.pulls.get(number)
            pull.threads[at].resolved_by = by
            self._world.issues.touch(issue)

    # --- CI -------------------------------------------------------------------------------------------

    def start_checks(self, number: int, *names: str, workflow: str = "CI") -> list[Check]:
        """Queue checks for the head of a pull request; '' as workflow: of another app than Actions."""
        with self._world.acting():
            _, pull = self._world.pulls.get(number)
            return self._world.checks.start(pull.head_sha, names, workflow=workflow, branch=pull.head)

    def finish_check(
        self,
        number: int,
        name: str,
        conclusion: str = "success",
        *,
        log: str = "",
        title: str | None = None,
        summary: str | None = None,
        annotations: tuple[Annotation, ...] = (),
    ) -> Check:
        """End the latest check of this name on the head; it is started where there is none."""
        with self._world.acting():
            _, pull = self._world.pulls.get(number)
            checks = self._world.checks
            found = [check for check in checks.of(pull.head_sha) if check.name == name]
            if not found:
                found = checks.start(pull.head_sha, (name,), workflow="CI", branch=pull.head)
            checks.finish(
                found[-1], conclusion, log=log, title=title, summary=summary, annotations=annotations
            )
            return found[-1]

    def begin_check(self, check: Check) -> None:
        with self._world.acting():
            self._world.checks.begin(check)

    def set_status(self, number: int, context: str, state: str, description: str | None = None) -> None:
        """A commit status on the head of a pull request: error, failure, pending or success."""
        with self._world.acting():
            sha = self._world.pulls.get(number)[1].head_sha
            self._world.checks.set_status(sha, context, state, description)

    # --- settings -------------------------------------------------------------------------------------

    def protect(self, *checks: str, approvals: int = 0, decides_always: bool = False) -> None:
        """What the default branch asks for from now on."""
        with self._world.acting():
            rules = self.state.protection
            rules.checks, rules.approvals, rules.decides_always = list(checks), approvals, decides_always

    def rename_from(self, former: str) -> None:
        """The repository was once called `owner/name`: GitHub redirects from there."""
        with self._world.acting():
            self.state.former_names.add(former.lower())


@contextmanager
def fake_github(folder: Path, *, now: Callable[[], float] = time.time) -> Iterator[FakeGitHub]:
    """Run a fake GitHub whose repository lies in `folder`; `now` tells it the time.

    Without GitHub's contracts nothing is held against them, and GraphQL is not there; where CI=true,
    that is an error. Raises AssertionError in the end for whatever was wrong.
    """
    reason = packages.missing(operations())
    if reason and packages.required():
        raise AssertionError(f"GitHub's contracts are missing: {reason}")
    state = State(OWNER, "widget", now, users={user.login: user for user in PEOPLE}, created_at=now())
    state.tokens[TOKEN] = Token(BOT)
    world = World(state, Repository.make(folder / "widget.git"))
    gate = Gate(world, None if reason else load())
    with Server(gate.answer, gate.violations) as server:
        gate.site, gate.storage = server.site.url, server.storage.url
        github = FakeGitHub(gate)
        try:
            yield github
        finally:
            unmet = gate.faults.unmet()
            gate.faults.clear()
    wrong = [*gate.violations, *(f"a fault was never met: {fault}" for fault in unmet)]
    if wrong:
        raise AssertionError("\n".join(wrong))
