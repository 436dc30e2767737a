"""The token: where it comes from, and how git gets it without writing it down anywhere.

It lives in this process alone: not on disk, in no argv, log or error, and in the environment of no child
but the one git that talks to GitHub's own host. The person's pre-push hook is a part of it: git-lfs, for
one, has to log in there too.
"""

import re
import shutil
import subprocess
import threading
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from orch.adapters import redaction
from orch.errors import ConfigError, TransientError

DEFAULT_VARIABLES = ("GITHUB_TOKEN", "GH_TOKEN")
"""Where `[forge] token_env` names no other."""

GH_SECONDS = 20.0
"""How long `gh auth token` may take: it may have to open a key ring."""

_TOKEN = re.compile(r"[\x21-\x7e]{8,4096}")
"""What can stand in a header. Anything else would be shown in the error that it causes."""

_VARIABLE = "ORCH_GIT_PASSWORD"
_HELPER = (
    '!f() { test "$1" = get || return 0; '
    f"printf 'username=x-access-token\\npassword=%s\\n' \"${_VARIABLE}\"; }}; f"
)
"""git runs it with `sh`, whose printf is its own: the password is in no argv."""

UNTRACED = (
    *("GIT_TRACE", "GIT_TRACE_CURL", "GIT_TRACE_PACKET", "GIT_TRACE_PACK_ACCESS", "GIT_TRACE_SETUP"),
    *("GIT_TRACE2", "GIT_TRACE2_EVENT", "GIT_TRACE2_PERF", "GIT_TRACE2_ENV_VARS", "GIT_TRACE2_CONFIG_PARAMS"),
)
"""Where git would tell what it sends and what stands in its environment: off while it has a token."""


class Credentials:
    """The token of one GitHub. Safe to use from any thread."""

    def __init__(self, site: str, environ: Mapping[str, str], *, variable: str = "") -> None:
        """Take the token for `site` from `variable` of `environ`, or else from `gh auth token`.

        '' means GITHUB_TOKEN or GH_TOKEN.
        """
        self._site = site
        self._host = urlsplit(site).hostname or ""
        self._environ = environ
        self._variables = (variable,) if variable else DEFAULT_VARIABLES
        self._token = ""
        self.source = ""
        """Where the token came from, for people; '' before it was asked for."""
        self._lock = threading.Lock()

    def token(self) -> str:
        """The token. Raises ConfigError, with the way out, where there is none."""
        with self._lock:
            if not self._token:
                self._token, self.source = self._find()
                redaction.keep(self._token)
            return self._token

    def forget(self) -> None:
        """Ask again the next time: GitHub has refused it, and a person may have set a new one."""
        with self._lock:
            self._token = ""

    def git_environment(self) -> Mapping[str, str]:
        """What lets git log in at the host of the address, and only there, without keeping anything.

        Empty where there is no token: the person's own way of logging in is then as good as any.
        """
        try:
            token = self.token()
        except (ConfigError, TransientError):
            return {}
        section = f"credential.{self._site}"
        # The empty helper takes away those before it: one that stores passwords would be handed ours.
        settings = ((f"{section}.helper", ""), (f"{section}.helper", _HELPER))
        start = _count(self._environ.get("GIT_CONFIG_COUNT", ""))
        found = {"GIT_CONFIG_COUNT": str(start + len(settings)), _VARIABLE: token, "GIT_TRACE_REDACT": "1"}
        for number, (key, value) in enumerate(settings, start):
            found[f"GIT_CONFIG_KEY_{number}"] = key
            found[f"GIT_CONFIG_VALUE_{number}"] = value
        found.update(dict.fromkeys(UNTRACED, "0"))
        return MappingProxyType(found)

    def _find(self) -> tuple[str, str]:
        for name in self._variables:
            if value := self._environ.get(name, "").strip():
                return _checked(value, f"${name}"), f"${name}"
        command = ("gh", "auth", "token", "--hostname", self._host)
        said = _ask_gh(command, self._environ)
        if said:
            return _checked(said, "gh auth token"), "gh auth token"
        names = " or ".join(f"${name}" for name in self._variables)
        raise ConfigError(
            f"there is no token for {self._host}", hint=f"set {names}, or log in: gh auth login"
        )


def _ask_gh(command: tuple[str, ...], environ: Mapping[str, str]) -> str:
    """What GitHub's own command line has for a host, '' where there is none, or no such program."""
    program = shutil.which(command[0], path=environ.get("PATH"))
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, *command[1:]],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=GH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TransientError(f"gh auth token took more than {GH_SECONDS:g} s") from None
    except OSError as error:
        raise TransientError(f"cannot start gh: {error.strerror}") from error
    return done.stdout.strip() if done.returncode == 0 else ""


def _checked(value: str, source: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise ConfigError(f"{source} holds no token", hint="it must be one word, without quotes or blanks")
    return value


def _count(value: str) -> int:
    """How many settings the person hands to git in the environment already: theirs come first."""
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 5 else 0
