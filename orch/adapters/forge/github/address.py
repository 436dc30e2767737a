"""Where a repository lies: its name, its API, its web site, and the host that git talks to."""

import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from orch.adapters import git
from orch.core.values import dataclass
from orch.errors import ConfigError

GITHUB_API = "https://api.github.com"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*(?:_[A-Za-z0-9]+)?/[A-Za-z0-9._-]+")
"""owner/name. An owner with an underscore is a managed user of an enterprise."""

_SCP = re.compile(r"(?:[^@/:]+@)?(?P<host>[^/:@]+):(?P<path>[^/].*)")
"""What git takes for ssh without saying so: git@github.com:owner/name.git"""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_SETTING = 'set [forge] repository = "owner/name" in config.toml'


@dataclass(frozen=True, slots=True)
class Address:
    """One repository of one GitHub."""

    site: str
    """Of the pages for people and of git over HTTP: scheme and host."""
    name: str
    """owner/name."""


def locate(root: Path, *, api_url: str = "", repository: str = "") -> Address:
    """The address of the repository that the checkout at `root` belongs to.

    An empty `repository` means that of `origin`. Raises ConfigError, with the way out, where it cannot
    be told or the token would go over the wire unencrypted.
    """
    site = site_of(api_url or GITHUB_API)
    if repository:
        if not _NAME.fullmatch(repository) or ".." in repository:
            raise ConfigError(f"[forge] repository: {repository!r} is not owner/name")
        return Address(site, repository)
    url = git.run(root, "ls-remote", "--get-url", "origin").text
    host, name = _parse(url)
    if not name:
        raise ConfigError(f"origin of {root} is no repository of GitHub", hint=_SETTING)
    if host != _host(site):
        hint = f'{_SETTING}, or [forge] api_url = "https://{host}/api/v3"'
        raise ConfigError(f"origin is at {host}, but [forge] api_url is that of {_host(site)}", hint=hint)
    return Address(site, name)


def origin_name(root: Path, address: Address) -> str:
    """The owner/name of `origin`, '' where it is no repository of this GitHub."""
    host, name = _parse(git.run(root, "ls-remote", "--get-url", "origin").text)
    return name if host == _host(address.site) else ""


def site_of(api: str) -> str:
    """The web site that belongs to an API: api.github.com, api.NAME.ghe.com, or HOST/api/v3.

    Raises ConfigError for what is no such address, or would send the token unencrypted.
    """
    try:
        parts = urlsplit(api.rstrip("/"))
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        host, parts = "", SplitResult("", "", "", "", "")
    if parts.scheme not in {"https", "http"} or not host or parts.username or parts.query:
        raise ConfigError("[forge] api_url is not the address of an API", hint=f"for example {GITHUB_API}")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise ConfigError(f"[forge] api_url: a token is not sent to {host} without https")
    place = parts.netloc
    if host.startswith("api.") and not parts.path:
        place = place.removeprefix("api.")
    return f"{parts.scheme}://{place}"


def _host(site: str) -> str:
    """The host by which two addresses are told apart, with a port that is not the usual one."""
    return urlsplit(site).netloc.lower()


def _parse(url: str) -> tuple[str, str]:
    """The host and the owner/name in a git URL; '' for a name that is none."""
    if "://" in url:
        try:
            parts = urlsplit(url)
            host, path, port = (parts.hostname or "").lower(), parts.path, parts.port
        except ValueError:
            return "", ""
        if port and parts.scheme in {"http", "https"}:
            host = f"{host}:{port}"
    elif found := _SCP.fullmatch(url):
        host, path = found["host"].lower(), found["path"]
    else:
        return "", ""
    # Behind many a firewall only port 443 is open: GitHub's documentation of ssh.
    host = "github.com" if host == "ssh.github.com" else host
    name = path.strip("/").removesuffix(".git")
    return host, name if _NAME.fullmatch(name) else ""
