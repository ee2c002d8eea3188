"""An Ollama whose pulls go on only when the test says so."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from e2e.homes import ps, tags

GIGABYTE = 10**9


class PullServer(ThreadingHTTPServer):
    """Holds ``installed`` and ``loaded``; a pull stops at half until :attr:`go_on` is set."""

    daemon_threads = True

    def __init__(self, *, installed: list[str], loaded: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.installed, self.loaded = installed, loaded
        self.asked: list[tuple[str, dict[str, object]]] = []
        self.go_on = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> PullServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.go_on.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: PullServer

    def do_GET(self) -> None:
        world = self.server
        cloud = {"remote_model": "gpt-oss:120b", "remote_host": "https://ollama.com:443"}
        bodies = {
            "/api/tags": tags(*({"name": name, **(cloud if "cloud" in name else {})} for name in world.installed)),
            "/api/ps": ps(*({"name": name} for name in world.loaded)),
            "/api/version": '{"version": "0.32.15"}',
        }
        self._answer(bodies.get(self.path, "{}"))

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        world = self.server
        world.asked.append((self.path, request))
        if self.path == "/api/pull":
            self._pull(str(request["model"]))
            return
        if self.path == "/api/generate":
            if request.get("keep_alive") == 0:
                world.loaded.remove(request["model"])
            elif request["model"] not in world.loaded:
                world.loaded.append(request["model"])
        self._answer('{"done": true}')

    def _pull(self, name: str) -> None:
        self.send_response(200)
        self.end_headers()
        layer = {"status": "pulling layer", "digest": "sha256:aa", "total": 2 * GIGABYTE}
        for event in ({"status": "pulling manifest"}, {**layer, "completed": GIGABYTE}):
            self._line(event)
        self.server.go_on.wait(30)
        self.server.installed.append(name)
        for event in ({**layer, "completed": 2 * GIGABYTE}, {"status": "success"}):
            self._line(event)

    def _line(self, event: dict[str, object]) -> None:
        self.wfile.write(json.dumps(event).encode() + b"\n")
        self.wfile.flush()

    def _answer(self, body: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the tests' standard error."""
