"""Which sessions are the heartbeat's: those that its ticks name, whatever source an older Hermes stored for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec.structs import replace

from timmy_tui.services.hermes.records import HermesReading
from timmy_tui.services.ticks.records import TickHead

HEARTBEAT = "heartbeat"
UNTOLD = frozenset({"cli", "unknown"})
"""What Hermes up to 0.17 stores for every session (facts/hermes-jobs.md §0)."""


def with_own_sessions(reading: HermesReading, ticks: Iterable[TickHead]) -> HermesReading:
    """``reading`` with the heartbeat's sessions under its name; the very same object where nothing is to change."""
    own = {tick.session_id for tick in ticks if tick.session_id is not None}
    if not any(session.source in UNTOLD and session.id in own for session in reading.sessions):
        return reading
    sessions = tuple(
        replace(session, source=HEARTBEAT) if session.source in UNTOLD and session.id in own else session
        for session in reading.sessions
    )
    by_source = Counter(session.source for session in sessions)
    ordered = tuple(sorted(by_source.items(), key=lambda pair: (-pair[1], pair[0])))
    return replace(reading, sessions=sessions, by_source=ordered)
