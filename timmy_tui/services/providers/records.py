"""What is known of each provider. Strings have passed ``text.clean``; times are Unix seconds."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

ProviderState = Literal["up", "down", "disabled", "unknown"]
Circuit = Literal["closed", "open", "half_open"]


class Probe(Struct, frozen=True):
    """One question to a provider's free endpoint."""

    at: float
    ok: bool
    latency_ms: float | None
    error: str | None


class ProviderStatus(Struct, frozen=True):
    """One provider: what our probe saw and what the calls' own metrics say."""

    name: str
    type: str
    priority: int
    state: ProviderState
    circuit: Circuit
    address: str | None
    model: str | None
    version: str | None
    note: str | None
    """Why it is disabled or unknown, in the user's words: ``no key in OPENAI_API_KEY``."""
    next_probe_at: float | None
    """An open circuit's next trial, else our next probe."""
    requests: int
    failures: int
    avg_latency_ms: float | None
    p50_latency_ms: float | None
    p95_latency_ms: float | None
    last_error: str | None
    last_error_at: float | None
    probes: tuple[Probe, ...]
    """Our own probes of this run, oldest first, bounded."""

    @property
    def probe_latency_ms(self) -> float | None:
        """The last good probe's latency."""
        return next((probe.latency_ms for probe in reversed(self.probes) if probe.ok), None)


class ProvidersReading(Struct, frozen=True):
    """All providers by priority."""

    providers: tuple[ProviderStatus, ...]
    configured: bool
    """From a configuration; False = what was found on the machine."""
