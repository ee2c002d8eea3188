"""The event log: what happened, when and to whom, in ``timmy.db``'s table ``event_log`` (DESIGN §8)."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Collection
from pathlib import Path

import msgspec
from msgspec import Struct

from timmy_tui.services.database import columns_of, reading, transaction
from timmy_tui.text import Json, clean, clean_tree

DATA_LIMIT_CHARACTERS = 65_536
"""Of one event's data; what is longer is a mistake of the writer's and is not kept."""

EVENTS_SCANNED = 20_000
"""Newest rows that are looked through: the table has no index by type."""

_COLUMNS = ("event_type", "source", "task_id", "agent_id", "data", "timestamp")

# An older stack's times may be text (ISO, UTC without a zone) or milliseconds; ours are Unix seconds.
_UNIX_SECONDS = (
    "CASE WHEN CAST(timestamp AS REAL) > 1e11 THEN CAST(timestamp AS REAL) / 1000"
    " WHEN CAST(timestamp AS REAL) > 1e8 THEN CAST(timestamp AS REAL)"
    " ELSE (julianday(timestamp) - 2440587.5) * 86400 END"
)


class Event(Struct, frozen=True):
    """One entry, safe to show. ``at`` is Unix seconds, None where the log has no time that can be read."""

    place: int
    """Grows from entry to entry; a later event has a larger one."""
    event_type: str
    source: str
    at: float | None
    task_id: str | None = None
    agent_id: str | None = None
    data: Json = None


def append_event(
    where: sqlite3.Connection | Path,
    event_type: str,
    source: str,
    *,
    task_id: str | None = None,
    agent_id: str | None = None,
    data: Json = None,
    now: float,
) -> None:
    """Write one event: into the open transaction of a connection, or into a path's database by itself.

    With a path it raises :class:`~timmy_tui.services.database.DatabaseError`, with a connection what SQLite raises.
    """
    if isinstance(where, Path):
        with transaction(where) as connection:
            append_event(connection, event_type, source, task_id=task_id, agent_id=agent_id, data=data, now=now)
        return
    written = None if data is None else msgspec.json.encode(data).decode()
    if written is not None and len(written) > DATA_LIMIT_CHARACTERS:
        written = '{"message": "too long to be kept"}'
    row: dict[str, str | float | None] = dict(
        zip(_COLUMNS, (event_type, source, task_id, agent_id, written, now), strict=True)
    )
    if "INT" not in columns_of(where, "event_log").get("id", "INTEGER"):
        row["id"] = uuid.uuid4().hex  # a table of another stack's that numbers by text does not fill it in itself
    where.execute(f"INSERT INTO event_log ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))


def prune_events(path: Path, older_than_s: float, *, now: float) -> int:
    """Delete the events that are older than ``older_than_s``; how many there were.

    An entry without a readable time stays. Raises :class:`~timmy_tui.services.database.DatabaseError`.
    """
    with transaction(path) as connection:
        return connection.execute(f"DELETE FROM event_log WHERE {_UNIX_SECONDS} < ?", (now - older_than_s,)).rowcount


def recent_events(path: Path, limit: int, types: Collection[str] | None = None) -> tuple[Event, ...]:
    """The newest ``limit`` events, newest first; only of ``types`` where they are given.

    A missing database or table is an empty log. Raises :class:`~timmy_tui.services.database.DatabaseError`.
    """
    with reading(path) as connection:
        if connection is None or not columns_of(connection, "event_log").keys() >= set(_COLUMNS):
            return ()
        wanted = "" if types is None else f" WHERE event_type IN ({', '.join('?' * len(types))})"
        rows = connection.execute(
            "SELECT place, event_type, source, at, task_id, agent_id, data FROM ("
            f" SELECT rowid AS place, {_UNIX_SECONDS} AS at, event_type, source, task_id, agent_id,"
            f"  CASE WHEN length(data) <= {DATA_LIMIT_CHARACTERS} THEN data END AS data"
            f" FROM event_log ORDER BY rowid DESC LIMIT {EVENTS_SCANNED})"
            f"{wanted} ORDER BY place DESC LIMIT ?",
            (*(types or ()), limit),
        ).fetchall()
    return tuple(
        Event(
            place=place,
            event_type=clean(str(event_type or ""), limit=60),
            source=clean(str(source or "")),
            at=at,
            task_id=None if task_id is None else clean(str(task_id)),
            agent_id=None if agent_id is None else clean(str(agent_id)),
            data=_data(data),
        )
        for place, event_type, source, at, task_id, agent_id, data in rows
    )


def _data(value: str | bytes | float | None) -> Json:
    """What was stored, decoded where it is JSON, else its text."""
    if isinstance(value, str | bytes):
        try:
            return clean_tree(msgspec.json.decode(value))
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            value = value.decode(errors="replace") if isinstance(value, bytes) else value
    return clean_tree(value)
