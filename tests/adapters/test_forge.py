"""The forge: one contract for the fake and the real ones, each with a bench of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from orch.adapters.forge.local import LocalForge
from orch.errors import PermanentError, TransientError
from orch.ports import Forge, PullDraft
from tests.adapters.hub import desk
from tests.adapters.repositories import Samples
from tests.fakes.forge import FakeForge
from tests.github.fake import fake_github

BRANCH = "orch/t-1-fix"
OTHER = "orch/t-2-docs"
DRAFT = PullDraft(BRANCH, "Fix the login", "It was broken.\n")


@dataclass
class Bench:
    """A forge, and what people and agents do beside it."""

    forge: Forge
    commit: Callable[[str, str, str], str]
    """Commits a file to a branch, which is made from the base: (branch, file, text). Gives the sha."""
    merge_by_hand: Callable[[int], object]
    """A person merges a pull request without orch."""
    conflict: Callable[[str], object]
    """Lets a branch conflict with the base."""


def fake(folder: Path, samples: Samples, stack: ExitStack) -> Bench:
    heads: dict[str, str] = {}

    def commit(branch: str, name: str, text: str) -> str:
        heads[branch] = (heads.get(branch, "") + name + text).encode().hex()[-40:].rjust(40, "0")
        return heads[branch]

    forge = FakeForge(head=lambda branch: heads.get(branch, ""), now=lambda: 5.0)
    return Bench(forge, commit, forge.merge_by_hand, forge.conflicts.add)


def local(folder: Path, samples: Samples, stack: ExitStack, *, origin: bool = True) -> Bench:
    sample = samples.make(folder, origin=origin)
    hands = folder / "hands"

    def commit(branch: str, name: str, text: str) -> str:
        there = sample.sha(f"refs/heads/{branch}")
        create = [branch] if there else ["-b", branch, str(hands), "main"]
        sample.git("worktree", "add", "--quiet", *([str(hands)] if there else []), *create)
        sha = sample.commit(name, text, where=hands)
        sample.git("worktree", "remove", str(hands))
        return sha

    def merge_by_hand(number: int) -> None:
        sample.git("merge", "--quiet", "--no-ff", "-m", "By hand", f"refs/pull/{number}/head")
        if origin:
            sample.git("push", "--quiet", "origin", "main")

    def conflict(branch: str) -> None:
        commit(branch, "README.md", "theirs")
        sample.commit("README.md", "ours")

    forge = LocalForge(sample.root, folder / "pulls", base="main", now=lambda: 5.0)
    return Bench(forge, commit, merge_by_hand, conflict)


def alone(folder: Path, samples: Samples, stack: ExitStack) -> Bench:
    return local(folder, samples, stack, origin=False)


def github(folder: Path, samples: Samples, stack: ExitStack) -> Bench:
    hub = stack.enter_context(fake_github(folder / "hub", now=lambda: 5.0))
    here = stack.enter_context(desk(hub, folder))

    def conflict(branch: str) -> None:
        here.commit(branch, "README.md", "theirs")
        hub.push("main", {"README.md": "ours"})

    return Bench(here.forge(), here.commit, hub.merge, conflict)


KINDS = {"fake": fake, "local": local, "local without origin": alone, "GitHub": github}


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def bench(request: pytest.FixtureRequest, tmp_path: Path, samples: Samples) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield request.param(tmp_path, samples, stack)


def test_nothing_is_found_before_anything_is_published(bench: Bench) -> None:
    assert bench.forge.find(BRANCH) is None
    assert list(bench.forge.pulls()) == []


def test_a_pull_request_is_opened(bench: Bench) -> None:
    head = bench.commit(BRANCH, "a.txt", "a")
    pull = bench.forge.publish(DRAFT)
    assert (pull.branch, pull.head, pull.state, pull.base) == (BRANCH, head, "open", "main")
    assert (pull.title, pull.body, pull.created_at) == ("Fix the login", "It was broken.\n", 5.0)
    assert pull.number >= 1
    assert len(pull.url.split()) == 1
    assert bench.forge.find(BRANCH) == pull
    assert bench.forge.find(OTHER) is None
    assert list(bench.forge.pulls()) == [pull]


def test_publishing_again_gives_the_same_one(bench: Bench) -> None:
    bench.commit(BRANCH, "a.txt", "a")
    pull = bench.forge.publish(DRAFT)
    assert bench.forge.publish(DRAFT) == pull
    assert list(bench.forge.pulls()) == [pull]


def test_publishing_again_brings_it_up_to_date(bench: Bench) -> None:
    bench.commit(BRANCH, "a.txt", "a")
    first = bench.forge.publish(DRAFT)
    head = bench.commit(BRANCH, "b.txt", "b")
    second = bench.forge.publish(PullDraft(BRANCH, "Fix it all", "More."))
    assert second.number == first.number
    assert (second.head, second.title, second.body) == (head, "Fix it all", "More.")
    assert list(bench.forge.pulls()) == [second]


def test_each_branch_has_its_own_oldest_first(bench: Bench) -> None:
    bench.commit(BRANCH, "a.txt", "a")
    bench.commit(OTHER, "b.txt", "b")
    first = bench.forge.publish(DRAFT)
    second = bench.forge.publish(PullDraft(OTHER, "Docs", ""))
    assert first.number < second.number
    assert list(bench.forge.pulls()) == [first, second]


def test_only_those_that_are_asked_for_are_told(bench: Bench) -> None:
    bench.commit(BRANCH, "a.txt", "a")
    bench.commit(OTHER, "b.txt", "b")
    first, second = bench.forge.publish(DRAFT), bench.forge.publish(PullDraft(OTHER, "Docs", ""))
    assert list(bench.forge.pulls([])) == []
    assert list(bench.forge.pulls([second.url, f"{second.url}0", "", "7"])) == [second]
    both = bench.forge.pulls([second.url, first.url])
    assert sorted(both, key=lambda pull: pull.number) == [first, second]


def test_a_branch_that_is_not_there_cannot_be_published(bench: Bench) -> None:
    with pytest.raises(PermanentError, match=BRANCH):
        bench.forge.publish(DRAFT)
    assert list(bench.forge.pulls()) == []


def test_merging(bench: Bench) -> None:
    bench.commit(BRANCH, "a.txt", "a")
    pull = bench.forge.publish(DRAFT)
    merged = bench.forge.merge(pull.number)
    assert merged.state == "merged"
    assert len(merged.merged_commit) == 40
    assert bench.forge.merge(pull.number) == merged
    assert bench.forge.find(BRANCH) == merged
    assert list(bench.forge.pulls()) == [merged]


def test_a_merge_by_hand_is_seen(bench: Bench) -> None:
    bench.commit(BRANCH, "a.txt", "a")
    pull = bench.forge.publish(DRAFT)
    bench.merge_by_hand(pull.number)
    (seen,) = bench.forge.pulls()
    assert seen.state == "merged"
    assert len(seen.merged_commit) == 40
    assert bench.forge.find(BRANCH) == seen
    assert bench.forge.publish(DRAFT) == seen
    assert bench.forge.merge(pull.number) == seen


def test_new_work_on_a_merged_branch_gets_a_new_one(bench: Bench) -> None:
    bench.commit(BRANCH, "a.txt", "a")
    first = bench.forge.publish(DRAFT)
    bench.forge.merge(first.number)
    bench.commit(BRANCH, "b.txt", "b")
    assert bench.forge.find(BRANCH) is None
    second = bench.forge.publish(DRAFT)
    assert second.number > first.number
    assert [pull.state for pull in bench.forge.pulls()] == ["merged", "open"]


def test_a_conflict_merges_nothing(bench: Bench) -> None:
    bench.commit(BRANCH, "a.txt", "a")
    bench.conflict(BRANCH)
    pull = bench.forge.publish(DRAFT)
    with pytest.raises(PermanentError, match=r"conflicts with main in README\.md"):
        bench.forge.merge(pull.number)
    assert [pull.state for pull in bench.forge.pulls()] == ["open"]


def test_an_unknown_number_cannot_be_merged(bench: Bench) -> None:
    with pytest.raises(PermanentError, match="9"):
        bench.forge.merge(9)


def test_all_is_well_for_the_doctor(bench: Bench) -> None:
    findings = bench.forge.check()
    assert findings
    assert [finding for finding in findings if not finding.ok] == []


def test_the_fake_fails_when_told() -> None:
    forge = FakeForge()
    forge.fail("publish", PermanentError("never"))
    forge.fail("find")
    with pytest.raises(PermanentError):
        forge.publish(DRAFT)
    with pytest.raises(TransientError):
        forge.find(BRANCH)
    pull = forge.publish(DRAFT)
    assert forge.opened == [1]
    assert forge.published == [DRAFT]
    forge.close(pull.number)
    assert forge.find(BRANCH) is None
    with pytest.raises(PermanentError):
        forge.merge(pull.number)
