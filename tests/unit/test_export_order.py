"""The order of rows, the split, and the figures for training."""

from __future__ import annotations

import hashlib
from itertools import permutations
from pathlib import Path

import pytest
from export_home import ExportHome, said
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.services.export.arrange import arranged, equal_neighbours, fewest_equal_neighbours
from timmy_tui.services.export.manifest import weights_for
from timmy_tui.services.export.passages import is_date, passage_of, tokens_of


@given(keys=st.lists(st.integers(0, 5), max_size=40))
def test_every_row_is_there_once_with_as_few_equal_neighbours_as_can_be(keys: list[int]) -> None:
    order = arranged(keys)
    assert sorted(order) == list(range(len(keys)))
    assert equal_neighbours([keys[index] for index in order]) == fewest_equal_neighbours(keys)


@given(keys=st.lists(st.integers(0, 3), max_size=6))
def test_the_fewest_are_the_fewest(keys: list[int]) -> None:
    assert fewest_equal_neighbours(keys) == min(equal_neighbours(order) for order in permutations(keys))


@given(keys=st.lists(st.integers(0, 100), unique=True, max_size=20))
def test_what_needs_no_change_keeps_its_place(keys: list[int]) -> None:
    assert arranged(keys) == list(range(len(keys)))


def test_one_frequent_text_is_spread_over_the_file() -> None:
    keys = [0] * 300 + list(range(1, 701))
    order = [keys[index] for index in sorted(range(1000), key=lambda index: hashlib.sha256(b"%d" % index).digest())]
    first_half = [order[index] for index in arranged(order)][:500]
    assert 100 < first_half.count(0) < 200


@given(
    labels=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4), st.booleans()), min_size=1, max_size=25),
    split=st.sampled_from([0.0, 0.2, 0.5, 0.9]),
)
def test_no_prompt_is_on_both_sides_of_the_split(
    tmp_path_factory: pytest.TempPathFactory, labels: list[tuple[int, int, bool]], split: float
) -> None:
    home = ExportHome(tmp_path_factory.mktemp("home"))
    for n, (prompt, response, chosen) in enumerate(labels):
        key = home.tick(n, prompt=f"prompt {prompt}", response=f"response {response} of {n}")
        home.label(key, "chosen" if chosen else "rejected")
    home.export(split=split)
    sides = {}
    for suffix in ("", "_test"):
        rows = home.rows(f"kto{suffix}.jsonl")
        sides[suffix] = {said(row["prompt"]) for row in rows}
        for stem in ("sft", "llamafactory_kto"):
            assert {row["prompt_sha256"] for row in home.rows(f"{stem}{suffix}.jsonl")} <= {
                row["prompt_sha256"] for row in rows
            }
        assert {said(row["prompt"]) for row in home.rows(f"dpo{suffix}.jsonl")} <= sides[suffix]
        texts = [said(row["completion"]) for row in rows]
        numbers = [sorted(set(texts)).index(text) for text in texts]
        assert equal_neighbours(numbers) == fewest_equal_neighbours(numbers)
    assert not sides[""] & sides["_test"]
    assert sides[""] | sides["_test"] == {f"prompt {prompt}" for prompt, _, _ in labels}
    for prompt in sides["_test"]:
        assert int(hashlib.sha256(prompt.encode()).hexdigest()[:16], 16) / 2**64 < split


@given(chosen=st.integers(0, 5000), rejected=st.integers(0, 5000))
def test_weights_are_within_trls_advice(chosen: int, rejected: int) -> None:
    weights = weights_for(chosen, rejected)
    if chosen and rejected:
        ratio = weights.desirable_weight * chosen / (weights.undesirable_weight * rejected)
        assert 0.999 <= ratio <= 1.334
        assert min(weights.desirable_weight, weights.undesirable_weight) == 1.0
    else:
        assert (weights.desirable_weight, weights.undesirable_weight) == (1.0, 1.0)


def test_the_length_is_guessed_with_care() -> None:
    assert tokens_of(passage_of("").cost) == 128
    assert tokens_of(passage_of("x" * 160).cost) == 128
    assert tokens_of(passage_of("x" * 161).cost) == 256
    assert tokens_of(passage_of("€" * 22).cost) == 256
    assert passage_of("a€").cost == 2 + 15


def test_long_rows_are_warned_of(tmp_path: Path) -> None:
    home = ExportHome(tmp_path)
    home.label(home.tick(1, prompt="x" * 3000, response="y" * 100))
    report = home.export()
    training = home.manifest()["training"]
    assert (training["longest_prompt_characters"], training["longest_row_characters"]) == (3000, 3100)
    assert training["max_length"] == 1408
    assert any("max_length=1408" in warning for warning in report.warnings)
    assert "max_length=1408" in (home.target / "README.md").read_text()


@pytest.mark.parametrize(
    "text", ["2026-11-20", "2026-11-20T10:00:00Z", "2026-11-20 10:00", "2026-11-20T10:00:00+01:00"]
)
def test_dates_are_known(text: str) -> None:
    assert is_date(text)
    assert not is_date(f"{text} or so")


def test_no_column_looks_like_a_date(tmp_path: Path) -> None:
    home = ExportHome(tmp_path)
    home.label(home.tick(1, prompt="P", response="R", tick_id="2026-11-20 10:00:00"), note="2026-11-20")
    home.export()
    (row,) = home.rows("kto.jsonl")
    assert (row["tick_id"], row["note"]) == ("#2026-11-20 10:00:00", "#2026-11-20")
