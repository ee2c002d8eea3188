"""The document of ``status --json``. Key names and their order are a promise to scripts (DESIGN §6).

Units stand in the names; null means unknown and is never written as 0.
"""

from __future__ import annotations

from msgspec import Struct

from timmy_tui.services.hermes.records import SessionState
from timmy_tui.services.providers.records import Circuit, ProviderState
from timmy_tui.services.severity import SourceState, Verdict
from timmy_tui.services.ticks.records import Severity
from timmy_tui.services.worker.records import WorkerState


class ModelEntry(Struct, frozen=True):
    """An installed model."""

    name: str
    size_bytes: int | None
    parameter_size: str | None
    quantization: str | None
    remote: bool
    loaded: bool | None
    """None where the server does not tell what is in memory."""


class LoadedEntry(Struct, frozen=True):
    """A model in memory."""

    name: str
    size_bytes: int
    size_vram_bytes: int
    processor: str
    context_length: int | None
    expires_at: str | None
    """ISO 8601 with a zone; null for forever and for unknown, which ``expiry`` tells apart."""
    expiry: str


class ServerEntry(Struct, frozen=True):
    """One Ollama server."""

    name: str
    url: str
    state: SourceState | None
    error: str | None
    age_s: float | None
    version: str | None
    latency_ms: float | None
    models: tuple[ModelEntry, ...] | None
    loaded: tuple[LoadedEntry, ...] | None


class TokenEntry(Struct, frozen=True):
    """Tokens by kind; ``reasoning`` is a part of ``output``."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    reasoning: int
    total: int


class SessionEntry(Struct, frozen=True):
    """One session."""

    id: str
    source: str
    model: str | None
    title: str | None
    started_at: str | None
    state: SessionState
    total_tokens: int | None


class HermesEntry(Struct, frozen=True):
    """The sessions of the window."""

    state: SourceState | None
    error: str | None
    hours: int | float
    sessions: int | None = None
    by_source: dict[str, int] | None = None
    failed: int | None = None
    tokens: TokenEntry | None = None
    local_tokens: int | None = None
    cloud_tokens: int | None = None
    cost_usd: float | None = None
    recent: tuple[SessionEntry, ...] | None = None


class LabelEntry(Struct, frozen=True):
    """Labelled candidates."""

    chosen: int
    rejected: int
    skipped: int


class LastTickEntry(Struct, frozen=True):
    """The last tick."""

    tick_id: str
    severity: Severity
    reasoning: str
    age_s: float | None


class HeartbeatEntry(Struct, frozen=True):
    """The heartbeat today."""

    ticks_today: int | None = None
    bad_lines: int | None = None
    by_severity: dict[str, int] | None = None
    model_decisions: int | None = None
    fallback_decisions: int | None = None
    labels: LabelEntry | None = None
    last: LastTickEntry | None = None
    overdue: bool | None = None


class WorkerEntry(Struct, frozen=True):
    """The worker and its queue."""

    state: WorkerState | None = None
    pid: int | None = None
    beat_age_s: float | None = None
    pending: int | None = None
    running: str | None = None


class ProviderEntry(Struct, frozen=True):
    """One provider."""

    name: str
    type: str
    priority: int
    state: ProviderState
    circuit: Circuit
    next_probe_s: float | None
    requests: int
    failures: int
    avg_latency_ms: float | None
    last_error: str | None
    last_error_at: str | None


class StatusDocument(Struct, frozen=True):
    """The whole document."""

    at: str
    version: str
    severity: Verdict
    problems: tuple[str, ...]
    ollama: tuple[ServerEntry, ...]
    hermes: HermesEntry
    heartbeat: HeartbeatEntry
    worker: WorkerEntry
    providers: tuple[ProviderEntry, ...] | None
