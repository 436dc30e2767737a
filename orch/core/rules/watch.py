"""When the forge is looked at, and what a look brings. Pure."""

from collections.abc import Collection, Iterator

from orch.core import names
from orch.core.actions import Failure, Poll
from orch.core.draft import Draft
from orch.core.forge import Checks, PullStatus, Sight, Trust, Wanted
from orch.core.model import Task
from orch.core.rules import follow, intake, ledger
from orch.core.values import dataclass

SLOWEST_SECONDS = 600.0
"""A forge that does not answer is asked this often at least, unless it says how long it wants to be left."""
CHECKS = {
    Checks.NONE: "",
    Checks.PENDING: "checks run",
    Checks.GREEN: "checks passed",
    Checks.RED: "checks failed",
}
FORGE = "forge"
"""What the notice about a forge that does not answer is kept under."""


@dataclass(frozen=True, slots=True)
class _Urls(Collection[str]):
    """The urls that tasks tell, read when they are asked for: thousands at every look need no copies."""

    tasks: tuple[Task, ...]
    others: tuple[str, ...]

    def __iter__(self) -> Iterator[str]:
        yield from (task.fields["PR"] for task in self.tasks)
        yield from self.others

    def __len__(self) -> int:
        return len(self.tasks) + len(self.others)

    def __contains__(self, url: object) -> bool:
        return any(each == url for each in self)


def poll_forge(draft: Draft) -> None:
    """Look at the forge when it is time, as long as there is something to look for."""
    forge, policy, plan = draft.state.forge, draft.policy.forge, draft.state.plan
    if draft.state.draining or forge.looking or draft.state.document is None:
        return
    due = max(draft.state.polled_at + policy.poll_interval, forge.look_at)
    if draft.now < due:
        if policy.intake or plan.unmerged or plan.halted:
            draft.wake(due)
        return
    pulls = _list_pulls(draft)
    if policy.intake or pulls:
        issues = intake.list_wanted(draft) if policy.intake else frozenset()
        draft.change(polled_at=draft.now, forge=forge.evolve(looking=True))
        draft.act(Poll(Wanted(issues, pulls)))
        draft.wake(draft.now + policy.poll_interval)


def take_sight(draft: Draft, wanted: Wanted, sight: Sight) -> None:
    """Take in what a look found. What it could not see is as it was."""
    forge, issues = draft.state.forge, sight.issues
    before = forge.sight
    sight = Sight(
        before.issues if issues is None else issues,
        before.pulls if sight.pulls is None else sight.pulls,
        sight.usage or before.usage,
    )
    reviews = forge.reviews
    if sight.pulls is not None and sight.pulls is not before.pulls:
        trust = draft.policy.forge.trust
        told = ((pull.url, sum_up(pull, trust)) for pull in sight.pulls.values() if pull.state == "open")
        reviews = {url: text for url, text in told if text}
    draft.change(
        forge=forge.evolve(
            sight=sight,
            reviews=reviews,
            # Issues that could not be looked at were not looked for in vain.
            asked=wanted.issues if issues is not None else forge.asked,
            looks=forge.looks + 1,
            looking=False,
            failures=0,
            look_at=0.0,
            unsettled=draft.policy.forge.intake,
            unfollowed=sight.pulls is not None,
        )
    )
    elsewhere = draft.policy.forge.intake or draft.policy.forge.follow
    if draft.state.metrics.github_api_errors and elsewhere:
        draft.change(metrics=draft.state.metrics.evolve(github_api_errors=0))
    draft.notice(FORGE, None)


def take_failure(draft: Draft, failure: Failure) -> None:
    """The forge could not be looked at: less often from now on, until it can be."""
    forge = draft.state.forge
    failures = forge.failures + 1
    delay = min(draft.policy.forge.poll_interval * 2.0 ** min(failures - 1, 16), SLOWEST_SECONDS)
    # Longer by up to a quarter: many that lost the same forge do not come back all at once.
    delay = max(delay, failure.retry_after or 0.0) * (1 + 0.25 * names.jitter(FORGE, failures))
    ledger.count_error(draft)
    if failures == 1:
        draft.note("error", failure.message)
    draft.notice(FORGE, f"the forge cannot be looked at: {failure.message}")
    draft.change(
        forge=forge.evolve(
            looking=False, failures=failures, look_at=draft.now + delay, unsettled=draft.policy.forge.intake
        )
    )
    draft.wake(draft.now + delay)


def sum_up(pull: PullStatus, trust: Trust) -> str:
    """How it stands with an open pull request, in a few words; '' where there is nothing to tell."""
    remarks = sum(trust.covers(remark.author) for remark in pull.remarks)
    words = [
        "draft" if pull.draft else "",
        "conflicts" if pull.conflicts else "",
        CHECKS[pull.checks],
        f"{remarks} remark{'s' if remarks > 1 else ''}" if remarks else "",
        "changes requested" if any(map(trust.covers, pull.objectors)) else "",
        "approved" if follow.is_approved(pull, trust) else "",
        "merges by itself" if pull.auto_merge else "",
    ]
    return ", ".join(filter(None, words))


def _list_pulls(draft: Draft) -> Collection[str]:
    """The urls of the pull requests that are not known to be merged or given up."""
    plan = draft.state.plan
    tasks = map(draft.task, (*plan.unmerged, *plan.halted))
    follows = (draft.runs[name].claim.follow for name in draft.live)
    return _Urls(
        tuple(task for task in tasks if task is not None),
        tuple(follow.url for follow in follows if follow is not None and follow.url),
    )
