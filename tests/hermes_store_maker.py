"""Makes Hermes stores of any age and size, with SQLite itself: what the tests and the benchmarks read.

The column sets follow facts/hermes.md §2.1–2.2: schema 14 (no usage table), 20 (usage without ``task``),
22 (0.19.0) and 26 (columns and an external-content FTS that are newer than this program).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path

NOW = 1_795_147_500.0
"""The moment of the 0.19 fixture, in Unix seconds."""

LOCAL_URL = "http://localhost:11434/v1"
CLOUD_URL = "https://openrouter.ai/api/v1"

_SESSIONS_14 = """
    id TEXT PRIMARY KEY, source TEXT NOT NULL, user_id TEXT, model TEXT, model_config TEXT,
    system_prompt TEXT, parent_session_id TEXT, started_at REAL NOT NULL, ended_at REAL, end_reason TEXT,
    message_count INTEGER DEFAULT 0, tool_call_count INTEGER DEFAULT 0,
    input_tokens INTEGER DEFAULT 0, output_tokens INTEGER DEFAULT 0, cache_read_tokens INTEGER DEFAULT 0,
    cache_write_tokens INTEGER DEFAULT 0, reasoning_tokens INTEGER DEFAULT 0,
    billing_provider TEXT, billing_base_url TEXT, billing_mode TEXT, estimated_cost_usd REAL,
    actual_cost_usd REAL, cost_status TEXT,
    cost_source TEXT, pricing_version TEXT, title TEXT, api_call_count INTEGER DEFAULT 0"""
_SESSIONS_20 = ", session_key TEXT, chat_id TEXT, chat_type TEXT, thread_id TEXT, display_name TEXT, origin_json TEXT"
_SESSIONS_22 = """, cwd TEXT, git_branch TEXT, profile_name TEXT, rewind_count INTEGER NOT NULL DEFAULT 0,
    archived INTEGER NOT NULL DEFAULT 0"""
_SESSIONS_26 = ", last_activity_at REAL, last_read_at REAL, hidden INTEGER DEFAULT 0, pinned_at REAL"

_MESSAGES_14 = """
    id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, role TEXT NOT NULL, content TEXT,
    tool_call_id TEXT, tool_calls TEXT, tool_name TEXT, timestamp REAL NOT NULL, token_count INTEGER,
    finish_reason TEXT, reasoning TEXT, reasoning_details TEXT"""
_MESSAGES_20 = ", reasoning_content TEXT, platform_message_id TEXT"
_MESSAGES_22 = ", observed INTEGER DEFAULT 0, active INTEGER DEFAULT 1, compacted INTEGER DEFAULT 0, api_content TEXT"

_USAGE = """
    session_id TEXT NOT NULL, model TEXT NOT NULL, billing_provider TEXT NOT NULL DEFAULT '',
    billing_base_url TEXT NOT NULL DEFAULT '', billing_mode TEXT NOT NULL DEFAULT '',{task}
    api_call_count INTEGER NOT NULL DEFAULT 0, input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0, cache_read_tokens INTEGER NOT NULL DEFAULT 0,
    cache_write_tokens INTEGER NOT NULL DEFAULT 0, reasoning_tokens INTEGER NOT NULL DEFAULT 0,
    estimated_cost_usd REAL NOT NULL DEFAULT 0, actual_cost_usd REAL NOT NULL DEFAULT 0, cost_status TEXT,
    cost_source TEXT, first_seen REAL, last_seen REAL,
    PRIMARY KEY (session_id, model, billing_provider, billing_base_url, billing_mode{key})"""

_INDEXED = "COALESCE({0}.content, '') || ' ' || COALESCE({0}.tool_name, '') || ' ' || COALESCE({0}.tool_calls, '')"


class StoreWriter:
    """A read-write connection to a synthetic store, in Hermes' own place; each call is one commit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._columns: dict[str, set[str]] = {}

    def close(self) -> None:
        """Close the connection; as the last one it folds the WAL into the file."""
        self.connection.close()

    def session(self, id: str, **values: object) -> None:
        """Insert one row of ``sessions``; columns that this schema lacks are left out."""
        row = {"source": "cli", "started_at": NOW - 60, "model": "hermes4:14b", **values, "id": id}
        self._insert("sessions", row)

    def message(self, session_id: str, role: str, content: object = "text", **values: object) -> int:
        """Insert one row of ``messages``, count it in its session, and return its id."""
        row = {"timestamp": NOW - 50, **values, "session_id": session_id, "role": role, "content": content}
        self.connection.execute("BEGIN")
        id = self._insert("messages", row)
        self.connection.execute(
            "UPDATE sessions SET message_count = COALESCE(message_count, 0) + 1 WHERE id = ?", (session_id,)
        )
        self.connection.execute("COMMIT")
        return id

    def usage(self, session_id: str, **values: object) -> None:
        """Insert one row of ``session_model_usage``."""
        self._insert("session_model_usage", {"model": "hermes4:14b", **values, "session_id": session_id})

    def change(self, session_id: str, **values: object) -> None:
        """Update columns of one session."""
        names = ", ".join(f"{name} = ?" for name in values)
        self.connection.execute(f"UPDATE sessions SET {names} WHERE id = ?", (*values.values(), session_id))

    def _insert(self, table: str, row: dict[str, object]) -> int:
        if table not in self._columns:
            rows = self.connection.execute(f"PRAGMA table_info({table})")
            self._columns[table] = {name for _, name, *_ in rows}
        row = {name: value for name, value in row.items() if name in self._columns[table]}
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        cursor = self.connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))
        return cursor.lastrowid or 0


