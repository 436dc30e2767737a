"""What only the local forge can suffer: origins, checkouts, kills."""

import dataclasses
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orch.adapters.forge.local import LocalForge
from orch.adapters.store import records
from orch.core.model import PullRequest
from orch.errors import ConfigError, PermanentError, TransientError
from orch.ports import PullDraft
from tests.adapters.crash import killed_at
from tests.adapters.repositories import Sample, Samples, at_once

BRANCH = "orch/t-1-fix"
REF = f"refs/heads/{BRANCH}"
STRIDE = 4
"""Of so many moments to be killed at, one is tried, another one each time."""
DRAFT = PullDraft(BRANCH, "Fix\nthe login", "It was broken.")


@dataclasses.dataclass
class Place:
    sample: Sample
    directory: Path

    @property
    def forge(self) -> LocalForge:
        """As after a restart: nothing is remembered."""
        return LocalForge(self.sample.root, self.directory, base="main", now=lambda: 5.0)

    def commit(self, name: str, text: str, *, branch: str = BRANCH, start: str = "") -> str:
        """Commit to a branch, or with `start` make it (again) there."""
        hands = self.directory.with_name("hands")
        there = self.sample.sha(f"refs/heads/{branch}") and not start
        create = [str(hands), branch] if there else ["-B", branch, str(hands), start or "main"]
        self.sample.git("worktree", "add", "--quiet", *create)
        sha = self.sample.commit(name, text, where=hands)
        self.sample.git("worktree", "remove", str(hands))
        return sha

    def there(self, name: str) -> str:
        """A revision at origin."""
        return self.sample.sha(name, where=self.sample.origin)


@pytest.fixture
def place(tmp_path: Path, samples: Samples) -> Place:
    return Place(samples.make(tmp_path), tmp_path / "project" / ".git" / "pulls")


@pytest.fixture
def elsewhere(place: Place) -> Place:
    """The person works on another branch: the base is checked out nowhere."""
    place.sample.git("checkout", "--quiet", "-b", "mine")
    return place


# --- publishing ------------------------------------------------------------------------------------------


def test_the_branch_and_its_ref_are_published(place: Place) -> None:
    head = place.commit("a.txt", "a")
    pull = place.forge.publish(DRAFT)
    assert place.there(REF) == head
    assert place.sample.sha("refs/pull/1/head") == head
    assert pull.url == "refs/pull/1/head"
    assert place.forge.find(BRANCH) == pull, "it is on the disk"


def test_a_branch_without_work_is_not_published(place: Place) -> None:
    place.sample.git("branch", BRANCH)
    with pytest.raises(PermanentError, match="nothing that main has not"):
        place.forge.publish(DRAFT)
    assert place.there(REF) == ""


def test_work_that_began_again_replaces_what_was_pushed(place: Place) -> None:
    place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    head = place.commit("b.txt", "b", start="main")
    assert place.forge.publish(DRAFT).number == 1
    assert place.there(REF) == head
    assert place.sample.sha("refs/pull/1/head") == head


@pytest.mark.parametrize("again", [True, False], ids=["begun again", "gone on"])
def test_what_somebody_else_pushed_is_never_replaced(place: Place, again: bool) -> None:
    place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    theirs = place.commit("theirs.txt", "x", branch="theirs", start=BRANCH)
    place.sample.git("push", "--quiet", "origin", f"theirs:{REF}")
    place.commit("b.txt", "b", start="main" if again else "")
    with pytest.raises(PermanentError, match="origin has other commits"):
        place.forge.publish(DRAFT)
    assert place.there(REF) == theirs


def test_a_push_that_cannot_be_is_transient_and_opens_nothing(place: Place) -> None:
    place.commit("a.txt", "a")
    place.sample.origin.rename(place.sample.origin.with_name("away"))
    with pytest.raises(TransientError):
        place.forge.publish(DRAFT)
    assert list(place.forge.pulls()) == []


def test_a_push_that_a_hook_refuses_is_permanent(place: Place) -> None:
    place.commit("a.txt", "a")
    hook = place.sample.origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(PermanentError, match="hook declined"):
        place.forge.publish(DRAFT)


def test_twenty_branches_at_once_get_twenty_numbers(place: Place) -> None:
    drafts = [PullDraft(f"orch/t-{number}", "x", "") for number in range(20)]
    place.commit("a.txt", "a")
    for draft in drafts:
        place.sample.git("branch", draft.branch, BRANCH)
    results = at_once(*[lambda draft=draft: place.forge.publish(draft) for draft in drafts])
    pulls = [pull for pull in results if isinstance(pull, PullRequest)]
    assert len(pulls) == 20, results
    assert {pull.number for pull in pulls} == set(range(1, 21))


