"""The providers as one reading: probes for what is there, the calls' metrics for how it does."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import timmy_tui
from tests.faulty_server import FaultyServer
from timmy_tui.config import load_settings
from timmy_tui.services.providers.metrics import BUCKET_COUNT, bucket_index
from timmy_tui.services.providers.records import ProviderStatus
from timmy_tui.services.providers.store import ProvidersError, ProvidersStore

KEY = "sk-proj-0123456789abcdef"


class Stack:
    """A home with one Ollama, a store over it, and a clock that only the test moves."""

    def __init__(self, home: Path, server: FaultyServer) -> None:
        self.home, self.server = home, server
        self.now = 1_795_144_500.0
        self.env = {"TIMMY_HOME": str(home), "HOME": str(home), "PATH": "", "OLLAMA_HOST": server.url}
        (home / "tui.yaml").write_text("intervals: {providers_s: 30}\ntimeouts: {providers_s: 5}\n")
        self.store = ProvidersStore(load_settings(self.env), env=self.env, clock=lambda: self.now)

    def providers(self, text: str) -> None:
        (self.home / "providers.yaml").write_text(text)

    def metrics(self, **columns: object) -> None:
        names = ["provider_name", *columns]
        with sqlite3.connect(self.home / "timmy.db") as connection:
            connection.execute("DROP TABLE IF EXISTS provider_metrics")
            connection.execute(f"CREATE TABLE provider_metrics ({', '.join(names)})")
            marks = ",".join("?" * len(names))
            connection.execute(f"INSERT INTO provider_metrics VALUES ({marks})", ["ollama", *columns.values()])
        connection.close()

    async def ollama(self) -> ProviderStatus:
        return (await self.store.read()).providers[0]


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    models = '{"data": [{"id": "gpt"}]}'
    with FaultyServer({"/api/version": '{"version":"0.32.15"}', "/v1/models": models}) as server:
        yield server


@pytest.fixture
async def stack(tmp_path: Path, server: FaultyServer) -> AsyncIterator[Stack]:
    stack = Stack(tmp_path, server)
    yield stack
    await stack.store.aclose()


async def test_a_server_that_answers_is_up(stack: Stack, server: FaultyServer) -> None:
    reading = await stack.store.read()
    status = reading.providers[0]
    assert not reading.configured
    assert (status.name, status.state, status.version) == ("ollama", "up", "0.32.15")
    assert status.address == server.url
    assert status.probe_latency_ms is not None
    assert status.next_probe_at == stack.now + 30
    assert (status.requests, status.circuit, status.last_error) == (0, "closed", None)


async def test_between_two_probes_nothing_is_asked_and_nothing_changes(stack: Stack, server: FaultyServer) -> None:
    first = await stack.store.read()
    stack.now += 20
    assert await stack.store.read() == first
    assert server.count("/api/version") == 1
    stack.now += 10
    assert await stack.store.read() != first
    assert server.count("/api/version") == 2


async def test_probe_now_asks_at_once(stack: Stack, server: FaultyServer) -> None:
    await stack.store.read()
    stack.store.probe_now()
    await stack.store.read()
    await stack.store.read()
    assert server.count("/api/version") == 2


async def test_readers_at_the_same_time_share_one_probe(stack: Stack, server: FaultyServer) -> None:
    readings = await asyncio.gather(*(stack.store.read() for _ in range(5)))
    assert server.count("/api/version") == 1
    assert len({reading.providers[0].state for reading in readings}) == 1


async def test_a_dead_server_is_asked_less_and_less_often(stack: Stack, server: FaultyServer) -> None:
    await stack.store.read()
    server.trouble = "refuse"
    pauses = []
    for _ in range(7):
        stack.now = (await stack.ollama()).next_probe_at or 0
        status = await stack.ollama()
        pauses.append((status.next_probe_at or 0) - stack.now)
    assert pauses == [30, 60, 120, 240, 300, 300, 300]
    assert status.state == "down"
    assert status.last_error == "nothing listens there (connection refused)"
    assert status.last_error_at == stack.now
    assert status.version == "0.32.15"
    server.trouble = "healthy"
    stack.now += 300
    status = await stack.ollama()
    assert (status.state, status.last_error) == ("up", None)
    assert (status.next_probe_at or 0) - stack.now == 30


async def test_a_call_that_got_through_ends_the_pause(stack: Stack, server: FaultyServer) -> None:
    server.trouble = "refuse"
    stack.metrics(successful_requests=4)
    await stack.store.read()
    stack.now += 30
    assert (await stack.ollama()).state == "down"
    server.trouble = "healthy"
    stack.now += 5
    assert (await stack.ollama()).state == "down"
    stack.metrics(successful_requests=5)
    assert (await stack.ollama()).state == "up"


async def test_a_clock_that_is_set_back_does_not_silence_the_probes(stack: Stack, server: FaultyServer) -> None:
    await stack.store.read()
    stack.now -= 86_400
    await stack.store.read()
    assert server.count("/api/version") == 2


async def test_probes_are_kept_but_not_for_ever(stack: Stack) -> None:
    for _ in range(70):
        stack.store.probe_now()
        status = await stack.ollama()
    assert len(status.probes) == 60


async def test_the_metrics_of_the_calls_are_merged(stack: Stack) -> None:
    buckets = [0] * BUCKET_COUNT
    buckets[bucket_index(100)] = 10
    stack.metrics(
        total_requests=12,
        successful_requests=10,
        failed_requests=2,
        avg_latency_ms=101.5,
        circuit_state="HALF_OPEN",
        last_error="timeout",
        last_error_time=1_795_000_000,
        latency_buckets=json.dumps(buckets),
    )
    status = await stack.ollama()
    assert (status.requests, status.failures, status.avg_latency_ms) == (12, 2, 101.5)
    assert (status.circuit, status.state) == ("half_open", "up")
    assert (status.last_error, status.last_error_at) == ("timeout", 1_795_000_000)
    assert status.p50_latency_ms == 112
    assert status.p95_latency_ms == pytest.approx(126.4)


async def test_an_open_circuit_tells_its_own_next_trial(stack: Stack) -> None:
    stack.providers(
        "cascade: {circuit_breaker: {recovery_timeout: 45}}\nproviders:\n  - {name: ollama, type: ollama}\n"
    )
    stack.metrics(circuit_state="open", opened_at=1_795_144_490.0, next_try_at=None)
    assert (await stack.ollama()).next_probe_at == 1_795_144_535.0
    stack.metrics(circuit_state="open", opened_at=1_795_144_490.0, next_try_at=1_795_144_600.0)
    assert (await stack.ollama()).next_probe_at == 1_795_144_600.0


async def test_the_newer_error_is_the_last_one_while_the_server_is_down(stack: Stack, server: FaultyServer) -> None:
    server.trouble = "refuse"
    stack.metrics(last_error="old", last_error_time=stack.now - 100)
    assert (await stack.ollama()).last_error == "nothing listens there (connection refused)"
    stack.metrics(last_error="newer", last_error_time=stack.now + 1)
    assert (await stack.ollama()).last_error == "newer"


async def test_a_damaged_database_is_a_note_beside_what_the_probes_say(stack: Stack) -> None:
    (stack.home / "timmy.db").write_bytes(b"nonsense" * 1000)
    status = await stack.ollama()
    assert status.state == "up"
    assert "damaged" in (status.note or "")


async def test_what_is_disabled_is_never_asked(stack: Stack, server: FaultyServer) -> None:
    stack.providers(
        f"providers:\n  - {{name: idle, type: ollama, enabled: false, url: '{server.url}'}}\n"
        f"  - {{name: keyless, type: openai, base_url: '{server.url}', api_key: '${{NO_SUCH_KEY}}'}}\n"
    )
    idle, keyless = (await stack.store.read()).providers
    assert (idle.state, idle.note, idle.next_probe_at) == ("disabled", "turned off in the configuration", None)
    assert (keyless.state, keyless.note) == ("disabled", "no key in NO_SUCH_KEY")
    assert server.requests == []


async def test_a_change_of_the_file_is_taken_up_at_the_next_reading(stack: Stack, server: FaultyServer) -> None:
    assert not (await stack.store.read()).configured
    stack.providers(f"providers:\n  - {{name: llama, type: openai, base_url: '{server.url}'}}\n")
    reading = await stack.store.read()
    assert reading.configured
    assert [(status.name, status.state, status.model) for status in reading.providers] == [("llama", "up", "gpt")]


async def test_a_broken_file_is_the_stores_own_error(stack: Stack) -> None:
    stack.providers("providers: 5\n")
    with pytest.raises(ProvidersError, match=r"providers\.yaml"):
        await stack.store.read()


@pytest.mark.parametrize("trouble", ["healthy", "error", "refuse", "drop", "half", "html", "redirect"])
async def test_a_key_is_sent_but_never_told(stack: Stack, server: FaultyServer, trouble: str) -> None:
    server.trouble = trouble  # type: ignore[assignment]
    stack.providers(f"providers:\n  - {{name: x, type: openai, base_url: '{server.url}', api_key: {KEY}}}\n")
    reading = await stack.store.read()
    assert KEY not in repr(reading)
    if trouble != "refuse":
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_one_slow_provider_does_not_hide_another(tmp_path: Path, server: FaultyServer) -> None:
    with FaultyServer({}) as slow:
        slow.trouble = "hang"
        stack = Stack(tmp_path, server)
        (tmp_path / "tui.yaml").write_text("timeouts: {providers_s: 0.3}\n")
        stack.store = ProvidersStore(load_settings(stack.env), env=stack.env)
        stack.providers(
            f"providers:\n  - {{name: slow, type: ollama, url: '{slow.url}'}}\n"
            f"  - {{name: fast, type: ollama, url: '{server.url}'}}\n"
        )
        states = [(status.name, status.state) for status in (await stack.store.read()).providers]
        slow.trouble = "healthy"
        await stack.store.aclose()
    assert states == [("slow", "down"), ("fast", "up")]


def test_importing_the_store_imports_nothing_heavy() -> None:
    code = (
        "import sys; import timmy_tui.services.providers.store;"
        "print([name for name in ('httpx', 'yaml', 'rich', 'textual', 'anyio') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(timmy_tui.__file__).parents[1],
    )
    assert result.stdout.strip() == "[]"
