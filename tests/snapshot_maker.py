"""Snapshots for tests: a working day, and one thing at a time that is different."""

from __future__ import annotations

import math

import msgspec

from timmy_tui.services.hermes.records import HermesReading, SessionSummary, Tokens
from timmy_tui.services.ollama.records import InstalledModel, LoadedModel, OllamaReading
from timmy_tui.services.providers.records import ProvidersReading, ProviderStatus
from timmy_tui.services.reading import Reading
from timmy_tui.services.snapshot import OllamaServer, Snapshot
from timmy_tui.services.ticks.records import (
    Decision,
    HeartbeatReading,
    LabelCounts,
    Severity,
    Tick,
    TickHead,
    TickPlace,
)
from timmy_tui.services.worker.records import WorkerReading

NOW = 1_795_000_000.0
URL = "http://127.0.0.1:11434"


def installed(name: str, **changes: object) -> InstalledModel:
    """An installed model of 11 GB."""
    model = InstalledModel(
        name=name,
        digest=f"digest of {name}",
        size_bytes=11_000_000_000,
        modified_at=NOW - 86_400,
        family="llama",
        parameter_size="14.8B",
        quantization="Q4_K_M",
        context_length=131_072,
        capabilities=("completion", "tools"),
        remote_model=None,
        remote_host=None,
        parent_model=None,
    )
    return msgspec.structs.replace(model, **changes)


def loaded(name: str, **changes: object) -> LoadedModel:
    """A model wholly on the GPU that leaves in four minutes."""
    model = LoadedModel(
        name=name,
        digest=f"digest of {name}",
        size_bytes=11_000_000_000,
        size_vram_bytes=11_000_000_000,
        context_length=65_536,
        expires_at=NOW + 252,
        family="llama",
        parameter_size="14.8B",
        quantization="Q4_K_M",
    )
    return msgspec.structs.replace(model, **changes)


def ollama(
    in_memory: tuple[LoadedModel, ...] | None = None, on_disk: tuple[InstalledModel, ...] | None = None
) -> OllamaReading:
    """A server with two models on its disk, both in memory."""
    if in_memory is None:
        coder = loaded("qwen2.5-coder:7b", size_bytes=9_200_000_000, size_vram_bytes=6_348_000_000, expires_at=math.inf)
        in_memory = (loaded("hermes4:14b"), coder)
    if on_disk is None:
        on_disk = (installed("hermes4:14b"), installed("qwen2.5-coder:7b"), installed("llama3.2:3b"))
    return OllamaReading(version="0.32.15", latency_ms=3.14159, installed=on_disk, loaded=in_memory)


def server(value: OllamaReading | None = None, name: str = "local", **changes: object) -> OllamaServer:
    """One server whose reading is fresh."""
    entry = OllamaServer(name=name, url=URL, reading=fresh(value or ollama()))
    return msgspec.structs.replace(entry, **changes)


def session(identity: str = "s1", **changes: object) -> SessionSummary:
    """A heartbeat session that is done."""
    summary = SessionSummary(
        id=identity,
        source="heartbeat",
        model="hermes4:14b",
        title=None,
        started_at=NOW - 600,
        ended_at=None,
        end_reason=None,
        last_activity_at=NOW - 590,
        open_turn=False,
        answered=True,
        message_count=2,
        tool_call_count=0,
        tokens=Tokens(input=1000, output=200, cache_read=100, cache_write=0, reasoning=50),
        place="local",
        cost_usd=None,
        parent_id=None,
        archived=False,
    )
    return msgspec.structs.replace(summary, **changes)


def hermes(*sessions: SessionSummary, **changes: object) -> HermesReading:
    """The store with ``sessions``, all local."""
    total = sum((entry.tokens for entry in sessions), Tokens())
    reading = HermesReading(
        path="/home/alex/.hermes/state.db",
        profile=None,
        hours=24.0,
        sessions=sessions,
        by_source=(("heartbeat", len(sessions)),),
        by_model=(),
        tool_calls=(),
        tokens=total,
        local_tokens=total.total,
        cloud_tokens=0,
        unknown_tokens=0,
        cost_usd=None,
        unpriced_sessions=len(sessions),
        tokens_by_bucket=(0,) * 24,
    )
    return msgspec.structs.replace(reading, **changes)


