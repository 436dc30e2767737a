"""What came over the wire, and how much of the rate limit it cost."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl, unquote

READING = frozenset({"GET", "HEAD"})
HIDDEN = "***"


@dataclass(frozen=True)
class Arrival:
    """A request as it came."""

    method: str
    raw_path: str
    """As it was sent, still quoted."""
    query_string: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    to_storage: bool = False
    """Whether it came to the port where logs lie."""

    @property
    def path(self) -> str:
        """The path without the prefix of Enterprise, so that both look the same."""
        return unquote(self.bare_path)

    @property
    def bare_path(self) -> str:
        """As `path`, but still quoted."""
        for prefix in ("/api/v3", "/api"):
            rest = self.raw_path.removeprefix(prefix)
            if rest != self.raw_path and rest.startswith("/"):
                return rest
        return self.raw_path

    @property
    def prefix(self) -> str:
        """The prefix by which the REST API was reached: '' or /api/v3."""
        return "/api/v3" if self.raw_path.startswith("/api/v3/") else ""

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.query_string, keep_blank_values=True))


@dataclass
class Reply:
    """What is sent back. `ending` is whole, cut (half of the body) or dropped (nothing at all)."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    ending: str = "whole"


@dataclass
class Exchange:
    """One line of the log. The token's value is in none of its fields."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    """Parsed where it is JSON, else text; '' for what git sends."""
    leaks: tuple[str, ...] = ()
    """Where a token stood that must not: path, query, body, or the name of a header."""
    status: int = 0
    """0 until it was answered, and for a dropped connection."""
    charged: bool = False
    """Whether it counted against the rate limit."""

    @property
    def writes(self) -> bool:
        """Whether it may have changed something. A GraphQL query that is no mutation may not."""
        if self.path == "/graphql" and isinstance(self.body, dict):
            return str(self.body.get("query", "")).lstrip().startswith("mutation")
        return self.method not in READING


@dataclass
class Traffic:
    """Every exchange, in the order in which the requests came."""

    exchanges: list[Exchange] = field(default_factory=list)

    def record(self, arrival: Arrival, tokens: frozenset[str]) -> Exchange:
        """Write a request down, without any token."""

        def hide(text: str) -> str:
            for token in tokens:
                text = text.replace(token, HIDDEN)
            return text

        is_git = arrival.headers.get("content-type", "").startswith("application/x-git-")
        text = "" if is_git else arrival.body.decode(errors="replace")
        headers = {name: hide(value) for name, value in arrival.headers.items()}
        if "authorization" in headers:
            headers["authorization"] = f"{headers['authorization'].partition(' ')[0]} {HIDDEN}"
        places = {
            "path": arrival.path,
            "query": unquote(arrival.query_string),
            "body": text,
            **arrival.headers,
        }
        may = set() if arrival.to_storage else {"authorization"}
        leaks = [place for place, value in places.items() if place not in may and hide(value) != value]
        query = {name: hide(value) for name, value in arrival.query.items()}
        path = hide(arrival.path)
        exchange = Exchange(arrival.method, path, query, headers, _parsed(hide(text)), tuple(leaks))
        self.exchanges.append(exchange)
        return exchange

    def of(self, method: str = "*", path: str = "*") -> list[Exchange]:
        """The exchanges of a method and of paths like "/repos/*/issues"."""
        return [
            exchange
            for exchange in self.exchanges
            if fnmatchcase(exchange.method, method) and fnmatchcase(exchange.path, path)
        ]

    def count(self, method: str = "*", path: str = "*") -> int:
        return len(self.of(method, path))

    def writes(self) -> list[Exchange]:
        """Every request that may have changed something."""
        return [exchange for exchange in self.exchanges if exchange.writes]

    def charged(self) -> int:
        """How many requests counted against the rate limit."""
        return sum(exchange.charged for exchange in self.exchanges)

    def clear(self) -> None:
        self.exchanges.clear()


def _parsed(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


@dataclass
class Allowance:
    """One of the rate limits: so many requests until `reset`, in seconds since the epoch."""

    resource: str
    now: Callable[[], float]
    limit: int = 5000
    used: int = 0
    window: float = 3600.0
    reset: float = 0.0

    @property
    def remaining(self) -> int:
        self._renew()
        return max(0, self.limit - self.used)

    def charge(self) -> None:
        self._renew()
        self.used += 1

    def exhaust(self) -> None:
        """Leave nothing until the next window."""
        self._renew()
        self.used = self.limit

    def shape(self) -> dict[str, int]:
        self._renew()
        left = {"limit": self.limit, "remaining": self.remaining, "used": self.used}
        return {**left, "reset": int(self.reset)}

    def headers(self) -> dict[str, str]:
        counts = {f"X-RateLimit-{name.capitalize()}": str(value) for name, value in self.shape().items()}
        return {**counts, "X-RateLimit-Resource": self.resource}

    def _renew(self) -> None:
        if self.now() >= self.reset:
            self.used, self.reset = 0, self.now() + self.window
