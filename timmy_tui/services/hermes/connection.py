"""Short, read-only looks into Hermes' SQLite file; its failures in plain words (facts/hermes.md §2.3).

Every look opens, asks and closes: a connection that stays open would keep Hermes from folding its WAL and
from repairing the file. Nothing is ever written; SQLite itself may leave ``-shm``/``-wal`` beside a WAL file,
as it does for Hermes' own readers.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from timmy_tui.services.reading import SourceError
from timmy_tui.text import clean, clean_error

T = TypeVar("T")

ATTEMPTS = 3
RETRY_PAUSE_S = 0.05
BUSY_TIMEOUT_S = 0.25
"""How long SQLite itself waits for a lock, per attempt."""

_PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_SCHEMA,
    sqlite3.SQLITE_CANTOPEN,
}
_PASSING_TEXTS = ("no such table", "no such column", "schema has changed")
_NO_ENTRY = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY}


class HermesError(SourceError):
    """The Hermes store can't be read; the one exception of this service."""


def missing_store(home: Path) -> HermesError:
    """The error for a home without any store."""
    if not os.path.exists(home):
        return HermesError(
            f"No Hermes store at {clean(str(home))}",
            "run `hermes` once to create it, or set hermes.home to where it is",
        )
    return HermesError(
        f"No state.db in {clean(str(home))}",
        "run `hermes` once to create it, or set hermes.home to where it is",
    )


class StoreFile:
    """One SQLite file of Hermes'; :meth:`ask` may be called from any thread."""

    def __init__(
        self,
        path: Path,
        *,
        pause: Callable[[float], None] = time.sleep,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> None:
        self.path = path.absolute()
        self._pause = pause
        self._busy_timeout_s = busy_timeout_s

    def ask(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """The answer of ``query`` within one short read transaction; TEXT cells arrive as bytes.

        What passes by itself (a lock, a running migration, an I/O hiccup) is tried :data:`ATTEMPTS` times, so
        ``query`` must change nothing before it has everything. Raises :class:`HermesError`.
        """
        for attempt in range(ATTEMPTS - 1):
            try:
                return self._ask_once(query)
            except sqlite3.Error as error:
                if not is_passing(error):
                    raise explained(error, self.path) from error
            self._pause(RETRY_PAUSE_S * (attempt + 1))
        try:
            return self._ask_once(query)
        except sqlite3.Error as error:
            raise explained(error, self.path) from error

    def _ask_once(self, query: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with closing(self._open("mode=ro")) as connection:
                return query(connection)
        except UnicodeDecodeError as error:  # Python could not read SQLite's own complaint about a damaged schema
            raise damaged(self.path, "its schema can't be read") from error
        except sqlite3.OperationalError as error:
            if _code(error) not in _NO_ENTRY or not self._frozen():
                raise
        with closing(self._open("mode=ro&immutable=1")) as connection:
            return query(connection)

    def _open(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?{mode}",
            uri=True,
            timeout=self._busy_timeout_s,
            isolation_level=None,
        )
        connection.text_factory = bytes  # invalid UTF-8 must not stop a row
        try:
            connection.execute("BEGIN")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _frozen(self) -> bool:
        """The folder is read-only and the WAL holds nothing: only then does ``immutable`` tell the truth."""
        effective = os.access in os.supports_effective_ids
        if os.access(self.path.parent, os.W_OK, effective_ids=effective) or not os.path.isfile(self.path):
            return False
        wal = f"{self.path}-wal"
        return not (os.path.exists(wal) and os.path.getsize(wal))


def is_passing(error: sqlite3.Error) -> bool:
    """The failure may be gone in a moment (facts/hermes.md §2.3)."""
    return _code(error) in _PASSING or any(text in str(error) for text in _PASSING_TEXTS)


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 for an error of the Python module itself."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def explained_stat(error: OSError, path: Path) -> HermesError:
    """``error`` of a look at the file at ``path``, as one line."""
    return HermesError(
        f"{clean(str(path))} can't be looked at: {clean_error(error.strerror or error)}",
        "run as the user that runs hermes, or check its permissions",
    )


def damaged(path: Path, reason: str) -> HermesError:
    """The error for a database with broken pages."""
    return HermesError(f"{clean(str(path))} is damaged: {reason}", "run: hermes doctor")


def explained(error: sqlite3.Error, path: Path) -> HermesError:
    """``error`` as one line that says what is wrong with the file at ``path``, and what to do."""
    shown, code = clean(str(path)), _code(error)
    wrong_home = "set hermes.home to the folder that holds Hermes' state.db"
    try:
        if path.is_dir():
            return HermesError(f"{shown} is a folder, not Hermes' database", wrong_home)
        if not path.exists():
            return missing_store(path.parent)
        size_bytes = path.stat().st_size
    except OSError as cause:
        return explained_stat(cause, path)
    if code == sqlite3.SQLITE_NOTADB:
        return HermesError(f"{shown} is not a SQLite database", wrong_home)
    if code == sqlite3.SQLITE_CORRUPT:
        return damaged(path, clean_error(error))
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return HermesError(
            f"{shown} is locked by another process", "if it stays so, look for a hermes command that hangs"
        )
    if code in _NO_ENTRY:
        effective = os.access in os.supports_effective_ids
        if not os.access(path, os.R_OK, effective_ids=effective):
            return HermesError(f"{shown}: permission denied", "run as the user that runs hermes")
        return HermesError(
            f"{shown} can't be opened: {clean_error(error)}",
            "its folder must be writable while Hermes' WAL is in use",
        )
    if "no such table" in str(error):
        if size_bytes == 0:
            return HermesError(f"{shown} is empty", "run `hermes` once; it creates its tables")
        return HermesError(
            f"{shown} lacks a table: {clean_error(error)}",
            "Hermes may be migrating it; if not, run: hermes doctor",
        )
    return HermesError(f"{shown} can't be read: {clean_error(error)}", "run: hermes doctor")