def tick(tick_id: str, severity: Severity = "ok", at: float | None = NOW - 240, **changes: object) -> Tick:
    """A tick that a model decided."""
    head = TickHead(
        tick_id=tick_id,
        at=at,
        severity=severity,
        model="hermes4:14b",
        by_model=severity != "fallback",
        label=None,
        summary="All services answer.",
        place=TickPlace("/log", 0, 10),
    )
    whole = Tick(
        head=head,
        timestamp="",
        trigger="schedule",
        previous_tick=None,
        perception={},
        decision=Decision(severity, "All services answer.\nNothing to do.", ()),
        actions=(),
        prompt=None,
        response=None,
        provider="hermes",
        session_id=None,
        duration_ms=1834.0,
        attempts=(),
        host="mbp",
        writer=None,
    )
    return msgspec.structs.replace(whole, **changes)


def heartbeat(*ticks: Tick, **changes: object) -> HeartbeatReading:
    """The log with ``ticks``, every ten minutes."""
    severities: list[Severity] = [entry.head.severity for entry in ticks]
    reading = HeartbeatReading(
        recent=tuple(entry.head for entry in ticks),
        last=ticks[-1] if ticks else None,
        previous=ticks[-2] if len(ticks) > 1 else None,
        ticks_today=len(ticks),
        by_severity=tuple((severity, severities.count(severity)) for severity in dict.fromkeys(severities)),
        model_decisions=sum(entry.head.by_model for entry in ticks),
        fallback_decisions=sum(not entry.head.by_model for entry in ticks),
        bad_lines=0,
        incomplete_line=False,
        labels=LabelCounts(19, 5, 2),
        every_s=600.0,
    )
    return msgspec.structs.replace(reading, **changes)


def worker(state: str = "up", **changes: object) -> WorkerReading:
    """A worker of this host."""
    running = state == "up"
    reading = WorkerReading(
        state=state,  # type: ignore[arg-type]
        pid=4711 if running else None,
        host="mbp" if running else None,
        beat_at=NOW - 1 if running else None,
        pending=0,
        running=None,
        running_since=None,
        queue="/home/alex/.timmy/queue.db",
        queue_error=None,
    )
    return msgspec.structs.replace(reading, **changes)


def provider(name: str = "hermes", **changes: object) -> ProviderStatus:
    """A provider that answers."""
    status = ProviderStatus(
        name=name,
        type="hermes",
        priority=1,
        state="up",
        circuit="closed",
        address=None,
        model="hermes4:14b",
        version="0.19.0",
        note=None,
        next_probe_at=NOW + 41,
        requests=120,
        failures=2,
        avg_latency_ms=1834.56,
        p50_latency_ms=1800.0,
        p95_latency_ms=3000.0,
        last_error=None,
        last_error_at=None,
        probes=(),
    )
    return msgspec.structs.replace(status, **changes)


def providers(*entries: ProviderStatus) -> ProvidersReading:
    """The cascade of ``entries``."""
    return ProvidersReading(entries, configured=True)


def fresh(value: object, **changes: object) -> Reading:  # type: ignore[type-arg]
    """A reading of just now."""
    return msgspec.structs.replace(Reading(value=value, at=NOW - 0.4, max_age_s=60.0), **changes)


def lost(error: str, since: float = NOW - 5, hint: str = "", value: object = None) -> Reading:  # type: ignore[type-arg]
    """A source that fails, with an old value or without."""
    return Reading(value=value, at=None if value is None else since - 1, error=error, error_since=since, hint=hint)


def snapshot(**changes: object) -> Snapshot:
    """A working day on which all is well."""
    day = Snapshot(
        host="mbp",
        ollama=(server(),),
        hermes=fresh(hermes(session())),
        heartbeat=fresh(heartbeat(tick("20261119_120000", at=NOW - 840), tick("20261119_121000"))),
        worker=fresh(worker()),
        providers=fresh(providers(provider())),
        gpu=Reading(),
    )
    return msgspec.structs.replace(day, **changes)
