"""A store that lives: every change is seen, and nothing is asked while nothing changed."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import pytest
from hermes_store_maker import NOW, StoreWriter, make_empty_store, make_store

from timmy_tui.services.hermes.connection import StoreFile
from timmy_tui.services.hermes.records import HermesReading, SessionSummary
from timmy_tui.services.hermes.store import HermesStore

DAY_S = 86_400.0


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def store_of(home: Path, clock: Clock | None = None, *, hours: float = 24, settled: bool = True) -> HermesStore:
    """A store whose files count as long unchanged, so that only their stamps decide."""
    wall = (lambda: 0.0) if settled else (lambda: newest_change(home))
    return HermesStore(home, hours=hours, clock=clock or Clock(), wall=wall, pause=lambda s: None, busy_timeout_s=0)


def newest_change(home: Path) -> float:
    return max(path.stat().st_mtime for path in home.glob("state.db*") if not path.name.endswith("-shm"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with four sessions."""
    return make_store(tmp_path / "hermes" / "state.db", sessions=4).parent


@pytest.fixture
def no_queries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Counts the looks into the database while the test runs."""
    looks: list[str] = []
    ask = StoreFile.ask

    def counted(self: StoreFile, query):
        looks.append(self.path.name)
        return ask(self, query)

    monkeypatch.setattr(StoreFile, "ask", counted)
    return looks


def test_an_unchanged_store_gives_the_same_object_without_a_look(home: Path, no_queries: list[str]) -> None:
    store = store_of(home)
    first = store.read()
    assert no_queries == ["state.db"]
    assert store.read() is first
    assert store.read() is first
    assert no_queries == ["state.db"]


def test_a_file_that_just_changed_is_looked_at_again_and_the_object_stays(home: Path, no_queries: list[str]) -> None:
    store = store_of(home, settled=False)
    first = store.read()
    assert store.read() is first
    assert len(no_queries) == 2


def test_a_change_within_the_same_time_stamp_is_seen(tmp_path: Path) -> None:
    make_store(tmp_path / "state.db", sessions=3, journal="delete")
    store = store_of(tmp_path, settled=False)
    stamp = (tmp_path / "state.db").stat()
    store.read()
    writer = StoreWriter(tmp_path / "state.db")
    writer.change("s000000", input_tokens=77)
    writer.close()
    os.utime(tmp_path / "state.db", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert (tmp_path / "state.db").stat().st_size == stamp.st_size
    assert store.read().sessions[0].tokens.input == 77


def test_a_session_that_grows_old_leaves_without_a_look(tmp_path: Path, no_queries: list[str]) -> None:
    make_store(tmp_path / "state.db", sessions=4, spacing_s=3600)
    clock = Clock()
    store = store_of(tmp_path, clock)
    first = store.read()
    clock.now = NOW + DAY_S - 4 * 3600
    assert store.read().sessions == first.sessions
    clock.now += 600  # and its last message as well
    later = store.read()
    assert [session.id for session in later.sessions] == ["s000000", "s000001", "s000002"]
    assert later.tokens.total == sum(session.tokens.total for session in later.sessions)
    assert sum(usage.sessions for usage in later.by_model) == 3
    assert len(no_queries) == 1


def test_buckets_move_with_time_and_nothing_else_makes_a_new_object(tmp_path: Path, no_queries: list[str]) -> None:
    make_store(tmp_path / "state.db", sessions=1, spacing_s=3600 * 2 - 30)
    clock = Clock()
    store = store_of(tmp_path, clock)
    first = store.read()
    bucket = next(index for index, tokens in enumerate(first.tokens_by_bucket) if tokens)
    clock.now += 5
    assert store.read() is first
    clock.now += 3600
    moved = store.read()
    assert moved is not first
    assert moved.tokens_by_bucket[bucket - 1] == first.tokens_by_bucket[bucket] == moved.tokens.total
    assert len(no_queries) == 1


def test_a_clock_that_goes_back_finds_the_older_sessions_again(tmp_path: Path) -> None:
    make_store(tmp_path / "state.db", sessions=4, spacing_s=3600)
    clock = Clock(NOW + DAY_S - 2 * 3600)
    store = store_of(tmp_path, clock)
    assert len(store.read().sessions) == 2
    clock.now = NOW
    assert len(store.read().sessions) == 4


def test_a_live_turn_is_followed_from_the_question_to_the_answer(tmp_path: Path) -> None:
    writer = make_empty_store(tmp_path / "state.db")
    store = store_of(tmp_path)
    assert store.read().sessions == ()
    writer.session("live", source="heartbeat", started_at=NOW - 20)
    writer.message("live", "user", timestamp=NOW - 20)
    assert store.read().sessions[0].state(NOW) == "running"
    assert store.read().sessions[0].state(NOW + 400) == "failed"
    writer.message("live", "assistant", "", tool_calls='[{"id": "c"}]', timestamp=NOW - 10)
    assert store.read().sessions[0].open_turn
    assert store.read().sessions[0].state(NOW + 400) == "idle"
    writer.message("live", "tool", "ok", tool_name="terminal", timestamp=NOW - 9)
    assert store.read().tool_calls == (("terminal", 1),)
    writer.message("live", "assistant", "All fine.", timestamp=NOW - 1)
    session = store.read().sessions[0]
    assert (session.state(NOW), session.last_activity_at, session.message_count) == ("done", NOW - 1, 4)
    writer.close()


def test_a_rewound_answer_opens_the_turn_again(tmp_path: Path) -> None:
    writer = make_empty_store(tmp_path / "state.db")
    writer.session("s")
    writer.message("s", "user")
    answer = writer.message("s", "assistant")
    store = store_of(tmp_path)
    assert not store.read().sessions[0].open_turn
    writer.connection.execute("UPDATE messages SET active = 0 WHERE id = ?", (answer,))
    writer.change("s", rewind_count=1)
    session = store.read().sessions[0]
    assert session.open_turn
    assert session.answered
    writer.close()


def test_only_changed_sessions_have_their_messages_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from timmy_tui.services.hermes import window

    make_store(tmp_path / "state.db", sessions=30)
    writer = StoreWriter(tmp_path / "state.db")
    asked: list[list[bytes]] = []
    select = window.select_tails

    def spied(connection, columns, ids):
        asked.append(list(ids))
        return select(connection, columns, ids)

    monkeypatch.setattr(window, "select_tails", spied)
    store = store_of(tmp_path)
    store.read()
    writer.connection.execute(  # a message without its counter, as between two commits of Hermes
        "INSERT INTO messages (session_id, role, content, timestamp) VALUES ('s000004', 'user', 'and now?', ?)", (NOW,)
    )
    writer.change("s000009", title="renamed")
    changed = store.read()
    writer.close()
    assert len(asked[0]) == 30
    assert sorted(asked[1]) == [b"s000004", b"s000009"]
    by_id = {session.id: session for session in changed.sessions}
    assert by_id["s000004"].open_turn
    assert by_id["s000009"].title == "renamed"


def test_what_lies_only_in_the_wal_of_a_live_writer_is_read(tmp_path: Path) -> None:
    writer = make_empty_store(tmp_path / "state.db")
    writer.connection.execute("PRAGMA wal_autocheckpoint = 0")
    writer.session("in-the-wal", input_tokens=5)
    assert (tmp_path / "state.db-wal").stat().st_size > (tmp_path / "state.db").stat().st_size
    store = store_of(tmp_path)
    assert store.read().tokens.total == 5
    writer.connection.execute("BEGIN EXCLUSIVE")
    writer.connection.execute("UPDATE sessions SET input_tokens = 9")
    assert store.read().tokens.total == 5
    writer.connection.execute("COMMIT")
    assert store.read().tokens.total == 9
    writer.close()


def test_a_store_that_grows_while_it_is_read_never_says_less_than_before(tmp_path: Path) -> None:
    make_empty_store(tmp_path / "state.db", fts=False).close()
    store = HermesStore(tmp_path, clock=Clock())  # with the real waits: a WAL's first and last moments lock it
    started, stop = threading.Event(), threading.Event()

    def write() -> None:
        writer = StoreWriter(tmp_path / "state.db")
        for number in range(120):
            writer.session(f"s{number}", started_at=NOW - number, input_tokens=1)
            writer.message(f"s{number}", "user", timestamp=NOW - number)
            started.set()
        writer.close()
        stop.set()

    thread = threading.Thread(target=write)
    thread.start()
    started.wait(10)
    seen: list[int] = []
    while not stop.is_set():
        reading = store.read()
        assert reading.tokens.total == len(reading.sessions)
        seen.append(len(reading.sessions))
    thread.join()
    assert seen == sorted(seen)
    last = store.read()
    assert len(last.sessions) == 120
    assert all(session.open_turn for session in last.sessions)


def two_turns(path: Path, role: str, *, later: bool = True) -> Path:
    """A store of two sessions with one message each; only ``role`` tells such stores apart."""
    writer = make_empty_store(path)
    writer.session("first", message_count=0)
    writer.session("second", message_count=0)
    writer.message("first", role)
    if later:
        writer.message("second", "user")
    writer.close()
    return path


def first_of(reading: HermesReading) -> SessionSummary:
    return next(session for session in reading.sessions if session.id == "first")


def test_another_file_in_its_place_is_read_afresh(tmp_path: Path) -> None:
    two_turns(tmp_path / "state.db", "user")
    store = store_of(tmp_path)
    assert first_of(store.read()).open_turn
    other = two_turns(tmp_path / "other.db", "assistant")
    for side in ("-wal", "-shm"):
        (tmp_path / f"state.db{side}").unlink(missing_ok=True)
    os.replace(other, tmp_path / "state.db")
    assert not first_of(store.read()).open_turn


def test_an_older_state_restored_into_the_same_file_is_read_afresh(tmp_path: Path) -> None:
    two_turns(tmp_path / "state.db", "user")
    store = store_of(tmp_path)
    assert first_of(store.read()).open_turn
    backup = sqlite3.connect(two_turns(tmp_path / "backup.db", "assistant", later=False))
    target = sqlite3.connect(tmp_path / "state.db")
    backup.backup(target)
    backup.close()
    target.close()
    assert not first_of(store.read()).open_turn


def test_pruned_sessions_disappear(tmp_path: Path) -> None:
    make_store(tmp_path / "state.db", sessions=3)
    writer = StoreWriter(tmp_path / "state.db")
    store = store_of(tmp_path)
    store.read()
    for table, column in (("sessions", "id"), ("messages", "session_id"), ("session_model_usage", "session_id")):
        writer.connection.execute(f"DELETE FROM {table} WHERE {column} = 's000000'")
    reading = store.read()
    writer.close()
    assert [session.id for session in reading.sessions] == ["s000001", "s000002"]
    assert sum(usage.sessions for usage in reading.by_model) == 2


def test_readings_from_several_threads_agree(tmp_path: Path) -> None:
    make_store(tmp_path / "state.db", sessions=20)
    store = store_of(tmp_path)
    readings: list[HermesReading] = []
    threads = [threading.Thread(target=lambda: readings.append(store.read())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(readings) == 4
    assert all(reading is readings[0] for reading in readings)
