"""One question to a provider's free endpoint: is it there, how fast, which version. Never a completion."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from timmy_tui.services.http_library import import_httpx
from timmy_tui.services.locality import host_place
from timmy_tui.services.providers.found import Target
from timmy_tui.services.providers.hermes_binary import find_hermes
from timmy_tui.services.providers.probe_errors import connection_text, status_text
from timmy_tui.services.version_path import has_version
from timmy_tui.text import clean

if TYPE_CHECKING:
    import httpx

BODY_MAX_BYTES = 4_000_000
ANTHROPIC_VERSION = "2023-06-01"

_MISSING = 404


class Answer(Struct, frozen=True):
    """What a probe learned."""

    error: str | None = None
    """None = the provider answers."""
    latency_ms: float | None = None
    version: str | None = None
    model: str | None = None
    """The only model that the server has."""


class _Unfit(Exception):
    """The answer is not what the endpoint gives; the text says in one line what it was instead."""


class Prober:
    """Asks providers. Keeps connections between probes; nothing is imported or opened before the first."""

    def __init__(self, hermes_command: str, env: Mapping[str, str], *, timeout_s: float) -> None:
        self._hermes_command = hermes_command
        self._env = env
        self._timeout_s = timeout_s
        self._clients: dict[tuple[bool, bool], httpx.AsyncClient] = {}
        self._making = asyncio.Lock()

    async def ask(self, target: Target) -> Answer:
        """One probe, within the timeout. Raises nothing: what went wrong is in the answer, no secret is."""
        if target.wrong is not None:
            return Answer(error=target.wrong)
        try:
            async with asyncio.timeout(self._timeout_s):
                if target.url is None:
                    return await self._ask_hermes()
                return await self._ask_server(target, target.url)
        except TimeoutError:
            return Answer(error=f"no answer within {self._timeout_s:g} s")
        except _Unfit as error:
            return Answer(error=str(error))

    async def aclose(self) -> None:
        """Close every connection."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    async def _ask_hermes(self) -> Answer:
        """Hermes has no endpoint: it is there when its command is."""
        binary = await asyncio.to_thread(find_hermes, self._hermes_command, self._env)
        if binary is None:
            command = clean(self._hermes_command, limit=60)
            return Answer(error=f"no {command} command found; install Hermes Agent or set hermes.command")
        return Answer(error=binary.error, version=binary.version)

    async def _ask_server(self, target: Target, url: str) -> Answer:
        client = await self._client(url)
        headers = _headers(target)
        started = time.perf_counter()
        status, body = 0, b""
        for endpoint in _endpoints(target.type, url):
            started = time.perf_counter()
            status, body = await _get(client, endpoint, headers)
            if status != _MISSING:
                break
        latency_ms = (time.perf_counter() - started) * 1000
        if status != 200:
            raise _Unfit(status_text(status, target.type, keyed=target.key is not None))
        answer = _json(body)
        if target.type == "ollama":
            return Answer(latency_ms=latency_ms, version=_version(answer))
        return Answer(latency_ms=latency_ms, model=_only_model(answer))

    async def _client(self, url: str) -> httpx.AsyncClient:
        private, secure = host_place(url) == "local", url.startswith("https:")
        async with self._making:
            client = self._clients.get((private, secure))
            if client is None:
                try:
                    client = await asyncio.to_thread(_new_client, private, secure)
                except OSError as error:
                    raise _Unfit(connection_text(error)) from None
                self._clients[private, secure] = client
        return client


def _new_client(private: bool, secure: bool) -> httpx.AsyncClient:
    """A client for one kind of address; made in a thread: the import and the certificates take their time.

    No proxy of the environment is asked for what is nearby, and plain HTTP there loads no certificates.
    Redirects are not followed: they would carry the key to another place.
    """
    import_httpx()
    import httpx

    verify = httpx.create_ssl_context() if secure or not private else False
    return httpx.AsyncClient(verify=verify, trust_env=not private, follow_redirects=False, timeout=None)


def _headers(target: Target) -> dict[str, str]:
    """The request's headers. A key that no header can carry is refused here: a library would quote it."""
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", **dict(target.headers)}
    if target.key is not None and target.type == "anthropic":
        headers |= {"x-api-key": target.key}
    elif target.key is not None:
        headers |= {"Authorization": f"Bearer {target.key}"}
    if target.type == "anthropic":
        headers |= {"anthropic-version": ANTHROPIC_VERSION}
    if not all(text.isascii() and text.isprintable() for pair in headers.items() for text in pair):
        raise _Unfit("its key or a header holds characters that can't be sent")
    return headers


def _endpoints(kind: str, url: str) -> tuple[str, ...]:
    """The free endpoints to try in turn; the next one only where there is nothing at the one before."""
    if kind == "ollama":
        return (f"{url}/api/version",)
    if has_version(url):
        return (f"{url}/models",)
    return (f"{url}/v1/models", f"{url}/models") if kind == "openai" else (f"{url}/v1/models",)


async def _get(client: httpx.AsyncClient, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    import httpx

    try:
        async with client.stream("GET", url, headers=headers) as response:
            body = await _body(response) if response.status_code == 200 else b""
            return response.status_code, body
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise _Unfit(connection_text(error)) from None


async def _body(response: httpx.Response) -> bytes:
    """The body, at most :data:`BODY_MAX_BYTES` of it even when it was compressed unasked."""
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("identity", "", "gzip", "deflate"):
        raise _Unfit(f"answers in an encoding that was not asked for ({clean(encoding, limit=20)})")
    raw = bytearray()
    async for chunk in response.aiter_raw():
        raw += chunk
        if len(raw) > BODY_MAX_BYTES:
            raise _Unfit("answers with more than 4 MB where a few lines belong")
    if encoding in ("identity", ""):
        return bytes(raw)
    try:
        body = zlib.decompressobj(wbits=47).decompress(raw, BODY_MAX_BYTES + 1)
    except zlib.error:
        raise _Unfit("answers with a broken compressed body") from None
    if len(body) > BODY_MAX_BYTES:
        raise _Unfit("answers with more than 4 MB where a few lines belong")
    return body


def _json(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        if body.lstrip()[:1] == b"<":
            raise _Unfit("answers with a web page, not with JSON; is the address right?") from None
        raise _Unfit("answers with something that is not JSON") from None


def _version(answer: object) -> str:
    version = answer.get("version") if isinstance(answer, dict) else None
    if not isinstance(version, str) or not version:
        raise _Unfit("answers, but not as Ollama does")
    return clean(version, limit=40)


def _only_model(answer: object) -> str | None:
    """The one model of a list of models; a list under ``data`` (null when Ollama has none) or bare."""
    models: object = answer
    if isinstance(answer, dict):
        models = answer["data"] if "data" in answer else answer.get("models", "")
    if models is None:
        return None
    if not isinstance(models, list):
        raise _Unfit("answers, but not with a list of models")
    if len(models) != 1 or not isinstance(models[0], dict):
        return None
    name = models[0].get("id")
    return clean(name) if isinstance(name, str) and name else None
