"""Everything that a sitting needs, made once: the index, the cards, the labels, the operator's pen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from itertools import islice
from math import isnan

from msgspec import Struct

from timmy_tui.config import Settings
from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.labels.records import LabelEvent, LabelFold
from timmy_tui.services.labels.writer import Labeller, operator_of
from timmy_tui.services.review.cards import CardReader
from timmy_tui.services.review.index import CandidateIndex
from timmy_tui.services.review.queue import QueueFilter, ReviewQueue
from timmy_tui.services.review.sessions import SessionCandidates
from timmy_tui.services.review.statistics import median_s
from timmy_tui.text import local_moment

LAST_WORDS = 10

WORDS_LOOKED_AT = 5_000
"""More than anybody says in a day: what a drawing looks at does not grow with the years."""


class FilterChoices(Struct, frozen=True):
    """What a filter can choose from."""

    models: tuple[str, ...]
    sources: tuple[str, ...]
    days: tuple[date, ...]
    """Local dates, newest first."""


class Pace(Struct, frozen=True):
    """How a sitting goes."""

    today: int = 0
    median_s: float | None = None
    """Of today's answers."""
    last: tuple[LabelEvent, ...] = ()
    """The last ten, the oldest first."""


class ReviewDesk:
    """The review of one home by one operator. Making it opens nothing; the screen asks it in threads."""

    def __init__(self, settings: Settings, labels: LabelLog, clock: Callable[[], float]) -> None:
        review = settings.config.review
        sessions = SessionCandidates(settings.hermes_home, settings.config.hermes.profile, review.sources)
        self.labels = labels
        self.index = CandidateIndex(settings.heartbeat_dir, sessions)
        self.cards = CardReader(settings.heartbeat_dir, sessions, labels)
        self.labeller = Labeller(labels, operator_of(settings), clock)
        self._clock = clock
        self._second_look = review.second_look

    @property
    def operator(self) -> str:
        """Whose word a label is."""
        return self.labeller.operator

    def queue(self, wanted: QueueFilter) -> ReviewQueue:
        """The cards that pass a filter, as the index stands now."""
        return ReviewQueue(
            self.index.entries,
            self.index.find,
            self.labels,
            wanted,
            operator=self.operator,
            second_look=self._second_look,
        )

    def choices(self) -> FilterChoices:
        """The models, sources and days of all candidates. May take a while: call it in a thread."""
        models: set[str] = set()
        sources: set[str] = set()
        days: dict[date, None] = {}
        for entry in self.index.entries:
            models.add(entry.model)
            sources.add(entry.source)
            moment = None if isnan(entry.at) else local_moment(entry.at)
            if moment is not None:
                days[moment.date()] = None
        return FilterChoices(tuple(sorted(models - {""})), tuple(sorted(sources - {""})), tuple(days))

    def pace(self, *, blind: bool) -> Pace:
        """What this operator did today; of a second look only what was said at it, for the rest is not to be seen."""
        now = local_moment(self._clock())
        midnight = 0.0 if now is None else now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        latest = islice(self.labels.words_of(self.operator), WORDS_LOOKED_AT)
        words = (word for word in latest if word.event != "note" and word.blind >= blind)
        last: list[LabelEvent] = []
        today: list[LabelEvent] = []
        for word in words:
            is_today = word.answered_at is not None and word.answered_at >= midnight
            if is_today:
                today.append(word)
            if len(last) < LAST_WORDS:
                last.append(word)
            elif not is_today:
                break
        return Pace(len(today), median_s(today), tuple(reversed(last)))


def trouble_of(fold: LabelFold) -> str:
    """What is wrong with the label log, in one line; empty when nothing is."""
    parts = []
    if fold.bad_lines:
        parts.append(f"{fold.bad_lines} bad line{'s' * (fold.bad_lines != 1)} in labels.jsonl")
    if fold.unknown_events:
        parts.append(f"{fold.unknown_events} of a newer version")
    if fold.incomplete:
        parts.append("its last line is torn")
    return ", ".join(parts)
