"""What went wrong with a probe, in one line. Bodies and headers never get in: they can hold keys."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus

from timmy_tui.text import clean, clean_error


def status_text(status: int, kind: str, *, keyed: bool) -> str:
    """Why an answer with this status is no good one."""
    if status in (401, 403) and keyed:
        return f"the key was refused ({status})"
    if status == 401:
        return "it wants a key (401); set api_key"
    if status == 403 and kind == "ollama":
        # facts/ollama.md §1: a server on loopback refuses any other Host name.
        return "it refused the request (403): this Ollama answers only to local host names"
    if status == 404:
        return "nothing at this path (404); check base_url"
    if 300 <= status < 400:
        return f"redirects elsewhere ({status}); set base_url to the final address"
    if status == 429:
        return "too many requests (429)"
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    return f"answered {status}{phrase}"


def connection_text(error: BaseException) -> str:
    """Why there was no answer, by the deepest cause that says something."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ConnectionRefusedError):
            return "nothing listens there (connection refused)"
        if isinstance(cause, socket.gaierror):
            return "its host name can't be resolved"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {clean(cause.verify_message, limit=120)}"
        if isinstance(cause, ssl.SSLError):
            return "TLS failed; is it an http:// address?"
    kinds = {type(cause).__name__ for cause in causes}
    if kinds & {"ConnectTimeout", "ReadTimeout", "WriteTimeout", "PoolTimeout"}:
        return "no answer in time"
    if "LocalProtocolError" in kinds or isinstance(error, UnicodeError):
        return "its address, key or a header can't be sent"
    if "RemoteProtocolError" in kinds:
        return "answers with something that is not HTTP"
    if "ProxyError" in kinds:
        return f"the proxy failed: {clean_error(error, limit=120)}"
    if kinds & {"InvalidURL", "UnsupportedProtocol"}:
        return "its base_url is no address"
    if kinds & {"ReadError", "WriteError", "CloseError", "ConnectionResetError"}:
        return "the connection broke off"
    reason = next((cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror), None)
    return f"can't be reached: {clean_error(reason or error, limit=160)}"


def _causes(error: BaseException, depth: int = 8) -> Iterator[BaseException]:
    """The error, what it was raised from, and the members of a group."""
    if depth == 0:
        return
    yield error
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _causes(member, depth - 1)
    cause = error.__cause__ or error.__context__
    if cause is not None:
        yield from _causes(cause, depth - 1)
