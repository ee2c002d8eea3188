"""The export of what was said: user→assistant pairs of every Hermes session, as lines of JSON.

``TIMMY_HOME/exports/sessions.jsonl`` grows; ``sessions.state.json`` beside it says how far each store was read. Texts
are verbatim but for secrets, which are masked. A pair is an assistant's first answer to a user's message, tool calls
in between left out; what is rewound in Hermes later stays in the file.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from timmy_tui.config import Settings
from timmy_tui.masking import masked
from timmy_tui.services.appending import make_private_folder, sync_folder
from timmy_tui.services.hermes.cells import Cell, count, line, raw_text, seconds
from timmy_tui.services.hermes.columns import Columns, columns_of, listed
from timmy_tui.services.hermes.connection import StoreFile, missing_store
from timmy_tui.services.hermes.content import answer_text, content_text
from timmy_tui.services.hermes.profiles import DATABASE_NAME, find_place
from timmy_tui.services.reading import SourceError
from timmy_tui.text import clean, clean_error

EXPORT_NAME = "sessions.jsonl"
STATE_NAME = "sessions.state.json"

ANSWERS_PER_LOOK = 500
"""Answers read within one short transaction of Hermes' file."""
ANSWERS_PER_RUN = 20_000
TEXT_MAX_CHARACTERS = 1_000_000
"""A longer text is a file, not something that was said; its pair is left out."""


class SessionExportError(SourceError):
    """The export can't be written. A store that can't be read is a ``HermesError``."""


class Exported(Struct, frozen=True):
    """What one run did."""

    pairs: int
    more: bool
    """The run's bound was reached: there is more to export."""
    path: Path


class _State(Struct):
    """How far the export is: ``last_ids`` by store path, and the size of the file that holds all of it."""

    last_ids: dict[str, int] = {}
    size_bytes: int = 0
    writing: bool = False
    """Lines were about to be written behind ``size_bytes``: what stands there is unfinished."""
    exported_at: float = 0.0
    """When everything was exported last, in Unix seconds."""


class _Pair(Struct):
    """One line of the export."""

    session_id: str
    source: str | None
    model: str | None
    at: str | None
    user: str
    assistant: str


class _Batch(Struct, frozen=True):
    """The pairs of one look, up to and including the message ``last_id``."""

    pairs: tuple[_Pair, ...]
    last_id: int
    more: bool


def last_export_at(settings: Settings) -> float | None:
    """When everything was exported last, in Unix seconds; None for never."""
    return _read_state(_folder(settings)).exported_at or None


def export_sessions(
    settings: Settings,
    *,
    clock: Callable[[], float] = time.time,
    answers_per_look: int = ANSWERS_PER_LOOK,
    answers_per_run: int = ANSWERS_PER_RUN,
) -> Exported:
    """Append the pairs that are new since the last run, at most ``answers_per_run``. Blocks.

    A run that is killed leaves nothing behind that the next one would not put right: no pair twice, none missing.
    Where another run is under way, nothing is done. Raises :class:`SessionExportError`, ``HermesError``.
    """
    folder = _folder(settings)
    path = folder / EXPORT_NAME
    place = find_place(settings.hermes_home, settings.config.hermes.profile)
    store = StoreFile(place.folder / DATABASE_NAME)
    if not store.path.exists():
        raise missing_store(place.folder)
    try:
        with _alone(folder, path) as descriptor:
            if descriptor is None:
                return Exported(0, more=False, path=path)
            state = _settled(folder, descriptor)
            key, pairs, looked, more = str(store.path), 0, 0, True
            while more and looked < answers_per_run:
                batch = _next_batch(store, state.last_ids.get(key, 0), answers_per_look)
                _append(folder, descriptor, state, batch.pairs)
                state.last_ids[key] = batch.last_id
                pairs, looked, more = pairs + len(batch.pairs), looked + answers_per_look, batch.more
                state.exported_at = state.exported_at if more else clock()
                _write_state(folder, state)
            return Exported(pairs, more, path)
    except OSError as error:
        raise SessionExportError(
            f"{clean(str(path))}: {clean_error(error.strerror or error)}", "check the folder's permissions and room"
        ) from None


def _folder(settings: Settings) -> Path:
    return settings.timmy_home / "exports"


@contextmanager
def _alone(folder: Path, path: Path) -> Iterator[int | None]:
    """The export opened for appending, locked against other runs; None when there is one."""
    make_private_folder(folder)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
    finally:
        os.close(descriptor)


