"""Lines of styled spans for a plain terminal: measured in cells, cut to fit, painted in ANSI colours."""

from __future__ import annotations

import unicodedata

Span = tuple[str, str]
"""Cleaned text and its style: a severity, ``quiet``, ``strong``, or nothing special."""

_SGR = {"ok": "32", "warning": "33", "fallback": "33", "critical": "31", "quiet": "2", "strong": "1"}


def cells(text: str) -> int:
    """Terminal columns of cleaned ``text``: wide East Asian characters and pictures take two, marks none."""
    return sum(_cell(character) for character in text)


def _cell(character: str) -> int:
    if character.isascii():
        return 1
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fitted(line: list[Span], width: int, ellipsis: str) -> list[Span]:
    """``line`` cut to ``width`` cells, with a mark where it was cut and without blanks at its end."""
    if sum(cells(text) for text, _ in line) <= width:
        return [(text, style) for text, style in line if text]
    out: list[Span] = []
    room = max(0, width - cells(ellipsis))
    for text, style in line:
        kept = ""
        for character in text:
            room -= _cell(character)
            if room < 0:
                return [*out, (kept, style), (ellipsis, "quiet")]
            kept += character
        out.append((kept, style))
    return out


def painted(line: list[Span], colour: bool) -> str:
    """``line`` as text; with ``colour`` the only escapes are colours around the spans."""
    if not colour:
        return "".join(text for text, _ in line).rstrip()
    return "".join(f"\x1b[{_SGR[style]}m{text}\x1b[0m" if style in _SGR else text for text, style in line).rstrip()
