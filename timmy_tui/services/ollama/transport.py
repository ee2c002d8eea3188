"""HTTP to one Ollama server: one client, kept connections, limits on time and size, errors in plain words."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec

from timmy_tui.services.http_library import import_httpx_off_loop
from timmy_tui.services.ollama.address import is_private
from timmy_tui.services.ollama.errors import (
    OllamaError,
    broken_off,
    no_answer,
    redirected,
    refused,
    too_large,
    too_slow,
)

if TYPE_CHECKING:
    import httpx

BODY_LIMIT_BYTES = 16 * 10**6
LINE_LIMIT_BYTES = 10**6
CLOCKS_DIFFER_S = 2.0
"""Two clocks that differ by less count as the same."""

REDIRECT_LIMIT = 3

_KEEPALIVE_S = 120.0
"""Longer than any polling interval: httpx's own 5 seconds would open a connection for every poll."""

_REDIRECTS = (301, 302, 303, 307, 308)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")

Method = Literal["GET", "POST"]
Payload = Mapping[str, str | int]


class Transport:
    """Requests to ``url``, a connectable URL. Every failure is an :class:`OllamaError`."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise OllamaError(
                    f"The header {name!a:.60} for Ollama holds characters that HTTP does not allow",
                    "Correct it under  ollama: headers:  in tui.yaml",
                )
        self.url = url
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # a size limit on compressed bytes would limit nothing
            "User-Agent": "timmy-tui",
            **headers,
        }
        self.clock_ahead_s = 0.0
        """How far the server's clock was ahead of ours at its last answer."""
        self._client: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()
        self._gets: dict[str, httpx.Request] = {}

    async def open(self) -> httpx.AsyncClient:
        """The HTTP client, made at the first call."""
        if self._client is not None:
            return self._client
        async with self._opening:
            if self._client is None:
                self._client = await self._new_client()
            return self._client

    async def aclose(self) -> None:
        """Close every connection; what is under way fails."""
        client, self._client = self._client, None
        self._gets.clear()
        if client is not None:
            await client.aclose()

    async def fetch(
        self,
        method: Method,
        path: str,
        payload: Payload | None = None,
        *,
        timeout_s: float,
        until: float | None = None,
    ) -> bytes:
        """The whole body of a successful answer.

        ``timeout_s`` bounds everything from the connection to the last byte; ``until`` (loop time) is the end
        of a budget that several requests share, ``timeout_s`` being its length.
        """
        client = await self.open()
        import httpx

        answering = False
        end = asyncio.get_running_loop().time() + timeout_s if until is None else until
        try:
            async with asyncio.timeout_at(end):
                response = await self._send(client, method, path, payload)
                answering = True
                self.clock_ahead_s = _ahead_s(response)
                try:
                    body = await self._body(response, path)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise too_slow(self.url, path, timeout_s, answering=answering) from None
        except httpx.HTTPError as error:
            raise broken_off(self.url, path, _break_reason(error)) from None
        if response.status_code != 200:
            raise refused(self.url, path, response.status_code, body)
        return body

    async def lines(self, path: str, payload: Payload, *, stall_s: float) -> AsyncGenerator[bytes, None]:
        """The lines of a streamed answer; it may last for hours but must not be silent for ``stall_s``."""
        client = await self.open()
        import httpx

        try:
            async with asyncio.timeout(stall_s):
                response = await self._send(client, "POST", path, payload)
        except TimeoutError:
            raise too_slow(self.url, path, stall_s, answering=False) from None
        try:
            if response.status_code != 200:
                async with asyncio.timeout(stall_s):
                    body = await self._body(response, path)
                raise refused(self.url, path, response.status_code, body)
            chunks = response.aiter_raw()
            rest = b""
            while True:
                async with asyncio.timeout(stall_s):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    break
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > LINE_LIMIT_BYTES:
                    raise too_large(self.url, path, LINE_LIMIT_BYTES)
                for line in lines:
                    yield line
            yield rest
        except TimeoutError:
            raise too_slow(self.url, path, stall_s, answering=True) from None
        except httpx.HTTPError as error:
            raise broken_off(self.url, path, _break_reason(error)) from None
        finally:
            await response.aclose()

    async def _new_client(self) -> httpx.AsyncClient:
        await import_httpx_off_loop()
        import httpx

        private = is_private(self.url)
        if self.url.startswith("https:"):
            # SSL_CERT_FILE counts for private servers too: they are the ones with a private authority.
            tls = await asyncio.to_thread(httpx.create_ssl_context)
        else:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # empty: loading the authorities costs 30 ms
        try:
            return httpx.AsyncClient(
                headers=self._headers,
                verify=tls,
                trust_env=not private,  # an HTTP_PROXY of the environment breaks local calls
                timeout=None,  # ours are deadlines over the whole request
                limits=httpx.Limits(keepalive_expiry=_KEEPALIVE_S),
            )
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            raise no_answer(self.url, f"the proxy of the environment can't be used: {error}") from None

    async def _send(
        self, client: httpx.AsyncClient, method: Method, path: str, payload: Payload | None
    ) -> httpx.Response:
        """The answer's head, redirects on the same server followed."""
        import httpx

        url = self.url + path
        for _ in range(REDIRECT_LIMIT):
            try:
                response = await self._send_once(client, method, url, payload)
            except httpx.ConnectError as error:
                raise no_answer(self.url, _connect_reason(error)) from None
            except (httpx.InvalidURL, UnicodeError) as error:
                raise no_answer(self.url, f"it can't be dialled ({error})") from None
            except httpx.HTTPError as error:
                raise broken_off(self.url, path, _break_reason(error)) from None
            if response.status_code not in _REDIRECTS:
                return response
            await response.aclose()
            url = self._next_url(method, path, url, response)
        raise redirected(self.url, path, "itself, in a circle")

    async def _send_once(
        self, client: httpx.AsyncClient, method: Method, url: str, payload: Payload | None
    ) -> httpx.Response:
        import httpx

        if client.is_closed:
            raise broken_off(self.url, urlsplit(url).path, "this console has closed the connection")
        if method == "POST":
            content = msgspec.json.encode(payload or {})
            request = client.build_request("POST", url, content=content, headers={"Content-Type": "application/json"})
            return await client.send(request, stream=True)
        request = self._gets.get(url) or self._gets.setdefault(url, client.build_request("GET", url))
        try:
            return await client.send(request, stream=True)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            if client.is_closed:
                raise
            # The server closed the kept connection in the moment we used it; a new one tells the truth.
            return await client.send(request, stream=True)

    def _next_url(self, method: Method, path: str, url: str, response: httpx.Response) -> str:
        """Where a redirect leads, if it is the same scheme, host and port: our headers are for nobody else."""
        location: str = response.headers.get("location", "")
        try:
            target = urljoin(url, location)
            here, there = urlsplit(url), urlsplit(target)
            same = _origin(here) == _origin(there)
        except ValueError:
            same = False
        keeps_method = method == "GET" or response.status_code in (307, 308)
        if not location or not same or not keeps_method:
            raise redirected(self.url, path, location)
        return target

    async def _body(self, response: httpx.Response, path: str) -> bytes:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise broken_off(self.url, path, "it is compressed, which was not asked for")
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > BODY_LIMIT_BYTES:
                raise too_large(self.url, path, BODY_LIMIT_BYTES)
            chunks.append(chunk)
        return b"".join(chunks)


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _ahead_s(response: httpx.Response) -> float:
    """How far the server's clock is ahead of ours, by the ``Date`` of its answer; 0 where that is no difference."""
    try:
        told = parsedate_to_datetime(response.headers.get("date", "")).timestamp()
    except (ValueError, TypeError, OverflowError, OSError):
        return 0.0
    ahead_s = told + 0.5 - time.time()  # the header has whole seconds
    return ahead_s if abs(ahead_s) > CLOCKS_DIFFER_S else 0.0


def _connect_reason(error: BaseException) -> str:
    """Why no connection came about, in a few words, from the operating system's error beneath httpx's."""
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return "its name is not known"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return "it does not speak TLS; is it http:// instead of https://?"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, OSError) and cause.errno is not None and cause.strerror:
            return cause.strerror.lower()
    return str(error)


def _break_reason(error: Exception) -> str:
    """How an answer ended too early, in a few words."""
    text = str(error)
    if text.startswith("peer closed connection"):
        return "the connection closed halfway"
    if text.startswith("Server disconnected"):
        return "the connection closed without a word"
    return text or type(error).__name__


def _causes(error: BaseException) -> list[BaseException]:
    """``error`` and what lies beneath it, groups included, deepest first."""
    found: list[BaseException] = [error]
    for known in found:  # grows while it is read
        beneath = known.__cause__ or known.__context__
        inner = list(known.exceptions) if isinstance(known, BaseExceptionGroup) else []
        found += [cause for cause in (beneath, *inner) if cause is not None and cause not in found]
    return found[::-1]
