"""The token: where it comes from, what it opens, and that it is found nowhere else."""

import logging
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from orch.adapters import git, redaction
from orch.adapters.forge.github.credentials import Credentials
from orch.adapters.origin import Origin
from orch.core.forge import Telling, Wanted
from orch.errors import ConfigError, OrchError, TransientError
from orch.ports import PullDraft
from tests.adapters.hub import Desk, credentials_of, desk
from tests.adapters.repositories import ENVIRONMENT
from tests.github.fake import BOT, FakeGitHub
from tests.github.faults import Dropped, Nonsense, ServerError

BRANCH = "orch/gh-1-fix"
TOKEN = "ghp_PlantedTokenThatMustBeFoundNowhere77"


@pytest.fixture
def here(github: FakeGitHub, tmp_path: Path) -> Iterator[Desk]:
    github.add_token(TOKEN, BOT)
    with desk(github, tmp_path, token=TOKEN) as made:
        yield made


# --- where it comes from -----------------------------------------------------------------------------------


def program(folder: Path, script: str) -> dict[str, str]:
    """An environment whose PATH begins with a `gh` of this kind."""
    folder.mkdir()
    path = folder / "gh"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("environ", "variable", "token", "source"),
    [
        ({"GITHUB_TOKEN": f" {TOKEN}\n", "GH_TOKEN": "ghp_another"}, "", TOKEN, "$GITHUB_TOKEN"),
        ({"GITHUB_TOKEN": "", "GH_TOKEN": TOKEN}, "", TOKEN, "$GH_TOKEN"),
        ({"MINE": TOKEN, "GITHUB_TOKEN": "ghp_another"}, "MINE", TOKEN, "$MINE"),
    ],
)
def test_a_variable_is_asked_first(environ: dict[str, str], variable: str, token: str, source: str) -> None:
    credentials = Credentials("https://github.com", environ, variable=variable)
    assert (credentials.token(), credentials.source) == (token, source)
    assert redaction.redact(f"x{token}x") == "x***x"


def test_gh_is_asked_for_the_host(tmp_path: Path) -> None:
    environ = program(tmp_path / "bin", f'[ "$*" = "auth token --hostname ghe.example.com" ] && echo {TOKEN}')
    credentials = Credentials("https://ghe.example.com", environ)
    assert (credentials.token(), credentials.source) == (TOKEN, "gh auth token")
    with pytest.raises(ConfigError, match=r"no token for github\.com") as caught:
        Credentials("https://github.com", environ).token()
    assert "gh auth login" in caught.value.hint


def test_without_gh_the_way_out_names_the_variable() -> None:
    with pytest.raises(ConfigError) as caught:
        Credentials("https://github.com", {"PATH": "/nowhere"}, variable="MINE").token()
    assert "set $MINE" in caught.value.hint


def test_what_is_no_token_is_refused_without_showing_it(tmp_path: Path) -> None:
    for environ in (
        {"GITHUB_TOKEN": "secret words with blanks"},
        {"GITHUB_TOKEN": "short"},
        program(tmp_path / "bin", "echo 'secret words'"),
    ):
        with pytest.raises(ConfigError, match="holds no token") as caught:
            Credentials("https://github.com", environ).token()
        assert "secret" not in str(caught.value)


def test_a_gh_that_cannot_be_started(tmp_path: Path) -> None:
    environ = program(tmp_path / "bin", "")
    (tmp_path / "bin" / "gh").write_bytes(b"\x7fELF no program")
    with pytest.raises((ConfigError, TransientError)):
        Credentials("https://github.com", environ).token()


# --- git logs in with it, and only where it belongs -------------------------------------------------------


def test_a_fetch_and_a_push_log_in(github: FakeGitHub, here: Desk) -> None:
    theirs = github.push("main", {"b.txt": "b"})
    origin = Origin(here.sample.root, "main", retries=(), access=here.credentials.git_environment)
    assert origin.fetch()
    assert origin.tip() == theirs
    with pytest.raises(TransientError):
        Origin(here.sample.root, "main", retries=()).fetch()
    here.commit(BRANCH, "a.txt", "a")
    assert here.forge().publish(PullDraft(BRANCH, "Fix", "")).head == github.head(BRANCH)


def test_another_host_gets_nothing(github: FakeGitHub, here: Desk) -> None:
    asked = here.sample.root.parent / "asked"
    for url, expected in ((github.url, TOKEN), ("https://evil.example", ""), ("http://localhost:1", "")):
        env = {
            **ENVIRONMENT,
            **here.credentials.git_environment(),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
        }
        asked.write_text(f"url={url}\n\n")
        done = git.run(
            here.sample.root, "credential", "fill", stdin=asked.read_bytes(), env=env, accept=(0, 128)
        )
        assert (f"password={TOKEN}" in done.text) == bool(expected), url
    asked.unlink()


def test_a_helper_that_stores_passwords_is_not_handed_ours(github: FakeGitHub, here: Desk) -> None:
    store = here.sample.root.parent / "store"
    here.sample.git("config", "credential.helper", f"store --file={store}")
    here.sample.git("config", f"credential.{github.url}.helper", f"store --file={store}")
    here.commit(BRANCH, "a.txt", "a")
    here.forge().publish(PullDraft(BRANCH, "Fix", ""))
    assert not store.exists()


