"""Agreement is counted as Cohen did, and a contradiction stays a dispute until somebody settles it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_maker import append, event_line, label_line

from timmy_tui.services.labels.agreement import agreement_of, is_disputed, operators_agreement, self_agreement
from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.ticks.records import Label


def log_of(tmp_path: Path, *lines: bytes) -> LabelLog:
    path = tmp_path / "labels.jsonl"
    append(path, *lines)
    log = LabelLog(path)
    log.poll()
    return log


def test_the_textbooks_example() -> None:
    """Cohen's kappa of 20/5/10/15 is 0.4."""
    pairs: list[tuple[Label, Label]] = []
    for count, one, other in ((20, "chosen", "chosen"), (5, "chosen", "rejected"), (10, "rejected", "chosen")):
        pairs += [(one, other)] * count  # type: ignore[list-item]
    pairs += [("rejected", "rejected")] * 15
    found = agreement_of(pairs)
    assert (found.pairs, found.same) == (50, 35)
    assert found.kappa == pytest.approx(0.4)


def test_no_pairs_and_pairs_that_chance_explains_have_no_kappa() -> None:
    assert agreement_of([]).kappa is None
    assert agreement_of([("chosen", "chosen")] * 9).kappa is None


labels = st.sampled_from(["chosen", "rejected", "skipped"])


@given(st.lists(st.tuples(labels, labels), min_size=1))
def test_kappa_is_one_only_for_full_agreement_and_the_same_both_ways(pairs: list[tuple[Label, Label]]) -> None:
    found, turned = agreement_of(pairs), agreement_of([(other, one) for one, other in pairs])
    assert found.kappa == pytest.approx(turned.kappa) if found.kappa is not None else turned.kappa is None
    if found.kappa is not None:
        assert -1 <= found.kappa <= 1
        assert (found.kappa == pytest.approx(1)) == (found.same == found.pairs)


def test_a_second_look_is_compared_with_the_word_before(tmp_path: Path) -> None:
    log = log_of(
        tmp_path,
        label_line("1", "a", "chosen"),
        label_line("2", "b", "rejected"),
        label_line("3", "c", "rejected"),
        label_line("4", "c", "chosen"),  # a changed mind is no second look
        label_line("5", "a", "chosen", blind=True),
        label_line("6", "b", "chosen", blind=True),
        label_line("7", "b", "rejected", operator="kim"),
        event_line("8", "undo", undoes="5"),
        label_line("9", "a", "chosen", blind=True),
    )
    found = self_agreement(log, "alex")
    assert (found.pairs, found.same) == (2, 1)
    assert self_agreement(log, "kim").pairs == 0


def test_operators_are_compared_by_their_last_words(tmp_path: Path) -> None:
    log = log_of(
        tmp_path,
        label_line("1", "a", "rejected"),
        label_line("2", "a", "chosen"),
        label_line("3", "a", "chosen", operator="kim"),
        label_line("4", "b", "chosen"),
        label_line("5", "b", "rejected", operator="kim"),
        label_line("6", "c", "chosen", operator="kim"),
    )
    (pair,) = operators_agreement(log)
    assert (pair.first, pair.second, pair.agreement.pairs, pair.agreement.same) == ("alex", "kim", 2, 1)


def test_who_corrects_a_decision_has_rejected_it(tmp_path: Path) -> None:
    correction = {"severity": "ok", "actions": [], "reasoning": "calm"}
    log = log_of(
        tmp_path,
        label_line("1", "a", "chosen"),
        event_line("2", "edit", candidate="a", decision=correction, operator="kim"),
        label_line("3", "b", "chosen"),
        event_line("4", "edit", candidate="b", decision=correction, operator="alex"),
        label_line("5", "b", "rejected", blind=True),
    )
    assert is_disputed(log.words_on("a"))
    assert not is_disputed(log.words_on("b"))
    (pair,) = operators_agreement(log)
    assert (pair.agreement.pairs, pair.agreement.same) == (1, 0)
    looks = self_agreement(log, "alex")
    assert (looks.pairs, looks.same) == (1, 1)


def test_a_dispute_lasts_until_it_is_settled(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    log = log_of(tmp_path, label_line("1", "a", "chosen"), label_line("2", "a", "skipped", operator="kim"))

    def disputed() -> bool:
        log.poll()
        return is_disputed(log.words_on("a"))

    assert not disputed()
    append(path, label_line("3", "a", "rejected", blind=True))
    assert disputed()
    append(path, label_line("4", "a", "rejected"))
    assert not disputed()
    append(path, label_line("5", "a", "chosen", operator="kim"))
    assert disputed()
    append(path, event_line("6", "undo", undoes="5"))
    assert not disputed()