def make_empty_store(path: Path, *, schema: int = 22, journal: str = "wal", fts: bool = True) -> StoreWriter:
    """Create the tables of ``schema`` in a new file at ``path``, without rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = StoreWriter(path)
    run = writer.connection.execute
    run(f"PRAGMA journal_mode={journal}")
    run("PRAGMA synchronous=OFF")
    run("BEGIN")
    run("CREATE TABLE schema_version (version INTEGER NOT NULL)")
    run("INSERT INTO schema_version VALUES (?)", (schema,))
    sessions, messages = _SESSIONS_14, _MESSAGES_14
    if schema >= 20:
        sessions, messages = sessions + _SESSIONS_20, messages + _MESSAGES_20
        task = (" task TEXT NOT NULL DEFAULT '',", ", task") if schema >= 22 else ("", "")
        run(f"CREATE TABLE session_model_usage ({_USAGE.format(task=task[0], key=task[1])})")
        run("CREATE INDEX idx_session_model_usage_session ON session_model_usage(session_id)")
    if schema >= 22:
        sessions, messages = sessions + _SESSIONS_22, messages + _MESSAGES_22
    if schema >= 25:
        sessions += _SESSIONS_26
    run(f"CREATE TABLE sessions ({sessions})")
    run(f"CREATE TABLE messages ({messages})")
    run("CREATE INDEX idx_sessions_started ON sessions(started_at DESC)")
    run("CREATE INDEX idx_messages_session ON messages(session_id, timestamp)")
    if schema >= 22:
        run("CREATE INDEX idx_messages_session_active ON messages(session_id, active, timestamp)")
    if fts:
        for statement in _fts(external=schema >= 23):
            run(statement)
    run("COMMIT")
    return writer


def _fts(*, external: bool) -> Iterable[str]:
    new, old = _INDEXED.format("new"), _INDEXED.format("old")
    source = ""
    if external:
        indexed = _INDEXED.format("messages")
        yield f"CREATE VIEW messages_fts_source AS SELECT id, {indexed} AS content FROM messages"
        source = ", content='messages_fts_source', content_rowid='id'"
    for table, tokens in (("messages_fts", ""), ("messages_fts_trigram", ", tokenize='trigram'")):
        remove = (
            f"INSERT INTO {table}({table}, rowid, content) VALUES ('delete', old.id, {old});"
            if external
            else f"DELETE FROM {table} WHERE rowid = old.id;"
        )
        add = f"INSERT INTO {table}(rowid, content) VALUES (new.id, {new});"
        yield f"CREATE VIRTUAL TABLE {table} USING fts5(content{source}{tokens})"
        yield f"CREATE TRIGGER {table}_insert AFTER INSERT ON messages BEGIN {add} END"
        yield f"CREATE TRIGGER {table}_delete AFTER DELETE ON messages BEGIN {remove} END"
        yield f"CREATE TRIGGER {table}_update AFTER UPDATE ON messages BEGIN {remove} {add} END"


def make_store(
    path: Path,
    *,
    schema: int = 22,
    sessions: int = 8,
    messages_per_session: int = 4,
    spacing_s: float = 600.0,
    system_prompt_bytes: int = 2_000,
    now: float = NOW,
    journal: str = "wal",
    fts: bool = True,
) -> Path:
    """A store of ``sessions`` × ``messages_per_session``, one each ``spacing_s`` before ``now``, at ``path``.

    Messages run user, assistant with a tool call, tool, assistant. Every fourth session is billed at a cloud
    address with an estimated price, every eighth is a failed heartbeat (one user message, no tokens).
    """
    writer = make_empty_store(path, schema=schema, journal=journal, fts=fts)
    writer.connection.execute("BEGIN")
    prompt = "p" * system_prompt_bytes
    for number in range(sessions):
        _make_session(writer, number, messages_per_session, now - (number + 1) * spacing_s, prompt, schema)
    writer.connection.execute("COMMIT")
    writer.close()
    return path


def _make_session(writer: StoreWriter, number: int, messages: int, started_at: float, prompt: str, schema: int) -> None:
    id = f"s{number:06d}"
    failed, cloud = number % 8 == 7, number % 4 == 2
    model = "anthropic/claude-sonnet-4.5" if cloud else "hermes4:14b"
    url = None if failed else CLOUD_URL if cloud else LOCAL_URL
    rows = 1 if failed else messages
    tools = sum(1 for step in range(rows) if step % 4 == 2)
    calls = 0 if failed else max(1, rows // 2)
    tokens = {"input_tokens": 1_000 * calls, "output_tokens": 20 * calls, "cache_read_tokens": 5 * calls}
    cost = {"estimated_cost_usd": 0.01 if cloud else 0.0, "cost_status": "estimated" if cloud else "unknown"}
    writer.session(
        id,
        source="heartbeat" if number % 2 else "cli",
        model=model,
        system_prompt=prompt,
        started_at=started_at,
        message_count=rows,
        tool_call_count=tools,
        api_call_count=calls,
        billing_base_url=url,
        **(tokens | cost if not failed else {}),
    )
    if schema >= 20 and not failed:
        writer.usage(id, model=model, billing_base_url=url, api_call_count=calls, **tokens)
    for step in range(rows):
        role = ("user", "assistant", "tool", "assistant")[step % 4]
        call = step % 4 == 1 and step + 1 < rows
        writer._insert(
            "messages",
            {
                "session_id": id,
                "role": role,
                "content": "" if call else f"message {step} of session {number}: the disk is fine",
                "timestamp": started_at + step,
                "finish_reason": ("tool_calls" if call else "stop") if role == "assistant" else None,
                "tool_calls": json.dumps([tool_call(f"call_{step}", "terminal", {"command": "df"})]) if call else None,
                "tool_call_id": f"call_{step - 1}" if role == "tool" else None,
                "tool_name": "terminal" if role == "tool" else None,
            },
        )


def tool_call(id: str, name: str, arguments: object) -> dict[str, object]:
    """One entry of ``messages.tool_calls`` as Hermes stores it (facts/hermes.md §9)."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": id, "call_id": id, "type": "function", "function": {"name": name, "arguments": text}}
