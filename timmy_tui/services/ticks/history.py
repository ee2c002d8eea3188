"""An index of the ticks of all days: arrays in memory, the ticks read again when they are looked at."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import tzinfo
from itertools import accumulate
from pathlib import Path

from timmy_tui.services.ticks.day import read_line
from timmy_tui.services.ticks.folder import TickFolder
from timmy_tui.services.ticks.log import changed_error
from timmy_tui.services.ticks.parse import parse_head, parse_tick
from timmy_tui.services.ticks.records import IndexedTick, IndexProgress, Severity, Tick, TickHead, TickPlace
from timmy_tui.services.ticks.segment import BY_MODEL, SEVERITY_CODES, Segment

LATEST_FILES = 3
"""Files looked at by every :meth:`TickHistory.grow`."""

OLDER_FILES = 4
"""Older files looked at by one, in turn: a late line in a file of last year may take a while."""

PUBLISH_FILES = 32
"""Files read between two looks that a reader can have at a build in progress."""


class TickHistory:
    """All ticks of ``directory``, 0 = the oldest, in file order; rotated ``ticks_….jsonl.N`` files included.

    :meth:`build` and :meth:`grow` belong in a thread; a second caller waits for the first, and the rest may be
    called from any other meanwhile. A late line in an old file moves the indices behind it by one, and a file
    that was cut takes the last ones away. ``zone`` is the zone of times that name none; None = this machine's.
    """

    def __init__(
        self,
        directory: Path,
        *,
        zone: tzinfo | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.directory = directory
        self._zone = zone
        self._folder = TickFolder(directory, clock=monotonic)
        self._names: tuple[str, ...] = ()
        self._segments: list[Segment] = []
        self._seen: set[int] = set()
        self._published: tuple[tuple[Segment, ...], tuple[int, ...]] = ((), ())
        self._turn = 0
        self._complete = False
        self._start_over = False
        """A file left the folder, and what was read is not yet thrown away."""
        self._one_at_a_time = threading.Lock()

    @property
    def complete(self) -> bool:
        """Every file was read to its end, so that :meth:`grow` has only to look for what is new."""
        return self._complete

    def __len__(self) -> int:
        ends = self._published[1]
        return ends[-1] if ends else 0

    @property
    def bad_lines(self) -> int:
        """Lines of all days that are no tick."""
        return sum(segment.bad_lines for segment in self._segments)

    def build(
        self,
        on_progress: Callable[[IndexProgress], None] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Read every file, the oldest first. What is read when it is stopped stays; a second call goes on.

        Raises :class:`~timmy_tui.services.ticks.errors.TickLogError`.
        """
        with self._one_at_a_time:
            self._build(on_progress, should_stop)

    def _build(self, on_progress: Callable[[IndexProgress], None] | None, should_stop: Callable[[], bool]) -> None:
        names = self._folder.names()
        total_bytes = sum(self._size_of(name) for name in names)
        done_bytes = 0

        def count(taken_bytes: int) -> None:
            nonlocal done_bytes
            done_bytes += taken_bytes
            if on_progress is not None:
                on_progress(IndexProgress(min(done_bytes, total_bytes), total_bytes))

        self._take_in(names, range(len(names)), count, should_stop)
        if on_progress is not None and not should_stop():
            on_progress(IndexProgress(total_bytes, total_bytes))

    def grow(self) -> bool:
        """Take in what is new since; True when the ticks changed. Raises as :meth:`build` does.

        Costs the same however long the log is: the latest files are looked at, and some older ones in turn. What
        a stopped :meth:`build` left is read first.
        """
        with self._one_at_a_time:
            return self._grow()

    def _grow(self) -> bool:
        names = self._folder.names()
        older = max(0, len(names) - LATEST_FILES)
        if not self._complete:
            return self._take_in(names, range(len(names)), lambda _: None, lambda: False)
        turn = sorted({(self._turn + step) % older for step in range(OLDER_FILES)}) if older else []
        self._turn += OLDER_FILES
        return self._take_in(names, [*turn, *range(older, len(names))], lambda _: None, lambda: False)

    def head(self, index: int) -> TickHead:
        """The head of one tick, read from its file. Raises ``IndexError``, ``TickLogError``."""
        return self.read_head(self.indexed(index))

    def read_head(self, indexed: IndexedTick) -> TickHead:
        """The head of a tick, read from its file, wherever its index has moved to. Raises ``TickLogError``."""
        head = parse_head(_line(indexed), indexed.place, self._zone)
        if not isinstance(head, TickHead):
            raise changed_error(indexed.place)
        return head

    def load(self, index: int) -> Tick:
        """One whole tick, read from its file. Raises ``IndexError``, ``TickLogError``."""
        indexed = self.indexed(index)
        tick = parse_tick(_line(indexed), indexed.place, self._zone)
        if not isinstance(tick, Tick):
            raise changed_error(indexed.place)
        return tick

    def indexed(self, index: int) -> IndexedTick:
        """What is known of one tick without reading the file, of one moment. Raises ``IndexError``."""
        segment, position = self._find(index)
        at = segment.times[position]
        return IndexedTick(
            at=None if math.isnan(at) else at,
            severity=SEVERITY_CODES[segment.flags[position] & 7],
            place=TickPlace(str(segment.path), segment.offsets[position], segment.lengths[position]),
            content=segment.contents[position],
        )

    def at(self, index: int) -> float | None:
        """The time of one tick in Unix seconds, without reading the file."""
        return self.indexed(index).at

    def severity(self, index: int) -> Severity:
        """The severity of one tick, without reading the file."""
        return self.indexed(index).severity

    def by_model(self, index: int) -> bool:
        """Whether a model decided, without reading the file."""
        segment, position = self._find(index)
        return bool(segment.flags[position] & BY_MODEL)

    def _take_in(
        self,
        names: tuple[str, ...],
        look_at: Sequence[int],
        on_bytes: Callable[[int], None],
        should_stop: Callable[[], bool],
    ) -> bool:
        relisted = names is not self._names
        if relisted:
            look_at = range(len(names))
            known = {segment.path.name: segment for segment in self._segments}
            self._start_over = self._start_over or not known.keys() <= set(names)
            self._complete = False  # until the last file is read: this may stop, or fail, in between
            self._names = names
            self._segments = [known.get(name) or self._segment(name) for name in names]
        disturbed = self._start_over or any(self._segments[index].disturbed() for index in look_at)
        if disturbed:
            # A file was rotated, cut or removed: what was a repetition may now be the only copy, so start over.
            look_at = range(len(names))
            self._seen = set()
            self._segments = [self._segment(name) for name in names]
            self._start_over = self._complete = False
        stopped = False

        def stop() -> bool:
            nonlocal stopped
            stopped = stopped or should_stop()
            return stopped

        grown: list[int] = []
        try:
            for index in look_at:
                if stop():
                    break
                if self._segments[index].grow(on_bytes, stop):
                    grown.append(index)
                    if len(grown) % PUBLISH_FILES == 0 and not disturbed:
                        self._publish(0)
        finally:
            if grown or relisted or disturbed:
                self._publish(0 if relisted or disturbed else grown[0])
        self._complete = self._complete or not stopped
        return bool(grown) or disturbed

    def _segment(self, name: str) -> Segment:
        return Segment(self.directory / name, self._zone, self._seen)

    def _publish(self, first: int) -> None:
        """Show the readers, who may be in another thread, what changed from the file ``first`` on: one assignment."""
        shown, ends = self._published
        if first + 1 == len(self._segments) == len(shown):  # the latest file grew: the usual case
            ends = (*ends[:-1], (ends[-2] if first else 0) + len(self._segments[-1]))
        else:
            shown = tuple(self._segments)
            ends = tuple(accumulate(len(segment) for segment in shown))
        self._published = shown, ends

    def _size_of(self, name: str) -> int:
        try:
            return (self.directory / name).stat().st_size
        except OSError:
            return 0

    def _find(self, index: int) -> tuple[Segment, int]:
        segments, ends = self._published
        if not 0 <= index < (ends[-1] if ends else 0):
            raise IndexError(index)
        which = bisect_right(ends, index)
        return segments[which], index - (ends[which - 1] if which else 0)


def _line(indexed: IndexedTick) -> bytes:
    place = indexed.place
    line = read_line(place.path, place.offset, place.length)
    if line is None or hash(line) != indexed.content:
        raise changed_error(place)
    return line
