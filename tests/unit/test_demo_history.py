"""The demo's three days of history: the same every time, and readable by whoever reads a real stack."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from timmy_tui.services.demo.errors import DemoError
from timmy_tui.services.demo.home import write_history
from timmy_tui.services.hermes.store import HermesStore
from timmy_tui.services.providers.metrics import read_provider_events, read_provider_metrics
from timmy_tui.services.ticks.log import HeartbeatStore

NOW = 1_795_147_428.0
TICK_KEYS = {
    "tick_id", "timestamp", "trigger", "previous_tick", "perception", "decision", "actions", "prompt", "response",
    "provider", "model", "session_id", "duration_ms", "attempts", "host", "writer",
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Written once; every test only reads it."""
    home = tmp_path_factory.mktemp("demo") / "home"
    write_history(home, NOW)
    return home


def read_ticks(home: Path) -> list[dict[str, object]]:
    files = sorted((home / "timmy" / "heartbeat").glob("ticks_*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def read_store(home: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{home / 'hermes' / 'state.db'}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def content(home: Path) -> dict[str, str]:
    """Everything that was written, SQLite files as their dump."""
    written = {}
    for path in sorted(
        path for path in home.rglob("*") if path.is_file() and path.suffix not in {".db-wal", ".db-shm"}
    ):
        if path.suffix == ".db":
            with closing(sqlite3.connect(path)) as connection:
                written[path.name] = "\n".join(
                    line for line in connection.iterdump() if not line.startswith("INSERT INTO sqlite_schema")
                )
        else:
            written[str(path.relative_to(home))] = path.read_text()
    return written


def test_the_history_is_the_same_for_the_same_moment_and_seed(home: Path, tmp_path: Path) -> None:
    write_history(tmp_path / "again", NOW)
    write_history(tmp_path / "other", NOW, seed=8)

    assert content(tmp_path / "again") == content(home)
    assert content(tmp_path / "other") != content(home)


def test_a_second_history_replaces_the_first(tmp_path: Path) -> None:
    write_history(tmp_path, NOW - 86_400)
    write_history(tmp_path, NOW)

    assert len(read_ticks(tmp_path)) == 432


def test_files_that_are_not_the_demos_are_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "hermes" / "state.db"
    theirs.parent.mkdir()
    theirs.write_text("precious")

    with pytest.raises(DemoError):
        write_history(tmp_path, NOW)
    assert theirs.read_text() == "precious"


def test_nothing_is_readable_by_others(home: Path) -> None:
    assert {path.stat().st_mode & 0o077 for path in home.rglob("*")} == {0}


def test_every_tick_line_is_a_whole_record(home: Path) -> None:
    ticks = read_ticks(home)

    assert len(ticks) == 432
    assert all(set(tick) == TICK_KEYS for tick in ticks)
    ids = [str(tick["tick_id"]) for tick in ticks]
    assert ids == sorted(set(ids))
    assert [tick["previous_tick"] for tick in ticks] == [None, *ids[:-1]]
    for tick in ticks:
        moment = datetime.fromisoformat(str(tick["timestamp"]))
        assert tick["tick_id"] == f"{moment.astimezone():%Y%m%d_%H%M%S}"


def test_a_tick_stands_in_the_file_of_its_local_day(home: Path) -> None:
    for file in (home / "timmy" / "heartbeat").glob("ticks_*.jsonl"):
        text = file.read_text()
        assert text.endswith("\n")
        days = {json.loads(line)["tick_id"][:8] for line in text.splitlines()}
        assert days == {file.stem.removeprefix("ticks_")}


def test_responses_hold_the_decision_and_fallbacks_have_none(home: Path) -> None:
    for tick in read_ticks(home):
        decision, response = tick["decision"], tick["response"]
        assert isinstance(decision, dict)
        if decision["severity"] == "fallback":
            assert (response, tick["model"], tick["session_id"]) == (None, None, None)
            attempts = tick["attempts"]
            assert isinstance(attempts, list)
            assert [attempt["error"] is not None for attempt in attempts] == [True] * 3
        else:
            assert json.loads(str(response).removeprefix("```json").removesuffix("```")) == decision


def test_the_last_day_has_every_kind_of_tick(home: Path) -> None:
    severities = Counter(
        str(tick["decision"]["severity"])  # type: ignore[index]
        for tick in read_ticks(home)
        if datetime.fromisoformat(str(tick["timestamp"])).timestamp() > NOW - 86_400
    )

    assert severities["critical"] == 1
    assert severities["fallback"] == 2
    assert severities["warning"] >= 5
    assert severities["ok"] > 100


def test_the_console_reads_the_heartbeat(home: Path) -> None:
    store = HeartbeatStore(home / "timmy" / "heartbeat", every_s=60, clock=lambda: NOW)
    try:
        reading = store.read()
    finally:
        store.close()

    assert len(reading.recent) == 144
    assert reading.last is not None
    assert reading.last.head.severity == "warning"
    assert (reading.labels.chosen, reading.labels.rejected, reading.labels.skipped) == (19, 5, 0)
    assert (reading.bad_lines, reading.incomplete_line, reading.overdue(NOW)) == (0, False, False)


def test_labels_speak_of_ticks_that_exist(home: Path) -> None:
    candidates = {
        sha256(f"{tick['prompt']}\0{tick['response']}".encode()).hexdigest(): tick["tick_id"]
        for tick in read_ticks(home)
        if tick["response"] is not None
    }
    events = [json.loads(line) for line in (home / "timmy" / "heartbeat" / "labels.jsonl").read_text().splitlines()]

    assert len({event["event_id"] for event in events}) == len(events) == 24
    for event in events:
        assert candidates[event["candidate"]] == event["tick_id"]
        assert event["shown_at"] < event["answered_at"]
        assert datetime.fromisoformat(event["answered_at"]) < datetime.fromtimestamp(NOW, UTC)


def test_a_tick_by_hermes_names_a_session_of_the_store(home: Path) -> None:
    sessions = {row[0] for row in read_store(home, "SELECT id FROM sessions WHERE source = 'heartbeat'")}
    named = {tick["session_id"] for tick in read_ticks(home)} - {None}

    assert len(named) > 300
    assert named <= sessions


def test_the_store_holds_a_busy_day_within_three(home: Path) -> None:
    day = read_store(home, f"SELECT source, count(*) FROM sessions WHERE started_at >= {NOW - 86_400} GROUP BY source")
    (whole,) = read_store(
        home, f"SELECT count(*), max(started_at) FROM sessions WHERE started_at >= {NOW - 3 * 86_400}"
    )

    assert {source for source, _ in day} == {"cli", "heartbeat", "cron", "telegram", "subagent"}
    assert 35 <= sum(int(str(count)) for _, count in day) <= 50
    assert int(str(whole[0])) > 300
    assert float(str(whole[1])) <= NOW


def test_counters_of_the_store_agree_with_its_rows(home: Path) -> None:
    wrong = read_store(
        home,
        "SELECT s.id FROM sessions s WHERE"
        " s.message_count != (SELECT count(*) FROM messages m WHERE m.session_id = s.id)"
        " OR s.tool_call_count != (SELECT count(*) FROM messages m WHERE m.session_id = s.id AND m.role = 'tool')",
    )
    orphans = read_store(home, "SELECT id FROM sessions WHERE parent_session_id NOT IN (SELECT id FROM sessions)")
    unequal = read_store(
        home,
        "SELECT s.id FROM sessions s JOIN session_model_usage u ON u.session_id = s.id WHERE"
        " s.input_tokens + s.output_tokens + s.cache_read_tokens"
        " != u.input_tokens + u.output_tokens + u.cache_read_tokens",
    )

    assert (wrong, orphans, unequal) == ([], [], [])


def test_every_tool_result_belongs_to_a_call(home: Path) -> None:
    calls = {
        call["id"]
        for (text,) in read_store(home, "SELECT tool_calls FROM messages WHERE tool_calls IS NOT NULL")
        for call in json.loads(str(text))
    }
    results = {row[0] for row in read_store(home, "SELECT tool_call_id FROM messages WHERE role = 'tool'")}

    assert len(calls) > 50
    assert results == calls


def test_the_store_can_be_searched(home: Path) -> None:
    hits = read_store(
        home,
        "SELECT m.session_id FROM messages_fts f JOIN messages m ON m.id = f.rowid"
        " WHERE messages_fts MATCH '\"huggingface\"'",
    )

    assert hits


def test_the_console_reads_the_sessions(home: Path) -> None:
    reading = HermesStore(home / "hermes", clock=lambda: NOW, wall=lambda: NOW).read()

    assert reading.count("running", NOW) == 2
    assert reading.count("failed", NOW) == 1
    assert reading.cloud_tokens > 0
    assert reading.local_tokens > 9 * reading.cloud_tokens
    assert reading.unknown_tokens == 0
    assert reading.cost_usd is not None
    assert 0 < reading.cost_usd < 1
    titles = [session.title for session in reading.sessions if session.title]
    assert not [title for title in titles if "#" in title]


def test_the_console_reads_the_providers(home: Path) -> None:
    view = read_provider_metrics(home / "timmy" / "timmy.db")
    airllm = view.of("airllm")

    assert {row.name for row in view.metrics} == {"hermes", "ollama", "airllm"}
    assert all(sum(row.latency_buckets) == row.successes for row in view.metrics)
    assert all(row.requests == row.successes + row.failures for row in view.metrics)
    assert (airllm.circuit, airllm.consecutive_failures, airllm.last_error) == ("open", 5, "connection refused")
    assert airllm.next_try_at == NOW + 41
    events = read_provider_events(home / "timmy" / "timmy.db", "airllm")
    assert events[0].text == "circuit opened after 5 failures"


def test_ticks_of_the_hour_that_comes_twice_have_their_own_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        write_history(tmp_path, datetime(2026, 10, 25, 12, tzinfo=UTC).timestamp())
    finally:
        monkeypatch.undo()
        time.tzset()

    ids = [str(tick["tick_id"]) for tick in read_ticks(tmp_path)]
    assert len(set(ids)) == len(ids) == 432
    assert [tick_id for tick_id in ids if tick_id.endswith("_2")]
