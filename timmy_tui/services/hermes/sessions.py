"""Rows of ``sessions`` with what their messages tell, as :class:`SessionSummary` (facts/hermes.md §2.4)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache

from msgspec import Struct

from timmy_tui.services.hermes.cells import Cell, Row, count, dollars, line, raw_text, seconds
from timmy_tui.services.hermes.columns import Columns, listed
from timmy_tui.services.hermes.records import Place, SessionSummary, Tokens
from timmy_tui.services.locality import host_place

TOKEN_COLUMNS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
SESSION_COLUMNS = (
    *(
        "id",
        "source",
        "model",
        "title",
        "started_at",
        "ended_at",
        "end_reason",
        "message_count",
        "tool_call_count",
    ),
    *TOKEN_COLUMNS,
    *(
        "billing_base_url",
        "estimated_cost_usd",
        "actual_cost_usd",
        "cost_status",
        "parent_session_id",
        "archived",
    ),
    *("api_call_count", "rewind_count", "last_activity_at"),
)
"""What is read of a session. Never ``SELECT *``: ``system_prompt`` is large and private (§10.1)."""

EMPTY = "(empty)"
"""What Hermes stores for an answer without text; its own cron calls such a run failed (facts/hermes-jobs.md §0)."""

_IDS_PER_QUERY = 500
_PRICED = ("actual", "estimated", "included")


class Tail(Struct, frozen=True):
    """What the messages of one session tell."""

    last_at: float | None = None
    open_turn: bool = False
    answered: bool = False
    empty: bool = False
    """The last answer is Hermes' word for one that did not come."""
    tools: tuple[tuple[str, int], ...] = ()
    """Stored results per tool."""


def select_sessions(connection: sqlite3.Connection, columns: Columns, where: str, value: Cell) -> list[Row]:
    """Rows of :data:`SESSION_COLUMNS`; ``where`` is SQL of this package with one ``?``."""
    names = listed(SESSION_COLUMNS, columns.sessions)
    return connection.execute(f"SELECT {names} FROM sessions WHERE {where}", (value,)).fetchall()


def select_active(connection: sqlite3.Connection, columns: Columns, cut: float) -> list[Cell]:
    """The ids of sessions in which something happened since ``cut``."""
    found = [
        id
        for (id,) in connection.execute(
            "SELECT session_id FROM messages GROUP BY session_id HAVING MAX(timestamp) >= ?", (cut,)
        )
    ]
    if "last_activity_at" in columns.sessions:
        found += [id for (id,) in connection.execute("SELECT id FROM sessions WHERE last_activity_at >= ?", (cut,))]
    return found


def select_leased(connection: sqlite3.Connection, columns: Columns, now: float) -> list[Cell]:
    """The ids of sessions in which a turn is under way, by Hermes' own lease (schema 30)."""
    if "session_turn_leases" not in columns.indexes:
        return []
    leases = connection.execute("SELECT conversation_id FROM session_turn_leases WHERE expires_at > ?", (now,))
    return [id for (id,) in leases]


def select_by_id(connection: sqlite3.Connection, columns: Columns, ids: Sequence[Cell]) -> list[Row]:
    """Rows of :data:`SESSION_COLUMNS` of these sessions."""
    names = listed(SESSION_COLUMNS, columns.sessions)
    rows: list[Row] = []
    for some in portions(ids):
        marks = ", ".join("?" * len(some))
        where = f"id IN ({marks}) AND {columns.visible}"
        rows += connection.execute(f"SELECT {names} FROM sessions WHERE {where}", some).fetchall()
    return rows


