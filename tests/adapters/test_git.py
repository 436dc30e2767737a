"""git calls, the repository they are made in, its origin and its locks."""

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orch.adapters import git, repository
from orch.adapters.locks import FileLock
from orch.adapters.origin import Origin
from orch.config.environment import INHERITED_FROM_GIT
from orch.errors import ConfigError, PermanentError, ShortageError, TransientError
from tests.adapters.repositories import Sample, Samples, at_once, wait_for


@pytest.fixture
def sample(tmp_path: Path, samples: Samples) -> Sample:
    return samples.make(tmp_path)


# --- run -------------------------------------------------------------------------------------------------


def test_what_a_command_prints_is_given(sample: Sample) -> None:
    output = git.run(sample.root, "ls-files", "-z")
    assert output.fields == [".gitignore", "README.md", "src/app.py"]
    assert output.code == 0
    assert git.run(sample.root, "rev-parse", "HEAD").text == sample.sha("main")
    assert git.run(sample.root, "hash-object", "--stdin", stdin=b"").text.startswith("e69de29")


def test_a_failure_is_one_line_that_names_the_folder(sample: Sample) -> None:
    with pytest.raises(PermanentError) as caught:
        git.run(sample.root, "rev-parse", "--verify", "nowhere")
    assert caught.value.message == f"git rev-parse failed in {sample.root}: fatal: Needed a single revision"
    assert git.run(sample.root, "rev-parse", "--verify", "nowhere", accept=(128,)).code == 128
    with pytest.raises(PermanentError, match=r"exit code 1$"):
        git.run(sample.root, "config", "--get", "nothing.here")


def test_a_long_failure_is_cut(sample: Sample) -> None:
    with pytest.raises(PermanentError) as caught:
        git.run(sample.root, "log", "x" * 3000)
    assert len(caught.value.message) < 500
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("url", ["https://ada:secret@127.0.0.1:1/x.git", "https://secret@127.0.0.1:1/x.git"])
def test_no_password_is_told(sample: Sample, url: str) -> None:
    with pytest.raises(TransientError) as caught:
        git.run(sample.root, "fetch", url)
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("fatal: Unable to create '/x/.git/index.lock': File exists.", TransientError),
        ("error: cannot lock ref 'refs/heads/x': is at 1 but expected 2", TransientError),
        ("fatal: write error: No space left on device", ShortageError),
        ("error while loading shared libraries: libz.so.1: failed to map segment", ShortageError),
        ("fatal: cannot update ref 'x': couldn't write '/x/.git/refs/x.lock'", TransientError),
        ("ssh: Could not resolve hostname x: nodename; fatal: Could not read from remote", TransientError),
        ("fatal: bad revision 'x'", PermanentError),
        ("", PermanentError),
    ],
)
def test_what_may_pass_is_transient(said: str, kind: type[Exception]) -> None:
    error = git.failure("git x", Path("/x"), git.Output(1, b"", said))
    assert type(error) is kind


def test_hints_are_given() -> None:
    def hint(said: str) -> str:
        return git.failure("git x", Path("/x"), git.Output(128, b"", said)).hint

    assert "safe.directory" in hint("fatal: detected dubious ownership in repository at '/x'")
    assert "credential" in hint("fatal: could not read Username for 'https://x'")
    assert hint("fatal: whatever") == ""


def test_hints_of_git_are_left_out() -> None:
    assert (
        git.one_line(b"error: a\n  b \nhint: try c\n\nfatal: d\xff")
        == "error: a; b; fatal: d\N{REPLACEMENT CHARACTER}"
    )


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGKILL, ShortageError), (signal.SIGTERM, TransientError)]
)
def test_a_signal_is_transient_and_that_of_the_kernel_means_a_shortage(number: int, kind: type) -> None:
    assert type(git.failure("git x", Path("/x"), git.Output(-number, b"", ""))) is kind


