"""Ready worktrees: a launch costs milliseconds, and whatever is killed when, nothing is left or lost."""

import os
import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from orch.adapters.locks import FileLock
from orch.adapters.worktrees import repair
from orch.errors import PermanentError, TransientError
from tests.adapters.crash import killed_at
from tests.adapters.places import BRANCH, HEAD, NEXT, RUN, Place
from tests.adapters.repositories import Samples
from tests.adapters.test_worktree_crash import GIT, GIT_STRIDE, STRIDE


def make_place(folder: Path, samples: Samples, *, warm: int = 2, origin: bool = True) -> Place:
    """A place whose pool is full."""
    for attempt in ("1", "2"):
        (folder / "runs" / "t-1" / attempt).mkdir(parents=True)
    place = Place(samples.make(folder, origin=origin), folder / "trees", folder / "runs", warm=warm)
    fill(place)
    return place


@pytest.fixture
def place(tmp_path: Path, samples: Samples) -> Place:
    return make_place(tmp_path, samples)


def fill(place: Place) -> None:
    while place.worktrees.warm():
        pass


def ready(place: Place) -> list[str]:
    folder = place.trees / ".warm"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def check_pool(place: Place, when: str = "") -> None:
    """It is full, and what git knows is what is there."""
    fill(place)
    assert len(ready(place)) == place.warm, when
    listing = place.sample.git("worktree", "list", "--porcelain")
    assert "prunable" not in listing, when
    assert listing.count("worktree ") == 1 + place.warm + place.tree.exists(), when
    assert not (place.trees / ".orphans").exists(), when
    for name in ready(place):
        tree = place.trees / ".warm" / name
        assert place.sample.git("status", "--porcelain", where=tree) == "", when
        assert place.sample.git("rev-parse", "--show-toplevel", where=tree) == str(tree), when


def test_the_pool_is_filled_one_by_one(tmp_path: Path, samples: Samples) -> None:
    place = make_place(tmp_path, samples, warm=0)
    assert ready(place) == []
    place.warm = 2
    assert place.worktrees.warm()
    assert ready(place) == ["1"]
    assert not place.worktrees.warm()
    assert not place.worktrees.warm()
    check_pool(place)
    assert place.worktrees.list() == {}


def test_a_ready_worktree_becomes_that_of_a_task(place: Place) -> None:
    made = place.worktrees.ensure(RUN, BRANCH)
    assert ready(place) == ["2"]
    assert made.base == place.sample.sha("main") == place.git("rev-parse", "HEAD")
    place.check()
    assert place.worktrees.list() == {"t-1": place.tree}
    place.worktrees.remove("t-1")
    assert not place.tree.exists()
    check_pool(place)


def test_it_is_brought_to_what_was_pushed_since(place: Place) -> None:
    other = place.trees.parent / "other"
    place.sample.git("clone", "--quiet", str(place.sample.origin), str(other), where=place.trees.parent)
    place.sample.commit("new.txt", "new", where=other)
    place.sample.git("rm", "--quiet", "one.txt", where=other, fails=True)
    place.sample.git("push", "--quiet", "origin", "HEAD:main", where=other)
    made = place.worktrees.ensure(RUN, BRANCH)
    assert ready(place) == ["2"]
    assert made.base == place.sample.git("rev-parse", "HEAD", where=other)
    assert (place.tree / "new.txt").read_text() == "new"
    place.check()


