"""The event log and its database: adopted where they exist, private where they are new, whole whatever is killed."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from timmy_tui.services.database import DatabaseError, columns_of, open_database, reading, transaction
from timmy_tui.services.events import append_event, prune_events, recent_events

NOW = 1_795_144_500.0
DAY_S = 86_400.0

OLD_METRICS = (
    "CREATE TABLE provider_metrics (provider_name TEXT PRIMARY KEY, total_requests INTEGER, successful_requests"
    " INTEGER, failed_requests INTEGER, avg_latency_ms REAL, last_error_time TEXT, circuit_state TEXT, updated_at TEXT)"
)
OLD_EVENTS = (
    "CREATE TABLE event_log (id TEXT PRIMARY KEY NOT NULL, event_type TEXT NOT NULL, source TEXT, task_id TEXT,"
    " agent_id TEXT, data TEXT, timestamp TEXT)"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stack" / "timmy.db"


def test_a_new_database_is_private_and_has_every_table(path: Path) -> None:
    with closing(open_database(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA busy_timeout").fetchone()[0] == 5_000
        assert {"provider_name", "half_open_leases"} <= columns_of(connection, "provider_metrics").keys()
        assert {"id", "tick_id", "decided_by", "exit_code"} <= columns_of(connection, "approvals").keys()
        connection.execute("INSERT INTO event_log (event_type) VALUES ('x')")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes["timmy.db-wal"] == modes["timmy.db"] == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_an_existing_stacks_tables_are_adopted_with_their_rows(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(OLD_METRICS)
        connection.execute("INSERT INTO provider_metrics (provider_name, total_requests) VALUES ('ollama', 7)")
        connection.commit()
    for _ in range(2):
        with closing(open_database(path)) as connection:
            row = connection.execute(
                "SELECT provider_name, total_requests, next_try_at FROM provider_metrics"
            ).fetchall()
            assert row == [("ollama", 7, None)]


def test_a_table_of_another_kind_is_told_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE provider_metrics (metric TEXT, value REAL)")
    with pytest.raises(DatabaseError, match="provider_metrics of another kind: it lacks provider_name"):
        open_database(path)
    with closing(sqlite3.connect(path)) as connection:
        assert set(columns_of(connection, "provider_metrics")) == {"metric", "value"}


def test_a_file_that_is_no_database_is_one_line_with_what_to_do(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database at all, \x1b[2J" * 100)
    with pytest.raises(DatabaseError, match="damaged") as caught:
        open_database(path)
    assert caught.value.hint.startswith("Move it away")


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseError, match=r"timmy\.db"):
        open_database(tmp_path / "file" / "timmy.db")


def write_and(path: Path, statement: str) -> None:
    with transaction(path) as connection:
        append_event(connection, "first", "test", now=NOW)
        connection.execute(statement)
        raise KeyError


@pytest.mark.parametrize(("statement", "error"), [("SELECT 1", KeyError), ("DELETE FROM absent", DatabaseError)])
def test_a_transaction_is_all_or_nothing(path: Path, statement: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        write_and(path, statement)
    assert recent_events(path, 10) == ()


def test_events_come_back_newest_first_and_by_type(path: Path) -> None:
    append_event(path, "alert", "heartbeat", task_id="t1", data={"text": "Gitea unreachable", "n": 3}, now=NOW)
    append_event(path, "tick", "heartbeat", now=NOW + 1)
    append_event(path, "alert", "heartbeat", agent_id="a1", data="plain", now=NOW + 2)
    newest, middle, oldest = recent_events(path, 10)
    assert (newest.event_type, newest.agent_id, newest.data, newest.at) == ("alert", "a1", "plain", NOW + 2)
    assert middle.data is None
    assert (oldest.task_id, oldest.data) == ("t1", {"text": "Gitea unreachable", "n": 3})
    assert newest.place > middle.place > oldest.place
    assert [event.at for event in recent_events(path, 10, ("alert",))] == [NOW + 2, NOW]
    assert recent_events(path, 1) == (newest,)
    assert recent_events(path, 10, ()) == ()


def test_a_home_without_a_database_has_no_events_and_none_is_made(path: Path) -> None:
    assert recent_events(path, 10) == ()
    with reading(path) as connection:
        assert connection is None
    assert not path.exists()


def test_what_is_read_is_safe_to_show(path: Path) -> None:
    append_event(path, "alert\x1b[2J", "a\nb", data={"k\x07": "\x1b]0;x\x07"}, now=NOW)
    (event,) = recent_events(path, 1)
    assert "\x1b" not in f"{event.event_type}{event.source}{event.data}"
    assert "\x07" not in f"{event.data}"
    assert "\n" not in event.source


def test_data_that_is_no_json_is_its_text(path: Path) -> None:
    with transaction(path) as connection:
        connection.execute("INSERT INTO event_log (event_type, data) VALUES ('a', '{torn')")
        connection.execute("INSERT INTO event_log (event_type, data) VALUES ('b', x'ff00')")
    blob, torn = recent_events(path, 5)
    assert torn.data == "{torn"
    assert torn.at is None
    assert isinstance(blob.data, str)


def test_too_much_data_is_not_kept(path: Path) -> None:
    append_event(path, "alert", "x", data="y" * 100_000, now=NOW)
    assert recent_events(path, 1)[0].data == {"message": "too long to be kept"}


def test_pruning_takes_the_old_ones_only(path: Path) -> None:
    append_event(path, "old", "x", now=NOW - 31 * DAY_S)
    append_event(path, "young", "x", now=NOW - 29 * DAY_S)
    assert prune_events(path, 30 * DAY_S, now=NOW) == 1
    assert [event.event_type for event in recent_events(path, 10)] == ["young"]


def test_an_older_stacks_log_is_written_read_and_pruned_in_its_own_form(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(OLD_EVENTS)
        rows = [
            ("a", "iso_old", "2026-10-01T00:00:00+00:00"),
            ("b", "iso_young", "2026-11-20 03:15:00"),
            ("c", "ms_old", str(int((NOW - 40 * DAY_S) * 1000))),
            ("d", "ms_young", str(int(NOW * 1000))),
            ("e", "unreadable", "yesterday"),
        ]
        connection.executemany("INSERT INTO event_log (id, event_type, timestamp) VALUES (?, ?, ?)", rows)
        connection.commit()
    append_event(path, "ours", "x", now=NOW)
    append_event(path, "ours_old", "x", now=NOW - 40 * DAY_S)
    assert prune_events(path, 30 * DAY_S, now=NOW) == 3
    kept = {event.event_type: event.at for event in recent_events(path, 10)}
    assert kept == {
        "iso_young": pytest.approx(NOW, abs=0.001),
        "ms_young": NOW,
        "unreadable": None,
        "ours": NOW,
    }
