"""What somebody is to the repository, where GitHub's answer does not say it beside the name."""

import time
from collections.abc import Callable
from urllib.parse import quote

from orch.adapters.forge.github import shapes
from orch.adapters.forge.github.failures import DeniedError, MissingError
from orch.adapters.forge.github.hub import Hub
from orch.core.forge import Person

KEEP_SECONDS = 600.0

_WRITES = frozenset({"admin", "maintain", "write"})


class People:
    """Looks people up, and remembers them for some minutes."""

    def __init__(self, hub: Hub, now: Callable[[], float] = time.time) -> None:
        self._hub = hub
        self._now = now
        self._known: dict[str, tuple[float, Person]] = {}

    def find(self, login: str) -> Person:
        """Somebody with their association: OWNER, COLLABORATOR for whoever may write, or NONE.

        GitHub tells a permission here, not an association: a member of the organisation who may write is
        a COLLABORATOR, and one who may only read is nobody in particular.
        """
        at, person = self._known.get(login, (0.0, Person(login)))
        if at + KEEP_SECONDS < self._now():
            person = Person(login, self._ask(login))
            self._known[login] = (self._now(), person)
        return person

    def _ask(self, login: str) -> str:
        if login.lower() == self._hub.owner.lower():
            return "OWNER"
        path = self._hub.path(f"/collaborators/{quote(login, safe='')}/permission")
        try:
            found = self._hub.connection.read(path, shapes.Permission)
        except (MissingError, DeniedError):
            return "NONE"  # Who may not ask knows nobody.
        return "COLLABORATOR" if {found.permission, found.role_name} & _WRITES else "NONE"
