"""Plots as lines: columns of eighth blocks over an axis, with figures beside it. Pure functions of values and width."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from timmy_tui.glyphs import Glyphs
from timmy_tui.widgets.line import Line, Span, crop, fit, line, right, width_of

SERIES_ROLES = ("bar", "key", "ok", "fallback", "quiet")
"""Of the series of stacked columns, beside their signs."""

LABEL_CELLS = 7
"""Left of the axis: ``412k``, ``$1,234``."""

WIDEST_COLUMN = 8
NARROWEST = LABEL_CELLS + 10
"""In fewer cells nothing is drawn."""

Label = Callable[[float], str]


def merged(columns: Sequence[Sequence[int]], room: int) -> tuple[list[tuple[int, ...]], int]:
    """Neighbouring columns summed so that at most ``room`` are left, and how many stand in each.

    The last column is always whole: what is missing is missing at the beginning.
    """
    per = max(1, math.ceil(len(columns) / max(1, room)))
    ends = range(len(columns), 0, -per)
    out = [tuple(sum(values) for values in zip(*columns[max(0, end - per) : end], strict=True)) for end in ends]
    return out[::-1], per


def room_of(width: int) -> int:
    """The cells right of the axis."""
    return max(1, width - LABEL_CELLS - 1)


def stacked_columns(
    columns: Sequence[Sequence[int]], names: Sequence[str], width: int, height: int, glyphs: Glyphs, label: Label
) -> list[Line]:
    """Columns of series that stand on each other, the first series at the bottom; ``names`` stand below them.

    A cell shows the series that has the most of it. A column's last cell is a part of a block, but where it is half
    full and of a series with a sign of its own: by that it is known without its colour.
    """
    if width < NARROWEST or not columns:
        return []
    step, bar_cells = _steps(len(columns), room_of(width))
    top = max(sum(column) for column in columns)
    heights = [_cells_of(column, top, height, glyphs) for column in columns]
    rows: list[Line] = []
    for y in range(height - 1, -1, -1):
        spans: list[Span] = []
        for cells in heights:
            text, role = cells[y]
            spans += [Span(text * bar_cells, role), Span(" " * (step - bar_cells))]
        rows.append(tuple(spans))
    return _framed(rows, _names_below(names, step, room_of(width)), top, width, glyphs, label)


def histogram(
    counts: Sequence[int],
    ticks: Sequence[tuple[float, str]],
    marks: Sequence[tuple[float, str]],
    width: int,
    height: int,
    glyphs: Glyphs,
    label: Label,
) -> list[Line]:
    """Columns side by side. ``ticks`` and ``marks`` are texts and their places, in columns from the left edge."""
    if width < NARROWEST or not counts:
        return []
    room = room_of(width)
    per = math.ceil(len(counts) / room)
    counts = [sum(counts[start : start + per]) for start in range(0, len(counts), per)]
    cells = min(room, WIDEST_COLUMN // 2 * len(counts))
    step = cells / len(counts)
    top = max(counts)
    rows = []
    for y in range(height - 1, -1, -1):
        parts = [_part(count / top * height - y if top else 0.0, glyphs) for count in counts]
        rows.append(line(("".join(parts[cell * len(counts) // cells] for cell in range(cells)), "spark")))
    below, _ = _placed([(place * step / per, text, "quiet") for place, text in ticks], room)
    out = _framed(rows, below, top, width, glyphs, label)
    wanted = [_mark(place * step / per, text, room) for place, text in marks]
    while wanted:  # two that are near each other stand on two lines
        shown, left = _placed(wanted, room)
        if len(left) == len(wanted):
            break
        out.append((Span(" " * (LABEL_CELLS + 1)), *shown))
        wanted = left
    return out


def area(
    values: Sequence[float], first: str, last: str, width: int, height: int, glyphs: Glyphs, label: Label
) -> list[Line]:
    """Values that grow, as a filled area over the whole width."""
    if width < NARROWEST or not values:
        return []
    room = room_of(width)
    shown = [values[min(len(values) - 1, (column + 1) * len(values) // room)] for column in range(room)]
    if len(values) <= room:
        shown = [values[column * len(values) // room] for column in range(room)]
    shown[-1] = values[-1]
    top = max(shown)
    rows = []
    for y in range(height - 1, -1, -1):
        cells = "".join(_part(value / top * height - y if top > 0 else 0.0, glyphs) for value in shown)
        rows.append(line((cells, "ok")))
    below = crop(line((first, "quiet")), room, glyphs.ellipsis)
    if len(first) + len(last) + 1 <= room:
        below = line((first + right(last, room - len(first)), "quiet"))
    return _framed(rows, below, top, width, glyphs, label)


def legend(entries: Sequence[tuple[str, str]], width: int, glyphs: Glyphs) -> list[Line]:
    """Names and figures of the series, each behind its sign, in as many lines as they take."""
    shown: list[Line] = []
    for index, (name, figure) in enumerate(entries):
        sign, role = series_sign(index, glyphs)
        cropped = crop(line(name), max(1, width - width_of(line(figure)) - 4), glyphs.ellipsis)
        shown.append((Span(f"{sign}{sign} ", role), *cropped, Span(f" {figure}", "quiet")))
    return flowing(shown, line("   "), width)


def flowing(parts: Sequence[Line], separator: Line, width: int) -> list[Line]:
    """The parts that are not empty, in as many lines as they take."""
    lines: list[Line] = []
    for part in filter(None, parts):
        if lines and width_of(lines[-1]) + width_of(separator) + width_of(part) <= width:
            lines[-1] = (*lines[-1], *separator, *part)
        else:
            lines.append(part)
    return lines


def series_sign(index: int, glyphs: Glyphs) -> tuple[str, str]:
    """The sign of a series and its role."""
    return glyphs.fills[index % len(glyphs.fills)], SERIES_ROLES[index % len(SERIES_ROLES)]


def _steps(columns: int, room: int) -> tuple[int, int]:
    """The cells from one column to the next, and how many of them it fills."""
    step = max(1, min(WIDEST_COLUMN, room // columns))
    return step, max(1, step - (1 if step < 6 else 2))


def _cells_of(column: Sequence[int], top: float, height: int, glyphs: Glyphs) -> list[tuple[str, str]]:
    """One column from the bottom up: the sign and role of each of its cells."""
    ends: list[float] = []
    total = 0
    for value in column:
        total += value
        ends.append(total / top * height if top > 0 else 0.0)
    cells: list[tuple[str, str]] = []
    for y in range(height):
        shares = [min(end, y + 1) - max(start, y) for start, end in zip([0.0, *ends], ends, strict=False)]
        most = max(range(len(shares)), key=lambda index: shares[index], default=0)
        sign, role = series_sign(most, glyphs)
        filled = min(1.0, max(0.0, ends[-1] - y)) if ends else 0.0
        if filled < (15 / 16 if most == 0 else 1 / 2):
            sign = _part(filled, glyphs)
        cells.append((sign, role))
    return cells


def _part(filled: float, glyphs: Glyphs) -> str:
    """A cell that is filled from below to ``filled`` (0…1); anything above zero shows."""
    if filled <= 0:
        return " "
    levels = glyphs.spark
    return levels[max(0, min(len(levels), round(filled * len(levels))) - 1)]


def _framed(rows: Sequence[Line], below: Line, top: float, width: int, glyphs: Glyphs, label: Label) -> list[Line]:
    """The rows behind an axis with figures at its top and its middle, and the line below."""
    out: list[Line] = []
    axis = Span(glyphs.frame[3], "rule")
    middle = len(rows) // 2 if len(rows) >= 5 and len(rows) % 2 == 0 else -1
    for index, content in enumerate(rows):
        text = label(top) if index == 0 else label(top / 2) if index == middle else ""
        out.append((Span(right(text, LABEL_CELLS), "quiet"), axis, *fit(content, room_of(width), "")))
    base = Span(glyphs.frame[5] + glyphs.frame[1] * room_of(width), "rule")
    out.append((Span(right(label(0), LABEL_CELLS), "quiet"), base))
    out.append((Span(" " * (LABEL_CELLS + 1)), *below))
    return out


def _names_below(names: Sequence[str], step: int, room: int) -> Line:
    """As many names as fit with a cell between them, each where its column begins; the last column's for sure."""
    longest = max((len(name) for name in names), default=0)
    every = max(1, math.ceil((longest + 1) / step))
    last = len(names) - 1
    wanted = [index for index in range(len(names)) if (last - index) % every == 0]
    below, _ = _placed([(float(index * step), names[index], "quiet") for index in reversed(wanted)], room)
    return below


_Placed = tuple[float, str, str]
"""A place in cells, a text and its role."""


def _mark(place: float, text: str, room: int) -> _Placed:
    """An arrow to its place, and the text on the side that has room."""
    at = max(0, min(int(place), room - 1))
    return (at, f"^{text}", "strong") if at + len(text) < room else (at - len(text), f"{text}^", "strong")


def _placed(texts: Sequence[_Placed], room: int) -> tuple[Line, list[_Placed]]:
    """The texts at their places, the first ones for sure, and those without room.

    One that would run over the end moves to the left.
    """
    taken: list[tuple[int, str, str]] = []
    left: list[_Placed] = []
    for place, text, role in texts:
        at = max(0, min(int(place), room - len(text)))
        apart = all(at > start + len(other) or at + len(text) < start for start, other, _ in taken)
        if apart and at + len(text) <= room:
            taken.append((at, text, role))
        else:
            left.append((place, text, role))
    spans: list[Span] = []
    used = 0
    for at, text, role in sorted(taken):
        spans += [Span(" " * (at - used)), Span(text, role)]
        used = at + len(text)
    return tuple(span for span in spans if span.text), left
