"""Read-only view of ``timmy.db``: the calls' own figures (``provider_metrics``) and history (``event_log``).

The heartbeat writes both tables; older stacks have them too, so columns are taken as they are found.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import msgspec
from msgspec import Struct

from timmy_tui.services.moments import LATEST_S, unix_seconds
from timmy_tui.services.providers.errors import ProvidersError
from timmy_tui.services.providers.records import Circuit
from timmy_tui.text import clean, clean_error

BUCKET_BOUNDS_MS: tuple[float, ...] = (
    *(bound for power in range(20) for bound in (float(2**power), 1.5 * 2**power) if bound < 600_000),
    600_000.0,
)
"""Upper bounds of the latency buckets, two per octave from 1 ms to 10 min; one bucket more has no bound."""

BUCKET_COUNT = len(BUCKET_BOUNDS_MS) + 1

BUSY_TIMEOUT_S = 1.0
METRICS_LIMIT = 500
COUNT_MAX = 10**15
EVENTS_SCANNED = 20_000
"""Newest rows of ``event_log`` that are looked through; the table has no index by provider."""
EVENT_LIMIT_CHARACTERS = 65_536

_COLUMNS = (
    "provider_name",
    "total_requests",
    "successful_requests",
    "failed_requests",
    "avg_latency_ms",
    "last_error_time",
    "circuit_state",
    "updated_at",
    "last_error",
    "opened_at",
    "next_try_at",
    "consecutive_failures",
    "latency_buckets",
)
_EVENT_COLUMNS = ("event_type", "source", "data", "timestamp")
_NAME_KEYS = ("provider", "provider_name", "name")
_TEXT_KEYS = ("error", "message", "reason", "text")


class ProviderMetrics(Struct, frozen=True):
    """One row of ``provider_metrics``; None = not recorded. Times are Unix seconds."""

    name: str
    requests: int = 0
    successes: int = 0
    failures: int = 0
    avg_latency_ms: float | None = None
    last_error: str | None = None
    last_error_at: float | None = None
    circuit: Circuit = "closed"
    opened_at: float | None = None
    next_try_at: float | None = None
    consecutive_failures: int = 0
    updated_at: float | None = None
    latency_buckets: tuple[int, ...] = ()
    """Calls per bucket of :data:`BUCKET_BOUNDS_MS`; empty when not recorded."""


class MetricsView(Struct, frozen=True):
    """All rows, or why there are none."""

    metrics: tuple[ProviderMetrics, ...] = ()
    note: str | None = None
    """What kept the table from being read; a missing file or table is no such thing."""

    def of(self, name: str) -> ProviderMetrics:
        """The provider's row, else one that has counted nothing."""
        return next((row for row in self.metrics if row.name == name), ProviderMetrics(name))


class ProviderEvent(Struct, frozen=True):
    """One entry of a provider's history."""

    at: float | None
    event: str
    text: str


def bucket_index(latency_ms: float) -> int:
    """The bucket in which a call of ``latency_ms`` counts."""
    return bisect_left(BUCKET_BOUNDS_MS, latency_ms)


def percentile(buckets: Sequence[int], share: float) -> float | None:
    """The latency in ms that ``share`` (0…1) of the calls did not pass; None without calls.

    Calls count as evenly spread within a bucket. The last, open bucket is told as its lower bound.
    """
    total = sum(buckets)
    if len(buckets) != BUCKET_COUNT or total <= 0:
        return None
    wanted = min(max(share, 0.0), 1.0) * total
    below = 0
    for index, count in enumerate(buckets[:-1]):
        if count and below + count >= wanted:
            lower = BUCKET_BOUNDS_MS[index - 1] if index else 0.0
            return lower + (BUCKET_BOUNDS_MS[index] - lower) * (wanted - below) / count
        below += count
    return BUCKET_BOUNDS_MS[-1]


def read_provider_metrics(path: Path) -> MetricsView:
    """The table as it is now. Never raises: what can't be read is told in :attr:`MetricsView.note`."""
    try:
        with closing(_connect(path)) as connection:
            columns = _known_columns(connection, "provider_metrics", _COLUMNS)
            if "provider_name" not in columns:
                return MetricsView()
            rows = connection.execute(
                f"SELECT {', '.join(columns)} FROM provider_metrics LIMIT {METRICS_LIMIT}"
            ).fetchall()
    except sqlite3.Error as error:
        return MetricsView(note=None if _missing(path) else f"no metrics: {_told(path, error)}")
    found = (metrics_of_row(dict(zip(columns, row, strict=True))) for row in rows)
    return MetricsView(tuple(row for row in found if row is not None))


