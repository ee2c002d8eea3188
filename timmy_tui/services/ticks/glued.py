"""Lines that hold several ticks: a newline was lost between two writers, or behind a torn line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from msgspec.structs import replace

from timmy_tui.services.ticks.cursor import TailLine
from timmy_tui.services.ticks.parse import BadLine, has_more, whole_records

T = TypeVar("T")

_OVERSIZED = BadLine("oversized")


def taken_apart(
    lines: Iterable[TailLine], read: Callable[[TailLine], T | BadLine]
) -> Iterator[tuple[TailLine, T | BadLine]]:
    """Each line with what ``read`` makes of it; of one that is no tick, each whole tick in it, and then its rest."""
    for line in lines:
        found = _OVERSIZED if line.oversized else read(line)
        records = whole_records(line.data) if isinstance(found, BadLine) and not line.oversized else []
        if not records:
            yield line, found
            continue
        for start, data in records:
            piece = replace(line, data=data, offset=line.offset + start)
            yield piece, read(piece)
        if has_more(line.data, records):
            yield line, found