def select_tails(connection: sqlite3.Connection, columns: Columns, ids: Sequence[Cell]) -> dict[Cell, Tail]:
    """The tails of the sessions ``ids``, by indexed look-ups; a session without messages is left out.

    ``ids`` are as the store holds them. An answer counts even when it was rewound or compacted since.
    """
    tails: dict[Cell, Tail] = {}
    calls = (
        "tool_calls IS NOT NULL AND tool_calls NOT IN ('', '[]', 'null')" if "tool_calls" in columns.messages else "0"
    )
    tools: dict[Cell, list[tuple[str, int]]] = {}
    for some in portions(ids):
        marks = ", ".join("?" * len(some))
        if "tool_name" in columns.messages:
            for id, name, number in connection.execute(
                f"SELECT session_id, tool_name, COUNT(*) FROM messages WHERE session_id IN ({marks})"
                " AND role = 'tool' GROUP BY 1, 2",
                some,
            ):
                tools.setdefault(id, []).append((line(name, limit=80) or "unknown", number))
        last = connection.execute(
            f"SELECT session_id, role, timestamp, {calls}, CAST(content AS TEXT) = '{EMPTY}' FROM messages"
            " WHERE id IN (SELECT MAX(id)"
            f" FROM messages WHERE session_id IN ({marks}) AND {columns.active} GROUP BY session_id)",
            some,
        ).fetchall()
        for id, role, at, calling, empty in last:
            by_assistant = role == b"assistant"
            tails[id] = Tail(
                last_at=seconds(at),
                open_turn=bool(calling) if by_assistant else role in (b"user", b"tool"),
                answered=by_assistant or _has_answer(connection, id),
                empty=by_assistant and bool(empty),
                tools=tuple(tools.get(id, ())),
            )
    return tails


def _has_answer(connection: sqlite3.Connection, id: Cell) -> bool:
    found = connection.execute(
        "SELECT 1 FROM messages WHERE session_id = ? AND role = 'assistant' LIMIT 1", (_bound(id),)
    )
    return found.fetchone() is not None


def portions(ids: Sequence[Cell]) -> Iterator[list[Cell]]:
    bound = [_bound(id) for id in ids]
    for start in range(0, len(bound), _IDS_PER_QUERY):
        yield bound[start : start + _IDS_PER_QUERY]


def _bound(id: Cell) -> Cell:
    """An id that came out as bytes goes back in as text, which is what the store holds."""
    return raw_text(id) if isinstance(id, bytes) else id


def summary_of(row: Row, tail: Tail) -> SessionSummary | None:
    """The record of one row of :data:`SESSION_COLUMNS`; None when it has no id or no start."""
    id, started_at = line(row[0]), seconds(row[4])
    if id is None or started_at is None:
        return None
    ended_at = seconds(row[5])
    return SessionSummary(
        id=id,
        source=line(row[1], limit=80) or "unknown",
        model=line(row[2]),
        title=line(row[3]),
        started_at=started_at,
        ended_at=ended_at,
        end_reason=line(row[6]),
        last_activity_at=max(
            (at for at in (tail.last_at, ended_at, seconds(row[22])) if at is not None), default=started_at
        ),
        open_turn=tail.open_turn,
        answered=tail.answered,
        empty_answer=tail.empty,
        message_count=count(row[7]),
        tool_call_count=count(row[8]),
        tokens=Tokens(*map(count, row[9:14])),
        place=place_of(row[14]),
        cost_usd=_cost_usd(*row[15:18]),
        parent_id=line(row[18]),
        archived=bool(count(row[19])),
    )


def api_calls(row: Row) -> int:
    """The accounted calls of a row of :data:`SESSION_COLUMNS`."""
    return count(row[20])


@lru_cache(maxsize=256)
def place_of(url: Cell) -> Place:
    """Where a ``billing_base_url`` leads; unknown when no call was accounted."""
    return host_place(raw_text(url) or None)


def _cost_usd(estimated: Cell, actual: Cell, status: Cell) -> float | None:
    """What a session cost: the bill, else the estimate; None when the status vouches for neither.

    Local rows hold 0.0 with the status ``unknown``, which is no price.
    """
    word = raw_text(status)
    if word == "actual" and dollars(actual) is not None:
        return dollars(actual)
    return dollars(estimated) if word in _PRICED else None
