"""The bare repository behind the fake GitHub. Everything about commits comes from git itself.

Needs git 2.38 or later, which brought `git merge-tree --write-tree`.
"""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SECONDS = 30
"""How long one git command may take."""

GIT_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Fake GitHub",
    "GIT_AUTHOR_EMAIL": "noreply@example.invalid",
    "GIT_COMMITTER_NAME": "Fake GitHub",
    "GIT_COMMITTER_EMAIL": "noreply@example.invalid",
    "LC_ALL": "C",
}
PERSON = "Fake GitHub <noreply@example.invalid>"
COMMIT_FORMAT = "%H%x1f%T%x1f%P%x1f%an%x1f%ae%x1f%aI%x1f%cn%x1f%ce%x1f%cI%x1f%B%x1e"


def environment() -> dict[str, str]:
    """An environment in which git depends on nobody's settings."""
    return {"PATH": os.environ["PATH"], **GIT_ENVIRONMENT}


@dataclass(frozen=True)
class Commit:
    sha: str
    tree: str
    parents: tuple[str, ...]
    author: tuple[str, str, str]
    """Name, address, time in ISO 8601."""
    committer: tuple[str, str, str]
    message: str


@dataclass(frozen=True)
class FileChange:
    path: str
    old_path: str
    status: str
    additions: int
    deletions: int
    blob: str


