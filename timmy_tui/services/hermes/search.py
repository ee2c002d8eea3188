"""Search in all messages: by Hermes' full-text tables, else by comparing (facts/hermes.md §2.1, §10.5)."""

from __future__ import annotations

import re
import sqlite3

from timmy_tui.services.hermes.cells import Row, count, line, raw_text, seconds
from timmy_tui.services.hermes.columns import Columns, columns_of, listed
from timmy_tui.services.hermes.connection import is_passing
from timmy_tui.services.hermes.content import content_text
from timmy_tui.services.hermes.records import SearchHit
from timmy_tui.text import clean

_COLUMNS = ("session_id", "id", "role", "timestamp", "content", "tool_name", "tool_calls")
_TEXT_LIMIT = 400
_WORDS_LIMIT = 16
_BEFORE = 40
_SNIPPET = 160


def find_messages(connection: sqlite3.Connection, text: str, limit: int) -> tuple[SearchHit, ...]:
    """Messages that hold every word and "quoted phrase" of ``text``, best first; nothing for a blank text.

    Whole words first (the last one may be unfinished); when none match, substrings of 3 characters or more;
    without usable full-text tables, newest first. Raises ``sqlite3.Error``.
    """
    words, finished = _words(text)
    if not words:
        return ()
    columns = columns_of(connection)
    rows: list[Row] | None = None
    if any(character.isalnum() for character in "".join(words)):
        match = " ".join(map(_quoted, words))
        rows = _matches(connection, columns, "messages_fts", match if finished else match + "*", limit)
        if not rows and min(map(len, words)) >= 3:
            parts = _matches(connection, columns, "messages_fts_trigram", match, limit)
            rows = parts if parts is not None else rows
    if rows is None:
        rows = _compared(connection, columns, words, limit)
    return tuple(_hit(row, words) for row in rows)


_WORD = re.compile(r'"([^"]+)"|(\S+)')


def _words(text: str) -> tuple[list[str], bool]:
    """The words of ``text``, a phrase in quotes as one; and whether the last one is complete, as a phrase is."""
    text = text[:_TEXT_LIMIT].replace("\x00", " ").encode("utf-8", "replace").decode()
    found = [match for match in _WORD.finditer(text) if match[0].strip('" ')][:_WORDS_LIMIT]
    words = [" ".join((match[1] or match[2]).split()) for match in found]
    return words, bool(found) and found[-1][1] is not None


def _quoted(word: str) -> str:
    """A word as an FTS5 string, in which nothing but the quote itself has a meaning."""
    return '"' + word.replace('"', '""') + '"'


def _matches(connection: sqlite3.Connection, columns: Columns, table: str, match: str, limit: int) -> list[Row] | None:
    """What one full-text table finds; None when it is missing, damaged, or needs another SQLite."""
    if table not in columns.indexes:
        return None
    try:
        return connection.execute(
            f"SELECT {_prefixed(columns)} FROM {table} JOIN messages AS m ON m.id = {table}.rowid"
            f" WHERE {table} MATCH ? AND {columns.active} ORDER BY {table}.rank LIMIT ?",
            (match, limit),
        ).fetchall()
    except sqlite3.DatabaseError as error:
        if is_passing(error) and "no such table" not in str(error):
            raise
        return None


def _prefixed(columns: Columns) -> str:
    """The select list, told apart from the full-text table's own ``content``."""
    names = listed(_COLUMNS, columns.messages).split(", ")
    return ", ".join(name if name.startswith("NULL") else f"m.{name}" for name in names)


def _compared(connection: sqlite3.Connection, columns: Columns, words: list[str], limit: int) -> list[Row]:
    """Newest first, by ``LIKE`` over every message; it does not see behind the NUL of multimodal content."""
    condition = " AND ".join(["content LIKE ? ESCAPE '\\'"] * len(words))
    patterns = ["%" + re.sub(r"([\\%_])", r"\\\1", word) + "%" for word in words]
    return connection.execute(
        f"SELECT {listed(_COLUMNS, columns.messages)} FROM messages WHERE {condition} AND {columns.active}"
        " ORDER BY id DESC LIMIT ?",
        (*patterns, limit),
    ).fetchall()


def _hit(row: Row, words: list[str]) -> SearchHit:
    content = " ".join(content_text(row[4]).split())
    call = f"{raw_text(row[5])} {raw_text(row[6])}".strip()
    snippet = _around(content, words) or _around(call, words) or _cut(content or call, 0)
    return SearchHit(
        session_id=line(row[0]) or "",
        message_id=count(row[1]),
        role=line(row[2], limit=40) or "unknown",
        at=seconds(row[3]),
        snippet=clean(snippet),
    )


def _around(text: str, words: list[str]) -> str | None:
    """A line of ``text`` around the first of ``words`` in it; None when it has none of them."""
    for word in words:
        found = re.search(re.escape(word), text, re.IGNORECASE)
        if found:
            return _cut(text, max(0, found.start() - _BEFORE))
    return None


def _cut(text: str, start: int) -> str:
    piece = text[start : start + _SNIPPET]
    return ("…" if start else "") + piece + ("…" if start + _SNIPPET < len(text) else "")
