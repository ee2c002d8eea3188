"""Follows one path by polling: through rotation, truncation, replacement, deletion and a swapped link.

The behaviours are those of facts/tailing.md. Nothing is parsed before its newline; nothing is ever written or
locked. A disturbed file is read from its start, so a line may come twice: ``once.Once`` sieves.
"""

from __future__ import annotations

import os
import stat as stat_mode
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from msgspec import Struct

from timmy_tui import text
from timmy_tui.services.ticks.cursor import MAX_LINE_BYTES, Cursor, TailLine
from timmy_tui.services.ticks.errors import TickLogError

BUDGET_BYTES = 1024 * 1024
"""Bytes read of one file in one poll, about. More is no faster, and stays in memory as many times its size."""

KEEP_ROTATED_S = 60.0
"""How long a file that left the path is still followed after its last growth (row 4)."""

KEPT_FILES = 8
"""Files that left the path and are followed at the same time."""

Note = Literal["rotated", "replaced", "truncated", "rewritten", "gone", "back"]


class TailBatch(Struct, frozen=True):
    """What one poll found."""

    lines: tuple[TailLine, ...]
    oversized: int
    """How many of ``lines`` are oversized: counted, not kept."""
    note: Note | None
    """What happened to the file since the last poll."""
    incomplete: bool
    """The file ends in the middle of a line."""
    more: bool
    """The budget ended before the file did: poll again."""


class _OpenFile:
    """A file that stands, or stood, at the path. While it is open nothing else can get its inode number."""

    def __init__(self, fd: int, cursor: Cursor, now: float) -> None:
        self.fd = fd
        self.cursor = cursor
        self.grew_at = now
        self.identity = _identity(os.fstat(fd))

    def read(self, budget_bytes: int, now: float) -> tuple[list[TailLine], Note | None]:
        stat = os.fstat(self.fd)
        note = self.cursor.disturbance(self.fd, stat)
        if note is not None:
            self.cursor.rewind()
        lines = self.cursor.read(self.fd, stat, budget_bytes)
        if lines:
            self.grew_at = now
        return lines, note

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    __del__ = close


class Tailer:
    """Follows ``path``. One caller at a time; no thread, no timer: :meth:`poll` looks when it is called.

    ``clock`` is monotonic seconds and only decides when an old file is let go. ``start`` is a place that
    follows a newline in the file that stands at the path first; a shorter file is read from its start.
    """

    def __init__(
        self,
        path: Path,
        *,
        start: int = 0,
        clock: Callable[[], float] = time.monotonic,
        budget_bytes: int = BUDGET_BYTES,
        max_line_bytes: int = MAX_LINE_BYTES,
        keep_rotated_s: float = KEEP_ROTATED_S,
    ) -> None:
        self.path = path
        self._start = start
        self._clock = clock
        self._budget_bytes = budget_bytes
        self._max_line_bytes = max_line_bytes
        self._keep_rotated_s = keep_rotated_s
        self._current: _OpenFile | None = None
        self._kept: list[_OpenFile] = []
        self._gone = False

    def poll(self) -> TailBatch:
        """The complete lines that are new. Raises :class:`TickLogError` for a file that can't be read."""
        now = self._clock()
        try:
            note = self._find(now)
            lines: list[TailLine] = []
            more = False
            for followed in (*self._kept, *([self._current] if self._current else [])):
                found, disturbed = followed.read(self._budget_bytes, now)
                lines += found
                more = more or followed.cursor.behind()
                if followed is self._current:
                    note = note or disturbed
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise TickLogError(
                f"Can't read {text.clean(str(self.path))}: {text.clean_error(reason)}",
                "Check the file's permissions",
            ) from None
        self._let_go(now)
        incomplete = self._current is not None and self._current.cursor.incomplete
        return TailBatch(tuple(lines), sum(line.oversized for line in lines), note, incomplete, more)

    def close(self) -> None:
        """Let every file go. The next poll would start over."""
        for followed in (*self._kept, *([self._current] if self._current else [])):
            followed.close()
        self._kept, self._current = [], None

    def _find(self, now: float) -> Note | None:
        """Look at what stands at the path now; a file that left it is kept for a while."""
        try:
            stat = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            if self._gone or self._current is None:
                return None
            self._gone = True
            self._current.grew_at = now
            return "gone"
        before = self._current
        if before is not None and before.identity == _identity(stat):
            came_back, self._gone = self._gone, False
            return "back" if came_back else None
        opened = self._open(stat, now)
        if opened is None:
            return None
        was_gone, self._gone, self._current = self._gone, False, opened
        self._kept = [kept for kept in self._kept if kept is not opened]
        if before is None:
            return "replaced" if was_gone else None
        before.grew_at = now
        self._kept.append(before)
        return "rotated" if os.fstat(before.fd).st_nlink else "replaced"

    def _open(self, stat: os.stat_result, now: float) -> _OpenFile | None:
        """The file at the path: one that is followed already (a link was turned back), else newly opened."""
        known = next((kept for kept in self._kept if kept.identity == _identity(stat)), None)
        if known is not None:
            return known
        if not stat_mode.S_ISREG(stat.st_mode):
            raise OSError(0, "not a regular file")
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        opened = _OpenFile(fd, Cursor(max_line_bytes=self._max_line_bytes), now)
        if self._start and os.fstat(fd).st_size >= self._start:
            opened.cursor.start_at(fd, self._start)
        self._start = 0
        return opened

    def _let_go(self, now: float) -> None:
        def silent(followed: _OpenFile) -> bool:
            return now - followed.grew_at >= self._keep_rotated_s

        for followed in [kept for kept in self._kept if silent(kept)] + self._kept[:-KEPT_FILES]:
            followed.close()
        self._kept = [kept for kept in self._kept if kept.fd >= 0]
        if self._gone and self._current is not None and silent(self._current):
            self._current.close()
            self._current = None


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino
