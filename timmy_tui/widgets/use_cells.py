"""What a model or provider did today, as two cells of its row: the first to go when the width runs out."""

from __future__ import annotations

from timmy_tui.services.usage.today import Use
from timmy_tui.text import count_text
from timmy_tui.widgets.table import Cell


def use_cells(use: Use | None) -> list[Cell]:
    """Tokens per second and calls; both empty for one that was not asked."""
    speed = "" if use is None or use.tokens_per_s is None else f"{use.tokens_per_s:.0f} tok/s"
    calls = "" if use is None else f"{count_text(use.calls)} today"
    return [Cell(speed, 9, 6, "quiet"), Cell(calls, 11, 7, "quiet")]
