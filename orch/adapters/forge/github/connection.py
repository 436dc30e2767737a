"""Requests to GitHub: one client for each thread, every failure an error of ours, nothing sent twice.

PyGithub makes the connections and logs in; it repeats nothing and waits for nothing. Here a read is tried
again a few times where GitHub stumbled, a write never: whoever writes looks first whether it is done.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlsplit

import msgspec

from orch import __version__
from orch.adapters.forge.github import failures
from orch.adapters.forge.github.credentials import Credentials
from orch.adapters.forge.github.usage import CORE, GRAPH, Meter
from orch.core.values import dataclass
from orch.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from github import Github as Client

TIMEOUT_SECONDS = 10
"""For a connection, and for each silence in an answer."""
PER_PAGE = 100
READ_PAUSES = (0.5, 2.0)
"""Before a read is tried again, in seconds."""
WRITE_SECONDS = 1.0
"""Between two writes, as GitHub's documentation of its limits asks."""
MAX_PAGES = 100
"""More of one list is not read at once."""

Kind = TypeVar("Kind")
Parameters = Mapping[str, str | int]


class Answer(NamedTuple):
    """What came back: a good one, or 304."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    text: str

    @property
    def etag(self) -> str:
        """Names this version of the answer, '' where it has none."""
        return self.headers.get("etag", "")


@dataclass(frozen=True, slots=True)
class GraphError:
    """One entry of a GraphQL answer's `errors`."""

    type: str = ""
    message: str = ""


class _GraphAnswer(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"null")
    errors: list[dict[str, Any]] = []


