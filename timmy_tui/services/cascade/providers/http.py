"""JSON over HTTP to one provider: one deadline, bounded bodies, no redirects, and every failure a CallError.

What a failure's text says never holds a key, and nothing is dialled for a local-only call that would leave.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import msgspec

from timmy_tui.config import ProviderConfig
from timmy_tui.services.cascade.records import CallError, CallProblem, CompletionRequest
from timmy_tui.services.http_library import import_httpx
from timmy_tui.services.locality import host_place
from timmy_tui.services.ollama.decode import whole_number
from timmy_tui.services.providers.found import Target
from timmy_tui.services.providers.probe_errors import connection_text, status_text
from timmy_tui.text import clean, clean_error, span_text

if TYPE_CHECKING:
    import httpx

BODY_MAX_BYTES = 8_000_000
"""Far more than any completion; the largest list of models is a tenth of it."""

RETRY_AFTER_MOST_S = 24 * 3600.0
"""Whoever wants to be left alone for longer is asked again a day later."""

MOST_WRAPPED = 4
"""Errors within errors: a proxy's, a server's, a runner's."""

ERROR_MAX_BYTES = 65_536

Object = dict[str, object]

_TOO_LONG = ("context length", "context window", "context size", "too long", "too many tokens", "prompt exceeds")
"""How servers word a 400 for a prompt that does not fit; none has a code for it that the others share."""


