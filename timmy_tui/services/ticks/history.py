"""An index of the ticks of all days: arrays in memory, the ticks read again when they are looked at."""

from __future__ import annotations

import math
import os
import re
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from datetime import tzinfo
from itertools import accumulate
from pathlib import Path

from timmy_tui.services.ticks.day import read_line, unreadable
from timmy_tui.services.ticks.log import changed_error, day_names
from timmy_tui.services.ticks.parse import parse_head, parse_tick
from timmy_tui.services.ticks.records import IndexProgress, Severity, Tick, TickHead, TickPlace
from timmy_tui.services.ticks.segment import BY_MODEL, LABELLED, SEVERITY_CODES, Segment

HEADS_CACHED = 512
"""Heads kept of those that were looked at last: some screens of a list."""

_FILE_NAME = re.compile(r"ticks_(\d{8})\.jsonl(?:\.(\d{1,4}))?")


class TickHistory:
    """All ticks of ``directory``, 0 = the oldest, in file order; rotated ``ticks_….jsonl.N`` files included.

    One caller at a time for :meth:`build` and :meth:`grow`, in a thread. A late line in an old file moves the
    indices behind it by one. ``zone`` is the zone of times that name none; None = this machine's.
    """

    def __init__(self, directory: Path, *, zone: tzinfo | None = None) -> None:
        self.directory = directory
        self._zone = zone
        self._segments: dict[str, Segment] = {}
        self._seen: set[int] = set()
        self._order: tuple[tuple[Segment, ...], tuple[int, ...]] = ((), ())
        self._heads: OrderedDict[int, TickHead] = OrderedDict()

    def __len__(self) -> int:
        ends = self._order[1]
        return ends[-1] if ends else 0

    @property
    def bad_lines(self) -> int:
        """Lines of all days that are no tick."""
        return sum(segment.bad_lines for segment in self._segments.values())

    def build(
        self,
        on_progress: Callable[[IndexProgress], None] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Read every file, the oldest first. What is read when it is stopped stays; a second call goes on.

        Raises :class:`~timmy_tui.services.ticks.errors.TickLogError`.
        """
        names = self._names()
        total_bytes = sum(self._size_of(name) for name in names)
        done_bytes = 0

        def count(taken_bytes: int) -> None:
            nonlocal done_bytes
            done_bytes += taken_bytes
            if on_progress is not None:
                on_progress(IndexProgress(min(done_bytes, total_bytes), total_bytes))

        self._take_in(names, count, should_stop)
        if on_progress is not None and not should_stop():
            on_progress(IndexProgress(total_bytes, total_bytes))

    def grow(self) -> bool:
        """Take in what is new since; True when the ticks changed. Raises as :meth:`build` does."""
        return self._take_in(self._names(), lambda _: None, lambda: False)

    def head(self, index: int) -> TickHead:
        """The head of one tick, from its file or a small cache. Raises ``IndexError``, ``TickLogError``."""
        cached = self._heads.get(index)
        if cached is not None:
            self._heads.move_to_end(index)
            return cached
        line, place = self._line(index)
        head = parse_head(line, place, self._zone)
        if not isinstance(head, TickHead):
            raise changed_error(place)
        self._heads[index] = head
        if len(self._heads) > HEADS_CACHED:
            self._heads.popitem(last=False)
        return head

    def load(self, index: int) -> Tick:
        """One whole tick, read from its file. Raises ``IndexError``, ``TickLogError``."""
        line, place = self._line(index)
        tick = parse_tick(line, place, self._zone)
        if not isinstance(tick, Tick):
            raise changed_error(place)
        return tick

    def at(self, index: int) -> float | None:
        """The time of one tick in Unix seconds, without reading the file."""
        segment, position = self._find(index)
        at = segment.times[position]
        return None if math.isnan(at) else at

    def severity(self, index: int) -> Severity:
        """The severity of one tick, without reading the file."""
        segment, position = self._find(index)
        return SEVERITY_CODES[segment.flags[position] & 7]

    def by_model(self, index: int) -> bool:
        """Whether a model decided, without reading the file."""
        segment, position = self._find(index)
        return bool(segment.flags[position] & BY_MODEL)

    def has_own_label(self, index: int) -> bool:
        """Whether the tick carries a ``dpo_label``, without reading the file."""
        segment, position = self._find(index)
        return bool(segment.flags[position] & LABELLED)

    def _take_in(self, names: list[str], on_bytes: Callable[[int], None], should_stop: Callable[[], bool]) -> bool:
        changed = any(segment.disturbed() for segment in self._segments.values())
        if changed:
            # A file was rotated, cut or removed: what was a repetition may now be the only copy, so start over.
            self._segments.clear()
            self._seen.clear()
        for name in names:
            if should_stop():
                break
            segment = self._segments.get(name)
            if segment is None:
                segment = self._segments[name] = Segment(self.directory / name, self._zone, self._seen)
            if segment.grow(on_bytes, should_stop):
                changed = True
        if changed:
            kept = tuple(self._segments[name] for name in names if name in self._segments)
            self._order = (kept, tuple(accumulate(len(segment) for segment in kept)))
            self._heads.clear()
        return changed

    def _names(self) -> list[str]:
        day_names(self.directory)  # the same error for a missing folder
        try:
            matches = [match for name in os.listdir(self.directory) if (match := _FILE_NAME.fullmatch(name))]
        except OSError as error:
            raise unreadable(self.directory, error) from None
        return [match[0] for match in sorted(matches, key=lambda match: (match[1], -int(match[2] or 0)))]

    def _size_of(self, name: str) -> int:
        try:
            return (self.directory / name).stat().st_size
        except OSError:
            return 0

    def _find(self, index: int) -> tuple[Segment, int]:
        segments, ends = self._order
        if not 0 <= index < (ends[-1] if ends else 0):
            raise IndexError(index)
        which = bisect_right(ends, index)
        return segments[which], index - (ends[which - 1] if which else 0)

    def _line(self, index: int) -> tuple[bytes, TickPlace]:
        segment, position = self._find(index)
        place = TickPlace(str(segment.path), segment.offsets[position], segment.lengths[position])
        line = read_line(place.path, place.offset, place.length)
        if line is None or hash(line) != segment.contents[position]:
            raise changed_error(place)
        return line, place
