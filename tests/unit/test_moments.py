"""Times from outside: what no clock has shown is unknown, wherever it enters and wherever it is shown."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.services.hermes.cells import seconds
from timmy_tui.services.hermes.routing import read_routing
from timmy_tui.services.moments import LATEST_S, unix_seconds
from timmy_tui.services.ollama.decode import loaded_models, unix_time
from timmy_tui.services.providers.metrics import metrics_of_row
from timmy_tui.services.ticks.parse import parse_head
from timmy_tui.services.ticks.records import TickHead, TickPlace
from timmy_tui.text import local_moment, moment_text

NEVER = ["0001-01-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59", "9999-12-31T23:59:59Z"]
ZONES = ["UTC", "Asia/Tokyo", "America/New_York"]


@pytest.fixture(params=ZONES, autouse=True)
def zone(request: pytest.FixtureRequest, own_environment: None) -> Iterator[None]:
    """East and west of Greenwich, where the calendar ends at different moments."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize("value", [-1, -1e-9, LATEST_S, 1e300, math.inf, -math.inf, math.nan])
def test_what_can_not_be_a_time_is_none(value: float) -> None:
    assert unix_seconds(value) is None
    assert seconds(value) is None


@pytest.mark.parametrize("value", [0, 1, 1_795_000_000.5, LATEST_S - 1])
def test_a_time_stays_what_it_is(value: float) -> None:
    assert unix_seconds(value) == seconds(value) == value


@pytest.mark.parametrize("stamp", NEVER)
def test_a_tick_of_no_time_has_the_time_of_its_id_or_none(stamp: str) -> None:
    place = TickPlace("ticks_20261120.jsonl", 0, 1)
    dated = parse_head(json.dumps({"tick_id": "20261120_040500", "timestamp": stamp}).encode(), place, UTC)
    bare = parse_head(json.dumps({"tick_id": "00010101_000000", "timestamp": stamp}).encode(), place)
    assert isinstance(dated, TickHead)
    assert isinstance(bare, TickHead)
    assert dated.at == datetime(2026, 11, 20, 4, 5, tzinfo=UTC).timestamp()
    assert bare.at is None


@pytest.mark.parametrize("stamp", NEVER)
def test_other_sources_know_no_such_time_either(stamp: str, tmp_path: Path) -> None:
    assert unix_time(stamp) is None
    row = metrics_of_row({"provider_name": "p", "last_error_time": stamp, "updated_at": -1, "opened_at": 0})
    assert row is not None
    assert (row.last_error_at, row.updated_at, row.opened_at) == (None, None, None)
    routing = tmp_path / "sessions.json"
    routing.write_text(json.dumps({"a": {"session_id": "s", "created_at": stamp}}))
    assert read_routing(routing) == ()


def test_an_expiry_in_the_year_9999_is_the_servers_never() -> None:
    body = json.dumps({"models": [{"name": "m", "expires_at": "9999-12-31T23:59:59Z"}]}).encode()
    assert loaded_models(body, 1_795_000_000.0)[0].expires_at == math.inf


@given(st.none() | st.floats())
def test_any_number_is_shown_and_none_is_a_crash(at: float | None) -> None:
    moment = local_moment(at)
    assert moment_text(at, "%H:%M") == ("?" if moment is None else f"{moment:%H:%M}")


def test_a_time_is_shown_in_the_zone_of_the_machine() -> None:
    at = datetime(2026, 11, 20, 4, 5, 6, tzinfo=UTC).timestamp()
    hour = {"UTC": "04", "Asia/Tokyo": "13", "America/New_York": "23"}[os.environ["TZ"]]
    assert moment_text(at, "%H:%M:%S") == f"{hour}:05:06"
    assert moment_text(None, "%H:%M", unknown="--:--") == "--:--"
    assert moment_text(-62_135_596_800 - 86_400, "%H:%M") == moment_text(1e18, "%H:%M") == "?"
