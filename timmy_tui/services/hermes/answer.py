"""One session's answer as Hermes stored it, verbatim: what the model said without what Hermes printed around it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from msgspec import Struct

from timmy_tui.services.hermes.cells import count, line, raw_text
from timmy_tui.services.hermes.columns import columns_of, listed
from timmy_tui.services.hermes.connection import HermesError, StoreFile
from timmy_tui.services.hermes.content import content_text
from timmy_tui.services.hermes.profiles import DATABASE_NAME, find_place
from timmy_tui.services.hermes.records import Tokens

__all__ = ["HermesError", "RawAnswer", "last_answer"]

_SESSION = ("model", "billing_base_url", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
_MESSAGE = ("content", "finish_reason")


class RawAnswer(Struct, frozen=True):
    """The last assistant message of a session; ``text`` is not cleaned."""

    text: str
    model: str | None
    """The model that really answered: a fallback changes it (facts/hermes.md §10.11)."""
    base_url: str | None
    """Where it answered; None when no call was accounted. Raw: it may hold a key."""
    tokens: Tokens
    finish_reason: str | None


def last_answer(home: Path, profile: str, session_id: str) -> RawAnswer | None:
    """The last thing the model said in a session; None without such a session or without an answer.

    Its reasoning is not in it: Hermes keeps that in a column of its own. Blocks. Raises :class:`HermesError`.
    """
    file = StoreFile(find_place(home, profile).folder / DATABASE_NAME)
    return file.ask(lambda connection: _read(connection, session_id.encode("utf-8", "replace").decode()))


def _read(connection: sqlite3.Connection, session_id: str) -> RawAnswer | None:
    columns = columns_of(connection)
    session = connection.execute(
        f"SELECT {listed(_SESSION, columns.sessions)} FROM sessions WHERE id = ?", (session_id,)
    ).fetchone()
    message = connection.execute(
        f"SELECT {listed(_MESSAGE, columns.messages)} FROM messages"
        f" WHERE session_id = ? AND role = 'assistant' AND {columns.active} ORDER BY id DESC LIMIT 1",
        (session_id,),
    ).fetchone()
    if session is None or message is None:
        return None
    model, base_url, *tokens = session
    sent, got, cache_read, cache_write = map(count, tokens)
    return RawAnswer(
        text=content_text(message[0]),
        model=line(model),
        base_url=raw_text(base_url) or None,
        tokens=Tokens(sent, got, cache_read, cache_write),
        finish_reason=line(message[1]),
    )
