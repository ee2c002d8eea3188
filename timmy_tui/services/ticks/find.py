"""Which ticks of all days hold some words: read from the log, the newest first."""

from __future__ import annotations

from collections.abc import Callable

from timmy_tui.services.reading import SourceError
from timmy_tui.services.ticks.history import TickHistory
from timmy_tui.services.ticks.records import IndexedTick, TickHead
from timmy_tui.text import moment_text

FOUND_AT_ONCE = 500
"""Ticks read between two reports."""


def find_ticks(
    history: TickHistory,
    words: str,
    on_found: Callable[[list[int], int], None],
    should_stop: Callable[[], bool],
) -> None:
    """Report the indices of ticks that hold every one of ``words``, and how many were read by then.

    Belongs in a thread. A tick whose line has changed since it was indexed holds nothing.
    """
    wanted = words.casefold().split()
    found: list[int] = []
    count = len(history)
    for done, index in enumerate(range(count - 1, -1, -1), 1):
        if should_stop():
            return
        try:
            indexed = history.indexed(index)
            text = _text_of(indexed, history.read_head(indexed))
        except (SourceError, IndexError):
            text = ""
        if all(word in text for word in wanted):
            found.append(index)
        if done % FOUND_AT_ONCE == 0:
            on_found(found, done)
            found = []
    on_found(found, count)


def _text_of(indexed: IndexedTick, head: TickHead) -> str:
    """What a row of the list shows, and the tick's id."""
    when = moment_text(indexed.at, "%Y-%m-%d %H:%M", unknown="?")
    parts = (when, indexed.severity, head.summary, head.model or "rules", head.label or "", head.tick_id)
    return " ".join(parts).casefold()