class JsonCaller:
    """Requests to the server of ``target``, in one event loop. Making it imports and opens nothing."""

    def __init__(self, target: Target, config: ProviderConfig, headers: Mapping[str, str] = {}) -> None:
        self.name = target.name
        self.url = target.url or ""
        self._target = target
        self._config = config
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # a limit on compressed bytes would limit nothing
            "User-Agent": "timmy-tui",
            **dict(target.headers),
            **headers,
        }
        self._client: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()

    @property
    def local(self) -> bool:
        """The server is on this machine or network."""
        return host_place(self.url) == "local"

    def check(self, request: CompletionRequest) -> None:
        """Refuse, before any connection, a call that must not leave or can't be made. Raises :class:`CallError`."""
        if self._target.wrong is not None:
            raise CallError("not_configured", self._target.wrong, "timmy-tui config show")
        if request.local_only and not self.local:
            raise CallError(
                "not_local",
                "not asked: it is not on this machine or network, and the call is local-only",
                "heartbeat: local_only: false  lets it be asked",
            )
        if self._target.off is not None:
            raise CallError("not_configured", self._target.off, "Set it in the environment of the worker")
        if self._config.api_key.strip() and "${" not in self._config.api_key and not self.local:
            raise CallError(
                "not_configured", "its api_key stands in the file", 'Write the name of a variable: api_key: "${NAME}"'
            )

    async def fetch(self, path: str, until: float) -> bytes:
        """The body at ``path``, by ``until`` (loop time). Raises :class:`CallError`."""
        return await self._ask("GET", path, None, until)

    async def get(self, path: str, until: float) -> Object:
        """The JSON object at ``path``, by ``until`` (loop time). Raises :class:`CallError`."""
        return self._object(await self.fetch(path, until))

    async def post(self, path: str, payload: Mapping[str, object], until: float) -> Object:
        """The JSON object that answers ``payload``, by ``until`` (loop time). Raises :class:`CallError`."""
        return self._object(await self._ask("POST", path, json.dumps(payload).encode(), until))

    async def post_lines(self, path: str, payload: Mapping[str, object], until: float) -> AsyncGenerator[Object, None]:
        """The JSON objects that answer ``payload``, a line each, as they come. Raises :class:`CallError`."""
        import httpx

        client = await self._open()
        headers = {**self._headers, "Content-Type": "application/json"}
        content = json.dumps(payload).encode()
        try:
            async with (
                asyncio.timeout_at(until),
                client.stream("POST", self.url + path, content=content, headers=headers) as response,
            ):
                if response.status_code != 200:
                    raise self._refused(response.status_code, await _body(response), retry_after_s(response.headers))
                async for line in _lines(response):
                    yield self._object(line)
        except TimeoutError:
            raise CallError("timeout", "no whole answer in time") from None
        except (httpx.InvalidURL, httpx.HTTPError, httpx.StreamError, OSError, UnicodeError) as error:
            raise CallError("refused", self._without_key(connection_text(error))) from None

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _ask(self, method: str, path: str, content: bytes | None, until: float) -> bytes:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout_at(until):
                status, body, wait_s = await self._send(await self._open(), method, self.url + path, content)
        except TimeoutError:
            raise CallError("timeout", f"no answer within {max(until - begun, 0):.3g} s") from None
        if status != 200:
            raise self._refused(status, body, wait_s)
        return body

    async def _open(self) -> httpx.AsyncClient:
        async with self._opening:
            if self._client is None:
                try:
                    self._client = await asyncio.to_thread(_new_client, self.local, self.url.startswith("https:"))
                except (OSError, ImportError, ValueError) as error:
                    raise CallError("not_configured", clean_error(error), "Check the proxy and certificates") from None
            return self._client

    async def _send(
        self, client: httpx.AsyncClient, method: str, url: str, content: bytes | None
    ) -> tuple[int, bytes, float | None]:
        """Status, body, and for how long the server wants to be left alone."""
        import httpx

        headers = dict(self._headers)
        if content is not None:
            headers["Content-Type"] = "application/json"
        if not all(text.isascii() and text.isprintable() for pair in headers.items() for text in pair):
            raise CallError("not_configured", "its key or a header holds characters that can't be sent")
        try:
            async with client.stream(method, url, content=content, headers=headers) as response:
                return response.status_code, await _body(response), retry_after_s(response.headers)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError) as error:
            raise CallError("not_configured", connection_text(error)) from None
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            # The deepest cause can come from a library that quotes what it was given.
            raise CallError("refused", self._without_key(connection_text(error))) from None

    def _refused(self, status: int, body: bytes, wait_s: float | None) -> CallError:
        """The error that an answer with ``status`` is."""
        exceeded = _exceeded(body) if status == 400 else None
        if exceeded is not None:
            wanted, room = exceeded
            return CallError("too_long", f"the prompt has {wanted:,} tokens; the context has {room:,}")
        said = self._without_key(_error_said(body))
        told = status_text(status, self._target.type, keyed=self._target.key is not None)
        if status in (401, 403):
            return CallError("auth", told)
        if 300 <= status < 400:
            return CallError("not_configured", told)
        if status in (400, 413) and (status == 413 or any(words in said.lower() for words in _TOO_LONG)):
            return CallError("too_long", f"the prompt does not fit: {said or status}")
        if wait_s is None or problem_of(status) != "busy":
            return CallError(problem_of(status), f"{said} ({status})" if said else told)
        later = f"; it wants no call for {span_text(wait_s)}"
        return CallError("busy", (f"{said} ({status})" if said else told) + later, retry_after_s=wait_s)

    def _object(self, body: bytes) -> Object:
        try:
            answer = msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            kind = "a web page" if body.lstrip()[:1] == b"<" else "something that is not JSON"
            raise CallError("server", f"answers with {kind if body.strip() else 'nothing'}") from None
        if not isinstance(answer, dict):
            raise CallError("server", "answers with JSON that is no object")
        if answer.get("error"):
            raise CallError("server", self._without_key(_error_text(answer["error"])))
        return answer

    def _without_key(self, text: str) -> str:
        """``text`` without the key, should the server repeat it in a form that no rule knows for a secret."""
        secrets = (self._target.key, *(value for _, value in self._target.headers))
        for secret in secrets:
            if secret and len(secret) >= 4:
                text = text.replace(secret, "***")
        return text


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """``Retry-After`` in seconds from now, of a number or a date (RFC 9110 §10.2.3); None without a usable one."""
    told = headers.get("retry-after", "").strip()
    if told.isdigit() and len(told) < 10:
        wait_s = float(told)
    else:
        try:
            wait_s = parsedate_to_datetime(told).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError, OSError):
            return None
    return min(wait_s, RETRY_AFTER_MOST_S) if wait_s > 0 else None


