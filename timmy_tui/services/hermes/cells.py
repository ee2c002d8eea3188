"""One SQLite cell as a typed value. A cell of the wrong type is None or 0, never an exception.

TEXT arrives as bytes (:mod:`timmy_tui.services.hermes.connection`), and SQLite lets any type stand in any
column.
"""

from __future__ import annotations

import math
from functools import lru_cache

from timmy_tui.services.moments import unix_seconds
from timmy_tui.text import BLOCK_LIMIT, LINE_LIMIT, clean

Cell = None | int | float | str | bytes
Row = tuple[Cell, ...]


def raw_text(cell: Cell) -> str:
    """The text of ``cell`` as stored, invalid UTF-8 replaced; empty for what is no text. Not safe to show."""
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    return cell if isinstance(cell, str) else ""


def line(cell: Cell, *, limit: int = LINE_LIMIT) -> str | None:
    """One clean row of text; None for NULL, nothing, or what is no text."""
    return None if cell is None else _line(cell, limit)


@lru_cache(maxsize=2048)
def _line(cell: Cell, limit: int) -> str | None:
    # Sources, models and end reasons are a handful of words in thousands of rows.
    return clean(raw_text(cell).strip(), limit=limit) or None


def block(text: str) -> str:
    """A clean block of text."""
    return clean(text, limit=BLOCK_LIMIT, multiline=True)


def count(cell: Cell) -> int:
    """A counter: 0 for NULL, a negative, or what is no number."""
    if isinstance(cell, int):
        return cell if cell > 0 else 0
    if isinstance(cell, float) and math.isfinite(cell):
        return max(0, int(cell))
    return 0


def seconds(cell: Cell) -> float | None:
    """Unix seconds; None for what can't be a time."""
    return unix_seconds(cell) if isinstance(cell, int | float) else None


def dollars(cell: Cell) -> float | None:
    """An amount; None for what is no finite amount of zero or more."""
    if isinstance(cell, int | float) and math.isfinite(cell) and cell >= 0:
        return float(cell)
    return None