def test_a_branch_that_is_there_goes_on(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    sha = place.commit("work.txt")
    place.worktrees.remove("t-1")
    place.worktrees.ensure(NEXT, BRANCH)
    assert ready(place) == []
    assert place.git("rev-parse", "HEAD") == sha
    assert (place.tree / "work.txt").exists()
    place.check()


def test_fresh_starts_at_the_base_again(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    sha = place.commit("work.txt")
    made = place.worktrees.ensure(NEXT, BRANCH, fresh=True)
    assert ready(place) == []
    assert place.git("rev-parse", "HEAD") == made.base
    assert not (place.tree / "work.txt").exists()
    assert sha in place.sample.git("rev-list", "--glob=refs/orch/saved")


def test_a_branch_that_is_checked_out_elsewhere_is_told_as_ever(place: Place) -> None:
    place.sample.git("checkout", "--quiet", "-b", BRANCH)
    with pytest.raises(PermanentError, match=f"the branch {BRANCH} is checked out at"):
        place.worktrees.ensure(RUN, BRANCH)
    assert ready(place) == ["1", "2"]


def test_one_that_another_process_takes_is_left_alone(place: Place) -> None:
    locks = [
        FileLock(place.sample.root / ".git" / "orch" / f"warm-{name}.flock", wait=0) for name in ready(place)
    ]
    with locks[0].hold(), locks[1].hold():
        place.worktrees.ensure(RUN, BRANCH)
        place.warm = 0
        assert place.worktrees.tidy() == []
        assert ready(place) == ["1", "2"]
    place.check()


def test_what_somebody_wrote_there_is_not_destroyed(place: Place) -> None:
    (place.trees / ".warm" / "1" / "note.txt").write_text("mine")
    place.warm = 0
    assert len(place.worktrees.tidy()) == 2
    assert [path.read_text() for path in place.trees.rglob("note.txt")] == ["mine"]
    assert "changed by somebody" in place.warnings[0]


def test_a_file_that_is_in_the_way_is_no_obstacle(place: Place) -> None:
    for name in ready(place):
        (place.trees / ".warm" / name / "new.txt").write_text("mine")
    place.sample.commit("new.txt", "new")
    place.sample.git("push", "--quiet", "origin", "HEAD:main")
    place.worktrees.ensure(RUN, BRANCH)
    assert (place.tree / "new.txt").read_text() == "new"
    place.check()
    assert sorted(path.read_text() for path in place.trees.rglob("new.txt")) == ["mine", "mine", "new"]


def test_too_many_and_half_made_ones_are_taken_away(place: Place) -> None:
    shutil.rmtree(place.trees / ".warm" / "1")
    (place.trees / ".warm" / "7" / "deep").mkdir(parents=True)
    place.warm = 1
    found = place.worktrees.tidy(dry_run=True)
    assert [path.name for path in found] == ["1", "7"]
    assert ready(place) == ["2", "7"]
    assert place.worktrees.tidy() == found
    assert ready(place) == ["2"]
    check_pool(place)
    place.warm = 0
    assert [path.name for path in place.worktrees.tidy()] == ["2"]
    assert not (place.trees / ".warm").exists()


def test_what_a_killed_git_left_of_one_is_taken_away_at_the_start(place: Place) -> None:
    (place.sample.root / ".git" / "worktrees" / "1" / "locked").write_text("initializing\n")
    repair(place.sample.root, place.trees)
    assert place.sample.git("worktree", "list", "--porcelain").count("worktree ") == 2
    check_pool(place)


def test_a_pool_that_is_a_link_is_refused(place: Place, tmp_path: Path) -> None:
    place.warm = 0
    place.worktrees.tidy()
    outside = tmp_path / "outside" / "1"
    outside.mkdir(parents=True)
    (place.trees / ".warm").symlink_to(outside.parent)
    place.warm = 1
    with pytest.raises(PermanentError, match="symbolic link"):
        place.worktrees.warm()
    assert place.worktrees.tidy() == []
    assert list(outside.parent.iterdir()) == [outside]
    place.worktrees.ensure(RUN, BRANCH)
    place.check()


def test_setup_and_copies_come_when_it_is_used(place: Place) -> None:
    (place.sample.root / ".env").write_text("secret")
    place.hooks = type(place.hooks)(
        setup='echo "$ORCH_TASK_ID" > setup.txt', copy=(".env",), env=dict(os.environ)
    )
    check_pool(place)
    assert not any((place.trees / ".warm").rglob(".env"))
    place.worktrees.ensure(RUN, BRANCH)
    assert (place.tree / "setup.txt").read_text() == "t-1\n"
    assert (place.tree / ".env").read_text() == "secret"


@pytest.mark.parametrize("name", ["fill", "use", "tidy"])
def test_killed_at_any_step(tmp_path: Path, samples: Samples, name: str) -> None:
    step = random.randrange(STRIDE)  # noqa: S311 - no secret
    while True:
        place = make_place(tmp_path / str(step), samples, warm=0 if name == "fill" else 2, origin=False)
        place.warm = {"fill": 1, "use": 2, "tidy": 0}[name]

        def act(place: Place = place) -> None:
            match name:
                case "fill":
                    place.worktrees.warm()
                case "use":
                    place.worktrees.ensure(RUN, BRANCH)
                case _:
                    place.worktrees.tidy()

        killed = killed_at(step, act)
        act()
        check_use(place, f"step {step}")
        if not killed:
            break
        step += STRIDE
    assert step >= STRIDE


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("name", ["fill", "use"])
def test_any_git_command_may_be_killed(
    tmp_path: Path, samples: Samples, monkeypatch: pytest.MonkeyPatch, name: str, done: bool
) -> None:
    counter, program = tmp_path / "left", tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(GIT.format(counter=counter, done=done, git=shutil.which("git")))
    program.chmod(0o755)
    number, killed = random.randrange(GIT_STRIDE), True  # noqa: S311 - no secret
    while killed:
        place = make_place(tmp_path / str(number), samples, warm=0 if name == "fill" else 2)
        place.warm = 2
        act = (
            place.worktrees.warm
            if name == "fill"
            else lambda place=place: place.worktrees.ensure(RUN, BRANCH)
        )
        counter.write_text(str(number))
        with monkeypatch.context() as patch, suppress(TransientError):
            patch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
            act()
        killed = int(counter.read_text()) < 0
        act()
        check_use(place, f"git {number}")
        number += GIT_STRIDE
    assert number >= GIT_STRIDE


def check_use(place: Place, when: str) -> None:
    """A task gets its worktree, the pool is filled again, and all of it can be taken away."""
    place.worktrees.ensure(NEXT, BRANCH)
    assert place.git("symbolic-ref", "HEAD") == HEAD, when
    assert place.git("status", "--porcelain") == "", when
    check_pool(place, when)
    place.worktrees.remove("t-1")
    place.warm = 0
    place.worktrees.tidy()
    assert not (place.trees / ".warm").exists(), when
    assert not (place.trees / ".removed").exists(), when
    assert place.sample.git("worktree", "list", "--porcelain").count("worktree ") == 1, when
