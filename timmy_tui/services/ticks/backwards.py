"""The last lines of a file first, in blocks from its end."""

from __future__ import annotations

import os
from collections.abc import Iterator

from timmy_tui.services.ticks.cursor import MAX_LINE_BYTES, TailLine

BLOCK_BYTES = 256 * 1024

_MARGIN = b"\0 \t\r"


def end_of_lines(fd: int) -> int:
    """The place behind the last newline; what follows it is an incomplete line."""
    position = os.fstat(fd).st_size
    while position > 0:
        take = min(BLOCK_BYTES, position)
        position -= take
        found = os.pread(fd, take, position).rfind(b"\n")
        if found >= 0:
            return position + found + 1
    return 0


def lines_backwards(
    fd: int, end: int, *, block_bytes: int = BLOCK_BYTES, max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[TailLine]:
    """The complete lines before ``end`` (see :func:`end_of_lines`), newest first, blank ones left out.

    A line longer than ``max_line_bytes`` comes as one oversized line; memory is bounded by that and a block.
    """
    position = end
    rest = b""  # the end of a line whose start is not read yet, its newline included
    oversized = False
    while position > 0:
        take = min(block_bytes, position)
        position -= take
        block = os.pread(fd, take, position) + rest
        *before, last = _pieces(block)
        if not before and position > 0:
            if len(last) > max_line_bytes + 1:
                oversized, last = True, b"\n"
            rest = last
            continue
        pieces = [*before, last]
        offset = position
        rest = b""
        if position > 0:
            rest = pieces.pop(0)
            offset += len(rest)
        lines = [_line(at, piece, max_line_bytes) for at, piece in _placed(pieces, offset)]
        if oversized:
            oversized, lines[-1] = False, TailLine(lines[-1].offset, b"", oversized=True)
        yield from (line for line in reversed(lines) if line.data or line.oversized)


def _placed(pieces: list[bytes], offset: int) -> Iterator[tuple[int, bytes]]:
    for piece in pieces:
        yield offset, piece
        offset += len(piece)


def _line(offset: int, piece: bytes, max_line_bytes: int) -> TailLine:
    if len(piece) > max_line_bytes + 1:
        return TailLine(offset, b"", oversized=True)
    data = piece[:-1].lstrip(_MARGIN)
    return TailLine(offset + len(piece) - 1 - len(data), data.rstrip(_MARGIN))


def _pieces(block: bytes) -> list[bytes]:
    """``block`` cut behind each newline; it ends with one."""
    return [piece + b"\n" for piece in block.split(b"\n")[:-1]]
