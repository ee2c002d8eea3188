"""The heartbeat at one moment, read from the tick log's last days and the label log beside it."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import datetime, timedelta, tzinfo
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec

from timmy_tui import text
from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.labels.records import LABELS_NAME
from timmy_tui.services.ticks.day import HEADS_LIMIT, DayLog, newest_ticks, read_line
from timmy_tui.services.ticks.errors import TickLogError
from timmy_tui.services.ticks.folder import TickFolder, day_name
from timmy_tui.services.ticks.parse import parse_tick
from timmy_tui.services.ticks.records import (
    AHEAD_S,
    HeartbeatReading,
    LabelCounts,
    Severity,
    Tick,
    TickHead,
    TickPlace,
)
from timmy_tui.services.ticks.unreadable import kind_of

__all__ = ["HeartbeatStore", "TickLogError"]

WINDOW_S = 24 * 3600.0
"""How far back ``recent`` reaches."""

RECENT_LIMIT = HEADS_LIMIT

SEVERITIES: tuple[Severity, ...] = ("ok", "warning", "critical", "fallback", "unknown")


class HeartbeatStore:
    """Reads ``directory``, in a thread: one caller at a time for :meth:`read` and :meth:`close`.

    :meth:`load` may be called from other threads meanwhile: all that it shares with :meth:`read` is the last reading,
    which never changes.

    ``zone`` is the zone of the local date and of times that name none; None = this machine's. ``clock`` is
    Unix seconds, ``monotonic`` decides when a rotated file is let go.
    """

    def __init__(
        self,
        directory: Path,
        *,
        every_s: float,
        clock: Callable[[], float] = time.time,
        zone: tzinfo | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        labels: LabelLog | None = None,
    ) -> None:
        """``labels`` is shared with whoever else looks at the labels of ``directory``."""
        self.directory = directory
        self._every_s = every_s
        self._clock = clock
        self._zone = zone
        self._monotonic = monotonic
        self._folder = TickFolder(directory, clock=monotonic)
        self._listed: tuple[str, ...] = ()
        self._names: list[str] = []
        self._days: dict[str, DayLog] = {}
        self._ends: dict[str, DayLog] = {}
        """The newest ticks of the files that are still being counted."""
        self._today = ""
        self._recent: list[TickHead] = []
        self._own_labels: list[TickHead] = []
        self._next_expiry = float("inf")
        self._older_names: list[str] = []
        self._older: tuple[Tick, ...] = ()
        self._labels = labels or LabelLog(directory / LABELS_NAME, clock=monotonic)
        self._label_state: object = None
        self._unsettled = False
        self._reading: HeartbeatReading | None = None

    def read(self) -> HeartbeatReading:
        """The heartbeat now; the same object as before when nothing changed and no tick left the window.

        The first call reads all of today's file and the end of yesterday's, a later one what is new. A file that
        takes too long for one call is counted over several, and shown by its end meanwhile.
        Raises :class:`TickLogError`.
        """
        now = self._clock()
        listed = self._folder.names()
        if listed is not self._listed:
            self._listed, self._names = listed, [name for name in listed if name.endswith(".jsonl")]
        names = self._names
        moved = self._follow(names, now) or self._unsettled
        self._unsettled = True  # until everything below has been taken in
        fresh = {name: found for name in sorted(self._days) if (found := self._days[name].poll()) is not None}
        label_state = self._labels.poll()
        moved = self._look_at_ends(now) or moved
        moved = self._find_older(names) or moved
        self._unsettled = False
        if self._reading is not None and not (
            moved or fresh or label_state is not self._label_state or now >= self._next_expiry
        ):
            return self._reading
        self._label_state = label_state
        self._refresh_recent(fresh, now, whole=moved or now >= self._next_expiry)
        self._reading = self._compose()
        return self._reading

    def load(self, place: TickPlace) -> Tick:
        """Read one tick again. Raises :class:`TickLogError` when it no longer stands there."""
        reading = self._reading
        heads = () if reading is None else reading.recent
        known = next((head for head in heads if head.place == place), None)
        line = read_line(place.path, place.offset, place.length)
        tick = None if line is None else parse_tick(line, place, self._zone)
        if not isinstance(tick, Tick) or (known is not None and tick.head != known):
            raise changed_error(place)
        return tick

    def close(self) -> None:
        """Let the files go."""
        for day in (*self._days.values(), *self._ends.values()):
            day.close()
        self._labels.close()

    def _follow(self, names: list[str], now: float) -> bool:
        """Follow today's file, yesterday's (lines may come late) and those of a clock that is ahead."""
        today = datetime.fromtimestamp(now, self._zone).date()
        first = day_name(today - timedelta(days=1))
        moved = self._today != (name_today := day_name(today))
        self._today = name_today
        for name in [name for name in self._days if name < first]:
            self._days.pop(name).close()
            moved = True
        current = self._days.get(name_today)
        if current is not None and not current.whole:
            self._days.pop(name_today).close()
            moved = True
        for name in names[bisect_left(names, first) :]:
            if name in self._days:
                continue
            self._days[name] = self._day_log(name, None if name >= name_today else now - WINDOW_S)
            moved = True
        return moved

    def _day_log(self, name: str, since: float | None) -> DayLog:
        return DayLog(
            self.directory / name,
            since=since,
            zone=self._zone,
            elsewhere=partial(self._known_elsewhere, name),
            monotonic=self._monotonic,
            clock=self._clock,
        )

    def _known_elsewhere(self, name: str, line: bytes) -> bool:
        return any(day.knows(line) for other, day in self._days.items() if other != name)

    def _look_at_ends(self, now: float) -> bool:
        """Follow the end of each file that is still being counted, until it is."""
        behind = [name for name, day in self._days.items() if day.behind]
        done = [name for name in self._ends if name not in behind]
        for name in done:
            self._ends.pop(name).close()
        for name in behind:
            if name not in self._ends:
                self._ends[name] = self._day_log(name, now - WINDOW_S)
            self._ends[name].poll()
        return bool(behind or done)

    def _shown(self) -> dict[str, DayLog]:
        """Each followed day by its name, in order: where its newest ticks are known."""
        return {name: self._ends.get(name, self._days[name]) for name in sorted(self._days)}

    def _find_older(self, names: list[str]) -> bool:
        """The last two ticks of days that are not followed, needed while the followed ones have fewer."""
        if sum(len(day.last_two) for day in self._days.values()) >= 2:
            return False
        names = [name for name in names if name not in self._days]
        if names == self._older_names:
            return False
        found: tuple[Tick, ...] = ()
        for name in reversed(names):
            with closing(newest_ticks(self.directory / name, self._zone)) as ticks:
                found = (*list(islice(ticks, 2 - len(found)))[::-1], *found)
            if len(found) == 2:
                break
        self._older_names, self._older = names, found
        return True

    def _refresh_recent(self, fresh: dict[str, list[TickHead]], now: float, *, whole: bool) -> None:
        since = now - WINDOW_S
        if not whole and not any(fresh.values()):
            return
        if whole or list(fresh) != [max(self._days)]:
            self._recent, self._own_labels, self._next_expiry = [], [], float("inf")
            heads = [head for name, day in self._shown().items() for head in self._within(name, day.heads, since)]
        else:
            heads = [head for name, found in fresh.items() for head in self._within(name, found, since)]
        self._recent += heads
        del self._recent[:-RECENT_LIMIT]
        self._own_labels += [head for head in heads if head.label is not None]
        expiries = (head.at + WINDOW_S for head in heads if head.at is not None)
        comes = (head.at - AHEAD_S for head in heads if head.at is not None and head.at > now + AHEAD_S)
        self._next_expiry = min((*expiries, *comes, self._next_expiry))

    def _within(self, name: str, heads: Iterable[TickHead], since: float) -> list[TickHead]:
        """A tick without any time counts for as long as it is in today's file."""
        undated = name >= self._today
        return [head for head in heads if (undated if head.at is None else head.at > since)]

    def _label_counts(self) -> LabelCounts:
        """The events' fold, and the recent ticks' own ``dpo_label`` where no event speaks of that tick."""
        counts = self._labels.counts()
        totals = msgspec.structs.asdict(counts)
        for head in self._own_labels:
            if head.label is not None and not self._labels.speaks_of(head.tick_id):
                totals[head.label] += 1
        return LabelCounts(**totals)

    def _compose(self) -> HeartbeatReading:
        now = self._clock()
        shown = self._shown()
        days = list(shown.values())
        ticks = [tick for day in days for tick in (*day.last_two, *(late for late in day.ahead if _came(late, now)))]
        if len(ticks) < 2:
            ticks = [*self._older, *ticks]
        ahead = [tick for day in days for tick in day.ahead if not _came(tick, now)]
        newest_ahead = max(ahead, key=lambda tick: tick.head.at or 0.0, default=None)
        if not ticks:
            ticks = ahead
        today = self._days.get(self._today)
        latest = shown.get(self._today) or shown.get(max(shown, default=""))
        arrived = [day.arrived_at for day in days if day.arrived_at is not None]
        return HeartbeatReading(
            recent=tuple(self._recent),
            last=ticks[-1] if ticks else None,
            previous=ticks[-2] if len(ticks) > 1 else None,
            ticks_today=today.ticks if today else 0,
            by_severity=tuple((word, today.by_severity[word]) for word in SEVERITIES if today.by_severity[word])
            if today
            else (),
            model_decisions=today.model_decisions if today else 0,
            fallback_decisions=today.rule_decisions if today else 0,
            bad_lines=today.bad_lines if today else 0,
            counting=today.behind if today else False,
            incomplete_line=latest.incomplete if latest else False,
            labels=self._label_counts(),
            unlabelled=sum(
                head.by_model and head.label is None and not self._labels.answers(head.tick_id) for head in self._recent
            ),
            every_s=self._every_s,
            note=latest.note if latest else None,
            unreadable=_unreadable(days),
            ahead=newest_ahead.head if newest_ahead is not None else None,
            ahead_host=newest_ahead.host if newest_ahead is not None else None,
            arrived_at=max(arrived, default=None),
        )


def _came(tick: Tick, now: float) -> bool:
    """The time of a tick that was ahead has come."""
    return tick.head.at is not None and tick.head.at <= now + AHEAD_S


def _unreadable(days: list[DayLog]) -> str | None:
    """Why the newest file that has lines at all holds no tick."""
    written = [day for day in days if day.ticks or day.bad_lines or day.incomplete]
    if not written or written[-1].ticks:
        return None
    day = written[-1]
    kind = kind_of(day.path)
    if kind is None and not day.bad_lines:
        return None  # its first line is being written
    count = day.bad_lines + day.incomplete
    return f"no line of the log can be read ({count:,} bad){f': {kind}' if kind else ''}"


def changed_error(place: TickPlace) -> TickLogError:
    """The tick that stood at a place stands there no more."""
    return TickLogError(
        f"The log {text.clean(place.path)} changed since this tick was read",
        "Refresh the list and open it again",
    )
