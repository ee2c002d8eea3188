"""What the labels say: by model, by severity, by day, by operator."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, tzinfo
from statistics import median

from msgspec import Struct
from msgspec.structs import replace

from timmy_tui.services.labels.agreement import (
    Agreement,
    OperatorsAgreement,
    is_disputed,
    operators_agreement,
    self_agreement,
)
from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.labels.records import Answer, LabelEvent
from timmy_tui.services.review.records import Entry

UNKNOWN = "?"

DAYS_SHOWN = 31


class Tally(Struct, frozen=True):
    """What was said of one group of candidates."""

    name: str
    candidates: int
    chosen: int
    rejected: int
    skipped: int
    edits: int

    @property
    def share_chosen(self) -> float | None:
        """Of the chosen and the rejected ones; None without any."""
        judged = self.chosen + self.rejected
        return self.chosen / judged if judged else None


class Duel(Struct, frozen=True):
    """How often a model's answer was preferred to another answer to the same prompt."""

    model: str
    won: int
    lost: int


class OperatorTally(Struct, frozen=True):
    """One operator's work."""

    operator: str
    words: int
    """Answers in force."""
    median_s: float | None
    """Per card, where it is known."""
    second_looks: Agreement


class ReviewStatistics(Struct, frozen=True):
    """Everything that the statistics screen shows."""

    total: Tally
    by_model: tuple[Tally, ...]
    by_severity: tuple[Tally, ...]
    by_day: tuple[Tally, ...]
    """The latest days with labels, newest first."""
    duels: tuple[Duel, ...]
    operators: tuple[OperatorTally, ...]
    between: tuple[OperatorsAgreement, ...]
    disputed: int
    gone: int | None
    """Labelled candidates that stand in no log any more: the tick is gone, or was changed. None: not all was read."""
    bad_lines: int
    unknown_events: int


def statistics_of(
    entries: Sequence[Entry], log: LabelLog, zone: tzinfo | None = None, *, complete: bool = True
) -> ReviewStatistics:
    """Count what the labels say of the candidates, ``complete`` or not. May take a second: call it in a thread."""
    answers = {entry.key: _answer(entry, log) for entry in entries}

    def by(name_of: Callable[[Entry], str], among: Iterable[Entry] = entries) -> tuple[Tally, ...]:
        groups: dict[str, list[Entry]] = {}
        for entry in among:
            groups.setdefault(name_of(entry), []).append(entry)
        return tuple(_tally(name, group, answers) for name, group in groups.items())

    answered = [entry for entry in entries if answers[entry.key].given]
    known = {entry.key: entry for entry in entries}
    labelled = [key for key in log.candidates() if log.answer_of(key).given]
    fold = log.fold
    return ReviewStatistics(
        total=_tally("all", entries, answers),
        by_model=tuple(sorted(by(lambda entry: entry.model or UNKNOWN), key=_most)),
        by_severity=tuple(sorted(by(lambda entry: entry.severity), key=_most)),
        by_day=by(lambda entry: _day(entry, zone), answered)[:DAYS_SHOWN],
        duels=_duels(known, log),
        operators=tuple(_operator(name, log) for name in log.operators()),
        between=operators_agreement(log),
        disputed=sum(is_disputed(log.words_on(key)) for key in labelled),
        gone=sum(key not in known for key in labelled) if complete else None,
        bad_lines=fold.bad_lines,
        unknown_events=fold.unknown_events,
    )


def median_s(words: Iterable[LabelEvent]) -> float | None:
    """The median time of answers, from the card's appearance on."""
    took = [word.took_s for word in words if word.took_s is not None]
    return median(took) if took else None


def _answer(entry: Entry, log: LabelLog) -> Answer:
    answer = log.answer_of(entry.key)
    return answer if answer.label is not None else replace(answer, label=entry.own_label)


def _tally(name: str, entries: Sequence[Entry], answers: dict[str, Answer]) -> Tally:
    labels = Counter(answers[entry.key].label for entry in entries)
    edits = sum(answers[entry.key].edit is not None for entry in entries)
    return Tally(name, len(entries), labels["chosen"], labels["rejected"], labels["skipped"], edits)


def _most(tally: Tally) -> tuple[int, str]:
    return -tally.candidates, tally.name


def _day(entry: Entry, zone: tzinfo | None) -> str:
    if math.isnan(entry.at):
        return UNKNOWN
    return datetime.fromtimestamp(entry.at, zone).strftime("%Y-%m-%d")


def _duels(known: dict[str, Entry], log: LabelLog) -> tuple[Duel, ...]:
    won, lost = Counter[str](), Counter[str]()
    for key in log.candidates():
        prefer, entry = log.answer_of(key).prefer, known.get(key)
        if prefer is None or prefer.alternative is None or entry is None or prefer.preferred in (None, "neither"):
            continue
        pair = (entry.model or UNKNOWN, prefer.alternative.model or UNKNOWN)
        winner, loser = pair if prefer.preferred == "original" else pair[::-1]
        won[winner] += 1
        lost[loser] += 1
    models = sorted(won.keys() | lost.keys(), key=lambda model: (-won[model], model))
    return tuple(Duel(model, won[model], lost[model]) for model in models)


def _operator(name: str, log: LabelLog) -> OperatorTally:
    words = [word for word in log.words_of(name) if word.event != "note"]
    return OperatorTally(name, len(words), median_s(words), self_agreement(log, name))
