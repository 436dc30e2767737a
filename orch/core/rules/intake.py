"""Issues become tasks: which are added to tasks.md, follow a change, or leave it. Pure.

What orch itself wrote stands in the ledger. An entry is on disk before its line is added, so that a line
that is gone afterwards was deleted by a person, and is not added again.
"""

import re
from collections.abc import Mapping

from orch.core.actions import AddTask, Dismiss, Drop, Reword
from orch.core.draft import Draft
from orch.core.forge import Entry, Issue, Wish
from orch.core.model import ApproveRequest, ForgePolicy, Status, Stopping, Task
from orch.core.names import issue_id, issue_number
from orch.core.rules import ledger, progress, tell, trust
from orch.core.tasks_md import Document, plain_title

NOT_LOOKED = "waits for the first look at the forge"
SETTLE_SECONDS = 2.0
"""A line that vanished counts once the file was not changed for this long (design section 6)."""
MOST_PARENTS = 50
"""Of more dependencies the others do not count."""
LEFT = frozenset({Status.PENDING, Status.ACTIVE})
"""A task with such a mark is not over."""

_PARENTS = re.compile(
    r"\b(?:depends\s{1,8}on|blocked\s{1,8}by)\s{0,8}:?\s{0,8}((?:#[0-9]{1,18}\b(?:\s{0,8}(?:,|and|&)\s{0,8}(?=#))?)+)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"#([0-9]{1,18})")


def read_wish(issue: Issue, policy: ForgePolicy) -> Wish:
    """What an issue says about its task."""
    found = [
        priority
        for pattern, priority in policy.priorities
        if any(re.fullmatch(pattern, label, re.IGNORECASE) for label in issue.labels)
    ]
    told = [int(number) for match in _PARENTS.finditer(issue.body) for number in _NUMBER.findall(match[1])]
    parents = [*dict.fromkeys((*told, *issue.parents))][:MOST_PARENTS]
    return Wish(
        plain_title(issue.title) or f"issue {issue.number}",
        min(found, default=2),
        tuple(number for number in parents if number not in (0, issue.number)),
    )


def list_wanted(draft: Draft) -> frozenset[int]:
    """The issues that have to be known, whether they are open and labelled or not."""
    plan, forge = draft.state.plan, draft.state.forge
    numbers = set(filter(None, map(issue_number, (*plan.ready, *plan.waiting, *plan.active))))
    for number, wish in forge.wishes.items():
        # What a stranger names is not looked up.
        if wish.parents and trust.is_shown(forge, draft.policy.forge.trust, number):
            numbers.update(wish.parents)
    # A task whose line is gone may still have a worker.
    numbers.update(filter(None, map(issue_number, draft.live)))
    return frozenset(numbers)


def bring_in(draft: Draft) -> None:
    """Hold the issues against tasks.md, where anything has changed."""
    if not draft.policy.forge.intake or draft.seen.document is None:
        return
    forge, document = draft.state.forge, draft.seen.document
    same = document is draft.before.document and draft.runs == draft.before.runs
    if same and not forge.unsettled:
        return
    draft.change(forge=forge.evolve(unsettled=False))
    _Intake(draft, document).settle()


def approve(draft: Draft, request: ApproveRequest) -> None:
    """Remember that a person wants an issue to be run as it was shown to them."""
    known, number = draft.state.forge.ledger, issue_number(request.task)
    if not (draft.policy.forge.intake and number):
        draft.note("error", "there is no such issue to approve", task=request.task)
        draft.act(Dismiss(request))
    elif known.approved.get(number) != request.digest:
        draft.note("approved", f"issue #{number}", task=request.task)
        ledger.remember(draft, known.evolve(approved={**known.approved, number: request.digest}))
    elif draft.state.forge.saved.approved.get(number) == request.digest:
        draft.act(Dismiss(request))


class _Intake:
    """One comparison of all issues with all lines."""

    def __init__(self, draft: Draft, document: Document) -> None:
        self._draft = draft
        self._document = document
        self._policy = draft.policy.forge
        self._forge = draft.state.forge
        self._entries: dict[int, Entry] = dict(self._forge.ledger.issues)
        self._held: dict[str, str] = {}
        self._awaiting: dict[str, str] = {}
        self._wrote = False
        self._issues: Mapping[int, Issue] = self._forge.sight.issues or {}

    def settle(self) -> None:
        """Write what has to change, and say what waits."""
        plan = self._draft.state.plan
        pending = (*plan.ready, *plan.waiting)
        if self._forge.sight.issues is None:
            self._held = {name: NOT_LOOKED for name in pending if issue_number(name)}
            self._wrote = not self._forge.failures
        else:
            self._read_wishes()
            for number in sorted(self._issues.keys() | self._entries.keys()):
                self._compare(number)
        forge = self._draft.state.forge
        if self._entries != forge.ledger.issues:
            ledger.remember(self._draft, forge.ledger.evolve(issues=self._entries))
        forge = self._draft.state.forge
        held, awaiting = self._held, self._awaiting
        if (held, awaiting) != (forge.held, forge.awaiting) or self._wrote:
            self._draft.change(
                forge=forge.evolve(held=held, awaiting=awaiting, unsettled=forge.unsettled or self._wrote)
            )

    def _read_wishes(self) -> None:
        if self._forge.wished is self._issues and self._draft.before.document is not None:
            return
        # Under new settings they may mean something else.
        known = self._forge.wishes if self._draft.before.document is not None else {}
        wished = self._forge.wished
        wishes = {
            number: known[number]
            if number in known and wished.get(number) is issue
            else read_wish(issue, self._policy)
            for number, issue in self._issues.items()
        }
        self._forge = self._forge.evolve(wishes=wishes, wished=self._issues)
        self._draft.change(forge=self._draft.state.forge.evolve(wishes=wishes, wished=self._issues))

    def _compare(self, number: int) -> None:
        name = issue_id(number)
        issue, task = self._issues.get(number), self._document.tasks.get(name)
        entry = self._entries.get(number)
        if entry is not None and task is not None and not entry.seen:
            entry = self._entries[number] = entry.evolve(seen=True)
        if issue is None or not issue.open or self._policy.issue_label not in issue.labels:
            if entry is not None:
                self._let_go(number, entry, task, issue)
        elif not trust.is_shown(self._forge, self._policy.trust, number):
            self._hold(issue, entry, task)
        elif entry is None and task is None:
            self._take_in(issue, self._forge.wishes[number])
        elif entry is not None and task is None and not entry.seen:
            if number in self._forge.saved.issues:
                self._write(AddTask(Task(name, entry.title, priority=entry.priority, after=entry.after)))
        elif entry is not None and task is not None and task.status is Status.PENDING:
            self._reword(number, entry, task)

    def _take_in(self, issue: Issue, wish: Wish) -> None:
        """A new issue. Whether there is something to wait for has to be known first."""
        if any(self._is_unknown(number) for number in wish.parents):
            self._draft.change(polled_at=0.0)  # Look again now.
            return
        self._entries[issue.number] = Entry(wish.title, wish.priority, self._parents(wish))
        self._draft.note("issue", issue.title, task=issue_id(issue.number))

    def _hold(self, issue: Issue, entry: Entry | None, task: Task | None) -> None:
        """The issue is of somebody who is not trusted, or was changed since somebody vouched for it."""
        name = issue_id(issue.number)
        pending = entry is not None and task is not None and task.status is Status.PENDING
        if pending:
            self._held[name] = f"waits for approval: orch approve {issue.number}"
        if pending or (task is None and (entry is None or not entry.seen)):
            author = issue.author
            self._awaiting[name] = f"{issue.title}, by {author.login} ({author.association.lower()})"

    def _let_go(self, number: int, entry: Entry, task: Task | None, issue: Issue | None) -> None:
        """The issue was closed, lost the label, or is gone."""
        name, draft = issue_id(number), self._draft
        status = task.status if task is not None else None
        closed = issue is not None and not issue.open
        why = f"issue #{number} " + ("was closed" if closed else "lost its label" if issue else "is gone")
        if name in draft.live:
            if closed:
                progress.stop(draft, draft.runs[name], Stopping(why, draft.now, now=True))
            return
        if status in LEFT and issue is None and number not in self._forge.asked:
            self._held[name] = NOT_LOOKED  # It was not asked for yet.
        elif status is Status.ACTIVE or (task is not None and tell.is_followed(task)):
            pass  # What follows is not in tasks.md yet.
        elif task is not None and status is Status.PENDING and _is_own(task, entry) and not task.notes:
            self._held[name] = why
            self._write(Drop(name, task.text))
        elif task is None and draft.seen.document_age < SETTLE_SECONDS:
            # A file that is being saved may show no lines for a moment.
            self._wrote = True
            draft.wake(draft.now + SETTLE_SECONDS - draft.seen.document_age)
        elif task is None or tell.is_told(draft, entry, task):
            if status is Status.PENDING:
                draft.note("problem", f"{why}, but its line was edited: it stays in the queue", task=name)
            del self._entries[number]

    def _reword(self, number: int, entry: Entry, task: Task) -> None:
        """A changed title, priority or dependency follows, unless a person edited the line."""
        wish = self._forge.wishes[number]
        wanted = entry.evolve(title=wish.title, priority=wish.priority, after=self._parents(wish))
        if wanted == entry:
            return
        if _is_own(task, wanted):
            self._entries[number] = wanted
        elif _is_own(task, entry) and task.id not in self._draft.live:
            self._write(Reword(task.id, task.text, wanted.title, wanted.priority, wanted.after))

    def _parents(self, wish: Wish) -> tuple[str, ...]:
        """Those that there is something to wait for."""
        return tuple(issue_id(number) for number in wish.parents if self._is_awaited(number))

    def _is_awaited(self, number: int) -> bool:
        if issue_id(number) in self._document.tasks:
            return True
        issue = self._issues.get(number)
        return self._is_unknown(number) if issue is None else issue.open

    def _is_unknown(self, number: int) -> bool:
        """Whether an issue was not even looked for; one that was and is not there does not exist."""
        return (
            number not in self._issues
            and number not in self._forge.asked
            and issue_id(number) not in self._document.tasks
        )

    def _write(self, change: AddTask | Drop | Reword) -> None:
        self._draft.write(change)
        self._wrote = True


def _is_own(task: Task, entry: Entry) -> bool:
    """Whether a line still says what orch wrote."""
    said = (task.title, task.priority, task.after, task.agent, task.model, task.budget)
    return said == (entry.title, entry.priority, entry.after, "", "", None)
