"""Lines of styled text as plain values: what a view shows, before it knows of any terminal.

A :class:`Span` pairs text with a *role* (:mod:`timmy_tui.widgets.roles`); ``styles.tcss`` says what each role looks
like. Lines compare by value, so a view repaints only the cells that changed, and a test can read a whole pane as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size


class Span(NamedTuple):
    """A run of text in one role."""

    text: str
    role: str = "text"


Line = tuple[Span, ...]

EMPTY: Line = ()

_NUMERIC = "0123456789.,:"


def line(*parts: str | tuple[str, str] | Span) -> Line:
    """A line of parts: bare strings are in role ``text``, pairs are (text, role); empty parts vanish."""
    spans = (Span(part) if isinstance(part, str) else Span(*part) for part in parts)
    return tuple(span for span in spans if span.text)


def plain(content: Line) -> str:
    """The line's text without its roles."""
    return "".join(span.text for span in content)


def width_of(content: Line) -> int:
    """The line's width in terminal cells."""
    width = 0
    for text, _ in content:  # asked thousands of times per drawing: the common case costs no call
        width += len(text) if text.isascii() else cell_len(text)
    return width


def crop(content: Line, width: int, ellipsis: str = "…") -> Line:
    """At most ``width`` cells of the line; what was cut is marked by ``ellipsis``.

    The mark never stands behind a digit: half a number would read as another one.
    """
    if width_of(content) <= width:
        return content
    if width <= 0:
        return EMPTY
    room = width - cell_len(ellipsis)
    kept: list[Span] = []
    for span in content:
        cells = cell_len(span.text)
        if cells <= room:
            kept.append(span)
            room -= cells
            continue
        if room > 0:
            kept.append(Span(set_cell_size(span.text, room).rstrip(), span.role))
        break
    role = kept[-1].role if kept else "text"
    while kept and kept[-1].text[-1:] in _NUMERIC:
        last = kept.pop()
        shorter = last.text.rstrip(_NUMERIC)
        if shorter:
            kept.append(Span(shorter, last.role))
    return (*kept, Span(ellipsis[:width], role))


def fit(content: Line, width: int, ellipsis: str = "…") -> Line:
    """The line cropped or padded to exactly ``width`` cells."""
    content = crop(content, width, ellipsis)
    missing = width - width_of(content)
    return (*content, Span(" " * missing)) if missing > 0 else content


def spread(left: Line, right: Line, width: int, fill: Span | None = None) -> Line:
    """``left`` and ``right`` at the two ends of ``width`` cells; ``left`` gives way, then ``right`` goes altogether."""
    fill = fill or Span(" ")
    right_width = width_of(right)
    if right_width and right_width + 2 > width:
        right, right_width = EMPTY, 0
    left = crop(left, width - right_width - (1 if right_width else 0))
    gap = width - width_of(left) - right_width
    return (*left, Span(fill.text * gap, fill.role), *right) if gap > 0 else (*left, *right)


def joined(parts: Iterable[Line], separator: Line) -> Line:
    """The non-empty parts with ``separator`` between them."""
    out: list[Span] = []
    for part in parts:
        if not part:
            continue
        if out:
            out.extend(separator)
        out.extend(part)
    return tuple(out)


def fitting(parts: Sequence[Line], separator: Line, width: int) -> Line:
    """As many of ``parts``, in order of importance, as fit whole into ``width`` cells."""
    taken: list[Line] = []
    for part in parts:
        if part and width_of(joined([*taken, part], separator)) <= width:
            taken.append(part)
    return joined(taken, separator)


def right(text: str, width: int) -> str:
    """``text`` right-aligned in ``width`` cells."""
    return " " * max(0, width - cell_len(text)) + text


def wrap(text: str, width: int, role: str = "text", *, indent: str = "", limit: int = 10_000) -> list[Line]:
    """``text`` as lines of at most ``width`` cells, broken at spaces where possible, each behind ``indent``.

    Newlines are kept. At most ``limit`` lines; the last then ends in an ellipsis.
    """
    if limit < 1:
        return []
    room = max(1, width - cell_len(indent))
    lines: list[Line] = []
    for paragraph in text.split("\n"):
        for piece in _broken(paragraph.rstrip(), room):
            if len(lines) == limit:
                lines[-1] = (*crop(lines[-1], width - 1, ""), Span("…", role))
                return lines
            lines.append(line(indent, (piece, role)))
    return lines


def _broken(paragraph: str, room: int) -> Iterable[str]:
    if cell_len(paragraph) <= room:
        yield paragraph
        return
    lead = paragraph[: len(paragraph) - len(paragraph.lstrip(" "))]
    if cell_len(lead) >= room:
        lead = ""
    current = lead
    for word in paragraph.strip().split(" "):
        candidate = f"{current}{word}" if current in ("", lead) else f"{current} {word}"
        if cell_len(candidate) <= room:
            current = candidate
            continue
        if current not in ("", lead):
            yield current
        *whole, current = _folded(lead + word, room) or [""]
        yield from whole
    if current not in ("", lead) or not paragraph.strip():
        yield current


def _folded(word: str, room: int) -> list[str]:
    """A word without a space in pieces of at most ``room`` cells; a megabyte of it in one pass."""
    pieces: list[str] = []
    start = 0
    while start < len(word):
        # Marks take no cells of their own, so that more characters than cells may fit.
        window = word[start : start + 4 * room]
        taken = max(1, _whole_prefix(window, room))
        pieces.append(window[:taken])
        start += taken
    return pieces


def _whole_prefix(text: str, room: int) -> int:
    """How many characters of ``text`` fit whole into ``room`` cells."""
    if text[:room].isascii() and text[room : room + 1].isascii():
        return min(room, len(text))
    used = 0
    for index, character in enumerate(text):
        used += cell_len(character)
        if used > room:
            return index
    return len(text)
