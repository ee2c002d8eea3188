"""Candidates from Hermes' sessions: the first exchange of a session that a script began or that was chosen by source.

A script that calls Hermes puts its name before the prompt: ``[triage_issues] …``. Only an answer that followed from
the prompt alone counts: where tools were called in between, training on the pair would teach to invent their results.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from timmy_tui.services.hermes.cells import Cell, line, raw_text, seconds
from timmy_tui.services.hermes.columns import Columns, columns_of, listed
from timmy_tui.services.hermes.connection import StoreFile
from timmy_tui.services.hermes.content import answer_text, content_text
from timmy_tui.services.hermes.profiles import DATABASE_NAME, find_place

T = TypeVar("T")

HEARTBEAT_CALLER = "heartbeat_tick"
"""These sessions are ticks; the tick log knows more of them."""

REVIEW = "review"
"""Who asks for alternatives, and the source of those sessions: they are compared, and no cards of their own."""

_TAG = re.compile(r"\[([a-z][a-z0-9_.-]{0,63})\] ")


class SessionExchange(Struct, frozen=True):
    """A session's first prompt and answer, verbatim: to be hashed or exported, never to be shown."""

    session_id: str
    source: str
    """The caller's tag, else the session's source; cleaned."""
    model: str | None
    """Cleaned."""
    at: float | None
    prompt: str
    completion: str

    @property
    def timestamp(self) -> str:
        """When the session began, ISO 8601; empty when unknown."""
        return "" if self.at is None else datetime.fromtimestamp(self.at, UTC).isoformat(timespec="microseconds")


class SessionCandidates:
    """Reads one store. ``sources`` are the session sources that count without a tag.

    Every method blocks and raises :class:`~timmy_tui.services.hermes.connection.HermesError`; a store that is not
    there has no candidates.
    """

    def __init__(self, home: Path, profile: str, sources: Collection[str] = ()) -> None:
        self._home, self._profile = home, profile
        self._sources = frozenset(sources)

    def read(self, make: Callable[[SessionExchange], T]) -> tuple[T, ...]:
        """What ``make`` makes of every candidate, the oldest first; one exchange is held at a time."""
        file = self._file()
        return file.ask(lambda connection: self._read_all(connection, make)) if file.path.exists() else ()

    def load(self, session_id: str) -> SessionExchange | None:
        """One of them; None when the session is no candidate any more."""
        file = self._file()
        if not file.path.exists():
            return None
        return file.ask(lambda connection: self._read_one(connection, session_id))

    def stamp(self) -> object:
        """Changes with the store, so that an unchanged one need not be read again."""
        path = self._file().path
        found: list[tuple[int, int, int]] = []
        for part in (path, path.with_name(f"{path.name}-wal")):
            try:
                stat = part.stat()
            except OSError:
                continue
            found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        return tuple(found)

    def _file(self) -> StoreFile:
        return StoreFile(find_place(self._home, self._profile).folder / DATABASE_NAME)

    def _read_all(self, connection: sqlite3.Connection, make: Callable[[SessionExchange], T]) -> tuple[T, ...]:
        columns = columns_of(connection)
        firsts = connection.execute(
            f"SELECT session_id, MIN(id) FROM messages WHERE role = 'user' AND {columns.active}"
            " GROUP BY session_id ORDER BY MIN(id)"
        ).fetchall()
        found = (self._exchange(connection, columns, session, first) for session, first in firsts)
        return tuple(make(exchange) for exchange in found if exchange is not None)

    def _read_one(self, connection: sqlite3.Connection, session_id: str) -> SessionExchange | None:
        columns = columns_of(connection)
        row = connection.execute(
            f"SELECT session_id, MIN(id) FROM messages WHERE session_id = ? AND role = 'user' AND {columns.active}",
            (session_id,),
        ).fetchone()
        return None if row is None or row[1] is None else self._exchange(connection, columns, *row)

    def _exchange(
        self, connection: sqlite3.Connection, columns: Columns, session_id: Cell, first: int
    ) -> SessionExchange | None:
        (content,) = connection.execute("SELECT content FROM messages WHERE id = ?", (first,)).fetchone()
        session = connection.execute(
            f"SELECT {listed(('source', 'model', 'started_at'), columns.sessions)} FROM sessions"
            " WHERE id = CAST(? AS TEXT)",
            (session_id,),
        ).fetchone()
        if session is None:
            return None
        prompt = content_text(content)
        tag = _TAG.match(prompt)
        source = line(session[0]) or ""
        if tag is None and source not in self._sources:
            return None
        if source == REVIEW or (tag is not None and tag[1] == HEARTBEAT_CALLER):
            return None
        answer = _answer(connection, columns, session_id, first)
        if answer is None or not prompt.strip():
            return None
        return SessionExchange(
            session_id=raw_text(session_id),
            source=tag[1] if tag is not None else source,
            model=line(session[1]),
            at=seconds(session[2]),
            prompt=prompt,
            completion=answer,
        )


def _answer(connection: sqlite3.Connection, columns: Columns, session_id: Cell, first: int) -> str | None:
    """The assistant's text directly behind the prompt; None when tools were called, or nothing was said."""
    row = connection.execute(
        f"SELECT {listed(('role', 'content', 'tool_calls'), columns.messages)} FROM messages"
        f" WHERE session_id = CAST(? AS TEXT) AND id > ? AND {columns.active} ORDER BY id LIMIT 1",
        (session_id, first),
    ).fetchone()
    if row is None or row[0] != b"assistant":
        return None
    return answer_text(row[1], row[2])