def test_the_same_branch_at_once_is_opened_once(place: Place) -> None:
    place.commit("a.txt", "a")
    results = at_once(*[lambda: place.forge.publish(DRAFT) for _ in range(6)])
    pulls = [pull for pull in results if isinstance(pull, PullRequest)]
    assert {pull.number for pull in pulls} == {1}
    assert len(list(place.forge.pulls())) == 1


def test_a_number_that_a_real_forge_uses_is_left_alone(place: Place) -> None:
    place.sample.git("update-ref", "refs/pull/1/head", "main")
    place.commit("a.txt", "a")
    assert place.forge.publish(DRAFT).number == 2
    assert place.sample.sha("refs/pull/1/head") == place.sample.sha("main")


def test_killed_anywhere_there_is_one_pull_request(tmp_path: Path, samples: Samples) -> None:
    step = random.randrange(STRIDE)  # noqa: S311 - no secret
    while True:
        folder = tmp_path / str(step)
        folder.mkdir()
        place = Place(samples.make(folder), folder / "pulls")
        head = place.commit("a.txt", "a")
        killed = killed_at(step, lambda place=place: place.forge.publish(DRAFT))  # type: ignore[misc]
        pull = place.forge.publish(DRAFT)
        assert (pull.number, pull.head) == (1, head)
        assert list(place.forge.pulls()) == [pull]
        assert place.there(REF) == head
        if not killed:
            break
        step += STRIDE
    assert step >= STRIDE


# --- states ----------------------------------------------------------------------------------------------


def test_a_pull_request_is_merged_into_the_branch_it_was_opened_for(place: Place) -> None:
    place.commit("fix.txt", "fixed")
    pull = place.forge.publish(DRAFT)
    assert pull.base == "main"
    place.sample.git("checkout", "--quiet", "-b", "feature")
    before = place.sample.sha("refs/heads/feature")
    later = LocalForge(place.sample.root, place.directory, base="feature", now=lambda: 5.0)
    assert [each.state for each in later.pulls()] == ["open"]
    merged = later.merge(pull.number)
    assert place.sample.sha("refs/heads/main") == place.there("refs/heads/main") == merged.merged_commit
    assert place.sample.sha("refs/heads/feature") == before
    assert place.there("refs/heads/feature") == ""


def test_a_pull_request_whose_base_is_gone_stays_open(place: Place) -> None:
    place.commit("fix.txt", "fixed")
    place.forge.publish(DRAFT)
    place.sample.git("checkout", "--quiet", "-b", "trunk")
    place.sample.git("branch", "--quiet", "-D", "main")
    place.sample.git("update-ref", "-d", "refs/remotes/origin/main")
    place.sample.git("remote", "remove", "origin")
    later = LocalForge(place.sample.root, place.directory, base="trunk", now=lambda: 5.0)
    assert [each.state for each in later.pulls()] == ["open"]
    with pytest.raises(PermanentError, match="'main' does not exist"):
        later.merge(1)


def test_a_fast_forward_by_hand_is_a_merge(place: Place) -> None:
    head = place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    place.sample.git("merge", "--quiet", "--ff-only", BRANCH)
    place.sample.git("push", "--quiet", "origin", "main")
    place.sample.push_elsewhere("later.txt", "x")
    (pull,) = place.forge.pulls()
    assert (pull.state, pull.merged_commit) == ("merged", head)


def test_a_merge_by_somebody_else_is_seen_with_its_commit(place: Place) -> None:
    place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    place.sample.push_elsewhere("before.txt", "x")
    clone = place.directory.with_name("clone")
    place.sample.git("clone", "--quiet", str(place.sample.origin), str(clone))
    place.sample.git("merge", "--quiet", "--no-ff", "-m", "theirs", f"origin/{BRANCH}", where=clone)
    place.sample.git("push", "--quiet", "origin", "HEAD:main", where=clone)
    place.sample.push_elsewhere("later.txt", "x")
    (pull,) = place.forge.pulls()
    assert pull.merged_commit == place.sample.sha("HEAD", where=clone)
    shutil.rmtree(place.sample.origin)
    assert list(place.forge.pulls()) == [pull], "it is written down"


def test_a_merge_that_was_not_pushed_does_not_count(place: Place) -> None:
    """Worktrees start at origin's base: a dependent would not find the work there."""
    place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    place.sample.git("merge", "--quiet", BRANCH)
    assert [pull.state for pull in place.forge.pulls()] == ["open"]