def test_a_command_without_end_is_ended_with_its_helpers(sample: Sample, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    alias = f"!trap '' TERM; sleep 100 & echo $! > {told}.draft; mv {told}.draft {told}; wait; sleep 100"
    with pytest.raises(TransientError, match=r"took more than 0.5 s"):
        git.run(sample.root, "-c", f"alias.hang={alias}", "hang", timeout=0.5)
    helper = Path("/proc") / told.read_text().strip() / "stat"
    wait_for(lambda: not helper.exists() or " Z " in helper.read_text())


def test_git_is_never_asked_to_talk_to_a_person(sample: Sample) -> None:
    code = "test ! -t 0 && env"
    said = git.run(sample.root, "-c", f"alias.show-env=!{code}", "show-env").text.splitlines()
    assert {"GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "LC_ALL=C", "GIT_EDITOR=true"} <= set(said)


def test_another_repository_in_the_environment_is_not_used(sample: Sample, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from orch.adapters import git\n"
        "print(git.run(Path(sys.argv[1]), 'rev-parse', '--absolute-git-dir').text)"
    )
    # That one stops even the `git version` by which GitPython looks whether there is a git.
    strange = dict.fromkeys(INHERITED_FROM_GIT - {"GIT_INTERNAL_SUPER_PREFIX"}, "/nowhere")
    done = subprocess.run(
        [sys.executable, "-c", code, str(sample.root)],
        env={**os.environ, **strange},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(sample.root / ".git")


def test_hooks_run_only_when_asked(sample: Sample, tmp_path: Path) -> None:
    hook = sample.root / ".git" / "hooks" / "post-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    hook.chmod(0o755)
    git.run(sample.root, "commit", "--quiet", "--allow-empty", "-m", "x")
    assert not (tmp_path / "ran").exists()
    git.run(sample.root, "commit", "--quiet", "--allow-empty", "-m", "x", hooks=True)
    assert (tmp_path / "ran").exists()


def test_a_missing_git_or_folder_is_told(sample: Sample, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a folder"):
        git.run(tmp_path / "nowhere", "version")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "env").symlink_to(str(shutil.which("env")))
    code = (
        "import os, sys; from pathlib import Path; from orch.adapters import git; from orch.errors import *\n"
        "if len(sys.argv) > 2: import git as library\n"
        "os.environ['PATH'] = sys.argv[1]\n"
        "try: git.run(Path('.'), 'version')\n"
        "except ConfigError as error: print(error)"
    )
    for early in ([], ["imported before"]):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "bin"), *early],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "git was not found on PATH (install git" in done.stdout


@pytest.mark.parametrize(
    ("said", "ok"),
    [
        ("git version 2.38.0", True),
        ("git version 3.0.1 (Vendor Git-1)", True),
        ("git version 2.37.9", False),
        ("", False),
    ],
)
def test_the_version_of_git_is_read(tmp_path: Path, said: str, ok: bool) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    code = (
        "import os, sys; from orch.adapters import doctor; import git as library\n"
        "os.environ['PATH'] = sys.argv[1] + os.pathsep + os.environ['PATH']\n"
        "found = doctor.check_git(); print(found.ok, found.what, found.do, sep='|')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(program.parent)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    wrong = f"False|{said or 'git'} is too old|install git 2.38 or newer\n"
    assert done.stdout == (f"True|{said}|\n" if ok else wrong)


def test_references_and_ancestors(sample: Sample) -> None:
    assert git.references(sample.root, "refs/heads/main", "refs/heads/none") == {
        "refs/heads/main": sample.sha("main")
    }
    assert git.is_ancestor(sample.root, "main~1", "main")
    assert not git.is_ancestor(sample.root, "main", "main~1")


# --- the repository --------------------------------------------------------------------------------------


def test_the_base_branch_is_origins_default_or_the_one_checked_out(sample: Sample) -> None:
    assert repository.check_repository(sample.root) == "main"
    sample.git("checkout", "--quiet", "-b", "mine")
    assert repository.check_repository(sample.root) == "mine"
    sample.git("remote", "set-head", "origin", "main")
    assert repository.check_repository(sample.root) == "main"
    assert repository.check_repository(sample.root, "mine") == "mine"


def test_a_base_branch_may_be_on_origin_only(sample: Sample) -> None:
    sample.git("checkout", "--quiet", "-b", "mine")
    sample.git("branch", "-D", "--quiet", "main")
    assert repository.check_repository(sample.root, "main") == "main"


def test_a_linked_worktree_may_be_the_root(sample: Sample, tmp_path: Path) -> None:
    sample.git("worktree", "add", "--quiet", "-b", "linked", str(tmp_path / "linked"))
    assert repository.check_repository(tmp_path / "linked") == "linked"
    assert git.common_directory(tmp_path / "linked") == sample.root / ".git"


def told(root: Path, base: str = "") -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        repository.check_repository(root, base)
    return caught.value


def test_what_is_no_repository_is_told(tmp_path: Path, sample: Sample) -> None:
    (tmp_path / "plain").mkdir()
    assert "is not a folder" in told(tmp_path / "nowhere").message
    error = told(tmp_path / "plain")
    assert "is not in a git repository" in error.message
    assert error.hint == f"git init {tmp_path / 'plain'}"
    assert "is a bare repository" in told(sample.origin).message
    error = told(sample.root / "src")
    assert "is not the top" in error.message
    assert f"orch -C {sample.root}" in error.hint
    with pytest.raises(ConfigError, match="not a git repository"):
        git.common_directory(tmp_path / "plain")


def test_a_repository_without_commits_is_told(tmp_path: Path) -> None:
    new = Sample(tmp_path / "new")
    new.root.mkdir()
    new.git("init", "--quiet")
    error = told(new.root)
    assert "no commits yet" in error.message
    assert "git commit" in error.hint


def test_a_missing_base_branch_is_told_with_the_near_ones(sample: Sample) -> None:
    sample.git("branch", "develop")
    error = told(sample.root, "develp")
    assert "'develp' does not exist" in error.message
    assert "there is develop" in error.hint
    assert "there is develop, main" in told(sample.root, "xyz").hint


def test_a_detached_head_needs_a_base_branch(sample: Sample) -> None:
    sample.git("checkout", "--quiet", "--detach")
    error = told(sample.root)
    assert "detached HEAD" in error.message
    assert "base_branch" in error.hint
    assert repository.check_repository(sample.root, "main") == "main"


def test_a_repository_of_another_user_is_told(sample: Sample) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(sample.root, 65534, 65534)
    error = told(sample.root)
    assert "dubious ownership" in error.message
    assert "safe.directory" in error.hint


def test_patterns_are_excluded_once_and_the_rest_stays(sample: Sample) -> None:
    path = sample.root / ".git" / "info" / "exclude"
    assert repository.exclude(sample.root, ["/STOP", "/trees/"]) == ("/STOP", "/trees/")
    path.write_bytes(b"# mine \xff\n*.o\r\n/STOP\nlast")
    assert repository.exclude(sample.root, ["/STOP", "/trees/", "/trees/"]) == ("/trees/",)
    assert path.read_bytes() == b"# mine \xff\n*.o\r\n/STOP\nlast\n/trees/\n"
    before = path.stat().st_ino
    assert repository.exclude(sample.root, ["/STOP", "/trees/", "*.o"]) == ()
    assert path.stat().st_ino == before


def test_excluding_from_a_linked_worktree_and_through_a_link(sample: Sample, tmp_path: Path) -> None:
    sample.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    mine = tmp_path / "dotfiles-exclude"
    mine.write_text("*.o\n")
    path = sample.root / ".git" / "info" / "exclude"
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(mine)
    repository.exclude(tmp_path / "linked", ["/STOP"])
    assert path.is_symlink()
    assert mine.read_text() == "*.o\n/STOP\n"


def test_excluding_at_once_loses_nothing(sample: Sample) -> None:
    wanted = [f"/file-{number}" for number in range(12)]
    at_once(*[lambda line=line: repository.exclude(sample.root, [line]) for line in wanted])
    assert sorted((sample.root / ".git" / "info" / "exclude").read_text().split()) == sorted(wanted)


# --- origin ----------------------------------------------------------------------------------------------


def counting(sample: Sample) -> Path:
    """Have origin count its fetches."""
    count = sample.root.with_name("count")
    script = sample.root.with_name("upload-pack")
    script.write_text(f'#!/bin/sh\necho x >> {count}\nexec git-upload-pack "$@"\n')
    script.chmod(0o755)
    sample.git("config", "remote.origin.uploadpack", str(script))
    return count


def test_fetches_that_are_wanted_while_one_is_under_way_are_one(sample: Sample) -> None:
    count = counting(sample)
    go = sample.root.with_name("go")
    script = sample.root.with_name("upload-pack")
    script.write_text(script.read_text().replace("exec", f"while test ! -e {go}; do sleep 0.01; done\nexec"))
    origin = Origin(sample.root, "main")
    newest = sample.push_elsewhere("new.txt", "x")
    with ThreadPoolExecutor(10) as threads:
        first = threads.submit(origin.fetch)
        wait_for(count.exists)
        rest = [threads.submit(origin.fetch, f"orch/t-{number}") for number in range(9)]
        wait_for(lambda: len(origin._next.branches) == 9)
        go.touch()
        assert all(fetch.result() for fetch in [first, *rest])
    assert origin.tip() == newest
    assert len(count.read_text().split()) == 2


def test_a_fetch_counts_only_for_those_who_asked_before_it(sample: Sample) -> None:
    origin = Origin(sample.root, "main")
    for text in ("1", "2", "3"):
        newest = sample.push_elsewhere("new.txt", text)
        origin.fetch()
        assert origin.tip() == newest


def test_an_origin_in_a_folder_with_nothing_new_takes_no_process(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = Origin(sample.root, "main")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        assert origin.fetch("orch/t-1")
        newest = sample.push_elsewhere("new.txt", "x")
        with pytest.raises(ConfigError, match="git was not found"):
            origin.fetch()
    assert origin.fetch()
    assert origin.tip() == newest


@pytest.mark.parametrize(
    "setting",
    [
        ("remote.origin.uploadpack", "git-upload-pack"),
        ("url.{origin}/.insteadOf", "x:"),
        ("remote.origin.url", "file://{origin}"),
    ],
)
def test_an_origin_that_is_not_plainly_a_folder_is_asked(
    sample: Sample, monkeypatch: pytest.MonkeyPatch, setting: tuple[str, str]
) -> None:
    sample.git("config", *(word.format(origin=sample.origin) for word in setting))
    origin = Origin(sample.root, "main")
    assert origin.exists()
    assert origin.fetch()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="git was not found"):
        origin.fetch()


def test_refs_are_read_without_a_process_where_they_are_plain(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("refs/heads/main", "refs/heads/loose", "refs/heads/none/of/it", "refs/heads/main/x")
    sample.git("pack-refs", "--all")
    sample.git("branch", "loose")
    asked = git.references(sample.root, *names)
    monkeypatch.setenv("PATH", "/nowhere")
    assert git.references(sample.root, *names) == asked
    assert set(asked) == {"refs/heads/main", "refs/heads/loose"}
    for name in ("refs/heads/", "HEAD"):
        with pytest.raises(ConfigError, match="git was not found"):
            git.references(sample.root, name)


@pytest.mark.parametrize("text", ["ref: refs/heads/main\n", "0" * 40 + "\n", "damaged", ""])
def test_git_is_asked_for_refs_that_are_not_plain(sample: Sample, text: str) -> None:
    (sample.root / ".git" / "refs" / "heads" / "odd").write_text(text)
    found = git.references(sample.root, "refs/heads/odd", "refs/heads/main")
    expected = {"refs/heads/odd": sample.sha("main")} if text.startswith("ref:") else {}
    assert found == {"refs/heads/main": sample.sha("main"), **expected}


def test_git_is_asked_where_a_ref_is_a_link_or_refs_are_kept_otherwise(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = sample.root / ".git" / "refs" / "heads"
    (heads / "link").symlink_to("main")
    assert git.read_references(sample.root, ("refs/heads/link",)) is None
    (sample.root / ".git" / "reftable").mkdir()
    assert git.read_references(sample.root, ("refs/heads/main",)) is None
    assert git.read_references(sample.root / "nowhere", ("refs/heads/main",)) is None


def test_a_failed_fetch_is_tried_again(sample: Sample, tmp_path: Path) -> None:
    count = counting(sample)
    script = sample.root.with_name("upload-pack")
    script.write_text(
        f'#!/bin/sh\necho x >> {count}\ntest $(wc -l < {count}) -gt 2 || exit 1\nexec git-upload-pack "$@"\n'
    )
    assert Origin(sample.root, "main", retries=(0.001, 0.001)).fetch()
    assert len(count.read_text().split()) == 3
    count.unlink()
    with pytest.raises(TransientError, match="cannot fetch from origin"):
        Origin(sample.root, "main", retries=(0.001,)).fetch()
    assert len(count.read_text().split()) == 2


def test_everybody_hears_of_a_failed_fetch(sample: Sample) -> None:
    shutil.rmtree(sample.origin)
    origin = Origin(sample.root, "main", retries=())
    results = at_once(*[origin.fetch for _ in range(4)])
    assert [type(result) for result in results] == [TransientError] * 4
    sample.git("remote", "remove", "origin")
    assert origin.fetch() is False
    assert not origin.exists()
    assert origin.tip() == sample.sha("main")


# --- locks -----------------------------------------------------------------------------------------------


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    shared, inside, most = FileLock(path), [], []

    def enter(lock: FileLock) -> None:
        with lock.hold():
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.002)
            inside.pop()

    at_once(*[lambda n=n: enter(shared if n % 2 else FileLock(path)) for n in range(8)])
    assert most == [1] * 8


def test_a_lock_that_is_held_for_long_is_told(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock", wait=0.05)
    with lock.hold():
        with pytest.raises(TransientError, match="locked by another process"), lock.hold():
            pass
        with (
            pytest.raises(TransientError, match="locked by another process"),
            FileLock(tmp_path / "lock", wait=0.05).hold(),
        ):
            pass
    with lock.hold():
        pass


def test_a_lock_is_free_when_its_process_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from orch.adapters.locks import FileLock\n"
        "with FileLock(Path(sys.argv[1])).hold(): print('ready', flush=True); time.sleep(100)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "lock")],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        with (
            pytest.raises(TransientError),
            FileLock(tmp_path / "lock", wait=0.01).hold(),
        ):
            pass
        owner.kill()
    with FileLock(tmp_path / "lock", wait=10).hold():
        pass


def test_a_lock_stays_while_the_git_of_a_killed_orch_is_at_work(sample: Sample, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from orch.adapters import git\n"
        "from orch.adapters.locks import FileLock\n"
        "with FileLock(Path(sys.argv[2])).hold() as lock:\n"
        "    alias = 'alias.wait=!echo ready > ready; while test ! -e go; do sleep 0.02; done'\n"
        "    git.run(Path(sys.argv[1]), '-c', alias, 'wait', hold=[lock])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(sample.root), str(tmp_path / "lock")], cwd=Path(__file__).parents[2]
    ) as owner:
        wait_for((sample.root / "ready").exists)
        owner.kill()
    with pytest.raises(TransientError), FileLock(tmp_path / "lock", wait=0.01).hold():
        pass
    (sample.root / "go").touch()
    with FileLock(tmp_path / "lock", wait=30).hold():
        pass


def test_a_discarded_lock_protects_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    inside, most = [], []

    def enter() -> None:
        with FileLock(path).hold(discard=True):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.002)
            inside.pop()

    at_once(*[enter for _ in range(8)])
    assert most == [1] * 8
    assert not path.exists()


def test_a_lock_that_cannot_be_made_is_transient(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path / "link", tmp_path):
        with pytest.raises(TransientError, match="cannot lock"), FileLock(path).hold():
            pass
