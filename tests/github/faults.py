"""What goes wrong on demand. A test says for which requests, and how often.

github.faults.add("POST", "/repos/*/pulls", BadGateway(), times=2)
"""

import json
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol

from tests.github.errors import DOCUMENTATION
from tests.github.traffic import Arrival, Reply

HTML = "<!DOCTYPE html><html><head><title>Unicorn!</title></head><body><p>Sorry.</p></body></html>"
PRIMARY = "API rate limit exceeded for user ID 1002."
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."


class Trouble(Protocol):
    """One way to fail."""

    @property
    def after_write(self) -> bool:
        """Whether the request is carried out first: what was asked is done, only the answer is bad."""

    def spoil(self, reply: Reply | None) -> Reply:
        """The bad answer; `reply` is the good one, None where nothing was carried out."""


@dataclass(frozen=True)
class BadGateway:
    """502 with a page for people."""

    after_write: bool = True

    def spoil(self, reply: Reply | None) -> Reply:
        return Reply(502, {"Content-Type": "text/html; charset=utf-8"}, HTML.encode())


@dataclass(frozen=True)
class ServerError:
    """500 with GitHub's JSON."""

    after_write: bool = False

    def spoil(self, reply: Reply | None) -> Reply:
        return _json(500, {"message": "Server Error", "documentation_url": DOCUMENTATION, "status": "500"})


@dataclass(frozen=True)
class Dropped:
    """The connection ends without an answer."""

    after_write: bool

    def spoil(self, reply: Reply | None) -> Reply:
        return Reply(0, {}, ending="dropped")


@dataclass(frozen=True)
class Cut:
    """The connection ends in the middle of the answer."""

    after_write: bool = True

    def spoil(self, reply: Reply | None) -> Reply:
        good = _carried_out(reply)
        return Reply(good.status, good.headers, good.body, ending="cut")


@dataclass(frozen=True)
class Truncated:
    """Half of the JSON, sent as if that were all."""

    after_write: bool = True

    def spoil(self, reply: Reply | None) -> Reply:
        good = _carried_out(reply)
        return Reply(good.status, good.headers, good.body[: len(good.body) // 2])


@dataclass(frozen=True)
class Nonsense:
    """200 with a page for people, or with JSON in which every value has a wrong type."""

    html: bool = True
    after_write: bool = True

    def spoil(self, reply: Reply | None) -> Reply:
        good = _carried_out(reply)
        if self.html:
            return Reply(200, {"Content-Type": "text/html; charset=utf-8"}, HTML.encode())
        return _json(good.status, _twisted(json.loads(good.body)))


@dataclass(frozen=True)
class RateLimited:
    """The limit of the hour is used up: 403 as a rule, 429 at times; it ends in `seconds`.

    GitHub tells the end in X-RateLimit-Reset, and in Retry-After where that is not None.
    """

    status: int = 403
    seconds: float = 60.0
    retry_after: int | None = None
    now: Callable[[], float] = time.time
    after_write: bool = field(default=False, init=False)

    def spoil(self, reply: Reply | None) -> Reply:
        bad = _limit(self.status, PRIMARY, self.retry_after)
        reset = str(int(self.now() + self.seconds))
        counts = {"Limit": "5000", "Remaining": "0", "Used": "5000", "Reset": reset, "Resource": "core"}
        bad.headers.update({f"X-RateLimit-{name}": value for name, value in counts.items()})
        return bad


@dataclass(frozen=True)
class SecondaryLimited:
    """Too much at once: 403 or 429; the limit of the hour is not used up."""

    status: int = 403
    retry_after: int | None = 60
    after_write: bool = field(default=False, init=False)

    def spoil(self, reply: Reply | None) -> Reply:
        return _limit(self.status, SECONDARY, self.retry_after)


@dataclass(frozen=True)
class GraphLimited:
    """GraphQL's way: 200 with an error. Both words for `kind` were seen: RATE_LIMITED and RATE_LIMIT."""

    kind: str = "RATE_LIMITED"
    after_write: bool = field(default=False, init=False)

    def spoil(self, reply: Reply | None) -> Reply:
        return _json(200, {"errors": [{"type": self.kind, "message": PRIMARY}]})


@dataclass(frozen=True)
class Slow:
    """Waits before or after it is carried out, until `released` or for so many seconds; then all is well."""

    released: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)
    """Set once the request waits."""
    seconds: float = 30.0
    after_write: bool = False

    def wait(self) -> None:
        self.reached.set()
        self.released.wait(self.seconds)

    def spoil(self, reply: Reply | None) -> Reply:
        return _carried_out(reply)


@dataclass
class Fault:
    """A trouble for the next `times` requests that match."""

    method: str
    path: str
    trouble: Trouble
    times: float
    containing: str
    met: int = 0

    def __str__(self) -> str:
        return f"{self.trouble} for {self.method} {self.path}, met {self.met} of {self.times} times"

    @property
    def is_open(self) -> bool:
        return self.met < self.times

    def matches(self, arrival: Arrival) -> bool:
        return (
            fnmatchcase(arrival.method, self.method)
            and fnmatchcase(arrival.path, self.path)
            and self.containing.encode() in arrival.body
        )


class Faults:
    """Everything that is to go wrong yet."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(
        self, method: str, path: str, trouble: Trouble, *, times: float = 1, containing: str = ""
    ) -> Fault:
        """Spoil the next `times` requests of a method and of paths like "/repos/*/pulls".

        `*` matches any method and anything in a path; math.inf means always; `containing` asks for a
        word in the body, which tells one GraphQL query from another.
        """
        fault = Fault(method, path, trouble, times, containing)
        with self._lock:
            self._faults.append(fault)
        return fault

    def take(self, arrival: Arrival) -> Trouble | None:
        """The trouble of a request; the first that was added comes first."""
        with self._lock:
            for fault in self._faults:
                if fault.is_open and fault.matches(arrival):
                    fault.met += 1
                    return fault.trouble
        return None

    def unmet(self) -> list[str]:
        """Faults that should have come and did not: the test proved nothing."""
        with self._lock:
            return [
                str(fault)
                for fault in self._faults
                if fault.is_open and (fault.times < math.inf or not fault.met)
            ]

    def clear(self) -> None:
        """All is well from now on; whatever waits goes on."""
        with self._lock:
            faults, self._faults = self._faults, []
        for fault in faults:
            if isinstance(fault.trouble, Slow):
                fault.trouble.released.set()


def _json(status: int, body: Any) -> Reply:
    return Reply(status, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(body).encode())


def _limit(status: int, message: str, retry_after: int | None) -> Reply:
    reply = _json(status, {"message": message, "documentation_url": DOCUMENTATION, "status": str(status)})
    if retry_after is not None:
        reply.headers["Retry-After"] = str(retry_after)
    return reply


def _carried_out(reply: Reply | None) -> Reply:
    if reply is None:
        raise AssertionError("this trouble needs the good answer: after_write must be true")
    return reply


def _twisted(value: Any) -> Any:
    match value:
        case dict():
            return {name: _twisted(inner) for name, inner in value.items()}
        case list():
            return {"items": [_twisted(inner) for inner in value]}
        case str():
            return len(value)
        case None:
            return []
        case _:
            return str(value)