def _settled(folder: Path, descriptor: int) -> _State:
    """The state, after what a killed run left unfinished was cut off. An export that was taken away begins anew."""
    state = _read_state(folder)
    size_bytes = os.fstat(descriptor).st_size
    if size_bytes == 0:
        return _State()
    if state.writing and size_bytes > state.size_bytes:
        os.ftruncate(descriptor, state.size_bytes)
    state.writing = False
    return state


def _append(folder: Path, descriptor: int, state: _State, pairs: Iterable[_Pair]) -> None:
    """Write the pairs' lines; the state says before that it will, and the caller's after that it has."""
    lines = "".join(f"{json.dumps(msgspec.to_builtins(pair))}\n" for pair in pairs).encode()
    if not lines:
        return
    state.size_bytes, state.writing = os.fstat(descriptor).st_size, True
    _write_state(folder, state)
    view = memoryview(lines)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fsync(descriptor)
    state.size_bytes, state.writing = os.fstat(descriptor).st_size, False


def _read_state(folder: Path) -> _State:
    try:
        return msgspec.json.decode((folder / STATE_NAME).read_bytes(), type=_State)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return _State()


def _write_state(folder: Path, state: _State) -> None:
    """Replace the state's file in one step, on disk when this returns."""
    temporary = folder / f"{STATE_NAME}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, msgspec.json.encode(state))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, folder / STATE_NAME)
    sync_folder(folder)


def _next_batch(store: StoreFile, last_id: int, limit: int) -> _Batch:
    return store.ask(lambda connection: _read(connection, last_id, limit))


def _read(connection: sqlite3.Connection, last_id: int, limit: int) -> _Batch:
    """The pairs whose answers stand behind ``last_id``. Raises ``sqlite3.Error``, ``HermesError``."""
    columns = columns_of(connection)
    (newest,) = connection.execute("SELECT MAX(id) FROM messages").fetchone()
    newest = count(newest)
    if newest < last_id:
        last_id = 0  # another store has taken the place of the one that was read
    rows = connection.execute(
        f"SELECT {listed(('id', 'session_id', 'content', 'timestamp', 'tool_calls'), columns.messages)} FROM messages"
        f" WHERE id > ? AND role = 'assistant' AND {columns.active} ORDER BY id LIMIT ?",
        (last_id, limit),
    ).fetchall()
    sessions = _sessions(connection, columns, {row[1] for row in rows})
    pairs = []
    for id, session_id, content, timestamp, tool_calls in rows:
        answer = _answer(content, tool_calls)
        question = None if answer is None else _question(connection, columns, session_id, id)
        if answer is None or question is None:
            continue
        source, model = sessions.get(session_id, (None, None))
        pairs.append(_Pair(raw_text(session_id), source, model, _iso(timestamp), masked(question), masked(answer)))
    more = len(rows) == limit
    return _Batch(tuple(pairs), count(rows[-1][0]) if more else newest, more)


def _sessions(
    connection: sqlite3.Connection, columns: Columns, ids: set[Cell]
) -> dict[Cell, tuple[str | None, str | None]]:
    """Source and model of each session."""
    select = f"SELECT {listed(('source', 'model'), columns.sessions)} FROM sessions WHERE id = CAST(? AS TEXT)"
    found = {}
    for id in ids:
        row = connection.execute(select, (id,)).fetchone()
        if row is not None:
            found[id] = (line(row[0]), line(row[1]))
    return found


def _question(connection: sqlite3.Connection, columns: Columns, session_id: Cell, answer_id: int) -> str | None:
    """The user's message that an answer is the first one to; None when there is none, or an answer before."""
    earlier = connection.execute(
        f"SELECT {listed(('role', 'content', 'tool_calls'), columns.messages)} FROM messages"
        f" WHERE session_id = CAST(? AS TEXT) AND id < ? AND {columns.active} ORDER BY id DESC",
        (session_id, answer_id),
    )
    for role, content, tool_calls in earlier:
        if role == b"user":
            question = content_text(content)
            return question if question.strip() and len(question) <= TEXT_MAX_CHARACTERS else None
        if role == b"assistant" and _answer(content, tool_calls) is not None:
            return None
    return None


def _answer(content: Cell, tool_calls: Cell) -> str | None:
    """The text of an assistant's message that is an answer of a length that somebody said."""
    said = answer_text(content, tool_calls)
    return said if said is not None and len(said) <= TEXT_MAX_CHARACTERS else None


def _iso(timestamp: Cell) -> str | None:
    at = seconds(timestamp)
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
