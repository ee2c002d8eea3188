"""Tokens per model and place: from ``session_model_usage`` where a session has rows, else from the session.

The usage table is the truth per call (auxiliary calls too); ``sessions`` repeats its main loop, so a
session's two accounts are never added (facts/hermes.md §10.6).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from msgspec import Struct

from timmy_tui.services.hermes.cells import Cell, Row, count, line
from timmy_tui.services.hermes.columns import Columns, listed
from timmy_tui.services.hermes.records import ModelUsage, Place, SessionSummary, Tokens
from timmy_tui.services.hermes.sessions import TOKEN_COLUMNS, place_of, portions

_USAGE_COLUMNS = ("session_id", "model", "billing_base_url", "api_call_count", *TOKEN_COLUMNS)


class Share(Struct, frozen=True):
    """What one session used of one model at one place."""

    model: str
    place: Place
    calls: int
    tokens: Tokens


def select_usage(connection: sqlite3.Connection, columns: Columns, ids: Sequence[Cell]) -> list[Row]:
    """The usage rows, session first, of these sessions."""
    if "session_id" not in columns.usage:
        return []
    rows: list[Row] = []
    for some in portions(ids):
        marks = ", ".join("?" * len(some))
        rows += connection.execute(
            f"SELECT {listed(_USAGE_COLUMNS, columns.usage)} FROM session_model_usage WHERE session_id IN ({marks})",
            some,
        ).fetchall()
    return rows


def share_of(row: Row) -> Share:
    """The share that one usage row tells."""
    return Share(line(row[1]) or "unknown", place_of(row[2]), count(row[3]), Tokens(*map(count, row[4:9])))


def own_share(session: SessionSummary, calls: int) -> list[Share]:
    """The share of a session without usage rows, by its own counters; none when nothing was used."""
    if not (session.answered or calls or session.tokens.total):
        return []
    return [Share(session.model or "unknown", session.place, calls, session.tokens)]


def by_model(sessions: Iterable[list[Share]]) -> tuple[ModelUsage, ...]:
    """The shares of many sessions, summed per model and place, most tokens first."""
    sums: dict[tuple[str, Place], list[int]] = {}
    for shares in sessions:
        counted: set[tuple[str, Place]] = set()
        for share in shares:
            key, tokens = (share.model, share.place), share.tokens
            total = sums.setdefault(key, [0] * 7)
            total[0] += key not in counted
            counted.add(key)
            total[1] += share.calls
            total[2] += tokens.input
            total[3] += tokens.output
            total[4] += tokens.cache_read
            total[5] += tokens.cache_write
            total[6] += tokens.reasoning
    usage = [ModelUsage(model, place, total[0], total[1], Tokens(*total[2:])) for (model, place), total in sums.items()]
    return tuple(sorted(usage, key=lambda one: (-one.tokens.total, one.model, one.place)))
