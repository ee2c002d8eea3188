"""The usage as a table, for the screen and for a plain terminal."""

from __future__ import annotations

from timmy_tui.services.usage.summary import UsageRow, UsageSummary
from timmy_tui.services.usage.words import money_text, rate_text
from timmy_tui.text import count_text, duration_text, percent_text
from timmy_tui.widgets.line import EMPTY, Line, line, width_of
from timmy_tui.widgets.table import Cell, row

NAME_MIN = 12
NAME_MAX = 40
UNKNOWN = "?"

FEW = 0.95
"""A share of successes below it stands out."""


def usage_table(found: UsageSummary, width: int) -> list[Line]:
    """The column names, the rows and the total; columns go by rank as the width runs out."""
    costs = found.total.energy_kwh is not None
    longest = max((width_of(line(entry.name)) for entry in found.rows), default=0)
    names = max(NAME_MIN, min(NAME_MAX, longest))
    width = min(width, names + sum(cell.width + 2 for cell in _columns(costs)))
    room = max(NAME_MIN, min(names, width * 2 // 5))
    head = [cell._replace(role="quiet") for cell in _columns(costs)]
    lines = [row(EMPTY, line((found.by, "quiet")), head, width, flex_min=room)]
    lines += [_row(entry, found, costs, width, room) for entry in found.rows]
    return [*lines, _row(found.total, found, costs, width, room, "strong")]


def _columns(costs: bool) -> list[Cell]:
    cells = [
        Cell("calls", 7),
        Cell("ok", 6, 1),
        Cell("in", 6, 3),
        Cell("out", 6, 3),
        Cell("avg", 7, 4),
        Cell("p95", 7, 2),
        Cell("tok/s", 7, 5),
        Cell("saved", 9),
    ]
    return [*cells, Cell("cost", 8, 6)] if costs else cells


def _row(entry: UsageRow, found: UsageSummary, costs: bool, width: int, room: int, role: str = "text") -> Line:
    share = entry.success_share
    saved = "ok" if entry.saving else "quiet"
    texts = [
        (f"{entry.calls:,}" if entry.calls < 1_000_000 else count_text(entry.calls), role),
        (
            UNKNOWN if share is None else percent_text(share),
            "warning" if share is not None and share < FEW else "quiet",
        ),
        (count_text(entry.tokens_in), role),
        (count_text(entry.tokens_out), role),
        (_latency(entry.average_latency_s), role),
        (_latency(entry.p95_latency_s), role),
        (rate_text(entry), role),
        (money_text(entry.saving, found.currency), saved),
        (money_text(entry.cost, found.currency), "quiet"),
    ]
    cells = [cell._replace(text=text, role=of) for cell, (text, of) in zip(_columns(costs), texts, strict=False)]
    return row(EMPTY, line((entry.name or UNKNOWN, role)), cells, width, flex_min=room)


def _latency(seconds: float | None) -> str:
    return duration_text(None if seconds is None else seconds * 1000)