def test_pulls_are_told_while_origin_cannot_be_reached(place: Place) -> None:
    place.commit("a.txt", "a")
    pull = place.forge.publish(DRAFT)
    shutil.rmtree(place.sample.origin)
    assert list(place.forge.pulls()) == [pull]


def test_a_closed_one_is_history(place: Place) -> None:
    place.commit("a.txt", "a")
    pull = place.forge.publish(DRAFT)
    closed = dataclasses.replace(pull, state="closed")
    (place.directory / "1.json").write_bytes(records.encode(closed))
    assert place.forge.find(BRANCH) is None
    with pytest.raises(PermanentError, match="closed"):
        place.forge.merge(1)
    assert place.forge.publish(DRAFT).number == 2
    assert next(iter(place.forge.pulls())) == closed


def test_a_merged_one_counts_when_its_branch_is_gone(place: Place) -> None:
    place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    place.forge.merge(1)
    place.sample.git("update-ref", "-d", REF)
    found = place.forge.find(BRANCH)
    assert found is not None
    assert found.state == "merged"


def test_a_damaged_record_is_told_and_its_number_is_not_given_again(place: Place) -> None:
    place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    (place.directory / "1.json").write_text("{")
    (place.directory / "notes.json").write_text("{")
    assert list(place.forge.pulls()) == []
    assert place.forge.publish(DRAFT).number == 2
    (finding,) = [finding for finding in place.forge.check() if not finding.ok]
    assert "1.json is damaged" in finding.what


# --- merging ---------------------------------------------------------------------------------------------


def test_merging_where_the_base_is_checked_out(place: Place) -> None:
    head = place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    merged = place.forge.merge(1).merged_commit
    assert place.sample.sha("main") == merged == place.there("main")
    assert place.sample.git("log", "-1", "--format=%P|%s|%an", merged).split("|") == [
        f"{place.sample.sha('main~1')} {head}",
        "Merge pull request #1: Fix the login",
        "Ada",
    ]
    assert (place.sample.root / "a.txt").read_text() == "a"
    assert place.sample.git("status", "--porcelain") == ""


def test_merging_where_the_base_is_checked_out_nowhere(elsewhere: Place) -> None:
    elsewhere.commit("a.txt", "a", start="main")
    elsewhere.forge.publish(DRAFT)
    merged = elsewhere.forge.merge(1).merged_commit
    assert elsewhere.sample.sha("main") == merged == elsewhere.there("main")
    assert not (elsewhere.sample.root / "a.txt").exists()
    assert elsewhere.sample.git("status", "--porcelain") == ""


def test_merging_without_a_local_base(elsewhere: Place) -> None:
    elsewhere.commit("a.txt", "a", start="main")
    elsewhere.forge.publish(DRAFT)
    elsewhere.sample.git("update-ref", "-d", "refs/heads/main")
    assert elsewhere.forge.merge(1).merged_commit == elsewhere.there("main")
    assert elsewhere.sample.sha("refs/heads/main") == ""


def test_merging_onto_what_others_pushed(place: Place) -> None:
    place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    theirs = place.sample.push_elsewhere("theirs.txt", "x")
    merged = place.forge.merge(1).merged_commit
    assert place.sample.sha(f"{merged}^") == theirs
    assert place.sample.sha("main") == merged == place.there("main")
    assert (place.sample.root / "theirs.txt").exists()


def test_merging_onto_what_is_only_here(place: Place) -> None:
    place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    ours = place.sample.commit("ours.txt", "x")
    merged = place.forge.merge(1).merged_commit
    assert place.sample.sha(f"{merged}^") == ours
    assert place.there("main") == merged


def test_bases_that_have_diverged_are_told(place: Place) -> None:
    place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    place.sample.commit("ours.txt", "x")
    theirs = place.sample.push_elsewhere("theirs.txt", "x")
    with pytest.raises(PermanentError, match="diverged"):
        place.forge.merge(1)
    assert place.there("main") == theirs


def test_somebody_pushes_in_the_very_moment(place: Place) -> None:
    """The hook of the person's repository plays the other one: it pushes before our push does."""
    place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    clone = place.directory.with_name("clone")
    place.sample.git("clone", "--quiet", str(place.sample.origin), str(clone))
    theirs = place.sample.commit("theirs.txt", "x", where=clone)
    hook = place.sample.root / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nunset GIT_DIR\nrm \"$0\"\ngit -C '{clone}' push -q origin HEAD:main\n")
    hook.chmod(0o755)
    merged = place.forge.merge(1).merged_commit
    assert place.sample.sha(f"{merged}^") == theirs
    assert place.there("main") == merged
    assert not hook.exists()


