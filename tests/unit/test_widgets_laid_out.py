"""Rows that are kept: the same lines, in objects that cost the garbage collector nothing."""

from __future__ import annotations

import gc

from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.widgets.laid_out import KeptLines, LaidOut
from timmy_tui.widgets.line import Line, Span, line, plain

LINES = st.lists(st.lists(st.builds(Span, st.text(max_size=5), st.sampled_from(["text", "quiet"]))).map(tuple))


@given(LINES, LINES)
def test_the_rows_are_the_lines_that_were_laid_out(first: list[Line], second: list[Line]) -> None:
    rows = LaidOut(first)
    rows.extend(LaidOut(second))
    assert list(rows) == [*first, *second]
    assert len(rows) == len(first) + len(second)
    assert rows.folded == [plain(content).casefold() for content in (*first, *second)]


def test_the_garbage_collector_does_not_walk_through_the_rows() -> None:
    rows = LaidOut([line(f"row {number}", (" and more", "quiet")) for number in range(100)])
    gc.collect()
    assert not [row for row in rows._rows if gc.is_tracked(row)]


def test_kept_lines_are_laid_out_for_news_and_for_widths_alone() -> None:
    asked: list[int] = []

    def lay_out(width: int) -> list[Line]:
        asked.append(width)
        return [line(f"{len(asked)}")]

    kept = KeptLines()
    for shown, width in (("a", 40), ("a", 40), ("b", 40), ("b", 30), ("b", 30)):
        kept.lines(shown, width, lay_out)
    assert asked == [40, 40, 30]
    assert kept.lines("b", 30, lay_out) == [line("3")]
