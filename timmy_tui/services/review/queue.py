"""Which cards are to be looked at, in what order, and how many are left."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Literal

from msgspec import Struct

from timmy_tui.services.labels.agreement import is_disputed
from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.review.index import age
from timmy_tui.services.review.records import Entry
from timmy_tui.services.ticks.records import Severity

Show = Literal[
    "unlabelled", "not by me", "chosen", "rejected", "skipped", "edited", "preferred", "disputed", "second look", "all"
]
SHOWS: tuple[Show, ...] = (
    "unlabelled",
    "not by me",
    "chosen",
    "rejected",
    "skipped",
    "edited",
    "preferred",
    "disputed",
    "second look",
    "all",
)


class QueueFilter(Struct, frozen=True):
    """What the operator wants to see."""

    show: Show = "unlabelled"
    severity: Severity | None = None
    model: str | None = None
    source: str | None = None
    day: date | None = None
    """A local date."""
    text: str = ""
    """Looked for in what was decided, without regard to case."""
    fallbacks: bool = False
    """Also what the hard-coded rules decided."""

    @property
    def is_default(self) -> bool:
        """Nothing was chosen."""
        return self == QueueFilter()

    @property
    def blind(self) -> bool:
        """A second look: what was said before must not be seen."""
        return self.show == "second look"


class ReviewQueue:
    """The candidates that pass a filter, in order, each open (to be answered) or done.

    Built in a thread, then belongs to one; :meth:`refresh` keeps up with the label log at the cost of what is new.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        find: Callable[[str], Entry | None],
        log: LabelLog,
        wanted: QueueFilter,
        *,
        operator: str,
        second_look: float,
        zone: tzinfo | None = None,
    ) -> None:
        """``entries`` are the newest first; ``find`` gives the one of a key."""
        self.filter = wanted
        self._log = log
        self._operator = operator
        self._second_look = second_look
        self._mark, _ = log.touched_since(0)
        self._open_now = self._opener()
        day = _day_bounds(wanted.day, zone)
        scope: Sequence[Entry] = [entry for entry in entries if _passes(entry, wanted, day)]
        if wanted.blind:
            scope = sorted((entry for entry in scope if self._is_sampled(entry)), key=_shuffled)
        self.entries = scope
        self._find = find
        self._open = bytearray(map(self._open_now, scope))
        self.left = self._open.count(1)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def done(self) -> int:
        """How many need no answer any more."""
        return len(self.entries) - self.left

    def refresh(self) -> bool:
        """Take in what the log has learnt; True when a card opened or was done."""
        self._mark, touched = self._log.touched_since(self._mark)
        changed = False
        for key in dict.fromkeys(touched):
            position = self.position_of(key)
            if position is None:
                continue
            now_open = self._open_now(self.entries[position])
            if now_open != bool(self._open[position]):
                self._open[position] = now_open
                self.left += 1 if now_open else -1
                changed = True
        return changed

    def position_of(self, key: str) -> int | None:
        """Where a candidate stands: looked up by its time, for a table of all would be as large as the index."""
        entry = self._find(key)
        if entry is None:
            return None
        by = _shuffled if self.filter.blind else age
        position = bisect_left(self.entries, by(entry), key=by)
        while position < len(self.entries) and by(self.entries[position]) == by(entry):
            if self.entries[position].key == key:
                return position
            position += 1
        return None

    def next_open(self, after: int) -> int | None:
        """The next open card behind a position, from the start again at the end; None when all are done."""
        found = self._open.find(1, after + 1)
        found = found if found >= 0 else self._open.find(1)
        return found if found >= 0 else None

    def _opener(self) -> Callable[[Entry], bool]:
        log, operator, show = self._log, self._operator, self.filter.show
        if show == "all":
            return lambda entry: True
        if show == "unlabelled":
            return lambda entry: entry.own_label is None and not log.answer_of(entry.key).given
        if show == "not by me":
            return lambda entry: not log.answer_of(entry.key, operator).given
        if show == "disputed":
            return lambda entry: is_disputed(log.words_on(entry.key))
        if show == "second look":
            return lambda entry: not any(word.blind and word.operator == operator for word in log.words_on(entry.key))
        if show == "edited":
            return lambda entry: log.answer_of(entry.key).edit is not None
        if show == "preferred":
            return lambda entry: log.answer_of(entry.key).prefer is not None

        def labelled(entry: Entry) -> bool:
            return (log.answer_of(entry.key).label or entry.own_label) == show

        return labelled

    def _is_sampled(self, entry: Entry) -> bool:
        """Labelled by this operator, and one of the share that is asked again: the same ones at every start."""
        return _chance(entry) < self._second_look and any(
            word.operator == self._operator and word.label is not None for word in self._log.words_on(entry.key)
        )


def _passes(entry: Entry, wanted: QueueFilter, day: tuple[float, float] | None) -> bool:
    return (
        (entry.by_model or wanted.fallbacks)
        and (wanted.severity is None or entry.severity == wanted.severity)
        and (wanted.model is None or entry.model == wanted.model)
        and (wanted.source is None or entry.source == wanted.source)
        and (day is None or day[0] <= entry.at < day[1])
        and (not wanted.text or wanted.text.casefold() in entry.text or wanted.text.casefold() in entry.name)
    )


def _day_bounds(day: date | None, zone: tzinfo | None) -> tuple[float, float] | None:
    if day is None:
        return None

    def midnight(of: date) -> float:
        if zone is None:
            return time.mktime((of.year, of.month, of.day, 0, 0, 0, 0, 0, -1))
        return datetime(of.year, of.month, of.day, tzinfo=zone).timestamp()

    return midnight(day), midnight(day + timedelta(days=1))


def _chance(entry: Entry) -> float:
    """A number of 0…1 that is a candidate's own."""
    return int(entry.key[:8], 16) / 2**32


def _shuffled(entry: Entry) -> float | str:
    """Sorts in an order that has nothing to do with time: two looks at neighbours would not be two."""
    return entry.key[8:]
