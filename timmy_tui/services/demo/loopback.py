"""A small HTTP server on 127.0.0.1 that can be stopped at once, with everything it started."""

from __future__ import annotations

import json
import logging
import socket
import socketserver
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from timmy_tui.text import Json

logger = logging.getLogger(__name__)

BODY_MAX_BYTES = 10_000_000
POLL_S = 0.05
"""How often a server looks whether it is to stop."""


class LoopbackServer(ThreadingHTTPServer):
    """One thread listens, one answers each request; :meth:`stop` ends them all and frees the port."""

    daemon_threads = False
    block_on_close = True
    allow_reuse_address = True

    def __init__(self, handler: type[BaseHTTPRequestHandler], port: int = 0) -> None:
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        super().__init__(("127.0.0.1", port), handler, bind_and_activate=False)
        try:
            self.server_bind()
        except OSError:
            self.server_close()
            raise

    @property
    def port(self) -> int:
        """The port that was chosen: bound from the beginning, refusing until :meth:`start`."""
        return int(self.server_address[1])

    def start(self, name: str) -> None:
        """Listen and answer in a thread of this name."""
        self.server_activate()
        self._thread = threading.Thread(target=self.serve_forever, args=(POLL_S,), name=name)
        self._thread.start()

    def stop(self) -> None:
        """End every answer under way, then the threads, then the port."""
        self.stopping.set()
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
            self._thread = None
        with self._guard:
            for connection in self._open:
                _cut(connection)
        self.server_close()

    def server_bind(self) -> None:
        """Bind without the name lookup that ``HTTPServer`` does (it can take seconds)."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def process_request(self, request: object, client_address: object) -> None:
        """Remember the connection, so that it can be cut."""
        if isinstance(request, socket.socket):
            with self._guard:
                self._open.add(request)
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def shutdown_request(self, request: object) -> None:
        """Forget the connection."""
        if isinstance(request, socket.socket):
            with self._guard:
                self._open.discard(request)
        super().shutdown_request(request)  # type: ignore[arg-type]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news, and nothing may reach the terminal."""
        logger.debug("the demo's server could not answer", exc_info=True)


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the client was faster


class JsonHandler(BaseHTTPRequestHandler):
    """Requests and answers as JSON documents."""

    timeout = 10
    """Seconds for which a client may keep a connection without asking."""

    disable_nagle_algorithm = True
    """As Go's servers do: head and body are two writes, and the second would wait 40 ms for an acknowledgement."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged to the terminal."""

    def body(self) -> dict[str, Json]:
        """The request's JSON object. Raises ``ValueError`` in Ollama's words."""
        length = min(int(self.headers.get("Content-Length") or 0), BODY_MAX_BYTES)
        if not length:
            raise ValueError("missing request body")
        document = json.loads(self.rfile.read(length))
        if not isinstance(document, dict):
            raise ValueError("invalid request body")
        return document

    def answer(self, document: dict[str, Json], status: int = 200) -> None:
        """One JSON document."""
        body = json.dumps(document, separators=(",", ":")).encode()
        self._send(body, "application/json; charset=utf-8", status)

    def answer_text(self, text: str, status: int = 200) -> None:
        """Plain text, as Ollama answers an unknown path."""
        self._send(text.encode(), "text/plain; charset=utf-8", status)

    def stream(self, documents: Iterable[dict[str, Json]]) -> None:
        """One document per line, each sent as it comes; the end of the connection ends the stream."""
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.end_headers()
        for document in documents:
            self.wfile.write(json.dumps(document, separators=(",", ":")).encode() + b"\n")
            self.wfile.flush()

    def _send(self, body: bytes, kind: str, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
