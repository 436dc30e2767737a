"""What every part of the adapter shares: the repository's place in the API, and who orch is there."""

import threading
from collections.abc import Callable
from functools import cached_property

from orch.adapters.forge.github import shapes
from orch.adapters.forge.github.address import Address
from orch.adapters.forge.github.connection import Connection, StumbleError
from orch.adapters.forge.github.failures import DeniedError

VIEWER = "query viewer { viewer { login } }"


class Hub:
    """One repository of one GitHub, as the holder of the token sees it. Safe to use from any thread.

    Every method raises what `Connection` raises.
    """

    def __init__(self, locate: Callable[[], Address], connection: Connection) -> None:
        """Nothing is asked yet, not even where the repository is: `locate` is called when that matters."""
        self.connection = connection
        self._locate = locate
        self._lock = threading.Lock()
        self._login = self._name = ""
        self._repository: shapes.Repository | None = None

    @cached_property
    def address(self) -> Address:
        """The repository as the settings or the checkout name it. Raises ConfigError where they do not."""
        return self._locate()

    @property
    def name(self) -> str:
        """owner/name as it is now: GitHub lets repositories be renamed."""
        return self._name or self.address.name

    @property
    def owner(self) -> str:
        """Who has the repository."""
        return self.name.partition("/")[0]

    @property
    def variables(self) -> dict[str, str]:
        """What names the repository in a GraphQL query."""
        owner, _, name = self.name.partition("/")
        return {"owner": owner, "name": name}

    def path(self, rest: str = "") -> str:
        """A place in the repository. The first call asks GitHub for the repository's present name."""
        self.repository()
        return f"/repos/{self.name}{rest}"

    def repository(self, *, again: bool = False) -> shapes.Repository:
        """The repository, asked once unless `again`."""
        with self._lock:
            if self._repository is None or again:
                # Of a repository that was renamed, GitHub sends on to its new address.
                found = self.connection.read(f"/repos/{self.name}", shapes.Repository)
                self._repository, self._name = found, found.full_name
            return self._repository

    def login(self) -> str:
        """Who the token belongs to, asked once."""
        with self._lock:
            if not self._login:
                try:
                    self._login = self.connection.read("/user", shapes.Account).login
                except DeniedError:
                    # The token of an app, as GITHUB_TOKEN is in a workflow, is nobody's in REST.
                    self._login = self.connection.ask(VIEWER, {}, shapes.Viewer).viewer.login
            return self._login

    def is_me(self, login: str) -> bool:
        """Whether that is the holder of the token. REST and GraphQL write the names of bots differently."""
        return _bare(login) == _bare(self.login())

    def check_name(self, repository_url: str) -> None:
        """Raise StumbleError where an answer comes from a repository of another name than was asked.

        PyGithub follows the redirect of a renamed repository, but loses the question on the way.
        """
        if repository_url.lower().endswith(f"/repos/{self.name}".lower()):
            return
        with self._lock:
            self._repository = None
        raise StumbleError(f"the repository {self.name} was renamed meanwhile", retry_after=1.0)

    def number_of(self, url: str) -> int:
        """The number of the pull request at a web address, 0 for one that is elsewhere."""
        for name in (self.name, self.address.name):
            start = f"{self.address.site}/{name}/pull/"
            rest = url[len(start) :] if url.lower().startswith(start.lower()) else ""
            if rest.isascii() and rest.isdecimal() and len(rest) < 12:
                return int(rest)
        return 0


def _bare(login: str) -> str:
    return login.lower().removesuffix("[bot]")
