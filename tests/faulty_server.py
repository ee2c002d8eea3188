"""A loopback HTTP server that can be healthy or ill, for tests of what talks to one. Standard library only.

    with FaultyServer({"/api/ps": '{"models": []}'}) as server:
        client = OllamaClient(server.url)
        server.trouble = "hang"        # from any thread, at any time, for every request from now on
        server.requests                # what was asked so far: method, path, headers, body
        server.count("/api/ps")        # how often a path was asked
        server.wait_for("/api/ps", 2)  # until a path was asked twice; in async tests through asyncio.to_thread

``bodies`` maps a path to its body (text, bytes or an :class:`Answer` with status, headers, content type);
it may be changed while the server runs. A path that is not in it gets Ollama's ``404 page not found``.

Troubles:
    ``healthy``   the bodies
    ``refuse``    nobody listens: the port stays ours, connections are refused, open ones are closed
    ``hang``      requests are taken but not answered until the trouble changes; then they are answered
    ``drip``      the healthy answer's head, then one byte of its body every ``drip_s`` seconds
    ``error``     500 with Ollama's JSON error
    ``html``      200 with a web page
    ``half``      a promised length and half of the body, then the connection closes
    ``flood``     ``flood_bytes`` (100 MB) of JSON white space, streamed; ``sent_bytes`` tells how much went
    ``redirect``  302 to ``redirect_to``
    ``drop``      the connection is closed without an answer

The server runs in a thread with an event loop of its own: synchronous, asynchronous and pty tests can use it.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Literal, NamedTuple

Trouble = Literal["healthy", "refuse", "hang", "drip", "error", "html", "half", "flood", "redirect", "drop"]

PAGE = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body>It works!</body></html>"
NOT_FOUND = b"404 page not found"


class Request(NamedTuple):
    """What a client asked."""

    method: str
    path: str
    headers: dict[str, str]
    """Lower-case names."""
    body: bytes


class Answer(NamedTuple):
    """What a path answers."""

    body: bytes | str = b""
    status: int = 200
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = {}


class FaultyServer:
    """See the module's text."""

    def __init__(
        self,
        bodies: Mapping[str, str | bytes | Answer] | None = None,
        *,
        drip_s: float = 1.0,
        flood_bytes: int = 100 * 10**6,
        redirect_to: str = "http://other.example/",
    ) -> None:
        self.bodies: dict[str, str | bytes | Answer] = dict(bodies or {})
        self.drip_s = drip_s
        self.flood_bytes = flood_bytes
        self.redirect_to = redirect_to
        self.requests: list[Request] = []
        self.sent_bytes = 0
        self.open_connections = 0
        self.most_connections = 0
        self.connections = 0
        """How many were ever opened."""
        self._trouble: Trouble = "healthy"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faulty-server", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrived = threading.Condition()
        self._answering = asyncio.Event()
        self._answering.set()
        self._socket = _bound(0)
        self.port: int = self._socket.getsockname()[1]
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The base URL, without a final slash."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def trouble(self) -> Trouble:
        """How the server behaves now."""
        return self._trouble

    @trouble.setter
    def trouble(self, trouble: Trouble) -> None:
        self._call(self._change(trouble))

    def count(self, path: str) -> int:
        """How often ``path`` was asked."""
        return sum(1 for request in self.requests if request.path == path)

    def wait_for(self, path: str, times: int = 1, timeout_s: float = 10.0) -> None:
        """Block until ``path`` was asked so often; AssertionError when it never was."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: self.count(path) >= times, timeout_s), f"{path} was not asked"

    def __enter__(self) -> FaultyServer:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._call(self._silence())
        self._socket.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _call(self, coroutine: object) -> None:
        assert asyncio.iscoroutine(coroutine)
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _change(self, trouble: Trouble) -> None:
        was, self._trouble = self._trouble, trouble
        if trouble == "hang":
            self._answering.clear()
        else:
            self._answering.set()
        if trouble == "refuse" and was != "refuse":
            await self._silence()
            self._socket.close()
            self._socket = _bound(self.port)  # held, but not listened on: connections are refused
        elif was == "refuse" and trouble != "refuse":
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._socket, limit=2**20)

    async def _silence(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await asyncio.sleep(0)  # what was accepted in this very moment is served by a task that is not noted yet
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open_connections += 1
        self.most_connections = max(self.most_connections, self.open_connections)
        try:
            while True:
                try:
                    request = await _read_request(reader)
                except ConnectionError:
                    writer.write(_head(Answer(status=400), 0))
                    raise
                with self._arrived:
                    self.requests.append(request)
                    self._arrived.notify_all()
                if not await self._answer(request, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self.open_connections -= 1
            writer.transport.abort() if self._trouble == "refuse" else writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer by the trouble of this moment; False = close the connection."""
        await self._answering.wait()
        trouble = self._trouble
        found = self.bodies.get(request.path, Answer(NOT_FOUND, 404, "text/plain"))
        answer = found if isinstance(found, Answer) else Answer(found)
        if trouble == "error":
            answer = Answer('{"error":"llama runner process has terminated"}', 500)
        elif trouble == "html":
            answer = Answer(PAGE, 200, "text/html")
        elif trouble == "redirect":
            answer = Answer(b"", 302, headers={"Location": self.redirect_to})
        elif trouble == "drop":
            return False
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        length = self.flood_bytes if trouble == "flood" else len(body)
        writer.write(_head(answer, length))
        if trouble == "flood":
            await self._flood(writer)
        elif trouble == "drip":
            for byte in body:
                writer.write(bytes((byte,)))
                await writer.drain()
                await asyncio.sleep(self.drip_s)
        elif trouble == "half":
            writer.write(body[: len(body) // 2])
            await writer.drain()
            return False
        else:
            writer.write(body)
        await writer.drain()
        return True

    async def _flood(self, writer: asyncio.StreamWriter) -> None:
        chunk = b" " * 65_536
        left = self.flood_bytes
        while left > 0:
            writer.write(chunk[:left])
            await writer.drain()
            self.sent_bytes += min(left, len(chunk))
            left -= len(chunk)


def _bound(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _head(answer: Answer, length: int) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} x", f"Content-Type: {answer.content_type}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    if "Transfer-Encoding" not in answer.headers:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def _read_request(reader: asyncio.StreamReader) -> Request:
    start = await reader.readexactly(1)
    if not start.isalpha():
        raise ConnectionError("not HTTP, perhaps a TLS greeting")
    head = (start + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target.partition("?")[0], headers, body)
