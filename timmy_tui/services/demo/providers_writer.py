"""``timmy.db`` of the simulated stack: each provider's figures and the event log (DESIGN §8)."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from random import Random

from msgspec import Struct

from timmy_tui.services.providers.metrics import BUCKET_COUNT, bucket_index
from timmy_tui.services.providers.records import Circuit
from timmy_tui.text import Json

FAILURE_THRESHOLD = 5
RECOVERY_S = 60.0
REFUSED = "connection refused"

_SCHEMA = """
CREATE TABLE provider_metrics (
    provider_name TEXT PRIMARY KEY, total_requests INTEGER NOT NULL DEFAULT 0,
    successful_requests INTEGER NOT NULL DEFAULT 0, failed_requests INTEGER NOT NULL DEFAULT 0,
    avg_latency_ms REAL, last_error_time REAL, circuit_state TEXT NOT NULL DEFAULT 'closed', updated_at REAL,
    last_error TEXT, opened_at REAL, next_try_at REAL, consecutive_failures INTEGER NOT NULL DEFAULT 0,
    latency_buckets TEXT
);
CREATE TABLE event_log (
    id INTEGER PRIMARY KEY, event_type TEXT NOT NULL, source TEXT, task_id TEXT, agent_id TEXT, data TEXT,
    timestamp REAL NOT NULL
);
CREATE INDEX event_log_timestamp ON event_log (timestamp);
"""


class Figures(Struct):
    """What is counted of one provider."""

    name: str
    successes: int = 0
    failures: int = 0
    latency_sum_ms: float = 0.0
    buckets: list[int] = []
    circuit: Circuit = "closed"
    last_error: str | None = None
    last_error_at: float | None = None
    opened_at: float | None = None
    next_try_at: float | None = None
    consecutive_failures: int = 0

    def good(self, latency_ms: float) -> None:
        """One call that was answered."""
        self.successes += 1
        self.consecutive_failures = 0
        self.latency_sum_ms += latency_ms
        self.buckets = self.buckets or [0] * BUCKET_COUNT
        self.buckets[bucket_index(latency_ms)] += 1

    def bad(self, error: str, at: float) -> None:
        """One call that failed."""
        self.failures += 1
        self.consecutive_failures += 1
        self.last_error, self.last_error_at = error, at


class ProvidersLedger:
    """Keeps the figures and writes them, with events, into ``timmy.db``. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False, timeout=5)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._figures: dict[str, Figures] = {}

    def create(self, now: float, seed: int) -> None:
        """Make the tables and fill them with three days' history; airllm's circuit has just opened."""
        path = self._connection.execute("PRAGMA database_list").fetchone()[2]
        Path(path).chmod(0o600)
        self._connection.executescript(_SCHEMA)
        random = Random(f"{seed}:providers")
        for name, calls, failures, median_ms in (
            ("hermes", 391, 7, 1800.0),
            ("ollama", 512, 2, 900.0),
            ("airllm", 63, 9, 4200.0),
        ):
            figures = self.of(name)
            for _ in range(calls):
                figures.good(median_ms * random.lognormvariate(0, 0.28))
            for index in range(failures):
                figures.bad("timed out after 30 s", now - 86_400 + index * 7_300)
            figures.consecutive_failures = 0
            self.event("provider.registered", {"provider": name}, now - 3 * 86_400)
            self._store(figures, now)
        self.event("circuit.opened", {"provider": "hermes", "error": "5 failures in a row"}, now - 30_600)
        self.event("circuit.closed", {"provider": "hermes", "message": "answers again"}, now - 29_900)
        for index in range(FAILURE_THRESHOLD):
            self.failed("airllm", REFUSED, now - 39 + 5 * index)
        self.opened("airllm", now - 19)
        self._connection.commit()

    def of(self, name: str) -> Figures:
        """One provider's figures."""
        return self._figures.setdefault(name, Figures(name))

    def answered(self, name: str, latency_ms: float, at: float) -> None:
        """Count a call that was answered."""
        figures = self.of(name)
        figures.good(latency_ms)
        self._store(figures, at)

    def failed(self, name: str, error: str, at: float) -> None:
        """Count a call that failed."""
        figures = self.of(name)
        figures.bad(error, at)
        self.event("provider.failed", {"provider": name, "error": error}, at)
        self._store(figures, at)

    def opened(self, name: str, at: float, recovery_s: float = RECOVERY_S) -> None:
        """The circuit opens: too many failures in a row."""
        figures = self.of(name)
        figures.circuit, figures.opened_at, figures.next_try_at = "open", at, at + recovery_s
        message = f"circuit opened after {figures.consecutive_failures} failures"
        self.event("circuit.opened", {"provider": name, "message": message}, at)
        self._store(figures, at)

    def expect(self, name: str, next_try_at: float, at: float) -> None:
        """Say when an open circuit lets a trial through."""
        figures = self.of(name)
        figures.next_try_at = next_try_at
        self._store(figures, at)

    def half_opened(self, name: str, at: float) -> None:
        """The circuit lets a trial through."""
        figures = self.of(name)
        figures.circuit, figures.next_try_at = "half_open", None
        self.event("circuit.half_opened", {"provider": name, "message": "one trial call"}, at)
        self._store(figures, at)

    def closed(self, name: str, at: float) -> None:
        """The circuit closes: the provider answers again."""
        figures = self.of(name)
        figures.circuit, figures.opened_at, figures.next_try_at = "closed", None, None
        figures.consecutive_failures = 0
        self.event("circuit.closed", {"provider": name, "message": "answers again"}, at)
        self._store(figures, at)

    def event(self, kind: str, details: dict[str, Json], at: float, source: str = "cascade") -> None:
        """Append to the event log."""
        self._connection.execute(
            "INSERT INTO event_log (event_type, source, data, timestamp) VALUES (?, ?, ?, ?)",
            (kind, source, json.dumps(details), at),
        )
        self._connection.commit()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _store(self, figures: Figures, at: float) -> None:
        average_ms = figures.latency_sum_ms / figures.successes if figures.successes else None
        self._connection.execute(
            "INSERT OR REPLACE INTO provider_metrics (provider_name, total_requests, successful_requests,"
            " failed_requests, avg_latency_ms, last_error_time, circuit_state, updated_at, last_error, opened_at,"
            " next_try_at, consecutive_failures, latency_buckets) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                figures.name,
                figures.successes + figures.failures,
                figures.successes,
                figures.failures,
                average_ms,
                figures.last_error_at,
                figures.circuit,
                at,
                figures.last_error,
                figures.opened_at,
                figures.next_try_at,
                figures.consecutive_failures,
                json.dumps(figures.buckets) if figures.buckets else None,
            ),
        )
        self._connection.commit()
