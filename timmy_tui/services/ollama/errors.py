"""What goes wrong with an Ollama server, in the operator's words: one line each, and what to do about it."""

from __future__ import annotations

import msgspec

from timmy_tui.services.locality import is_loopback_host, is_private_host, url_host
from timmy_tui.services.reading import SourceError
from timmy_tui.text import clean_error

CHECK_ADDRESS = "Is this the address of an Ollama server? See OLLAMA_HOST, or ollama: in tui.yaml"


class OllamaError(SourceError):
    """An Ollama server could not be read, or refused what was asked of it.

    ``status`` is the HTTP status of a refusal; None where there was none.
    """

    def __init__(self, message: str, hint: str = "", *, status: int | None = None) -> None:
        super().__init__(message, hint)
        self.status = status


def no_answer(url: str, why: str) -> OllamaError:
    """Nobody listens there, or it can't be reached: ``why`` is the reason in a few words."""
    host = url_host(url) or ""
    if is_loopback_host(host):
        hint = "Start it with:  ollama serve"
    elif is_private_host(host):
        hint = "Start it there with:  OLLAMA_HOST=0.0.0.0 ollama serve"
    else:
        hint = CHECK_ADDRESS
    return OllamaError(f"Ollama does not answer at {url}: {clean_error(why)}", hint)


def too_slow(url: str, path: str, seconds: float, *, answering: bool) -> OllamaError:
    """The deadline has passed: nothing has come, or an answer that does not end."""
    if answering:
        return OllamaError(
            f"Ollama at {url} is still answering {path} after {seconds:g} s",
            "It, or a proxy before it, is very slow",
        )
    return OllamaError(
        f"Ollama does not answer at {url}: nothing for {seconds:g} s ({path})",
        "It may be loading a model; if this stays, restart it",
    )


def too_large(url: str, path: str, limit_bytes: int) -> OllamaError:
    """An answer longer than anything Ollama sends; the rest was not read."""
    return OllamaError(f"Ollama at {url} sends more than {limit_bytes // 10**6} MB for {path}", CHECK_ADDRESS)


def not_json(url: str, path: str, body: bytes, why: str) -> OllamaError:
    """The answer is no JSON, or not the document that ``path`` stands for."""
    if _looks_like_html(body):
        return OllamaError(f"Ollama at {url} answers {path} with a web page", CHECK_ADDRESS)
    return OllamaError(f"Ollama at {url} answers {path} with something else: {clean_error(why)}", CHECK_ADDRESS)


def redirected(url: str, path: str, target: str) -> OllamaError:
    """A redirect that is not followed: the answer, and our headers, would be another server's."""
    return OllamaError(
        f"Ollama at {url} sends {path} on to {clean_error(target, limit=120) or 'nowhere'}",
        "If that is the server you mean, set its address: OLLAMA_HOST, or ollama: in tui.yaml",
    )


def broken_off(url: str, path: str, why: str) -> OllamaError:
    """The connection failed while the answer was awaited or read."""
    return OllamaError(
        f"Ollama at {url} breaks off its answer to {path}: {clean_error(why, limit=120)}",
        "Its own log says more; it may just be restarting",
    )


def refused(url: str, path: str, status: int, body: bytes) -> OllamaError:
    """An answer with an error status (facts/ollama.md §1 "Health", §2 error table)."""
    message, hint = _refusal(url, path, status, body)
    return OllamaError(message, hint, status=status)


def _refusal(url: str, path: str, status: int, body: bytes) -> tuple[str, str]:
    said, sign_in = _error_text(body)
    at = f"Ollama at {url}"
    if status == 401:
        hint = "Sign in with:  ollama signin" if sign_in else "Give it a key: ollama: headers: in tui.yaml"
        return (f"{at} wants a sign-in: {said or 'unauthorized'}", hint)
    if status == 403 and not said:
        return (
            f"{at} forbids {path}: it takes our Host header for a stranger's",
            "A proxy or tunnel in front of it must send  Host: localhost:11434",
        )
    if status == 404 and "model" in said and "not found" in said:
        return (f"Ollama: {said}", "Get it with:  ollama pull NAME")
    if status in (404, 405) and not body.lstrip().startswith(b"{"):
        return (f"{at} does not know {path}: {status} {said}".rstrip(), CHECK_ADDRESS)
    if status == 503:
        return (
            f"{at} is busy: {said or '503 without a word'}",
            "Try again in a moment; OLLAMA_MAX_QUEUE of the server sets its limit",
        )
    hint = "Its own log says more" if status >= 500 else ""
    return (f"{at} answers {status} to {path}{': ' + said if said else ''}", hint)


def _error_text(body: bytes) -> tuple[str, bool]:
    """The error inside a body as one line, and whether it offers a sign-in; HTML has no such line."""
    start = body[:4096]
    if _looks_like_html(start):
        return "a web page", False
    try:
        document = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return clean_error(" ".join(start.decode("utf-8", "replace").split()), limit=200), False
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, dict):  # the /v1 form, which some proxies use for everything
        error = error.get("message")
    said = clean_error(" ".join(error.split())) if isinstance(error, str) else ""
    return said, isinstance(document, dict) and "signin_url" in document


def _looks_like_html(body: bytes) -> bool:
    return body[:200].lstrip().lower().startswith((b"<!doctype", b"<html", b"<head", b"<?xml"))
