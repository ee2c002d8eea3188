"""Rows, bars and sparklines: aligned and bounded at every width."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from timmy_tui.glyphs import ASCII, UNICODE, Glyphs
from timmy_tui.widgets.line import line, plain, width_of
from timmy_tui.widgets.table import Cell, bar, row, sparkline

names = st.text("ab:.14漢字é", min_size=1, max_size=40)
figures = st.sampled_from(["", "0", "1.2k", "48.0k", "412k"])


def model_row(name: str, size: str, until: str, width: int) -> str:
    """A row of three columns of falling rank behind a sign and a name."""
    cells = [Cell(size, 7), Cell("Q4_K_M", 7, 3, "quiet", to_right=False), Cell(until, 7, 1)]
    return plain(row(line("● "), line(name), cells, width))


@given(names, figures, figures, st.integers(1, 120))
def test_a_row_is_exactly_as_wide_as_asked(name: str, size: str, until: str, width: int) -> None:
    assert width_of(row(line("● "), line(name), [Cell(size, 7), Cell(until, 7, 1)], width)) == width


@given(st.lists(names, min_size=2, max_size=6), st.integers(24, 120))
def test_all_rows_of_a_width_have_the_same_columns(rows: list[str], width: int) -> None:
    seen = set()
    for name in rows:
        text = model_row(name, "11.0 GB", "forever", width)
        seen.add((cell_len(text[: text.index("11.0 GB")]), "Q4_K_M" in text, "forever" in text))
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (44, "● hermes4:14b   11.0 GB  Q4_K_M    4m 12s"),
        (32, "● hermes4:14b   11.0 GB   4m 12s"),
        (24, "● hermes4:14b    11.0 GB"),
    ],
)
def test_the_least_telling_column_goes_first(width: int, expected: str) -> None:
    shown = model_row("hermes4:14b", "11.0 GB", "4m 12s", width)
    assert shown.split() == expected.split()


def test_a_column_of_rank_zero_stays_however_narrow_it_gets() -> None:
    assert "11.0 GB" in model_row("hermes4:14b", "11.0 GB", "4m 12s", 14)


@given(st.integers(1, 8))
def test_a_lead_of_wide_characters_pushes_no_figure_off_the_row(count: int) -> None:
    shown = row(line("漢" * count, " "), line("name"), [Cell("412k", 5)], 40)
    assert plain(shown).endswith("412k")
    assert width_of(shown) == 40


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-5, max_value=5), st.integers(1, 80))
def test_a_bar_is_as_wide_as_asked_whatever_its_share(share: float, width: int) -> None:
    content = bar(share, width, "█", "░")
    assert width_of(content) == width
    assert plain(content) == "█" * plain(content).count("█") + "░" * plain(content).count("░")


@pytest.mark.parametrize(("share", "full"), [(0, 0), (0.001, 1), (0.5, 10), (0.99, 20), (1, 20), (1.7, 20), (-1, 0)])
def test_a_bar_shows_its_share(share: float, full: int) -> None:
    assert plain(bar(share, 20, "█", "░")).count("█") == full


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
@given(values=st.lists(st.integers(-5, 10**12), max_size=60), width=st.integers(0, 80))
def test_a_sparkline_fills_its_width_with_its_own_signs(glyphs: Glyphs, values: list[int], width: int) -> None:
    levels = glyphs.spark
    content = sparkline(values, width, levels)
    assert width_of(content) == (width if values else 0)
    assert set(plain(content)) <= set(levels)


def test_a_sparkline_scales_to_its_largest_value() -> None:
    assert plain(sparkline([0, 1, 4, 8], 4, "▁▂▃▄▅▆▇█")) == "▁▂▅█"


def test_a_sparkline_tells_nothing_from_little_by_its_role() -> None:
    silent, small = sparkline([0, 1, 1000], 3, "▁▂▃▄▅▆▇█")[:2]
    assert (silent.role, small.role) == ("bar-empty", "spark")


@given(st.lists(st.integers(0, 10**6), min_size=10, max_size=60))
def test_a_narrow_sparkline_leaves_out_no_peak(values: list[int]) -> None:
    """Buckets are summed, so the one that is not silent is never dropped."""
    one = [0] * len(values)
    one[values.index(max(values))] = 1
    assert any(span.role == "spark" for span in sparkline(one, 7, "▁▂▃▄▅▆▇█"))


def test_a_wide_sparkline_stretches_its_buckets() -> None:
    assert plain(sparkline([0, 8], 6, "▁▂▃▄▅▆▇█")) == "▁▁▁███"
