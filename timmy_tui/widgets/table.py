"""Rows of aligned cells that drop their least telling columns first when the width runs out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from timmy_tui.widgets.line import Line, Span, fit, line, right, width_of


class Cell(NamedTuple):
    """A cell of fixed width. ``rank`` 0 is never dropped; the highest rank goes first."""

    text: str
    width: int
    rank: int = 0
    role: str = "text"
    to_right: bool = True


def row(lead: Line, flex: Line, cells: Sequence[Cell], width: int, *, flex_min: int = 10) -> Line:
    """``lead``, then ``flex`` in what room is left, then the cells that fit, a space apart.

    Which cells are kept depends on the widths alone, so that all rows of a table keep the same columns.
    """
    kept = list(cells)
    lead_width = width_of(lead)

    def room() -> int:
        return width - lead_width - sum(cell.width + 2 for cell in kept)

    while room() < flex_min and any(cell.rank for cell in kept):
        kept.remove(max(kept, key=lambda cell: cell.rank))
    out: list[Span] = [*lead, *fit(flex, max(1, room()))]
    for cell in kept:
        text = right(cell.text, cell.width) if cell.to_right else cell.text
        out.append(Span("  "))
        out.extend(fit(line((text, cell.role)), cell.width))
    return fit(tuple(out), width)


def bar(share: float, width: int, full: str, empty: str, *, role: str = "bar") -> Line:
    """A bar of ``width`` cells filled to ``share`` (0…1); anything above zero shows at least one cell."""
    share = max(0.0, min(1.0, share))
    filled = int(share * width + 0.5)
    if share > 0 and filled == 0:
        filled = 1
    return line((full * filled, role), (empty * (width - filled), "bar-empty"))


def sparkline(values: Sequence[int], width: int, levels: str) -> Line:
    """The values as columns of ``levels``, scaled to the largest, each stretched or summed to fill ``width`` cells.

    Zero is shown as a quiet lowest column so that a silent hour differs from a small one by its colour.
    """
    if not values or width <= 0:
        return ()
    if len(values) > width:
        per = len(values) / width
        values = [sum(values[int(i * per) : max(int(i * per) + 1, int((i + 1) * per))]) for i in range(width)]
    columns = [values[index * len(values) // width] for index in range(width)] if len(values) < width else values
    top = max(values)
    spans: list[Span] = []
    for value in columns:
        if value <= 0 or top <= 0:
            spans.append(Span(levels[0], "bar-empty"))
        else:
            level = min(len(levels) - 1, int(value / top * (len(levels) - 1) + 0.5))
            spans.append(Span(levels[level], "spark"))
    return tuple(spans)
