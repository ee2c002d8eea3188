"""Where to dial an Ollama server: every form of ``OLLAMA_HOST`` as one URL (facts/ollama.md §4)."""

from __future__ import annotations

import ipaddress
import re

from timmy_tui.services.locality import is_private_host, url_host
from timmy_tui.services.ollama.errors import OllamaError
from timmy_tui.text import clean_error

DEFAULT_URL = "http://127.0.0.1:11434"

_DEFAULT_PORT = 11434
_SCHEME_PORTS = {"http": 80, "https": 443}
_HOST_NAME = re.compile(r"[\w-]+(?:\.[\w-]+)*\.?")
_PATH = re.compile(r"[\w.~%/+:,=-]*", re.ASCII)
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses that a server listens on but nobody can dial, and what a client dials for them."""


def connectable_url(text: str) -> str:
    """``text``, any form that ``OLLAMA_HOST`` may have, as ``scheme://host:port[/prefix]``.

    Empty means :data:`DEFAULT_URL`. Without a scheme the port is 11434, with one it is 80 or 443; a port that
    is no port falls back to that, as in Ollama's own client.

    Raises :class:`OllamaError` for what is no address.
    """
    address = text.strip().strip("\"'").strip()
    if "@" in address:
        raise OllamaError(
            "The Ollama address can't hold a user name or password",
            "Put the key into  ollama: headers:  in tui.yaml instead",
        )
    scheme, separator, rest = address.partition("://")
    if not separator:
        scheme, rest, default_port = "http", address, _DEFAULT_PORT
        if rest.lower().rstrip("/") == "ollama.com":
            scheme, default_port = "https", _SCHEME_PORTS["https"]
    else:
        scheme = scheme.lower()
        if scheme not in _SCHEME_PORTS:
            raise _no_address(address, "only http:// and https:// can be dialled")
        default_port = _SCHEME_PORTS[scheme]
    host_and_port, _, path = rest.partition("/")
    host, port = _split_port(host_and_port, default_port)
    path = path.strip("/")
    if not _PATH.fullmatch(path):
        raise _no_address(address, "its path holds characters that no address has")
    return f"{scheme}://{_dialled(host, address)}:{port}{'/' + path if path else ''}"


def is_private(url: str) -> bool:
    """The server is on this machine or network; no proxy of the environment is asked for it."""
    return is_private_host(url_host(url) or "")


def _split_port(text: str, default_port: int) -> tuple[str, int]:
    """``host:port``, ``[v6]:port``, a bare host or a bare IPv6 address as host and port."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif text.count(":") > 1:
        host, port = text, ""
    else:
        host, _, port = text.partition(":")
    number = int(port) if re.fullmatch(r"[0-9]{1,5}", port) else 0
    return host, number if 0 < number < 65536 else default_port


def _dialled(host: str, address: str) -> str:
    """The host as it stands in a URL."""
    host = _ANYWHERE.get(host, host) or "127.0.0.1"
    if ":" in host:
        try:
            ipv6 = ipaddress.IPv6Address(host)
        except ValueError:
            raise _no_address(address, "write an IPv6 address with a port as [address]:port") from None
        return f"[{_ANYWHERE.get(ipv6.compressed, ipv6.compressed)}]"
    if not _HOST_NAME.fullmatch(host) or len(host) > 253:
        raise _no_address(address, "its host name holds characters that no name has")
    return host.lower()


def _no_address(address: str, why: str) -> OllamaError:
    return OllamaError(
        f"{clean_error(address, limit=80)!r} is no Ollama address: {why}",
        "Set OLLAMA_HOST to  host:port  or  http://host:port",
    )
