"""What a view repaints: from the left edge to the last changed span, and nothing when nothing did."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from timmy_tui.widgets.line import Line, Span, fit, line
from timmy_tui.widgets.lines_view import changed_cells

spans = st.builds(Span, st.text("ab 漢字é\u0301", min_size=1, max_size=8), st.sampled_from(["text", "ok", "demo"]))
contents = st.lists(spans, max_size=5).map(tuple)
WIDTH = 30


def test_equal_lines_are_not_repainted() -> None:
    assert changed_cells(line("14:03:48"), line("14:03:48"), 8) == 0


def test_what_stands_behind_the_change_is_not_repainted() -> None:
    assert changed_cells(line(("14:03", "ok"), "rest"), line(("14:04", "ok"), "rest"), 9) == 5


def test_another_role_is_a_change() -> None:
    assert changed_cells(line("a", ("b", "ok"), "c"), line("a", ("b", "warning"), "c"), 3) == 2


def test_the_same_text_in_other_spans_is_no_change() -> None:
    assert changed_cells(line("ab", "cd"), line("abc", "d"), 4) == 0


def test_a_wide_character_is_repainted_whole() -> None:
    assert changed_cells(line(("漢", "ok"), "b"), line(("字", "ok"), "b"), 3) == 2


def seen(content: Line) -> str:
    """The cells as they look: a blank has no role but one with a background or an underline."""
    return "".join(
        f"{character}{'' if character == ' ' and span.role != 'demo' else span.role}"
        for span in content
        for character in span.text
    )


@given(contents, contents)
def test_a_visible_difference_is_always_repainted(old: Line, new: Line) -> None:
    before, after = fit(old, WIDTH), fit(new, WIDTH)
    changed = changed_cells(before, after, WIDTH)
    assert 0 <= changed <= WIDTH
    assert changed > 0 or seen(before) == seen(after)


@given(contents, contents, contents)
def test_an_equal_end_is_spared(old: Line, new: Line, end: Line) -> None:
    tail = (Span("|", "frame"), *end, Span("|", "frame"))
    cells = sum(cell_len(span.text) for span in tail)
    before, after = fit(old, 90), fit(new, 90)
    changed = changed_cells((*before, *tail), (*after, *tail), 90 + cells)
    assert changed <= 90
