"""Which tables and columns a store has: Hermes adds them at any open (facts/hermes.md §2.2)."""

from __future__ import annotations

import sqlite3

from msgspec import Struct

from timmy_tui.services.hermes.cells import raw_text
from timmy_tui.services.hermes.connection import HermesError


class Columns(Struct, frozen=True):
    """The column names of the tables that are read; a missing table has none."""

    sessions: frozenset[str]
    messages: frozenset[str]
    usage: frozenset[str]
    """Of ``session_model_usage``, which stores before schema 20 lack."""
    indexes: frozenset[str]
    """The full-text tables that exist: ``messages_fts``, ``messages_fts_trigram``."""

    @property
    def active(self) -> str:
        """The condition for a message that is still part of its conversation; NULL counts (§10.5)."""
        active = "COALESCE(active, 1) = 1" if "active" in self.messages else "1"
        # Scaffolding that Hermes itself never shows (schema 30).
        shown = " AND COALESCE(display_kind, '') <> 'hidden'" if "display_kind" in self.messages else ""
        return active + shown

    @property
    def visible(self) -> str:
        """SQL for sessions that Hermes itself lists (schema 30 hides some)."""
        return "COALESCE(hidden, 0) = 0" if "hidden" in self.sessions else "1"


_NEEDED = frozenset({"id", "started_at"}), frozenset({"id", "session_id", "role", "content", "timestamp"})


def columns_of(connection: sqlite3.Connection) -> Columns:
    """Look at the schema.

    Raises ``sqlite3.Error`` (also while a migration has a table away), ``HermesError`` for one that is not Hermes'.
    """
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE name IN ('messages_fts', 'messages_fts_trigram', 'session_turn_leases')"
    )
    sessions, messages = _needed(connection, "sessions", _NEEDED[0]), _needed(connection, "messages", _NEEDED[1])
    return Columns(
        sessions=sessions,
        messages=messages,
        usage=_names(connection, "session_model_usage"),
        indexes=frozenset(raw_text(name) for (name,) in tables),
    )


def index_incomplete(connection: sqlite3.Connection) -> bool:
    """Whether Hermes makes its full-text index anew, of which a part is there (schema 30, hermes-jobs.md §E)."""
    if not _names(connection, "state_meta"):
        return False
    found = connection.execute("SELECT 1 FROM state_meta WHERE key LIKE 'fts_rebuild_%' LIMIT 1")
    return found.fetchone() is not None


def _needed(connection: sqlite3.Connection, table: str, columns: frozenset[str]) -> frozenset[str]:
    names = _names(connection, table)
    if not names:
        raise sqlite3.OperationalError(f"no such table: {table}")
    if not columns <= names:
        raise HermesError(
            f"Hermes' table {table} lacks {', '.join(sorted(columns - names))}: a layout that is not known here",
            "look for a newer timmy-tui",
        )
    return names


def _names(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    return frozenset(raw_text(row[1]).lower() for row in connection.execute(f"PRAGMA table_info({table})"))


def listed(wanted: tuple[str, ...], present: frozenset[str]) -> str:
    """A select list of exactly ``wanted``, in order: NULL stands for a column that this store lacks."""
    return ", ".join(name if name in present else f"NULL AS {name}" for name in wanted)
