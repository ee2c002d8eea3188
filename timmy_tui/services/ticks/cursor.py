"""How far one file has been consumed, and how it is known to be the same file still.

An inode number says little: ext4 hands a deleted file's number to the next one (facts/tailing.md row 7), and
a file may be cut and grow past the old place between two looks (row 6). So the bytes around the place are
remembered and compared.
"""

from __future__ import annotations

import os
import zlib
from typing import Literal

from msgspec import Struct

MAX_LINE_BYTES = 4 * 1024 * 1024
"""A longer line is not kept: it becomes one oversized line."""

MARK_BYTES = 1024
"""Bytes remembered at the start of the file and before the place."""

BLOCK_BYTES = 512 * 1024
"""Bytes read at once; more only for a line that is longer."""

_MARGIN = b"\0 \t\r"

Disturbance = Literal["truncated", "rewritten"]


class TailLine(Struct, frozen=True):
    """One complete line without its margin (blanks, CR, the NULs of a hole)."""

    offset: int
    """Of the first byte of ``data`` in the file."""
    data: bytes
    """Empty for an oversized line."""
    oversized: bool = False


class Cursor:
    """The place in one file up to which every complete line has been given out."""

    def __init__(self, *, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self.position = 0
        self.incomplete = False
        """There are bytes behind ``position`` that no newline ends yet."""
        self._max_line_bytes = max_line_bytes
        self._size = 0
        self._mtime_ns = 0
        self._start = 0
        self._crc = 0
        self._head = b""
        self._mark = b""
        self._oversized_from: int | None = None

    def start_at(self, fd: int, position: int) -> None:
        """Begin behind what was read by other means (backwards); ``position`` follows a newline."""
        self.rewind()
        self._head = os.pread(fd, min(MARK_BYTES, position), 0)
        self._mark = os.pread(fd, min(MARK_BYTES, position), position - min(MARK_BYTES, position))
        self.position = self._start = position

    def rewind(self) -> None:
        """Read again from the first byte."""
        self.position = self._start = self._crc = 0
        self._head = self._mark = b""
        self._oversized_from = None
        self.incomplete = False

    def unchanged(self, stat: os.stat_result) -> bool:
        """Neither size nor time differ from the last :meth:`read`'s."""
        return stat.st_size == self._size and stat.st_mtime_ns == self._mtime_ns

    def disturbance(self, fd: int, stat: os.stat_result) -> Disturbance | None:
        """Whether what lies before the place is no longer what was read."""
        if stat.st_size < self.position:
            return "truncated"
        if os.pread(fd, len(self._mark), self.position - len(self._mark)) != self._mark:
            return "rewritten"
        if os.pread(fd, len(self._head), 0) != self._head:
            return "rewritten"
        touched = stat.st_size == self._size and stat.st_mtime_ns != self._mtime_ns
        if touched and self._crc_of(fd) != self._crc:
            return "rewritten"
        return None

    def read(self, fd: int, stat: os.stat_result, budget_bytes: int) -> list[TailLine]:
        """The complete lines behind the place, up to the file's size in ``stat``.

        At least one block is read; :meth:`behind` tells whether ``budget_bytes`` ended before the file.
        """
        self._size, self._mtime_ns = stat.st_size, stat.st_mtime_ns
        self.incomplete = False
        lines: list[TailLine] = []
        stop_at = self.position + budget_bytes
        while self.position < self._size and self.position < stop_at and not self.incomplete:
            left = self._size - self.position
            block = os.pread(fd, min(BLOCK_BYTES, left), self.position)
            if len(block) == BLOCK_BYTES and b"\n" not in block and block[:1] != b"\0":
                block = os.pread(fd, min(self._max_line_bytes + 1, left), self.position)
            if not block:
                break
            self._take(block, lines)
        return lines

    def behind(self) -> bool:
        """The budget ended before the file did."""
        return self.position < self._size and not self.incomplete

    def _take(self, block: bytes, lines: list[TailLine]) -> None:
        if self._oversized_from is not None:
            end = block.find(b"\n") + 1
            if end:
                lines.append(TailLine(self._oversized_from, b"", oversized=True))
                self._oversized_from = None
            self._consume(block[:end] if end else block)
            return
        end = block.rfind(b"\n") + 1
        if end:
            self._split(block[: end - 1], lines)
            self._consume(block[:end])
            return
        hole_bytes = len(block) - len(block.lstrip(b"\0"))
        if hole_bytes:
            self._consume(block[:hole_bytes])
        elif len(block) > self._max_line_bytes:
            self._oversized_from = self.position
            self._consume(block)
        else:
            self.incomplete = True

    def _split(self, block: bytes, lines: list[TailLine]) -> None:
        offset = self.position
        for raw in block.split(b"\n"):
            if raw[:1] == b"{" and raw[-1:] == b"}":
                lines.append(TailLine(offset, raw))
            else:
                data = raw.lstrip(_MARGIN)
                start = offset + len(raw) - len(data)
                data = data.rstrip(_MARGIN)
                if data:
                    lines.append(TailLine(start, data))
            offset += len(raw) + 1

    def _consume(self, data: bytes) -> None:
        self._crc = zlib.crc32(data, self._crc)
        if len(self._head) < MARK_BYTES and self._start == 0:
            self._head += data[: MARK_BYTES - len(self._head)]
        self._mark = (self._mark + data[-MARK_BYTES:])[-MARK_BYTES:]
        self.position += len(data)

    def _crc_of(self, fd: int) -> int:
        """The checksum of what was consumed, as the file has it now."""
        crc, offset = 0, self._start
        while offset < self.position:
            block = os.pread(fd, min(BLOCK_BYTES, self.position - offset), offset)
            if not block:
                break
            crc = zlib.crc32(block, crc)
            offset += len(block)
        return crc
