"""Stores of every age, and cells of every type: Hermes adds columns as it goes, and SQLite checks no types."""

from __future__ import annotations

from pathlib import Path

import pytest
from hermes_store_maker import NOW, make_empty_store, make_store
from hypothesis import given, settings
from hypothesis import strategies as st

from timmy_tui.services.hermes.cells import count, dollars, line, seconds
from timmy_tui.services.hermes.store import HermesStore

SCHEMAS = [14, 20, 22, 26]


def store_of(home: Path) -> HermesStore:
    return HermesStore(home, clock=lambda: NOW, pause=lambda s: None, busy_timeout_s=0)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_schema_tells_the_same_of_the_same_runs(tmp_path: Path, schema: int) -> None:
    make_store(tmp_path / "state.db", schema=schema, sessions=16, messages_per_session=8)
    reading = store_of(tmp_path).read()
    assert len(reading.sessions) == 16
    assert reading.by_source == (("cli", 8), ("heartbeat", 8))
    assert reading.tool_calls == (("terminal", 28),)
    assert (reading.tokens.total, reading.cloud_tokens) == (14 * 4_100, 4 * 4_100)
    assert [(usage.model, usage.place, usage.sessions, usage.calls) for usage in reading.by_model] == [
        ("hermes4:14b", "local", 10, 40),
        ("anthropic/claude-sonnet-4.5", "cloud", 4, 16),
    ]
    assert reading.cost_usd == pytest.approx(0.04)
    assert reading.unpriced_sessions == 10
    assert (reading.count("failed", NOW), reading.count("done", NOW)) == (2, 14)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_schema_has_transcripts_and_search(tmp_path: Path, schema: int) -> None:
    make_store(tmp_path / "state.db", schema=schema, sessions=4)
    store = store_of(tmp_path)
    transcript = store.transcript("s000001")
    assert [message.role for message in transcript.messages] == ["user", "assistant", "assistant"]
    assert transcript.messages[1].tool_calls[0].result == "message 2 of session 1: the disk is fine"
    hits = store.search('"session 3"')
    assert {hit.session_id for hit in hits} == {"s000003"}
    assert len(store.search("disk", limit=5)) == 5


def test_columns_added_by_a_newer_hermes_change_nothing(tmp_path: Path) -> None:
    make_store(tmp_path / "state.db", sessions=3)
    expected = store_of(tmp_path).read()
    writer = make_again(tmp_path)
    for number in range(20):
        writer.connection.execute(f"ALTER TABLE sessions ADD COLUMN new_{number} TEXT DEFAULT 'x'")
        writer.connection.execute(f"ALTER TABLE messages ADD COLUMN new_{number} BLOB")
    writer.close()
    assert store_of(tmp_path).read() == expected


def make_again(home: Path):
    from hermes_store_maker import StoreWriter

    return StoreWriter(home / "state.db")


def test_a_migration_between_two_readings_is_followed(tmp_path: Path) -> None:
    make_store(tmp_path / "state.db", schema=14, sessions=2)
    store = store_of(tmp_path)
    assert not any(session.archived for session in store.read().sessions)
    writer = make_again(tmp_path)
    writer.connection.execute("ALTER TABLE sessions ADD COLUMN archived INTEGER NOT NULL DEFAULT 1")
    writer.close()
    assert all(session.archived for session in store.read().sessions)


def test_only_the_named_columns_are_read(tmp_path: Path) -> None:
    """``system_prompt`` holds paths and memory text; an authoriser sees every column that a query touches."""
    import sqlite3

    from timmy_tui.services.hermes.search import find_messages
    from timmy_tui.services.hermes.transcript import read_transcript
    from timmy_tui.services.hermes.window import SessionWindow

    make_store(tmp_path / "state.db", schema=26, sessions=4)
    touched: set[tuple[str | None, str | None]] = set()

    def note(action, first, second, database, trigger):
        if action == sqlite3.SQLITE_READ:
            touched.add((first, second))
        return sqlite3.SQLITE_OK

    connection = sqlite3.connect(tmp_path / "state.db")
    connection.text_factory = bytes
    connection.set_authorizer(note)
    SessionWindow("", None, 24).refresh(connection, NOW)
    read_transcript(connection, "s000001", 10)
    find_messages(connection, "disk", 10)
    connection.close()
    assert ("sessions", "title") in touched
    private = {"system_prompt", "user_id", "chat_id", "display_name", "origin_json", "model_config"}
    assert not {name for table, name in touched if table == "sessions"} & private