class Connection:
    """Talks to one GitHub. Safe to use from any thread.

    Every method raises TransientError, with `retry_after` where it is known, for what passes or a person
    can mend; MissingError and RefusedError for what does not; ConfigError where there is no token.
    """

    def __init__(
        self,
        api_url: str,
        credentials: Credentials,
        *,
        meter: Meter | None = None,
        timeout: float = TIMEOUT_SECONDS,
        pauses: Sequence[float] = READ_PAUSES,
        write_seconds: float = WRITE_SECONDS,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`pauses` before a read is tried again, `write_seconds` between writes, `timeout`: in seconds."""
        self.meter = meter or Meter()
        self._api_url = api_url
        self._credentials = credentials
        self._timeout = timeout
        self._pauses = tuple(pauses)
        self._write_seconds = write_seconds
        self._sleep = sleep
        self._local = threading.local()
        self._lock = threading.Lock()
        self._clients: list[Client] = []
        self._turn = threading.Lock()
        self._wrote_at = -write_seconds

    def close(self) -> None:
        """End the connections of every thread. It may be used again afterwards."""
        with self._lock:
            clients, self._clients = self._clients, []
        self._local = threading.local()
        for client in clients:
            client.close()

    # --- reading --------------------------------------------------------------------------------------

    def read(self, path: str, kind: type[Kind], parameters: Parameters | None = None) -> Kind:
        """The answer to GET as a `kind`."""
        return self._reading(lambda: self._get(path, parameters, kind)[0])

    def read_changed(
        self, path: str, kind: type[Kind], parameters: Parameters, etag: str
    ) -> tuple[Kind, Answer] | None:
        """As `read`, with the answer; None where it is still the one that `etag` names."""
        found, answer = self._reading(lambda: self._get(path, parameters, kind, etag=etag))
        return None if answer.status == 304 else (found, answer)

    def read_answer(self, path: str) -> Answer:
        """The answer to GET as it came, a redirect included."""
        return self._reading(lambda: self._send("GET", path, may=frozenset({302})))

    def pages(
        self, path: str, kind: type[Kind], parameters: Parameters | None = None, *, limit: int = MAX_PAGES
    ) -> Iterator[Kind]:
        """The pages of a list, one after the other, at most `limit` of them.

        What changes meanwhile may stand on two pages, or where something vanishes, on none.
        """
        asked: dict[str, str | int] = {"per_page": PER_PAGE, **(parameters or {})}
        for _ in range(limit):
            found, answer = self._reading(lambda: self._get(path, asked, kind))
            yield found
            page = next_page(answer)
            if not page:
                return
            asked["page"] = page

    def ask(
        self, query: str, variables: Mapping[str, Any], kind: type[Kind], *, partial: bool = False
    ) -> Kind:
        """The data of a GraphQL query. With `partial`, what could not be found may be missing from it."""
        return self._reading(lambda: self._graph(query, variables, kind, partial=partial))

    # --- writing --------------------------------------------------------------------------------------

    def write(self, method: str, path: str, body: Any, kind: type[Kind]) -> Kind:
        """Send a change, once. After a TransientError nobody knows whether it was made."""
        self._take_turn()
        what = f"{method} {path}"
        return self._decoded(what, self._send(method, path, body=body).text or "null", kind)

    def mutate(self, query: str, variables: Mapping[str, Any], kind: type[Kind]) -> Kind:
        """Send a GraphQL mutation, once; as `write`."""
        self._take_turn()
        return self._graph(query, variables, kind, partial=False)

    # --- the wire -------------------------------------------------------------------------------------

    def _get(
        self, path: str, parameters: Parameters | None, kind: type[Kind], *, etag: str = ""
    ) -> tuple[Kind, Answer]:
        headers = {"If-None-Match": etag} if etag else {}
        answer = self._send("GET", path, parameters=parameters, headers=headers)
        # Nothing came, and nobody looks at it.
        found: Any = None if answer.status == 304 else self._decoded(f"GET {path}", answer.text, kind)
        return found, answer

    def _graph(self, query: str, variables: Mapping[str, Any], kind: type[Kind], *, partial: bool) -> Kind:
        name = query.split("(", 1)[0].split("{", 1)[0].strip()
        what = f"GraphQL {name}"
        body = {"query": query, "variables": dict(variables)}
        answer = self._send("POST", "", body=body, resource=GRAPH, what=what)
        found = self._decoded(what, answer.text, _GraphAnswer)
        errors = [
            GraphError(str(error.get("type", "")), failures.one_line(str(error.get("message", ""))))
            for error in found.errors
        ]
        serious = [error for error in errors if not (partial and error.type == "NOT_FOUND")]
        if serious:
            raise self._graph_failure(what, serious[0], answer)
        return self._decoded(what, bytes(found.data), kind)

    def _graph_failure(self, what: str, error: GraphError, answer: Answer) -> Exception:
        message = f"GitHub refused {what}: {error.message or error.type}"
        if error.type in {"RATE_LIMITED", "RATE_LIMIT"} or "rate limit" in error.message.lower():
            return self._limit(message, GRAPH, {**answer.headers, "x-ratelimit-remaining": "0"})
        match error.type:
            case "NOT_FOUND":
                return failures.MissingError(message, hint="it is gone, or the token may not see it")
            case "FORBIDDEN" | "INSUFFICIENT_SCOPES":
                hint = "orch forge check tells what is missing"
                return failures.DeniedError(message, hint=hint, retry_after=failures.PERSON_SECONDS)
            case "UNPROCESSABLE":
                return failures.RefusedError(message, said=error.message)
            case "" | "INTERNAL" | "SERVICE_UNAVAILABLE":
                # "Something went wrong while executing your query": GitHub's own 502.
                return StumbleError(message, retry_after=self.meter.failed(answered=True))
            case _:
                return PermanentError(message)

    def _send(
        self,
        method: str,
        path: str,
        *,
        parameters: Parameters | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        resource: str = CORE,
        what: str = "",
        may: frozenset[int] = frozenset(),
    ) -> Answer:
        """Send a request once; gives an answer that is no failure, 304, or one of the statuses in `may`."""
        what = what or f"{method} {path}"
        if seconds := self.meter.wait(resource):
            raise TransientError(
                f"GitHub's limit is used up: {what} waits {seconds:.0f} s", retry_after=seconds
            )
        answer = self._exchange(what, method, path, dict(parameters or {}), dict(headers or {}), body)
        self.meter.answered(resource, answer.headers, unchanged=answer.status == 304)
        if answer.status < 300 or answer.status == 304 or answer.status in may:
            self.meter.succeeded()
            return answer
        said = failures.sentence(answer.text)
        if failures.is_limit(answer.status, said, answer.headers):
            raise self._limit(f"GitHub refused {what}: {answer.status} {said}", resource, answer.headers)
        if failures.is_outage(answer.status):
            message = f"GitHub is not well: {answer.status} for {what}"
            raise StumbleError(message, retry_after=self.meter.failed(answered=True))
        if answer.status == 401:
            self._credentials.forget()
            self.close()
        raise failures.refusal(what, answer.status, said, answer.headers)

    def _exchange(
        self, what: str, method: str, path: str, parameters: Any, headers: dict[str, str], body: Any
    ) -> Answer:
        # PyGithub and requests together take 0.3 s to import.
        import requests

        client = self._client()
        requester = client.requester
        url = path or requester.graphql_url
        try:
            status, found, text = requester.requestJson(
                method, url, parameters=parameters, headers=headers, input=body
            )
        except requests.Timeout as error:
            message = f"GitHub did not answer {what} within {self._timeout:g} s"
            raise TransientError(message, retry_after=self.meter.failed(answered=False)) from error
        except (requests.RequestException, OSError) as error:
            reason = failures.one_line(str(error)) or type(error).__name__
            message = f"GitHub cannot be reached for {what}: {reason}"
            raise StumbleError(message, retry_after=self.meter.failed(answered=False)) from error
        except (ValueError, RuntimeError, AssertionError) as error:
            # Headers that are no numbers, a redirect to another host.
            raise self._nonsense(what, failures.one_line(str(error)), answered=False) from error
        return Answer(status, {name.lower(): str(value) for name, value in found.items()}, text)

    def _client(self) -> "Client":
        """The client of this thread."""
        found: Client | None = getattr(self._local, "client", None)
        if found is None:
            from github import Auth, Github

            found = Github(
                auth=Auth.Token(self._credentials.token()),
                base_url=self._api_url,
                timeout=max(1, math.ceil(self._timeout)),
                user_agent=f"orch/{__version__}",
                per_page=PER_PAGE,
                retry=None,
                seconds_between_requests=0,
                seconds_between_writes=0,
                lazy=True,
            )
            self._local.client = found
            with self._lock:
                self._clients.append(found)
        return found

    def _reading(self, read: Callable[[], Kind]) -> Kind:
        """Do it, and again after each pause where GitHub stumbled. Not after a limit: that takes longer."""
        for pause in self._pauses:
            try:
                return read()
            except StumbleError:
                self._sleep(pause)
        return read()

    def _take_turn(self) -> None:
        """Wait until the write before is long enough ago."""
        with self._turn:
            wait = self._wrote_at + self._write_seconds - time.monotonic()
            if wait > 0:
                self._sleep(wait)
            self._wrote_at = time.monotonic()

    def _decoded(self, what: str, text: str | bytes, kind: type[Kind]) -> Kind:
        try:
            return msgspec.json.decode(text, type=kind)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise self._nonsense(what, failures.one_line(str(error))) from error

    def _nonsense(self, what: str, reason: str, *, answered: bool = True) -> TransientError:
        seconds = self.meter.failed(answered=answered)
        return StumbleError(f"GitHub's answer to {what} makes no sense: {reason}", retry_after=seconds)

    def _limit(self, message: str, resource: str, headers: dict[str, str]) -> TransientError:
        seconds = self.meter.limited(resource, headers)
        return TransientError(message, hint=f"waiting {seconds:.0f} s", retry_after=seconds)


class StumbleError(TransientError):
    """GitHub answered badly or not at all: a moment later it may be well again."""


def next_page(answer: Answer) -> str:
    """The number of the next page that an answer's Link header names, '' for the last one."""
    for link in answer.headers.get("link", "").split(","):
        url, _, rest = link.strip().partition(">")
        if 'rel="next"' in rest:
            return dict(parse_qsl(urlsplit(url.removeprefix("<")).query)).get("page", "")
    return ""
