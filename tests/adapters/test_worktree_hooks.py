"""What a worktree gets besides the checkout: setup, teardown, copies and links."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from orch.adapters.executors import guard
from orch.adapters.worktrees import Hooks, hooks, provisions
from orch.errors import PermanentError, TransientError
from tests.adapters.places import BRANCH, NEXT, RUN, Place
from tests.adapters.repositories import at_once, wait_for

ENV = {"PATH": os.environ["PATH"]}


def test_setup_runs_once_with_the_names_of_the_run(place: Place) -> None:
    command = 'echo "$ORCH_TASK_ID $ORCH_ATTEMPT $ORCH_BRANCH $PWD" >> build.log; env; ls'
    place.hooks = Hooks(setup=command, env={**ENV, "COLOUR": "blue"})
    place.worktrees.ensure(RUN, BRANCH)
    place.worktrees.ensure(RUN, BRANCH)
    place.worktrees.ensure(NEXT, BRANCH)
    assert (place.tree / "build.log").read_text() == f"t-1 1 {BRANCH} {place.tree}\n"
    log = (place.runs / "t-1" / "1" / "setup.log").read_text()
    assert "COLOUR=blue" in log
    assert "README.md" in log
    assert "GIT_CONFIG_GLOBAL" not in log, "only the environment that was given"


def test_a_setup_that_fails_is_told_and_done_again(place: Place) -> None:
    place.hooks = Hooks(setup="echo one; echo 'no  network' >&2; exit 3", env=ENV)
    with pytest.raises(PermanentError, match="exit code 3: no network") as caught:
        place.worktrees.ensure(RUN, BRANCH)
    assert caught.value.hint == f"see {place.runs / 't-1' / '1' / 'setup.log'}"
    place.hooks = Hooks(setup="touch done.log", env=ENV)
    place.worktrees.ensure(RUN, BRANCH)
    assert (place.tree / "done.log").exists()
    place.check()


def test_a_setup_that_takes_too_long_is_ended_with_all_it_started(place: Place, tmp_path: Path) -> None:
    command = f"sleep 100 & echo $! > {tmp_path / 'pid'}; trap '' TERM; while :; do sleep 100; done"
    place.hooks = Hooks(setup=command, env=ENV, setup_seconds=0.3)
    with pytest.raises(PermanentError, match=r"took more than 0\.3 s"):
        place.worktrees.ensure(RUN, BRANCH)
    assert not lives(int((tmp_path / "pid").read_text()))


def test_a_setup_left_by_a_killed_orch_is_ended_first(place: Place, tmp_path: Path) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    env = {**os.environ, hooks.MARK: str(place.tree)}
    with (
        subprocess.Popen(["sleep", "100"], env=env) as left,
        subprocess.Popen(["cat"], env={**env, hooks.MARK: str(tmp_path)}, stdin=subprocess.PIPE) as other,
    ):
        place.worktrees.remove("t-1")
        place.hooks = Hooks(setup="true", env=ENV)
        place.worktrees.ensure(RUN, BRANCH)
        assert left.wait(60) != 0
        assert other.poll() is None
        assert other.stdin is not None
        other.stdin.close()


def test_a_hook_left_by_a_killed_orch_is_ended_before_a_teardown(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    env = {**os.environ, hooks.MARK: str(place.tree)}
    with subprocess.Popen(["sleep", "100"], env=env) as left:
        lives = 'grep -q "^State:.S" "/proc/$LEFT/status"'
        place.hooks = Hooks(teardown=f"! {lives}", env={**ENV, "LEFT": str(left.pid)})
        place.worktrees.remove("t-1")
        left.kill()
    assert place.warnings == []


def test_what_a_hook_says_is_clean(place: Place) -> None:
    place.hooks = Hooks(setup="printf '\\033[31mno https://ada:hunter2@host/\\033[0m\\n'; exit 3", env=ENV)
    with pytest.raises(PermanentError, match=r"exit code 3: no https://\*\*\*@host/ "):
        place.worktrees.ensure(RUN, BRANCH)


def test_a_hook_that_cannot_be_started_is_transient(place: Place) -> None:
    with pytest.raises(TransientError, match=r"cannot run the setup command in .*nowhere: No such file"):
        hooks.execute("setup", "true", place.trees / "nowhere", env=ENV, log=place.runs / "log", seconds=1)


def test_teardown_runs_before_the_removal_and_its_failure_is_only_told(place: Place, tmp_path: Path) -> None:
    out = tmp_path / "out"
    place.hooks = Hooks(teardown=f'echo "$ORCH_ATTEMPT $(cat work)" > {out}; exit 1', env=ENV)
    place.worktrees.ensure(NEXT, BRANCH)
    (place.tree / "work").write_text("mine")
    ref = place.worktrees.remove("t-1")
    assert out.read_text() == "2 mine\n"
    assert place.sample.files(ref)["work"] == "mine"
    assert not place.tree.exists()
    assert place.warnings == [
        f"t-1: the teardown command failed with exit code 1 (see {place.runs / 't-1' / '2' / 'teardown.log'})"
    ]


def test_files_are_copied_where_they_are_missing_and_stay_out_of_git(place: Place) -> None:
    root = place.sample.root
    (root / ".env").write_text("SECRET=1")
    (root / ".env").chmod(0o600)
    (root / "config").mkdir()
    (root / "config" / "local [1].toml").write_text("a")
    (root / "config" / "deep").mkdir()
    (root / "config" / "deep" / "b").write_text("b")
    (root / "README.md").write_text("changed by the person")
    place.hooks = Hooks(copy=(".env", "config", "README.md", "src/*.py", "missing", "trees"))
    place.worktrees.ensure(RUN, BRANCH)
    assert (place.tree / ".env").read_text() == "SECRET=1"
    assert (place.tree / ".env").stat().st_mode & 0o777 == 0o600
    assert (place.tree / "config" / "local [1].toml").read_text() == "a"
    assert (place.tree / "config" / "deep" / "b").read_text() == "b"
    assert (place.tree / "README.md").read_text() == "# Sample\n", "tracked"
    place.check()
    (place.tree / ".env").write_text("SECRET=2")
    (place.tree / "config" / "deep" / "b").unlink()
    place.worktrees.ensure(NEXT, BRANCH)
    assert (place.tree / ".env").read_text() == "SECRET=2"
    assert (place.tree / "config" / "deep" / "b").read_text() == "b"
    assert place.worktrees.inspect(NEXT, BRANCH).uncommitted == 0
    place.git("add", "--all")
    assert place.git("status", "--porcelain") == ""
    assert place.worktrees.remove("t-1") == ""
    lines = (root / ".git" / "info" / "exclude").read_text().splitlines()
    assert len(lines) == len(set(lines))


def test_caches_are_linked(place: Place) -> None:
    cache = place.sample.root / "node_modules"
    cache.mkdir()
    (cache / "module").write_text("x")
    place.hooks = Hooks(link=("node_modules", "missing", "src"))
    place.worktrees.ensure(RUN, BRANCH)
    assert (place.tree / "node_modules").readlink() == cache
    assert not (place.tree / "src").is_symlink(), "tracked"
    place.check()
    place.worktrees.ensure(NEXT, BRANCH)
    place.worktrees.remove("t-1")
    assert (cache / "module").exists()


def test_a_link_out_of_the_repository_is_not_copied(place: Place, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key").write_text("secret")
    root = place.sample.root
    (root / "inside.txt").write_text("fine")
    (root / "a").symlink_to(tmp_path / "secret")
    (root / "b").symlink_to(tmp_path / "secrets")
    (root / "c").symlink_to("inside.txt")
    (root / "folder").mkdir()
    (root / "folder" / "d").symlink_to(tmp_path / "secret")
    place.hooks = Hooks(copy=("a", "b", "c", "folder", "b/*", "**/key"))
    place.worktrees.ensure(RUN, BRANCH)
    names = {path.name for path in place.tree.iterdir()}
    assert names == {".git", ".gitignore", "README.md", "src", "c"}
    assert (place.tree / "c").read_text() == "fine"


@pytest.mark.parametrize("given", [Hooks(copy=("config/local",)), Hooks(link=("config/local",))])
def test_a_tracked_link_does_not_lead_copies_out_of_the_worktree(
    place: Place, tmp_path: Path, given: Hooks
) -> None:
    (tmp_path / "outside").mkdir()
    root = place.sample.root
    (root / "config").symlink_to(tmp_path / "outside")
    place.sample.git("add", "config")
    place.sample.git("commit", "--quiet", "-m", "A link")
    place.sample.git("push", "--quiet", "origin", "main")
    (root / "config").unlink()
    (root / "config").mkdir()
    (root / "config" / "local").write_text("x")
    place.hooks = given
    with pytest.raises(PermanentError, match="outside of"):
        place.worktrees.ensure(RUN, BRANCH)
    assert list((tmp_path / "outside").iterdir()) == []


def test_hostile_patterns_are_refused(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)
    for name in ("/etc/passwd", "../x", "a/../../x", "", ".", ".git/config"):
        for given in (Hooks(copy=(name,)), Hooks(link=(name,))):
            place.hooks = given
            with pytest.raises(PermanentError, match="cannot be copied or linked"):
                place.worktrees.ensure(RUN, BRANCH)


def test_other_worktrees_and_the_git_directory_are_never_copied(place: Place) -> None:
    place.trees = place.sample.root / "trees"
    place.worktrees.ensure(RUN, BRANCH)
    (place.tree / "of-one.txt").write_text("x")
    place.hooks = Hooks(copy=("**/*.txt", "**/HEAD"))
    place.worktrees.remove("t-1")
    (place.sample.root / "trees" / "notes").mkdir()
    (place.sample.root / "trees" / "notes" / "x.txt").write_text("x")
    place.worktrees.ensure(RUN, BRANCH)
    assert not list(place.tree.rglob("*.txt"))
    assert not list(place.tree.rglob("HEAD"))


def test_a_copy_that_fails_is_transient(place: Place) -> None:
    (place.sample.root / "data").write_text("x")
    place.trees.mkdir()
    (place.trees / ".copy-t-1").mkdir()
    place.hooks = Hooks(copy=("data",))
    with pytest.raises(TransientError, match="cannot provide"):
        place.worktrees.ensure(RUN, BRANCH)
    shutil.rmtree(place.trees / ".copy-t-1")
    place.worktrees.ensure(RUN, BRANCH)
    assert (place.tree / "data").read_text() == "x"


def test_an_odd_name_is_excluded_exactly(place: Place) -> None:
    for name in ("a*b", "#x", "!y", "end ", "back\\slash"):
        (place.sample.root / name).write_text(name)
        assert provisions.pattern_of(Path(name)).startswith("/")
    place.hooks = Hooks(copy=("*[!d]*",))
    place.worktrees.ensure(RUN, BRANCH)
    assert (place.tree / "end ").read_text() == "end "
    place.check()
    (place.tree / "aXb").write_text("work")
    assert place.worktrees.inspect(RUN, BRANCH).uncommitted == 1


KILLED = """
import sys
from pathlib import Path
from orch.adapters.worktrees import GitWorktrees, Hooks
from orch.core.model import RunKey
root, trees, runs = map(Path, sys.argv[1:4])
hooks = Hooks(**{sys.argv[4]: sys.argv[5]}, env={"PATH": "/usr/bin:/bin"})
worktrees = GitWorktrees(root, trees, runs, base="main", hooks=hooks, warn=print)
worktrees.ensure(RunKey("t-1", 1), "orch/t-1-fix")
worktrees.remove("t-1")
"""


@contextmanager
def killed_in(place: Place, hook: str, told: Path, command: str) -> Iterator[psutil.Process]:
    """An orch that is killed when its hook has written a pid into `told`; gives the process of that pid."""
    arguments = [str(path) for path in (place.sample.root, place.trees, place.runs)]
    command = command.replace("TELL", f"echo $$ > {told}.draft; mv {told}.draft {told}; ")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments, hook, command], cwd=Path(__file__).parents[2]
    ) as orch:
        wait_for(told.exists)
        yield psutil.Process(int(told.read_text()))
        orch.kill()


def is_over(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def lives(pid: int) -> bool:
    """Whether it is there and no zombie: nobody may ever wait for an orphan here."""
    return psutil.pid_exists(pid) and not is_over(psutil.Process(pid))


LEFT = {
    "itself": "TELL exec sleep 100",
    "a background job": "(TELL exec sleep 100) & wait",
    "a daemon": "(setsid sh -c 'TELL exec sleep 100' &) ; exec sleep 100",
    "one that ignores SIGTERM": "trap '' TERM; TELL while :; do sleep 100; done",
}


@pytest.mark.parametrize(("hook", "what"), [*(("setup", what) for what in LEFT), ("teardown", "a daemon")])
def test_a_hook_ends_with_its_orch(place: Place, tmp_path: Path, hook: str, what: str) -> None:
    told = tmp_path / "told"
    with killed_in(place, hook, told, LEFT[what]) as left:
        pass
    place.hooks = Hooks(setup="touch again.log", teardown=f"touch {tmp_path}/torn", env=ENV)
    # No need to wait here: the lock is held until the hook is over.
    if hook == "setup":
        place.worktrees.ensure(RUN, BRANCH)
        assert is_over(left)
        assert (place.tree / "again.log").exists()
        place.check()
    else:
        place.worktrees.remove("t-1")
        assert is_over(left)
        assert (tmp_path / "torn").exists()
        assert not place.tree.exists()
    wait_for(lambda: not [one for one in psutil.process_iter() if is_marked(one, place.tree)])


def is_marked(process: psutil.Process, tree: Path) -> bool:
    with suppress(psutil.Error):
        return bool(process.environ().get(hooks.MARK) == str(tree))
    return False


@pytest.mark.parametrize("what", ["itself", "a daemon"])
def test_a_hook_whose_guard_is_killed_too_is_ended_before_the_next(
    place: Place, tmp_path: Path, what: str
) -> None:
    with killed_in(place, "setup", tmp_path / "told", LEFT[what]) as left:
        keeping, guarding = (parent for parent in left.parents() if guard.__file__ in parent.cmdline())
        guarding.suspend()
        keeping.kill()
    guarding.kill()
    guarding.wait(60)
    assert not is_over(left)
    place.hooks = Hooks(setup="touch again.log", env=ENV)
    place.worktrees.ensure(RUN, BRANCH)
    assert is_over(left)
    place.check()


def test_a_hook_whose_guard_is_killed_is_transient_and_done_again(place: Place, tmp_path: Path) -> None:
    told = tmp_path / "told"
    place.hooks = Hooks(setup=LEFT["itself"].replace("TELL", f"echo $$ > {told};"), env=ENV)

    def kill() -> None:
        wait_for(lambda: told.exists() and told.read_text().endswith("\n"))
        _, guarding = [
            parent
            for parent in psutil.Process(int(told.read_text())).parents()
            if guard.__file__ in parent.cmdline()
        ]
        guarding.kill()

    failed, _ = at_once(lambda: place.worktrees.ensure(RUN, BRANCH), kill)
    assert isinstance(failed, TransientError)
    assert "lost its guard" in failed.message
    assert not lives(int(told.read_text()))
    place.hooks = Hooks(setup="touch again.log", env=ENV)
    place.worktrees.ensure(RUN, BRANCH)
    place.check()


@pytest.mark.parametrize("code", [0, 3])
def test_what_a_hook_leaves_running_is_ended_with_it(place: Place, tmp_path: Path, code: int) -> None:
    told = tmp_path / "told"
    daemon = f"(setsid sh -c 'trap \"\" TERM; echo $$ > {told}; while :; do sleep 100; done' &)"
    place.hooks = Hooks(setup=f"{daemon}; while ! test -s {told}; do sleep 0.01; done; exit {code}", env=ENV)
    with nullcontext() if code == 0 else pytest.raises(PermanentError, match="exit code 3"):
        place.worktrees.ensure(RUN, BRANCH)
    assert not lives(int(told.read_text()))


def test_a_hook_that_a_signal_ends_says_so(place: Place) -> None:
    place.hooks = Hooks(setup="kill -9 $$", env=ENV)
    with pytest.raises(PermanentError, match="the setup command was ended by signal 9"):
        place.worktrees.ensure(RUN, BRANCH)
