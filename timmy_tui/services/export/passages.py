"""Texts as they are exported: redacted, well-formed, measured, and encoded once for all files."""

from __future__ import annotations

import hashlib
import re
from math import ceil

import msgspec
from msgspec import Struct

REPLACEMENT = "\ufffd"

TOKENS_ROUNDED_TO = 128
TOKENS_OF_TEMPLATE = 64

_BROKEN = re.compile("[\0\ud800-\udfff]")
_DATE = re.compile(
    r"\s*\d{4}-\d{1,2}-\d{1,2}(?:[T ]\d{1,2}(?::?\d{1,2}(?::?\d{1,2}(?:[.,]\d+)?)?)?)?\s*(?:Z|[+-][\d:]+)?\s*"
)


class Passage(Struct, frozen=True, array_like=True):
    """One text."""

    json: bytes
    """As a JSON string, its quotes included."""
    characters: int
    cost: int
    """Fifths of a token, by a careful guess: 2 for an ASCII character, 5 for a byte of any other."""
    digest: bytes
    """The SHA-256 of the text."""


def passage_of(text: str) -> Passage:
    """``text``, which is well-formed, ready to be written."""
    data = text.encode()
    other_bytes = 0 if len(data) == len(text) else len(data) - len(text.encode("ascii", "ignore"))
    return Passage(
        json=msgspec.json.encode(text),
        characters=len(text),
        cost=2 * (len(data) - other_bytes) + 5 * other_bytes,
        digest=hashlib.sha256(data).digest(),
    )


def well_formed(text: str) -> tuple[str, int]:
    """``text`` with U+FFFD for lone surrogates (which ``datasets`` refuses) and NULs, and how many there were."""
    if text.isascii() and "\0" not in text:
        return text, 0
    return _BROKEN.subn(REPLACEMENT, text)


def is_date(text: str) -> bool:
    """Whether ``datasets`` may take ``text`` for a time: it does so with a column where each value looks like one."""
    return len(text) < 50 and _DATE.fullmatch(text) is not None


def no_date(text: str) -> str:
    """``text`` as the value of a column of texts: one that looks like a date gets a sign before it."""
    return f"#{text}" if is_date(text) else text


def tokens_of(cost: int) -> int:
    """The ``max_length`` that surely holds a text of ``cost``: a chat template's share added, rounded up."""
    tokens = ceil(cost / 5) + TOKENS_OF_TEMPLATE
    return ceil(tokens / TOKENS_ROUNDED_TO) * TOKENS_ROUNDED_TO
