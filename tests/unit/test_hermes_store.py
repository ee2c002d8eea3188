"""What the Hermes store says: Hermes' own numbers, with places and prices that are known or said to be unknown."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from hermes_store_maker import CLOUD_URL, LOCAL_URL, NOW, make_empty_store, make_store
from hypothesis import given, settings
from hypothesis import strategies as st

from timmy_tui.services.hermes.store import HermesStore

FIXTURE = Path(__file__).parent.parent / "fixtures" / "hermes"


def store_of(home: Path, *, now: float = NOW, hours: float = 24) -> HermesStore:
    return HermesStore(home, hours=hours, clock=lambda: now)


@pytest.fixture
def fixture_home(tmp_path: Path) -> Path:
    home = tmp_path / "hermes"
    home.mkdir()
    shutil.copyfile(FIXTURE / "state.db", home / "state.db")
    return home


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


def test_runs_without_an_answer_and_with_an_empty_one_have_failed(fixture_home: Path) -> None:
    reading = store_of(fixture_home).read()
    failed = {session.id for session in reading.sessions if session.state(NOW) == "failed"}
    assert failed == {
        "20261120_035135_f46f94",
        "20261120_035144_81f036",
        "20261120_035153_b1c251",
        "cron_e205567b24ff_20261120_035438",
    }
    assert reading.count("done", NOW) == 12
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
    reading = store_of(home, now=now, hours=hours).read()
    assert len(reading.tokens_by_bucket) == 24
    assert sum(reading.tokens_by_bucket) == reading.tokens.total
    assert reading.tokens.total == sum(
        number + 1 for number, age in enumerate(ages) if now - age * hours * 3600 >= now - hours * 3600
    )


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


def test_no_connection_is_left_that_would_hold_hermes_back(tmp_path: Path) -> None:
    make_store(tmp_path / "state.db", sessions=2)
    store = store_of(tmp_path)
    store.read()
    store.search("disk")
    with sqlite3.connect(tmp_path / "state.db", timeout=0) as other:
        assert other.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
    assert not (tmp_path / "state.db-wal").exists()
    assert len(store.read().sessions) == 2
