"""``status --json``: the snapshot as one JSON document."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import msgspec

from timmy_tui import __version__
from timmy_tui.services.hermes.records import HermesReading, SessionSummary
from timmy_tui.services.ollama.records import InstalledModel, LoadedModel, OllamaReading
from timmy_tui.services.ollama.rules import expiry, processor_text
from timmy_tui.services.providers.records import ProviderStatus
from timmy_tui.services.reading import Reading
from timmy_tui.services.severity import overall, source_state
from timmy_tui.services.snapshot import OllamaServer, Snapshot
from timmy_tui.services.status.records import (
    HeartbeatEntry,
    HermesEntry,
    LabelEntry,
    LastTickEntry,
    LoadedEntry,
    ModelEntry,
    ProviderEntry,
    ServerEntry,
    SessionEntry,
    StatusDocument,
    TokenEntry,
    WorkerEntry,
)
from timmy_tui.services.ticks.records import Severity, Tick
from timmy_tui.services.worker.records import WorkerReading

RECENT_SESSIONS = 10
"""Sessions listed in the document."""

SEVERITIES: tuple[Severity, ...] = ("ok", "warning", "critical", "fallback", "unknown")


def status_document(snapshot: Snapshot, now: float, hours: float) -> StatusDocument:
    """The document of ``snapshot`` at ``now``; ``hours`` is the sessions window that was asked for."""
    verdict = overall(snapshot, now)
    providers = snapshot.providers.value
    return StatusDocument(
        at=iso_time(now) or "",
        version=__version__,
        severity=verdict.severity,
        problems=verdict.problems,
        ollama=tuple(_server(server, now) for server in snapshot.ollama),
        hermes=_hermes(snapshot.hermes, now, hours),
        heartbeat=_heartbeat(snapshot, now),
        worker=_worker(snapshot.worker.value, now),
        providers=None if providers is None else tuple(_provider(entry, now) for entry in providers.providers),
    )


def status_json(document: StatusDocument) -> str:
    """The document as indented JSON text without a final newline."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def iso_time(at: float | None) -> str | None:
    """Unix seconds as local ISO 8601 with its zone; None for unknown, forever, and beyond the calendar."""
    if at is None or not math.isfinite(at):
        return None
    try:
        return datetime.fromtimestamp(at, UTC).astimezone().isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return None


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)


def _age(at: float | None, now: float) -> float | None:
    return None if at is None else _rounded(max(0.0, now - at))


def _server(server: OllamaServer, now: float) -> ServerEntry:
    reading: Reading[OllamaReading] = server.reading
    value = reading.value
    known = value is not None and value.loaded_known
    in_memory = {(model.name, model.digest) for model in value.loaded} if value else set()
    names, digests = {name for name, _ in in_memory}, {digest for _, digest in in_memory if digest}
    return ServerEntry(
        name=server.name,
        url=server.url,
        state=source_state(reading, now),
        error=reading.error,
        age_s=_rounded(reading.age_s(now)),
        version=value.version if value else None,
        latency_ms=_rounded(value.latency_ms) if value else None,
        models=tuple(
            _model(model, (model.name in names or model.digest in digests) if known else None)
            for model in value.installed
        )
        if value
        else None,
        loaded=tuple(_loaded(model, now) for model in value.loaded) if value and known else None,
    )


def _model(model: InstalledModel, loaded: bool | None) -> ModelEntry:
    return ModelEntry(
        name=model.name,
        size_bytes=model.size_bytes,
        parameter_size=model.parameter_size,
        quantization=model.quantization,
        remote=model.remote,
        loaded=loaded,
    )


def _loaded(model: LoadedModel, now: float) -> LoadedEntry:
    return LoadedEntry(
        name=model.name,
        size_bytes=model.size_bytes,
        size_vram_bytes=model.size_vram_bytes,
        processor=processor_text(model.size_bytes, model.size_vram_bytes),
        context_length=model.context_length,
        expires_at=iso_time(model.expires_at),
        expiry=expiry(model, now).text,
    )


def _hermes(reading: Reading[HermesReading], now: float, hours: float) -> HermesEntry:
    value = reading.value
    state = source_state(reading, now)
    window = value.hours if value else hours
    window = int(window) if float(window).is_integer() else window
    if value is None:
        return HermesEntry(state, reading.error, window)
    tokens = value.tokens
    known = not value.routing_only
    return HermesEntry(
        state=state,
        error=reading.error,
        hours=window,
        sessions=len(value.sessions),
        by_source=dict(value.by_source),
        failed=value.count("failed", now),
        tokens=TokenEntry(
            tokens.input, tokens.output, tokens.cache_read, tokens.cache_write, tokens.reasoning, tokens.total
        )
        if known
        else None,
        local_tokens=value.local_tokens if known else None,
        cloud_tokens=value.cloud_tokens if known else None,
        cost_usd=_rounded(value.cost_usd, 6),
        recent=tuple(_session(session, now, known) for session in value.sessions[:RECENT_SESSIONS]),
    )


def _session(session: SessionSummary, now: float, tokens_known: bool) -> SessionEntry:
    return SessionEntry(
        id=session.id,
        source=session.source,
        model=session.model,
        title=session.title,
        started_at=iso_time(session.started_at),
        state=session.state(now),
        total_tokens=session.tokens.total if tokens_known else None,
    )


def _heartbeat(snapshot: Snapshot, now: float) -> HeartbeatEntry:
    value = snapshot.heartbeat.value
    if value is None:
        return HeartbeatEntry()
    counts = dict(value.by_severity)
    return HeartbeatEntry(
        ticks_today=value.ticks_today,
        bad_lines=value.bad_lines,
        by_severity={severity: counts.get(severity, 0) for severity in SEVERITIES},
        model_decisions=value.model_decisions,
        fallback_decisions=value.fallback_decisions,
        labels=LabelEntry(value.labels.chosen, value.labels.rejected, value.labels.skipped),
        last=_last_tick(value.last, value.age_s(now)) if value.last else None,
        overdue=snapshot.heartbeat_enabled and value.overdue(now),
    )


def _last_tick(tick: Tick, age_s: float | None) -> LastTickEntry:
    head = tick.head
    reasoning = tick.decision.reasoning if tick.decision else head.summary
    return LastTickEntry(head.tick_id, head.severity, reasoning, _rounded(age_s))


def _worker(value: WorkerReading | None, now: float) -> WorkerEntry:
    if value is None:
        return WorkerEntry()
    return WorkerEntry(value.state, value.pid, _age(value.beat_at, now), value.pending, value.running)


def _provider(entry: ProviderStatus, now: float) -> ProviderEntry:
    wait_s = None if entry.next_probe_at is None else max(0.0, entry.next_probe_at - now)
    return ProviderEntry(
        name=entry.name,
        type=entry.type,
        priority=entry.priority,
        state=entry.state,
        circuit=entry.circuit,
        next_probe_s=_rounded(wait_s),
        requests=entry.requests,
        failures=entry.failures,
        avg_latency_ms=_rounded(entry.avg_latency_ms),
        last_error=entry.last_error,
        last_error_at=iso_time(entry.last_error_at),
    )
