"""What a worker does about its predecessors: ticks that they took and never wrote are lost, never run again."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from timmy_tui.services.worker.app import TICK_TASK, keyed_values
from timmy_tui.services.worker.records import BEAT_PREFIX, BEAT_STALE_S, Beat, RequestRecord
from timmy_tui.services.worker.requests import put_record, records_of

if TYPE_CHECKING:
    from huey import Huey

SETTLED_S = 10.0
"""A request's record is written before its message: a younger one may still get its own."""

log = logging.getLogger(__name__)


class Recovery(Struct, frozen=True):
    """What was found of earlier workers."""

    lost: tuple[RequestRecord, ...]
    """Marked as lost."""
    unsettled: frozenset[str]
    """Ids of requests without a message that are too young to tell; to be looked at again."""


def mark_lost(
    huey: Huey,
    host: str,
    *,
    started_at: float,
    now: float,
    among: frozenset[str] | None = None,
    logged: Callable[[RequestRecord], bool] = lambda record: False,
    tell: Callable[[RequestRecord], None] = lambda record: None,
) -> Recovery:
    """Mark what died with earlier workers of ``host``. ``started_at``: when this worker began.

    A tick that is ``logged`` was written and not told: it is marked as done. ``tell`` gets each lost one before it is
    marked, so that none is forgotten when we are killed, too. Dead workers' beats are deleted. ``among``: only these
    requests, the unsettled ones of an earlier look. Raises what the storage raises.
    """
    beats = _beats(huey, host)
    waiting: frozenset[str] | None = None
    lost: list[RequestRecord] = []
    unsettled: set[str] = set()
    for record in records_of(huey):
        if record.host != host or record.state not in ("queued", "running"):
            continue
        if among is not None and record.id not in among:
            continue
        if record.pid is not None:
            if _is_alive(record, beats, started_at, now):
                continue
            moment = "while the tick ran" if record.state == "running" else "before the tick ran"
            reason = f"worker {record.pid} ended {moment}"
        else:
            waiting = _waiting(huey) if waiting is None else waiting
            if record.id in waiting:
                continue
            if now - record.asked_at < SETTLED_S:
                unsettled.add(record.id)
                continue
            reason = "its worker ended before the tick ran"
        if logged(record):
            put_record(huey, replace(record, state="done", since=now))
            continue
        record = replace(record, state="lost", since=now, error=reason)
        tell(record)
        put_record(huey, record)
        lost.append(record)
    for pid in beats:
        if pid != os.getpid() and not _exists(pid):
            huey.storage.delete_data(f"{BEAT_PREFIX}{host}:{pid}")
    return Recovery(tuple(lost), frozenset(unsettled))


def _is_alive(record: RequestRecord, beats: dict[int, float], started_at: float, now: float) -> bool:
    """A pid alone proves nothing: it may be somebody else's by now, or ours."""
    if record.pid == os.getpid():
        return record.since >= started_at
    beat_at = beats.get(record.pid or 0)
    return beat_at is not None and abs(now - beat_at) <= BEAT_STALE_S and _exists(record.pid or 0)


def _beats(huey: Huey, host: str) -> dict[int, float]:
    """When each process of the host beat last."""
    found: dict[int, float] = {}
    for value in keyed_values(huey, f"{BEAT_PREFIX}{host}:").values():
        try:
            beat = msgspec.json.decode(value, type=Beat)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        found[beat.pid] = beat.at
    return found


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _waiting(huey: Huey) -> frozenset[str]:
    """The requests whose messages are in the queue."""
    from huey.registry import Message

    from timmy_tui.services.worker.messages import BadMessage

    ids = set()
    for data in huey.storage.enqueued_items():
        try:
            message = huey.serializer.deserialize(data)
        except BadMessage:
            continue  # whoever takes it sets it aside
        if isinstance(message, Message) and message.name == TICK_TASK and message.args:
            ids.add(str(message.args[0]))
    return frozenset(ids)
