"""Pull requests without a server: a numbered file and a `refs/pull/N/head` each, merged by git alone.

The order of every write lets a killed one be done again: the branch is pushed, then the ref is set, and the
file comes last. Whether a pull request is merged is read from the base branch, so that it counts too when
a person merged it with plain git.
"""

import contextlib
import os
import re
import threading
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from orch.adapters import git
from orch.adapters.forge.merging import Merging
from orch.adapters.forge.pushing import push
from orch.adapters.locks import FileLock
from orch.adapters.origin import Origin
from orch.adapters.store import atomic, records
from orch.core.model import PullRequest
from orch.errors import OrchError, PermanentError, TransientError
from orch.ports import Finding, PullDraft

_NUMBER = re.compile(r"[0-9]{1,18}")
"""One that fits into 64 bits: orch gives no others."""

_URL = re.compile(r"refs/pull/([1-9][0-9]{0,17})/head")
_LISTED = re.compile(rb"^([1-9][0-9]{0,17})/head$", re.MULTILINE)
"""A ref as `_find_unmerged` has git list it."""


class LocalForge:
    """The pull requests of one repository."""

    def __init__(
        self,
        repository: Path,
        directory: Path,
        *,
        base: str,
        now: Callable[[], float],
        own_files: Sequence[str] = ("tasks.md",),
    ) -> None:
        """Keep the records in `directory`. `base` is the branch that pull requests are merged into.

        `own_files` are files of the checkout, relative to it, that orch itself writes: changes in them do
        not keep `merge` from working there.
        """
        self._repository = repository
        self._directory = directory
        self._now = now
        # Nobody waits for the poll: it tries once, and the next one tries again.
        self._own_files = own_files
        self._origin = Origin(repository, base, retries=())
        self._bases = {base: self._origin}
        self._numbers = array("q")
        """Those of the records that are known, in order. There may be thousands, for months."""
        self._branches = array("q")
        """The hash of the branch of each of them."""
        self._learning = threading.Lock()
        self._lock = FileLock(directory / "pulls.flock")
        self._merge_lock = FileLock(directory / "merge.flock")

    def find(self, branch: str) -> PullRequest | None:
        """See `ports.Forge`. A merged one counts only while the branch has nothing newer."""
        pull = self._latest(branch)
        if pull is None or pull.state == "closed":
            return None
        return None if pull.state == "merged" and self._has_more(branch, pull) else pull

    def publish(self, draft: PullDraft) -> PullRequest:
        """See `ports.Forge`. Safe to repeat; of one branch there is never a second open one.

        Raises PermanentError where the branch is missing, has nothing that the base has not, or origin
        has other commits on it; TransientError where origin cannot be reached.
        """
        there = self._latest(draft.branch)
        if there is not None and there.state == "merged" and not self._has_more(draft.branch, there):
            return there
        head = self._sha(f"refs/heads/{draft.branch}")
        if not head:
            raise PermanentError(f"there is no branch {draft.branch} in {self._repository}")
        if git.is_ancestor(self._repository, head, self._origin.tip()):
            raise PermanentError(f"{draft.branch} has nothing that {self._origin.base} has not")
        self._push(draft.branch, head, there.head if there is not None else "")
        with self._lock.hold():
            self._take_in()
            there = self._latest(draft.branch)
            if there is not None and there.state == "open":
                return self._update(there, head, draft)
            return self._open(head, draft)

    def pulls(self, urls: Collection[str] | None = None) -> Iterator[PullRequest]:
        """See `ports.Forge`. Where origin cannot be reached, with the state that is known here."""
        unmerged: dict[str, Sequence[int]] = {}
        for number in self._take_in() if urls is None else _numbers(urls):
            pull = self._load(number)
            if pull is None:
                continue
            if pull.state == "open":
                if pull.base not in unmerged:
                    unmerged[pull.base] = self._find_unmerged(pull.base)
                if not _has(unmerged[pull.base], number):
                    pull = self._settle(pull)
            yield pull

    def merge(self, number: int) -> PullRequest:
        """See `ports.Forge`. Safe to repeat.

        Raises PermanentError on conflicts, for a number that does not exist or is closed, where the
        checkout of the base branch has changes, or where that branch and origin's have diverged;
        ConfigError where git is too old or does not know who the person is.
        """
        with self._merge_lock.hold() as lock:
            pull = self._load(number)
            if pull is None:
                raise PermanentError(f"there is no pull request {number}", hint="orch status lists them")
            # Into the branch that it was opened for, whatever the settings or the checkout say now.
            origin = self._base(pull.base)
            merging = Merging(self._repository, origin, own_files=self._own_files)
            git.check_version(self._repository)
            merging.check_identity()
            origin.fetch()
            pull = self._seen(pull)
            if pull.state == "closed":
                raise PermanentError(f"pull request {number} is closed")
            if pull.state == "merged":
                merging.catch_up(pull.merged_commit, hold=[lock])
            else:
                title = " ".join(pull.title.split())
                message = f"Merge pull request #{number}: {title}"
                commit = merging.merge(pull.head, message, hold=[lock])
                pull = replace(pull, state="merged", merged_commit=commit)
            return self._settle(pull)

    def check(self) -> Sequence[Finding]:
        """See `ports.Forge`."""
        findings = [self._check_origin(), self._check_base(), self._check_records()]
        try:
            Merging(self._repository, self._origin, own_files=()).check_identity()
        except OrchError as error:
            findings.append(Finding(ok=False, what=error.message, do=error.hint))
        return findings

    # --- records ----------------------------------------------------------------------------------

    def _path(self, number: int) -> Path:
        return self._directory / f"{number}.json"

    def _list(self) -> Iterator[int]:
        """Every number that was ever given, in no order."""
        try:
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    name, dot, kind = entry.name.partition(".")
                    if (dot, kind) == (".", "json") and _NUMBER.fullmatch(name):
                        yield int(name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise atomic.failure("read", self._directory, error) from error

    def _take_in(self) -> Sequence[int]:
        """Learn of records that are new; gives the numbers of all, in order.

        A record never changes its branch, so none is read twice for that.
        """
        with self._learning:
            for number in self._list():
                if _has(self._numbers, number):
                    continue
                pull = self._load(number)
                if pull is not None:
                    place = bisect_left(self._numbers, number)
                    self._numbers.insert(place, number)
                    self._branches.insert(place, hash(pull.branch))
            return self._numbers[:]

    def _load(self, number: int) -> PullRequest | None:
        """A record. A damaged one is told by `check`; its number is never given again."""
        with contextlib.suppress(records.DamagedError):
            return records.read(self._path(number), PullRequest)
        return None

    def _write(self, pull: PullRequest) -> PullRequest:
        atomic.write(self._path(pull.number), records.encode(pull), durable=True)
        return pull

    def _latest(self, branch: str) -> PullRequest | None:
        pull = self._recall(branch)
        if pull is None:
            self._take_in()
            pull = self._recall(branch)
        return self._seen(pull) if pull is not None else None

    def _recall(self, branch: str) -> PullRequest | None:
        """The latest record that is known of a branch."""
        wanted = hash(branch)
        with self._learning:
            known = zip(self._numbers, self._branches, strict=True)
            numbers = [number for number, each in known if each == wanted]
        found = (self._load(number) for number in reversed(numbers))
        return next((pull for pull in found if pull is not None and pull.branch == branch), None)

    def _find_unmerged(self, base: str) -> Sequence[int]:
        """The numbers of the pull requests that the base has not, in order, by one question about all."""
        # The next poll asks again, and a task that needs origin says that it cannot be reached.
        with contextlib.suppress(TransientError):
            self._base(base).fetch()
        tip = self._tip(base)
        form = ("--format=%(refname:lstrip=2)", *(("--no-merged", tip) if tip else ()), "refs/pull/")
        listed = git.run(self._repository, "for-each-ref", "--sort=version:refname", *form).data
        return array("q", (int(found[1]) for found in _LISTED.finditer(listed)))

    def _seen(self, pull: PullRequest) -> PullRequest:
        """The pull request with its present state."""
        if pull.state != "open":
            return pull
        origin = self._base(pull.base)
        tip = self._tip(pull.base)
        if not tip or not git.is_ancestor(self._repository, pull.head, tip):
            return pull
        merging = Merging(self._repository, origin, own_files=self._own_files)
        return replace(pull, state="merged", merged_commit=merging.merge_of(pull.head, tip))

    def _settle(self, pull: PullRequest) -> PullRequest:
        """As `_seen`, and a final state is written down, so that nobody has to ask git again."""
        seen = self._seen(pull)
        if seen.state == "merged":
            with self._lock.hold():
                there = self._load(pull.number)
                # It may have been published again since: then it is as open as it says.
                if there is not None and there.state == "open" and there.head == seen.head:
                    self._write(seen)
        return seen

    def _open(self, head: str, draft: PullDraft) -> PullRequest:
        number = max(self._list(), default=0) + 1
        # Killed before the file was there: the ref is ours. Another ref may come from a real forge.
        while self._sha(_ref(number)) not in {"", head}:
            number += 1
        git.run(self._repository, "update-ref", _ref(number), head)
        pull = PullRequest(
            number=number,
            url=_ref(number),
            branch=draft.branch,
            head=head,
            title=draft.title,
            body=draft.body,
            base=self._origin.base,
            created_at=self._now(),
        )
        if not atomic.create(self._path(number), records.encode(pull), durable=True):
            raise TransientError(f"{self._path(number)} appeared meanwhile")
        return pull

    def _update(self, pull: PullRequest, head: str, draft: PullDraft) -> PullRequest:
        git.run(self._repository, "update-ref", _ref(pull.number), head)
        updated = replace(pull, head=head, title=draft.title, body=draft.body)
        return pull if updated == pull else self._write(updated)

    def _base(self, name: str) -> Origin:
        """A base branch, here and at origin. Records without one mean the branch of the settings."""
        if not name:
            return self._origin
        return self._bases.setdefault(name, Origin(self._repository, name, retries=()))

    def _tip(self, base: str) -> str:
        """The sha of a base branch, '' where it is gone."""
        try:
            return self._base(base).tip()
        except PermanentError:
            return ""

    # --- git --------------------------------------------------------------------------------------

    def _sha(self, ref: str) -> str:
        return git.references(self._repository, ref).get(ref, "")

    def _has_more(self, branch: str, pull: PullRequest) -> bool:
        head = self._sha(f"refs/heads/{branch}")
        known = (pull.head, self._origin.tip())
        return bool(head) and not any(git.is_ancestor(self._repository, head, sha) for sha in known)

    def _push(self, branch: str, head: str, before: str) -> None:
        """Push the branch to origin, if there is one; over other commits only where we pushed them."""
        if not self._origin.exists():
            return
        push(self._repository, branch, head, before=before)

    # --- doctor -----------------------------------------------------------------------------------

    def _check_origin(self) -> Finding:
        if not self._origin.exists():
            return Finding(ok=True, what="local forge, no origin: branches stay in this repository")
        try:
            self._origin.fetch()
        except TransientError as error:
            return Finding(ok=False, what=error.message, do=error.hint)
        return Finding(ok=True, what="local forge, origin can be reached")

    def _check_base(self) -> Finding:
        try:
            tip = self._origin.tip()
        except PermanentError as error:
            return Finding(ok=False, what=error.message, do=error.hint)
        return Finding(ok=True, what=f"base branch {self._origin.base} is at {tip[:9]}")

    def _check_records(self) -> Finding:
        """Whether the records can be read and written."""
        try:
            for number in self._list():
                records.read(self._path(number), PullRequest)
            if self._directory.is_dir():
                with self._lock.hold():
                    pass
        except OrchError as error:
            return Finding(ok=False, what=error.message, do=error.hint or f"look at {self._directory}")
        return Finding(ok=True, what=f"pull requests are kept in {self._directory}")


def _numbers(urls: Collection[str]) -> Iterator[int]:
    """The numbers in these urls. Whatever is no url of this forge is left out."""
    return (int(found[1]) for found in map(_URL.fullmatch, urls) if found is not None)


def _has(ascending: Sequence[int], number: int) -> bool:
    place = bisect_left(ascending, number)
    return place < len(ascending) and ascending[place] == number


def _ref(number: int) -> str:
    return f"refs/pull/{number}/head"
