"""A configuration says what it says: no key twice, and no few lines that mean millions."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.safe_yaml import YamlError, load_yaml

MERGES = "\n".join(
    ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 12))]
)
LISTS = "\n".join(["l0: &l0 [x, x]", *(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12))])


@pytest.mark.parametrize("bomb", [MERGES, LISTS], ids=["merges", "lists"])
def test_a_bomb_is_one_line_at_once(bomb: str) -> None:
    assert len(bomb) < 1_000
    began = time.monotonic()
    with pytest.raises(YamlError, match=r"^line \d+: its aliases stand for more than 100,000 values$"):
        load_yaml(bomb)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("actions:\n  a: 1\nactions:\n  b: 2\n", "line 3: the key 'actions' stands there twice (first in line 1)"),
        ("a: {b: 1, c: 2, b: 3}\n", "line 1: the key 'b' stands there twice (first in line 1)"),
        ("x:\n  - k: 1\n    k: 2\n", "line 3: the key 'k' stands there twice (first in line 2)"),
        ("a: &a [*a]\n", "line 1: a value that contains itself"),
    ],
)
def test_what_would_be_lost_is_told(text: str, told: str) -> None:
    with pytest.raises(YamlError) as caught:
        load_yaml(text)
    assert str(caught.value) == told


def test_aliases_and_merges_of_an_honest_file_are_read() -> None:
    text = "base: &base {a: 1, b: 2}\nown: {<<: *base, b: 3}\nagain: {<<: *base}\nsame: [1, 1]\n1: one\n'1': text\n"
    tree = load_yaml(text)
    assert isinstance(tree, dict)
    assert tree["own"] == {"a": 1, "b": 3}
    assert (tree[1], tree["1"]) == ("one", "text")


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_anything_is_a_document_or_one_line(source: str | bytes) -> None:
    try:
        load_yaml(source)
    except YamlError:
        pass
