"""A Messages API on loopback that says what a test wrote down: enough of it for the real claude binary.

It speaks `POST /v1/messages` with server-sent events, and answers everything else with 404. What is asked
is kept; what is answered comes from a script, a function of the request. Every conversation is told apart
by what its messages say, as the real one does.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG_SECONDS = 60.0
"""No answer is held back for longer, whatever a test forgets."""
LARGEST_BYTES = 64 * 1024 * 1024
"""Of a request."""

INPUT_TOKENS, CACHE_WRITTEN, CACHE_READ, OUTPUT_TOKENS = 1000, 200, 300, 50
"""What each answer says that it took."""


@dataclass(frozen=True)
class Ask:
    """One request for a message."""

    number: int
    """From 1, over all conversations."""
    at: float
    """Seconds of the monotonic clock."""
    turn: int
    """How often the conversation has asked before, whichever process."""
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    """Names in lower case."""

    @property
    def model(self) -> str:
        """The model that is asked for."""
        return str(self.body["model"])

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        """The conversation so far."""
        found: Sequence[Mapping[str, Any]] = self.body["messages"]
        return found

    @property
    def text(self) -> str:
        """The whole conversation, as JSON."""
        return json.dumps(self.messages)

    @property
    def session(self) -> str:
        """The session id of the conversation."""
        return str(json.loads(self.body["metadata"]["user_id"])["session_id"])


@dataclass(frozen=True)
class Say:
    """A text, with which the turn ends."""

    text: str
    stop: str = "end_turn"


@dataclass(frozen=True)
class Use:
    """A tool to be used."""

    name: str
    input: Mapping[str, Any]


def bash(command: str, **more: Any) -> Use:
    """Run a command in the worktree."""
    return Use("Bash", {"command": command, "description": "what the test wants", **more})


@dataclass(frozen=True)
class Refuse:
    """An error."""

    status: int
    kind: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hang:
    """No answer until the event is set, then what `then` says."""

    event: threading.Event
    then: "Reply"


Reply = Say | Use | Refuse | Hang
Script = Callable[[Ask], Reply]


def limit_headers(resets_at: float, *, window: str = "five_hour", status: str = "rejected") -> dict[str, str]:
    """What a subscription's limit looks like. `resets_at` is in seconds since the epoch."""
    short = {"five_hour": "5h", "seven_day": "7d"}[window]
    unified, reset = "anthropic-ratelimit-unified", str(round(resets_at))
    return {
        f"{unified}-status": status,
        f"{unified}-reset": reset,
        f"{unified}-representative-claim": window,
        f"{unified}-{short}-status": status,
        f"{unified}-{short}-reset": reset,
        f"{unified}-{short}-utilization": "1.0" if status == "rejected" else "0.92",
        f"{unified}-overage-status": "rejected",
        f"{unified}-overage-disabled-reason": "org_level_disabled",
    }


def usage_limit(resets_at: float, *, window: str = "five_hour") -> Refuse:
    """A subscription has used up what it may."""
    return Refuse(429, "rate_limit_error", "usage limit reached", limit_headers(resets_at, window=window))


class MessagesApi:
    """What is asked and what is answered."""

    def __init__(self, script: Script) -> None:
        """`script` may be replaced at any time. It is called on the thread of each request."""
        self.script = script
        self.asks: list[Ask] = []
        """Every request, in the order in which they came."""
        self.errors: list[str] = []
        """What went wrong in the script: the test has to look."""
        self.url = ""
        self._lock = threading.Lock()

    def take(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[Ask, Reply]:
        """Note a request; gives it and the answer."""
        with self._lock:
            ask = Ask(len(self.asks) + 1, time.monotonic(), 0, body, headers)
            before = sum(other.session == ask.session for other in self.asks)
            ask = replace(ask, turn=before)
            self.asks.append(ask)
        try:
            reply = self.script(ask)
        except Exception as error:  # noqa: BLE001 - the test is told, the client is not left waiting
            self.errors.append(repr(error))
            return ask, Refuse(400, "invalid_request_error", f"the script broke: {error!r}")
        while isinstance(reply, Hang):
            reply.event.wait(HANG_SECONDS)
            reply = reply.then
        return ask, reply

    def sessions(self) -> dict[str, list[Ask]]:
        """The requests of each conversation, in their order."""
        found: dict[str, list[Ask]] = {}
        for ask in list(self.asks):
            found.setdefault(ask.session, []).append(ask)
        return found


@contextlib.contextmanager
def messages_api(script: Script) -> Iterator[MessagesApi]:
    """A server that runs while the test does."""
    api = MessagesApi(script)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            data = self.rfile.read(min(length, LARGEST_BYTES))
            if self.path.partition("?")[0] != "/v1/messages":
                self._send_error(Refuse(404, "not_found_error", self.path))
                return
            names = {name.lower(): value for name, value in self.headers.items()}
            ask, reply = api.take(json.loads(data), names)
            with contextlib.suppress(ConnectionError):  # the client was killed meanwhile
                if isinstance(reply, Refuse):
                    self._send_error(reply)
                else:
                    self._send_message(ask, reply)

        def do_GET(self) -> None:
            self._send_error(Refuse(404, "not_found_error", self.path))

        def _send_error(self, error: Refuse) -> None:
            said = {"type": error.kind, "message": error.message}
            body = json.dumps({"type": "error", "error": said}).encode()
            self.send_response(error.status)
            headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
            for name, value in {**headers, **error.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def _send_message(self, ask: Ask, reply: Reply) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.send_header("request-id", f"req_{ask.number:06}")
            self.end_headers()
            self.close_connection = True
            for event in _events(ask, reply):
                self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())

        def log_message(self, *_: object) -> None:
            """Nothing: pytest shows what a test prints."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()


def _events(ask: Ask, reply: Reply) -> Iterator[dict[str, Any]]:
    """A message as the API streams it."""
    usage = {
        "input_tokens": INPUT_TOKENS,
        "cache_creation_input_tokens": CACHE_WRITTEN,
        "cache_read_input_tokens": CACHE_READ,
        "output_tokens": 1,
    }
    message: dict[str, Any] = {
        "id": f"msg_{ask.number:06}",
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    yield {"type": "message_start", "message": message}
    match reply:
        case Say(text, stop):
            block: dict[str, Any] = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": text}
        case Use(name, given):
            block = {"type": "tool_use", "id": f"toolu_{ask.number:06}", "name": name, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(given)}
            stop = "tool_use"
        case _:
            raise AssertionError(reply)
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    ending = {"stop_reason": stop, "stop_sequence": None}
    yield {"type": "message_delta", "delta": ending, "usage": {**usage, "output_tokens": OUTPUT_TOKENS}}
    yield {"type": "message_stop"}
