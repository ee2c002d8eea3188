"""One Ollama server: what it holds, and the few things an operator does to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import TypeVar

from msgspec.structs import replace

from timmy_tui.services.ollama.address import connectable_url
from timmy_tui.services.ollama.decode import (
    DecodeError,
    document,
    installed_models,
    loaded_models,
    model_details,
    server_version,
)
from timmy_tui.services.ollama.errors import OllamaError, not_json
from timmy_tui.services.ollama.pull import PullFold
from timmy_tui.services.ollama.records import (
    InstalledModel,
    LoadedModel,
    ModelDetails,
    OllamaReading,
    PullProgress,
)
from timmy_tui.services.ollama.rules import is_cloud_name
from timmy_tui.services.ollama.transport import Payload, Transport
from timmy_tui.text import clean

__all__ = ["OllamaClient", "OllamaError"]

LOAD_TIMEOUT_S = 1_800.0
"""Loading returns only when the model is in memory: minutes for a large one on a slow disk."""

UNLOAD_TIMEOUT_S = 60.0
PULL_STALL_S = 900.0
"""Verifying a large layer says nothing for minutes."""

DETAILS_KEPT = 64
NAME_LIMIT = 1_000
JITTER_MS = 2.0
JITTER_SHARE = 0.5
"""A latency within this of the one told before is the same latency."""

_DECODE_OFF_LOOP_BYTES = 256 * 1024

T = TypeVar("T")


def steady_latency_ms(before: float | None, now: float) -> float:
    """The latency to tell: the one told before while the new one is like it, so that mere jitter is no news."""
    if before is not None and abs(now - before) <= max(JITTER_MS, JITTER_SHARE * before):
        return before
    return now


class OllamaClient:
    """The client of one server. Everything raises :class:`OllamaError` and nothing else.

    ``url`` may have any form of ``OLLAMA_HOST``; ``headers`` are sent with every request, their ``${ENV}``
    parts expanded by the caller. :meth:`read` ends within ``timeout_s``, however many requests it takes.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] = {},
        timeout_s: float = 10.0,
        tags_every_s: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url = connectable_url(url)
        self._transport = Transport(self.url, headers)
        self._timeout_s = timeout_s
        self._tags_every_s = tags_every_s
        self._clock = clock
        self._reading = asyncio.Lock()
        self._reads = 0
        self._last: OllamaReading | None = None
        self._latency_ms: float | None = None
        self._ps: tuple[bytes, tuple[LoadedModel, ...]] = (b"", ())
        self._tags: tuple[bytes, tuple[InstalledModel, ...]] = (b"", ())
        self._tags_at: float | None = None
        """When tags and version were read; None = they are due."""
        self._version: str | None = None
        self._missing: frozenset[str] = frozenset()
        """Loaded names that tags did not know either: no reason to ask again."""
        self._details: dict[str, ModelDetails] = {}
        self._asking_details = asyncio.Lock()
        self._acting: set[tuple[str, str]] = set()

    async def read(self) -> OllamaReading:
        """What the server holds now.

        ``/api/ps`` is asked every time; version and tags when they are due, when ps names a model that tags
        does not know, and after an action of ours. A call during another one gets that one's answer.
        """
        reads_before = self._reads
        async with self._reading:
            if self._last is not None and self._reads != reads_before:
                return self._last
            try:
                self._last = await self._read()
            except OllamaError:
                self._tags_at = None  # what answers next may be another version with other models
                raise
            self._reads += 1
            return self._last

    def refresh_soon(self) -> None:
        """Let the next :meth:`read` ask for everything."""
        self._tags_at = None

    async def details(self, name: str, digest: str) -> ModelDetails:
        """``/api/show`` of a model, kept by ``digest``: the same digest always has the same details."""
        async with self._asking_details:
            _check_name(name)
            kept = self._details.pop(digest, None) if digest else None
            if kept is None:
                body = await self._post("/api/show", {"model": name}, timeout_s=self._timeout_s)
                kept = await self._decoded("/api/show", body, lambda: model_details(body, name))
            kept = replace(kept, name=clean(name))  # copies share a digest
            if digest:
                self._details[digest] = kept
                while len(self._details) > DETAILS_KEPT:
                    del self._details[next(iter(self._details))]
            return kept

    async def load(self, name: str) -> None:
        """Load a model and return when it is in memory. How long it stays is the server's own setting."""
        await self._preload("load", name, {})
        await self._check_kept(name)

    async def keep(self, name: str) -> None:
        """Keep a model in memory for good; it is loaded if need be."""
        await self._preload("keep", name, {"keep_alive": -1})

    async def _check_kept(self, name: str) -> None:
        """A server that keeps nothing (``OLLAMA_KEEP_ALIVE=0``) answers as if it had loaded the model."""
        reading = await self.read()
        if reading.loaded_known and not reading.loaded:
            told = f"{clean(name)} was loaded and let go at once: the server keeps nothing in memory"
            raise OllamaError(told, "See OLLAMA_KEEP_ALIVE of the server; K keeps this model")

    async def unload(self, name: str) -> None:
        """Let a model go. The server answers at once, but a request that is running still ends first."""
        await self._refuse_cloud("unload", name)
        with self._one_action("unload", name):
            await self._post("/api/generate", {"model": name, "keep_alive": 0}, timeout_s=UNLOAD_TIMEOUT_S)

    async def pull(self, name: str) -> AsyncGenerator[PullProgress, None]:
        """Fetch a model; the last progress has ``done``.

        Closing the generator (``contextlib.aclosing``) ends the download; a later pull goes on from there.
        """
        _check_name(name)
        fold = PullFold(name)
        with self._one_action("pull", name):
            async with aclosing(self._transport.lines("/api/pull", {"model": name}, stall_s=PULL_STALL_S)) as lines:
                async for line in lines:
                    if line.strip():
                        progress = fold.step(line)
                        yield progress
                        if progress.done:
                            return
        raise fold.failed("the stream ended before it was done")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def _read(self) -> OllamaReading:
        await self._transport.open()  # importing httpx is no latency of the server
        until = asyncio.get_running_loop().time() + self._timeout_s
        now = self._clock()
        started = time.perf_counter()
        try:
            body = await self._get("/api/ps", until)
        except OllamaError as error:
            if error.status != 404:
                raise
            return await self._read_without_ps(now, until)
        self._latency_ms = steady_latency_ms(self._latency_ms, (time.perf_counter() - started) * 1000)
        if body != self._ps[0]:
            ahead_s = self._transport.clock_ahead_s
            loaded = await self._decoded("/api/ps", body, lambda: loaded_models(body, now, ahead_s))
            self._ps = (body, loaded)
        loaded = self._ps[1]
        if self._lists_due(now, loaded):
            await self._read_lists(now, loaded, until)
        return OllamaReading(self._version, self._latency_ms, self._tags[1], loaded)

    async def _read_without_ps(self, now: float, until: float) -> OllamaReading:
        """What a server tells that has no ``/api/ps``: what is installed, and never what is in memory."""
        started = time.perf_counter()
        self._ps = (b"", ())
        if self._lists_due(now, ()):
            await self._read_lists(now, (), until)
            self._latency_ms = steady_latency_ms(self._latency_ms, (time.perf_counter() - started) * 1000)
        return OllamaReading(self._version, self._latency_ms or 0.0, self._tags[1], (), loaded_known=False)

    def _lists_due(self, now: float, loaded: tuple[LoadedModel, ...]) -> bool:
        if self._tags_at is None or not 0 <= now - self._tags_at < self._tags_every_s:
            return True
        known = {model.name for model in self._tags[1]}
        return any(model.name not in known and model.name not in self._missing for model in loaded)

    async def _read_lists(self, now: float, loaded: tuple[LoadedModel, ...], until: float) -> None:
        """Tags and version. What an action changes meanwhile makes them due again."""
        self._tags_at = now
        body = await self._get("/api/tags", until)
        if body != self._tags[0]:
            self._tags = (body, await self._decoded("/api/tags", body, lambda: installed_models(body)))
        known = {model.name for model in self._tags[1]}
        self._missing = frozenset(model.name for model in loaded if model.name not in known)
        try:
            version = await self._get("/api/version", until)
            self._version = await self._decoded("/api/version", version, lambda: server_version(version))
        except OllamaError as error:
            if error.status != 404:  # a proxy that only lets the others through
                raise
            self._version = None

    async def _get(self, path: str, until: float) -> bytes:
        return await self._transport.fetch("GET", path, timeout_s=self._timeout_s, until=until)

    async def _post(self, path: str, payload: Payload, *, timeout_s: float) -> bytes:
        return await self._transport.fetch("POST", path, payload, timeout_s=timeout_s)

    async def _decoded(self, path: str, body: bytes, decode: Callable[[], T]) -> T:
        """What ``decode`` makes of ``body``; a large one is decoded in a thread."""
        try:
            if len(body) > _DECODE_OFF_LOOP_BYTES:
                return await asyncio.to_thread(decode)
            return decode()
        except DecodeError as error:
            raise not_json(self.url, path, body, str(error)) from None

    async def _preload(self, verb: str, name: str, options: Payload) -> None:
        """Load by an empty prompt, or an empty input for a model that only embeds (facts/ollama.md §2)."""
        await self._refuse_cloud(verb, name)
        with self._one_action(verb, name):
            if not self._only_embeds(name):
                try:
                    await self._load_by("/api/generate", {"model": name, **options})
                except OllamaError as error:  # servers before 0.30 do not list what a model can do
                    if error.status != 400 or "does not support generate" not in error.message:
                        raise
                else:
                    return
            await self._load_by("/api/embed", {"model": name, "input": "", **options})

    async def _load_by(self, path: str, payload: Payload) -> None:
        body = await self._post(path, payload, timeout_s=LOAD_TIMEOUT_S)
        answer = await self._decoded(path, body, lambda: document(body))
        if "error" in answer:
            raise OllamaError(f"Ollama at {self.url} could not do it: {clean(str(answer['error']))}")

    async def _refuse_cloud(self, verb: str, name: str) -> None:
        """Ollama passes requests for cloud models on to ollama.com; none is ever in this memory."""
        _check_name(name)
        if not is_cloud_name(name):
            if self._last is None:
                await self.read()  # a copy of a cloud model may have any name
            installed = self._installed(name)
            if installed is None or not installed.remote:
                return
        raise OllamaError(
            f"{clean(name)} runs in Ollama's cloud: there is nothing to {verb} here",
            "Choose a model that is stored on this server",
        )

    def _installed(self, name: str) -> InstalledModel | None:
        names = (name, f"{name}:latest")
        return next((model for model in self._tags[1] if model.name in names), None)

    def _only_embeds(self, name: str) -> bool:
        installed = self._installed(name)
        capabilities = installed.capabilities if installed else ()
        return "embedding" in capabilities and "completion" not in capabilities

    @contextmanager
    def _one_action(self, verb: str, name: str) -> Iterator[None]:
        """Refuse the same action on the same model twice at once; ask anew afterwards, however it ended."""
        action = (verb, name)
        if action in self._acting:
            raise OllamaError(f"{clean(name)}: a {verb} is under way already", "Wait until it has ended")
        self._acting.add(action)
        try:
            yield
        finally:
            self._acting.discard(action)
            self.refresh_soon()


def _check_name(name: str) -> None:
    """Refuse what can't name a model before it is sent; which names exist is the server's to say."""
    encodable = not any("\ud800" <= character <= "\udfff" for character in name)
    if not (name.strip() and encodable and len(name) <= NAME_LIMIT):
        raise OllamaError(f"{clean(name, limit=80)!r} is no model name", "A name looks like  qwen3:8b")