def test_an_origin_that_refuses_leaves_everything_as_it_was(place: Place) -> None:
    place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    before = place.sample.sha("main")
    hook = place.sample.origin / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(PermanentError, match="hook declined"):
        place.forge.merge(1)
    assert place.sample.sha("main") == before == place.there("main")
    assert [pull.state for pull in place.forge.pulls()] == ["open"]


@pytest.mark.parametrize("staged", [True, False])
def test_a_checkout_with_changes_is_not_touched(place: Place, staged: bool) -> None:
    place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    before = place.there("main")
    (place.sample.root / "README.md").write_text("changed")
    if staged:
        place.sample.git("add", "README.md")
    with pytest.raises(PermanentError, match=r"with changes in README\.md") as caught:
        place.forge.merge(1)
    assert "stash" in caught.value.hint
    assert place.there("main") == before == place.sample.sha("main")
    assert (place.sample.root / "README.md").read_text() == "changed"
    place.sample.git("checkout", "--quiet", "HEAD", "README.md")
    assert place.forge.merge(1).state == "merged"


def test_a_file_in_the_way_is_not_overwritten(place: Place) -> None:
    place.commit("a.log", "a")
    place.forge.publish(DRAFT)
    before = place.there("main")
    (place.sample.root / "a.log").write_text("mine, and ignored")
    with pytest.raises(PermanentError, match=r"a\.log"):
        place.forge.merge(1)
    assert place.there("main") == before
    assert (place.sample.root / "a.log").read_text() == "mine, and ignored"


def test_changes_in_orchs_own_file_do_not_keep_a_merge(place: Place) -> None:
    place.sample.commit("tasks.md", "# Tasks\n")
    place.sample.git("push", "--quiet", "origin", "main")
    place.commit("a.txt", "a", start="main")
    place.forge.publish(DRAFT)
    (place.sample.root / "tasks.md").write_text("# Tasks\n[] more\n")
    place.forge.merge(1)
    assert (place.sample.root / "tasks.md").read_text() == "# Tasks\n[] more\n"
    assert (place.sample.root / "a.txt").exists()
    place.commit("tasks.md", "theirs", start="main")
    place.forge.publish(DRAFT)
    with pytest.raises(PermanentError, match=r"tasks\.md"):
        place.forge.merge(2)


def test_a_merge_under_way_in_the_checkout_is_told(place: Place) -> None:
    place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    place.sample.git("checkout", "--quiet", "-b", "side", "main~1")
    place.sample.commit("side.txt", "x")
    place.sample.git("checkout", "--quiet", "main")
    place.sample.git("merge", "--quiet", "--no-ff", "--no-commit", "-s", "ours", "side")
    with pytest.raises(PermanentError, match="merge is under way"):
        place.forge.merge(1)


def test_many_conflicts_are_named_in_part(elsewhere: Place) -> None:
    for number in range(8):
        elsewhere.commit(f"{number}.txt", "theirs", start="" if number else "main")
    elsewhere.forge.publish(DRAFT)
    elsewhere.sample.git("checkout", "--quiet", "main")
    for number in range(8):
        elsewhere.sample.commit(f"{number}.txt", "ours")
    before = elsewhere.sample.sha("main")
    with pytest.raises(PermanentError, match=r"in 0\.txt, 1\.txt, 2\.txt, 3\.txt, 4\.txt and 3 more"):
        elsewhere.forge.merge(1)
    assert elsewhere.sample.sha("main") == before
    assert elsewhere.sample.git("status", "--porcelain") == ""


def test_without_an_identity_nothing_is_done(place: Place) -> None:
    place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    config = place.sample.root / ".git" / "config"
    config.write_text(config.read_text().replace("name = Ada", "useConfigOnly = true").replace("email", "#"))
    before = place.there("main")
    with pytest.raises(ConfigError, match="does not know who you are") as caught:
        place.forge.merge(1)
    assert "user.email" in caught.value.hint
    assert place.there("main") == before
    (wrong,) = [finding for finding in place.forge.check() if not finding.ok]
    assert "who you are" in wrong.what


MERGE = """
import os, sys
from pathlib import Path
from orch.adapters.forge.local import LocalForge
root, directory = map(Path, sys.argv[1:])
LocalForge(root, directory, base="main", now=lambda: 5.0).merge(1)
"""


