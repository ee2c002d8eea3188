"""The top line of the review: how many cards are left, how fast it goes, and what is being looked at."""

from __future__ import annotations

from msgspec import Struct

from timmy_tui.services.review.queue import QueueFilter
from timmy_tui.text import percent_text
from timmy_tui.widgets.line import EMPTY, Line, crop, fitting, line, spread
from timmy_tui.widgets.lines_view import LinesView
from timmy_tui.widgets.pane import View
from timmy_tui.widgets.table import bar

BAR_WIDTH = 20
TO_DO = frozenset({"unlabelled", "not by me", "second look"})
"""What is shown becomes less by answers."""

NARROW = 70
"""Cells below which the bar is half as wide."""


class ReviewFacts(Struct, frozen=True):
    """What the line shows."""

    look: View
    wanted: QueueFilter
    left: int = 0
    total: int = 0
    median_s: float | None = None
    today: int = 0
    """Answers of this operator today."""
    indexed: float | None = None
    """The share of the log that has been read; None when all of it has."""
    ready: bool = False
    """The queue is there."""


class ReviewBar(LinesView):
    """Counts on the left, the filter on the right."""

    def __init__(self) -> None:
        super().__init__(id="review-bar")
        self._facts: ReviewFacts | None = None

    def update(self, facts: ReviewFacts) -> None:
        """Show these facts."""
        if facts != self._facts:
            self._facts = facts
            self.redraw()

    def redraw(self) -> None:
        """Draw from the current facts."""
        if self._facts is not None and self.size.width > 0:
            self.show([_line(self._facts, self.size.width)])


def _line(facts: ReviewFacts, width: int) -> Line:
    glyphs = facts.look.glyphs
    title = line((" second look " if facts.wanted.blind else " review ", "title"), " ")
    shown = filter_text(facts.wanted)
    room = width - 64
    wide = crop(line(("filter: ", "quiet"), f"{shown} "), room) if room >= 20 else EMPTY
    bar_width = BAR_WIDTH if width >= NARROW else BAR_WIDTH // 2
    done = (facts.total - facts.left) / facts.total if facts.total else 0.0
    to_do = facts.wanted.show in TO_DO
    told = "left" if to_do else "shown" if facts.wanted.show == "all" else facts.wanted.show
    parts = [
        line((f"{facts.left:,}", "strong"), f" of {facts.total:,} {told}") if facts.ready else EMPTY,
        bar(done, bar_width, glyphs.bar_full, glyphs.bar_empty) if facts.ready and to_do else EMPTY,
        line((f"{percent_text(facts.indexed)} indexed", "info")) if facts.indexed is not None else EMPTY,
        line(("today ", "quiet"), f"{facts.today:,}"),
        line(("median ", "quiet"), f"{facts.median_s:.1f} s") if facts.median_s is not None else EMPTY,
        EMPTY if wide else line((shown, "quiet")),
    ]
    room = width - sum(len(span.text) for span in (*title, *wide)) - 2
    return spread((*title, *fitting(parts, line("  "), room)), wide, width)


def filter_text(wanted: QueueFilter) -> str:
    """The filter in words: ``unlabelled · any model``."""
    chosen: list[str] = [wanted.show]
    chosen += [value for value in (wanted.severity, wanted.source) if value]
    chosen.append(wanted.model or "any model")
    if wanted.day is not None:
        chosen.append(wanted.day.isoformat())
    if wanted.text:
        chosen.append(f"“{wanted.text}”")
    if wanted.fallbacks:
        chosen.append("with fallbacks")
    return " · ".join(chosen)
