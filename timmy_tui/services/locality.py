"""Whether a URL leads to this machine or network, or out to a cloud: by its host alone, without look-ups."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Literal
from urllib.parse import urlsplit

Place = Literal["local", "cloud", "unknown"]
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PRIVATE_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/32",
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",  # carrier-grade NAT: Tailscale and other overlays
        "169.254.0.0/16",
        "::/128",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)

_PRIVATE_SUFFIXES = (".local", ".localhost", ".internal", ".home.arpa")
"""Names that no public DNS serves (RFC 6762, RFC 6761, ICANN's private-use domain, RFC 8375)."""

_OLD_IPV4 = re.compile(r"(?:0x[0-9a-f]+|\d+)(?:\.(?:0x[0-9a-f]+|\d+)){0,3}", re.ASCII)


def url_host(url: str) -> str | None:
    """The lower-case host of ``url`` (its scheme may be missing), without brackets; None without one."""
    text = url.strip()
    if host_address(text) is not None:
        return text.lower()
    try:
        return urlsplit(text if "://" in text else f"//{text}").hostname or None
    except ValueError:
        return None


def host_address(host: str) -> _Address | None:
    """``host`` as an IP address, also in the forms that ``inet_aton`` knows: ``127.1``, ``2130706433``."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if not _OLD_IPV4.fullmatch(host):
            return None
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def is_loopback_host(host: str) -> bool:
    """``host`` can only be this machine."""
    name = host.lower().removesuffix(".")
    address = host_address(name)
    if address is not None:
        return address.is_loopback
    return name == "localhost" or name.endswith(".localhost")


def is_private_host(host: str) -> bool:
    """``host`` is this machine or its network.

    Loopback, RFC 1918, 100.64/10, link local, unique local, ``*.local`` and the like, or a dotless name.
    """
    name = host.lower().removesuffix(".")
    address = host_address(name)
    if address is not None:
        return any(address in network for network in _PRIVATE_NETWORKS)
    return bool(name) and ("." not in name or name.endswith(_PRIVATE_SUFFIXES))


def host_place(url: str | None) -> Place:
    """Where a base URL leads by its host (facts/hermes.md §2.4 "Local vs cloud"); unknown without a host."""
    host = url_host(url) if url else None
    if not host:
        return "unknown"
    return "local" if is_private_host(host) else "cloud"