class Repository:
    """A bare repository at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def make(cls, path: Path, branch: str = "main") -> "Repository":
        """A new repository whose branch has one commit."""
        path.mkdir(parents=True)
        made = cls(path)
        made.git("init", "-q", "--bare", "-b", branch, ".")
        made.commit(branch, {"README.md": "# Sample\n"}, "Start")
        return made

    def git(self, *words: str, text: str = "", more: Mapping[str, str] | None = None) -> str:
        """What a git command prints. Raises CalledProcessError where it fails."""
        return subprocess.run(
            ["git", *words],
            cwd=self.path,
            env={**environment(), **(more or {})},
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
            check=True,
        ).stdout

    def _succeeds(self, *words: str) -> bool:
        """What a git command that answers with its exit code says: 0 or 1, all else is an error."""
        try:
            self.git(*words)
        except subprocess.CalledProcessError as error:
            if error.returncode == 1:
                return False
            raise
        return True

    # --- looking --------------------------------------------------------------------------------------

    def branches(self) -> dict[str, str]:
        """The head of every branch."""
        lines = self.git("for-each-ref", "--format=%(objectname) %(refname:strip=2)", "refs/heads/")
        return {name: sha for sha, _, name in (line.partition(" ") for line in lines.splitlines())}

    def resolve(self, name: str) -> str | None:
        """The full sha of a branch or of a (short) sha, None where there is no such commit."""
        for candidate in (f"refs/heads/{name}", name):
            try:
                words = ("rev-parse", "-q", "--verify", "--end-of-options", f"{candidate}^{{commit}}")
                return self.git(*words).strip()
            except subprocess.CalledProcessError:
                continue
        return None

    def commits(self, base: str, head: str, *, limit: int = 250) -> list[Commit]:
        """The commits of `head` that `base` has not, oldest first; 250 is GitHub's own limit."""
        words = ("log", "--reverse", "--topo-order", f"-n{limit}", f"--format={COMMIT_FORMAT}")
        return _parse_commits(self.git(*words, f"{base}..{head}", "--"))

    def commit_of(self, sha: str) -> Commit:
        return _parse_commits(self.git("log", "-n1", f"--format={COMMIT_FORMAT}", sha, "--"))[0]

    def count(self, base: str, head: str) -> int:
        return int(self.git("rev-list", "--count", f"{base}..{head}", "--"))

    def has(self, head: str, commit: str) -> bool:
        """Whether a commit is in the history of another one."""
        return self._succeeds("merge-base", "--is-ancestor", commit, head)

    def files(self, base: str, head: str) -> list[FileChange]:
        """What `head` changed since it left `base`."""
        raw = self.git("diff", "--raw", "--no-abbrev", "-M", "-z", f"{base}...{head}", "--").split("\0")
        numbers = self.git("diff", "--numstat", "-M", "-z", f"{base}...{head}", "--").split("\0")
        kinds = {"A": "added", "D": "removed", "R": "renamed", "C": "copied"}
        found = []
        while raw and raw[0]:
            _, _, _, blob, letter = raw.pop(0).split(" ")
            old_path = path = raw.pop(0)
            added, deleted, name = numbers.pop(0).split("\t")
            if not name:  # A rename: both paths follow on their own.
                del numbers[:2]
                path = raw.pop(0)
            status = kinds.get(letter[0], "modified")
            # A binary file has no lines.
            sizes = [0 if number == "-" else int(number) for number in (added, deleted)]
            found.append(FileChange(path, old_path, status, sizes[0], sizes[1], blob))
        return found

    def patch(self, base: str, head: str, path: str) -> str:
        """The hunks of one file, as GitHub shows them."""
        text = self.git("diff", "-M", f"{base}...{head}", "--", path)
        at = text.find("\n@@")
        return text[at + 1 :].rstrip("\n") if at >= 0 else ""

    # --- changing -------------------------------------------------------------------------------------

    def commit(self, branch: str, files: Mapping[str, str | None], message: str, *, start: str = "") -> str:
        """A person pushes a commit with these texts (None removes a file); gives its sha.

        A branch that is not there begins at `start`, or with nothing.
        """
        parent = self.resolve(branch) or (self.resolve(start) if start else None)
        lines = [f"commit refs/heads/{branch}", "mark :1", f"committer {PERSON} now", _data(message)]
        if parent:
            lines.append(f"from {parent}")
        for path, text in files.items():
            name = '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
            lines += [f"D {name}"] if text is None else [f"M 100644 inline {name}", _data(text)]
        lines.append("get-mark :1\n")
        return self.git(
            "fast-import", "--quiet", "--force", "--date-format=now", text="\n".join(lines)
        ).strip()

    def merged_tree(self, base: str, head: str) -> str | None:
        """The tree of both together, None where they conflict."""
        try:
            return self.git("merge-tree", "--write-tree", base, head).split("\n", 1)[0]
        except subprocess.CalledProcessError as error:
            # An error ends with 1 as well, but without a tree.
            if error.returncode == 1 and error.stdout.strip():
                return None
            raise

    def merge(self, branch: str, head: str, message: str, *, squash: bool = False) -> str | None:
        """Merge a commit into a branch; gives the new head, None where they conflict."""
        base = self.git("rev-parse", f"refs/heads/{branch}").strip()
        tree = self.merged_tree(base, head)
        if tree is None:
            return None
        sha = self._commit_tree(tree, [base] if squash else [base, head], message)
        self.git("update-ref", f"refs/heads/{branch}", sha, base)
        return sha

    def move(self, branch: str, sha: str) -> None:
        self.git("update-ref", f"refs/heads/{branch}", sha)

    def delete(self, branch: str) -> None:
        self.git("update-ref", "-d", f"refs/heads/{branch}")

    def _commit_tree(self, tree: str, parents: list[str], message: str) -> str:
        words = [word for parent in parents for word in ("-p", parent)]
        return self.git("commit-tree", tree, *words, "-F", "-", text=message).strip()


def _data(text: str) -> str:
    """A text for fast-import, which wants to know its bytes beforehand."""
    return f"data {len(text.encode())}\n{text}"


def _parse_commits(text: str) -> list[Commit]:
    commits = []
    for record in text.split("\x1e")[:-1]:
        sha, tree, parents, *people, message = record.lstrip("\n").split("\x1f")
        author, committer = (people[0], people[1], people[2]), (people[3], people[4], people[5])
        commits.append(Commit(sha, tree, tuple(parents.split()), author, committer, message.rstrip("\n")))
    return commits
