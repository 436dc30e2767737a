"""The environment: the only place that reads or changes os.environ."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

AGENT_COMMAND = "AGENT_COMMAND"
"""Overrides the command of the default agent, for trying things."""

ALLOWED = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TERM",
        "TMPDIR",
        # Where the certificates lie: paths, without which nothing behind a company's proxy works.
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        # Who commits, and which configuration git reads. A name and a path are no secrets.
        "GIT_AUTHOR_NAME",
        "GIT_AUTHOR_EMAIL",
        "GIT_COMMITTER_NAME",
        "GIT_COMMITTER_EMAIL",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "GIT_CONFIG_NOSYSTEM",
    }
)
"""What a worker gets of orch's own environment (design section 9)."""
ALLOWED_PREFIXES = ("LC_", "XDG_")

OF_AGENTS = {"claude": ("CLAUDE_CONFIG_DIR",), "codex": ("CODEX_HOME",)}
"""What a kind of agent gets besides: where its settings and its login lie. A path is no secret."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_FORGES = "GITHUB|GHE?|GITLAB|GL|BITBUCKET|GITEA|FORGEJO|CODEBERG|AZURE_DEVOPS|GIT|ACTIONS|CI_JOB|CI"
_SECRETS = "TOKEN|PAT|PASSWORD|PASS|SECRET|KEY|JWT|ASKPASS"
FORGE_TOKEN = re.compile(rf"(?:.*_)?(?:{_FORGES})(?:_(?:.*_)?)?(?:{_SECRETS})(?:_.*)?", re.IGNORECASE)
"""Names of variables that let their holder push or speak for a person at a forge."""
FORGE_ACCESS = frozenset({"SSH_AUTH_SOCK", "SSH_ASKPASS"})
"""Not called a token, but the same thing: an agent's key ring signs a push."""

# What git itself calls local to a repository (`git rev-parse --local-env-vars`), without the settings
# of GIT_CONFIG_COUNT, which people use for all repositories alike; and what git sets for its hooks.
INHERITED_FROM_GIT = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_CONFIG",
        "GIT_CONFIG_PARAMETERS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_GRAFT_FILE",
        "GIT_INDEX_FILE",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_REPLACE_REF_BASE",
        "GIT_PREFIX",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_SHALLOW_FILE",
        "GIT_COMMON_DIR",
        "GIT_NAMESPACE",
        "GIT_QUARANTINE_PATH",
        "GIT_AUTHOR_DATE",
        "GIT_COMMITTER_DATE",
        "GIT_REFLOG_ACTION",
        "GIT_EDITOR",
        "GIT_SEQUENCE_EDITOR",
    }
)


NO_MAINTENANCE = ("gc.auto=0", "maintenance.auto=false")
"""Settings by which a git command does not put the repository in order on the side."""

_SECRET_NAME = re.compile("TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL|KEY|JWT", re.IGNORECASE)
SECRET_LENGTH = 8
"""Shorter values are words that stand in any text."""


def is_secret(name: str, value: str) -> bool:
    """Whether a variable's name says that its value must not be shown."""
    return len(value) >= SECRET_LENGTH and _SECRET_NAME.search(name) is not None


def secrets_in(environ: Mapping[str, str], *, token: str = "") -> frozenset[str]:
    """The values in an environment whose names say that they are secret. A path is none, only its file is.

    `token` is the variable that holds the token of the forge, whatever it is called.
    """
    return frozenset(
        value
        for name, value in environ.items()
        if (is_secret(name, value) or name == token or is_forge_token(name))
        and len(value) >= SECRET_LENGTH
        and not value.startswith("/")
        and not name.startswith("GIT_CONFIG_")
    )


def current() -> dict[str, str]:
    """A copy of orch's own environment."""
    return dict(os.environ)


def is_journald(descriptor: int) -> bool:
    """Whether journald reads what is written to a descriptor: systemd names its stream (systemd.exec(5))."""
    device, _, number = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return (device, number) == (str(status.st_dev), str(status.st_ino))


def config_home() -> Path:
    """Where a person's programs keep their settings (the XDG base directory specification)."""
    told = os.environ.get("XDG_CONFIG_HOME", "")
    return Path(told) if Path(told).is_absolute() else Path.home() / ".config"


def notify_socket() -> tuple[str, float]:
    """Where systemd listens for how this process does, and the seconds of its watchdog; '' and 0 for none.

    Taken out of the environment: it is for this process alone, and not for what it starts.
    """
    address = os.environ.pop("NOTIFY_SOCKET", "")
    microseconds = os.environ.pop("WATCHDOG_USEC", "")
    pid = os.environ.pop("WATCHDOG_PID", "") or str(os.getpid())
    watched = microseconds.isascii() and microseconds.isdecimal() and pid == str(os.getpid())
    return address, int(microseconds) / 1_000_000 if watched else 0.0


def without_repository() -> dict[str, str]:
    """A copy of orch's own environment without what would point git at one repository."""
    return {name: value for name, value in os.environ.items() if name not in INHERITED_FROM_GIT}


def clean_environment() -> None:
    """Take out of os.environ what git hands to its hooks. Called once, first, by the command line.

    Started from a hook, orch would otherwise work on the hook's repository and index, whatever folder
    it is given.
    """
    for name in INHERITED_FROM_GIT:
        os.environ.pop(name, None)


def allowed(environ: Mapping[str, str], more: Iterable[str] = (), *, token: str = "") -> dict[str, str]:
    """The part of an environment that a worker may have: the allow-list and the names in `more`.

    A forge token is left out, whatever names it, and so is the variable that `token` names.
    """
    wanted = ALLOWED.union(more)
    return {
        name: value
        for name, value in environ.items()
        if (name in wanted or name.startswith(ALLOWED_PREFIXES))
        and not is_forge_token(name)
        and name != token
    }


def without_maintenance(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment in which git commands do not put the repository in order on the side.

    A worker's would be ended with the worker, half-done, and leave a lock by which git never does it
    again, and packs that nothing removes. orch has it done itself, where nothing ends it.
    """
    told = environ.get("GIT_CONFIG_COUNT", "")
    first = int(told) if told.isascii() and told.isdecimal() else 0
    settings: dict[str, str] = {}
    for number, setting in enumerate(NO_MAINTENANCE, start=first):
        key, _, value = setting.partition("=")
        settings |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return {**environ, **settings, "GIT_CONFIG_COUNT": str(first + len(NO_MAINTENANCE))}


def is_forge_token(name: str) -> bool:
    """Whether a variable of this name gives access to a forge."""
    return name.upper() in FORGE_ACCESS or FORGE_TOKEN.fullmatch(name) is not None


def refusal(name: str) -> str:
    """Why a worker may not have a variable of this name, or ''."""
    if NAME.fullmatch(name) is None:
        return "is not the name of an environment variable"
    if is_forge_token(name):
        return "gives access to a forge: orch pushes and opens pull requests itself, no worker gets that"
    if name.upper().startswith("ORCH_"):
        return "is a name of orch's own"
    return ""
