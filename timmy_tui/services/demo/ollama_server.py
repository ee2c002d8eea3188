"""The simulated Ollama's HTTP face (facts/ollama.md §1–§3)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from hashlib import sha256

from timmy_tui.services.demo.catalog import DemoModel, pulled_model
from timmy_tui.services.demo.decisions import answer_text
from timmy_tui.services.demo.loopback import JsonHandler, LoopbackServer
from timmy_tui.services.demo.ollama_world import (
    VERSION,
    OllamaWorld,
    UnknownModelError,
    full_name,
    keep_alive_s,
    rfc3339,
)
from timmy_tui.text import Json

Document = dict[str, Json]

LOAD_S = 1.4
"""Seconds that a cold model takes to load, at speed 1."""

PULL_S = 6.0
"""Seconds that a pull takes, at speed 1."""

PULL_STEPS = 60
TOKENS_PER_S = 62.0
PROMPT_TOKENS_PER_S = 1150.0


class OllamaServer(LoopbackServer):
    """Answers from an :class:`OllamaWorld`; loads, unloads and pulls really change it."""

    def __init__(self, world: OllamaWorld, *, speed: float = 1.0, clock: Callable[[], float] = time.time) -> None:
        super().__init__(_OllamaHandler)
        self.world = world
        self.speed = speed
        self.clock = clock

    def pause(self, seconds: float) -> None:
        """Let simulated work take its time; ends at once when the server stops."""
        self.stopping.wait(seconds / self.speed)

    def ready(self, name: str, keep_s: float | None) -> int:
        """Have the model loaded, like a request that needs it; nanoseconds that the load took."""
        model = self.world.find(name)
        load_ns = 21_480_000
        if not self.world.is_loaded(model.name, self.clock()):
            self.pause(LOAD_S)
            load_ns = int(LOAD_S * 1e9) + 13_906_000
        self.world.load(model.name, self.clock(), keep_s)
        return load_ns


class _OllamaHandler(JsonHandler):
    server: OllamaServer

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/":
            self.answer_text("Ollama is running")
        elif path == "/api/version":
            self.answer({"version": VERSION})
        elif path == "/api/tags":
            self.answer(self.server.world.tags())
        elif path == "/api/ps":
            self.answer(self.server.world.ps(self.server.clock()))
        elif path == "/v1/models":
            self.answer(_openai_models(self.server.world))
        else:
            self._no_route()

    do_HEAD = do_GET

    def do_POST(self) -> None:
        routes = {
            "/api/show": self._show,
            "/api/generate": self._generate,
            "/api/chat": self._chat,
            "/api/embed": self._embed,
            "/api/pull": self._pull,
        }
        route = routes.get(self.path.partition("?")[0])
        if route is None:
            self._no_route()
            return
        try:
            route(self.body())
        except UnknownModelError as error:
            self.answer({"error": str(error)}, 404)
        except ValueError as error:
            self.answer({"error": str(error)}, 400)

    def _no_route(self) -> None:
        known = self.path in ("/api/version", "/api/tags", "/api/ps", "/")
        self.answer_text("405 method not allowed" if known else "404 page not found", 405 if known else 404)

    def _show(self, request: Document) -> None:
        self.answer(self.server.world.show(_model_name(request)))

    def _generate(self, request: Document) -> None:
        prompt = request.get("prompt")
        self._complete(request, prompt if isinstance(prompt, str) else "", chat=False)

    def _chat(self, request: Document) -> None:
        messages = request.get("messages")
        texts = [
            str(message.get("content", ""))
            for message in (messages if isinstance(messages, list) else [])
            if isinstance(message, dict)
        ]
        self._complete(request, "\n".join(texts), chat=True)

    def _complete(self, request: Document, prompt: str, *, chat: bool) -> None:
        """A completion; without a prompt a load, an unload or a new keep-alive (facts/ollama.md §2)."""
        name = _model_name(request)
        model = self.server.world.find(name)
        if model.remote_model:
            self.answer({"error": "unauthorized", "signin_url": "https://ollama.com/connect"}, 401)
            return
        keep_s = keep_alive_s(request["keep_alive"]) if request.get("keep_alive") is not None else None
        if not prompt and keep_s == 0:
            self.server.world.unload(name, self.server.clock())
            self.answer(self._last(model, chat, "unload"))
            return
        if "completion" not in model.capabilities:
            verb = "chat" if chat else "generate"
            raise ValueError(f'"{name}" does not support {verb}')
        load_ns = self.server.ready(name, keep_s)
        if not prompt:
            self.answer(self._last(model, chat, "load"))
            return
        text = answer_text(prompt, wants_json=request.get("format") is not None)
        metrics = _metrics(prompt, text, load_ns)
        if request.get("stream") is False:
            self.server.pause(_eval_s(text))
            self.answer(self._last(model, chat, "stop", text) | metrics)
        else:
            self.stream(self._parts(model, chat, text, metrics))
        self.server.world.load(name, self.server.clock(), keep_s)

    def _parts(self, model: DemoModel, chat: bool, text: str, metrics: Document) -> Iterator[Document]:
        words = text.split(" ")
        for index, word in enumerate(words):
            self.server.pause(_eval_s(text) / len(words))
            yield self._part(model, chat, f" {word}" if index else word)
        yield self._last(model, chat, "stop") | metrics

    def _part(self, model: DemoModel, chat: bool, text: str) -> Document:
        said: Document = {"message": {"role": "assistant", "content": text}} if chat else {"response": text}
        head: Document = {"model": model.name, "created_at": rfc3339(self.server.clock())}
        return head | said | {"done": False}

    def _last(self, model: DemoModel, chat: bool, reason: str, text: str = "") -> Document:
        return self._part(model, chat, text) | {"done": True, "done_reason": reason}

    def _embed(self, request: Document) -> None:
        name = _model_name(request)
        model = self.server.world.find(name)
        if "embedding" not in model.capabilities:
            raise ValueError(f'"{name}" does not support embeddings')
        keep_s = keep_alive_s(request["keep_alive"]) if request.get("keep_alive") is not None else None
        load_ns = self.server.ready(name, keep_s)
        given = request.get("input")
        texts = [str(text) for text in given] if isinstance(given, list) else [given] if given else []
        embeddings: list[Json] = [_embedding(str(text), model.embedding_length) for text in texts]
        self.answer(
            {
                "model": model.name,
                "embeddings": embeddings,
                "total_duration": load_ns + 9_000_000,
                "load_duration": load_ns,
                "prompt_eval_count": sum(len(str(text)) // 4 + 1 for text in texts),
            }
        )

    def _pull(self, request: Document) -> None:
        name = _model_name(request)
        if request.get("stream") is not False:
            self.stream(self._pull_lines(name))
            return
        last = list(self._pull_lines(name))[-1]
        self.answer(last, 500 if "error" in last else 200)

    def _pull_lines(self, name: str) -> Iterator[Document]:
        """The lines of a pull: manifest, layer after layer, checks, success. ``missing…`` has no manifest."""
        yield {"status": "pulling manifest"}
        self.server.pause(PULL_S / 20)
        if name.startswith("missing"):
            yield {"error": "pull model manifest: file does not exist"}
            return
        try:
            model, cached = self.server.world.find(name), True
        except UnknownModelError:
            model, cached = pulled_model(full_name(name)), False
        weights_bytes = max(model.size_bytes - 14_000, 1)
        yield from self._layer(model.digest, weights_bytes, 1 if cached else PULL_STEPS)
        for part, size_bytes in (("license", 11_355), ("template", 1_723), ("parameters", 487)):
            yield from self._layer(sha256(f"{name} {part}".encode()).hexdigest(), size_bytes, 1)
        yield {"status": "verifying sha256 digest"}
        self.server.pause(PULL_S / 20)
        yield {"status": "writing manifest"}
        if self.server.stopping.is_set():
            return
        self.server.world.install(model, self.server.clock())
        yield {"status": "success"}

    def _layer(self, digest: str, total_bytes: int, steps: int) -> Iterator[Document]:
        line: Document = {
            "status": f"pulling {digest[:12]}",
            "digest": f"sha256:{digest}",
            "total": total_bytes,
        }
        if steps > 1:
            yield line  # "completed" is absent while it is 0
        for step in range(1, steps + 1):
            if steps > 1:
                self.server.pause(PULL_S * 0.9 / steps)
            if self.server.stopping.is_set():
                return
            yield line | {"completed": total_bytes * step // steps}


def _model_name(request: Document) -> str:
    name = request.get("model") or request.get("name")
    if not isinstance(name, str):
        raise ValueError("model is required")
    return name


def _eval_s(text: str) -> float:
    return (len(text) // 4 + 1) / TOKENS_PER_S


def _metrics(prompt: str, text: str, load_ns: int) -> Document:
    """The figures of a last line, in nanoseconds (facts/ollama.md §3)."""
    prompt_tokens, tokens = len(prompt) // 4 + 12, len(text) // 4 + 1
    prompt_ns = int(prompt_tokens / PROMPT_TOKENS_PER_S * 1e9)
    eval_ns = int(tokens / TOKENS_PER_S * 1e9)
    return {
        "total_duration": load_ns + prompt_ns + eval_ns + 1_204_000,
        "load_duration": load_ns,
        "prompt_eval_count": prompt_tokens,
        "prompt_eval_duration": prompt_ns,
        "eval_count": tokens,
        "eval_duration": eval_ns,
    }


def _embedding(text: str, length: int) -> list[Json]:
    digest = sha256(text.encode()).digest()
    return [round(digest[index % 32] / 128 - 1, 6) for index in range(length)]


def _openai_models(world: OllamaWorld) -> Document:
    entries = world.tags()["models"]
    names = [str(entry["name"]) for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "created": 0, "owned_by": "library"} for name in names],
    }
