"""Promise 10 of Hermes' store: what happens now is seen, what Hermes hides stays hidden, what failed is told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hermes_store_maker import NOW, StoreWriter, make_empty_store

from timmy_tui.services.hermes.own_sessions import with_own_sessions
from timmy_tui.services.hermes.records import HermesReading
from timmy_tui.services.hermes.store import HermesStore
from timmy_tui.services.reading import Reading
from timmy_tui.services.severity import overall
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.services.ticks.parse import TickHead, parse_head
from timmy_tui.services.ticks.records import TickPlace

DAY_S = 86_400.0


class Home:
    def __init__(self, folder: Path, schema: int = 22) -> None:
        self.folder = folder
        self.now = NOW
        self.writer = make_empty_store(folder / "state.db", schema=schema)
        self.store = HermesStore(folder, clock=lambda: self.now, wall=lambda: self.now)

    def read(self) -> HermesReading:
        return self.store.read()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def long_session(writer: StoreWriter, spoke_at: float) -> None:
    writer.session("dm", source="telegram", started_at=NOW - 3 * DAY_S, input_tokens=900_000, output_tokens=50_000)
    writer.usage("dm", input_tokens=900_000, output_tokens=50_000, api_call_count=300)
    writer.message("dm", "user", timestamp=NOW - 3 * DAY_S)
    writer.message("dm", "assistant", timestamp=NOW - 3 * DAY_S + 5)
    writer.message("dm", "user", timestamp=spoke_at)


def test_a_session_of_days_that_is_active_counts_and_its_tokens_are_marked(home: Home) -> None:
    long_session(home.writer, NOW - 20)
    reading = home.read()
    assert [(session.id, session.state(NOW)) for session in reading.sessions] == [("dm", "running")]
    assert reading.tokens.total == reading.older_tokens == 950_000
    assert [(usage.model, usage.tokens.total) for usage in reading.by_model] == [("hermes4:14b", 950_000)]
    assert sum(reading.tokens_by_bucket) == 950_000
    assert reading.tokens_by_bucket[-1] == 950_000


def test_one_that_was_silent_does_not_and_comes_when_it_speaks(home: Home) -> None:
    long_session(home.writer, NOW - 2 * DAY_S)
    assert home.read().sessions == ()
    home.writer.message("dm", "user", timestamp=NOW - 1)
    home.now += 1
    assert [session.id for session in home.read().sessions] == ["dm"]
    home.now += DAY_S + 10
    assert home.read().sessions == ()


def test_an_empty_answer_is_a_failed_session(home: Home) -> None:
    home.writer.session("one")
    home.writer.message("one", "user")
    home.writer.message("one", "assistant", "(empty)")
    home.writer.session("two")
    home.writer.message("two", "user")
    home.writer.message("two", "assistant", "(empty) is what it said")
    states = {session.id: session.state(NOW) for session in home.read().sessions}
    assert states == {"one": "failed", "two": "done"}


@pytest.fixture
def newer(tmp_path: Path) -> Home:
    """Schema 30, as far as it is read (hermes-jobs.md §E)."""
    home = Home(tmp_path, schema=26)
    run = home.writer.connection.execute
    run("ALTER TABLE messages ADD COLUMN display_kind TEXT")
    run("CREATE TABLE session_turn_leases (conversation_id TEXT PRIMARY KEY, holder TEXT, expires_at REAL)")
    run("CREATE TABLE IF NOT EXISTS state_meta (key TEXT PRIMARY KEY, value TEXT)")
    return home


def test_what_hermes_hides_stays_hidden(newer: Home) -> None:
    newer.writer.session("seen")
    newer.writer.message("seen", "user", "hello there")
    newer.writer.message("seen", "user", "scaffolding of hello", display_kind="hidden")
    newer.writer.session("secret", hidden=1)
    newer.writer.message("secret", "user", "hidden talk")
    assert [session.id for session in newer.read().sessions] == ["seen"]
    assert [message.text for message in newer.store.transcript("seen").messages] == ["hello there"]
    assert [hit.snippet for hit in newer.store.search("hello")] == ["hello there"]


def test_a_lease_and_the_last_activity_count(newer: Home) -> None:
    newer.writer.session("leased", started_at=NOW - 9 * DAY_S)
    newer.writer.message("leased", "assistant", timestamp=NOW - 8 * DAY_S)
    newer.writer.session("touched", started_at=NOW - 9 * DAY_S, last_activity_at=NOW - 100)
    newer.writer.connection.execute("INSERT INTO session_turn_leases VALUES ('leased', 'x', ?)", (NOW + 60,))
    states = {session.id: session.state(NOW) for session in newer.read().sessions}
    assert states["leased"] == "running"
    assert set(states) == {"leased", "touched"}


def test_an_index_that_is_made_anew_is_told(newer: Home) -> None:
    assert not newer.read().index_incomplete
    newer.writer.connection.execute("INSERT INTO state_meta VALUES ('fts_rebuild_progress', '1200')")
    newer.now += 5
    assert newer.read().index_incomplete


def test_sessions_that_the_ticks_name_are_the_heartbeats(home: Home) -> None:
    home.writer.session("20261120_031502_ab12cd", source="cli")
    home.writer.session("own", source="cli")
    home.writer.session("chat", source="telegram")
    ticks: list[TickHead] = []
    for number, session_id in enumerate(("20261120_031502_ab12cd", "chat")):
        line = json.dumps({"tick_id": f"t{number}", "session_id": session_id}).encode()
        head = parse_head(line, TickPlace("", 0, 0))
        assert isinstance(head, TickHead)
        ticks.append(head)
    reading = home.read()
    named = with_own_sessions(reading, ticks)
    assert dict(named.by_source) == {"heartbeat": 1, "cli": 1, "telegram": 1}
    assert with_own_sessions(reading, []) is reading


def test_a_failed_cron_job_is_a_problem(home: Home) -> None:
    jobs = [
        {"id": "a", "name": "nightly", "enabled": True, "last_status": "error", "last_error": "model not found\nmore"},
        {"id": "b", "name": "paused", "enabled": False, "last_status": "error"},
        {"id": "c", "name": "fine", "enabled": True, "last_status": "ok"},
        {"job_id": "d", "last_status": "error", "last_error": None},
        "no job",
    ]
    (home.folder / "cron").mkdir()
    path = home.folder / "cron" / "jobs.json"
    for text in (json.dumps({"jobs": jobs}), "\ufeff" + json.dumps(jobs)):
        path.write_text(text)
        reading = home.read()
        assert [(job.name, job.error) for job in reading.failed_jobs] == [
            ("nightly", "model not found more"),
            ("d", ""),
        ]
    told = overall(Snapshot(host="", hermes=Reading(value=reading, at=NOW), heartbeat_enabled=False), NOW)
    assert told.severity == "warning"
    assert any("cron job nightly failed: model not found" in problem for problem in told.problems)
    for text in ("", "{", '{"jobs": 7}', "[" * 100_000):
        path.write_text(text)
        assert home.read().failed_jobs == ()


def test_another_profile_in_use_is_named(home: Home) -> None:
    coder, old = home.folder / "profiles" / "coder", home.folder / "profiles" / "old"
    for folder, age_s in ((coder, 3600), (old, 3 * DAY_S)):
        folder.mkdir(parents=True)
        (folder / "state.db").touch()
        os.utime(folder / "state.db", (NOW - age_s, NOW - age_s))
    assert home.read().other_profiles == ("coder",)
    os.utime(home.folder / "state.db", (NOW, NOW))
    make_empty_store(coder / "state.db").close()
    other = HermesStore(home.folder, profile="coder", clock=lambda: NOW, wall=lambda: NOW)
    assert other.read().other_profiles == ("default",)
