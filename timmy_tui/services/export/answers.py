"""What an operator's words on one candidate can honestly serve (facts/annotation.md §4).

A label serves as what it is; a correction is a better answer than the one it corrects; a preference is a pair. A label
on one answer alone never becomes a pair.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from msgspec import Struct

from timmy_tui.services.cascade.records import CallError
from timmy_tui.services.export.reasons import (
    EDIT_CHANGES_NOTHING,
    NEITHER,
    NO_ALTERNATIVE,
    NO_DECISION,
    NO_PREFERENCE,
    SKIPPED,
)
from timmy_tui.services.heartbeat.decision import parse_decision
from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.labels.records import Alternative, Answer, LabelEvent, decision_text
from timmy_tui.services.ticks.records import Label


class Word(Struct, frozen=True, array_like=True):
    """Who said something, and when."""

    operator: str = ""
    at: str = ""
    """ISO 8601 with microseconds and offset; empty when unknown."""


class Verdict(Struct, frozen=True):
    """What is exported of one candidate."""

    chosen: bool | None = None
    """The candidate's own label; None for none."""
    label_by: Word = Word()
    correction: str | None = None
    correction_by: Word = Word()
    alternative: Alternative | None = None
    alternative_preferred: bool = False
    preference_by: Word = Word()
    note: str = ""

    @property
    def serves(self) -> bool:
        """There is something to export."""
        return self.chosen is not None or self.alternative is not None


NOTHING = Verdict()


def verdict_of(
    labels: LabelLog, candidate: str, operator: str | None, own_label: Label | None, dropped: Counter[str]
) -> Verdict:
    """What is said of ``candidate``; reasons for what serves nothing are counted in ``dropped``.

    ``own_label`` is the tick's ``dpo_label``: it counts where no event gives a label and nobody in particular is
    asked for.
    """
    answer = labels.answer_of(candidate, operator)
    chosen: bool | None = None
    label_by = correction_by = preference_by = Word()
    if answer.label is not None:
        chosen = _chosen(answer.label, dropped)
        if chosen is not None:
            label_by = _word(answer.edit or _label_event(labels, candidate, operator, answer))
    elif operator is None and own_label is not None:
        chosen = _chosen(own_label, dropped)
    correction = None
    if answer.edit is not None:
        correction = answer.edit.correction
        correction_by = _word(answer.edit)
        if correction is None or not correction.strip():
            dropped[NO_DECISION] += 1
            correction = None
    alternative, alternative_preferred = _preference(answer.prefer, dropped)
    if alternative is not None:
        preference_by = _word(answer.prefer)
    return Verdict(
        chosen, label_by, correction, correction_by, alternative, alternative_preferred, preference_by, answer.note
    )


def without_empty_edit(verdict: Verdict, completion: str, dropped: Counter[str]) -> Verdict:
    """``verdict``, but where the correction says what ``completion`` said: then the edit rejects nothing either."""
    if verdict.correction is None or not _says_the_same(completion, verdict.correction):
        return verdict
    dropped[EDIT_CHANGES_NOTHING] += 1
    return Verdict(
        alternative=verdict.alternative,
        alternative_preferred=verdict.alternative_preferred,
        preference_by=verdict.preference_by,
        note=verdict.note,
    )


def _says_the_same(completion: str, correction: str) -> bool:
    if completion == correction:
        return True
    try:
        return decision_text(parse_decision(completion)) == correction
    except (CallError, ValueError, RecursionError):
        return False


def _chosen(label: Label, dropped: Counter[str]) -> bool | None:
    if label == "skipped":
        dropped[SKIPPED] += 1
        return None
    return label == "chosen"


def _preference(event: LabelEvent | None, dropped: Counter[str]) -> tuple[Alternative | None, bool]:
    """The alternative and whether it is the better one; None for a preference that makes no pair."""
    if event is None:
        return None, False
    reason = None
    if event.preferred is None:
        reason = NO_PREFERENCE
    elif event.preferred == "neither":
        reason = NEITHER
    elif event.alternative is None or not event.alternative.response.strip():
        reason = NO_ALTERNATIVE
    if reason is not None:
        dropped[reason] += 1
        return None, False
    return event.alternative, event.preferred == "alternative"


def _label_event(labels: LabelLog, candidate: str, operator: str | None, answer: Answer) -> LabelEvent | None:
    """The event that the label in force comes from."""
    if answer.last is not None and answer.last.event == "label":
        return answer.last
    events = (event for event in reversed(labels.words_on(candidate)) if event.event in ("label", "edit"))
    return next((event for event in events if operator is None or event.operator == operator), None)


def _word(event: LabelEvent | None) -> Word:
    if event is None:
        return Word()
    at = "" if event.answered_at is None else moment_text(event.answered_at)
    return Word(event.operator or "", at)


def moment_text(at: float) -> str:
    """Unix seconds as ISO 8601 in UTC, always with microseconds: ``datasets`` makes times of shorter ones."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")
