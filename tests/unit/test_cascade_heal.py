"""A provider that was not there closes its circuit by itself when it is back, and only such a one."""

from __future__ import annotations

from pathlib import Path

import pytest
from faulty_server import FaultyServer

from timmy_tui.config import CircuitConfig, Settings, load_settings
from timmy_tui.services.cascade.circuit import Permit
from timmy_tui.services.cascade.heal import heal
from timmy_tui.services.cascade.metrics_store import MetricsStore
from timmy_tui.services.cascade.records import CallProblem

NOW = 1_795_147_500.0
BREAKER = CircuitConfig(failure_threshold=1, recovery_timeout=60)


def settings_for(tmp_path: Path, url: str) -> Settings:
    home = tmp_path / "timmy"
    home.mkdir()
    (home / "tui.yaml").write_text(
        "cascade: {circuit_breaker: {failure_threshold: 1, recovery_timeout: 60}}\n"
        f"providers: [{{name: spare, type: ollama, url: '{url}'}}]\n"
    )
    return load_settings({"HOME": str(tmp_path), "TIMMY_HOME": str(home)})


def trip(settings: Settings, problem: CallProblem) -> MetricsStore:
    store = MetricsStore(settings.database_path, BREAKER, lambda: NOW)
    permit = store.acquire("spare")
    assert isinstance(permit, Permit)
    assert store.failed(permit, problem, "it broke").circuit == "open"
    return store


async def test_a_refused_provider_that_listens_again_is_closed(tmp_path: Path) -> None:
    with FaultyServer({"/api/version": b'{"version": "0.32.15"}'}) as server:
        settings = settings_for(tmp_path, server.url)
        store = trip(settings, "refused")
        assert await heal(settings, {}, lambda: NOW + 30) == ()
        assert server.requests == []  # not before it is due
        assert await heal(settings, {}, lambda: NOW + 61) == ("spare",)
    assert store.circuit_of("spare").circuit == "closed"


async def test_one_that_is_still_gone_stays_open(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "http://127.0.0.1:9")
    store = trip(settings, "refused")
    assert await heal(settings, {}, lambda: NOW + 61) == ()
    assert store.circuit_of("spare").circuit == "open"


@pytest.mark.parametrize("problem", ["wrong_shape", "auth", "timeout", "server"])
async def test_what_a_free_endpoint_can_not_disprove_waits_for_a_call(tmp_path: Path, problem: CallProblem) -> None:
    with FaultyServer({"/api/version": b'{"version": "0.32.15"}'}) as server:
        settings = settings_for(tmp_path, server.url)
        store = trip(settings, problem)
        assert await heal(settings, {}, lambda: NOW + 61) == ()
    assert store.circuit_of("spare").circuit == "open"
