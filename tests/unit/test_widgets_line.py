"""Lines of spans: whatever text comes, the width that was asked for is kept and no character is lost unmarked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from timmy_tui.widgets.line import (
    EMPTY,
    Line,
    Span,
    crop,
    fit,
    fitting,
    joined,
    line,
    plain,
    right,
    spread,
    width_of,
    wrap,
)

# One cell, two cells, none: what may be left in a string that `text.clean` has passed.
LETTERS = "ab1 .-é漢字한글ｗ👍\u0301"
texts = st.text(LETTERS, max_size=40)
blocks = st.text(LETTERS + "\n ", max_size=120)
spans = st.builds(Span, st.text(LETTERS, min_size=1, max_size=12), st.sampled_from(["text", "quiet", "ok"]))
contents = st.lists(spans, max_size=6).map(tuple)
widths = st.integers(0, 60)


def solid(text: str) -> str:
    """The text without what a wrap may drop."""
    return text.replace(" ", "").replace("\n", "")


@given(contents, widths)
def test_crop_never_exceeds_the_width(content: Line, width: int) -> None:
    assert width_of(crop(content, width)) <= width


@given(contents, widths)
def test_crop_leaves_alone_what_fits_and_marks_what_it_cut(content: Line, width: int) -> None:
    cut = crop(content, width)
    if width_of(content) <= width:
        assert cut is content
    elif width > 0:
        assert plain(cut).endswith("…")
        assert plain(content).startswith(plain(cut)[:-1])


@given(contents, widths)
def test_fit_is_exactly_as_wide_as_asked(content: Line, width: int) -> None:
    assert width_of(fit(content, width)) == width


@given(st.text("ab19.,: 漢", max_size=30), st.integers(1, 30))
def test_crop_leaves_no_half_number(text: str, width: int) -> None:
    cut = crop(line(text), width)
    if plain(cut) != text:
        assert plain(cut)[-2:-1] not in set("0123456789.,:")


def test_crop_drops_the_whole_of_a_number_that_it_would_cut() -> None:
    assert plain(crop(line("overdue by 24 h"), 13)) == "overdue by …"
    assert plain(crop(line(("load ", "quiet"), ("9,41", "strong"), ("7 ms", "quiet")), 10)) == "load …"
    assert plain(crop(line("1234567"), 4)) == "…"


def test_crop_cuts_no_wide_character_in_two() -> None:
    assert plain(crop(line("漢字漢字"), 4)) == "漢…"
    assert plain(crop(line("a漢字漢字"), 4)) == "a漢…"


def test_crop_keeps_the_roles_and_gives_the_mark_the_last_one() -> None:
    assert crop(line(("disk", "warning"), (" is full", "quiet")), 8) == (
        Span("disk", "warning"),
        Span(" is", "quiet"),
        Span("…", "quiet"),
    )


def test_crop_marks_with_the_given_sign() -> None:
    assert plain(crop(line("nomic-embed"), 8, "~")) == "nomic-e~"
    assert plain(crop(line("nomic-embed"), 8, "")) == "nomic-em"


@given(contents, contents, widths)
def test_spread_fills_exactly_the_width(left: Line, right_end: Line, width: int) -> None:
    assert width_of(spread(left, right_end, width)) == width


@given(contents, contents, widths)
def test_spread_shows_its_right_end_whole_or_not_at_all(left: Line, right_end: Line, width: int) -> None:
    shown = plain(spread(left, right_end, width))
    if width_of(right_end) + 2 <= width:
        assert shown.endswith(plain(right_end))
    else:
        assert shown == plain(spread(left, EMPTY, width))


def test_spread_takes_from_the_left_first() -> None:
    assert plain(spread(line("nomic-embed"), line("on disk"), 14)) == "nomic… on disk"
    assert plain(spread(line("nomic-embed"), line("on disk"), 8)) == "nomic-e…"


@given(st.lists(contents, max_size=6), widths)
def test_fitting_takes_parts_whole_and_never_exceeds_the_width(parts: list[Line], width: int) -> None:
    separator = line(" | ")
    shown = fitting(parts, separator, width)
    assert width_of(shown) <= width
    kept: list[Line] = []
    for part in parts:
        if part and width_of(joined([*kept, part], separator)) <= width:
            kept.append(part)
    assert shown == joined(kept, separator)


def test_fitting_goes_on_with_a_smaller_part() -> None:
    parts = [line("495k tokens"), line("reasoning 1,234,567"), line("in 4k")]
    assert plain(fitting(parts, line("  "), 20)) == "495k tokens  in 4k"


def test_joined_leaves_no_separator_beside_an_empty_part() -> None:
    assert plain(joined([EMPTY, line("a"), EMPTY, line("b"), EMPTY], line("·"))) == "a·b"
    assert joined([], line("·")) == EMPTY


@given(texts, widths)
def test_right_aligns_by_cells(text: str, width: int) -> None:
    assert cell_len(right(text, width)) == max(width, cell_len(text))


@given(blocks, st.integers(2, 60))
def test_wrap_never_exceeds_the_width(text: str, width: int) -> None:
    assert all(width_of(content) <= width for content in wrap(text, width))


@given(blocks, st.integers(8, 60))
def test_wrap_never_exceeds_the_width_behind_an_indent(text: str, width: int) -> None:
    lines = wrap(text, width, indent="    ")
    assert all(width_of(content) <= width for content in lines)
    assert all(plain(content).startswith("    ") for content in lines)


@given(blocks, st.integers(1, 60))
def test_wrap_loses_nothing_but_spaces(text: str, width: int) -> None:
    assert solid("".join(plain(content) for content in wrap(text, width))) == solid(text)


@given(blocks, st.integers(2, 60))
def test_wrap_keeps_every_line_break(text: str, width: int) -> None:
    assert len(wrap(text, width)) >= text.count("\n") + 1


@given(blocks, st.integers(2, 60), st.integers(1, 5))
def test_wrap_marks_what_is_beyond_its_limit(text: str, width: int, limit: int) -> None:
    whole, limited = wrap(text, width), wrap(text, width, limit=limit)
    assert all(width_of(content) <= width for content in limited)
    if len(whole) <= limit:
        assert limited == whole
    else:
        assert len(limited) == limit
        assert plain(limited[-1]).endswith("…")


def test_wrap_without_room_for_a_line_is_nothing() -> None:
    assert wrap("All services answer.", 20, limit=0) == []


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("all services answer", 12, ["all services", "answer"]),
        ("all services answer", 19, ["all services answer"]),
        ("  indented text goes on", 12, ["  indented", "  text goes", "  on"]),
        ("a\n\nb", 12, ["a", "", "b"]),
        ("extraordinarily", 6, ["extrao", "rdinar", "ily"]),
        ("漢字漢字漢字", 5, ["漢字", "漢字", "漢字"]),
        ("", 12, [""]),
    ],
)
def test_wrap_breaks_at_spaces_and_only_then_inside_words(text: str, width: int, expected: list[str]) -> None:
    assert [plain(content).rstrip() for content in wrap(text, width)] == expected


def test_line_drops_empty_parts_and_takes_bare_text_as_text() -> None:
    assert line("a", ("", "ok"), ("b", "ok"), Span("c", "key")) == (Span("a"), Span("b", "ok"), Span("c", "key"))
