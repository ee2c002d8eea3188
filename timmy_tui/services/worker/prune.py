"""Tidying up once a day: old events, and old keys of ours in the queue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from timmy_tui.services.events import prune_events
from timmy_tui.services.worker.app import keyed_values
from timmy_tui.services.worker.periodic import day_of
from timmy_tui.services.worker.records import BEAT_PREFIX, DAILY_PREFIX, REQUEST_PREFIX, Beat
from timmy_tui.services.worker.requests import decoded

if TYPE_CHECKING:
    from huey import Huey

DAY_S = 86_400.0
EVENTS_KEPT_S = 30 * DAY_S
KEYS_KEPT_S = 7 * DAY_S


def prune(huey: Huey, database: Path, now: float) -> tuple[int, int]:
    """Delete what is old, and say how many events and how many keys that were.

    Raises ``DatabaseError``, and what the queue's storage raises.
    """
    old = [key for key, value in keyed_values(huey, "timmy.").items() if _is_old(key, value, now)]
    for key in old:
        huey.storage.delete_data(key)
    events = prune_events(database, EVENTS_KEPT_S, now=now) if database.exists() else 0
    return events, len(old)


def _is_old(key: str, value: bytes, now: float) -> bool:
    """Whether the key has served its time; one that can't be read is left to whoever wrote it."""
    if key.startswith(DAILY_PREFIX):
        return key.rpartition(":")[2] < day_of(now - KEYS_KEPT_S)
    if key.startswith(REQUEST_PREFIX):
        record = decoded(value)
        return record is not None and now - record.since > KEYS_KEPT_S
    if key.startswith(BEAT_PREFIX):
        try:
            return now - msgspec.json.decode(value, type=Beat).at > DAY_S
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return False
    return False
