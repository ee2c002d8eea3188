"""One day's file of the tick log, followed: its ticks of late, its counts, what happened to it."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Generator
from datetime import tzinfo
from math import inf
from pathlib import Path

from timmy_tui.services.ticks.backwards import end_of_lines, lines_backwards
from timmy_tui.services.ticks.cursor import TailLine
from timmy_tui.services.ticks.folder import unreadable
from timmy_tui.services.ticks.glued import taken_apart
from timmy_tui.services.ticks.once import Once
from timmy_tui.services.ticks.parse import (
    BadLine,
    at_of,
    by_model,
    by_rules,
    decode_head,
    parse_head,
    parse_tick,
    severity_of,
    whole_records,
)
from timmy_tui.services.ticks.records import AHEAD_S, Severity, Tick, TickHead, TickPlace
from timmy_tui.services.ticks.tailer import Note, Tailer

HEADS_LIMIT = 1_440
"""Ticks kept of one day: one a minute. More than a screen can tell apart, and the same cost at any size."""

STRAYS_LIMIT = 20
"""Reading backwards ends after so many ticks in a row that are too old; fewer may be a wrong clock."""

GLUED_REACH_BYTES = 262_144
"""How far a line reaches around a tick that shares it with others."""

POLLS_LIMIT = 4
"""Polls in one call once the file has been caught up with, so that a flood can't hold the caller."""

CATCH_UP_S = 7.0
"""How long one call counts a file that it has not caught up with: less than the reader of the log waits."""


