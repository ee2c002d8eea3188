"""``TIMMY_HOME/timmy.db``: provider metrics, the event log and the approvals, shared by every process of the machine.

An existing stack may own the first two tables already (DESIGN §8): they are adopted with their rows, and what is
missing is added as columns.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from timmy_tui.services.reading import SourceError
from timmy_tui.text import clean, clean_error

BUSY_TIMEOUT_S = 5.0

_WAL_RETRY_S = 0.02

_TABLES: dict[str, dict[str, str]] = {
    "provider_metrics": {
        "provider_name": "TEXT PRIMARY KEY",
        "total_requests": "INTEGER DEFAULT 0",
        "successful_requests": "INTEGER DEFAULT 0",
        "failed_requests": "INTEGER DEFAULT 0",
        "avg_latency_ms": "REAL",
        "last_error_time": "REAL",
        "circuit_state": "TEXT DEFAULT 'closed'",
        "updated_at": "REAL",
        "last_error": "TEXT",
        "opened_at": "REAL",
        "next_try_at": "REAL",
        "consecutive_failures": "INTEGER DEFAULT 0",
        "latency_buckets": "TEXT",
        "half_open_leases": "TEXT",
    },
    "event_log": {
        "id": "INTEGER PRIMARY KEY",
        "event_type": "TEXT",
        "source": "TEXT",
        "task_id": "TEXT",
        "agent_id": "TEXT",
        "data": "TEXT",
        "timestamp": "REAL",
    },
    "approvals": {
        "id": "TEXT PRIMARY KEY",
        "tick_id": "TEXT",
        "action": "TEXT",
        "said": "TEXT",
        "state": "TEXT",
        "created_at": "REAL",
        "expires_at": "REAL",
        "decided_at": "REAL",
        "decided_by": "TEXT",
        "started_at": "REAL",
        "finished_at": "REAL",
        "exit_code": "INTEGER",
        "output": "TEXT",
    },
}


class DatabaseError(SourceError):
    """``timmy.db`` can't be opened, read or written."""


def open_database(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode, every table in place; use it in one thread and close it.

    Commits survive the death of any process; the last ones before a power cut may be missing, whole, never torn.
    Raises :class:`DatabaseError`.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.exists()
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise database_error(path, error) from None
    try:
        if not found:
            # Nothing is in it yet; the -wal and -shm files take its mode. Opening the file ourselves to create it
            # would, on closing, drop the locks that another connection of this process holds.
            path.chmod(0o600)
        _prepare(connection, path)
    except (OSError, sqlite3.Error) as error:
        connection.close()
        raise database_error(path, error) from None
    except DatabaseError:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection inside ``BEGIN IMMEDIATE``: no other process writes until the block ends.

    Committed at its end, rolled back when it raises. Raises :class:`DatabaseError` for whatever SQLite says.
    """
    with closing(open_database(path)) as connection:
        try:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
        except sqlite3.Error as error:
            raise database_error(path, error) from None


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A read-only connection, or None when there is no database yet; none is made.

    Raises :class:`DatabaseError`.
    """
    if not path.exists():
        yield None
        return
    try:
        address = f"file:{quote(os.fsencode(path))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_S)) as connection:
            _survive_bad_text(connection)
            yield connection
    except sqlite3.Error as error:
        raise database_error(path, error) from None


def columns_of(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """The columns of ``table`` with their declared types in capitals; empty when there is no such table."""
    return {row[1]: str(row[2]).upper() for row in connection.execute(f"PRAGMA table_info({table})")}


def database_error(path: Path, error: OSError | sqlite3.Error) -> DatabaseError:
    """``error`` in the operator's words."""
    name = clean(path.name)
    if isinstance(error, OSError):
        return DatabaseError(f"{clean(str(path))}: {clean_error(error.strerror or error)}", "timmy-tui doctor")
    said = str(error)
    if "locked" in said or "busy" in said:
        return DatabaseError(f"{name} is locked by another process for more than {BUSY_TIMEOUT_S:g} s")
    if "not a database" in said or "malformed" in said:
        return DatabaseError(
            f"{name} is damaged ({clean_error(said)})", f"Move it away; a new one is made: mv {clean(str(path))} …"
        )
    if "full" in said:
        return DatabaseError(f"{name} can't be written: the disk is full")
    return DatabaseError(f"{name}: {clean_error(said)}", "timmy-tui doctor")


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    _survive_bad_text(connection)
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous=NORMAL")
    if any(columns.keys() - columns_of(connection, table).keys() for table, columns in _TABLES.items()):
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            _migrate(connection, path)


def _survive_bad_text(connection: sqlite3.Connection) -> None:
    connection.text_factory = lambda raw: raw.decode(errors="replace")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to WAL once in the file's life. SQLite's busy timeout does not cover the switch."""
    end = time.monotonic() + BUSY_TIMEOUT_S
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return  # a file system that has no WAL keeps its journal
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(_WAL_RETRY_S)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    for table, columns in _TABLES.items():
        declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({declared})")
        present = columns_of(connection, table)
        for name, kind in columns.items():
            if name in present:
                continue
            if "PRIMARY KEY" in kind:
                raise DatabaseError(
                    f"{clean(path.name)} has a table {table} of another kind: it lacks {name}",
                    "Set TIMMY_HOME to a folder of its own",
                )
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")