def read_provider_events(path: Path, name: str, limit: int = 50) -> tuple[ProviderEvent, ...]:
    """The provider's newest entries of ``event_log``, newest first.

    An entry is the provider's when its ``source`` is the name, or its JSON ``data`` holds that under
    ``provider``, ``provider_name`` or ``name``. A missing file or table is an empty history.
    Raises :class:`ProvidersError`.
    """
    try:
        with closing(_connect(path)) as connection:
            columns = _known_columns(connection, "event_log", _EVENT_COLUMNS)
            if len(columns) != len(_EVENT_COLUMNS):
                return ()
            rows = connection.execute(
                "SELECT event_type, source, data, timestamp FROM ("
                " SELECT rowid AS place, event_type, source, timestamp,"
                "  CASE WHEN length(data) <= :longest THEN data ELSE substr(data, 1, 300) END AS data"
                " FROM event_log ORDER BY rowid DESC LIMIT :scanned)"
                " WHERE source = :name OR instr(data, :name) OR instr(data, :escaped) ORDER BY place DESC",
                {
                    "longest": EVENT_LIMIT_CHARACTERS,
                    "scanned": EVENTS_SCANNED,
                    "name": name,
                    "escaped": json.dumps(name)[1:-1],
                },
            )
            events: list[ProviderEvent] = []
            for event_type, source, data, timestamp in rows:
                details = _details(data)
                if source == name or (isinstance(details, dict) and _named(details) == name):
                    text = _event_text(details)
                    events.append(ProviderEvent(_moment(timestamp), clean(str(event_type), limit=60), text))
                if len(events) >= limit:
                    break
    except sqlite3.Error as error:
        if _missing(path):
            return ()
        raise ProvidersError(f"no history: {_told(path, error)}", "timmy-tui doctor") from None
    return tuple(events)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(os.fsencode(path))}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    return connection


def _missing(path: Path) -> bool:
    try:
        return not path.exists()
    except OSError:
        return False


def _told(path: Path, error: sqlite3.Error) -> str:
    """SQLite's message in the operator's words."""
    message = str(error)
    if "locked" in message or "busy" in message:
        return f"{clean(path.name)} is locked by another process"
    if "not a database" in message or "malformed" in message:
        return f"{clean(path.name)} is damaged ({clean_error(message)})"
    return f"{clean(path.name)}: {clean_error(message)}"


def _known_columns(connection: sqlite3.Connection, table: str, known: Sequence[str]) -> list[str]:
    present = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    return [column for column in known if column in present]


def metrics_of_row(row: Mapping[str, object]) -> ProviderMetrics | None:
    """One row of the table by its columns' names, any of which may be missing; None without a name."""
    name = row["provider_name"]
    if not isinstance(name, str) or not name:
        return None
    error = row.get("last_error")
    return ProviderMetrics(
        name=clean(name),
        requests=_count(row.get("total_requests")),
        successes=_count(row.get("successful_requests")),
        failures=_count(row.get("failed_requests")),
        avg_latency_ms=_positive(row.get("avg_latency_ms")),
        last_error=clean_error(error) if isinstance(error, str) and error.strip() else None,
        last_error_at=_moment(row.get("last_error_time")),
        circuit=circuit_word(row.get("circuit_state")),
        opened_at=_moment(row.get("opened_at")),
        next_try_at=_moment(row.get("next_try_at")),
        consecutive_failures=_count(row.get("consecutive_failures")),
        updated_at=_moment(row.get("updated_at")),
        latency_buckets=_buckets(row.get("latency_buckets")),
    )


def circuit_word(value: object) -> Circuit:
    """A breaker's state as other programs write it (``CLOSED``, ``half-open``, ``CircuitState.OPEN``)."""
    word = str(value).strip().lower().rsplit(".", 1)[-1].replace("-", "_").replace(" ", "_")
    if word in ("open", "opened", "forced_open"):
        return "open"
    return "half_open" if word in ("half_open", "halfopen", "half_opened") else "closed"


def _number(value: object) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _positive(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and number >= 0 else None


def _count(value: object) -> int:
    return int(min(_positive(value) or 0, COUNT_MAX))


def _moment(value: object) -> float | None:
    """Unix seconds of an epoch (in s or ms) or an ISO time, without a zone UTC, as SQLite writes it; 0 is none."""
    number = _number(value)
    if number is not None:
        return unix_seconds(number / 1000 if number > LATEST_S else number) or None
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return unix_seconds((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) or None
    except (ValueError, OverflowError):
        return None


def _buckets(value: object) -> tuple[int, ...]:
    try:
        counts = msgspec.json.decode(value, type=tuple[int, ...]) if isinstance(value, str | bytes) else ()
    except (msgspec.MsgspecError, RecursionError):
        return ()
    return counts if len(counts) == BUCKET_COUNT and 0 <= min(counts) <= max(counts) < COUNT_MAX else ()


def _details(data: object) -> object:
    """``data`` decoded where it is JSON, else its text."""
    text = data.decode(errors="replace") if isinstance(data, bytes) else str(data or "")
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        return text


def _named(details: Mapping[str, object]) -> object:
    return next((details[key] for key in _NAME_KEYS if details.get(key)), None)


def _event_text(details: object) -> str:
    """What an entry says, in one line: its error or message, else its plain values."""
    if not isinstance(details, dict):
        return clean_error(str(details)) if details else ""
    said = next((details[key] for key in _TEXT_KEYS if isinstance(details.get(key), str) and details[key]), None)
    if said is not None:
        return clean_error(said)
    plain = (
        f"{key}: {value}"
        for key, value in details.items()
        if key not in _NAME_KEYS and isinstance(value, str | int | float)
    )
    return clean_error(", ".join(plain))
