"""The calls' own figures: read as they are found, whoever wrote them, and never a crash."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.services.providers.errors import ProvidersError
from timmy_tui.services.providers.metrics import (
    BUCKET_BOUNDS_MS,
    BUCKET_COUNT,
    bucket_index,
    circuit_word,
    percentile,
    read_provider_events,
    read_provider_metrics,
)

OLD_TABLE = (
    "provider_name TEXT PRIMARY KEY, total_requests INTEGER, successful_requests INTEGER,"
    " failed_requests INTEGER, avg_latency_ms REAL, last_error_time TEXT, circuit_state TEXT, updated_at TEXT"
)
OWN_COLUMNS = ", last_error TEXT, opened_at REAL, next_try_at REAL, consecutive_failures INTEGER, latency_buckets TEXT"
EVENT_TABLE = "id TEXT PRIMARY KEY, event_type, source, task_id, agent_id, data, timestamp"


def database(path: Path, columns: str, rows: Iterable[tuple[object, ...]], table: str = "provider_metrics") -> Path:
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE {table} ({columns})")
        for row in rows:
            connection.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", row)
    connection.close()
    return path


def event(kind: str, source: str, data: object, at: object) -> tuple[object, ...]:
    """A row of the event log."""
    return (f"{kind} {at}", kind, source, None, None, json.dumps(data), at)


def test_a_home_without_a_database_has_no_metrics_and_none_is_made(tmp_path: Path) -> None:
    path = tmp_path / "timmy.db"
    view = read_provider_metrics(path)
    assert view.metrics == ()
    assert view.note is None
    assert view.of("ollama").requests == 0
    assert not path.exists()


def test_a_database_without_the_table_has_no_metrics(tmp_path: Path) -> None:
    path = database(tmp_path / "timmy.db", "id INTEGER", [], table="other")
    assert read_provider_metrics(path).note is None
    assert read_provider_metrics(path).metrics == ()


def test_an_older_stacks_table_is_read_without_our_own_columns(tmp_path: Path) -> None:
    row = ("ollama", 10, 8, 2, 120.5, "2026-11-20T03:15:00+00:00", "half-open", "2026-11-20 03:16:00")
    metrics = read_provider_metrics(database(tmp_path / "timmy.db", OLD_TABLE, [row])).of("ollama")
    assert (metrics.requests, metrics.successes, metrics.failures) == (10, 8, 2)
    assert metrics.avg_latency_ms == 120.5
    assert metrics.circuit == "half_open"
    assert metrics.last_error_at == 1795144500.0
    assert metrics.updated_at == 1795144560.0
    assert metrics.last_error is None
    assert metrics.latency_buckets == ()


def test_all_columns_are_read_and_an_error_is_masked_and_made_safe(tmp_path: Path) -> None:
    buckets = [0] * BUCKET_COUNT
    buckets[bucket_index(100)] = 4
    error = "\x1b[2J sk-abcdefgh12345678"
    counted = ("cloud", 5, 4, 1, 80.0, 1_795_144_500.0, "OPEN", 1_795_144_501)
    row = (*counted, error, 1_795_144_500.5, 1_795_144_560.5, 1, json.dumps(buckets))
    metrics = read_provider_metrics(database(tmp_path / "timmy.db", OLD_TABLE + OWN_COLUMNS, [row])).of("cloud")
    assert metrics.circuit == "open"
    assert metrics.last_error is not None
    assert "\x1b" not in metrics.last_error
    assert "abcdefgh" not in metrics.last_error
    assert (metrics.opened_at, metrics.next_try_at) == (1_795_144_500.5, 1_795_144_560.5)
    assert metrics.consecutive_failures == 1
    assert percentile(metrics.latency_buckets, 0.5) == 112  # the middle of the bucket from 96 to 128


@pytest.mark.parametrize(
    "buckets",
    [
        "",
        "[",
        "null",
        "[1,2]",
        json.dumps([-1] * BUCKET_COUNT),
        json.dumps([10**400] * BUCKET_COUNT),
        "[" * 2000,
        '{"a":1}',
    ],
)
def test_broken_buckets_are_no_buckets(tmp_path: Path, buckets: str) -> None:
    row = ("x", 1, 1, 0, 1.0, None, "closed", None, None, None, None, 0, buckets)
    view = read_provider_metrics(database(tmp_path / "timmy.db", OLD_TABLE + OWN_COLUMNS, [row]))
    assert view.of("x").latency_buckets == ()
    assert view.of("x").requests == 1


@given(
    name=st.text(min_size=1),
    cells=st.lists(
        st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(max_size=30),
        min_size=12,
        max_size=12,
    ),
)
def test_no_content_of_a_row_breaks_the_reading(
    tmp_path_factory: pytest.TempPathFactory, name: str, cells: list[object]
) -> None:
    columns = (OLD_TABLE + OWN_COLUMNS).replace(" INTEGER", "").replace(" REAL", "").replace(" TEXT", "")
    folder = tmp_path_factory.mktemp("metrics")
    try:
        path = database(folder / "timmy.db", columns, [(name, *cells)])
    except UnicodeEncodeError:
        return  # a lone surrogate never gets into SQLite
    view = read_provider_metrics(path)
    assert view.note is None
    assert len(view.metrics) == 1
    assert view.metrics[0].requests >= 0
    assert view.metrics[0].circuit in ("closed", "open", "half_open")


def test_a_damaged_file_is_a_note(tmp_path: Path) -> None:
    path = tmp_path / "timmy.db"
    path.write_bytes(b"this is no database" * 500)
    assert read_provider_metrics(path).metrics == ()
    assert "damaged" in (read_provider_metrics(path).note or "")


def test_a_folder_in_its_place_is_a_note(tmp_path: Path) -> None:
    assert "timmy.db" in (read_provider_metrics(_folder(tmp_path / "timmy.db")).note or "")


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_locked_file_is_a_note_that_says_so(tmp_path: Path) -> None:
    path = database(tmp_path / "timmy.db", OLD_TABLE, [])
    writer = sqlite3.connect(path)
    writer.execute("BEGIN EXCLUSIVE")
    try:
        note = read_provider_metrics(path).note or ""
    finally:
        writer.close()
    assert "locked by another process" in note


def test_a_wal_database_is_read_while_its_writer_has_it_open(tmp_path: Path) -> None:
    writer = sqlite3.connect(tmp_path / "timmy.db")
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute(f"CREATE TABLE provider_metrics ({OLD_TABLE})")
    writer.execute("INSERT INTO provider_metrics (provider_name, total_requests) VALUES ('hermes', 3)")
    writer.commit()
    writer.execute("INSERT INTO provider_metrics (provider_name, total_requests) VALUES ('ollama', 1)")
    try:
        view = read_provider_metrics(tmp_path / "timmy.db")
    finally:
        writer.close()
    assert [row.name for row in view.metrics] == ["hermes"]


@pytest.mark.parametrize(
    ("word", "circuit"),
    [
        ("CLOSED", "closed"),
        ("open", "open"),
        ("CircuitState.OPEN", "open"),
        ("FORCED_OPEN", "open"),
        ("half-open", "half_open"),
        ("HALF_OPEN", "half_open"),
        (" Half Open ", "half_open"),
        (None, "closed"),
        ("", "closed"),
    ],
)
def test_a_circuits_word_is_understood_in_every_spelling(word: object, circuit: str) -> None:
    assert circuit_word(word) == circuit


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (1_795_144_500, 1_795_144_500.0),
        ("1795144500.5", 1_795_144_500.5),
        (1_795_144_500_000, 1_795_144_500.0),
        ("2026-11-20T04:15:00+01:00", 1_795_144_500.0),
        ("2026-11-20T03:15:00Z", 1_795_144_500.0),
        ("2026-11-20 03:15:00", 1_795_144_500.0),
        ("yesterday", None),
        (-5, None),
        (float("inf"), None),
        (b"\x00", None),
    ],
)
def test_a_time_is_an_epoch_or_an_iso_text(tmp_path: Path, told: object, expected: float | None) -> None:
    path = database(tmp_path / "timmy.db", "provider_name, last_error_time", [("x", told)])
    assert read_provider_metrics(path).of("x").last_error_at == expected


def test_the_buckets_reach_from_a_millisecond_to_ten_minutes_in_order() -> None:
    assert BUCKET_BOUNDS_MS[0] == 1
    assert BUCKET_BOUNDS_MS[-1] == 600_000
    assert list(BUCKET_BOUNDS_MS) == sorted(set(BUCKET_BOUNDS_MS))
    assert len(BUCKET_BOUNDS_MS) + 1 == BUCKET_COUNT


def test_no_calls_have_no_percentile() -> None:
    assert percentile([0] * BUCKET_COUNT, 0.5) is None
    assert percentile([], 0.5) is None
    assert percentile([1, 2, 3], 0.5) is None


def test_what_took_longer_than_ten_minutes_is_told_as_ten_minutes() -> None:
    buckets = [0] * BUCKET_COUNT
    buckets[bucket_index(10_000_000)] = 3
    assert percentile(buckets, 0.5) == 600_000


@given(st.lists(st.floats(0.01, 590_000), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_a_percentile_lies_in_the_bucket_of_the_true_one(latencies_ms: list[float], share: float) -> None:
    buckets = [0] * BUCKET_COUNT
    for latency_ms in latencies_ms:
        buckets[bucket_index(latency_ms)] += 1
    told = percentile(buckets, share)
    ranked = sorted(latencies_ms)
    true_ms = next(value for rank, value in enumerate(ranked, 1) if rank >= share * len(ranked) - 1e-9)
    index = bucket_index(true_ms)
    lower = BUCKET_BOUNDS_MS[index - 1] if index else 0.0
    assert told is not None
    assert lower - 1e-6 <= told <= BUCKET_BOUNDS_MS[index] + 1e-6


@given(st.lists(st.integers(0, 50), min_size=BUCKET_COUNT, max_size=BUCKET_COUNT).filter(any))
def test_percentiles_never_fall_as_the_share_grows(buckets: list[int]) -> None:
    told = [percentile(buckets, share / 20) or 0.0 for share in range(21)]
    assert told == sorted(told)


def test_a_providers_history_is_its_own_newest_first(tmp_path: Path) -> None:
    rows = [
        event("circuit_open", "cascade", {"provider": "ollama", "error": "refused"}, "2026-11-20T03:15:00Z"),
        event("call", "hermes", {"latency_ms": 12, "model": "m"}, 1_795_144_560),
        event("call", "cascade", {"provider": "other", "note": "ollama"}, 1_795_144_570),
        ("d", "note", "ollama", None, None, "plain \x1b[31mtext", None),
    ]
    path = database(tmp_path / "timmy.db", EVENT_TABLE, rows, table="event_log")
    events = read_provider_events(path, "ollama")
    assert [(event.event, event.text) for event in events] == [
        ("note", "plain ^[[31mtext"),
        ("circuit_open", "refused"),
    ]
    assert [event.at for event in events] == [None, 1_795_144_500.0]
    assert [event.text for event in read_provider_events(path, "hermes")] == ["latency_ms: 12, model: m"]


def test_a_history_is_limited_and_finds_names_that_json_escapes(tmp_path: Path) -> None:
    rows = [event("call", "s", {"provider": "Übung", "message": str(n)}, n) for n in range(30)]
    path = database(tmp_path / "timmy.db", EVENT_TABLE, rows, table="event_log")
    assert [event.text for event in read_provider_events(path, "Übung", limit=3)] == ["29", "28", "27"]


def test_a_huge_event_is_cut_and_a_secret_in_it_masked(tmp_path: Path) -> None:
    rows = [
        ("1", "e", "x", None, None, json.dumps({"message": "m" * 200_000}), 1),
        ("2", "e", "x", None, None, json.dumps({"error": "password=hunter22"}), 2),
        ("3", "e", "x", None, None, b"\xff\xfe", 3),
        ("4", "e", "x", None, None, None, 4),
    ]
    path = database(tmp_path / "timmy.db", EVENT_TABLE, rows, table="event_log")
    texts = [event.text for event in read_provider_events(path, "x")]
    assert len(texts) == 4
    assert all(len(text) <= 301 for text in texts)
    assert "hunter22" not in " ".join(texts)


def test_a_missing_history_is_empty_and_a_damaged_one_an_error(tmp_path: Path) -> None:
    assert read_provider_events(tmp_path / "none.db", "x") == ()
    assert read_provider_events(database(tmp_path / "t.db", "id", [], table="other"), "x") == ()
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"nonsense" * 1000)
    with pytest.raises(ProvidersError, match="damaged"):
        read_provider_events(broken, "x")
