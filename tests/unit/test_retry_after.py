"""A provider that says when to come back is left alone until then, and that is told."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from faulty_server import Answer, FaultyServer

from timmy_tui.config import CascadeConfig, CircuitConfig, ProviderConfig, Settings, load_settings
from timmy_tui.services.cascade.cascade import Cascade
from timmy_tui.services.cascade.metrics_store import MetricsStore
from timmy_tui.services.cascade.providers.http import RETRY_AFTER_MOST_S, retry_after_s
from timmy_tui.services.cascade.providers.openai import OpenAIProvider
from timmy_tui.services.cascade.records import CompletionRequest
from timmy_tui.services.providers.found import target_of


@pytest.fixture
def settings(tmp_path: object) -> Settings:
    return load_settings({"HOME": str(tmp_path)})


async def test_a_circuit_stays_open_for_as_long_as_the_provider_asks(settings: Settings) -> None:
    now = [1_795_000_000.0]
    config = CircuitConfig(recovery_timeout=60)
    store = MetricsStore(settings.database_path, config, lambda: now[0])
    answer = Answer(b'{"error": {"message": "slow down"}}', status=429, headers={"Retry-After": "3600"})
    with FaultyServer({"/v1/chat/completions": answer}) as server:
        entry = ProviderConfig(name="there", type="openai", base_url=f"{server.url}/v1")
        provider = OpenAIProvider(target_of(entry, settings, {}), entry)
        cascade = Cascade([provider], store, CascadeConfig(circuit_breaker=config), lambda: now[0])
        request = CompletionRequest("?", "test", timeout_s=10, model="m")
        first = await cascade.run(request, lambda completion: completion.text)
        assert [attempt.error for attempt in first.attempts] == ["slow down (429); it wants no call for 1 h"]
        now[0] += 3500
        second = await cascade.run(request, lambda completion: completion.text)
        assert [attempt.error for attempt in second.attempts] == ["circuit open, next try in 100 s"]
        assert len(server.requests) == 1
        now[0] += 101
        await cascade.run(request, lambda completion: completion.text)
        assert len(server.requests) == 2
        await cascade.aclose()


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("3600", 3600),
        ("1", 1),
        ("999999999", RETRY_AFTER_MOST_S),
        ("0", None),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
def test_seconds(told: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": told}) == seconds


def test_a_date() -> None:
    found = retry_after_s({"retry-after": formatdate(time.time() + 600, usegmt=True)})
    assert found is not None
    assert 590 <= found <= 601
    assert retry_after_s({"retry-after": formatdate(time.time() - 600, usegmt=True)}) is None
