"""Circuits and figures of the providers in ``timmy.db``, one row each, shared by every process of the machine.

Every operation is one ``BEGIN IMMEDIATE`` transaction, and the clock is read inside it: two processes can neither
take the same trial slot nor lose a count. The calls block for as long as SQLite does; run them in a thread.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from timmy_tui.config import CircuitConfig
from timmy_tui.services.cascade import circuit
from timmy_tui.services.cascade.circuit import NOT_ITS_FAULT, CircuitState, Lease, Permit, Refusal
from timmy_tui.services.cascade.records import CallProblem
from timmy_tui.services.database import columns_of, reading, transaction
from timmy_tui.services.events import append_event
from timmy_tui.services.providers.metrics import (
    BUCKET_COUNT,
    ProviderMetrics,
    bucket_index,
    metrics_of_row,
)
from timmy_tui.text import Json, clean_error, span_text

LEASE_S = 180.0
"""How long a trial may hold its slot when the caller does not say: longer than a tick's deadline."""

Value = str | float | int | None


class MetricsStore:
    """See the module's text. Making it opens nothing. Everything raises
    :class:`~timmy_tui.services.database.DatabaseError` and nothing else."""

    def __init__(self, path: Path, config: CircuitConfig, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._config = config
        self._clock = clock

    def acquire(self, provider: str, *, lease_s: float = LEASE_S) -> Permit | Refusal:
        """Ask for a call. A permit must be settled by :meth:`succeeded`, :meth:`failed` or :meth:`released`.

        A trial's slot is taken with the permit, and is free again after ``lease_s`` if its holder dies.
        """
        with transaction(self._path) as connection:
            now = self._clock()
            state = self._state(_row(connection, provider))
            answer = circuit.allowed(state, now, self._config)
            if isinstance(answer, Refusal):
                return answer
            permit = replace(answer, provider=provider, token=uuid.uuid4().hex)
            _store(connection, provider, state, circuit.entered(state, permit, now, lease_s), now)
            return permit

    def succeeded(self, permit: Permit, latency_ms: float) -> CircuitState:
        """Count an accepted answer that took ``latency_ms``."""
        with transaction(self._path) as connection:
            now = self._clock()
            found = _row(connection, permit.provider)
            row, state = found.metrics, self._state(found)
            after = circuit.succeeded(state, permit)
            known_ms = row.avg_latency_ms if row.avg_latency_ms is not None and row.successes else 0.0
            buckets = list(row.latency_buckets) or [0] * BUCKET_COUNT
            buckets[bucket_index(latency_ms)] += 1
            counted: dict[str, Value] = {
                "total_requests": row.requests + 1,
                "successful_requests": row.successes + 1,
                "avg_latency_ms": known_ms + (latency_ms - known_ms) / (row.successes + 1),
                "latency_buckets": msgspec.json.encode(buckets).decode(),
            }
            _store(connection, permit.provider, state, after, now, counted)
            return after

    def succeeded_often(self, provider: str, latencies_ms: Sequence[float]) -> None:
        """Count many accepted answers of a closed circuit in one transaction."""
        with transaction(self._path) as connection:
            now = self._clock()
            found = _row(connection, provider)
            row, state = found.metrics, self._state(found)
            successes = row.successes + len(latencies_ms)
            known_ms = row.avg_latency_ms if row.avg_latency_ms is not None and row.successes else 0.0
            buckets = list(row.latency_buckets) or [0] * BUCKET_COUNT
            for latency_ms in latencies_ms:
                buckets[bucket_index(latency_ms)] += 1
            counted: dict[str, Value] = {
                "total_requests": row.requests + len(latencies_ms),
                "successful_requests": successes,
                "avg_latency_ms": (known_ms * row.successes + sum(latencies_ms)) / successes,
                "latency_buckets": msgspec.json.encode(buckets).decode(),
            }
            closed = state.circuit == "closed"
            after = circuit.succeeded(state, Permit(provider=provider)) if closed else state
            _store(connection, provider, state, after, now, counted)

    def held(self, provider: str) -> Permit | None:
        """A permit without a look: this store always looks (see :class:`BatchedMetrics`)."""
        return None

    def noted(self, permit: Permit, latency_ms: float) -> bool:
        """Keep a success for later: this store keeps none."""
        return False

    def flush(self) -> None:
        """Nothing was kept."""

    def failed(
        self, permit: Permit, problem: CallProblem, message: str, retry_after_s: float | None = None
    ) -> CircuitState:
        """Count a failure; one that is not the provider's fault only frees the slot."""
        if problem in NOT_ITS_FAULT:
            return self.released(permit)
        said = clean_error(message)
        with transaction(self._path) as connection:
            now = self._clock()
            found = _row(connection, permit.provider)
            row, state = found.metrics, self._state(found)
            after = circuit.failed(state, permit, problem, now, self._config, retry_after_s)
            counted: dict[str, Value] = {
                "total_requests": row.requests + 1,
                "failed_requests": row.failures + 1,
                "last_error": said,
                "last_error_time": now,
            }
            details: dict[str, Json] = {"provider": permit.provider, "error": said, "problem": problem}
            if retry_after_s is not None:
                details["retry_after_s"] = round(retry_after_s)
            append_event(connection, "provider.failed", permit.provider, data=details, now=now)
            _store(connection, permit.provider, state, after, now, counted, said)
            return after

    def released(self, permit: Permit) -> CircuitState:
        """Settle a permit whose call says nothing about the provider: cancelled, or never made."""
        with transaction(self._path) as connection:
            now = self._clock()
            state = self._state(_row(connection, permit.provider))
            after = circuit.released(state, permit)
            _store(connection, permit.provider, state, after, now)
            return after

    def healed(self, permit: Permit) -> CircuitState:
        """Close the circuit of a provider that answers its free endpoint again; no request is counted."""
        with transaction(self._path) as connection:
            now = self._clock()
            state = self._state(_row(connection, permit.provider))
            after = circuit.succeeded(state, permit)
            _store(connection, permit.provider, state, after, now)
            return after

    def last_problem(self, provider: str) -> str | None:
        """Why the provider's last failed call failed, as the event log has it; None when it does not tell."""
        with reading(self._path) as connection:
            if connection is None or "event_type" not in columns_of(connection, "event_log"):
                return None
            found = connection.execute(
                "SELECT data FROM event_log WHERE event_type = 'provider.failed' AND source = ?"
                " ORDER BY id DESC LIMIT 1",
                (provider,),
            ).fetchone()
        try:
            told = msgspec.json.decode(found[0], type=dict[str, object]) if found else {}
        except (msgspec.MsgspecError, RecursionError, TypeError):
            return None
        problem = told.get("problem")
        return problem if isinstance(problem, str) else None

    def circuit_of(self, provider: str) -> CircuitState:
        """The provider's circuit as it is stored; closed for one that has no row."""
        with reading(self._path) as connection:
            if connection is None or "provider_name" not in columns_of(connection, "provider_metrics"):
                return CircuitState()
            return self._state(_row(connection, provider))

    def _state(self, row: _Row) -> CircuitState:
        """The circuit in a row. What another stack's row does not tell is taken from the times that it has."""
        metrics = row.metrics
        if metrics.circuit != "open":
            return CircuitState(metrics.circuit, metrics.consecutive_failures, metrics.opened_at, None, row.leases)
        opened_at = metrics.opened_at or metrics.last_error_at or metrics.updated_at
        next_try_at = metrics.next_try_at
        if next_try_at is None and opened_at is not None:
            next_try_at = opened_at + self._config.recovery_timeout
        return CircuitState("open", metrics.consecutive_failures, opened_at, next_try_at)


class _Row(Struct, frozen=True):
    """What is stored of one provider."""

    metrics: ProviderMetrics
    leases: tuple[Lease, ...]


def _row(connection: sqlite3.Connection, provider: str) -> _Row:
    cursor = connection.execute("SELECT * FROM provider_metrics WHERE provider_name = ?", (provider,))
    values = cursor.fetchone()
    row = dict(zip((column[0] for column in cursor.description), values, strict=True)) if values else {}
    metrics = metrics_of_row(row) if row else None
    return _Row(metrics or ProviderMetrics(provider), _leases(row.get("half_open_leases")))


def _leases(value: object) -> tuple[Lease, ...]:
    if not isinstance(value, str):
        return ()
    try:
        return msgspec.json.decode(value, type=tuple[Lease, ...])
    except (msgspec.MsgspecError, RecursionError):
        return ()


def _store(
    connection: sqlite3.Connection,
    provider: str,
    before: CircuitState,
    after: CircuitState,
    now: float,
    counted: Mapping[str, Value] = {},
    error: str = "",
) -> None:
    """Store what changed, and tell a transition in the event log."""
    if before == after and not counted:
        return
    columns: dict[str, Value] = {
        **counted,
        "circuit_state": after.circuit,
        "consecutive_failures": after.consecutive_failures,
        "opened_at": after.opened_at,
        "next_try_at": after.next_try_at,
        "half_open_leases": msgspec.json.encode(after.leases).decode() if after.leases else None,
        "updated_at": now,
    }
    # Another stack's table may have neither defaults nor the unique key that an upsert needs.
    connection.execute(
        "INSERT INTO provider_metrics (provider_name, total_requests, successful_requests, failed_requests)"
        " SELECT :name, 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM provider_metrics WHERE provider_name = :name)",
        {"name": provider},
    )
    connection.execute(
        f"UPDATE provider_metrics SET {', '.join(f'{column} = ?' for column in columns)} WHERE provider_name = ?",
        (*columns.values(), provider),
    )
    if before.circuit != after.circuit:
        kind, message = _transition(before, after, error)
        details: Json = {"provider": provider, "message": message}
        append_event(connection, kind, provider, data=details, now=now)


def _transition(before: CircuitState, after: CircuitState, error: str) -> tuple[str, str]:
    """The event of a transition: its type, and what it says."""
    if after.circuit == "closed":
        return "circuit.closed", "answers again"
    if after.circuit == "half_open":
        return "circuit.half_opened", "a trial call"
    failures = after.consecutive_failures
    counted = "at the first failure" if failures == 1 else f"{failures} failures in a row"
    how = "the trial failed" if before.circuit == "half_open" else counted
    wait_s = (after.next_try_at or 0.0) - (after.opened_at or 0.0)
    return "circuit.opened", f"{how}: {error}; next try in {span_text(wait_s)}"
