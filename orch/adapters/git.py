"""One vocabulary for git: every call unattended, bounded in time, with an error for people.

What git gets of our own environment is cleaned of what would point it at another repository (orch may have
been started by a git hook). GitPython would cost each start 80 ms and two processes, and each call one more.
"""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from orch.adapters import git_locks
from orch.adapters.redaction import redact
from orch.adapters.ref_files import read_refs
from orch.config import environment
from orch.core.values import dataclass
from orch.errors import ConfigError, OrchError, PermanentError, ShortageError, TransientError

OLDEST = (2, 38)
"""The first with `git merge-tree --write-tree`, by which pull requests are merged without a server."""

_INSTALL = f"install git {OLDEST[0]}.{OLDEST[1]} or newer"

TIMEOUT_SECONDS = 60.0
"""For calls that only touch this repository."""

NETWORK_SECONDS = 120.0
"""For a fetch or a push: ours are single branches."""

CHECKOUT_SECONDS = 900.0
"""For what reads or writes every file of a worktree."""

GRACE_SECONDS = 2.0
"""A call over its time gets SIGTERM first, so that git removes its lock files, and this long for it."""

_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": "true",
    "GIT_SEQUENCE_EDITOR": "true",
    "GIT_MERGE_AUTOEDIT": "no",
    # Each call has a session of its own, so ssh has no terminal to ask at: what BatchMode is for,
    # without putting the person's own core.sshCommand aside.
    "SSH_ASKPASS_REQUIRE": "never",
    "GCM_INTERACTIVE": "never",
    "LC_ALL": "C",
    "LANGUAGE": "C",
}

_SETTINGS = (
    *environment.NO_MAINTENANCE,
    "core.fsmonitor=false",
    "core.safecrlf=false",
    "core.quotePath=false",
    "advice.detachedHead=false",
    "log.showSignature=false",
)

_LACKING = re.compile(
    r"No space left|Disk quota|Read-only file system|Too many open files|Resource temporarily unavailable"
    r"|Cannot allocate memory|[Oo]ut of memory|memory exhausted|error while loading shared libraries"
)
"""What git, or the system for it, says where the machine lacks something."""

_LACKING_SIGNALS = frozenset({signal.SIGKILL, signal.SIGBUS})
"""What the system ends a process with that it has no memory, or no disk behind its memory, for."""

_UNWRITTEN = r"(?:[Cc]ould not|[Cc]ouldn't|[Uu]nable to|[Ff]ailed to|[Cc]annot) (?:write|append)|write error"
"""What git says where it could not write, often without the reason."""

_TRANSIENT = re.compile(
    r"Unable to create '[^']*\.lock'|[Cc]annot lock ref|could not lock|Another git process"
    rf"|{_UNWRITTEN}"
    r"|[Cc]ould not resolve host|Could not read from remote|unable to access"
    r"|[Cc]onnection (?:timed|refus|reset)"
    r"|hung up unexpectedly|early EOF|RPC failed|timed out|Temporary failure|temporarily unavailable"
)
"""What git says of things that pass by themselves or that a person can mend while orch runs."""

_NAME_TAKEN = re.compile(r"'([^']*)' exists; cannot create")
"""A branch `orch` leaves no room for branches `orch/...`: that is a lock that never comes."""

_HINTS = (
    (_NAME_TAKEN, "rename the branch that is in the way: git branch -m"),
    (re.compile(r"dubious ownership"), "git config --global --add safe.directory DIRECTORY"),
    (re.compile(r"No space left|Disk quota"), "free some disk space"),
    (re.compile(_UNWRITTEN), "is there room on the disk?"),
    (re.compile(r"\.lock'"), "another git is at work there, or one was killed: then remove the lock file"),
    (re.compile(r"Permission denied \(publickey|Host key verification"), "try the same git command by hand"),
    (
        re.compile(r"Authentication failed|could not read Username"),
        "set up a credential helper or an ssh key",
    ),
)

_SAID_LENGTH = 4000
_SHOWN_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Output:
    """What a git command gave."""

    code: int
    data: bytes
    """Standard output, as it was."""
    said: str
    """Standard error, one line, without secrets."""

    @property
    def text(self) -> str:
        """Standard output as text without the white space around it; odd bytes as `os.fsdecode`."""
        return os.fsdecode(self.data).strip()

    @property
    def fields(self) -> list[str]:
        """Standard output of a command with -z."""
        return [os.fsdecode(field) for field in self.data.split(b"\0") if field]


def run(
    where: Path,
    *arguments: str,
    timeout: float = TIMEOUT_SECONDS,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    accept: Collection[int] = (0,),
    hold: Sequence[int] = (),
    hooks: bool = False,
    maintains: bool = False,
) -> Output:
    """Run `git ARGUMENTS` in the folder `where` and give what it printed.

    `accept` are the exit codes that are no error. `hold` are descriptors of locks that git keeps for
    as long as it runs, even if orch is killed meanwhile. The repository's hooks run only with `hooks`,
    its settings for maintenance count only with `maintains`. `timeout` is in seconds.

    A lock of orch's own refs that a killed git left is removed, see `git_locks`.

    Raises ConfigError where git itself or the folder is missing, TransientError for what may pass (a
    time-out, a lock, the network, a full disk), PermanentError for any other failure.
    """
    settings = list(_SETTINGS) if hooks else [*_SETTINGS, "core.hooksPath=/dev/null"]
    if maintains:
        settings = [setting for setting in settings if setting not in environment.NO_MAINTENANCE]
    env = {**environment.without_repository(), **_ENVIRONMENT, **(env or {})}
    flags = [part for setting in settings for part in ("-c", setting)]
    command = ["git", *flags, *arguments]
    name = f"git {arguments[0]}" if not arguments[0].startswith("-") else "git"
    output = _run(name, where, command, env, stdin, timeout=timeout, hold=hold)
    if output.code not in accept and git_locks.resolve(where, output.said):
        output = _run(name, where, command, env, stdin, timeout=timeout, hold=hold)
    if output.code not in accept:
        raise failure(name, where, output)
    return output


