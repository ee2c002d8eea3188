"""Lists that never hold their rows: numbered keys behave like the sequence they stand for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.geometry import Size

from timmy_tui.widgets.line import Line, line, plain
from timmy_tui.widgets.list_pane import ListPane, NumberedKeys
from timmy_tui.widgets.pane import View


@given(st.integers(0, 200))
def test_numbered_keys_are_the_numbers_newest_first(count: int) -> None:
    expected = [str(number) for number in reversed(range(count))]
    keys = NumberedKeys(count)
    assert list(keys) == expected
    assert len(keys) == count
    assert [keys[-1 - index] for index in range(count)] == expected[::-1]


@given(st.integers(1, 200), st.data())
def test_every_key_is_found_where_it_stands(count: int, data: st.DataObject) -> None:
    keys: Sequence[str] = NumberedKeys(count)
    index = data.draw(st.integers(0, count - 1))
    assert keys.index(keys[index]) == index


@pytest.mark.parametrize("value", ["3", "-1", "x", "", "1.0", "²"])
def test_a_key_that_is_none_of_them_is_not_found(value: str) -> None:
    with pytest.raises(ValueError):
        NumberedKeys(3).index(value)


@pytest.mark.parametrize("index", [3, -4, 10**9])
def test_there_is_nothing_beyond_the_end(index: int) -> None:
    with pytest.raises(IndexError):
        NumberedKeys(3)[index]


def test_a_list_of_a_million_is_made_at_once_and_draws_only_what_is_asked() -> None:
    drawn: list[str] = []

    def draw(key: str, width: int) -> Line:
        drawn.append(key)
        return line(f"row {key}")

    pane = ListPane("Every tick", id="ticks")
    pane.fill(NumberedKeys(1_000_000), draw, View(now=0.0))
    assert drawn == []
    assert [plain(content) for content in pane.entry("999999", 20)] == ["row 999999"]
    assert pane.cursor_here() == "999999"


class Sized(ListPane):
    """A list on a screen of 40 × 12 that counts what it lays out."""

    tall = 1

    @property
    def size(self) -> Size:
        return Size(40, 12)

    def entry(self, key: str, width: int) -> Sequence[Line]:
        drawn.append(key)
        return [line(f"row {key}")] * self.tall


drawn: list[str] = []
ROWS = 10


@pytest.mark.parametrize("tall", [1, 2, 3, ROWS, ROWS + 5])
def test_a_jump_to_the_end_of_a_million_lays_out_what_it_shows(tall: int) -> None:
    pane = Sized("Every tick", id="ticks")
    pane.tall = tall
    pane.fill(NumberedKeys(1_000_000), lambda key, width: line(), View(now=0.0))
    drawn.clear()

    pane.action_jump(-1)

    assert len(drawn) <= 2 * ROWS
    shown = max(1, ROWS // tall)
    assert [plain(content).strip("│ ") for content in pane.lines[1:-1]][:: min(tall, ROWS)][:shown] == [
        f"row {number}" for number in reversed(range(shown))
    ]
    assert pane._hidden_below == 0
    drawn.clear()
    pane.action_jump(0)
    assert len(drawn) <= 2 * ROWS
    assert "row 999999" in plain(pane.lines[1])


@given(st.lists(st.integers(1, 14), min_size=1, max_size=30), st.lists(st.integers(0, 29), min_size=1, max_size=8))
def test_the_row_under_the_cursor_is_always_in_view(heights: list[int], moves: list[int]) -> None:
    class Uneven(Sized):
        def entry(self, key: str, width: int) -> Sequence[Line]:
            return [line(f"row {key}")] * heights[int(key)]

    pane = Uneven("Uneven", id="rows")
    keys = [str(number) for number in range(len(heights))]
    pane.fill(keys, lambda key, width: line(), View(now=0.0))
    for move in moves:
        pane._select(keys, move)
        assert pane.cursor_key in pane._rows_at.values()
        seen = [plain(content).strip("│ ") for content in pane.lines[1:-1]]
        assert seen.count(f"row {pane.cursor_key}") == min(ROWS, heights[int(pane.cursor_key or 0)])


def test_an_empty_list_says_what_it_was_told_to_say() -> None:
    pane = ListPane("Messages", id="hits")
    pane.fill([], lambda key, width: line(), View(now=0.0), empty=[line("No message holds that.")])
    assert [plain(content) for content in pane.empty(40)] == ["No message holds that."]
    assert pane.cursor_here() is None
