"""What the labels say: by model, by severity, by day, and how far they can be trusted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from textual import work
from textual.binding import Binding

from timmy_tui.screens.document import DocumentScreen
from timmy_tui.services.labels.agreement import Agreement
from timmy_tui.services.review.statistics import ReviewStatistics, Tally, statistics_of
from timmy_tui.text import percent_text
from timmy_tui.widgets.line import EMPTY, Line, Span, line, right, wrap
from timmy_tui.widgets.reader import heading
from timmy_tui.widgets.table import Cell, bar, row

BAR_WIDTH = 16
ROOM_FOR_BARS = 96


class StatisticsScreen(DocumentScreen):
    """Tables over the labels in force."""

    BINDING_GROUP_TITLE = "Statistics"
    BINDINGS = [Binding("S", "dismiss", "back", show=False, id="statistics.back")]

    def __init__(self) -> None:
        super().__init__("What the labels say")
        self._statistics: ReviewStatistics | None = None

    def fill(self) -> None:
        self.reader.read(lambda width: [line(("Counting…", "quiet"))])
        self._count()

    @work(group="statistics", exclusive=True, exit_on_error=False, description="count the labels")
    async def _count(self) -> None:
        desk = self.console.monitor.sources.review
        complete = desk.index.complete and desk.index.trouble is None
        self._statistics = await asyncio.to_thread(statistics_of, desk.index.entries, desk.labels, complete=complete)
        if self.is_attached:
            self.reader.read(self._lines)

    def _lines(self, width: int) -> Sequence[Line]:
        found, glyphs = self._statistics, self.console.glyphs
        if found is None:
            return ()
        out: list[Line] = []
        for title, tallies in (
            ("All decisions", (found.total,)),
            ("By model", found.by_model),
            ("By severity", found.by_severity),
            ("By day, what was labelled", found.by_day),
        ):
            if tallies:
                out += [heading(title, width, glyphs), _columns(width)]
                out += [self._tally(tally, width) for tally in tallies]
                out.append(EMPTY)
        if found.duels:
            out.append(heading("Preferred over another answer to the same prompt", width, glyphs))
            for duel in found.duels:
                out.append(row(line(), line(duel.model), [_cell(f"won {duel.won}"), _cell(f"lost {duel.lost}")], width))
            out.append(EMPTY)
        out += self._trust(found, width)
        return out

    def _tally(self, tally: Tally, width: int) -> Line:
        glyphs, share = self.console.glyphs, tally.share_chosen
        drawn = bar(share, BAR_WIDTH, glyphs.bar_full, glyphs.bar_empty, role="ok") if share is not None else EMPTY
        name = line((f"{glyphs.severity(tally.name)} ", tally.name)) if tally.name in _SEVERITIES else EMPTY
        shown = (*name, *line(tally.name))
        if width < ROOM_FOR_BARS:
            return row(EMPTY, shown, _cells(tally), width, flex_min=14)
        return (*row(EMPTY, shown, _cells(tally), width - BAR_WIDTH - 2, flex_min=14), Span("  "), *drawn)

    def _trust(self, found: ReviewStatistics, width: int) -> list[Line]:
        out = [heading("How far they can be trusted", width, self.console.glyphs)]
        for tally in found.operators:
            pace = f"{tally.words:,} answers" + (f", {tally.median_s:.1f} s each" if tally.median_s else "")
            out.append(line((f"{tally.operator:<16} ", "strong"), pace))
            out += wrap(f"second looks: {_told(tally.second_looks)}", width, "quiet", indent="  ")
        for pair in found.between:
            out.append(line((f"{pair.first} and {pair.second}: ", "strong"), _told(pair.agreement)))
        if not found.operators:
            out.append(line(("Nobody has labelled anything yet.", "quiet")))
        told = [(found.disputed, "disputed: the words on them contradict each other; f shows them")]
        told.append((found.gone or 0, "labelled, and in no log any more: the tick is gone, or was changed"))
        told.append((found.bad_lines, "lines of labels.jsonl are no label event"))
        told.append((found.unknown_events, "events of a newer version are left alone"))
        out += [content for count, text in told if count for content in wrap(f"{count:,} {text}", width, "warning")]
        return out


_SEVERITIES = frozenset({"ok", "warning", "critical", "fallback", "unknown"})


def _told(agreement: Agreement) -> str:
    if not agreement.pairs:
        return "none yet; b in the review asks some cards again, blind"
    kappa = f"kappa {agreement.kappa:.2f}" if agreement.kappa is not None else "kappa unknown: one answer only"
    return f"{agreement.same} of {agreement.pairs} the same, {kappa}"


def _cell(text: str) -> Cell:
    return Cell(text, 9, 1)


def _columns(width: int) -> Line:
    names = ("cards", "chosen", "rejected", "skipped", "edited", "% chosen")
    cells = [Cell(name, 8, rank, "quiet") for name, rank in zip(names, (3, 0, 0, 5, 4, 2), strict=True)]
    return row(EMPTY, EMPTY, cells, width if width < ROOM_FOR_BARS else width - BAR_WIDTH - 2, flex_min=14)


def _cells(tally: Tally) -> list[Cell]:
    share = tally.share_chosen
    return [
        Cell(f"{tally.candidates:,}", 8, 3, "quiet"),
        Cell(f"{tally.chosen:,}", 8, 0, "ok"),
        Cell(f"{tally.rejected:,}", 8, 0, "critical"),
        Cell(f"{tally.skipped:,}", 8, 5, "quiet"),
        Cell(f"{tally.edits:,}", 8, 4, "info"),
        Cell(right(percent_text(share), 8) if share is not None else "", 8, 2),
    ]
