"""Nothing that holds work is destroyed; nothing that is not work is saved."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from orch.errors import PermanentError, TransientError
from tests.adapters.places import BRANCH, NEXT, RUN, Place


@pytest.fixture(autouse=True)
def _made(place: Place) -> None:
    place.worktrees.ensure(RUN, BRANCH)


def test_changes_of_every_kind_are_saved(place: Place) -> None:
    place.commit("gone.txt", "x")
    place.commit("moved.txt", "moved")
    (place.tree / "README.md").write_text("changed")
    (place.tree / "gone.txt").unlink()
    (place.tree / "moved.txt").rename(place.tree / "there.txt")
    (place.tree / "link").symlink_to("README.md")
    (place.tree / "run.sh").write_text("#!/bin/sh\n")
    (place.tree / "run.sh").chmod(0o755)
    found = place.worktrees.inspect(RUN, BRANCH)
    assert found.uncommitted == 6
    assert place.sample.files(found.saved) == {
        ".gitignore": "*.log\nbuild/",
        "README.md": "changed",
        "link": "README.md",
        "run.sh": "#!/bin/sh",
        "src/app.py": "print('hello')",
        "there.txt": "moved",
    }
    assert place.sample.git("ls-tree", found.saved, "run.sh").startswith("100755")
    assert place.sample.sha(f"{found.saved}^") == found.head
    assert place.sample.git("log", "-1", "--format=%s", found.saved) == "orch: work saved from t-1/1"


def test_a_file_where_a_folder_was_and_the_other_way_round(place: Place) -> None:
    shutil.rmtree(place.tree / "src")
    (place.tree / "src").write_text("a file now")
    (place.tree / "README.md").unlink()
    (place.tree / "README.md").mkdir()
    (place.tree / "README.md" / "part.md").write_text("a folder now")
    files = place.sample.files(place.worktrees.inspect(RUN, BRANCH).saved)
    assert files["src"] == "a file now"
    assert files["README.md/part.md"] == "a folder now"


def test_a_link_where_a_folder_was(place: Place, tmp_path: Path) -> None:
    shutil.rmtree(place.tree / "src")
    (place.tree / "src").symlink_to(tmp_path)
    files = place.sample.files(place.worktrees.inspect(RUN, BRANCH).saved)
    assert files["src"] == str(tmp_path)


def test_the_index_and_the_files_stay_as_they_are(place: Place) -> None:
    (place.tree / "staged").write_text("1")
    place.git("add", "staged")
    (place.tree / "staged").write_text("2")
    status = place.git("status", "--porcelain")
    index = (place.admin / "index").read_bytes()
    place.worktrees.inspect(RUN, BRANCH)
    assert (place.admin / "index").read_bytes() == index
    assert place.git("status", "--porcelain") == status


def test_a_version_that_is_only_in_the_index_is_saved_too(place: Place) -> None:
    (place.tree / "staged").write_text("in the index")
    place.git("add", "staged")
    (place.tree / "staged").unlink()
    ref = place.worktrees.inspect(RUN, BRANCH).saved
    assert "staged" not in place.sample.files(ref)
    assert place.sample.files(f"{ref}^2")["staged"] == "in the index"
    assert place.worktrees.inspect(RUN, BRANCH).saved == ref
    assert place.worktrees.remove("t-1") == ref


def test_what_is_ignored_is_not_work(place: Place) -> None:
    (place.tree / "out.log").write_text("noise")
    (place.tree / "build").mkdir()
    (place.tree / "build" / "x.o").write_text("noise")
    assert place.worktrees.remove("t-1") == ""
    assert place.refs() == []


def test_names_and_kinds_of_files_that_nobody_expects(place: Place) -> None:
    (place.tree / os.fsdecode(b"bad\xff \t\"name'\\")).write_text("odd")
    (place.tree / "new\nline").write_text("line")
    (place.tree / ":(top)x").write_text("magic")
    (place.tree / "-rf").write_text("dash")
    (place.tree / "*").write_text("star")
    os.mkfifo(place.tree / "pipe")
    (place.tree / "README.md").unlink()
    os.mkfifo(place.tree / "README.md")
    (place.tree / "dangling").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(place.tree)  # The path of a socket is at most 107 bytes long.
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
    ref = place.worktrees.remove("t-1")
    names = subprocess.run(
        ["git", "ls-tree", "-r", "-z", "--name-only", ref],
        cwd=place.sample.root,
        capture_output=True,
        check=True,
    ).stdout.split(b"\0")
    wanted = {b"bad\xff \t\"name'\\", b"new\nline", b":(top)x", b"-rf", b"*", b"dangling"}
    assert wanted <= set(names)
    assert not place.tree.exists()


def test_a_thousand_files_are_saved(place: Place) -> None:
    (place.tree / "many").mkdir()
    for number in range(1000):
        (place.tree / "many" / f"{number:04}.txt").write_text(str(number))
    found = place.worktrees.inspect(RUN, BRANCH)
    assert found.uncommitted == 1000
    assert place.sample.git("ls-tree", "-r", "--name-only", found.saved).count("many/") == 1000


def test_what_is_saved_survives_a_power_cut(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are removed next. Git tells what it has had the disk write down."""
    place.worktrees.ensure(RUN, BRANCH)
    (place.tree / "new.txt").write_text("new")
    told = tmp_path / "told"
    (tmp_path / "config").write_text(f"[trace2]\n\teventTarget = {told}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    assert place.worktrees.remove("t-1")
    events = [json.loads(line) for line in told.read_text().splitlines()]
    names = {event["sid"]: event["name"] for event in events if event["event"] == "cmd_name"}
    flushed = {names[event["sid"]] for event in events if event.get("key") == "fsync/hardware-flush"}
    assert {"update-index", "write-tree", "commit-tree", "update-ref"} <= flushed


@pytest.mark.parametrize("commits", [True, False])
def test_a_nested_repository_keeps_the_worktree(place: Place, commits: bool) -> None:
    nested = place.tree / "vendor" / "lib"
    nested.mkdir(parents=True)
    place.sample.git("init", "--quiet", where=nested)
    (nested / "work").write_text("mine")
    if commits:
        place.sample.commit("committed", "x", where=nested)
    (place.tree / "rest").write_text("rest")
    found = place.worktrees.inspect(RUN, BRANCH)
    assert found.uncommitted == 2
    assert "rest" in place.sample.files(found.saved)
    assert place.sample.git("ls-tree", found.saved, "vendor") == "", "no bare gitlink"
    assert "vendor/lib" in place.warnings[0]
    with pytest.raises(PermanentError, match="vendor/lib"):
        place.worktrees.remove("t-1")
    assert (nested / "work").exists()
    place.worktrees.ensure(NEXT, BRANCH, fresh=True)
    place.check()
    assert (place.aside()[0] / "vendor" / "lib" / "work").read_text() == "mine"


def with_submodule(place: Place, tmp_path: Path) -> Path:
    library = tmp_path / "library"
    library.mkdir()
    place.sample.git("init", "--quiet", "-b", "main", where=library)
    place.sample.commit("lib.py", "x", where=library)
    allow = ("-c", "protocol.file.allow=always")
    place.git(*allow, "submodule", "--quiet", "add", str(library), "lib")
    place.git("commit", "--quiet", "-m", "Add lib")
    return place.tree / "lib"


def test_a_clean_submodule_is_no_obstacle(place: Place, tmp_path: Path) -> None:
    with_submodule(place, tmp_path)
    assert place.worktrees.inspect(RUN, BRANCH).uncommitted == 0
    assert place.worktrees.remove("t-1") == ""


def test_changes_in_a_submodule_keep_the_worktree(place: Place, tmp_path: Path) -> None:
    library = with_submodule(place, tmp_path)
    (library / "lib.py").write_text("changed")
    assert place.worktrees.inspect(RUN, BRANCH).uncommitted == 1
    assert "'lib'" in place.warnings[0]
    with pytest.raises(PermanentError, match="submodule 'lib'"):
        place.worktrees.remove("t-1")
    assert (library / "lib.py").read_text() == "changed"


def test_commits_in_a_submodule_keep_the_worktree(place: Place, tmp_path: Path) -> None:
    library = with_submodule(place, tmp_path)
    place.sample.commit("new.py", "x", where=library)
    found = place.worktrees.inspect(RUN, BRANCH)
    assert found.uncommitted == 1
    with pytest.raises(PermanentError, match="were not pushed"):
        place.worktrees.remove("t-1")
    assert (library / "new.py").exists()
    with pytest.raises(PermanentError, match="were not pushed"):
        place.worktrees.ensure(NEXT, BRANCH, fresh=True)
    assert (library / "new.py").exists()


def test_saving_needs_no_identity(place: Place) -> None:
    config = place.sample.root / ".git" / "config"
    config.write_text(config.read_text().replace("name = Ada", "useConfigOnly = true").replace("email", "#"))
    (place.tree / "work").write_text("mine")
    assert place.worktrees.remove("t-1") == "refs/orch/saved/t-1/1"


def test_a_large_note_is_read_in_part_and_kept_whole(place: Place) -> None:
    (place.tree / "BLOCKED.md").write_bytes(b"\xff" + b"x" * 100_000)
    text = place.worktrees.inspect(RUN, BRANCH).blocked
    assert text is not None
    assert len(text) == 64 * 1024
    assert text.startswith("\N{REPLACEMENT CHARACTER}x")
    place.worktrees.ensure(NEXT, BRANCH)
    assert len((place.runs / "t-1" / "1" / "BLOCKED.md").read_bytes()) == 100_001


def test_a_note_tells_no_secret_and_fools_no_terminal(place: Place) -> None:
    (place.tree / "BLOCKED.md").write_text("I may not push:\n\x1b[2Jhttps://ada:hunter2@host/x.git\n")
    assert place.worktrees.inspect(RUN, BRANCH).blocked == "I may not push:\nhttps://***@host/x.git\n"


def test_signs_that_are_no_files_are_not_believed(place: Place, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (place.tree / "BLOCKED.md").symlink_to(secret)
    assert place.worktrees.inspect(RUN, BRANCH).blocked is None
    (place.tree / "STOP").symlink_to(secret)
    place.worktrees.ask("t-1", "stop")
    assert secret.read_text() == "secret"
    assert (place.tree / "STOP").read_text() == "stop\n"
    assert not (place.tree / "STOP").is_symlink()
    place.worktrees.ensure(NEXT, BRANCH)
    assert not (place.tree / "BLOCKED.md").is_symlink()
    assert not (place.runs / "t-1" / "1" / "BLOCKED.md").exists()
    assert secret.read_text() == "secret"


def test_a_folder_in_place_of_a_sign_is_told(place: Place) -> None:
    (place.tree / "STOP").mkdir()
    with pytest.raises(PermanentError, match="is a folder"):
        place.worktrees.ask("t-1", "stop")
    place.worktrees.ensure(NEXT, BRANCH)
    assert [path.name for path in place.trees.iterdir()] == ["t-1"]


def test_signs_go_with_a_worktree_into_its_run_directory(place: Place) -> None:
    place.worktrees.ensure(NEXT, BRANCH)
    (place.tree / "BLOCKED.md").write_text("why")
    place.worktrees.remove("t-1")
    assert (place.runs / "t-1" / "2" / "BLOCKED.md").read_text() == "why"


def test_signs_without_any_run_directory_are_put_aside(place: Place) -> None:
    shutil.rmtree(place.runs)
    (place.tree / "BLOCKED.md").write_text("why")
    place.worktrees.ensure(NEXT, BRANCH)
    assert (place.aside()[0] / "BLOCKED.md").read_text() == "why"
    assert not place.runs.exists(), "a run directory is a claim"


def test_read_only_folders_are_removed(place: Place) -> None:
    cache = place.tree / "build" / "cache"
    cache.mkdir(parents=True)
    (cache / "file").write_text("x")
    cache.chmod(0o555)
    cache.parent.chmod(0o555)
    place.worktrees.remove("t-1")
    assert not place.tree.exists()
    assert not (place.trees / ".removed").exists()


REMOVE = """
import sys
import tempfile
from pathlib import Path
from orch.adapters.worktrees import GitWorktrees
from orch.errors import OrchError
worktrees = GitWorktrees(*map(Path, sys.argv[1:]), base="main", warn=print)
try:
    print("ref", worktrees.remove("t-1"))
except OrchError as error:
    print(type(error).__name__, error)
"""

MORTAL = "-dac_override,-dac_read_search,-fowner"
"""The capabilities by which root may do anything to files."""


class TestPermissions:
    """Permissions mean nothing to root, so root acts without its capabilities here."""

    @pytest.fixture(autouse=True)
    def _possible(self) -> None:
        if os.getuid() == 0 and shutil.which("setpriv") is None:
            pytest.skip("setpriv (util-linux) is needed to act as less than root")

    def remove(self, place: Place) -> str:
        less = [f"--bounding-set={MORTAL}", f"--inh-caps={MORTAL}"]
        prefix = ["setpriv", *less] if os.getuid() == 0 else []
        arguments = [str(path) for path in (place.sample.root, place.trees, place.runs)]
        done = subprocess.run(
            [*prefix, sys.executable, "-c", REMOVE, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[2],
        )
        return done.stdout + done.stderr

    def test_read_only_folders_are_removed(self, place: Place) -> None:
        cache = place.tree / "build" / "cache"
        cache.mkdir(parents=True)
        (cache / "file").write_text("x")
        cache.chmod(0o555)
        cache.parent.chmod(0o500)
        place.tree.chmod(0o555)
        assert "ref" in self.remove(place)
        assert not place.tree.exists()
        assert not (place.trees / ".removed").exists()

    def test_a_closed_worktree_is_removed(self, place: Place) -> None:
        (place.trees / ".removed" / "t-1.1.1").mkdir(parents=True)
        (place.trees / ".removed" / "t-1.1.1").chmod(0)
        assert "ref" in self.remove(place)
        assert not (place.trees / ".removed").exists()

    def test_a_file_that_cannot_be_read_keeps_the_worktree(self, place: Place) -> None:
        secret = place.tree / "secret"
        secret.write_text("x")
        secret.chmod(0)
        assert "PermanentError 'secret'" in self.remove(place)
        assert secret.exists()

    def test_a_folder_that_cannot_be_read_keeps_the_worktree(self, place: Place) -> None:
        folder = place.tree / "closed"
        folder.mkdir()
        (folder / "secret").write_text("x")
        folder.chmod(0)
        assert "PermanentError 'closed/'" in self.remove(place)
        folder.chmod(0o700)
        assert (folder / "secret").exists()

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can make files of another user")
    def test_what_cannot_be_deleted_is_told(self, place: Place) -> None:
        folder = place.tree / "build"
        folder.mkdir()
        (folder / "file").write_text("made in a container")
        os.chown(folder, 65534, 65534)
        said = self.remove(place)
        assert "TransientError" in said
        assert ".removed" in said
        assert not place.tree.exists()
        assert "TransientError" in self.remove(place)
        shutil.rmtree(place.trees / ".removed")
        assert "ref" in self.remove(place)


def test_removal_goes_on_where_it_was_killed(place: Place) -> None:
    """Killed after the first rename; and what another task's killed removal left goes too."""
    (place.trees / ".removed" / "t-9.77.1").mkdir(parents=True)
    place.tree.rename(place.trees / ".removed" / "t-1.77.1")
    assert place.worktrees.remove("t-1") == ""
    assert not (place.trees / ".removed").exists()
    assert not place.admin.exists()


def test_a_full_disk_removes_nothing(place: Place) -> None:
    (place.tree / "work").write_text("mine" * 1000)
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
    code = REMOVE.replace("try:", "import resource\n" + limit + "try:", 1)
    arguments = [str(path) for path in (place.sample.root, place.trees, place.runs)]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert "TransientError" in done.stdout, done
    assert (place.tree / "work").read_text() == "mine" * 1000
    assert place.sample.files(place.worktrees.remove("t-1"))["work"] == "mine" * 1000


def test_a_process_in_the_worktree_does_not_keep_it(place: Place) -> None:
    with subprocess.Popen(["cat"], cwd=place.tree, stdin=subprocess.PIPE) as shell:
        place.worktrees.remove("t-1")
        assert shell.stdin is not None
        shell.stdin.close()
    assert not place.tree.exists()


def test_errors_of_the_disk_are_transient(place: Place) -> None:
    (place.admin / "index").unlink()
    (place.admin / "index").mkdir()
    with pytest.raises(TransientError, match="cannot save the work"):
        place.worktrees.inspect(RUN, BRANCH)


def test_signs_are_moved_to_another_disk(place: Place) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == place.trees.stat().st_dev:
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=other) as folder:
        place.runs = Path(folder)
        (place.runs / "t-1" / "1").mkdir(parents=True)
        (place.tree / "BLOCKED.md").write_text("why" * 1000)
        place.worktrees.ensure(NEXT, BRANCH)
        assert (place.runs / "t-1" / "1" / "BLOCKED.md").read_text() == "why" * 1000
        assert not (place.tree / "BLOCKED.md").exists()


def test_a_fresh_start_keeps_the_commits_of_a_worktree_that_is_gone(place: Place) -> None:
    sha = place.commit("a.txt", "a")
    place.worktrees.remove("t-1")
    place.worktrees.ensure(NEXT, BRANCH, fresh=True)
    place.check()
    assert not (place.tree / "a.txt").exists()
    assert place.sample.sha("refs/orch/saved/t-1/2") == sha


def test_a_fresh_start_keeps_what_only_origin_has(place: Place) -> None:
    here = place.commit("here.txt", "x")
    clone = place.trees.with_name("clone")
    place.sample.git("clone", "--quiet", str(place.sample.origin), str(clone))
    there = place.sample.commit("there.txt", "x", where=clone)
    place.sample.git("push", "--quiet", "origin", f"HEAD:refs/heads/{BRANCH}", where=clone)
    place.worktrees.ensure(NEXT, BRANCH, fresh=True)
    kept = place.sample.git("rev-list", "refs/orch/saved/t-1/2").split()
    assert {here, there} <= set(kept)
