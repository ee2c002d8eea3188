"""One file of the tick log as arrays: where each tick stands and what a timeline needs of it."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator
from datetime import tzinfo
from math import nan
from pathlib import Path

from timmy_tui.services.ticks.cursor import Cursor, TailLine
from timmy_tui.services.ticks.folder import unreadable
from timmy_tui.services.ticks.parse import BadLine, at_of, by_model, decode_head, label_of, severity_of
from timmy_tui.services.ticks.records import Severity

STEP_BYTES = 4 * 1024 * 1024
"""Bytes taken in between two looks at whether to stop."""

SEVERITY_CODES: tuple[Severity, ...] = ("ok", "warning", "critical", "fallback", "unknown")
_CODE_OF = {word: code for code, word in enumerate(SEVERITY_CODES)}

BY_MODEL = 8
LABELLED = 16


class Segment:
    """The ticks of one file, in file order: 29 bytes each."""

    def __init__(self, path: Path, zone: tzinfo | None, seen: set[int]) -> None:
        """``seen`` holds the contents of all segments."""
        self.path = path
        self.bad_lines = 0
        self.offsets = array("q")
        self.lengths = array("L")
        self.times = array("d")
        """Unix seconds; NaN where a tick has none."""
        self.flags = array("B")
        """The severity's code in the low three bits, then ``BY_MODEL`` and ``LABELLED``."""
        self.contents = array("q")
        """The hash of each line, to know a repeated one and to see that a place still holds its tick."""
        self._zone = zone
        self._cursor = Cursor()
        self._identity: tuple[int, int] | None = None
        self._seen = seen

    def __len__(self) -> int:
        return len(self.offsets)

    def disturbed(self) -> bool:
        """What was read of the file is no longer what it holds, or the file is gone."""
        try:
            stat = os.stat(self.path)
            if self._identity != (stat.st_dev, stat.st_ino):
                return self._identity is not None
            if self._cursor.unchanged(stat):
                return False
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return True
        except OSError as error:
            raise unreadable(self.path, error) from None
        try:
            return self._cursor.disturbance(fd, stat) is not None
        except OSError as error:
            raise unreadable(self.path, error) from None
        finally:
            os.close(fd)

    def grow(self, on_bytes: Callable[[int], None], should_stop: Callable[[], bool]) -> bool:
        """Take in what is new; True when there were ticks in it.

        Raises :class:`~timmy_tui.services.ticks.errors.TickLogError` for a file that can't be read.
        """
        known = len(self)
        try:
            if self._identity is not None and self._cursor.unchanged(os.stat(self.path)) and not self._cursor.behind():
                return False
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise unreadable(self.path, error) from None
        try:
            stat = os.fstat(fd)
            self._identity = (stat.st_dev, stat.st_ino)
            for lines, taken_bytes in self._steps(fd, stat):
                self._take(lines)
                on_bytes(taken_bytes)
                if should_stop():
                    break
        except OSError as error:
            raise unreadable(self.path, error) from None
        finally:
            os.close(fd)
        return len(self) != known

    def _steps(self, fd: int, stat: os.stat_result) -> Iterator[tuple[list[TailLine], int]]:
        while True:
            position = self._cursor.position
            lines = self._cursor.read(fd, stat, STEP_BYTES)
            yield lines, self._cursor.position - position
            if not self._cursor.behind() or self._cursor.position == position:
                return

    def _take(self, lines: list[TailLine]) -> None:
        seen = self._seen
        zone = self._zone
        for line in lines:
            data = line.data
            facts = decode_head(data)
            if isinstance(facts, BadLine):
                self.bad_lines += 1
                continue
            content = hash(data)
            if content in seen:
                continue
            seen.add(content)
            at = at_of(facts, zone)
            flags = _CODE_OF[severity_of(facts)]
            if by_model(facts):
                flags |= BY_MODEL
            if facts.dpo_label is not None and label_of(facts) is not None:
                flags |= LABELLED
            self.offsets.append(line.offset)
            self.lengths.append(len(data))
            self.times.append(nan if at is None else at)
            self.flags.append(flags)
            self.contents.append(content)