ODD = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=20),
)


def storable(value: object) -> object:
    """As SQLite takes it: text as bytes, which may be no UTF-8; a NaN becomes NULL there."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return None if value != value else value


@given(cells=st.lists(ODD, min_size=24, max_size=24), texts=st.booleans())
@settings(max_examples=60, deadline=None)
def test_cells_of_any_type_never_stop_a_reading(
    tmp_path_factory: pytest.TempPathFactory, cells: list[object], texts: bool
) -> None:
    home = tmp_path_factory.mktemp("odd")
    writer = make_empty_store(home / "state.db", fts=False)
    names = (
        *("source", "model", "title", "ended_at", "end_reason", "message_count", "tool_call_count", "input_tokens"),
        *("output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "billing_base_url"),
        *("estimated_cost_usd", "actual_cost_usd", "cost_status", "parent_session_id", "archived", "api_call_count"),
    )
    values = dict(zip(names, map(storable, cells), strict=False))
    writer.session("odd", **{name: value for name, value in values.items() if value is not None} | {"source": "x"})
    for column, value in values.items():
        if value is not None or column not in ("source", "archived"):
            writer.change("odd", **{column: value})
    if texts:  # a TEXT cell that is no UTF-8
        writer.connection.execute("UPDATE sessions SET title = CAST(x'ff1b5b33316d00' AS TEXT)")
    role, content, calls, name, at = map(storable, cells[19:24])
    given_role = "tool" if role is None else role
    writer.message("odd", given_role, content, tool_calls=calls, tool_name=name, timestamp=0 if at is None else at)
    writer.session("whole", input_tokens=5)
    writer.close()
    store = store_of(home)
    reading = store.read()
    assert {session.id for session in reading.sessions} == {"odd", "whole"}
    odd = next(session for session in reading.sessions if session.id == "odd")
    for text in (odd.source, odd.model, odd.title, odd.end_reason, odd.parent_id):
        assert text is None or text.isprintable()
    assert odd.tokens.total >= 0
    assert odd.cost_usd is None or odd.cost_usd >= 0
    assert reading.tokens.total == odd.tokens.total + 5
    for message in store.transcript("odd").messages:
        assert message.text.replace("\n", "").isprintable()
    store.search("x")


@pytest.mark.parametrize("start", [None, "yesterday", b"\x00", float("inf"), 1_795_147_440_000.0])
def test_a_session_without_a_believable_start_is_left_out(tmp_path: Path, start: object) -> None:
    writer = make_empty_store(tmp_path / "state.db")
    run = writer.connection.execute
    run("ALTER TABLE sessions RENAME COLUMN started_at TO strict_start")
    run("ALTER TABLE sessions ADD COLUMN started_at")
    for id, at in (("odd", start), ("fine", NOW - 5)):
        run("INSERT INTO sessions (id, source, strict_start, started_at) VALUES (?, 'cli', 0, ?)", (id, at))
    writer.close()
    assert [session.id for session in store_of(tmp_path).read().sessions] == ["fine"]


def test_control_codes_in_a_title_are_shown_not_sent(tmp_path: Path) -> None:
    writer = make_empty_store(tmp_path / "state.db")
    writer.session("s", title="a\x1b]0;pwned\x07b\nc", model="m\u202ex", source="cli\x1b[2J")
    writer.close()
    (session,) = store_of(tmp_path).read().sessions
    assert session.title == "a^[]0;pwned^Gb⏎c"
    assert session.model == "m<U+202E>x"
    assert session.source == "cli^[[2J"


@pytest.mark.parametrize(
    ("cell", "expected"), [(None, 0), (3, 3), (2.9, 2), (-1, 0), (float("nan"), 0), (float("inf"), 0), (b"7", 0)]
)
def test_a_counter(cell: object, expected: int) -> None:
    assert count(cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"), [(None, None), (0.0, 0.0), (-1.0, None), (float("nan"), None), (b"1", None), (2, 2.0)]
)
def test_an_amount(cell: object, expected: float | None) -> None:
    assert dollars(cell) == expected


def test_a_time_in_milliseconds_is_no_time() -> None:
    assert seconds(NOW) == NOW
    assert seconds(NOW * 1000) is None


def test_a_blank_line_is_none() -> None:
    assert line(b"  \n ") is None
    assert line(b" \xff ") == "\ufffd"