def problem_of(status: int) -> CallProblem:
    """The kind of problem that an HTTP status is."""
    if status in (401, 402, 403):
        return "auth"
    if status in (404, 405, 410):
        return "not_found"
    if status in (429, 503, 529):  # 529: Anthropic's "overloaded"
        return "busy"
    return "too_long" if status == 413 else "server"


def text_of(answer: Object, key: str) -> str | None:
    """The string at ``key``, verbatim; None for anything else."""
    value = answer.get(key)
    return value if isinstance(value, str) else None


def name_of(answer: Object, key: str) -> str | None:
    """The string at ``key`` on one safe line; None for an empty one or anything else."""
    value = text_of(answer, key)
    return clean(value) if value else None


def object_of(answer: Object, key: str) -> Object:
    """The object at ``key``; an empty one for anything else."""
    value = answer.get(key)
    return value if isinstance(value, dict) else {}


def _new_client(local: bool, secure: bool) -> httpx.AsyncClient:
    """A client; made in a thread: the import and the certificates take their time.

    No proxy of the environment is asked for what is nearby (it would carry a local call away), and plain HTTP there
    loads no certificates. Redirects are not followed: they would carry prompt and key to another place.
    """
    import_httpx()
    import httpx

    verify = httpx.create_ssl_context() if secure or not local else False
    return httpx.AsyncClient(verify=verify, trust_env=not local, follow_redirects=False, timeout=None)


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body's lines, cut at newlines alone and bounded as a whole: the bytes, whatever charset is claimed."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise CallError("server", "answers in an encoding that was not asked for")
    rest, taken = b"", 0
    async for chunk in response.aiter_raw():
        taken += len(chunk)
        if taken > BODY_MAX_BYTES:
            raise CallError("server", f"answers with more than {BODY_MAX_BYTES // 10**6} MB")
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
    if rest.strip():
        yield rest


async def _body(response: httpx.Response) -> bytes:
    """The body; of an error's only the start."""
    good = response.status_code == 200
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        if not good:
            return b""
        raise CallError("server", "answers in an encoding that was not asked for")
    limit = BODY_MAX_BYTES if good else ERROR_MAX_BYTES
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            if good:
                raise CallError("server", f"answers with more than {BODY_MAX_BYTES // 10**6} MB")
            return bytes(body[:limit])
    return bytes(body)


def _error_said(body: bytes) -> str:
    """What an error's body says, on one safe line; empty for a web page or nothing."""
    if body.lstrip()[:1] == b"<":
        return ""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return clean_error(" ".join(body[:2_000].decode(errors="replace").split()), limit=200) if body.strip() else ""
    if isinstance(answer, dict):
        return _error_text(answer.get("error") or answer.get("detail") or answer.get("message"))
    return ""


def _exceeded(body: bytes) -> tuple[int, int] | None:
    """The prompt's tokens and the context's, where a refusal names both: llama.cpp's, and Ollama's around it."""
    error: object = _decoded(body)
    for _ in range(MOST_WRAPPED):
        if isinstance(error, str):
            error = _decoded(error.encode("utf-8", "replace"))
        if not isinstance(error, dict):
            return None
        wanted, room = whole_number(error.get("n_prompt_tokens")), whole_number(error.get("n_ctx"))
        if wanted is not None and room is not None:
            return wanted, room
        error = error.get("error")
    return None


def _decoded(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _error_text(error: object) -> str:
    """``"…"`` (Ollama) or ``{"message": "…"}`` (OpenAI, Anthropic) as one safe line; one within the other too."""
    for _ in range(MOST_WRAPPED):
        if isinstance(error, str) and error.lstrip()[:1] == "{":
            error = _decoded(error.encode("utf-8", "replace")) or error
        if not (isinstance(error, dict) and isinstance(error.get("error"), dict | str)):
            break
        error = error["error"]
    if isinstance(error, dict):
        error = error.get("message") or error.get("type")
    if error is None:
        return ""
    return clean_error(" ".join(error.split()) if isinstance(error, str) else "an error without words", limit=200)
