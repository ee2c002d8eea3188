"""An OpenAI-compatible server with Ollama's lists and chat beside it, that does as it is told.

``python fake_openai.py PORT`` serves in a process of its own.
``POST /test/mode {"mode": "slow"}`` changes what the next completions do (``delay_s``: how long they take at least);
``GET /test/seen`` tells what was asked, ``GET /test/asked`` how often, ``GET /test/took`` how many seconds each answer
took here.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Mode = Literal["ok", "prose", "reasoning", "thinking", "nothing", "slow", "500", "401", "404", "429", "html"]

MODEL = "hermes4:14b"
CONTEXT = 131_072
ANSWER = '{"actions": [], "severity": "ok", "reasoning": "All services answer."}'
DRAFT = '{"actions": ["ALERT: draft"], "severity": "critical", "reasoning": "A thought, not an answer."}'
PROSE = f"Let me see.\n\n```json\n{ANSWER}\n```\nI hope that this {{helps}}."
USAGE = {"prompt_tokens": 700, "completion_tokens": 30, "total_tokens": 730}


class FakeOpenAI(ThreadingHTTPServer):
    """``mode`` decides about completions; ``context`` and ``num_ctx`` are what the model claims to have."""

    daemon_threads = True

    def __init__(self, port: int = 0, mode: Mode = "ok") -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.mode: Mode = mode
        self.context = CONTEXT
        self.num_ctx: int | None = None
        self.delay_s = 0.0
        """Before each answer, as while a model is loaded."""
        self.asked: list[dict[str, object]] = []
        """The bodies of all completion requests."""
        self.keys: list[str] = []
        """Their Authorization headers."""
        self.took_s: list[float] = []
        """From a completion request that is read to its answer that is sent."""
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is a part of the play."""


@contextmanager
def fake_openai(port: int = 0, mode: Mode = "ok") -> Iterator[FakeOpenAI]:
    """A running server on a thread of its own."""
    server = FakeOpenAI(port, mode)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body at once, as Ollama does: else the client's delayed acknowledgement counts
    server: FakeOpenAI

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        entry = {"name": MODEL, "model": MODEL, "size": 9_000_000_000, "digest": "a" * 64}
        details = {"family": "qwen3", "parameter_size": "14B", "quantization_level": "Q4_K_M"}
        installed = {**entry, "modified_at": "2026-11-01T00:00:00Z", "details": details}
        known: dict[str, object] = {
            "/api/version": {"version": "0.32.15"},
            "/api/tags": {"models": [installed]},
            "/api/ps": {"models": []},
            "/v1/models": {"object": "list", "data": [{"id": MODEL, "object": "model"}]},
            "/test/seen": {"asked": self.server.asked},
            "/test/asked": len(self.server.asked),
            "/test/took": {"took_s": self.server.took_s},
        }
        self._json(known.get(self.path, {"error": "not found"}), 200 if self.path in known else 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if self.path == "/test/mode":
            self.server.mode = body.get("mode", self.server.mode)
            self.server.delay_s = body.get("delay_s", self.server.delay_s)
            self._json({})
        elif self.path == "/api/show":
            info = {"general.architecture": "qwen3", "qwen3.context_length": self.server.context}
            parameters = f"num_ctx {self.server.num_ctx}" if self.server.num_ctx else ""
            self._json({"model_info": info, "parameters": parameters, "details": {}})
        elif self.path in ("/v1/chat/completions", "/api/chat"):
            began = time.perf_counter()
            self.server.asked.append(body)
            self.server.keys.append(self.headers.get("Authorization", ""))
            self._complete(body)
            self.server.took_s.append(time.perf_counter() - began)
        else:
            self._json({"error": "not found"}, 404)

    def _complete(self, body: dict[str, object]) -> None:
        mode = self.server.mode
        self.server.stopping.wait(self.server.delay_s)
        if mode == "slow":
            self.server.stopping.wait(600)
        elif mode in ("500", "401", "404", "429"):
            told = {"500": "llama runner has terminated", "401": "unauthorized", "429": "rate limited"}
            self._json({"error": {"message": told.get(mode, f'model "{MODEL}" not found')}}, int(mode))
        elif mode == "html":
            self._send(b"<html>It works!</html>", "text/html")
        else:
            content = {"prose": PROSE, "thinking": f"<think>{DRAFT}</think>\n{ANSWER}", "nothing": ""}.get(mode, ANSWER)
            self._answer(content, f"Perhaps {DRAFT}?" if mode == "reasoning" else "", stream=bool(body.get("stream")))

    def _answer(self, content: str, reasoning: str, *, stream: bool) -> None:
        if self.path == "/api/chat":
            counts = {"prompt_eval_count": USAGE["prompt_tokens"], "eval_count": USAGE["completion_tokens"]}
            answer = {"model": MODEL, "message": {"role": "assistant", "content": content, "thinking": reasoning}}
            self._json({**answer, "done": True, "done_reason": "stop", **counts})
            return
        about = {"id": "c1", "created": int(time.time()), "model": MODEL}
        message: dict[str, object] = {"role": "assistant", "content": content}
        if reasoning:
            message["reasoning"] = reasoning
        if not stream:
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._json({**about, "object": "chat.completion", "choices": [choice], "usage": USAGE})
            return
        chunk = {**about, "object": "chat.completion.chunk"}
        parts = [
            {**chunk, "choices": [{"index": 0, "delta": message, "finish_reason": None}]},
            {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {**chunk, "choices": [], "usage": USAGE},
        ]
        lines = [f"data: {json.dumps(part)}\n\n" for part in parts]
        self._send("".join([*lines, "data: [DONE]\n\n"]).encode(), "text/event-stream")

    def _json(self, tree: object, status: int = 200) -> None:
        self._send(json.dumps(tree).encode(), "application/json", status)

    def _send(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    FakeOpenAI(int(sys.argv[1])).serve_forever()