def test_settings_that_a_person_hands_to_git_stay(github: FakeGitHub, here: Desk) -> None:
    environ = {"GITHUB_TOKEN": TOKEN, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "a.b"}
    env = credentials_of(github, environ).git_environment()
    assert (env["GIT_CONFIG_COUNT"], env["GIT_CONFIG_VALUE_1"]) == ("3", "")
    assert "GIT_CONFIG_KEY_0" not in env
    odd = credentials_of(github, {"GITHUB_TOKEN": TOKEN, "GIT_CONFIG_COUNT": "many"}).git_environment()
    assert odd["GIT_CONFIG_COUNT"] == "2"


def test_without_a_token_git_is_left_to_the_person() -> None:
    assert Credentials("https://github.com", {"PATH": "/nowhere"}).git_environment() == {}


# --- and nowhere else ---------------------------------------------------------------------------------------


class Watch:
    """Reads the command lines and environments of all our children, as often as it can."""

    def __init__(self) -> None:
        self.seen: dict[str, set[str]] = {"argv": set(), "environ": set()}
        self.looks = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.looks += 1
            for process in self._children(os.getpid()):
                self._look(process)

    def _children(self, pid: int) -> Iterator[int]:
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            return
        for child in children:
            yield int(child)
            yield from self._children(int(child))

    def _look(self, pid: int) -> None:
        try:
            # In this order: what has the environment of a program has its command line too.
            environ = Path(f"/proc/{pid}/environ").read_bytes()
            argv = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return
        if TOKEN in argv:
            self.seen["argv"].add(argv)
        if TOKEN.encode() in environ:
            self.seen["environ"].add(argv)


def texts(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path, path.read_bytes()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at /proc")
@pytest.mark.usefixtures("contracts")
def test_a_planted_token_is_found_nowhere(
    github: FakeGitHub,
    here: Desk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not on the disk, in no argv, log, error or output; in the environment of git's push and fetch alone."""
    traces = tmp_path / "traces"
    traces.mkdir()
    # The person is looking for a mistake of their own, and has git tell everything.
    for name in ("GIT_TRACE", "GIT_TRACE_CURL", "GIT_TRACE_PACKET", "GIT_TRACE2", "GIT_TRACE2_EVENT"):
        monkeypatch.setenv(name, str(traces / name))
    monkeypatch.setenv("GIT_TRACE_REDACT", "0")
    monkeypatch.setenv("GIT_CURL_VERBOSE", "1")
    monkeypatch.setenv("GIT_TRACE2_ENV_VARS", "ORCH_GIT_PASSWORD,GITHUB_TOKEN")
    caplog.set_level(logging.DEBUG)
    errors: list[str] = []

    def attempt(what: object) -> None:
        try:
            what()  # type: ignore[operator]
        except OrchError as error:
            while error is not None:
                errors.append(f"{error!r} {error} {error.__cause__!r}")
                error = error.__cause__  # type: ignore[assignment]

    with Watch() as watch:
        github.open_issue("Bug", labels=["orch"])
        here.commit(BRANCH, "a.txt", "a")
        forge, tracker, reviews = here.forge(), here.tracker(), here.reviews()
        github.faults.add("POST", "*/pulls", Nonsense())
        github.faults.add("GET", "*/pulls", Dropped(after_write=False), times=2)
        github.faults.add("*", "*/git-receive-pack", ServerError())
        for _ in range(5):
            attempt(lambda: forge.publish(PullDraft(BRANCH, "Fix", "Text")))
        assert len(github.state.pulls()) == 1
        number = github.state.pulls()[0][0].number
        check = github.finish_check(number, "build", "failure", log=f"echo {TOKEN}")
        url = f"{github.url}/acme/widget/pull/{number}"
        status = (tracker.look(Wanted(pulls=frozenset({url}))).pulls or {})[url]
        tracker.tell(1, Telling("Started"))
        assert reviews.tails(status.jobs) == {"CI / build": "echo ***"}
        github.merge(number)
        assert reviews.retire(status) == ""
        here.forge().check()
        github.state.tokens.pop(TOKEN)
        attempt(lambda: forge.publish(PullDraft(BRANCH, "Fix", "Text")))
        attempt(lambda: git.run(here.sample.root, "fetch", "origin", env=here.credentials.git_environment()))
    assert errors, "something went wrong, as it was meant to"
    assert watch.looks > 10
    assert watch.seen["argv"] == set()
    # One that is just ending has no command line any more.
    ours = ("git", "ORCH_GIT_PASSWORD")
    assert not [argv for argv in watch.seen["environ"] if argv and not any(word in argv for word in ours)]
    assert not [path for path, data in texts(tmp_path) if TOKEN.encode() in data]
    output = capfd.readouterr()
    told = {"errors": "\n".join(errors), "log": caplog.text, "out": output.out, "err": output.err}
    assert not [place for place, text in told.items() if TOKEN in text]
    assert check.log
    assert here.warnings == []
