"""One session's messages in order, tool results paired with their calls (facts/hermes.md §9, §10.3–5)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from timmy_tui.services.hermes.cells import Cell, Row, block, count, line, raw_text, seconds
from timmy_tui.services.hermes.columns import Columns, columns_of, listed
from timmy_tui.services.hermes.connection import HermesError
from timmy_tui.services.hermes.content import content_text, decoded, pretty
from timmy_tui.services.hermes.records import Message, SessionSummary, ToolCall, Transcript
from timmy_tui.services.hermes.sessions import Tail, select_sessions, select_tails, summary_of
from timmy_tui.text import clean

_COLUMNS = (
    *("id", "role", "content", "timestamp", "finish_reason", "tool_calls", "tool_call_id", "tool_name"),
    *("reasoning", "reasoning_content"),
)


def read_transcript(connection: sqlite3.Connection, session_id: str, limit: int) -> Transcript:
    """The last ``limit`` messages of a session. Raises ``sqlite3.Error``, ``HermesError`` (unknown id)."""
    columns = columns_of(connection)
    session = _session(connection, columns, session_id)
    mine = f"session_id = ? AND {columns.active}"
    total = connection.execute(f"SELECT COUNT(*) FROM messages WHERE {mine}", (session_id,)).fetchone()[0]
    rows = connection.execute(
        f"SELECT {listed(_COLUMNS, columns.messages)} FROM messages WHERE id IN"
        f" (SELECT id FROM messages WHERE {mine} ORDER BY +id DESC LIMIT ?) ORDER BY id",
        (session_id, max(0, limit)),
    ).fetchall()
    return Transcript(session, paired(rows), left_out=total - len(rows))


def _session(connection: sqlite3.Connection, columns: Columns, session_id: str) -> SessionSummary:
    for row in select_sessions(connection, columns, "id = ?", session_id):
        tails = select_tails(connection, columns, [row[0]])
        session = summary_of(row, tails.get(row[0], Tail()))
        if session is not None:
            return session
    raise HermesError(f"No session {clean(session_id, limit=80)} in the Hermes store", "it may have been pruned")


def paired(rows: Iterable[Row]) -> tuple[Message, ...]:
    """Messages of rows in order of their ids; a result without its call stays a message of the role ``tool``.

    Local models reuse call ids, so a result belongs to the nearest open call of its id before it.
    """
    messages: list[Message] = []
    open_calls: dict[str, tuple[int, int]] = {}
    for row in rows:
        at, call_id = seconds(row[3]), raw_text(row[6])
        if row[1] == b"tool" and call_id in open_calls:
            place, index = open_calls.pop(call_id)
            messages[place] = _with_result(messages[place], index, content_text(row[2]), line(row[7]), at)
            continue
        calls, ids = _calls(row[5])
        messages.append(
            Message(
                id=count(row[0]),
                role=line(row[1], limit=40) or "unknown",
                text=block(content_text(row[2])),
                reasoning=block(raw_text(row[8]) or raw_text(row[9])) or None,
                at=at,
                finish_reason=line(row[4], limit=80),
                tool_calls=calls,
            )
        )
        open_calls.update({id: (len(messages) - 1, index) for index, id in enumerate(ids) if id})
    return tuple(messages)


def _with_result(message: Message, index: int, result: str, name: str | None, at: float | None) -> Message:
    call = message.tool_calls[index]
    took_s = None if at is None or message.at is None else max(0.0, at - message.at)
    answered = msgspec.structs.replace(
        call,
        name=call.name or name or "unknown",
        result=block(result),
        failed=_failed(result),
        duration_s=took_s,
    )
    calls = (*message.tool_calls[:index], answered, *message.tool_calls[index + 1 :])
    return msgspec.structs.replace(message, tool_calls=calls)


def _calls(cell: Cell) -> tuple[tuple[ToolCall, ...], tuple[str, ...]]:
    """The calls of an assistant row, and their ids as stored. What is no call is left out."""
    stored = decoded(raw_text(cell)) if cell else None
    calls: list[ToolCall] = []
    ids: list[str] = []
    for entry in stored if isinstance(stored, list) else ():
        function = entry.get("function") if isinstance(entry, dict) else None
        if not isinstance(function, dict):
            continue
        id, name, arguments = entry.get("id"), function.get("name"), function.get("arguments")
        id = id if isinstance(id, str) else ""
        ids.append(id)
        calls.append(
            ToolCall(
                id=clean(id, limit=80),
                name=clean(name, limit=80) if isinstance(name, str) else "",
                arguments=block(_arguments(arguments)),
                result=None,
                failed=False,
                duration_s=None,
            )
        )
    return tuple(calls), tuple(ids)


def _arguments(arguments: object) -> str:
    """Indented JSON; Hermes stores it as a string, others as an object."""
    if arguments is None:
        return ""
    return pretty(arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode())


def _failed(result: str) -> bool:
    """JSON with a non-empty ``error`` or a non-zero ``exit_code``: there is no status column (§9)."""
    value = decoded(result)
    if not isinstance(value, dict):
        return False
    return bool(value.get("error")) or value.get("exit_code") not in (None, 0, "0", "")
