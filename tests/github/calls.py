"""One call of the REST API: what comes in, what goes out, and the table of who answers it."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlencode

from tests.github.errors import invalid
from tests.github.links import Links
from tests.github.state import User
from tests.github.world import World

PER_PAGE = 30
MAX_PER_PAGE = 100
WITH_SLASHES = frozenset({"ref", "branch"})
"""Path parameters that may hold a `/`."""


class Asked(Mapping[str, Any]):
    """Named values of a request. Remembers which were looked at: the fake must not ignore one silently."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._seen: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self._seen.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def unread(self) -> list[str]:
        return sorted(set(self._values) - self._seen)


@dataclass(frozen=True)
class Call:
    """A request that is to be answered. `url` is its address without the query."""

    world: World
    actor: User
    links: Links
    url: str
    parameters: Mapping[str, str]
    query: Asked
    body: Any
    """The parsed JSON: an Asked for an object, None where there is none."""

    @property
    def fields(self) -> Asked:
        """The body of a call that takes an object, or nothing."""
        return self.body if isinstance(self.body, Asked) else Asked({})

    def number(self, name: str) -> int:
        """A number in the path."""
        return int(self.parameters[name])

    def since(self) -> float:
        """`since` in seconds since the epoch, 0 where it was not asked."""
        if "since" not in self.query:
            return 0.0
        try:
            moment = datetime.fromisoformat(self.query["since"])
        except ValueError:
            raise invalid("Search", "since") from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@dataclass
class Answer:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Route:
    method: str
    template: str
    handler: Handler
    needs: str
    """The permission on the repository without which GitHub refuses."""
    pattern: re.Pattern[str]

    @property
    def operation(self) -> str:
        """The name of the operation in GitHub's description."""
        return f"{self.method} {self.template}"

    def match(self, method: str, raw_path: str) -> dict[str, str] | None:
        """The parameters in a path as it was sent, None where it is not this route's."""
        found = self.pattern.fullmatch(raw_path) if method == self.method else None
        return {name: unquote(value) for name, value in found.groupdict().items()} if found else None


class Table:
    """The routes of one module, in the order in which they are tried."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def route(self, operation: str, needs: str = "read") -> Callable[[Handler], Handler]:
        """Answer an operation, "GET /user", with the function below. A `~` in it is the repository."""
        method, _, template = operation.replace("~", "/repos/{owner}/{repo}").partition(" ")

        def add(handler: Handler) -> Handler:
            self.routes.append(Route(method, template, handler, needs, _pattern(template)))
            return handler

        return add


def _pattern(template: str) -> re.Pattern[str]:
    def group(found: re.Match[str]) -> str:
        name = found[1]
        if name.endswith(("_number", "_id")):
            return f"(?P<{name}>[0-9]+)"
        return f"(?P<{name}>.+)" if name in WITH_SLASHES else f"(?P<{name}>[^/]+)"

    return re.compile(re.sub(r"\\{(\w+)\\}", group, re.escape(template)))


def page(
    call: Call, items: Sequence[Any], render: Callable[[Any], Mapping[str, Any]], *, key: str = ""
) -> Answer:
    """The asked page of a list, with GitHub's Link header; under `key` beside a `total_count` if given."""
    size = min(_positive(call, "per_page", PER_PAGE), MAX_PER_PAGE)
    number = _positive(call, "page", 1)
    last = max(1, -(-len(items) // size))
    found = [render(item) for item in items[(number - 1) * size : number * size]]
    links = []
    if number > 1:
        links += [("prev", min(number - 1, last)), ("first", 1)]
    if number < last:
        links += [("next", number + 1), ("last", last)]
    headers = {}
    if links:
        others = {name: value for name, value in call.query.items() if name != "page"}
        headers["Link"] = ", ".join(
            f'<{call.url}?{urlencode({**others, "page": at})}>; rel="{name}"' for name, at in links
        )
    return Answer(200, {"total_count": len(items), key: found} if key else found, headers)


def _positive(call: Call, name: str, default: int) -> int:
    """GitHub takes what is no positive number for the default."""
    value = str(call.query.get(name, ""))
    return int(value) if value.isdecimal() and int(value) > 0 else default


def ordered(
    call: Call, items: Sequence[Any], keys: Mapping[str, Callable[[Any], Any]], default: str
) -> list[Any]:
    """Items as `sort` and `direction` ask; the newest first where the direction was not asked."""
    sort, direction = call.query.get("sort", default), call.query.get("direction", "desc")
    return sorted(items, key=keys.get(sort, keys[default]), reverse=direction != "asc")
