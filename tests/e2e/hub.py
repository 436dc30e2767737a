"""A real project whose origin is the fake GitHub: real HTTP, real git, orch as a process."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.projects import Project, make_project
from tests.github.fake import BOT, FakeGitHub
from tests.github.state import Issue, Pull

CONFIG = """
[forge]
kind = "github"
repository = "acme/widget"
api_url = "{url}"
poll_interval_seconds = 1
"""


@dataclass
class Hub:
    """A project and its GitHub."""

    project: Project
    github: FakeGitHub

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return self.project.start(*words, GITHUB_TOKEN=self.github.token)

    def kill(self) -> None:
        """kill -9 of the coordinator that runs."""
        child = self.project.children[-1]
        child.kill()
        child.wait()

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Wait until it is so, with a coordinator: one that was killed is started again."""

        def look() -> object:
            if not self.project.children or self.project.children[-1].poll() is not None:
                self.start()
            return condition()

        self.project.wait_for(look, what)

    def orch(self, *words: str, code: int = 0) -> str:
        return self.project.orch(*words, code=code, GITHUB_TOKEN=self.github.token)

    def pulls(self) -> list[tuple[Issue, Pull]]:
        with self.github.at_once():
            return list(self.github.state.pulls())

    def wait_for_pull(self, branch: str) -> int:
        """The number of the pull request of a branch, once it is there."""
        found: list[int] = []

        def look() -> bool:
            found[:] = [issue.number for issue, pull in self.pulls() if pull.head.startswith(branch)]
            return bool(found)

        self.wait_for(look, f"a pull request of {branch}")
        return found[0]

    def wait_for_head(self, number: int, before: str) -> str:
        """The head of a pull request, once it is another than `before`."""
        self.wait_for(lambda: self.github.pull(number).head_sha != before, "another head")
        return self.github.pull(number).head_sha

    def wait_for_line(self, text: str) -> None:
        """Wait until tasks.md says that."""
        self.wait_for(lambda: text in self.project.tasks, text)

    def comments_of_orch(self, number: int) -> list[str]:
        with self.github.at_once():
            return [note.body for note in self.github.state.issues[number].comments if note.user == BOT]

    def wait_for_comment(self, number: int, text: str) -> None:
        """Wait until the one comment of orch on an issue says that."""
        self.wait_for(
            lambda: any(text in body for body in self.comments_of_orch(number)), f"a comment: {text}"
        )
        assert len(self.comments_of_orch(number)) == 1

    def prompt(self, run: str) -> str:
        return (self.project.root / ".orch" / "runs" / run / "prompt.md").read_text()


def make_hub(folder: Path, github: FakeGitHub, *config: str) -> Hub:
    """A checkout of the fake's repository with an agent and a config.toml; `config` is more of [forge]."""
    project = make_project(folder, [CONFIG.format(url=github.api_url), *config])
    project.git("fetch", "-q", str(github.path), "+refs/heads/main:refs/heads/main", "--update-head-ok")
    project.git("reset", "-q", "--hard", "main")
    project.git("remote", "set-url", "origin", github.clone_url)
    project.git("update-ref", "refs/remotes/origin/main", "main")
    return Hub(project, github)
