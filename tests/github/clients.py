"""The clients that the tests of the fake use: PyGithub, plain HTTP, and git."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from github import Auth, Github, GithubRetry

from tests.github.fake import FakeGitHub
from tests.github.repository import environment

SECONDS = 30


@contextmanager
def connect(
    github: FakeGitHub, *, url: str = "", token: str = "", retry: GithubRetry | None = None
) -> Iterator[Github]:
    """PyGithub without any waiting of its own. Nothing is repeated unless asked."""
    client = Github(
        auth=Auth.Token(token or github.token),
        base_url=url or github.api_url,
        lazy=True,
        per_page=100,
        timeout=SECONDS,
        retry=retry,
        seconds_between_requests=0,
        seconds_between_writes=0,
    )
    try:
        yield client
    finally:
        client.close()


@contextmanager
def plain(github: FakeGitHub, *, token: str | None = None) -> Iterator[requests.Session]:
    """A session that sends the token and does nothing else by itself."""
    with requests.Session() as session:
        session.trust_env = False
        value = github.token if token is None else token
        if value:
            session.headers["Authorization"] = f"Bearer {value}"
        yield session


def git(*words: str, cwd: Path, token: str = "", fails: bool = False) -> str:
    """Run git as a person would; the token goes by the environment, never by the command line."""
    more = {}
    if token:
        helper = "!f() { echo username=x-access-token; echo password=$GIT_TOKEN; }; f"
        more = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "credential.helper",
            "GIT_CONFIG_VALUE_0": helper,
            "GIT_TOKEN": token,
        }
    done = subprocess.run(
        ["git", *words],
        cwd=cwd,
        env={**environment(), "HOME": str(cwd), **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stderr
    return done.stdout.strip() + done.stderr.strip() if fails else done.stdout.strip()
