"""What a view repaints: the cells that differ, wide characters whole, and nothing when nothing did."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.widgets.line import Line, Span, fit, line
from timmy_tui.widgets.lines_view import _cells, _differing_cells

spans = st.builds(Span, st.text("ab 漢字é\u0301", min_size=1, max_size=8), st.sampled_from(["text", "ok"]))
contents = st.lists(spans, max_size=5).map(tuple)
WIDTH = 30


def test_equal_lines_have_no_differing_cell() -> None:
    assert _differing_cells(line("14:03:48"), line("14:03:48")) == (0, 0)


def test_a_clock_that_ticks_repaints_its_last_digit() -> None:
    assert _differing_cells(line("14:03:48"), line("14:03:49")) == (7, 8)


def test_another_role_is_another_cell() -> None:
    assert _differing_cells(line("a", ("b", "ok"), "c"), line("a", ("b", "warning"), "c")) == (1, 2)


def test_the_same_text_in_other_spans_is_no_difference() -> None:
    assert _differing_cells(line("ab", "cd"), line("abc", "d")) == (0, 0)


def test_a_wide_character_is_repainted_whole() -> None:
    assert _differing_cells(line("漢b"), line("字b")) == (0, 2)
    # The new letter stands under the right half of the old character.
    assert _differing_cells(line("漢"), line("ab")) == (0, 2)
    assert _differing_cells(line("a漢b"), line("abcb")) == (1, 3)


def test_a_combining_mark_belongs_to_its_letter() -> None:
    assert _differing_cells(line("xe\u0301y"), line("xey")) == (1, 2)


@given(contents, contents)
def test_outside_the_range_the_lines_are_alike(old: Line, new: Line) -> None:
    before, after = fit(old, WIDTH), fit(new, WIDTH)
    old_cells, new_cells = _cells(before), _cells(after)
    if len(old_cells) != len(new_cells):
        return
    start, end = _differing_cells(before, after)
    assert old_cells[:start] == new_cells[:start]
    assert old_cells[end:] == new_cells[end:]
    assert (start == end) == (old_cells == new_cells)


@given(contents, contents)
def test_no_range_begins_or_ends_inside_a_wide_character(old: Line, new: Line) -> None:
    before, after = fit(old, WIDTH), fit(new, WIDTH)
    start, end = _differing_cells(before, after)
    for cells in (_cells(before), _cells(after)):
        assert start >= len(cells) or cells[start][0] != ""
        assert end >= len(cells) or cells[end][0] != ""


@given(contents)
def test_there_is_one_entry_for_each_cell(content: Line) -> None:
    shown = fit(content, WIDTH)
    lonely_mark = bool(content) and content[0].text.startswith("\u0301")
    assert lonely_mark or len(_cells(shown)) == WIDTH