class DayLog:
    """Follows one file: all of it, or with ``since`` (Unix seconds) only its end, back to that time.

    ``elsewhere`` tells of a line that another day's file brought already.

    Raises :class:`TickLogError` when the file is there and can't be read.
    """

    def __init__(
        self,
        path: Path,
        *,
        since: float | None = None,
        zone: tzinfo | None = None,
        elsewhere: Callable[[bytes], bool] = lambda _: False,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.whole = since is None
        """Every line was counted, not only the file's end."""
        self.heads: deque[TickHead] = deque(maxlen=HEADS_LIMIT)
        self.ticks = 0
        self.bad_lines = 0
        self.by_severity: Counter[Severity] = Counter()
        self.model_decisions = self.rule_decisions = 0
        self.incomplete = False
        self.behind = False
        """The file is so long that it is not all counted yet: the counts are of its first part, the ticks too."""
        self.note: Note | None = None
        self.last_two: tuple[Tick, ...] = ()
        """The last ticks that were not ahead of the clock when they came."""
        self.ahead: tuple[Tick, ...] = ()
        """The last ones that were: their time may come."""
        self.arrived_at: float | None = None
        """When a tick of an unknown time, or one that is ahead, came last: by the file's own time at first."""
        self._clock = clock
        self._monotonic = monotonic
        self._zone = zone
        self._once = Once()
        self._elsewhere = elsewhere
        self._caught_up = False
        self._held: list[TailLine] = []
        self._not_before = -inf
        start = 0
        if since is not None:
            start = self._read_end(since)
            # Read from its start after a disturbance, the file would bring the ticks that were left out.
            self._not_before = since
        self._tailer = Tailer(path, start=start, clock=monotonic)

    def poll(self) -> list[TickHead] | None:
        """The ticks that are new, in file order, the last :data:`HEADS_LIMIT`; None when nothing has changed.

        While the file is :attr:`behind` none are, and the next call goes on.
        """
        before = (self.bad_lines, self.incomplete, self.note)
        fresh: list[TickHead] = []
        polls = 0
        until = self._monotonic() + CATCH_UP_S
        while True:
            batch = self._tailer.poll()
            if self._caught_up:
                fresh += self._take(batch.lines)
                del fresh[:-HEADS_LIMIT]
            else:  # of a long file only the end is shown: what is before it is counted as it passes
                self._held += batch.lines
                self._count(self._held[:-HEADS_LIMIT])
                del self._held[:-HEADS_LIMIT]
            self.incomplete = batch.incomplete
            self.note = batch.note or self.note
            polls += 1
            if not batch.more or (self._caught_up and polls >= POLLS_LIMIT):
                break
            if not self._caught_up and self._monotonic() >= until:
                self.behind = True
                return []
        fresh += self._take(self._held)
        self._held = []
        self._caught_up, self.behind = True, False
        return fresh if fresh or before != (self.bad_lines, self.incomplete, self.note) else None

    def knows(self, data: bytes) -> bool:
        """Whether this line's tick was taken in."""
        return self._once.knows(data)

    def close(self) -> None:
        """Let the file go."""
        self._tailer.close()

    def _count(self, lines: list[TailLine]) -> None:
        """Count lines whose ticks are too many to be shown."""
        until = self._clock() + AHEAD_S
        usual: list[TailLine] = []
        for line, facts in taken_apart(lines, lambda line: decode_head(line.data)):
            if isinstance(facts, BadLine):
                self.bad_lines += self._once.bad(line.offset, line.data)
                continue
            at = at_of(facts, self._zone)
            if at is None or at > until or at < self._not_before:
                self._take([line])
            elif not self._elsewhere(line.data) and self._once.tick(line.data):
                self.ticks += 1
                self.by_severity[severity_of(facts)] += 1
                self.model_decisions += by_model(facts)
                self.rule_decisions += by_rules(facts)
                usual = [*usual[-1:], line]
        path = str(self.path)
        ticks = (parse_tick(line.data, TickPlace(path, line.offset, len(line.data)), self._zone) for line in usual)
        self.last_two = (*self.last_two, *(tick for tick in ticks if isinstance(tick, Tick)))[-2:]

    def _take(self, lines: tuple[TailLine, ...] | list[TailLine]) -> list[TickHead]:
        fresh: list[TickHead] = []
        usual: list[tuple[TickHead, bytes]] = []
        ahead: list[tuple[TickHead, bytes]] = []
        now = self._clock()
        path = str(self.path)

        def read(line: TailLine) -> TickHead | BadLine:
            return parse_head(line.data, TickPlace(path, line.offset, len(line.data)), self._zone)

        for line, head in taken_apart(lines, read):
            if isinstance(head, BadLine):
                self.bad_lines += self._once.bad(line.offset, line.data)
            elif self._is_late(head) or self._elsewhere(line.data):
                continue
            elif self._once.tick(line.data):
                fresh.append(head)
                is_ahead = head.at is not None and head.at > now + AHEAD_S
                if is_ahead or head.at is None:
                    self._arrived(now)
                kept = ahead if is_ahead else usual
                kept.append((head, line.data))
                del kept[:-2]
                self.ticks += 1
                self.by_severity[head.severity] += 1
                self.model_decisions += head.by_model
                self.rule_decisions += head.by_rules
        self.heads += fresh
        # A line whose head is read can still be refused as a whole; then there is no more to show of it.
        self.last_two = (*self.last_two, *self._whole(usual))[-2:]
        self.ahead = (*self.ahead, *self._whole(ahead))[-2:]
        return fresh

    def _whole(self, found: list[tuple[TickHead, bytes]]) -> list[Tick]:
        ticks = (parse_tick(data, head.place, self._zone) for head, data in found)
        return [tick for tick in ticks if isinstance(tick, Tick)]

    def _arrived(self, now: float) -> None:
        if self._caught_up:
            self.arrived_at = now
            return
        try:
            self.arrived_at = min(now, os.stat(self.path).st_mtime)
        except OSError:
            self.arrived_at = now

    def _is_late(self, head: TickHead) -> bool:
        return head.at is not None and head.at < self._not_before

    def _read_end(self, since: float) -> int:
        """Take the lines back to ``since`` from the file's end; the place from which to follow it."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise unreadable(self.path, error) from None
        try:
            end = end_of_lines(fd)
            found: list[TailLine] = []
            strays = 0
            for line in lines_backwards(fd, end):
                found.append(line)
                head = parse_head(line.data, TickPlace("", 0, 0), self._zone)
                if isinstance(head, TickHead) and head.at is not None:
                    strays = strays + 1 if head.at < since else 0
                if strays >= STRAYS_LIMIT or len(found) >= HEADS_LIMIT:
                    break
        except OSError as error:
            raise unreadable(self.path, error) from None
        finally:
            os.close(fd)
        self._take(found[::-1])
        return end


def newest_ticks(path: Path, zone: tzinfo | None) -> Generator[Tick, None, None]:
    """The ticks of a file that nobody follows, the newest first, each read when it is asked for.

    Raises :class:`TickLogError`. Close it when no more are wanted.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unreadable(path, error) from None

    def read(line: TailLine) -> Tick | BadLine:
        return parse_tick(line.data, TickPlace(str(path), line.offset, len(line.data)), zone)

    once = Once()
    try:
        for line in lines_backwards(fd, end_of_lines(fd)):
            for piece, tick in reversed(list(taken_apart([line], read))):
                if isinstance(tick, Tick) and once.tick(piece.data):
                    yield tick
    except OSError as error:
        raise unreadable(path, error) from None
    finally:
        os.close(fd)


def read_line(path: str, offset: int, length: int) -> bytes | None:
    """The line that stands at a place, None when no whole line of that length stands there any more."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(Path(path), error) from None
    margin = 1 if offset else 0
    try:
        raw = os.pread(fd, margin + length + 1, offset - margin)
    except OSError as error:
        raise unreadable(Path(path), error) from None
    finally:
        os.close(fd)
    line = raw[margin : margin + length]
    starts = not margin or raw[:1] in (b"\n", b" ", b"\t", b"\r", b"\0")
    ends = raw[margin + length :] in (b"\n", b" ", b"\t", b"\r", b"\0")
    if len(line) == length and starts and ends:
        return line
    return line if len(line) == length and _is_glued(Path(path), offset, line) else None


def _is_glued(path: Path, offset: int, record: bytes) -> bool:
    """Whether a newline was lost beside ``record``: it is one of the whole ticks of the line in which it stands."""
    before = max(0, offset - GLUED_REACH_BYTES)
    try:
        with path.open("rb") as file:
            file.seek(before)
            around = file.read(offset - before + len(record) + GLUED_REACH_BYTES)
    except OSError as error:
        raise unreadable(path, error) from None
    start = around.rfind(b"\n", 0, offset - before) + 1
    end = around.find(b"\n", offset - before + len(record))
    line = around[start : end if end >= 0 else len(around)]
    return (offset - before - start, record) in whole_records(line)