def _run(
    name: str,
    where: Path,
    command: list[str],
    env: Mapping[str, str],
    stdin: bytes | None,
    *,
    timeout: float,
    hold: Sequence[int],
) -> Output:
    process = _start(where, command, env, stdin is not None, hold)
    try:
        data, said = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        raise TransientError(f"{name} took more than {timeout:g} s in {where}") from None
    except BaseException:
        _end(process)
        raise
    return Output(process.returncode, data, one_line(said))


def failure(name: str, where: Path, output: Output) -> OrchError:
    """The error that a failed git command means: TransientError, PermanentError or ConfigError."""
    said = output.said or f"exit code {output.code}"
    hint = next((hint for pattern, hint in _HINTS if pattern.search(output.said)), "")
    said = said if len(said) <= _SHOWN_LENGTH else "..." + said[3 - _SHOWN_LENGTH :]
    message = f"{name} failed in {where}: {said}"
    if output.code < 0:
        kind = ShortageError if -output.code in _LACKING_SIGNALS else TransientError
        return kind(f"{name} was ended by signal {-output.code} in {where}", hint=hint)
    if _LACKING.search(output.said):
        return ShortageError(message, hint=hint)
    if _TRANSIENT.search(output.said) and not _NAME_TAKEN.search(output.said):
        return TransientError(message, hint=hint)
    return PermanentError(message, hint=hint)


def one_line(said: bytes) -> str:
    """The last words of an error stream as one line, without secrets."""
    text = said.decode("utf-8", "replace")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    wanted = [line for line in lines if line and not line.startswith("hint:")]
    return redact("; ".join(wanted))[-_SAID_LENGTH:]


def check_version(where: Path) -> str:
    """What git calls itself, `git version 2.39.5`; `where` is any folder.

    Raises ConfigError where git is missing or too old.
    """
    said = run(where, "version").text
    found = re.search(r"(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < OLDEST:
        raise ConfigError(f"{said or 'git'} is too old", hint=_INSTALL)
    return said


def common_directory(repository: Path) -> Path:
    """The folder that all worktrees of a repository share, usually `.git`, read without git.

    The layout is git's own: gitrepository-layout(5). Raises ConfigError where there is none.
    """
    place = repository / ".git"
    try:
        if place.is_file():
            text = place.read_text(encoding="utf-8", errors="surrogateescape")
            place = repository / text.removeprefix("gitdir:").strip()
        pointer = place / "commondir"
        if pointer.is_file():
            place /= pointer.read_text(encoding="utf-8", errors="surrogateescape").strip()
        if not (place / "HEAD").is_file():
            raise ConfigError(f"{repository} is not a git repository", hint="git init")
    except OSError as error:
        raise ConfigError(f"cannot read {place}: {error.strerror}") from error
    return place.resolve()


def references(where: Path, *patterns: str) -> dict[str, str]:
    """The refs among `patterns` that exist, with their full shas. `refs/x/` means all that are in there."""
    found = read_references(where, patterns)
    if found is not None:
        return found
    output = run(where, "for-each-ref", "--format=%(refname) %(objectname)", *patterns)
    pairs = (line.split(" ") for line in output.text.splitlines())
    return {name: sha for name, sha in pairs}  # noqa: C416 - dict(pairs) would lose the types


def read_references(where: Path, names: Sequence[str]) -> dict[str, str] | None:
    """As `references`, without a process; None where git has to be asked. `where` may be bare."""
    try:
        bare = (where / "objects").is_dir() and not os.path.lexists(where / ".git")
        return read_refs(where if bare else common_directory(where), names)
    except ConfigError:
        return None  # git itself says best what is wrong with a repository


def is_ancestor(where: Path, old: str, new: str) -> bool:
    """Whether the commit `old` is in the history of `new` (or is it)."""
    return old == new or run(where, "merge-base", "--is-ancestor", old, new, accept=(0, 1)).code == 0


def _start(
    where: Path, command: list[str], env: Mapping[str, str], feed: bool, hold: Sequence[int]
) -> "subprocess.Popen[bytes]":
    if not where.is_dir():
        raise ConfigError(f"{where} is not a folder")
    try:
        return subprocess.Popen(
            command,
            cwd=where,
            env=env,
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=tuple(hold),
        )
    except FileNotFoundError:
        raise ConfigError("git was not found on PATH", hint=_INSTALL) from None
    except OSError as error:
        raise TransientError(f"cannot start git in {where}: {error.strerror}") from error


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a command and its helpers (ssh, filters): they share a session of their own."""
    for number, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            continue
        else:
            return
