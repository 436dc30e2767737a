"""Reviews in memory."""

from collections.abc import Mapping, Sequence

from orch.core.forge import Job, PullStatus, Reply
from tests.fakes.failing import Failing


class FakeReviews(Failing):
    """The Reviews of a test, which reads what was done in its lists.

    `logs` gives the log of a job by its id; `gone` are remarks that were deleted meanwhile.
    """

    def __init__(self) -> None:
        super().__init__()
        self.logs: dict[int, str] = {}
        self.gone: set[str] = set()
        self.reruns: list[tuple[int, tuple[int, ...]]] = []
        """The pull request and the ids of the jobs."""
        self.replies: dict[str, tuple[int, Reply]] = {}
        """By their key: the pull request and the answer."""
        self.merging: list[tuple[int, str]] = []
        """The pull requests that were handed to the forge to be merged, and their heads."""
        self.retired: list[str] = []
        """Branches that were really deleted."""
        self.kept: dict[str, str] = {}
        """Branches that are not to be deleted, and why."""

    def tails(self, jobs: Sequence[Job]) -> Mapping[str, str]:
        self._enter("tails")
        return {job.name: self.logs[job.id] for job in jobs if job.id in self.logs}

    def rerun(self, pull: PullStatus, jobs: Sequence[Job]) -> None:
        self._enter("rerun")
        rerun = (pull.number, tuple(job.id for job in jobs))
        if rerun not in self.reruns:
            self.reruns.append(rerun)

    def reply(self, pull: int, reply: Reply) -> None:
        self._enter("reply")
        if reply.remark not in self.gone:
            self.replies.setdefault(reply.key, (pull, reply))

    def auto_merge(self, pull: PullStatus) -> None:
        self._enter("auto_merge")
        if (pull.number, pull.head) not in self.merging:
            self.merging.append((pull.number, pull.head))

    def retire(self, pull: PullStatus) -> str:
        self._enter("retire")
        if pull.branch in self.kept:
            return self.kept[pull.branch]
        if pull.branch not in self.retired:
            self.retired.append(pull.branch)
        return ""
