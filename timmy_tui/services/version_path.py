"""The version that the path of a provider's address may end in: ``…/v1``, ``…/v1beta``."""

from __future__ import annotations

import re

_VERSION = re.compile(r"/v\d+[a-z0-9]*\Z")


def has_version(url: str) -> bool:
    """Whether ``url`` names the version itself, so that none is added to it."""
    return _VERSION.search(url) is not None


def without_version(url: str) -> str:
    """``url`` as the server's root."""
    return _VERSION.sub("", url)
