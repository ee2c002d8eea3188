"""Plots are lines of exactly the width, whatever the values; what matters stands in signs, not in colours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.glyphs import ASCII, UNICODE, Glyphs
from timmy_tui.text import count_text
from timmy_tui.widgets.line import Line, line, plain, width_of
from timmy_tui.widgets.plot import area, flowing, histogram, legend, merged, stacked_columns


def label(value: float) -> str:
    return count_text(round(value))


def texts(lines: list[Line]) -> list[str]:
    return [plain(content).rstrip() for content in lines]


def test_columns_stand_on_each_other_with_a_sign_for_each_series() -> None:
    columns = [(4, 2), (2, 0), (0, 1)]
    assert texts(stacked_columns(columns, ["mon", "tue", "wed"], 24, 6, UNICODE, label)) == [
        "      6│▓▓▓▓",
        "       │▓▓▓▓",
        "       │████",
        "      3│████",
        "       │████ ████",
        "       │████ ████ ▓▓▓▓",
        "      0╰────────────────",
        "        mon  tue  wed",
    ]


def test_the_last_cell_of_a_column_is_a_part_of_a_block() -> None:
    lines = stacked_columns([(16,), (9,), (1,)], ["", "", ""], 40, 2, UNICODE, label)
    assert [text[8:].split() for text in texts(lines)[:2]] == [["██████", "▁▁▁▁▁▁"], ["██████", "██████", "▁▁▁▁▁▁"]]


def test_a_day_without_anything_is_an_empty_column() -> None:
    assert texts(stacked_columns([(0, 0), (0, 0)], ["a", "b"], 20, 2, UNICODE, label))[:2] == ["      0│", "       │"]


def test_more_columns_than_cells_are_merged_and_none_is_lost() -> None:
    columns = [(day, 1) for day in range(100)]
    shown, per = merged(columns, 30)
    assert (len(shown), per) == (25, 4)
    assert sum(first for first, _ in shown) == sum(range(100))
    assert shown[-1] == (96 + 97 + 98 + 99, 4)
    assert merged([(1,)] * 5, 2) == ([(2,), (3,)], 3)
    assert merged([], 10) == ([], 1)


def test_the_distribution_marks_its_percentiles_where_they_are() -> None:
    lines = texts(
        histogram([1, 4, 2, 0], [(0, "1 s"), (3, "2 s")], [(1, "p50 1.3 s"), (3, "p95 2.1 s")], 40, 4, UNICODE, label)
    )
    assert lines == [
        "      4│    ████",
        "       │    ████",
        "       │    ████████",
        "       │████████████",
        "      0╰────────────────────────────────",
        "        1 s         2 s",
        "            ^p50 1.3 s",
        "                    ^p95 2.1 s",
    ]


def test_a_mark_at_the_edge_has_its_text_on_the_other_side() -> None:
    lines = histogram([1] * 8, [], [(7, "p95 2.1 s")], 40, 1, UNICODE, label)
    assert plain(lines[-1]).endswith("p95 2.1 s^")
    assert width_of(lines[-1]) == 8 + 29


def test_what_was_saved_so_far_grows_to_its_end() -> None:
    assert texts(area([1.0, 2.0, 4.0], "mon", "wed", 20, 2, UNICODE, label)) == [
        "      4│        ████",
        "       │▄▄▄▄████████",
        "      0╰────────────",
        "        mon      wed",
    ]


def test_a_legend_takes_as_many_lines_as_it_needs() -> None:
    lines = legend([("llama3.2:3b", "1.2M"), ("hermes4:14b", "3k"), ("x" * 99, "1")], 40, UNICODE)
    assert texts(lines) == ["██ llama3.2:3b 1.2M   ▓▓ hermes4:14b 3k", f"▒▒ {'x' * 34}… 1"]
    assert flowing([line(), line("a"), line("b")], line(" "), 1) == [line("a"), line("b")]


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
@given(
    columns=st.lists(st.lists(st.integers(0, 10**12), min_size=3, max_size=3), max_size=80),
    width=st.integers(0, 200),
    height=st.integers(1, 12),
)
def test_every_line_fits_its_width(glyphs: Glyphs, columns: list[list[int]], width: int, height: int) -> None:
    flat = [sum(column) for column in columns]
    shown = merged(columns, max(1, width - 8))[0]
    plots = [
        stacked_columns(shown, ["01-31"] * len(shown), width, height, glyphs, label),
        histogram(flat, [(2, "1 s"), (5, "2 s")], [(1, "p50"), (7, "p95")], width, height, glyphs, label),
        area([float(value) for value in sorted(flat)], "2026-01-01", "2026-12-31", width, height, glyphs, label),
    ]
    for plot in plots:
        assert not plot or len(plot) >= height + 2
        for content in plot:
            assert width_of(content) <= width
            assert glyphs is UNICODE or plain(content).isascii()


def test_the_signs_of_series_differ() -> None:
    for glyphs in (UNICODE, ASCII):
        assert len(set(glyphs.fills)) == len(glyphs.fills) == 5
