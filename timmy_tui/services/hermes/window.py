"""The sessions of the last hours, kept between two looks, and the reading that they make at a moment."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Iterable
from typing import get_args

from msgspec import Struct
from msgspec.structs import replace

from timmy_tui.services.hermes.cells import Cell, Row, count
from timmy_tui.services.hermes.columns import columns_of, index_incomplete
from timmy_tui.services.hermes.records import HermesReading, Place, SessionSummary, Tokens
from timmy_tui.services.hermes.sessions import (
    Tail,
    api_calls,
    select_active,
    select_by_id,
    select_leased,
    select_sessions,
    select_tails,
    summary_of,
)
from timmy_tui.services.hermes.usage import Share, by_model, own_share, select_usage, share_of

BUCKETS = 24
STEPS_PER_BUCKET = 60
"""The buckets move on in steps of a sixtieth of their width (a minute, for a day), not with every reading."""


class Known(Struct, frozen=True):
    """One session of the window with the row it was made of."""

    row: Row
    tail: Tail
    session: SessionSummary


class SessionWindow:
    """The sessions since a cut, refreshed from the store and summed up in memory."""

    def __init__(self, path: str, profile: str | None, hours: float) -> None:
        self.span_s = hours * 3600
        self._blank = (path, profile, hours)
        self._known: dict[Cell, Known] = {}
        self._share_of: dict[Row, Share] = {}
        self._shares: dict[Cell, list[Share]] = {}
        self._last_message_id = 0
        self._index_incomplete = False
        self._older: set[Cell] = set()
        """Sessions that began before the window and in which something happened since."""
        self._cut = math.inf
        self._reading: HermesReading | None = None
        self._reading_until = -math.inf

    def reaches(self, now: float) -> bool:
        """Every session of the window that ends at ``now`` is known.

        Not so before the first look, nor when the clock went back.
        """
        return now - self.span_s >= self._cut

    def forget(self) -> None:
        """Trust nothing of what is known: the store is another one."""
        self._known = {}
        self._cut = math.inf
        self._reading_until = -math.inf

    def refresh(self, connection: sqlite3.Connection, now: float) -> None:
        """Look at the store; at messages only of sessions whose row changed or that have new ones.

        Changes nothing until all queries have answered. Raises ``sqlite3.Error``, ``HermesError``.
        """
        columns = columns_of(connection)
        cut = now - self.span_s
        rows = select_sessions(connection, columns, f"{columns.visible} AND started_at >= ?", cut)
        last_message_id = count(connection.execute("SELECT MAX(id) FROM messages").fetchone()[0])
        known = self._known if last_message_id >= self._last_message_id and self._cut != math.inf else {}
        if known:
            talked = connection.execute(
                "SELECT DISTINCT session_id FROM messages WHERE id > ?", (self._last_message_id,)
            )
            fresh = {id for (id,) in talked}
            known = {id: one for id, one in known.items() if id not in fresh}
            active = {*self._older, *fresh}
        else:
            active = set(select_active(connection, columns, cut))
        leased = set(select_leased(connection, columns, now))
        older = (active | leased) - {row[0] for row in rows}
        rows += select_by_id(connection, columns, list(older))
        usage = select_usage(connection, columns, [row[0] for row in rows])
        changed = [
            row
            for row in rows
            if row[0] not in known or known[row[0]].row != row or known[row[0]].session.leased != (row[0] in leased)
        ]
        tails = select_tails(connection, columns, [row[0] for row in changed])
        made = {row[0]: self._made(row, tails.get(row[0], Tail()), row[0] in leased) for row in changed}
        now_known = {row[0]: made[row[0]] if row[0] in made else known[row[0]] for row in rows}
        self._known = {id: one for id, one in now_known.items() if one is not None}
        known_shares, self._share_of, self._shares = self._share_of, {}, {}
        for row in usage:  # two tasks of a session may have equal rows: both count
            share = self._share_of[row] = known_shares.get(row) or share_of(row)
            self._shares.setdefault(row[0], []).append(share)
        self._index_incomplete = index_incomplete(connection)
        self._last_message_id = last_message_id
        self._older = {id for id in older if id in self._known and _is_inside(self._known[id].session, cut)}
        self._cut = cut
        self._reading_until = -math.inf

    @staticmethod
    def _made(row: Row, tail: Tail, leased: bool) -> Known | None:
        session = summary_of(row, tail)
        if session is not None and leased:
            session = replace(session, leased=True)
        return None if session is None else Known(row, tail, session)

    def reading(self, now: float) -> HermesReading:
        """The window that ends at ``now``, without a query; the same object while it says the same."""
        if self._reading is not None and now < self._reading_until and now - self.span_s >= self._cut:
            return self._reading
        cut = now - self.span_s
        inside = [(id, one) for id, one in self._known.items() if _is_inside(one.session, cut)]
        inside.sort(key=lambda pair: (pair[1].session.started_at, pair[1].session.id), reverse=True)
        sessions = tuple(one.session for _, one in inside)
        step_s = self.span_s / BUCKETS / STEPS_PER_BUCKET
        end = (math.floor(now / step_s) + 1) * step_s
        tools: Counter[str] = Counter()
        for _, one in inside:
            for name, number in one.tail.tools:
                tools[name] += number
        models = by_model(
            self._shares[id] if id in self._shares else own_share(one.session, api_calls(one.row)) for id, one in inside
        )
        path, profile, hours = self._blank
        amounts = [session.tokens.total for session in sessions]
        places = dict.fromkeys(get_args(Place), 0)
        for session, amount in zip(sessions, amounts, strict=True):
            places[session.place] += amount
        prices = [session.cost_usd for session in sessions if session.cost_usd is not None]
        reading = HermesReading(
            path=path,
            profile=profile,
            hours=hours,
            sessions=sessions,
            by_source=_most_first(Counter(session.source for session in sessions)),
            by_model=models,
            tool_calls=_most_first(tools),
            tokens=_summed(sessions),
            local_tokens=places["local"],
            cloud_tokens=places["cloud"],
            unknown_tokens=places["unknown"],
            cost_usd=math.fsum(prices) if prices else None,
            unpriced_sessions=sum(
                1 for session, amount in zip(sessions, amounts, strict=True) if amount and session.cost_usd is None
            ),
            index_incomplete=self._index_incomplete,
            older_sessions=sum(session.started_at < cut for session in sessions),
            older_tokens=sum(session.tokens.total for session in sessions if session.started_at < cut),
            tokens_by_bucket=_buckets(sessions, amounts, end - self.span_s, self.span_s / BUCKETS),
        )
        if self._reading is None or reading != self._reading:
            self._reading = reading
        oldest = min((max(one.started_at, one.last_activity_at) for one in sessions), default=math.inf)
        self._reading_until = min(end, math.nextafter(oldest + self.span_s, math.inf))
        return self._reading


def _is_inside(session: SessionSummary, cut: float) -> bool:
    """Something happened in the session since ``cut``, or does now."""
    return session.leased or max(session.started_at, session.last_activity_at) >= cut


def _summed(sessions: Iterable[SessionSummary]) -> Tokens:
    columns = [0] * 5
    for session in sessions:
        tokens = session.tokens
        columns[0] += tokens.input
        columns[1] += tokens.output
        columns[2] += tokens.cache_read
        columns[3] += tokens.cache_write
        columns[4] += tokens.reasoning
    return Tokens(*columns)


def _most_first(counts: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _buckets(
    sessions: Iterable[SessionSummary], amounts: Iterable[int], start: float, width_s: float
) -> tuple[int, ...]:
    """Total tokens per bucket by the session's start, or by what happened in it last if it began before; oldest first.

    ``start`` is up to one step later than the window's cut, so the first bucket takes what lies between; the
    last takes what a wrong clock put into the future. The sum is the sum of the sessions.
    """
    buckets = [0] * BUCKETS
    for session, amount in zip(sessions, amounts, strict=True):
        at = session.started_at if session.started_at >= start - width_s else session.last_activity_at
        index = math.floor((at - start) / width_s)
        buckets[min(max(index, 0), BUCKETS - 1)] += amount
    return tuple(buckets)
