"""Circuits and figures in ``timmy.db``: what the providers pane reads is what the calls have written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from timmy_tui.config import CircuitConfig
from timmy_tui.services.cascade.circuit import CircuitState, Permit, Refusal
from timmy_tui.services.cascade.metrics_store import MetricsStore
from timmy_tui.services.cascade.records import CallProblem
from timmy_tui.services.database import DatabaseError
from timmy_tui.services.events import recent_events
from timmy_tui.services.providers.metrics import bucket_index, percentile, read_provider_events, read_provider_metrics

NOW = 1_795_144_500.0
CONFIG = CircuitConfig(failure_threshold=2, recovery_timeout=60, half_open_max_calls=1)
OLD_TABLE = (
    "CREATE TABLE provider_metrics (provider_name TEXT, total_requests INTEGER NOT NULL, successful_requests INTEGER"
    " NOT NULL, failed_requests INTEGER NOT NULL, avg_latency_ms REAL NOT NULL DEFAULT 0, last_error_time TEXT,"
    " circuit_state TEXT NOT NULL DEFAULT 'CLOSED', updated_at TEXT)"
)


class Stack:
    """A store over a database of its own, with a clock that is moved by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = NOW
        self.store = MetricsStore(path, CONFIG, lambda: self.now)

    def permit(self, provider: str = "ollama") -> Permit:
        permit = self.store.acquire(provider)
        assert isinstance(permit, Permit)
        return permit

    def fail(
        self, problem: CallProblem = "refused", message: str = "nothing listens", provider: str = "ollama"
    ) -> None:
        self.store.failed(self.permit(provider), problem, message)

    def events(self) -> list[str]:
        return [event.event_type for event in reversed(recent_events(self.path, 100))]


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "timmy.db")


def test_making_the_store_opens_nothing_and_every_circuit_is_closed(stack: Stack) -> None:
    assert stack.store.circuit_of("ollama") == CircuitState()
    assert not stack.path.exists()


def test_answers_are_counted_with_their_latency(stack: Stack) -> None:
    for latency_ms in (100.0, 200.0, 300.0, 2_000.0):
        stack.store.succeeded(stack.permit(), latency_ms)
    metrics = read_provider_metrics(stack.path).of("ollama")
    assert (metrics.requests, metrics.successes, metrics.failures) == (4, 4, 0)
    assert metrics.avg_latency_ms == pytest.approx(650.0)
    assert metrics.updated_at == NOW
    assert metrics.latency_buckets[bucket_index(2_000.0)] == 1
    assert sum(metrics.latency_buckets) == 4
    p95 = percentile(metrics.latency_buckets, 0.95)
    assert p95 is not None
    assert 1_500 < p95 <= 2_048


def test_the_round_from_closed_to_closed_is_stored_and_told(stack: Stack) -> None:
    stack.fail()
    stack.fail(message="connection refused by \x1b[31m sk-abcdefgh12345678")
    state = stack.store.circuit_of("ollama")
    assert state == CircuitState("open", 2, NOW, NOW + 60)
    stack.now += 42
    assert stack.store.acquire("ollama") == Refusal("open", NOW + 60)
    stack.now = NOW + 60
    trial = stack.permit()
    assert trial.trial
    assert stack.store.circuit_of("ollama").circuit == "half_open"
    assert isinstance(stack.store.acquire("ollama"), Refusal)
    stack.store.succeeded(trial, 20.0)
    assert stack.store.circuit_of("ollama") == CircuitState()
    assert stack.events() == [
        "provider.failed",
        "provider.failed",
        "circuit.opened",
        "circuit.half_opened",
        "circuit.closed",
    ]
    metrics = read_provider_metrics(stack.path).of("ollama")
    assert (metrics.requests, metrics.successes, metrics.failures, metrics.circuit) == (3, 1, 2, "closed")
    assert metrics.next_try_at is None
    assert metrics.last_error_at == NOW
    told = read_provider_events(stack.path, "ollama")
    assert "2 failures in a row" in told[2].text
    assert "next try in 1 m" in told[2].text
    assert "abcdefgh" not in f"{told}{metrics}"
    assert "\x1b" not in f"{told}{metrics}"