@pytest.mark.parametrize("checked_out", [True, False])
def test_killed_after_the_push_it_goes_on(place: Place, tmp_path: Path, checked_out: bool) -> None:
    """A hook ends orch once origin has the merge: the local base has not moved yet."""
    place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    if not checked_out:
        place.sample.git("checkout", "--quiet", "-b", "mine")
    hook = place.sample.origin / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    told = tmp_path / "pid"
    hook.write_text(f"#!/bin/sh\nkill -9 $(cat {told})\n")
    hook.chmod(0o755)
    arguments = [str(place.sample.root), str(place.directory)]
    code = f"import os; open({str(told)!r}, 'w').write(str(os.getpid()))\n" + MERGE
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=Path(__file__).parents[2], check=False
    )
    assert done.returncode == -9
    hook.unlink()
    before = place.sample.sha("main")
    assert place.there("main") != before
    merged = place.forge.merge(1)
    assert merged.state == "merged"
    assert place.sample.sha("main") == merged.merged_commit == place.there("main")
    assert (place.sample.root / "a.txt").exists() == checked_out
    assert place.sample.git("status", "--porcelain") == ""


def test_merging_what_is_merged_does_not_need_the_local_base_to_move(place: Place) -> None:
    place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    place.forge.merge(1)
    (place.sample.root / "README.md").write_text("changed since")
    assert place.forge.merge(1).state == "merged"


# --- many ------------------------------------------------------------------------------------------------

OPENED: list[str] = []
"""The records that were opened. A hook like this stays for good, so it keeps the names of these only."""


def watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and str(arguments[0]).endswith(".json") and "/pulls/" in str(arguments[0]):
        OPENED.append(Path(str(arguments[0])).name)


def test_of_many_records_only_the_one_that_is_meant_is_read(place: Place) -> None:
    sys.addaudithook(watch)
    forge = place.forge
    drafts = [PullDraft(f"orch/t-{number}-x", "X", "") for number in (1, 2, 3)]
    for draft in drafts:
        place.commit(f"{draft.branch[5:]}.txt", "x", branch=draft.branch)
        forge.publish(draft)
    first, second, _ = forge.pulls()
    forge.publish(drafts[0])
    OPENED.clear()
    assert forge.find("orch/t-2-x") == second
    assert set(OPENED) == {"2.json"}
    OPENED.clear()
    assert forge.publish(drafts[0]) == first
    assert set(OPENED) == {"1.json"}
    place.forge.merge(2)
    assert [pull.state for pull in forge.pulls()] == ["open", "merged", "open"]
    OPENED.clear()
    assert [pull.number for pull in forge.pulls([first.url])] == [1]
    assert set(OPENED) == {"1.json"}, "years of merged ones cost nothing"
    (place.directory / "3.json").unlink()
    assert forge.find("orch/t-3-x") is None


def test_a_folder_that_cannot_be_read_is_not_taken_for_an_empty_one(place: Place) -> None:
    place.directory.parent.joinpath("pulls").write_text("in the way")
    with pytest.raises(TransientError, match=r"cannot read .*pulls: Not a directory"):
        place.forge.find(BRANCH)


# --- doctor ----------------------------------------------------------------------------------------------


def test_what_is_wrong_is_told(place: Place) -> None:
    shutil.rmtree(place.sample.origin)
    place.directory.parent.joinpath("pulls").write_text("in the way")
    forge = LocalForge(place.sample.root, place.directory, base="trunk", now=lambda: 5.0)
    wrong = [finding for finding in forge.check() if not finding.ok]
    assert [finding.do != "" for finding in wrong] == [True] * len(wrong)
    text = " ".join(finding.what for finding in wrong)
    assert "cannot fetch from origin" in text
    assert "'trunk' does not exist" in text
    assert "pulls" in text


def test_a_git_that_is_too_old_is_told(place: Place, tmp_path: Path) -> None:
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    real = shutil.which("git")
    fake.write_text(f'#!/bin/sh\ncase "$*" in *" version") echo git version 2.34.1;; *) {real} "$@";; esac\n')
    fake.chmod(0o755)
    place.commit("a.txt", "a")
    place.forge.publish(DRAFT)
    # The finding about git itself is doctor's: a person is told once.
    told = "LocalForge(root, directory, base='main', now=lambda: 5.0).check()"
    code = MERGE.replace(
        "LocalForge(",
        "os.environ['PATH'] = "
        + repr(f"{fake.parent}:")
        + f" + os.environ['PATH']\nprint({told})\nLocalForge(",
        1,
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(place.sample.root), str(place.directory)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert "git version 2.34.1 is too old (install git 2.38 or newer)" in done.stderr
    assert "local forge" in done.stdout
    assert "2.34.1" not in done.stdout
