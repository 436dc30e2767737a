"""What GraphQL tells of a pull request."""

from datetime import datetime

import msgspec

from orch.adapters.forge.github.graph import Actor


class Rollup(msgspec.Struct):
    """What all checks of a head say together."""

    state: str


class Brief(msgspec.Struct, rename="camel"):
    """What may change without the list of pull requests telling."""

    number: int
    state: str
    head_ref_oid: str
    mergeable: str
    status_check_rollup: Rollup | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """What is compared with the look before."""
        rollup = self.status_check_rollup.state if self.status_check_rollup else ""
        return (self.state, self.head_ref_oid, self.mergeable, rollup)


class Workflow(msgspec.Struct):
    """What a workflow run is a run of."""

    name: str


class WorkflowRun(msgspec.Struct, rename="camel"):
    """A run of GitHub Actions."""

    database_id: int | None = None
    workflow: Workflow | None = None


class Suite(msgspec.Struct, rename="camel"):
    """The checks of one app for one head."""

    workflow_run: WorkflowRun | None = None


class Context(msgspec.Struct, rename="camel"):
    """A check run, or a commit status, which has a `context` and a `state`."""

    kind: str = msgspec.field(name="__typename")
    database_id: int | None = None
    name: str = ""
    status: str = ""
    conclusion: str | None = None
    url: str | None = None
    check_suite: Suite | None = None
    context: str = ""
    state: str = ""
    target_url: str | None = None

    @property
    def run(self) -> int:
        """The id of the workflow run that it belongs to, 0 for a check of another app."""
        suite = self.check_suite
        return (suite.workflow_run.database_id or 0) if suite and suite.workflow_run else 0


class Contexts(msgspec.Struct):
    """A page of checks."""

    nodes: list[Context]


class FullRollup(msgspec.Struct):
    """The checks of a head, together and each."""

    state: str
    contexts: Contexts


class Said(msgspec.Struct, rename="camel"):
    """A comment or a review."""

    full_database_id: str
    body: str
    author_association: str
    author: Actor | None = None
    created_at: datetime | None = None
    submitted_at: datetime | None = None
    state: str = ""

    @property
    def login(self) -> str:
        """Who said it; GitHub's word for somebody who has left."""
        return self.author.name if self.author else "ghost"

    @property
    def at(self) -> float:
        """Seconds since the epoch."""
        moment = self.created_at or self.submitted_at
        return moment.timestamp() if moment else 0.0


class Talk(msgspec.Struct):
    """A page of comments or reviews."""

    nodes: list[Said]


class Thread(msgspec.Struct, rename="camel"):
    """What was said about one place in a file."""

    is_resolved: bool
    path: str
    comments: Talk
    line: int | None = None


class Threads(msgspec.Struct):
    """A page of threads."""

    nodes: list[Thread]


class Commit(msgspec.Struct):
    """A commit."""

    oid: str


class Request(msgspec.Struct, rename="camel"):
    """That GitHub is to merge by itself."""

    enabled_at: datetime | None = None


class Full(msgspec.Struct, rename="camel"):
    """Everything that orch wants to know of a pull request."""

    number: int
    state: str
    is_draft: bool
    head_ref_name: str
    head_ref_oid: str
    base_ref_name: str
    mergeable: str
    updated_at: datetime
    reviews: Talk
    review_threads: Threads
    comments: Talk
    merge_commit: Commit | None = None
    auto_merge_request: Request | None = None
    status_check_rollup: FullRollup | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """As `Brief.words`."""
        rollup = self.status_check_rollup.state if self.status_check_rollup else ""
        return (self.state, self.head_ref_oid, self.mergeable, rollup)


class Node(msgspec.Struct, rename="camel"):
    """What has to be known before a pull request is handed to GitHub to be merged."""

    id: str
    state: str
    is_draft: bool
    head_ref_oid: str
    merge_state_status: str
    auto_merge_request: Request | None = None


BRIEF = "number state headRefOid mergeable statusCheckRollup { state }"

_SAID = "fullDatabaseId body authorAssociation author { __typename login }"

FULL = f"""
    number state isDraft headRefName headRefOid baseRefName mergeable updatedAt
    mergeCommit {{ oid }}
    autoMergeRequest {{ enabledAt }}
    statusCheckRollup {{
        state
        contexts(first: 100) {{
            nodes {{
                __typename
                ... on CheckRun {{
                    databaseId name status conclusion url
                    checkSuite {{ workflowRun {{ databaseId workflow {{ name }} }} }}
                }}
                ... on StatusContext {{ context state targetUrl }}
            }}
        }}
    }}
    reviews(last: 100) {{ nodes {{ {_SAID} state submittedAt }} }}
    reviewThreads(last: 100) {{
        nodes {{ isResolved path line comments(first: 50) {{ nodes {{ {_SAID} createdAt }} }} }}
    }}
    comments(last: 100) {{ nodes {{ {_SAID} createdAt }} }}
"""

NODE = "id state isDraft headRefOid mergeStateStatus autoMergeRequest { enabledAt }"

ENABLE_AUTO_MERGE = """mutation enableAutoMerge($input: EnablePullRequestAutoMergeInput!) {
    enablePullRequestAutoMerge(input: $input) { clientMutationId }
}"""