def test_the_countdown_of_the_pane_is_the_time_at_which_a_trial_gets_through(stack: Stack) -> None:
    stack.fail("auth", "the key was refused (401)")
    metrics = read_provider_metrics(stack.path).of("ollama")
    assert metrics.circuit == "open"
    assert metrics.next_try_at is not None
    stack.now = metrics.next_try_at - 0.001
    assert isinstance(stack.store.acquire("ollama"), Refusal)
    stack.now = metrics.next_try_at
    assert stack.permit().trial


def test_a_failed_trial_opens_it_for_the_whole_time_again(stack: Stack) -> None:
    stack.fail("not_found")
    stack.now += 60
    trial = stack.permit()
    stack.now += 10
    stack.store.failed(trial, "timeout", "no answer within 10 s")
    assert stack.store.acquire("ollama") == Refusal("open", NOW + 130)
    opened = read_provider_events(stack.path, "ollama")[0]
    assert opened.event == "circuit.opened"
    assert "the trial failed: no answer within 10 s" in opened.text


def test_a_request_of_the_wrong_kind_counts_for_nothing(stack: Stack) -> None:
    for _ in range(5):
        stack.fail("not_local")
        stack.fail("too_long")
    assert read_provider_metrics(stack.path).of("ollama").requests == 0
    assert stack.events() == []


def test_a_cancelled_trial_leaves_its_slot(stack: Stack) -> None:
    stack.fail("auth")
    stack.now += 60
    stack.store.released(stack.permit())
    assert stack.permit().trial


def test_a_dead_holders_slot_is_free_after_its_lease(stack: Stack) -> None:
    stack.fail("auth")
    stack.now += 60
    assert isinstance(stack.store.acquire("ollama", lease_s=30), Permit)
    stack.now += 29.9
    assert isinstance(stack.store.acquire("ollama", lease_s=30), Refusal)
    stack.now += 0.1
    assert stack.permit().trial


def test_providers_do_not_touch_each_other(stack: Stack) -> None:
    stack.fail("auth", provider="hermes")
    assert stack.store.circuit_of("ollama").circuit == "closed"
    stack.store.succeeded(stack.permit("ollama"), 5.0)
    assert stack.store.circuit_of("hermes").circuit == "open"


def test_an_older_stacks_table_goes_on_being_counted_in(stack: Stack) -> None:
    with closing(sqlite3.connect(stack.path)) as connection:
        connection.execute(OLD_TABLE)
        connection.execute(
            "INSERT INTO provider_metrics VALUES ('ollama', 10, 8, 2, 100.0, '2026-11-20T03:14:00', 'CLOSED', '')"
        )
        connection.execute(
            "INSERT INTO provider_metrics VALUES ('cloud', 5, 0, 5, 0, '2026-11-20T03:14:30', 'CircuitState.OPEN', '')"
        )
        connection.commit()
    stack.store.succeeded(stack.permit(), 190.0)
    stack.store.succeeded(stack.permit("new"), 7.0)
    view = read_provider_metrics(stack.path)
    assert (view.of("ollama").requests, view.of("ollama").successes) == (11, 9)
    assert view.of("ollama").avg_latency_ms == pytest.approx(110.0)
    assert view.of("new").avg_latency_ms == 7.0
    # Its own open circuit is honoured, from the only time that the old row has.
    assert stack.store.acquire("cloud") == Refusal("open", NOW - 30 + 60)


def test_leases_that_another_program_broke_are_no_leases(stack: Stack) -> None:
    stack.fail("auth")
    stack.now += 60
    stack.permit()
    with closing(sqlite3.connect(stack.path)) as connection:
        connection.execute("UPDATE provider_metrics SET half_open_leases = '[[[', latency_buckets = '{}'")
        connection.commit()
    trial = stack.permit()
    assert trial.trial
    stack.store.succeeded(trial, 3.0)
    assert sum(read_provider_metrics(stack.path).of("ollama").latency_buckets) == 1


def test_a_broken_database_is_one_documented_error(stack: Stack) -> None:
    stack.path.write_bytes(b"rubbish" * 1_000)
    for call in (lambda: stack.store.acquire("ollama"), lambda: stack.store.circuit_of("ollama")):
        with pytest.raises(DatabaseError, match="damaged"):
            call()
