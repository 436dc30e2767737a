"""Issues and pull requests in any interleaving: nothing is handled twice, nothing is left lying."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from orch.core.forge import Checks, Issue, Job, Person, Remark
from orch.core.model import ApproveRequest, Evidence, Exit, ForgePolicy, RunKey, Status
from orch.core.rules.trust import digest
from tests.core.test_machine import EXITS, Coordination
from tests.core.world import status_of

ISSUES = [7, 8]
NUMBERED = [f"gh-{number}" for number in ISSUES]
HEADS = ["a" * 40, "b" * 40]
MIA, SAM = Person("mia", "MEMBER"), Person("sam")


class Following(Coordination):
    """The same with issues, and with people and a CI who do what they like to the pull requests."""

    def __init__(self) -> None:
        super().__init__()
        forge = ForgePolicy(intake=True, follow=True, retire=True, max_rounds=2, auto_merge="when_green")
        self.world.policy = self.world.policy.evolve(forge=forge)
        self.remarks = 0

    @rule(number=st.sampled_from(ISSUES), author=st.sampled_from([MIA, SAM]))
    def open_issue(self, number: int, author: Person) -> None:
        if number not in self.world.issues:
            labels = frozenset({"orch"})
            self.world.issues[number] = Issue(number, "u", f"do {number}", author, labels=labels)

    @rule(
        number=st.sampled_from(ISSUES),
        label=st.booleans(),
        is_open=st.booleans(),
        title=st.sampled_from("xy"),
    )
    def change_issue(self, number: int, label: bool, is_open: bool, title: str) -> None:
        if number in self.world.issues:
            labels = frozenset({"orch"} if label else ())
            issue = self.world.issues[number].evolve(labels=labels, open=is_open, title=title)
            self.world.issues[number] = issue

    @rule(number=st.sampled_from(ISSUES))
    def approve(self, number: int) -> None:
        if number in self.world.issues:
            request = ApproveRequest(f"gh-{number}", digest(self.world.issues[number]))
            self.world.requests = [*self.world.requests, request][-3:]

    @rule(name=st.sampled_from(NUMBERED), status=st.sampled_from(Status))
    def mark_issue(self, name: str, status: Status) -> None:
        self.mark(name, status)

    @rule(name=st.sampled_from(NUMBERED))
    def delete_issue(self, name: str) -> None:
        self.delete(name)

    @rule(name=st.sampled_from(NUMBERED), end=st.sampled_from(EXITS), head=st.sampled_from(HEADS))
    def end_issue(self, name: str, end: tuple[Exit, Evidence], head: str) -> None:
        exit, evidence = end
        self.end(name, (exit, evidence.evolve(head=head) if evidence.head else evidence))

    @rule(
        at=st.integers(0, 6),
        head=st.sampled_from(HEADS),
        checks=st.sampled_from(Checks),
        trouble=st.sampled_from(["", "no runner"]),
        conflicts=st.sampled_from([True, False, None]),
        state=st.sampled_from(["open", "open", "open", "merged", "closed"]),
        remark=st.booleans(),
    )
    def change_pull(
        self,
        at: int,
        head: str,
        checks: Checks,
        trouble: str,
        conflicts: bool | None,
        state: str,
        remark: bool,
    ) -> None:
        pulls = sorted(self.world.pulls.values(), key=lambda pull: pull.number)
        if not pulls:
            return
        pull = pulls[at % len(pulls)]
        known = self.world.statuses.get(pull.url) or status_of(pull)
        if known.state != "open":
            return
        remarks = known.remarks
        if remark:
            self.remarks += 1
            remarks = (*remarks, Remark(f"c{self.remarks}", MIA if self.remarks % 2 else SAM, "x"))
        jobs = (Job(1, "test", "failure", trouble=trouble),) if checks is Checks.RED else ()
        self.world.statuses[pull.url] = known.evolve(
            head=head, checks=checks, jobs=jobs, conflicts=conflicts, state=state, remarks=remarks
        )

    @rule(
        kinds=st.sets(
            st.sampled_from(["Poll", "SaveLedger", "Tell", "Rerun", "AutoMerge", "Retire", "CloseIssue"])
        )
    )
    def break_the_forge(self, kinds: set[str]) -> None:
        self.failing = frozenset(kinds)

    @invariant()
    def attempts_at_issues_are_counted_up(self) -> None:
        for name in NUMBERED:
            attempts = sorted(key.attempt for key in self.world.workers if key.task == name)
            assert attempts == list(range(1, len(attempts) + 1))

    @invariant()
    def nothing_is_handled_twice(self) -> None:
        """Every attempt that orch makes by itself for a pull request has something new to settle."""
        for key, worker in self.world.workers.items():
            follow = worker.claim.follow
            before = self.world.workers.get(RunKey(key.task, key.attempt - 1))
            if follow is None or not follow.pull or before is None or before.outcome is None:
                continue
            assert all(count <= 2 for count in follow.rounds.values())
            known = before.outcome.follow
            if before.outcome.retry_at is not None:
                assert follow == known or known is None or not known.pull, "it goes on with the same"
            elif known is not None and sum(follow.rounds.values()) > sum(known.rounds.values()):
                assert set(follow.handled) > set(known.handled)

    @invariant()
    def no_stranger_is_obeyed(self) -> None:
        for worker in self.world.workers.values():
            assert "sam remarks" not in (worker.claim.follow.text if worker.claim.follow else "")

    @invariant()
    def closed_issues_are_not_closed_again(self) -> None:
        assert len(self.world.closed) == len(set(self.world.closed))


Following.TestCase.settings = settings(
    max_examples=100, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)
TestFollowing = Following.TestCase
