"""What is done about a pull request at GitHub until it is merged."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from orch.adapters import git
from orch.adapters.forge.github import graph, logs, markers, shapes, talk
from orch.adapters.forge.github.credentials import Credentials
from orch.adapters.forge.github.failures import DeniedError, MissingError, RefusedError
from orch.adapters.forge.github.forge import merge, pushed_ref
from orch.adapters.forge.github.graph_pulls import ENABLE_AUTO_MERGE, NODE, Node
from orch.adapters.forge.github.hub import Hub
from orch.adapters.forge.pushing import descends
from orch.core.forge import Job, PullStatus, Reply
from orch.errors import PermanentError, TransientError

COMMENT_PAGES = 30
QUOTED_LENGTH = 200

_AT_ONCE = frozenset({"CLEAN", "UNSTABLE", "HAS_HOOKS"})
"""States in which nothing is waited for: GitHub's own auto-merge is for all others."""
_GONE = "remote ref does not exist"


class GitHubReviews:
    """The Reviews over GitHub. Safe to use from any thread."""

    def __init__(
        self,
        hub: Hub,
        repository: Path,
        *,
        credentials: Credentials,
        expect: Callable[[int], None],
    ) -> None:
        """`expect` is told the number of a pull request whose checks are about to change."""
        self._hub = hub
        self._repository = repository
        self._credentials = credentials
        self._expect = expect

    def tails(self, jobs: Sequence[Job]) -> Mapping[str, str]:
        """See `ports.Reviews`."""
        return logs.fetch(self._hub, jobs)

    def rerun(self, pull: PullStatus, jobs: Sequence[Job]) -> None:
        """See `ports.Reviews`. GitHub counts the runs: one that has begun again is known by its number."""
        done: set[int] = set()
        for job in jobs:
            run = self._run_of(job)
            if run is None or run.id in done:
                continue
            done.add(run.id)
            if run.status == "completed" and run.run_attempt <= job.attempt:
                self._start_again(run.id)
        self._expect(pull.number)

    def reply(self, pull: int, reply: Reply) -> None:
        """See `ports.Reviews`. A thread is answered in the thread, all else by a comment that quotes it."""
        kind, number = talk.split(reply.remark)
        text = markers.reply(reply.text, reply.remark, reply.key)
        try:
            match kind:
                case talk.IN_THREAD:
                    self._reply_in_thread(pull, number, text, reply)
                case talk.REVIEW:
                    path = self._hub.path(f"/pulls/{pull}/reviews/{number}")
                    self._reply_below(pull, path, text, reply)
                case talk.PLAIN:
                    self._reply_below(pull, self._hub.path(f"/issues/comments/{number}"), text, reply)
                case _:
                    raise PermanentError(f"{reply.remark!r} is no remark on GitHub")
        except MissingError:
            return

    def auto_merge(self, pull: PullStatus) -> None:
        """See `ports.Reviews`. Where nothing is waited for, GitHub refuses to wait: it is merged at once."""
        found: Node | None = graph.ask_each(self._hub, [pull.number], "pullRequest", NODE, "node", Node)[
            pull.number
        ]
        if found is None or found.state != "OPEN" or found.head_ref_oid != pull.head:
            return
        if found.auto_merge_request is not None:
            return
        if found.is_draft:
            hint = "mark it as ready for review on GitHub"
            raise PermanentError(f"pull request {pull.number} is a draft", hint=hint)
        if found.merge_state_status == "DIRTY":
            raise PermanentError(f"pull request {pull.number} conflicts with {pull.base}")
        if found.merge_state_status == "UNKNOWN":
            raise TransientError(f"GitHub does not know yet whether pull request {pull.number} can be merged")
        if found.merge_state_status in _AT_ONCE or self._is_ready(pull, found):
            merge(self._hub, pull.number, pull.head)

    def retire(self, pull: PullStatus) -> str:
        """See `ports.Reviews`. Both are deleted only if they still are what is expected, in one step."""
        branch = pull.branch
        if not branch or branch in {pull.base, self._hub.repository().default_branch}:
            return f"{branch or 'a branch without a name'} is no branch of a task"
        return self._delete_there(branch, pull.head) or self._delete_here(branch, pull.head)

    # --- jobs -------------------------------------------------------------------------------------

    def _run_of(self, job: Job) -> shapes.WorkflowRun | None:
        """The workflow run of a job as it stands now, None where there is nothing to be run again."""
        if not job.id:
            return None
        try:
            found = self._hub.connection.read(self._hub.path(f"/actions/jobs/{job.id}"), shapes.Job)
            return self._hub.connection.read(
                self._hub.path(f"/actions/runs/{found.run_id}"), shapes.WorkflowRun
            )
        except MissingError:
            return None

    def _start_again(self, run: int) -> None:
        path = self._hub.path(f"/actions/runs/{run}/rerun-failed-jobs")
        try:
            self._hub.connection.write("POST", path, None, object)
        except DeniedError as error:
            # GitHub's words for one that somebody else has just begun again.
            if "already running" not in error.message and "no failed jobs" not in error.message:
                raise

    # --- answers ----------------------------------------------------------------------------------

    def _reply_in_thread(self, pull: int, number: int, text: str, reply: Reply) -> None:
        comments = self._said(self._hub.path(f"/pulls/{pull}/comments"))
        remark = next((comment for comment in comments if comment.id == number), None)
        if remark is None or self._is_written(comments, reply):
            return
        # GitHub takes answers to the first comment of a thread only.
        path = self._hub.path(f"/pulls/{pull}/comments/{remark.in_reply_to_id or number}/replies")
        self._hub.connection.write("POST", path, {"body": text}, shapes.Comment)

    def _reply_below(self, pull: int, remark: str, text: str, reply: Reply) -> None:
        path = self._hub.path(f"/issues/{pull}/comments")
        if not self._is_written(self._said(path), reply):
            said = self._hub.connection.read(remark, shapes.Comment).text
            body = f"{_quote(said)}\n\n{text}"
            self._hub.connection.write("POST", path, {"body": body}, shapes.Comment)

    def _said(self, path: str) -> list[shapes.Comment]:
        pages = self._hub.connection.pages(path, list[shapes.Comment], limit=COMMENT_PAGES)
        return [comment for page in pages for comment in page]

    def _is_written(self, comments: Sequence[shapes.Comment], reply: Reply) -> bool:
        return any(
            markers.is_reply(comment.text, reply.remark, reply.key) and self._hub.is_me(comment.login)
            for comment in comments
        )

    # --- merging ----------------------------------------------------------------------------------

    def _is_ready(self, pull: PullStatus, found: Node) -> bool:
        """Have GitHub merge it later; True where GitHub has nothing to wait for (any more)."""
        asked = {
            "pullRequestId": found.id,
            "expectedHeadOid": pull.head,
            "mergeMethod": self._hub.repository().method.upper(),
        }
        try:
            self._hub.connection.mutate(ENABLE_AUTO_MERGE, {"input": asked}, object)
        except RefusedError as error:
            if "clean status" in error.said or "unstable status" in error.said:
                return True
            hint = "allow auto-merge in the settings of the repository on GitHub"
            raise PermanentError(
                f"pull request {pull.number} is not merged: {error.said}", hint=hint
            ) from error
        return False

    # --- branches ---------------------------------------------------------------------------------

    def _delete_there(self, branch: str, head: str) -> str:
        """Delete the branch at origin if it still is `head`. Gives why it stayed, or ''."""
        lease = f"--force-with-lease=refs/heads/{branch}:{head}"
        command = ("push", "--quiet", "--no-verify", lease, "origin", f":refs/heads/{branch}")
        env = self._credentials.git_environment()
        done = git.run(self._repository, *command, timeout=git.NETWORK_SECONDS, accept=(0, 1), env=env)
        if done.code == 0 or _GONE in done.said:
            return ""
        if "[rejected]" in done.said:
            # The same words where it is gone.
            there = git.run(
                self._repository,
                *("ls-remote", "origin", f"refs/heads/{branch}"),
                timeout=git.NETWORK_SECONDS,
                env=env,
            ).text
            return f"{branch} at origin has other commits than the pull request" if there else ""
        raise git.failure("git push", self._repository, done)

    def _delete_here(self, branch: str, head: str) -> str:
        """Delete the branch here if it has nothing that `head` has not, and is checked out nowhere."""
        ref = f"refs/heads/{branch}"
        there = git.references(self._repository, ref).get(ref, "")
        if there:
            if there != head and not descends(self._repository, there, head):
                return f"{branch} has commits here that the pull request had not"
            listing = git.run(self._repository, "worktree", "list", "--porcelain", "-z").fields
            if f"branch {ref}" in listing:
                return f"{branch} is checked out"
            git.run(self._repository, "update-ref", "-d", ref, there)
        git.run(self._repository, "update-ref", "-d", pushed_ref(branch))
        return ""


def _quote(text: str) -> str:
    """The beginning of a remark, so that it is seen what is answered. It mentions nobody."""
    line = " ".join(markers.plain(text).split())
    line = line if len(line) <= QUOTED_LENGTH else line[: QUOTED_LENGTH - 1] + "…"
    return "> " + line.replace("@", "@\N{ZERO WIDTH SPACE}")
