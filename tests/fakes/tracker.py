"""A Tracker in memory: the issues of a forge, and how it stands with the pull requests."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from orch.core.forge import Comment, Deed, Issue, Person, PullStatus, Sight, Telling, Usage, Wanted
from orch.core.model import PullRequest
from orch.errors import PermanentError
from tests.fakes.failing import Failing

MAINTAINER = Person("mia", "MEMBER")
STRANGER = Person("sam", "NONE")


class FakeTracker(Failing):
    """The Tracker of a test.

    The test plays the people with `open_issue`, `change_issue`, `say` and `change_pull`, reads what orch
    told in `told` and `closed`, and lets the next calls of a method fail with `fail`. `pulls` gives the
    pull requests of the forge: what nobody changed here stands as that says.
    """

    def __init__(
        self, label: str = "orch", *, pulls: Callable[[], Sequence[PullRequest]] = lambda: ()
    ) -> None:
        super().__init__()
        self._label = label
        self._pulls = pulls
        self.issues: dict[int, Issue] = {}
        self.talk: dict[int, list[Comment]] = {}
        self.statuses: dict[str, dict[str, object]] = {}
        """By url: what a test changed of a pull request's status."""
        self.comments_of_orch: dict[int, str] = {}
        """By issue: the one comment."""
        self.told: list[tuple[int, Telling]] = []
        """Every call of `tell` that worked."""
        self.closed: list[int] = []
        """Every issue that was really closed, in order."""
        self.looks: list[Wanted] = []
        self._last = Sight()

    # --- what a test says ------------------------------------------------------------------------

    def open_issue(
        self,
        title: str,
        *,
        number: int = 0,
        body: str = "",
        author: Person = MAINTAINER,
        labels: Sequence[str] | None = None,
        labelled: Deed | None = None,
        parents: Sequence[int] = (),
    ) -> Issue:
        """A person opens an issue, by default with the label of orch."""
        number = number or max(self.issues, default=0) + 1
        issue = Issue(
            number,
            f"fake/issues/{number}",
            title,
            author,
            body,
            labels=frozenset([self._label] if labels is None else labels),
            labelled=labelled,
            parents=tuple(parents),
        )
        self.issues[number] = issue
        return issue

    def change_issue(self, number: int, **changes: object) -> None:
        """A person edits, closes or labels an issue."""
        self.issues[number] = self.issues[number].evolve(**changes)

    def say(self, number: int, text: str, author: Person = MAINTAINER) -> None:
        """A person comments on an issue."""
        self.talk.setdefault(number, []).append(Comment(author, text))

    def change_pull(self, url: str, **changes: object) -> None:
        """What people and the CI do to a pull request."""
        self.statuses.setdefault(url, {}).update(changes)

    # --- the protocol ----------------------------------------------------------------------------

    def look(self, wanted: Wanted) -> Sight:
        self._enter("look")
        self.looks.append(wanted)
        issues = {
            number: issue
            for number, issue in self.issues.items()
            if number in wanted.issues or (issue.open and self._label in issue.labels)
        }
        pulls = {pull.url: self._status(pull) for pull in self._pulls() if pull.url in wanted.pulls}
        last = self._last
        self._last = Sight(
            last.issues if last.issues == issues else issues,
            last.pulls if last.pulls == pulls else pulls,
            Usage(len(self.looks), 5000 - len(self.looks), 3600.0, len(self.looks)),
        )
        return self._last

    def comments(self, issue: int) -> Sequence[Comment]:
        self._enter("comments")
        return tuple(self.talk.get(issue, ()))

    def tell(self, issue: int, telling: Telling) -> None:
        self._enter("tell")
        if issue not in self.issues:
            raise PermanentError(f"there is no issue {issue}")
        self.told.append((issue, telling))
        if telling.text:
            self.comments_of_orch[issue] = telling.text
        labels = set(self.issues[issue].labels)
        for label, wanted in telling.labels.items():
            (labels.add if wanted else labels.discard)(label)
        self.change_issue(issue, labels=frozenset(labels))

    def close(self, issue: int) -> None:
        self._enter("close")
        if issue in self.issues and self.issues[issue].open:
            self.change_issue(issue, open=False)
            self.closed.append(issue)

    # --- inside ------------------------------------------------------------------------------------

    def _status(self, pull: PullRequest) -> PullStatus:
        status = PullStatus(
            pull.number,
            pull.url,
            pull.branch,
            pull.head,
            pull.base,
            state=pull.state,
            merged_commit=pull.merged_commit,
        )
        changes: Mapping[str, object] = self.statuses.get(pull.url, {})
        return replace(status, **changes)  # type: ignore[arg-type]
