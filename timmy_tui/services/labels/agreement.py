"""How far labels can be trusted: one operator against himself, and operators against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from msgspec import Struct

from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.labels.records import LabelEvent
from timmy_tui.services.ticks.records import Label

Pair = tuple[Label, Label]


class Agreement(Struct, frozen=True):
    """Two series of labels on the same candidates."""

    pairs: int
    same: int
    kappa: float | None
    """Cohen's kappa: 1 = always the same, 0 = no better than chance; None where chance alone explains all."""


class OperatorsAgreement(Struct, frozen=True):
    """Two operators on the candidates that both have labelled."""

    first: str
    second: str
    agreement: Agreement


def agreement_of(pairs: Iterable[Pair]) -> Agreement:
    """Cohen's kappa of the pairs (Cohen 1960): (observed - expected) / (1 - expected) agreement."""
    seen = Counter(pairs)
    total = sum(seen.values())
    if not total:
        return Agreement(0, 0, None)
    same = sum(count for (one, other), count in seen.items() if one == other)
    first, second = Counter[Label](), Counter[Label]()
    for (one, other), count in seen.items():
        first[one] += count
        second[other] += count
    expected = sum(first[label] * second[label] for label in first) / total**2
    if expected >= 1:
        return Agreement(total, same, None)
    return Agreement(total, same, (same / total - expected) / (1 - expected))


def self_agreement(log: LabelLog, operator: str) -> Agreement:
    """What an operator said at second looks against what he had said before."""
    return agreement_of(_second_looks(log, operator))


def operators_agreement(log: LabelLog) -> tuple[OperatorsAgreement, ...]:
    """Each two operators who have labelled the same candidates."""
    last = {name: _last_labels(log, name) for name in log.operators()}
    found = []
    for first, second in combinations(last, 2):
        common = last[first].keys() & last[second].keys()
        if common:
            pairs = ((last[first][key], last[second][key]) for key in common)
            found.append(OperatorsAgreement(first, second, agreement_of(pairs)))
    return tuple(found)


def is_disputed(words: Sequence[LabelEvent]) -> bool:
    """Whether the words on one candidate contradict each other.

    So do the last words of two operators, and a second look that no later word has settled. A skip contradicts nobody.
    """
    last: dict[str | None, Label] = {}
    doubted: set[str | None] = set()
    for word in words:
        label = word.said
        if label not in ("chosen", "rejected"):
            continue
        before = last.get(word.operator)
        doubted.discard(word.operator)
        if word.blind and before not in (None, label):
            doubted.add(word.operator)
        last[word.operator] = label
    return bool(doubted) or len(set(last.values())) > 1


def _last_labels(log: LabelLog, operator: str) -> dict[str, Label]:
    found: dict[str, Label] = {}
    for word in log.words_of(operator):
        if word.said is not None:
            found.setdefault(word.candidate, word.said)
    return found


def _second_looks(log: LabelLog, operator: str) -> Iterator[Pair]:
    before: dict[str, Label] = {}
    for word in reversed(list(log.words_of(operator))):
        if word.said is None:
            continue
        earlier = before.get(word.candidate)
        if word.blind and earlier is not None:
            yield earlier, word.said
        before[word.candidate] = word.said
