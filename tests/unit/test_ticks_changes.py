"""What changed between two perceptions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.services.ticks.changes import before_value, changed_paths
from timmy_tui.text import Json


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        ({"a": 1}, {"a": 1}, set()),
        ({"disk": 88}, {"disk": 91}, {("disk",)}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {("a", "c")}),
        ({}, {"a": {"b": 1, "c": [2]}}, {("a", "b"), ("a", "c", "0")}),
        ({"a": {"b": 1}}, {}, {("a", "b")}),
        ({"l": [1, 2]}, {"l": [1, 3, 4]}, {("l", "1"), ("l", "2")}),
        ({"l": []}, {"l": [1]}, {("l",), ("l", "0")}),
        ({"l": []}, {"l": []}, set()),
        ({"a": {}}, {"a": []}, {("a",)}),
        ({"a": {"0": 1}}, {"a": [1]}, {("a", "0")}),
        ({"a": 1}, {"a": {"b": 1}}, {("a",), ("a", "b")}),
        ({"a": 1}, {"a": True}, {("a",)}),
        ({"a": 1}, {"a": 1.0}, set()),
        ({"a": None}, {}, {("a",)}),
        (None, {"a": 1}, {("a",)}),
        (3, 4, {()}),
    ],
)
def test_the_changed_paths(before: Json, after: Json, paths: set[tuple[str, ...]]) -> None:
    assert changed_paths(before, after) - {()} == paths - {()}
    assert bool(changed_paths(before, after)) == bool(paths)


def test_the_value_before_is_found_by_its_path() -> None:
    before: Json = {"a": [{"b": 7}], "c": None}
    assert before_value(before, ("a", "0", "b")) == 7
    assert before_value(before, ("a", "1", "b")) is None
    assert before_value(before, ("a", "0", "b", "x")) is None
    assert before_value(before, ()) == before


trees = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(trees, trees)
def test_nothing_changed_exactly_when_both_are_equal(before: Json, after: Json) -> None:
    assert changed_paths(before, before) == frozenset()
    assert changed_paths(before, after) == changed_paths(after, before)
    assert bool(changed_paths(before, after)) == (repr(_sorted(before)) != repr(_sorted(after)))


def _sorted(value: Json) -> object:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
