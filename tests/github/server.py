"""The sockets: HTTP/1.1 on loopback, in threads of this process."""

import socket
import sys
import threading
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from typing import Self

from tests.github.traffic import Arrival, Reply

Answering = Callable[[Arrival], Reply]
POLL = 0.01
"""Seconds that stopping may take longer than it must."""


class Listener(ThreadingHTTPServer):
    """One port. Stopping it ends its connections and waits for its threads."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, answering: Answering, *, storage: bool, failures: list[str]) -> None:
        self.answering = answering
        self.storage = storage
        self.connections: set[socket.socket] = set()
        self._failures = failures
        super().__init__(("127.0.0.1", 0), Connection)
        self._thread = threading.Thread(target=self.serve_forever, args=(POLL,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # It has ended by itself.
        self.server_close()

    def server_bind(self) -> None:
        """As the original, without the search for the host's name, which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.socket.getsockname()[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """An error of the fake itself fails the test; a client that went away is no error."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            self._failures.append("the fake GitHub failed: " + "".join(traceback.format_exception(error)))


class Connection(BaseHTTPRequestHandler):
    """Reads requests and writes replies, until the client or a fault ends it."""

    server: Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        arrival = Arrival(self.command, path, query, headers, self._read_body(), self.server.storage)
        self._write(self.server.answering(arrival))

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815  the base's names

    def _read_body(self) -> bytes:
        """The whole body, in pieces where its length was not told: git sends big packs so.

        Raises ConnectionError where the client went away in the middle: GitHub would carry out nothing.
        """
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self._read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self._read_line().partition(b";")[0], 16):
            pieces.append(self._read(size))
            self._read_line()
        while self._read_line().strip():
            pass  # Headers after the body; nobody sends any that matter.
        return b"".join(pieces)

    def _read(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionResetError("the body is cut short")
        return data

    def _read_line(self) -> bytes:
        line = self.rfile.readline()
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the body is cut short")
        return line

    def _write(self, reply: Reply) -> None:
        if reply.ending != "whole":
            self.close_connection = True
        if reply.ending == "dropped":
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        cut = len(reply.body) // 2 if reply.ending == "cut" else len(reply.body)
        if self.command != "HEAD":
            self.wfile.write(reply.body[:cut])

    def version_string(self) -> str:
        return "github.com"

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  the base's name
        """Nothing: the log is in `traffic`."""


class Server:
    """Both ports: the site with its APIs and git, and the place where logs lie."""

    def __init__(self, answering: Answering, failures: list[str]) -> None:
        self.site = Listener(answering, storage=False, failures=failures)
        self.storage = Listener(answering, storage=True, failures=failures)

    def __enter__(self) -> Self:
        self.site.start()
        self.storage.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.site.stop()
        self.storage.stop()
