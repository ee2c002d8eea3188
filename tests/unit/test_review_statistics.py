"""The statistics count what stands in the log, and each candidate once."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest
from label_maker import append, event_line, label_line

from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.review.records import Entry
from timmy_tui.services.review.statistics import ReviewStatistics, statistics_of
from timmy_tui.services.ticks.records import Label, Severity

NOON = 1_795_176_000.0
DAY = 86_400.0


def entry(name: str, model: str, severity: Severity = "ok", *, days: int = 0, own: Label | None = None) -> Entry:
    return Entry(f"key-{name}", NOON - days * DAY, severity, model, "heartbeat", True, own, "", name)


def prefer(event_id: str, candidate: str, preferred: str, model: str) -> bytes:
    other = {"response": "other", "model": model}
    return event_line(event_id, "prefer", candidate=candidate, preferred=preferred, alternative=other, operator="alex")


@pytest.fixture
def counted(tmp_path: Path) -> ReviewStatistics:
    path = tmp_path / "labels.jsonl"
    append(
        path,
        label_line("1", "key-a", "chosen", shown_at="2026-11-20T10:00:00Z", answered_at="2026-11-20T10:00:02Z"),
        label_line("2", "key-b", "rejected", shown_at="2026-11-20T10:00:02Z", answered_at="2026-11-20T10:00:03Z"),
        label_line("3", "key-b", "chosen", operator="kim"),
        label_line("4", "key-c", "skipped"),
        event_line("5", "edit", candidate="key-d", decision={"severity": "ok", "actions": [], "reasoning": "calm"}),
        label_line("6", "key-gone", "chosen"),
        prefer("7", "key-a", "alternative", "big:70b"),
        prefer("8", "key-c", "original", "big:70b"),
        prefer("9", "key-e", "neither", "big:70b"),
        b"garbage\n",
    )
    log = LabelLog(path)
    log.poll()
    entries = [
        entry("a", "small:3b"),
        entry("b", "small:3b", "warning"),
        entry("c", "hermes4:14b", days=1),
        entry("d", "small:3b", days=1),
        entry("e", "hermes4:14b", days=2, own="rejected"),
        entry("f", "hermes4:14b", "critical", days=3),
    ]
    return statistics_of(entries, log, UTC)


def test_each_candidate_counts_once_with_the_last_word_on_it(counted: ReviewStatistics) -> None:
    total = counted.total
    assert (total.candidates, total.chosen, total.rejected, total.skipped, total.edits) == (6, 2, 2, 1, 1)
    assert total.share_chosen == pytest.approx(1 / 2)


def test_models_severities_and_days_are_told_apart(counted: ReviewStatistics) -> None:
    assert [(tally.name, tally.chosen, tally.rejected) for tally in counted.by_model] == [
        ("hermes4:14b", 0, 1),
        ("small:3b", 2, 1),
    ]
    assert {tally.name: tally.candidates for tally in counted.by_severity} == {"ok": 4, "warning": 1, "critical": 1}
    assert [tally.name for tally in counted.by_day] == ["2026-11-20", "2026-11-19", "2026-11-18"]


def test_the_models_whose_answers_are_preferred_are_told(counted: ReviewStatistics) -> None:
    assert {duel.model: (duel.won, duel.lost) for duel in counted.duels} == {
        "big:70b": (1, 1),
        "small:3b": (0, 1),
        "hermes4:14b": (1, 0),
    }


def test_what_makes_labels_doubtful_is_counted(counted: ReviewStatistics) -> None:
    assert (counted.disputed, counted.gone, counted.bad_lines) == (1, 1, 1)
    alex = next(tally for tally in counted.operators if tally.operator == "alex")
    assert alex.median_s == 1.5
    (pair,) = counted.between
    assert (pair.agreement.pairs, pair.agreement.same) == (1, 0)
