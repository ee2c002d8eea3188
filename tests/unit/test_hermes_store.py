"""What the Hermes store promises: Hermes' own numbers, live, and nothing asked while nothing changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest
from hermes_store_maker import CLOUD_URL, LOCAL_URL, NOW, StoreWriter, make_empty_store, make_store
from hypothesis import given, settings
from hypothesis import strategies as st

from timmy_tui.services.hermes.connection import StoreFile
from timmy_tui.services.hermes.records import HermesReading
from timmy_tui.services.hermes.store import HermesStore

FIXTURE = Path(__file__).parent.parent / "fixtures" / "hermes"
DAY_S = 86_400.0


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def fixture_home(tmp_path: Path) -> Path:
    shutil.copyfile(FIXTURE / "state.db", tmp_path / "state.db")
    return tmp_path


def store_of(home: Path, clock: Clock | None = None, *, hours: float = 24, settled: bool = True) -> HermesStore:
    """A store whose files count as long unchanged, so that only their stamps decide."""
    wall = (lambda: 0.0) if settled else (lambda: newest_change(home))
    return HermesStore(home, hours=hours, clock=clock or Clock(), wall=wall, pause=lambda s: None, busy_timeout_s=0)


def newest_change(home: Path) -> float:
    return max(path.stat().st_mtime for path in home.glob("state.db*") if not path.name.endswith("-shm"))


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


def test_the_fixture_has_the_numbers_of_hermes_insights(fixture_home: Path) -> None:
    reading = store_of(fixture_home).read()
    assert len(reading.sessions) == 16
    assert reading.tokens.total == 30_120
    assert (reading.tokens.input, reading.tokens.output) == (29_616, 504)
    assert sum(session.message_count for session in reading.sessions) == 47
    assert sum(number for _, number in reading.tool_calls) == 9
    assert dict(reading.by_source) == {"cli": 6, "heartbeat": 6, "cron": 2, "subagent": 1, "tool": 1}
    assert dict(reading.tool_calls) == {"read_file": 3, "terminal": 3, "search_files": 2, "delegate_task": 1}
    assert [(usage.model, usage.sessions, usage.calls, usage.tokens.total) for usage in reading.by_model] == [
        ("hermes4:14b", 12, 23, 28_865),
        ("anthropic/claude-sonnet-4.5", 1, 1, 1_255),
    ]


def test_a_local_row_of_zero_dollars_is_unpriced_not_free(fixture_home: Path) -> None:
    reading = store_of(fixture_home).read()
    assert reading.cost_usd is None
    assert reading.unpriced_sessions == 13
    assert (reading.local_tokens, reading.cloud_tokens, reading.unknown_tokens) == (30_120, 0, 0)


def test_runs_without_an_answer_have_failed_and_an_empty_answer_is_one(fixture_home: Path) -> None:
    reading = store_of(fixture_home).read()
    failed = {session.id for session in reading.sessions if session.state(NOW) == "failed"}
    assert failed == {"20261120_035135_f46f94", "20261120_035144_81f036", "cron_e205567b24ff_20261120_035438"}
    assert reading.count("done", NOW) == 13
    empty = next(session for session in reading.sessions if session.id == "20261120_035153_b1c251")
    assert empty.answered
    assert not empty.open_turn


def test_sessions_are_newest_first_with_children_and_archived_ones(fixture_home: Path) -> None:
    sessions = store_of(fixture_home).read().sessions
    starts = [session.started_at for session in sessions]
    assert starts == sorted(starts, reverse=True)
    child = next(session for session in sessions if session.source == "subagent")
    assert child.parent_id == "20261120_035234_851175"
    assert sum(session.archived for session in sessions) == 2
    assert next(session.title for session in sessions if session.title) == "pinned-check · Nov 20 03:54"


def test_nothing_is_written_below_the_home_but_sqlites_own_side_files(fixture_home: Path) -> None:
    before = (fixture_home / "state.db").read_bytes()
    store = store_of(fixture_home)
    store.read()
    store.search("disk")
    store.transcript("20261120_035130_cef195")
    assert (fixture_home / "state.db").read_bytes() == before
    assert {path.name for path in fixture_home.iterdir()} <= {"state.db", "state.db-wal", "state.db-shm"}


def test_an_unchanged_store_gives_the_same_object_without_a_look(fixture_home: Path, no_queries: list[str]) -> None:
    store = store_of(fixture_home)
    first = store.read()
    assert no_queries == ["state.db"]
    assert store.read() is first
    assert store.read() is first
    assert no_queries == ["state.db"]


def test_a_file_that_just_changed_is_looked_at_again_and_the_object_stays(
    fixture_home: Path, no_queries: list[str]
) -> None:
    store = store_of(fixture_home, settled=False)
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
    clock.now += 1
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


@given(
    hours=st.floats(0.01, 24 * 366),
    ages=st.lists(st.floats(-0.5, 1.5), max_size=12),
    offset=st.floats(0, 1e6),
)
@settings(max_examples=25, deadline=None)
def test_the_buckets_hold_every_token_of_the_window(
    tmp_path_factory: pytest.TempPathFactory, hours: float, ages: list[float], offset: float
) -> None:
    home, now = tmp_path_factory.mktemp("buckets"), NOW + offset
    writer = make_empty_store(home / "state.db", fts=False)
    for number, age in enumerate(ages):
        writer.session(f"s{number}", started_at=now - age * hours * 3600, input_tokens=number + 1)
    writer.close()
    reading = store_of(home, Clock(now), hours=hours).read()
    assert len(reading.tokens_by_bucket) == 24
    assert sum(reading.tokens_by_bucket) == reading.tokens.total
    assert reading.tokens.total == sum(
        number + 1 for number, age in enumerate(ages) if now - age * hours * 3600 >= now - hours * 3600
    )


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


def test_places_and_prices_come_from_the_billing_columns(tmp_path: Path) -> None:
    writer = make_empty_store(tmp_path / "state.db")
    billed = {"input_tokens": 10, "billing_base_url": CLOUD_URL}
    writer.session("actual", **billed, estimated_cost_usd=0.5, actual_cost_usd=0.25, cost_status="actual")
    writer.session("estimated", **billed, estimated_cost_usd=0.5, actual_cost_usd=0.0, cost_status="estimated")
    writer.session("included", **billed, estimated_cost_usd=0.0, cost_status="included")
    writer.session("unbilled", **billed, estimated_cost_usd=0.75, cost_status="actual")
    writer.session("unknown", **billed, estimated_cost_usd=0.5, cost_status="unknown")
    writer.session("local", input_tokens=3, billing_base_url=LOCAL_URL, estimated_cost_usd=0.0, cost_status="unknown")
    writer.session("nowhere", input_tokens=1)
    writer.session("nothing")
    writer.close()
    reading = store_of(tmp_path).read()
    costs = {session.id: session.cost_usd for session in reading.sessions}
    assert costs == {
        "actual": 0.25,
        "estimated": 0.5,
        "included": 0.0,
        "unbilled": 0.75,
        **dict.fromkeys(["unknown", "local", "nowhere", "nothing"]),
    }
    assert reading.cost_usd == 1.5
    assert reading.unpriced_sessions == 3
    assert (reading.local_tokens, reading.cloud_tokens, reading.unknown_tokens) == (3, 50, 1)


def test_usage_rows_are_the_truth_per_model_and_are_never_added_to_the_session(tmp_path: Path) -> None:
    writer = make_empty_store(tmp_path / "state.db")
    writer.session("mixed", model="small:1b", input_tokens=10, billing_base_url=LOCAL_URL)
    writer.usage("mixed", model="small:1b", billing_base_url=LOCAL_URL, input_tokens=6, api_call_count=1)
    writer.usage("mixed", model="small:1b", billing_base_url=LOCAL_URL + "/", input_tokens=4, api_call_count=1)
    writer.usage("mixed", model="big", billing_base_url=CLOUD_URL, task="title", input_tokens=2, api_call_count=1)
    writer.usage("mixed", model="big", billing_base_url=CLOUD_URL, task="vision", input_tokens=2, api_call_count=1)
    writer.session("no-usage", model="small:1b", input_tokens=100, billing_base_url=LOCAL_URL, api_call_count=3)
    writer.session("failed", model="missing:1b")
    writer.message("failed", "user")
    writer.close()
    reading = store_of(tmp_path).read()
    usage = [(one.model, one.place, one.sessions, one.calls, one.tokens.total) for one in reading.by_model]
    assert usage == [("small:1b", "local", 2, 5, 110), ("big", "cloud", 1, 2, 4)]
    assert reading.tokens.total == 110


def test_another_file_in_its_place_is_read_afresh(tmp_path: Path) -> None:
    make_store(tmp_path / "state.db", sessions=3)
    store = store_of(tmp_path)
    assert len(store.read().sessions) == 3
    other = make_empty_store(tmp_path / "other.db")
    other.session("s000000", title="restored")
    other.message("s000000", "user")
    other.close()
    for side in ("-wal", "-shm"):
        (tmp_path / f"state.db{side}").unlink(missing_ok=True)
    os.replace(tmp_path / "other.db", tmp_path / "state.db")
    (session,) = store.read().sessions
    assert (session.title, session.open_turn) == ("restored", True)


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


def test_no_connection_is_left_that_would_hold_hermes_back(tmp_path: Path) -> None:
    make_store(tmp_path / "state.db", sessions=2)
    store = store_of(tmp_path)
    store.read()
    store.search("disk")
    with sqlite3.connect(tmp_path / "state.db", timeout=0) as other:
        assert other.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
    assert not (tmp_path / "state.db-wal").exists()
    assert len(store.read().sessions) == 2
