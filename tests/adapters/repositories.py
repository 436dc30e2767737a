"""Sample repositories: made once, copied for each test."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}
"""The tests' own git calls must not depend on the person who runs them."""

CONFIG = """\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = false
\tlogallrefupdates = true
[user]
\tname = Ada
\temail = ada@example.org
"""

REMOTE = """\
[remote "origin"]
\turl = {url}
\tfetch = +refs/heads/*:refs/remotes/origin/*
"""


@dataclass(frozen=True)
class Sample:
    """A repository on branch main with three files, and its bare origin, if it has one."""

    root: Path

    @cached_property
    def origin(self) -> Path:
        return self.root.with_name(self.root.name + ".git")

    def git(self, *arguments: str, where: Path | None = None, fails: bool = False) -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments],
            cwd=where or self.root,
            env=ENVIRONMENT,
            capture_output=True,
            check=False,
        )
        assert fails or done.returncode == 0, (arguments, done.stderr.decode())
        return os.fsdecode(done.stdout).strip()

    def commit(self, name: str, text: str, *, where: Path | None = None, message: str = "") -> str:
        """Commit one file; gives the sha."""
        path = (where or self.root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.git("add", "--force", "--", name, where=where)
        self.git("commit", "--quiet", "-m", message or f"Change {name}", where=where)
        return self.git("rev-parse", "HEAD", where=where)

    def sha(self, name: str, *, where: Path | None = None) -> str:
        """The full sha of a revision, '' where there is none."""
        return self.git("rev-parse", "--verify", "--quiet", name, where=where, fails=True)

    def files(self, revision: str) -> dict[str, str]:
        """The files of a commit and what is in them."""
        listing = self.git("ls-tree", "-r", "-z", "--format=%(objectname) %(path)", revision)
        pairs = [entry.split(" ", 1) for entry in listing.split("\0") if entry]
        done = subprocess.run(
            ["git", "cat-file", "--batch"],
            input="\n".join(sha for sha, _ in pairs).encode(),
            cwd=self.root,
            env=ENVIRONMENT,
            capture_output=True,
            check=True,
        )
        found, rest = {}, done.stdout
        for _, name in pairs:
            header, _, rest = rest.partition(b"\n")
            size = int(header.split()[2])
            found[name], rest = rest[:size].decode().strip(), rest[size + 1 :]
        return found

    def push_elsewhere(self, name: str, text: str, *, branch: str = "main") -> str:
        """Somebody else pushes a commit to a branch of origin, by default the base; gives the sha."""
        clone = self.root.with_name(f"{self.root.name}-clone-{time.monotonic_ns()}")
        self.git("clone", "--quiet", str(self.origin), str(clone), where=self.root.parent)
        self.git("checkout", "--quiet", branch, where=clone)
        sha = self.commit(name, text, where=clone)
        self.git("push", "--quiet", "origin", f"HEAD:{branch}", where=clone)
        shutil.rmtree(clone)
        return sha


class Samples:
    """Makes samples by copying one that git made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        first = Sample(folder / "first")
        first.root.mkdir(parents=True)
        first.git("init", "--quiet", "-b", "main", "--template=")
        (first.root / ".git" / "config").write_text(CONFIG)
        (first.root / ".gitignore").write_text("*.log\nbuild/\n")
        (first.root / "src").mkdir()
        (first.root / "src" / "app.py").write_text("print('hello')\n")
        first.commit("README.md", "# Sample\n", message="Start")
        first.git("add", ".")
        first.git("commit", "--quiet", "-m", "The program")
        first.git("clone", "--quiet", "--bare", "--no-local", str(first.root), str(first.origin))
        self._first = first

    def make(self, folder: Path, *, origin: bool = True) -> Sample:
        sample = Sample(folder / "project")
        shutil.copytree(self._first.root, sample.root)
        if origin:
            shutil.copytree(self._first.origin, sample.origin)
            with (sample.root / ".git" / "config").open("a") as config:
                config.write(REMOTE.format(url=sample.origin))
            tracking = sample.root / ".git" / "refs" / "remotes" / "origin" / "main"
            tracking.parent.mkdir(parents=True)
            shutil.copyfile(sample.root / ".git" / "refs" / "heads" / "main", tracking)
        return sample


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Call all of them in threads of their own; gives what they gave, or the exceptions they raised."""
    results: list[object] = [None] * len(calls)
    together = threading.Barrier(len(calls))

    def run(number: int) -> None:
        together.wait()
        try:
            results[number] = calls[number]()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def wait_for(happened: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for what nothing tells of."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)
